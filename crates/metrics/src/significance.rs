//! Whether a sum over units is above 0 by more than its error. Texts of an author are alike, so
//! that it is the units whose contributions vary independently.

/// The quantile of the standard normal distribution at 0.95.
const NORMAL: f64 = 1.644_853_626_951_472_2;

/// Student's t-test (one-sided, 5 %): whether the mean contribution of a unit is above 0. Summed
/// scores of a logistic regression tested so are its score test with errors that allow for
/// clusters (Liang and Zeger, Biometrika 73, 1986).
pub(crate) fn is_above_zero(of_units: &[f64]) -> bool {
    let Some(freedom) = of_units.len().checked_sub(1).filter(|&freedom| freedom > 0) else { return false };
    let count = of_units.len() as f64;
    let mean = of_units.iter().sum::<f64>() / count;
    let squares: f64 = of_units.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares / freedom as f64 / count).sqrt();
    mean > 0.0 && mean > quantile(freedom) * error
}

/// The quantile of Student's distribution at 0.95: exact for one and two degrees of freedom, for
/// more by three terms of its expansion (Abramowitz and Stegun, 26.7.5), whose error is below 1 %.
fn quantile(freedom: usize) -> f64 {
    let (z, n) = (NORMAL, freedom as f64);
    match freedom {
        0 | 1 => 6.313_751_514_675_043,
        2 => 2.919_985_580_353_726,
        _ => {
            z + (z.powi(3) + z) / (4.0 * n)
                + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
                + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * n.powi(3))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_scipy() {
        // scipy.stats.t.ppf(0.95, freedom)
        let expected = [
            (1, 6.313_752),
            (2, 2.919_986),
            (3, 2.353_363),
            (4, 2.131_847),
            (9, 1.833_113),
            (30, 1.697_261),
            (1000, 1.646_379),
        ];
        for (freedom, value) in expected {
            assert!((quantile(freedom) / value - 1.0).abs() < 0.01, "{freedom}");
        }
    }

    #[test]
    fn a_mean_is_above_zero_only_by_more_than_its_error() {
        // t = 2 / √(10/4/5) = 2.828 with 4 degrees of freedom, whose quantile is 2.132.
        assert!(is_above_zero(&[0.0, 1.0, 2.0, 3.0, 4.0]));
        // t = 1 / √(10/4/5) = 1.414.
        assert!(!is_above_zero(&[-1.0, 0.0, 1.0, 2.0, 3.0]));
        assert!(!is_above_zero(&[-1.0; 5]));
        assert!(is_above_zero(&[1.0; 5]));
        assert!(!is_above_zero(&[0.0; 5]));
        assert!(!is_above_zero(&[5.0]));
        assert!(!is_above_zero(&[]));
    }
}

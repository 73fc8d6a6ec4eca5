/// Logits of a greater size count as one of this: their probability is 0 or 1 to the last bit
/// anyway, and means and fits stay finite.
const LARGEST_LOGIT: f64 = 1e4;

/// The probability of class 1 from its log odds, σ(logit / temperature).
pub fn probability(logit: f64, temperature: f64) -> f64 {
    let temperature = if temperature > 0.0 { temperature } else { 1.0 };
    sigmoid(tame(logit) / temperature)
}

/// A logit that is finite: one that is no number tells nothing and is 0.
pub(crate) fn tame(logit: f64) -> f64 {
    if logit.is_nan() { 0.0 } else { logit.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) }
}

/// σ(x) = 1 / (1 + e^−x), without overflow on either side.
pub(crate) fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_one_whatever_the_logit_and_the_temperature() {
        let odd = [0.0, -0.0, 1.0, -36.5, 1e9, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        for logit in odd {
            for temperature in odd {
                assert!((0.0..=1.0).contains(&probability(logit, temperature)), "{logit} {temperature}");
            }
        }
        assert_eq!(probability(f64::NAN, 1.0), 0.5);
        assert_eq!((probability(f64::INFINITY, 1.0), probability(f64::NEG_INFINITY, 1.0)), (1.0, 0.0));
        assert!((probability(2.0, 2.0) - 0.731_058_578_630_004_9).abs() < 1e-15);
    }
}

use crate::probability::sigmoid;

/// A temperature lies within these; the best one of logits that separate the classes would be 0,
/// and of logits that tell nothing, infinite.
pub(crate) const BOUNDS: [f64; 2] = [0.05, 100.0];

/// Halvings of the span of the logarithm: after these it is narrower than f64 can tell.
const HALVINGS: u32 = 60;

/// The temperature of the least log loss (Guo et al., arXiv 1706.04599) between 0.05 and 100. The
/// loss is convex in 1/T, so that its derivative by it, which rises, is halved down to its root.
pub fn fit(logits: &[f64], classes: &[bool]) -> f64 {
    // d/dβ of Σ ln(1 + e^−βs), where s is the logit of the true class.
    let slope = |inverse: f64| -> f64 {
        let of_text = |(&logit, &class): (&f64, &bool)| {
            let towards = if class { logit } else { -logit };
            -towards * sigmoid(-inverse * towards)
        };
        logits.iter().zip(classes).map(of_text).sum()
    };
    let [coldest, hottest] = BOUNDS;
    if slope(1.0 / hottest) >= 0.0 {
        return hottest;
    }
    if slope(1.0 / coldest) <= 0.0 {
        return coldest;
    }
    let (mut low, mut high) = (coldest.ln(), hottest.ln());
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if slope((-middle).exp()) > 0.0 { low = middle } else { high = middle }
    }
    ((low + high) / 2.0).exp()
}

/// The log loss of one text, ln(1 + e^−s/T), where s is the logit of the true class.
pub(crate) fn loss(logit: f64, class: bool, temperature: f64) -> f64 {
    let towards = (if class { logit } else { -logit }) / temperature;
    (-towards).max(0.0) + (-towards.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfident_logits_are_cooled_to_their_frequencies() {
        // Right in three of four at a logit of 4, where ln 3 would be right.
        let logits = [4.0, 4.0, 4.0, 4.0, -4.0, -4.0, -4.0, -4.0];
        let classes = [true, true, true, false, false, false, false, true];
        assert!((fit(&logits, &classes) - 4.0 / 3f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn the_temperature_stays_in_its_bounds() {
        assert_eq!(fit(&[1.0, -1.0], &[true, false]), BOUNDS[0]);
        assert_eq!(fit(&[1.0, -1.0], &[false, true]), BOUNDS[1]);
        assert_eq!(fit(&[0.0, 0.0], &[false, true]), BOUNDS[1]);
        assert_eq!(fit(&[], &[]), BOUNDS[1]);
        assert!((BOUNDS[0]..=BOUNDS[1]).contains(&fit(&[1e4, 1.0, -1e4, -1.0], &[true, false, true, false])));
    }
}

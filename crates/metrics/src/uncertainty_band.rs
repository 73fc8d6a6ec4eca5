use rayon::prelude::*;
use record::UncertaintyBand;

use crate::{
    bootstrap::{Purpose, draw, random},
    percentile,
    platt::{self, Platt, Points},
};

const REPLICATES: u32 = 500;
const LOGITS: usize = 33;

/// The 95 % interval of the probability of class 1 at logits that lie evenly over `range`, widened
/// by a quarter on each side, from Platt scalings of resamples of the units. A resample with one
/// class has none; where these are more than 5 %, as when a class has one or two units, the rest
/// would look far too sure of itself, so that the band says nothing: from 0 to 1. `axis`: the
/// place of the axis in a type.
pub(crate) fn band(
    points: &Points,
    units: usize,
    range: [f64; 2],
    axis: usize,
    seed: u64,
) -> UncertaintyBand {
    let start = platt::fit(points, &vec![1; units], Platt::default()).unwrap_or_default();
    let fits: Vec<Option<Platt>> = (0..REPLICATES)
        .into_par_iter()
        .map_init(
            || vec![0; units],
            |counts, replicate| {
                draw(&mut random(seed, Purpose::Band(axis), replicate), counts);
                platt::fit(points, counts, start)
            },
        )
        .collect();
    let margin = (range[1] - range[0]) / 4.0;
    let (first, last) = (range[0] - margin, range[1] + margin);
    let mut band = UncertaintyBand::default();
    for place in 0..LOGITS {
        let logit = first + (last - first) * place as f64 / (LOGITS - 1) as f64;
        let probabilities = fits.iter().map(|fit| fit.map(|platt| points.probability(platt, logit)));
        let [lower, upper] = percentile::interval(probabilities).unwrap_or([0.0, 1.0]);
        band.logits.push(logit);
        band.lower.push(lower);
        band.upper.push(upper);
    }
    band
}

/// The interval of the probability of class 1 at a logit as the network gives it: interpolated
/// between the logits of the band, beyond its ends the end's, and widened so that it holds
/// `probability`, the one that is shown. A band without logits says nothing: from 0 to 1.
pub fn interval(band: &UncertaintyBand, logit: f64, probability: f64) -> [f64; 2] {
    let lower = interpolated(&band.logits, &band.lower, logit).unwrap_or(0.0);
    let upper = interpolated(&band.logits, &band.upper, logit).unwrap_or(1.0);
    // `min` and `max` pass over a probability that is no number.
    [lower.min(probability).clamp(0.0, 1.0), upper.max(probability).clamp(0.0, 1.0)]
}

/// The value at `x` of the line through the points, whose x rise; none where it is not a number.
fn interpolated(xs: &[f64], ys: &[f64], x: f64) -> Option<f64> {
    let after = xs.partition_point(|&other| other < x);
    let before = after.saturating_sub(1);
    let after = after.min(xs.len().checked_sub(1)?);
    let (x0, x1, y0, y1) = (xs.get(before)?, xs.get(after)?, ys.get(before)?, ys.get(after)?);
    let part = if x1 > x0 { ((x - x0) / (x1 - x0)).clamp(0.0, 1.0) } else { 0.0 };
    Some(y0 + (y1 - y0) * part).filter(|y| !y.is_nan())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_is_interpolated_and_holds_the_probability() {
        let band = UncertaintyBand {
            logits: vec![-1.0, 0.0, 2.0],
            lower: vec![0.1, 0.2, 0.6],
            upper: vec![0.3, 0.5, 0.9],
        };
        let near = |found: [f64; 2], expected: [f64; 2]| {
            let distance = (found[0] - expected[0]).abs().max((found[1] - expected[1]).abs());
            assert!(distance < 1e-12, "{found:?} is not {expected:?}")
        };
        near(interval(&band, 1.0, 0.5), [0.4, 0.7]);
        near(interval(&band, -1.0, 0.2), [0.1, 0.3]);
        near(interval(&band, 0.0, 0.3), [0.2, 0.5]);
        near(interval(&band, -9.0, 0.05), [0.05, 0.3]);
        near(interval(&band, f64::INFINITY, 0.99), [0.6, 0.99]);
        near(interval(&UncertaintyBand::default(), 1.0, 0.7), [0.0, 1.0]);
    }

    #[test]
    fn a_class_of_two_authors_leaves_everything_possible() {
        let of_authors = |of_class_1: usize| {
            let classes: Vec<bool> = (0..20).map(|author| author < of_class_1).collect();
            let logits: Vec<f64> = classes.iter().map(|&class| if class { 1.0 } else { -1.0 }).collect();
            let points = Points::new(&logits, &classes, &(0..20).collect::<Vec<_>>());
            band(&points, 20, [-1.0, 1.0], 0, 3)
        };
        let two = of_authors(2);
        assert_eq!((two.lower, two.upper), (vec![0.0; LOGITS], vec![1.0; LOGITS]));
        let ten = of_authors(10);
        assert_eq!((ten.logits[0], ten.logits[16], ten.logits[32]), (-1.5, 0.0, 1.5));
        assert!(ten.upper[0] < 0.5 && ten.lower[32] > 0.5, "{ten:?}");
    }

    proptest! {
        #[test]
        fn an_interval_is_one_whatever_the_band(
            logits in prop::collection::vec(prop::num::f64::ANY, 0..4),
            lower in prop::collection::vec(prop::num::f64::ANY, 0..4),
            upper in prop::collection::vec(prop::num::f64::ANY, 0..4),
            logit in prop::num::f64::ANY,
            probability in 0.0f64..=1.0,
        ) {
            let [low, high] = interval(&UncertaintyBand { logits, lower, upper }, logit, probability);
            prop_assert!(0.0 <= low && low <= probability && probability <= high && high <= 1.0);
        }
    }
}

//! Platt scaling (Platt 1999; Lin, Lin and Weng, Machine Learning 68, 2007): the probability of
//! class 1 as σ(a·logit + b).

use crate::probability::sigmoid;

/// Weight of the square of the slope in the loss: next to nothing beside a single text, but enough
/// for one answer where all drawn logits are the same.
const RIDGE: f64 = 1e-6;
const MOST_STEPS: u32 = 100;
/// How often a step that leads uphill is halved.
const MOST_HALVINGS: i32 = 40;
/// The loss of a text that is not worth another step.
const CLOSE: f64 = 1e-10;

/// Logits on the scale of their own spread, which Newton's method needs, and their classes and
/// units: all [texts].
#[derive(Debug, Clone)]
pub struct Points {
    scaled: Vec<f64>,
    classes: Vec<bool>,
    units: Vec<usize>,
    mean: f64,
    spread: f64,
}

/// σ(slope · scaled logit + intercept).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Platt {
    slope: f64,
    intercept: f64,
}

impl Points {
    pub fn new(logits: &[f64], classes: &[bool], units: &[usize]) -> Points {
        let count = logits.len().max(1) as f64;
        let mean = logits.iter().sum::<f64>() / count;
        let variance = logits.iter().map(|logit| (logit - mean).powi(2)).sum::<f64>() / count;
        let spread = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        Points {
            scaled: logits.iter().map(|logit| (logit - mean) / spread).collect(),
            classes: classes.to_vec(),
            units: units.to_vec(),
            mean,
            spread,
        }
    }

    /// The probability of class 1 at a logit.
    pub fn probability(&self, platt: Platt, logit: f64) -> f64 {
        sigmoid(platt.slope * (logit - self.mean) / self.spread + platt.intercept)
    }
}

/// The loss at one place, with its first and second derivatives by slope and intercept.
struct Loss {
    value: f64,
    gradient: [f64; 2],
    /// By slope twice, by both, by intercept twice.
    hessian: [f64; 3],
}

/// The best fit by Newton's method from `start`, where each text counts as often as its unit is
/// drawn; none where only one class was drawn. The targets are Platt's, (N₁ + 1) / (N₁ + 2) and
/// 1 / (N₀ + 2), so that classes that can be told apart without an error do not ask for an
/// infinite slope. Both classes keep their frequencies. `counts`: [units].
pub fn fit(points: &Points, counts: &[u32], start: Platt) -> Option<Platt> {
    let mut drawn = [0u64; 2];
    for (&class, &unit) in points.classes.iter().zip(&points.units) {
        drawn[usize::from(class)] += u64::from(counts[unit]);
    }
    if drawn.contains(&0) {
        return None;
    }
    let targets = [1.0 / (drawn[0] as f64 + 2.0), (drawn[1] as f64 + 1.0) / (drawn[1] as f64 + 2.0)];
    let texts = (drawn[0] + drawn[1]) as f64;
    let mut here = start;
    let mut loss = loss_at(points, counts, targets, here);
    for _ in 0..MOST_STEPS {
        let [by_slope, by_both, by_intercept] = loss.hessian;
        let determinant = by_slope * by_intercept - by_both * by_both;
        if determinant <= 0.0 || !determinant.is_finite() {
            break;
        }
        let [slope, intercept] = loss.gradient;
        let step = [
            (by_intercept * slope - by_both * intercept) / determinant,
            (by_slope * intercept - by_both * slope) / determinant,
        ];
        let to = |part: f64| Platt {
            slope: here.slope - part * step[0],
            intercept: here.intercept - part * step[1],
        };
        // Twice what the step is to lower the loss by. So near the best fit a whole step squares
        // the distance that is left, and rounding would hide whether the loss was lowered.
        if slope * step[0] + intercept * step[1] < CLOSE * texts {
            here = to(1.0);
            break;
        }
        let shorter = (0..MOST_HALVINGS).map(|halvings| to(0.5f64.powi(halvings)));
        let mut tried = shorter.map(|there| (there, loss_at(points, counts, targets, there)));
        let Some(lower) = tried.find(|(_, found)| found.value < loss.value) else { break };
        (here, loss) = lower;
    }
    Some(here).filter(|found| found.slope.is_finite() && found.intercept.is_finite())
}

fn loss_at(points: &Points, counts: &[u32], targets: [f64; 2], at: Platt) -> Loss {
    let mut value = RIDGE / 2.0 * at.slope * at.slope;
    let mut gradient = [RIDGE * at.slope, 0.0];
    let mut hessian = [RIDGE, 0.0, 0.0];
    for ((&x, &class), &unit) in points.scaled.iter().zip(&points.classes).zip(&points.units) {
        if counts[unit] == 0 {
            continue;
        }
        let count = f64::from(counts[unit]);
        let target = targets[usize::from(class)];
        let logit = at.slope * x + at.intercept;
        // σ and ln(1 + e^x) of the logit by one exponential; `ln_1p` would tell no more of a sum.
        let small = (-logit.abs()).exp();
        let p = if logit >= 0.0 { 1.0 } else { small } / (1.0 + small);
        value += count * (logit.max(0.0) + (1.0 + small).ln() - target * logit);
        let (first, second) = (count * (p - target), count * p * (1.0 - p));
        gradient[0] += first * x;
        gradient[1] += first;
        hessian[0] += second * x * x;
        hessian[1] += second * x;
        hessian[2] += second;
    }
    Loss { value, gradient, hessian }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fitted(logits: &[f64], classes: &[bool]) -> (Points, Platt) {
        let points = Points::new(logits, classes, &vec![0; logits.len()]);
        let platt = fit(&points, &[1], Platt::default()).unwrap();
        (points, platt)
    }

    #[test]
    fn two_logits_get_their_smoothed_frequencies() {
        // Two parameters can meet both exactly: of three 1s and one 0 at each, smoothed targets.
        let logits = [2.0, 2.0, 2.0, 2.0, -1.0, -1.0, -1.0, -1.0];
        let classes = [true, true, true, false, false, false, false, true];
        let (points, platt) = fitted(&logits, &classes);
        let (one, zero) = (5.0 / 6.0, 1.0 / 6.0);
        assert!((points.probability(platt, 2.0) - (3.0 * one + zero) / 4.0).abs() < 1e-6);
        assert!((points.probability(platt, -1.0) - (3.0 * zero + one) / 4.0).abs() < 1e-6);
    }

    #[test]
    fn classes_that_are_told_apart_without_an_error_get_finite_odds() {
        for scale in [1e-9, 1.0, 1e4] {
            let (points, platt) = fitted(&[-scale, -scale, scale, scale], &[false, false, true, true]);
            assert!((points.probability(platt, scale) - 0.75).abs() < 1e-6);
        }
    }

    #[test]
    fn one_class_has_no_fit_and_equal_logits_have_a_flat_one() {
        let points = Points::new(&[1.0, 2.0], &[true, false], &[0, 1]);
        assert_eq!(fit(&points, &[2, 0], Platt::default()), None);
        let (points, platt) = fitted(&[3.0; 4], &[true, true, false, false]);
        for logit in [-5.0, 3.0, 9.0] {
            assert!((points.probability(platt, logit) - 0.5).abs() < 1e-9);
        }
    }
}

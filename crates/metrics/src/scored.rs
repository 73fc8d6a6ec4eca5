use record::AxisMetrics;

/// Bins of the expected calibration error.
const BINS: usize = 15;

/// The true classes and the probabilities of one axis, sorted, with everything ready that does
/// not depend on how often each of them is drawn, so that a resample takes one pass.
pub(crate) struct Scored {
    /// By rising probability.
    items: Vec<Item>,
}

struct Item {
    unit: usize,
    class: bool,
    predicted: bool,
    /// Whether its probability is above that of the item before.
    higher: bool,
    /// −ln of the probability of the true class.
    loss: f64,
    /// Probability of the predicted class.
    confidence: f64,
    bin: usize,
}

/// From the unit, the class and the probability of class 1 of each item. A probability that is no
/// number counts as one half.
pub(crate) fn scored(items: impl Iterator<Item = (usize, bool, f64)>) -> Scored {
    let mut items: Vec<_> = items
        .map(|(unit, class, p)| (unit, class, if p.is_nan() { 0.5 } else { p.clamp(0.0, 1.0) }))
        .collect();
    // Stable, so that sums are the same whenever the input is.
    items.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut before = f64::NAN;
    let items = items
        .into_iter()
        .map(|(unit, class, p)| {
            let confidence = p.max(1.0 - p);
            let higher = p != before;
            before = p;
            Item {
                unit,
                class,
                predicted: p > 0.5,
                higher,
                loss: log_loss(class, p),
                confidence,
                bin: bin(confidence),
            }
        })
        .collect();
    Scored { items }
}

/// −ln of the probability that was given to the true class, kept away from 0 and 1 by the
/// distance of 1 to the next number, as scikit-learn does: never infinite.
fn log_loss(class: bool, p: f64) -> f64 {
    -(if class { p } else { 1.0 - p }).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// The bin of a confidence: the bins are (i/15, (i+1)/15], closed on the right.
fn bin(confidence: f64) -> usize {
    (1..BINS).filter(|&edge| edge as f64 / (BINS as f64) < confidence).count()
}

/// The metrics when every item counts as often as its unit is drawn; the definitions are those of
/// scikit-learn with class 1 as the positive one, and where it would warn and give 0 there is no
/// value. `counts`: [units].
pub(crate) fn metrics(scored: &Scored, counts: &[u32]) -> AxisMetrics {
    let mut confusion = [[0u64; 2]; 2];
    let mut loss = 0.0;
    // Right predictions less the confidence in them, by bin.
    let mut gaps = [0.0f64; BINS];
    // Pairs of both classes that stand in the right order, twice, so that ties are one.
    let mut ordered = 0u64;
    // Items of each class below the present probability, and at it.
    let (mut below, mut here) = ([0u64; 2], [0u64; 2]);
    for item in &scored.items {
        let count = counts.get(item.unit).copied().unwrap_or(0);
        if item.higher {
            ordered += here[1] * (2 * below[0] + here[0]);
            below = [below[0] + here[0], below[1] + here[1]];
            here = [0, 0];
        }
        if count == 0 {
            continue;
        }
        here[usize::from(item.class)] += u64::from(count);
        confusion[usize::from(item.class)][usize::from(item.predicted)] += u64::from(count);
        let count = f64::from(count);
        loss += count * item.loss;
        gaps[item.bin] += count * (f64::from(item.class == item.predicted) - item.confidence);
    }
    ordered += here[1] * (2 * below[0] + here[0]);
    let total = confusion.iter().flatten().sum::<u64>() as f64;
    let pairs = confusion.iter().map(|row| row.iter().sum::<u64>() as f64).product::<f64>();
    AxisMetrics {
        roc_auc: ratio(ordered as f64, 2.0 * pairs),
        log_loss: ratio(loss, total),
        expected_calibration_error: ratio(gaps.iter().map(|gap| gap.abs()).sum(), total),
        ..of_confusion(confusion)
    }
}

/// The metrics that need the predicted classes alone.
fn of_confusion(confusion: [[u64; 2]; 2]) -> AxisMetrics {
    let [[tn, fp], [fn_, tp]] = confusion.map(|row| row.map(|count| count as f64));
    let total = tn + fp + fn_ + tp;
    let f1 = ratio(2.0 * tp, 2.0 * tp + fp + fn_);
    let f1_of_class_0 = ratio(2.0 * tn, 2.0 * tn + fp + fn_);
    let recalls = ratio(tp, tp + fn_).zip(ratio(tn, tn + fp));
    AxisMetrics {
        accuracy: ratio(tp + tn, total),
        f1,
        macro_f1: f1.zip(f1_of_class_0).map(|(one, zero)| (one + zero) / 2.0),
        balanced_accuracy: recalls.map(|(one, zero)| (one + zero) / 2.0),
        mcc: ratio(tp * tn - fp * fn_, ((tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_)).sqrt()),
        majority_accuracy: ratio((tp + fn_).max(tn + fp), total),
        confusion: confusion.map(|row| row.map(|count| u32::try_from(count).unwrap_or(u32::MAX))),
        ..AxisMetrics::default()
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_is_closed_on_the_right() {
        for edge in 1..=BINS {
            let at = edge as f64 / BINS as f64;
            assert_eq!(bin(at), edge - 1);
            assert_eq!(bin(at + 1e-12), edge.min(BINS - 1));
        }
        assert_eq!(bin(0.5), 7);
    }

    #[test]
    fn what_is_drawn_twice_counts_as_two() {
        let items = [(0, true, 0.7), (1, false, 0.7), (0, false, 0.2), (2, true, 0.9), (1, true, 0.1)];
        let counts = [2, 0, 1];
        let repeated: Vec<_> = items
            .into_iter()
            .flat_map(|(unit, class, p)| vec![(0, class, p); counts[unit] as usize])
            .collect();
        assert_eq!(
            metrics(&scored(items.into_iter()), &counts),
            metrics(&scored(repeated.into_iter()), &[1])
        );
    }
}

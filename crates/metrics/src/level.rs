use rayon::prelude::*;
use record::{AxisAssessment, AxisMetrics, Estimated, Level, Metric};

use crate::{
    bootstrap::resample,
    percentile,
    probability::sigmoid,
    sample::{AxisSample, Sample},
    scored::{self, Scored, scored},
};

/// What is told of one resample, or of the items as they are.
struct Replicate {
    axes: Vec<AxisMetrics>,
    exact_match: Option<f64>,
    right_letters: Option<f64>,
}

/// The metrics over the items of a sample, with intervals from so many resamples of its units. A
/// single unit cannot be resampled into anything else, so that it gives no intervals. Resampling
/// adds noise of its own to the expected calibration error, which is never below 0, so that the
/// interval of a small one may lie above it.
pub(crate) fn level(sample: &Sample, units: usize, seed: u64, resamples: u32) -> Level {
    let scored: Vec<Scored> = sample.axes.iter().map(|axis| scored_axis(axis, &sample.units)).collect();
    let right_letters = right_letters(sample);
    let replicate = |counts: &[u32]| Replicate {
        axes: scored.iter().map(|axis| scored::metrics(axis, counts)).collect(),
        exact_match: mean(&right_letters, &sample.units, counts, |right| right == sample.axes.len()),
        right_letters: mean(&right_letters, &sample.units, counts, |right| right),
    };
    let whole = replicate(&vec![1; units]);
    let resamples = if units < 2 { 0 } else { resamples };
    let resampled: Vec<Replicate> =
        (0..resamples).into_par_iter().map(|number| replicate(&resample(seed, number, units))).collect();

    let axis_assessment = |(index, axis): (usize, &AxisSample)| {
        let interval = |metric: Metric| {
            let values = resampled.iter().map(|one| one.axes.get(index).and_then(|axis| axis.get(metric)));
            Some((metric, percentile::interval(values)?))
        };
        let metrics = whole.axes[index];
        let intervals = Metric::ALL.iter().copied().filter_map(interval).collect();
        (axis.axis, AxisAssessment { metrics, intervals })
    };
    let estimated = |of: fn(&Replicate) -> Option<f64>| Estimated {
        value: of(&whole),
        interval: percentile::interval(resampled.iter().map(of)),
    };
    Level {
        units: u32::try_from(sample.units.len()).unwrap_or(u32::MAX),
        axes: sample.axes.iter().enumerate().map(axis_assessment).collect(),
        exact_match: estimated(|one| one.exact_match),
        right_letters: estimated(|one| one.right_letters),
        majority_right_letters: if whole.axes.is_empty() {
            None
        } else {
            whole.axes.iter().map(|axis| axis.majority_accuracy).sum()
        },
    }
}

/// The items of one axis, ready to be resampled.
pub(crate) fn scored_axis(axis: &AxisSample, units: &[usize]) -> Scored {
    let items = units.iter().zip(&axis.classes).zip(&axis.logits);
    scored(items.map(|((&unit, &class), &logit)| (unit, class, sigmoid(logit))))
}

/// The number of axes on which each item is told right: [items]; empty where there are no axes,
/// for then nothing was told.
fn right_letters(sample: &Sample) -> Vec<usize> {
    let is_right = |axis: &AxisSample, item: usize| (sigmoid(axis.logits[item]) > 0.5) == axis.classes[item];
    let right = |item| sample.axes.iter().filter(|axis| is_right(axis, item)).count();
    if sample.axes.is_empty() { Vec::new() } else { (0..sample.units.len()).map(right).collect() }
}

/// The mean over items of something about their number of right letters, every item counting as
/// often as its unit is drawn; none of no items.
fn mean<T: Into<usize>>(
    right_letters: &[usize],
    units: &[usize],
    counts: &[u32],
    of: impl Fn(usize) -> T,
) -> Option<f64> {
    let (mut sum, mut total) = (0, 0);
    for (&right, &unit) in right_letters.iter().zip(units) {
        let count = counts[unit] as usize;
        sum += count * of(right).into();
        total += count;
    }
    (total > 0).then(|| sum as f64 / total as f64)
}

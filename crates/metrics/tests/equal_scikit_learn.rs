//! Holds the metrics, their intervals and the temperature to what scikit-learn and SciPy make of
//! the same cases, as tests/reference/metrics_parity.py has written it down.
#![allow(clippy::unwrap_used, clippy::panic)]

use mbti::{Axis, Type};
use metrics::{Judged, axis_metrics, parity::assess_with};
use record::Assessment;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    classes: Vec<bool>,
    probabilities: Vec<f64>,
    axes: Vec<Axis>,
    logits: Vec<f64>,
    types: Vec<Type>,
    authors: Vec<Option<u32>>,
    seed: u64,
    resamples: u32,
    expected: Expected,
}

/// In the shape of our records, without what no one else computes.
#[derive(Deserialize)]
struct Expected {
    metrics: Value,
    assessment: Value,
}

/// SciPy stops looking for the best temperature a little beside it.
const TOLERANCE_OF_TEMPERED: f64 = 1e-6;
const TOLERANCE: f64 = 1e-9;

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/reference/fixtures/metrics.json");
    serde_json::from_str(text).unwrap()
}

/// Everything that is expected must have been found; what is null or absent must be so in both.
fn compare(found: &Value, expected: &Value, at: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (key, expected) in expected {
                compare(found.get(key).unwrap_or(&Value::Null), expected, &format!("{at}/{key}"));
            }
            // What maps from axes or metrics has no key too many.
            if at.ends_with("axes") || at.ends_with("intervals") || at.ends_with("calibration") {
                assert!(found.keys().eq(expected.keys()), "{at}: {found:?} is not {expected:?}");
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                compare(found, expected, &format!("{at}/{index}"));
            }
        }
        (Value::Number(found), Value::Number(expected)) => {
            let tolerance =
                if at.ends_with("calibrated_log_loss") { TOLERANCE_OF_TEMPERED } else { TOLERANCE };
            let difference = (found.as_f64().unwrap() - expected.as_f64().unwrap()).abs();
            assert!(difference <= tolerance, "{at}: {found} is not {expected}");
        }
        _ => assert_eq!(found, expected, "{at}"),
    }
}

#[test]
fn the_metrics_of_an_axis_are_those_of_scikit_learn() {
    for (number, case) in cases().iter().enumerate() {
        let found = serde_json::to_value(axis_metrics(&case.classes, &case.probabilities)).unwrap();
        compare(&found, &case.expected.metrics, &format!("case {number}"));
    }
}

#[test]
fn an_assessment_is_that_of_scikit_learn_and_scipy() {
    let (mut by_author, mut calibrations, mut intervals) = (0, 0, 0);
    for (number, case) in cases().iter().enumerate() {
        let judged =
            Judged { axes: &case.axes, logits: &case.logits, types: &case.types, authors: &case.authors };
        let found: Assessment = assess_with(&judged, 1, case.seed, case.resamples);
        by_author += usize::from(found.by_author.is_some());
        calibrations += found.calibration.len();
        intervals += found.by_text.axes.values().map(|axis| axis.intervals.len()).sum::<usize>();
        compare(&serde_json::to_value(found).unwrap(), &case.expected.assessment, &format!("case {number}"));
    }
    // The cases must not have become empty ones.
    assert!(
        by_author >= 10 && calibrations >= 10 && intervals >= 20,
        "{by_author} {calibrations} {intervals}"
    );
}

//! Holds the paired difference of two models to what NumPy and scikit-learn make of the same texts and the same
//! resamples, as tests/reference/paired.py has written it down.
#![allow(clippy::unwrap_used, clippy::panic)]

use mbti::{Axis, Type};
use metrics::{Judged, parity::compare_by};
use record::{Comparison, Estimated};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    first_axes: Vec<Axis>,
    second_axes: Vec<Axis>,
    first: Vec<f64>,
    second: Vec<f64>,
    types: Vec<Type>,
    authors: Vec<Option<u32>>,
    resamples: Vec<Vec<u32>>,
    expected: Comparison,
}

const TOLERANCE: f64 = 1e-12;

fn compare(found: Estimated, expected: Estimated, at: &str) {
    let numbers = |of: Estimated| -> Vec<f64> {
        of.value.into_iter().chain(of.interval.into_iter().flatten()).collect()
    };
    assert_eq!(found.value.is_some(), expected.value.is_some(), "{at}: {found:?} is not {expected:?}");
    assert_eq!(found.interval.is_some(), expected.interval.is_some(), "{at}: {found:?} is not {expected:?}");
    for (one, other) in numbers(found).into_iter().zip(numbers(expected)) {
        assert!((one - other).abs() <= TOLERANCE, "{at}: {found:?} is not {expected:?}");
    }
}

#[test]
fn the_difference_of_two_models_and_its_interval_are_those_of_numpy_and_scikit_learn() {
    let text = include_str!("../../../tests/reference/fixtures/paired.json");
    let cases: Vec<Case> = serde_json::from_str(text).unwrap();
    let (mut intervals, mut without, mut better) = (0, 0, 0);
    for (number, case) in cases.iter().enumerate() {
        let (types, authors) = (&case.types[..], &case.authors[..]);
        let first = Judged { axes: &case.first_axes, logits: &case.first, types, authors };
        let second = Judged { axes: &case.second_axes, logits: &case.second, types, authors };
        let (found, expected) = (compare_by(&first, &second, &case.resamples), &case.expected);
        assert_eq!(
            (found.texts, found.units, found.authors),
            (expected.texts, expected.units, expected.authors)
        );
        assert!(found.axes.keys().eq(expected.axes.keys()), "case {number}");
        for (axis, expected) in &expected.axes {
            compare(found.axes[axis], *expected, &format!("case {number}, {axis}"));
        }
        compare(found.mean, expected.mean, &format!("case {number}, mean"));
        intervals += found.axes.values().filter(|found| found.interval.is_some()).count();
        without += found.axes.values().filter(|found| found.interval.is_none()).count();
        better += usize::from(found.better().is_some());
    }
    // The cases must not have become empty ones.
    assert!(intervals >= 40 && without >= 3 && better >= 3, "{intervals} {without} {better}");
}

//! What is known of a run at its end, in columns.

use mbti::Axis;
use record::{Assessment, Estimate, Estimated, Level, Metric, Run};

use crate::{error::Result, print};

/// The metrics that are shown, each with its interval.
const SHOWN: [Metric; 7] = [
    Metric::Accuracy,
    Metric::BalancedAccuracy,
    Metric::MacroF1,
    Metric::Mcc,
    Metric::RocAuc,
    Metric::LogLoss,
    Metric::ExpectedCalibrationError,
];

pub fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

fn with_interval(value: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match interval {
        Some([low, high]) => format!("{} [{low:.3}, {high:.3}]", number(value)),
        None => number(value),
    }
}

fn estimated(found: &Estimated) -> String {
    with_interval(found.value, found.interval)
}

fn cell(level: &Level, axis: Axis, metric: Metric) -> String {
    level.axes.get(&axis).map_or_else(
        || "–".to_owned(),
        |found| with_interval(found.metrics.get(metric), found.intervals.get(&metric).copied()),
    )
}

/// Texts and authors, each with its level where there is one.
fn levels(assessment: &Assessment) -> impl Iterator<Item = (&'static str, &Level)> {
    let authors = assessment.by_author.as_ref().map(|level| ("authors", level));
    std::iter::once(("texts", &assessment.by_text)).chain(authors)
}

/// The majority line, the bag of words and the model, by text and by author.
pub fn assessment(run: &Run) -> Result<()> {
    let words = run.baseline.as_ref().map(|baseline| &baseline.assessment);
    let Some(found) = &run.assessment else {
        // A run that has not ended is judged by its evaluations; what it has to beat is known.
        let Some(words) = words else { return Ok(()) };
        print::line("\nThe bag of words on the same texts:")?;
        return print::metrics(words.by_text.axes.iter().map(|(axis, found)| (axis, &found.metrics)));
    };
    for (units, level) in levels(found) {
        let words =
            words.and_then(|words| levels(words).find(|(name, _)| *name == units)).map(|(_, level)| level);
        print::line(&format!("\nBy {} {units}, with 95 % intervals:", level.units))?;
        let mut rows = Vec::new();
        for (axis, of_axis) in &level.axes {
            for metric in SHOWN {
                let majority = match metric {
                    Metric::Accuracy => number(of_axis.metrics.majority_accuracy),
                    Metric::BalancedAccuracy | Metric::RocAuc => "0.500".to_owned(),
                    _ => "–".to_owned(),
                };
                rows.push(vec![
                    axis.name().to_owned(),
                    metric.name().to_owned(),
                    majority,
                    words.map_or_else(|| "–".to_owned(), |words| cell(words, *axis, metric)),
                    cell(level, *axis, metric),
                ]);
            }
        }
        let kinds = [
            ("exact match", None, words.map(|words| words.exact_match), level.exact_match),
            (
                "right letters",
                level.majority_right_letters,
                words.map(|w| w.right_letters),
                level.right_letters,
            ),
        ];
        for (name, majority, words, model) in kinds {
            let words = words.map_or_else(|| "–".to_owned(), |words| estimated(&words));
            rows.push(vec!["all".into(), name.into(), number(majority), words, estimated(&model)]);
        }
        print::table(&["axis", "metric", "majority", "words", &run.config.model], &rows)?;
    }
    for (axis, calibration) in &found.calibration {
        print::line(&format!(
            "{axis}: temperature {:.2}, on the other half log loss {} → {}, calibration error {} → {}",
            calibration.temperature,
            number(calibration.log_loss),
            number(calibration.calibrated_log_loss),
            number(calibration.expected_calibration_error),
            number(calibration.calibrated_expected_calibration_error),
        ))?;
    }
    Ok(())
}

/// The parts of an estimate.
pub fn estimate(found: &Estimate) -> Result<()> {
    let mib = |value: f64| format!("{value:.0} MiB");
    let seconds = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0} s"));
    let rows = [
        ("weights", mib(found.weights_mib)),
        ("gradients", mib(found.gradients_mib)),
        ("optimizer", mib(found.optimizer_mib)),
        ("activations", mib(found.activations_mib)),
        ("rest", mib(found.rest_mib)),
        ("peak", mib(found.peak_mib)),
        ("available", found.available_mib.map_or_else(|| "–".to_owned(), mib)),
        ("steps", found.total_steps.to_string()),
        ("tokens", found.tokens.to_string()),
        ("training", seconds(found.training_seconds)),
        ("evaluations", seconds(found.evaluation_seconds)),
    ];
    print::table(&["what", "needs"], &rows.map(|(name, value)| vec![name.to_owned(), value]))
}

/// Settings that differ, and metrics side by side.
pub fn compare(runs: &[Run]) -> Result<()> {
    let mut header = vec!["".to_owned()];
    header.extend(runs.iter().map(|run| format!("run {}", run.id)));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: String, cells: Vec<String>, always: bool| {
        if always || cells.windows(2).any(|pair| pair[0] != pair[1]) {
            rows.push(std::iter::once(name).chain(cells).collect());
        }
    };
    row("status".into(), runs.iter().map(|run| run.status.name().to_owned()).collect(), true);
    let configs: Vec<serde_json::Value> =
        runs.iter().map(|run| serde_json::to_value(&run.config)).collect::<std::result::Result<_, _>>()?;
    let names: std::collections::BTreeSet<&String> =
        configs.iter().filter_map(|config| config.as_object()).flat_map(|config| config.keys()).collect();
    for name in names {
        let text = |config: &serde_json::Value| match config.get(name) {
            None => "–".to_owned(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        row(name.clone(), configs.iter().map(text).collect(), false);
    }
    let level = |run: &Run, units: &str, words: bool| -> Option<Level> {
        let words_own = run.baseline.as_ref().map(|baseline| &baseline.assessment);
        let found = if words { words_own } else { run.assessment.as_ref() }?;
        levels(found).find(|(name, _)| *name == units).map(|(_, level)| level.clone())
    };
    for units in ["texts", "authors"] {
        for axis in Axis::ALL {
            let majority = |run: &Run| level(run, units, false)?.axes.get(&axis)?.metrics.majority_accuracy;
            let cells: Vec<Option<f64>> = runs.iter().map(majority).collect();
            if cells.iter().any(Option::is_some) {
                let cells = cells.into_iter().map(number).collect();
                row(format!("{axis} accuracy of the majority by {units}"), cells, true);
            }
            for metric in SHOWN {
                for (whose, words) in [("", false), (" of words", true)] {
                    let cells: Vec<Option<String>> = runs
                        .iter()
                        .map(|run| {
                            level(run, units, words)
                                .filter(|l| l.axes.contains_key(&axis))
                                .map(|l| cell(&l, axis, metric))
                        })
                        .collect();
                    if cells.iter().any(Option::is_some) {
                        let cells =
                            cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".to_owned())).collect();
                        row(format!("{axis} {}{whose} by {units}", metric.name()), cells, true);
                    }
                }
            }
        }
    }
    row(
        "training".into(),
        runs.iter().map(|run| run.train_seconds.map_or("–".into(), |s| format!("{s:.0} s"))).collect(),
        true,
    );
    row(
        "peak memory".into(),
        runs.iter().map(|run| run.peak_rss_mib.map_or("–".into(), |m| format!("{m:.0} MiB"))).collect(),
        true,
    );
    print::table(&header, &rows)
}

//! What is known of a run at its end, in columns.

use mbti::Axis;
use record::{
    Assessment, Calibration, Estimate, Estimated, Judgement, Level, Metric, RefusedTemperature, Run,
    WhyRefused, memory,
};

use crate::{
    error::Result,
    print::{self, number, or_dash},
};

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

fn with_interval(value: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match interval {
        Some([low, high]) => format!("{} [{low:.3}, {high:.3}]", number(value)),
        None => number(value),
    }
}

pub fn estimated(found: &Estimated) -> String {
    with_interval(found.value, found.interval)
}

fn cell(level: &Level, axis: Axis, metric: Metric) -> Option<String> {
    let found = level.axes.get(&axis)?;
    Some(with_interval(found.metrics.get(metric), found.intervals.get(&metric).copied()))
}

/// What an assessment judges.
const UNITS: [&str; 2] = ["texts", "authors"];

/// The level of one of [`UNITS`], where there is one.
fn level<'a>(assessment: &'a Assessment, units: &str) -> Option<&'a Level> {
    if units == "texts" { Some(&assessment.by_text) } else { assessment.by_author.as_ref() }
}

/// The majority line, the bag of words and the model, by text and by author.
pub fn assessment(run: &Run) -> Result<()> {
    let words = words(run);
    let Some(found) = own(run) else {
        // A run that has not ended is judged by its evaluations; what it has to beat is known.
        let Some(words) = words else { return Ok(()) };
        print::heading("The bag of words on the same texts:")?;
        return print::metrics(words.by_text.axes.iter().map(|(axis, found)| (axis, &found.metrics)));
    };
    for units in UNITS {
        let Some(judged) = level(found, units) else { continue };
        levels(units, judged, words.and_then(|words| level(words, units)), &run.config.model)?;
    }
    for (axis, calibration) in &found.calibration {
        print::line(&format!(
            "{axis}: temperature {}, on the other half log loss {} → {}, calibration error {} → {}",
            temperature(calibration),
            number(calibration.log_loss),
            number(calibration.calibrated_log_loss),
            number(calibration.expected_calibration_error),
            number(calibration.calibrated_expected_calibration_error),
        ))?;
    }
    sets(found)
}

/// The temperature that is applied; of one that is refused, what it was and why.
fn temperature(calibration: &Calibration) -> String {
    if let Some(RefusedTemperature { temperature, why }) = calibration.refused {
        let why = match why {
            WhyRefused::NothingTold => {
                "on the texts that it was fitted on the model tells the letters apart no better than chance"
            }
            WhyRefused::OutOfRange => "it is not between 0.1 and 10",
            WhyRefused::NoBetter => "it lowers the log loss by no more than the error of that",
        };
        return format!("1 (not the fitted {temperature:.2}: {why})");
    }
    let at_limit = match (calibration.at_limit, calibration.temperature > 1.0) {
        (false, _) => "",
        (true, true) => {
            " (at the upper limit: on the texts that it is fitted on, the probabilities are no better than even odds)"
        }
        (true, false) => {
            " (at the lower limit: on the texts that it is fitted on, the model was far too unsure, as where all are right)"
        }
    };
    format!("{:.2}{at_limit}", calibration.temperature)
}

/// What is promised of sets of answers, and what they were like on authors that they are not from.
fn sets(found: &Assessment) -> Result<()> {
    let Some(sets) = &found.sets else { return Ok(()) };
    let units = if found.by_author.is_some() { "authors" } else { "texts" };
    let promise = sets.coverage * 100.0;
    if sets.axes.is_empty() {
        return print::line(&format!(
            "No sets of answers with {promise:.0} % coverage: {} {units} to calibrate on are too few, {} are needed.",
            sets.calibration_units, sets.least_units
        ));
    }
    print::heading(&format!(
        "Sets of answers with {promise:.0} % coverage, calibrated on {} {units} and judged on {} others:",
        sets.calibration_units, sets.judged_units
    ))?;
    let of_axes = sets.axes.iter().map(|(axis, set)| (axis.name(), set));
    let rows: Vec<Vec<String>> = of_axes
        .chain(sets.types.iter().map(|set| ("type", set)))
        .map(|(name, set)| vec![name.to_owned(), estimated(&set.coverage), number(set.mean_size)])
        .collect();
    print::table(&["set of", "coverage", "mean size"], &rows)
}

/// What was judged by text or by author: the majority, the bag of words where it is known, and the model.
pub fn levels(units: &str, judged: &Level, words: Option<&Level>, model: &str) -> Result<()> {
    print::heading(&format!("By {} {units}, with 95 % intervals:", judged.units))?;
    let mut rows = Vec::new();
    for (axis, of_axis) in &judged.axes {
        for metric in SHOWN {
            let of_words = words.map(|words| or_dash(cell(words, *axis, metric)));
            let majority = number(of_axis.metrics.majority(metric));
            let mut row = vec![axis.name().to_owned(), metric.name().to_owned(), majority];
            row.extend(of_words);
            row.push(or_dash(cell(judged, *axis, metric)));
            rows.push(row);
        }
    }
    let kinds = [
        ("exact match", None, words.map(|words| words.exact_match), judged.exact_match),
        (
            "right letters",
            judged.majority_right_letters,
            words.map(|words| words.right_letters),
            judged.right_letters,
        ),
    ];
    for (name, majority, words, model) in kinds {
        let mut row = vec!["all".to_owned(), name.to_owned(), number(majority)];
        row.extend(words.map(|words| estimated(&words)));
        row.push(estimated(&model));
        rows.push(row);
    }
    // A run of the bag of words itself has nothing beside it.
    let mut header = vec!["axis", "metric", "majority"];
    header.extend(words.map(|_| "words"));
    header.push(model);
    print::table(&header, &rows)
}

/// The parts of an estimate.
pub fn estimate(found: &Estimate) -> Result<()> {
    let seconds = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.0} s")));
    let rows = [
        ("weights", memory(found.weights_mib)),
        ("gradients", memory(found.gradients_mib)),
        ("optimizer", memory(found.optimizer_mib)),
        ("activations", memory(found.activations_mib)),
        ("rest", memory(found.rest_mib)),
        ("peak", memory(found.peak_mib)),
        ("available", or_dash(found.available_mib.map(memory))),
        ("steps", found.total_steps.to_string()),
        ("tokens", found.tokens.to_string()),
        ("training", seconds(found.training_seconds)),
        ("evaluations", seconds(found.evaluation_seconds)),
        ("computed again", or_dash(found.checkpointing.map(|layers| layers.name().to_owned()))),
        ("passes of a step", pass(found)),
    ];
    print::table(&["what", "needs"], &rows.map(|(name, value)| vec![name.to_owned(), value]))
}

/// What of a step goes through the network at once.
fn pass(found: &Estimate) -> String {
    found
        .tokens_per_pass
        .map_or_else(|| "one batch at a time".to_owned(), |tokens| format!("up to {tokens} tokens at once"))
}

fn own(run: &Run) -> Option<&Assessment> {
    run.assessment.as_ref()
}

fn words(run: &Run) -> Option<&Assessment> {
    run.baseline.as_ref().map(|baseline| &baseline.assessment)
}

/// What a run is compared by; a cross-validation by what all its folds told together.
fn own_level<'a>(run: &'a Run, units: &str) -> Option<&'a Level> {
    let pooled = || judged_level(&run.cross_validation.as_ref()?.pooled.model, units);
    own(run).map_or_else(pooled, |found| level(found, units))
}

/// The same of the bag of words.
fn words_level<'a>(run: &'a Run, units: &str) -> Option<&'a Level> {
    let pooled = || judged_level(run.cross_validation.as_ref()?.pooled.words.as_ref()?, units);
    words(run).map_or_else(pooled, |found| level(found, units))
}

fn judged_level<'a>(judgement: &'a Judgement, units: &str) -> Option<&'a Level> {
    if units == "texts" { Some(&judgement.by_text) } else { judgement.by_author.as_ref() }
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
        let text = |config: &serde_json::Value| {
            or_dash(
                config.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            )
        };
        row(name.clone(), configs.iter().map(text).collect(), false);
    }
    let mut told = |name: String, cells: Vec<Option<String>>| {
        if cells.iter().any(Option::is_some) {
            row(name, cells.into_iter().map(or_dash).collect(), true);
        }
    };
    for units in UNITS {
        for axis in Axis::ALL {
            let majority = |run: &Run| {
                let value = own_level(run, units)?.axes.get(&axis)?.metrics.majority_accuracy;
                Some(number(Some(value?)))
            };
            told(format!("{axis} accuracy of the majority by {units}"), runs.iter().map(majority).collect());
            for metric in SHOWN {
                let by = |of: for<'a> fn(&'a Run, &str) -> Option<&'a Level>| {
                    runs.iter().map(|run| cell(of(run, units)?, axis, metric)).collect()
                };
                told(format!("{axis} {} by {units}", metric.name()), by(own_level));
                told(format!("{axis} {} of words by {units}", metric.name()), by(words_level));
            }
        }
    }
    row(
        "training".into(),
        runs.iter().map(|run| run.train_seconds.map_or("–".into(), |s| format!("{s:.0} s"))).collect(),
        true,
    );
    row("peak memory".into(), runs.iter().map(|run| or_dash(run.peak_rss_mib.map(memory))).collect(), true);
    print::table(&header, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_says_in_words_what_of_a_step_is_computed_at_once() {
        let mut found = Estimate {
            measured: true,
            weights_mib: 1.0,
            gradients_mib: 1.0,
            optimizer_mib: 1.0,
            activations_mib: 1.0,
            rest_mib: 1.0,
            peak_mib: 5.0,
            available_mib: None,
            total_steps: 9,
            tokens: 90,
            training_seconds: None,
            evaluation_seconds: None,
            checkpointing: None,
            tokens_per_pass: None,
        };
        assert_eq!(pass(&found), "one batch at a time");
        found.tokens_per_pass = Some(4096);
        assert_eq!(pass(&found), "up to 4096 tokens at once");
    }
}

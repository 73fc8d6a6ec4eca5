use std::{collections::BTreeMap, io::IsTerminal};

use record::{AnswerSets, AxisPrediction, Prediction, WhyRefused};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Context,
    args::PredictArgs,
    error::{Error, Result},
    input::{self, LONGEST_TEXT, Line},
    print,
};

pub fn run(context: &Context, args: &PredictArgs) -> Result<()> {
    let (run, folder) = context.runtime.block_on(app::runs::model_folder(&context.home, args.run))?;
    if args.lines {
        return answer_lines(&predict::load(&folder, run)?);
    }
    let text = if args.text.is_empty() { read_input()? } else { args.text.join(" ") };
    if text.trim().is_empty() {
        // Told before the model is loaded, which may take a while.
        return Err(predict::Error::EmptyText.into());
    }
    let prediction = predict::predict(&predict::load(&folder, run)?, &text)?;
    if context.json { print::json(&prediction) } else { print_prediction(&prediction) }
}

fn read_input() -> Result<String> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        print::note("Type a text and end it with Ctrl+D on a line of its own.");
    }
    let bytes = input::read_all(&mut input, LONGEST_TEXT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of standard input: a text as it is, or an object whose text may have line ends.
#[derive(Deserialize)]
struct Request {
    text: String,
}

/// Answers every line with one line, until the input ends. A text that cannot be judged gets
/// its problem as the answer, and the next line is read.
fn answer_lines(loaded: &predict::Loaded) -> Result<()> {
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        match input::read_line(&mut input, LONGEST_TEXT, &mut line)? {
            Line::End => return Ok(()),
            Line::TooLong => {
                print::json(&json!({ "problem": Error::LongText.problem() }))?;
                continue;
            }
            Line::Read => {}
        }
        let raw = String::from_utf8_lossy(&line);
        let text =
            serde_json::from_str::<Request>(&raw).map_or_else(|_| raw.into_owned(), |request| request.text);
        match predict::predict(loaded, &text) {
            Ok(prediction) => print::json(&prediction)?,
            Err(error) => print::json(&json!({ "problem": error.problem() }))?,
        }
    }
}

/// The probability of a letter, how far it can be trusted, and in words when it says nothing.
fn chance(found: &AxisPrediction) -> String {
    let AxisPrediction { probability, interval, unsure, .. } = *found;
    let interval = interval.map_or_else(String::new, |[low, high]| format!("  [{low:.2}, {high:.2}]"));
    let doubt = match (unsure, found.interval) {
        (true, _) => "  unsure: either letter may be right",
        // Of a model that was not calibrated the probability is all that is known.
        (false, None) if probability < 0.55 => "  (close to a coin toss)",
        (false, _) => "",
    };
    format!("{probability:.2}{interval}{doubt}")
}

/// What has to be known of the temperature of an axis, and why.
fn temperature(found: &AxisPrediction) -> Option<(&'static str, &'static str)> {
    match (found.refused, found.interval) {
        (Some(WhyRefused::NothingTold), _) => Some(("none", "letters told apart no better than by chance")),
        (Some(WhyRefused::OutOfRange), _) => Some(("none", "the fitted one is not between 0.1 and 10")),
        (Some(WhyRefused::NoBetter), _) => Some(("none", "the fitted one is no better than 1")),
        (None, None) => Some(("none", "nothing to fit it on")),
        (None, Some(_)) if found.limited => Some(("at its limit", "the best one lies beyond")),
        (None, Some(_)) => None,
    }
}

/// The same of all axes, on one line; nothing where each has a temperature that was fitted.
fn temperatures(prediction: &Prediction) -> Option<String> {
    let mut axes: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (axis, found) in &prediction.axes {
        if let Some(told) = temperature(found) {
            axes.entry(told).or_default().push(axis.name());
        }
    }
    let told: Vec<String> =
        axes.iter().map(|((what, why), axes)| format!("{what} on {} ({why})", axes.join(", "))).collect();
    (!told.is_empty()).then(|| format!("Temperature: {}", told.join("; ")))
}

/// The types that the promise holds for, or the letters where one axis was learned.
fn promised(sets: &AnswerSets) -> String {
    let coverage = format!("{:.0} % coverage", sets.coverage * 100.0);
    if sets.axes.is_empty() {
        let AnswerSets { calibration_units, least_units, .. } = sets;
        return format!(
            "Nothing is promised with {coverage}: {calibration_units} authors or texts to calibrate on are too few, \
             {least_units} are needed."
        );
    }
    let letters: Vec<String> = sets.axes.values().flatten().map(ToString::to_string).collect();
    let answers = if sets.types.is_empty() { &letters } else { &sets.types };
    format!("With {coverage}: {}", one_of(answers))
}

/// Alternatives as they are said.
fn one_of(answers: &[String]) -> String {
    match answers {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn print_prediction(prediction: &Prediction) -> Result<()> {
    print::line(&prediction.mbti)?;
    for (axis, found) in &prediction.axes {
        print::line(&format!("{axis}  {}  {}", found.letter, chance(found)))?;
    }
    if let Some(line) = temperatures(prediction) {
        print::line(&line)?;
    }
    if let Some(sets) = &prediction.sets {
        print::line(&promised(sets))?;
    }
    let cut = if prediction.truncated { ", the rest was not read" } else { "" };
    print::note(&format!(
        "Run {}, {}; {:.0} ms for {} tokens{cut}. MBTI is not a diagnosis, and no ground for decisions about people.",
        prediction.run, prediction.model, prediction.milliseconds, prediction.tokens
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mbti::Axis;

    #[test]
    fn doubt_is_told_in_words() {
        let [letter, _] = Axis::JudgingPerceiving.letters();
        let said = |probability, interval, unsure| {
            let (refused, limited) = (None, false);
            chance(&AxisPrediction { letter, probability, interval, unsure, refused, limited })
        };
        assert_eq!(
            said(0.6, Some([0.4, 0.8]), true),
            "0.60  [0.40, 0.80]  unsure: either letter may be right"
        );
        assert_eq!(said(0.8, Some([0.7, 0.9]), false), "0.80  [0.70, 0.90]");
        // A narrow interval just above one half is a small lead, and no doubt.
        assert_eq!(said(0.53, Some([0.51, 0.55]), false), "0.53  [0.51, 0.55]");
        assert_eq!(said(0.53, None, false), "0.53  (close to a coin toss)");
        assert_eq!(said(0.9, None, false), "0.90");
    }

    #[test]
    fn axes_without_a_fitted_temperature_are_named_with_the_reason_on_one_line() {
        let told = |axes: [(Axis, Option<WhyRefused>, bool); 3]| {
            let axis = |(axis, refused, limited): (Axis, _, _)| {
                let [letter, _] = axis.letters();
                let interval = Some([0.6, 0.9]);
                (axis, AxisPrediction { letter, probability: 0.8, interval, unsure: false, refused, limited })
            };
            Prediction {
                mbti: "E--J".into(),
                axes: axes.map(axis).into(),
                sets: None,
                model: "words".into(),
                run: 1,
                milliseconds: 1.0,
                tokens: 3,
                truncated: false,
            }
        };
        let [ei, ns, jp] = [Axis::ExtraversionIntroversion, Axis::IntuitionSensing, Axis::JudgingPerceiving];
        let nothing = Some(WhyRefused::NothingTold);
        let all_applied = told([(ei, None, false), (ns, None, false), (jp, None, false)]);
        assert_eq!(temperatures(&all_applied), None);
        let some = told([(ei, nothing, true), (ns, Some(WhyRefused::NoBetter), false), (jp, nothing, false)]);
        assert_eq!(
            temperatures(&some).as_deref(),
            Some(
                "Temperature: none on E-I, J-P (letters told apart no better than by chance); none on N-S (the \
                 fitted one is no better than 1)"
            )
        );
        let mut limited = told([(ei, None, true), (ns, None, false), (jp, None, false)]);
        if let Some(found) = limited.axes.get_mut(&jp) {
            found.interval = None;
        }
        let said = temperatures(&limited).unwrap_or_default();
        assert_eq!(
            said,
            "Temperature: at its limit on E-I (the best one lies beyond); none on J-P (nothing to fit it on)"
        );
    }

    #[test]
    fn a_promise_names_all_its_types_or_says_why_there_is_none() {
        let [first, second] = Axis::JudgingPerceiving.letters();
        let sets = AnswerSets {
            coverage: 0.9,
            calibration_units: 28,
            least_units: 11,
            axes: [(Axis::JudgingPerceiving, vec![second, first])].into(),
            types: ["INFJ", "INFP", "INTJ", "ISFJ"].map(str::to_owned).into(),
        };
        assert_eq!(promised(&sets), "With 90 % coverage: INFJ, INFP, INTJ or ISFJ");
        assert_eq!(promised(&AnswerSets { types: vec![], ..sets.clone() }), "With 90 % coverage: P or J");
        let none = AnswerSets { axes: [].into(), types: vec![], calibration_units: 6, ..sets };
        assert!(promised(&none).contains("6 authors or texts to calibrate on are too few, 11 are needed"));
    }
}

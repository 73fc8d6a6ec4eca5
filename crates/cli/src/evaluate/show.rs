//! What was found, for people to read.

use std::collections::BTreeMap;

use mbti::Axis;
use record::{
    Better, Comparison, DataSet, Estimated, JudgedTexts, Metric, Overlap, RunComparison, RunEvaluation,
};

use crate::{
    error::Result,
    print,
    report::{self, estimated},
};

/// What was found of a run on a data set.
pub fn evaluation(found: &RunEvaluation) -> Result<()> {
    let RunEvaluation { run, data, all, .. } = found;
    print::line(&format!("Run {run} on {data}: {}.", texts(all.texts)))?;
    for warning in warnings(found) {
        print::line(&warning)?;
    }
    let Some(unseen) = &found.unseen else { return judged(all, *run) };
    // What is remembered flatters: the texts that are new to the run come first.
    print::heading(&format!(
        "On {} that {} nothing with what the run learned from:",
        texts(unseen.texts),
        share(unseen.texts)
    ))?;
    judged(unseen, *run)?;
    print::heading(&format!("On all {}, with those that the run learned from:", texts(all.texts)))?;
    judged(all, *run)
}

fn these_texts(count: i64) -> String {
    if count == 1 { "this one text".to_owned() } else { format!("these {count} texts") }
}

/// A number of texts in words.
pub fn texts(count: i64) -> String {
    if count == 1 { "1 text".to_owned() } else { format!("{count} texts") }
}

fn share(count: i64) -> &'static str {
    if count == 1 { "shares" } else { "share" }
}

/// What has to be known before any figure is believed.
fn warnings(found: &RunEvaluation) -> Vec<String> {
    let mut warnings = Vec::new();
    if found.made_up {
        warnings.push("These texts are made up: what is found on them says nothing about people.".to_owned());
    }
    match &found.overlap {
        None => warnings.push(
            "What the run learned from is no longer there, so that nobody knows which of these texts it knew already."
                .to_owned(),
        ),
        Some(overlap) => warnings.extend(overlap_warnings(overlap, found)),
    }
    warnings
}

fn overlap_warnings(overlap: &Overlap, found: &RunEvaluation) -> Vec<String> {
    let mut warnings = Vec::new();
    let all = found.all.texts;
    if overlap.training_texts > 0 {
        warnings.push(format!(
            "BEWARE: the run learned from {} of {}. What it remembers of them is no measure of \
             what it can tell.",
            overlap.training_texts,
            these_texts(all)
        ));
    }
    let shared = [
        (overlap.exact_duplicates, "that the run learned from word by word"),
        (overlap.near_duplicates, "that it nearly learned from"),
        (overlap.texts_of_shared_authors, "by authors that it learned from"),
    ];
    let shared: Vec<String> = shared
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", texts(*count)))
        .collect();
    if !shared.is_empty() {
        // A copy of what was learned from says no more than the text itself.
        let word = if overlap.exact_duplicates > 0 { "BEWARE" } else { "Beware" };
        warnings.push(format!("{word}: among {} are {}.", texts(all), shared.join(", ")));
    }
    if overlap.validation_texts > 0 {
        warnings.push(format!(
            "The run was validated with {} of these texts: its best weights were chosen and its probabilities calibrated \
             by them.",
            overlap.validation_texts
        ));
    }
    if overlap.texts > 0 && found.unseen.is_none() {
        warnings.push("No text is left that shares nothing with what the run learned from.".to_owned());
    }
    if overlap.texts == 0 && overlap.validation_texts == 0 {
        warnings.push(
            "None of these texts shares a text or an author with what the run learned from.".to_owned(),
        );
    }
    warnings
}

/// Some texts that a run was judged on, beside the majority and the bag of words.
pub fn judged(judged: &JudgedTexts, run: i64) -> Result<()> {
    let (model, words) = (&judged.model, judged.words.as_ref());
    let mean = estimated(&model.mean_balanced_accuracy);
    let of_words = words.map_or_else(String::new, |words| {
        format!(", of the bag of words {}", estimated(&words.mean_balanced_accuracy))
    });
    print::line(&match model.mean_balanced_accuracy.value {
        Some(_) => format!("Mean balanced accuracy {mean}{of_words}{}.", only(&axes_of(judged))),
        None => "No mean balanced accuracy: on every axis these texts have only one letter.".to_owned(),
    })?;
    if let Some(beside) = &judged.beside_words {
        print::line(&verdict(beside, [&format!("run {run}"), "the bag of words"]))?;
    }
    let name = format!("run {run}");
    report::levels("texts", &model.by_text, words.map(|words| &words.by_text), &name)?;
    if let Some(by_author) = &model.by_author {
        report::levels("authors", by_author, words.and_then(|words| words.by_author.as_ref()), &name)?;
    }
    Ok(())
}

/// The axes that count in a mean: those of which the texts have both letters.
fn axes_of(judged: &JudgedTexts) -> Vec<Axis> {
    let axes = &judged.model.by_text.axes;
    let known = axes.iter().filter(|(_, found)| found.metrics.get(Metric::BalancedAccuracy).is_some());
    known.map(|(axis, _)| *axis).collect()
}

/// What a mean is of, where it is not of all axes: a mean over others is another figure.
fn only(axes: &[Axis]) -> String {
    if axes.is_empty() || axes.len() == Axis::ALL.len() {
        return String::new();
    }
    let names: Vec<&str> = axes.iter().map(|axis| axis.name()).collect();
    format!(" ({} only)", names.join(", "))
}

/// A difference of two shares in points, as the window has it: "3.1 points [0.4, 5.8]".
fn points(found: &Estimated) -> String {
    let Some(value) = found.value else { return print::or_dash(None) };
    let interval = found
        .interval
        .map_or_else(String::new, |[low, high]| format!(" [{:.1}, {:.1}]", 100.0 * low, 100.0 * high));
    format!("{:.1} points{interval}", 100.0 * value)
}

/// Which of two is better, and that only where the interval of the difference says so.
fn verdict(found: &Comparison, [first, second]: [&str; 2]) -> String {
    let what = match (found.authors, found.units) {
        (true, 1) => "this one author".to_owned(),
        (true, units) => format!("these {units} authors"),
        (false, 1) => "this one text".to_owned(),
        (false, units) => format!("these {units} texts"),
    };
    let Estimated { value, interval } = found.mean;
    let turned = |found: Estimated| Estimated {
        value: found.value.map(|value| -value),
        interval: found.interval.map(|[low, high]| [-high, -low]),
    };
    let higher = |better: &str, other: &str, by: Estimated| {
        format!(
            "{} is better than {other}: its mean balanced accuracy is higher by {} on {what}.",
            print::sentence(better),
            points(&by)
        )
    };
    match found.better() {
        Some(Better::First) => higher(first, second, found.mean),
        Some(Better::Second) => higher(second, first, turned(found.mean)),
        None if value.is_none() || interval.is_none() => {
            format!("No difference between {first} and {second} can be told from {what}.")
        }
        None => format!(
            "No difference between {first} and {second} can be told from {what}: the mean balanced accuracies differ by {}.",
            points(&found.mean)
        ),
    }
}

/// Why no text is left to compare two runs on.
pub fn nothing_left(compared: &RunComparison, knew_all: [bool; 2]) -> String {
    let RunComparison { first, second, data, left_out, .. } = compared;
    let all = |run: &i64| format!("run {run} learned from all {} of {data}", texts(*left_out));
    match knew_all {
        [true, _] => all(first),
        [_, true] => all(second),
        _ => format!("of the {} of {data} none is unknown to both runs", texts(*left_out)),
    }
}

/// Two runs beside each other.
pub fn comparison(compared: &RunComparison) -> Result<()> {
    let RunComparison { first, second, data, left_out, overlap_known, found } = compared;
    let names = [format!("run {first}"), format!("run {second}")];
    print::line(&format!("Runs {first} and {second} on {} of {data}.", texts(found.texts)))?;
    if *left_out > 0 {
        print::line(&if *left_out == 1 {
            "1 text is left out: one of the runs learned from it, from its like or from its author."
                .to_owned()
        } else {
            format!(
                "{left_out} texts are left out: one of the runs learned from them, from their like or from their \
                 authors."
            )
        })?;
    }
    if !overlap_known {
        print::line(
            "What one of the runs learned from is no longer there, so that nobody knows which of these texts it knew.",
        )?;
    }
    print::line(&verdict(found, [&names[0], &names[1]]))?;
    let axes: Vec<&str> = found.axes.keys().map(|axis| axis.name()).collect();
    if axes.len() < Axis::ALL.len() {
        let axes = if axes.is_empty() { "no axis".to_owned() } else { format!("{} only", axes.join(", ")) };
        print::line(&format!("Compared on {axes}: the other axes were not learned by both runs."))?;
    }
    let mut rows: Vec<Vec<String>> =
        found.axes.iter().map(|(axis, found)| vec![axis.name().to_owned(), points(found)]).collect();
    rows.push(vec!["mean".to_owned(), points(&found.mean)]);
    print::heading(&format!(
        "Balanced accuracy by text, run {first} less run {second}, with 95 % intervals over {}:",
        if found.authors { "authors" } else { "texts" }
    ))?;
    print::table(&["axis", "difference"], &rows)
}

/// What a table says of one run on one data set: on the texts that the run did not learn from, where there are any.
fn cell(found: &RunEvaluation) -> String {
    let judged = found.unseen.as_ref().unwrap_or(&found.all);
    let marks: String = marks(found).iter().map(|mark| format!(" {mark}")).collect();
    format!("{}{}{marks}", estimated(&judged.model.mean_balanced_accuracy), only(&axes_of(judged)))
}

/// What has to be known of a figure, by the signs of [`MARKS`].
fn marks(found: &RunEvaluation) -> Vec<&'static str> {
    let Some(overlap) = &found.overlap else { return vec!["?"] };
    let mut marks = Vec::new();
    if overlap.texts > 0 {
        marks.push(if found.unseen.is_none() { "!" } else { "*" });
    }
    if overlap.validation_texts > 0 {
        marks.push("+");
    }
    marks
}

const MARKS: [(&str, &str); 4] = [
    ("*", "without the texts that the run learned from, their like and their authors"),
    ("!", "the run learned from all of these texts, from their like or from their authors"),
    ("+", "the run was validated with texts of these, by which its best weights were chosen"),
    ("?", "what the run learned from is no longer there"),
];

fn explain(all: &[RunEvaluation]) -> Result<()> {
    for (mark, meaning) in MARKS {
        if all.iter().any(|found| marks(found).contains(&mark)) {
            print::line(&format!("{mark} {meaning}"))?;
        }
    }
    Ok(())
}

/// All that was found of a run.
pub fn list(run: i64, all: &[RunEvaluation]) -> Result<()> {
    if all.is_empty() {
        print::note(&format!("Run {run} was not evaluated yet: mbti evaluate {run} --data NAME"));
        return Ok(());
    }
    let row = |found: &RunEvaluation| {
        vec![found.data.clone(), found.all.texts.to_string(), cell(found), found.created_at.clone()]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    print::table(&["data", "texts", "mean balanced accuracy", "evaluated"], &rows)?;
    explain(all)
}

/// All runs and data sets: the newest run first.
pub fn table(all: &[RunEvaluation], data_sets: &[DataSet]) -> Result<()> {
    if all.is_empty() {
        print::note("No run was evaluated yet: mbti evaluate RUN --data NAME");
        return Ok(());
    }
    let columns = columns(all, data_sets);
    let mut runs: Vec<i64> = all.iter().map(|found| found.run).collect();
    runs.dedup();
    let of =
        |run: i64, column: &Column| all.iter().find(|found| found.run == run && column.has(found)).map(cell);
    let row = |&run: &i64| -> Vec<String> {
        let cells = columns.iter().map(|column| print::or_dash(of(run, column)));
        std::iter::once(run.to_string()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    let header: Vec<&str> =
        std::iter::once("run").chain(columns.iter().map(|column| &column.title[..])).collect();
    print::line("Mean balanced accuracy by text, with 95 % intervals:")?;
    print::table(&header, &rows)?;
    explain(all)?;
    if columns.iter().any(|column| column.gone) {
        print::line("gone: the data set was removed, or another has its name")?;
    }
    Ok(())
}

/// The same texts under the same name: a data set that was made anew under an old name is another one.
struct Column<'a> {
    data: &'a str,
    texts: &'a str,
    title: String,
    gone: bool,
}

impl Column<'_> {
    fn has(&self, found: &RunEvaluation) -> bool {
        found.data == self.data && found.texts == self.texts
    }
}

fn columns<'a>(all: &'a [RunEvaluation], data_sets: &[DataSet]) -> Vec<Column<'a>> {
    let mut keys: BTreeMap<(&str, &str), (i64, &str)> = BTreeMap::new();
    for found in all {
        let (_, newest) = keys.entry((&found.data, &found.texts)).or_insert((found.all.texts, ""));
        *newest = (*newest).max(&found.created_at);
    }
    let named = |name: &str| keys.keys().filter(|(data, _)| *data == name).count();
    let column = |(&(data, hash), &(count, newest)): (&(&'a str, &'a str), &(i64, &'a str))| {
        let gone = !data_sets.iter().any(|one| one.is(Some(hash), data, newest));
        let count = (named(data) > 1).then(|| texts(count));
        let told: Vec<String> = count.into_iter().chain(gone.then(|| "gone".to_owned())).collect();
        let title = if told.is_empty() { data.to_owned() } else { format!("{data} ({})", told.join(", ")) };
        Column { data, texts: hash, title, gone }
    };
    keys.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(units: u32, authors: bool, value: f64, interval: Option<[f64; 2]>) -> String {
        let mean = Estimated { value: Some(value), interval };
        let found = Comparison { texts: 90, units, authors, axes: BTreeMap::new(), mean };
        verdict(&found, ["run 1", "run 2"])
    }

    #[test]
    fn better_is_said_only_where_the_interval_excludes_no_difference() {
        assert_eq!(
            compared(57, true, 0.05, Some([0.01, 0.09])),
            "Run 1 is better than run 2: its mean balanced accuracy is higher by 5.0 points [1.0, 9.0] on these 57 authors."
        );
        assert_eq!(
            compared(57, true, -0.05, Some([-0.09, -0.01])),
            "Run 2 is better than run 1: its mean balanced accuracy is higher by 5.0 points [1.0, 9.0] on these 57 authors."
        );
        assert_eq!(
            compared(412, false, 0.05, Some([-0.01, 0.09])),
            "No difference between run 1 and run 2 can be told from these 412 texts: the mean balanced accuracies differ \
             by 5.0 points [-1.0, 9.0]."
        );
        assert_eq!(
            compared(1, true, 0.05, None),
            "No difference between run 1 and run 2 can be told from this one author."
        );
    }
}

//! What was found, for people to read.

use record::{Better, Comparison, Estimated, JudgedTexts, Overlap, RunComparison, RunEvaluation};

use crate::{
    error::Result,
    print,
    report::{self, estimated},
};

/// What was found of a run on a data set.
pub fn evaluation(found: &RunEvaluation) -> Result<()> {
    let RunEvaluation { run, data, all, .. } = found;
    print::line(&format!("Run {run} on {data}: {} texts.", all.texts))?;
    for warning in warnings(found) {
        print::line(&warning)?;
    }
    judged(all, *run)?;
    if let Some(unseen) = &found.unseen {
        let left = unseen.texts;
        print::heading(&format!(
            "Without those, the {left} texts that share nothing with what the run learned from:"
        ))?;
        judged(unseen, *run)?;
    }
    Ok(())
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
            "BEWARE: the run learned from {} of these {all} texts themselves. What it remembers of them is no measure of \
             what it can tell.",
            overlap.training_texts
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
        .map(|(count, what)| format!("{count} texts {what}"))
        .collect();
    if !shared.is_empty() {
        // A copy of what was learned from says no more than the text itself.
        let word = if overlap.exact_duplicates > 0 { "BEWARE" } else { "Beware" };
        warnings.push(format!("{word}: among these {all} texts are {}.", shared.join(", ")));
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
    if overlap.texts == 0 {
        warnings.push(
            "None of these texts shares a text or an author with what the run learned from.".to_owned(),
        );
    }
    warnings
}

fn judged(judged: &JudgedTexts, run: i64) -> Result<()> {
    let (model, words) = (&judged.model, judged.words.as_ref());
    let mean = estimated(&model.mean_balanced_accuracy);
    let of_words = words.map_or_else(String::new, |words| {
        format!(", of the bag of words {}", estimated(&words.mean_balanced_accuracy))
    });
    print::line(&format!("Mean balanced accuracy {mean}{of_words}."))?;
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
            estimated(&by)
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
            estimated(&found.mean)
        ),
    }
}

/// Two runs beside each other.
pub fn comparison(compared: &RunComparison) -> Result<()> {
    let RunComparison { first, second, data, left_out, overlap_known, found } = compared;
    let names = [format!("run {first}"), format!("run {second}")];
    print::line(&format!("Runs {first} and {second} on {} texts of {data}.", found.texts))?;
    if *left_out > 0 {
        print::line(&format!(
            "{left_out} texts are left out: one of the runs learned from them, from their like or from their authors."
        ))?;
    }
    if !overlap_known {
        print::line(
            "What one of the runs learned from is no longer there, so that nobody knows which of these texts it knew.",
        )?;
    }
    print::line(&verdict(found, [&names[0], &names[1]]))?;
    let mut rows: Vec<Vec<String>> =
        found.axes.iter().map(|(axis, found)| vec![axis.name().to_owned(), estimated(found)]).collect();
    rows.push(vec!["mean".to_owned(), estimated(&found.mean)]);
    print::heading(&format!(
        "Balanced accuracy by text, run {first} less run {second}, with 95 % intervals over {}:",
        if found.authors { "authors" } else { "texts" }
    ))?;
    print::table(&["axis", "difference"], &rows)
}

/// What a table says of one run on one data set: on the texts that the run did not learn from, where there are any.
fn cell(found: &RunEvaluation) -> String {
    let judged = found.unseen.as_ref().unwrap_or(&found.all);
    let mark = match &found.overlap {
        None => " ?",
        Some(overlap) if overlap.texts > 0 && found.unseen.is_none() => " !",
        Some(overlap) if overlap.texts > 0 => " *",
        Some(_) => "",
    };
    format!("{}{mark}", estimated(&judged.model.mean_balanced_accuracy))
}

const MARKS: [(&str, &str); 3] = [
    (" *", "* without the texts that the run learned from, their like and their authors"),
    (" !", "! the run learned from all of these texts, from their like or from their authors"),
    (" ?", "? what the run learned from is no longer there"),
];

fn explain(cells: &[String]) -> Result<()> {
    for (mark, meaning) in MARKS {
        if cells.iter().any(|cell| cell.ends_with(mark)) {
            print::line(meaning)?;
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
    let cells: Vec<String> = all.iter().map(cell).collect();
    let row = |(found, cell): (&RunEvaluation, &String)| {
        vec![found.data.clone(), found.all.texts.to_string(), cell.clone(), found.created_at.clone()]
    };
    let rows: Vec<Vec<String>> = all.iter().zip(&cells).map(row).collect();
    print::table(&["data", "texts", "mean balanced accuracy", "evaluated"], &rows)?;
    explain(&cells)
}

/// All runs and data sets: the newest run first.
pub fn table(all: &[RunEvaluation]) -> Result<()> {
    if all.is_empty() {
        print::note("No run was evaluated yet: mbti evaluate RUN --data NAME");
        return Ok(());
    }
    let data: std::collections::BTreeSet<&str> = all.iter().map(|found| found.data.as_str()).collect();
    let mut runs: Vec<i64> = all.iter().map(|found| found.run).collect();
    runs.dedup();
    let of = |run: i64, data: &str| all.iter().find(|found| found.run == run && found.data == data).map(cell);
    let row = |&run: &i64| -> Vec<String> {
        let cells = data.iter().map(|data| print::or_dash(of(run, data)));
        std::iter::once(run.to_string()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    let header: Vec<&str> = std::iter::once("run").chain(data.iter().copied()).collect();
    print::line("Mean balanced accuracy by text, with 95 % intervals:")?;
    print::table(&header, &rows)?;
    explain(&rows.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn compared(units: u32, authors: bool, value: f64, interval: Option<[f64; 2]>) -> String {
        let mean = Estimated { value: Some(value), interval };
        let found = Comparison { texts: 90, units, authors, axes: BTreeMap::new(), mean };
        verdict(&found, ["run 1", "run 2"])
    }

    #[test]
    fn better_is_said_only_where_the_interval_excludes_no_difference() {
        assert_eq!(
            compared(57, true, 0.05, Some([0.01, 0.09])),
            "Run 1 is better than run 2: its mean balanced accuracy is higher by 0.050 [0.010, 0.090] on these 57 authors."
        );
        assert_eq!(
            compared(57, true, -0.05, Some([-0.09, -0.01])),
            "Run 2 is better than run 1: its mean balanced accuracy is higher by 0.050 [0.010, 0.090] on these 57 authors."
        );
        assert_eq!(
            compared(412, false, 0.05, Some([-0.01, 0.09])),
            "No difference between run 1 and run 2 can be told from these 412 texts: the mean balanced accuracies differ \
             by 0.050 [-0.010, 0.090]."
        );
        assert_eq!(
            compared(1, true, 0.05, None),
            "No difference between run 1 and run 2 can be told from this one author."
        );
    }
}

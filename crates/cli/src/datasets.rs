use record::{DataSet, ImportReport, SkipReason};

use crate::{Context, args::Datasets, error::Result, print};

pub fn run(context: &Context, command: Datasets) -> Result<()> {
    let Context { home, json, runtime } = context;
    match command {
        Datasets::Import { path, sample, name } => {
            let report = runtime.block_on(async {
                match path {
                    Some(path) if !sample => app::data_sets::import(home, &path, name.as_deref()).await,
                    _ => app::data_sets::import_sample(home).await,
                }
            })?;
            if *json { print::json(&report) } else { print_report(&report) }
        }
        Datasets::List => {
            let all = runtime.block_on(app::data_sets::list(home))?;
            if *json { print::json(&all) } else { print_list(&all) }
        }
        Datasets::Show { name } => {
            let detail = runtime.block_on(app::data_sets::show(home, &name))?;
            if *json {
                return print::json(&detail);
            }
            print_list(std::slice::from_ref(&detail.data_set))?;
            print::line(&format!("source: {}", detail.data_set.source))?;
            for (axis, [first, second]) in &detail.axes {
                let [a, b] = axis.letters();
                print::line(&format!("{axis}: {a} {first}, {b} {second}"))?;
            }
            let [p10, p50, p90] = detail.length_percentiles;
            print::line(&format!("characters in a text: 10 % have at most {p10}, half {p50}, 90 % {p90}"))?;
            for sample in detail.samples {
                print::line(&format!("{}  {}", sample.mbti, shorten(&sample.text, 100)))?;
            }
            Ok(())
        }
        Datasets::Remove { name } => {
            runtime.block_on(app::data_sets::remove(home, &name))?;
            print::note(&format!("Removed {name}."));
            Ok(())
        }
    }
}

fn print_list(all: &[DataSet]) -> Result<()> {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|data_set| {
            let authors = data_set.authors.map_or_else(|| "–".to_owned(), |authors| authors.to_string());
            let note = if data_set.made_up { "made up" } else { "" };
            vec![
                data_set.name.clone(),
                data_set.examples.to_string(),
                authors,
                data_set.skipped.to_string(),
                data_set.types.len().to_string(),
                note.to_owned(),
            ]
        })
        .collect();
    print::table(&["name", "texts", "authors", "skipped", "types", ""], &rows)
}

fn print_report(report: &ImportReport) -> Result<()> {
    let data_set = &report.data_set;
    let authors = data_set.authors.map_or_else(String::new, |authors| format!(" by {authors} authors"));
    print::line(&format!(
        "{}: {} texts{authors}, from {} rows.",
        data_set.name, data_set.examples, report.rows
    ))?;
    if data_set.made_up {
        print::line(
            "These texts are made up: they show how the program works, and say nothing about people.",
        )?;
    }
    for (reason, count) in &report.skipped_by_reason {
        print::line(&format!("Skipped {count}: {}.", describe(*reason)))?;
    }
    for row in report.skipped.iter().take(10) {
        let found =
            if row.found.trim().is_empty() { String::new() } else { format!(" ({})", row.found.trim()) };
        print::line(&format!("  line {}: {}{found}", row.line, describe(row.reason)))?;
    }
    if report.skipped.len() > 10 {
        print::line("  … and more; --json lists the first 100.")?;
    }
    Ok(())
}

fn describe(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::EmptyText => "the text is empty",
        SkipReason::UnknownType => "the type is not one of the 16",
        SkipReason::NoType => "the type is missing",
        SkipReason::UnknownLetter => "an axis has none of its two letters",
        SkipReason::TypeAndAxisDiffer => "the type and an axis contradict each other",
        SkipReason::WrongNumberOfCells => "the row has another number of cells than the header",
        SkipReason::NotUtf8 => "the text is not UTF-8",
    }
}

fn shorten(text: &str, length: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= length { line } else { line.chars().take(length).chain(['…']).collect() }
}

use std::path::Path;

use app::{ImportOptions, ImportProgress, Reading, data_sets::Parting, downloads::HubData};
use record::{
    CleaningStep, DataSet, DataSetLook, ExportFormat, ImportPreview, ImportReport, SkipReason, SourceFormat,
};

use crate::{
    Context,
    args::{Datasets, HubDataArgs, SplitArgs, is_part},
    error::{Result, named_by},
    hub_command, leaks, print, transfer,
    work_bar::Bar,
};

pub fn run(context: &Context, command: Datasets) -> Result<()> {
    let Context { home, json, runtime } = context;
    match command {
        Datasets::Import { path: Some(path), encoding, delimiter, preview: true, .. } => {
            let found = app::data_sets::preview(&path, Reading { encoding, delimiter })?;
            if *json { print::json(&found) } else { print_preview(&found) }
        }
        Datasets::Search { words } => {
            hub_command::search(context, record::RepoKind::Dataset, &words.join(" "))
        }
        Datasets::Import { path, sample, name, map, encoding, delimiter, hub, .. } => {
            let options = ImportOptions { mapping: map, reading: Reading { encoding, delimiter } };
            let report = match path {
                Some(path) if app::downloads::is_repo(&path) => {
                    let HubDataArgs { split, subset, revision, plan } = hub;
                    let repo = path.to_string_lossy().into_owned();
                    let wanted = HubData { repo, revision, config: subset, split };
                    if plan {
                        let plan = runtime.block_on(app::downloads::plan_data_set(home, &wanted))?;
                        return if *json { print::json(&plan) } else { transfer::print_plan(&plan) };
                    }
                    import_from_hub(context, &wanted, name.as_deref(), &options)
                }
                Some(path) if !sample => import(context, &path, name.as_deref(), &options),
                _ => Ok(runtime.block_on(app::data_sets::import_sample(home))?),
            };
            let report = report.map_err(named_by("--name"))?;
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
            if let Some([p10, p50, p90, most]) = detail.texts_an_author {
                print::line(&format!("texts an author: {p10}, {p50}, {p90}, and at most {most}"))?;
            }
            if detail.authors_of_several_types > 0 {
                print::line(&format!(
                    "authors with texts of several types: {}",
                    detail.authors_of_several_types
                ))?;
            }
            print_look(&detail.look)?;
            for sample in detail.samples {
                print::line(&format!("{}  {}", sample.mbti, shorten(&sample.text, 100)))?;
            }
            Ok(())
        }
        Datasets::Clean { name, to, cleaning } => {
            let (bar, cleaning) = (Bar::texts(context), cleaning.cleaning());
            let made =
                app::data_sets::clean(home, &name, &to, &cleaning, |done, total| bar.tell(done, total));
            let report = runtime.block_on(made);
            bar.end();
            let report = report.map_err(named_by("--to"))?;
            if *json { print::json(&report) } else { print_report(&report) }
        }
        Datasets::Sample { name, to, fraction, seed } => {
            is_part("fraction", fraction)?;
            let report = runtime.block_on(app::data_sets::sample(home, &name, &to, fraction, seed));
            let report = report.map_err(named_by("--to"))?;
            if *json { print::json(&report) } else { print_report(&report) }
        }
        Datasets::Split { name, to, split, test, folds } => {
            is_part("valid", split.valid)?;
            if test != 0.0 {
                is_part("test", test)?;
                is_part("valid and --test together:", split.valid + test)?;
            }
            let SplitArgs { valid: valid_fraction, by, seed } = split;
            let parting = Parting { by, valid_fraction, test_fraction: test, folds, seed };
            let to = to.as_deref().unwrap_or(&name);
            let reports = runtime.block_on(app::data_sets::part(home, &name, to, parting));
            let reports = reports.map_err(named_by("--to"))?;
            if *json {
                return print::json(&reports);
            }
            print_list(&reports.into_iter().map(|report| report.data_set).collect::<Vec<_>>())
        }
        Datasets::Leaks { name, with, split, quick } => leaks::run(context, &name, with, &split, quick),
        Datasets::Export { name, path, format, safe_cells } => {
            let bar = Bar::texts(context);
            let by_name = match path.extension().and_then(|ending| ending.to_str()) {
                Some("jsonl" | "ndjson" | "json") => ExportFormat::Jsonl,
                Some("parquet") => ExportFormat::Parquet,
                _ => ExportFormat::Csv,
            };
            let total = runtime.block_on(home.store.data_set(&name))?.examples as usize;
            let format = format.unwrap_or(by_name);
            let progress = |done, total| bar.tell(done, total);
            let done =
                runtime.block_on(app::data_sets::export(home, &name, &path, format, safe_cells, progress));
            bar.end();
            done?;
            print::note(&format!("Wrote {total} texts to {}.", path.display()));
            Ok(())
        }
        Datasets::Remove { name } => {
            runtime.block_on(app::data_sets::remove(home, &name))?;
            print::note(&format!("Removed {name}."));
            Ok(())
        }
    }
}

/// Imports with a bar that shows how far it is; Ctrl+C ends it, and nothing is left of it.
fn import(
    context: &Context,
    path: &Path,
    name: Option<&str>,
    options: &ImportOptions,
) -> Result<ImportReport> {
    imported(context, |progress| app::data_sets::import(&context.home, path, name, options, progress))
}

/// Shows how far an import is.
fn imported<'a, W>(
    context: &Context,
    import: impl FnOnce(Box<dyn FnMut(ImportProgress) -> bool + 'a>) -> W,
) -> Result<ImportReport>
where
    W: Future<Output = std::result::Result<ImportReport, app::Error>>,
{
    let bar =
        std::rc::Rc::new(Bar::new(context, "{bar:30} {bytes} of {total_bytes}, {msg} texts, {eta} left"));
    let told = bar.clone();
    let progress = move |progress: ImportProgress| {
        print::message(&told.bar, &progress.examples.to_string());
        told.tell(progress.bytes as usize, progress.total_bytes as usize)
    };
    let report = context.runtime.block_on(import(Box::new(progress)));
    bar.end();
    Ok(report?)
}

/// Fetches a data set of the Hub and takes it in.
fn import_from_hub(
    context: &Context,
    wanted: &HubData,
    name: Option<&str>,
    options: &ImportOptions,
) -> Result<ImportReport> {
    let Context { home, runtime, .. } = context;
    // A name that is taken is told before gigabytes are fetched.
    runtime.block_on(app::downloads::name_is_free(home, wanted, name))?;
    let fetched = transfer::follow(context, |moved| async move {
        app::downloads::fetch_data_set(home, wanted, &moved, transfer::announce).await
    })?;
    imported(context, |progress| app::downloads::import(home, wanted, &fetched, name, options, progress))
}

fn print_preview(preview: &ImportPreview) -> Result<()> {
    let format = match preview.format {
        SourceFormat::Delimited => "a table of text",
        SourceFormat::JsonLines => "JSON Lines",
        SourceFormat::Parquet => "Parquet",
    };
    let between = match preview.delimiter.as_deref() {
        None => String::new(),
        Some("\t") => ", tabs between cells".to_owned(),
        Some(delimiter) => format!(", \"{delimiter}\" between cells"),
    };
    let files = if preview.files == 1 {
        String::new()
    } else {
        format!("{} files, the first of which is ", preview.files)
    };
    print::line(&format!("{files}{format} in {}{between}.", preview.encoding))?;
    match &preview.mapping {
        Some(mapping) => {
            print::line(&format!("text: {}", mapping.text))?;
            for (name, column) in [("author", &mapping.author), ("type", &mapping.mbti)] {
                print::line(&format!("{name}: {}", column.as_deref().unwrap_or("–")))?;
            }
            for (axis, column) in &mapping.axes {
                print::line(&format!("{axis}: {}", column.column))?;
            }
        }
        None => print::line("Which column is what cannot be guessed: say it by --map.")?,
    }
    let header: Vec<&str> = preview.columns.iter().map(String::as_str).collect();
    let cell =
        |row: &Vec<String>, column: usize| row.get(column).map_or_else(String::new, |cell| shorten(cell, 40));
    let rows = preview.rows.iter().map(|row| (0..header.len()).map(|column| cell(row, column)).collect());
    print::table(&header, &rows.collect::<Vec<Vec<String>>>())
}

fn print_look(look: &DataSetLook) -> Result<()> {
    let language =
        |code: &str| if code.is_empty() { "too short to tell".to_owned() } else { code.to_owned() };
    let languages: Vec<String> =
        look.languages.iter().map(|(code, texts)| format!("{} {texts}", language(code))).collect();
    print::line(&format!("of {} texts: {}", look.texts, languages.join(", ")))?;
    print::line(&format!(
        "  with type words {}, naming their author's own type {}",
        look.type_words, look.own_type_named
    ))?;
    for (axis, words) in &look.telling_words {
        for (letter, words) in axis.letters().iter().zip(words) {
            let words: Vec<String> =
                words.iter().take(8).map(|word| format!("{} {:.1}", word.word, word.z)).collect();
            print::line(&format!("  {letter}: {}", words.join(", ")))?;
        }
    }
    Ok(())
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
    if let Some(cleaning) = &report.cleaning {
        for count in &cleaning.steps {
            print::line(&format!(
                "{}: {} changed, {} left out",
                step_name(count.step),
                count.changed,
                count.dropped
            ))?;
            for example in count.examples.iter().take(2) {
                let after = example
                    .after
                    .as_deref()
                    .map_or_else(|| "left out".to_owned(), |after| shorten(after, 90));
                print::line(&format!("  {}", shorten(&example.before, 90)))?;
                print::line(&format!("  → {after}"))?;
            }
        }
    }
    if report.skipped.len() > 10 {
        print::line("  … and more; --json lists the first 100.")?;
    }
    Ok(())
}

fn step_name(step: CleaningStep) -> &'static str {
    match step {
        CleaningStep::AuthorsOfSeveralTypes => "authors of several types",
        CleaningStep::Invisible => "invisible characters",
        CleaningStep::Urls => "addresses",
        CleaningStep::RedditLinks => "links of Reddit",
        CleaningStep::TypeWords => "type words",
        CleaningStep::Languages => "languages",
        CleaningStep::ExactDuplicates => "exact duplicates",
        CleaningStep::NearDuplicates => "near duplicates",
        CleaningStep::Cut => "cut",
        CleaningStep::Join => "joined",
        CleaningStep::Shortest => "too short",
        CleaningStep::Longest => "too long",
    }
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
        SkipReason::NotJson => "the line is no object in JSON",
    }
}

fn shorten(text: &str, length: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= length { line } else { line.chars().take(length).chain(['…']).collect() }
}

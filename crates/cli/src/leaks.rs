use data::{Example, Part, Table, type_words};
use record::{Leaks, SplitBy, TrainConfig};
use train::{Inputs, Wish};

use crate::{
    Context,
    args::{SplitArgs, is_part},
    error::Result,
    models, print,
    work_bar::Bar,
};

/// Texts that the bag of words learns type words from and is judged on; more would say the same.
const LEARNED: usize = 50_000;
const JUDGED: usize = 20_000;

/// `mbti datasets leaks`
pub fn run(
    context: &Context,
    name: &str,
    with: Option<String>,
    split: &SplitArgs,
    quick: bool,
) -> Result<()> {
    if with.is_none() {
        is_part("valid", split.valid)?;
    }
    let (home, runtime) = (&context.home, &context.runtime);
    let table = runtime.block_on(app::data_sets::open(home, name))?.0;
    let valid = with.map(|with| runtime.block_on(app::data_sets::open(home, &with))).transpose()?;
    let valid = valid.map(|(valid, _)| valid);
    let found = match &valid {
        Some(valid) => data::split_given(&table.labels, &valid.labels, split.seed)?,
        None => data::split(&table.labels, split.valid, split.by, split.seed)?,
    };
    let train = Part { table: &table, rows: &found.train };
    let valid = Part { table: valid.as_ref().unwrap_or(&table), rows: &found.valid };
    let bar = Bar::texts(context);
    let total = train.len() + valid.len();
    let leaks = data::leaks(found.summary.clone(), train, valid, |done| bar.tell(done, total))?;
    let Some(mut leaks) = leaks else { return Err(data::Error::Stopped.into()) };
    if !quick && leaks.type_words > 0 {
        leaks.type_words_alone = type_words_alone(context, train, valid, &bar)?;
    }
    bar.end();
    if context.json { print::json(&leaks) } else { print_leaks(&leaks, split.by) }
}

/// What the bag of words makes of type words alone: its balanced accuracy on each axis.
fn type_words_alone(
    context: &Context,
    train: Part,
    valid: Part,
    bar: &Bar,
) -> Result<Option<std::collections::BTreeMap<mbti::Axis, f64>>> {
    let Some(words) = models::built_in_words(context)? else { return Ok(None) };
    let (train, valid) = (type_words_of(train, LEARNED)?, type_words_of(valid, JUDGED)?);
    let (train_rows, valid_rows) = (train.rows(), valid.rows());
    let config = TrainConfig { axes: mbti::Axis::ALL.to_vec(), ..TrainConfig::default() };
    let inputs = Inputs {
        run: 0,
        config: &config,
        model_folder: &words,
        run_folder: &words,
        words_folder: None,
        train: Part { table: &train, rows: &train_rows },
        valid: Part { table: &valid, rows: &valid_rows },
        made_up: false,
        resume: None,
    };
    let found = train::words_alone(&inputs, &words, &mut |progress| {
        let goes_on = match progress {
            train::Progress::Baseline { done, total } => bar.tell(done as usize, total as usize),
            _ => true,
        };
        Ok(if goes_on { Wish::GoOn } else { Wish::StopNow })
    });
    match found {
        Ok(Some(found)) => {
            let axes = found.assessment.by_text.axes.into_iter();
            Ok(Some(
                axes.filter_map(|(axis, found)| Some((axis, found.metrics.balanced_accuracy?))).collect(),
            ))
        }
        Ok(None) => Err(data::Error::Stopped.into()),
        // Too few texts for one letter of an axis say nothing about type words.
        Err(train::Error::OneClassOnly { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The type words of some texts, evenly from all over the part, and nothing else of them.
fn type_words_of(part: Part, most: usize) -> Result<Table> {
    let stride = part.len().div_ceil(most).max(1);
    let rows: Vec<u32> = part.rows.iter().copied().step_by(stride).collect();
    let mut examples = Vec::with_capacity(rows.len());
    part.table.each(&rows, |_, example| {
        let found = type_words::only(&example.text);
        // A text has to have some word.
        let text = if found.is_empty() { "none".to_owned() } else { found };
        examples.push(Example { text, ..example });
        Ok(true)
    })?;
    Ok(Table::of(examples))
}

fn print_leaks(leaks: &Leaks, by: SplitBy) -> Result<()> {
    let valid = leaks.split.valid_examples;
    let percent = |count: i64| format!("{count} ({:.1} %)", 100.0 * count as f64 / valid.max(1) as f64);
    print::line(&format!(
        "{:.1} % of {valid} validation texts can be known without having learned anything about types.",
        100.0 * leaks.share()
    ))?;
    for (what, count) in [
        ("by authors who are learned from too", leaks.texts_of_shared_authors),
        ("learned from word by word", leaks.exact_duplicates),
        ("nearly learned from", leaks.near_duplicates),
        ("that name their author's own type", leaks.own_type_named),
        ("with any type word", leaks.type_words),
    ] {
        print::line(&format!("  {what}: {}", percent(count)))?;
    }
    if let Some(alone) = &leaks.type_words_alone {
        let alone: Vec<String> = alone.iter().map(|(axis, value)| format!("{axis} {value:.3}")).collect();
        print::line(&format!(
            "  balanced accuracy of the bag of words on type words alone: {}",
            alone.join(", ")
        ))?;
    }
    let mut advice = Vec::new();
    if leaks.texts_of_shared_authors > 0 {
        advice.push(match by {
            SplitBy::Text => "split by author (--by author, split_by=author)",
            SplitBy::Author => "validate with texts of other authors",
        });
    }
    if leaks.exact_duplicates + leaks.near_duplicates > 0 {
        advice
            .push("leave out duplicates (mbti datasets clean --exact-duplicates all --near-duplicates all)");
    }
    if leaks.type_words > 0 {
        advice.push("mask type words (mbti datasets clean --type-words mask)");
    }
    if !advice.is_empty() {
        print::line(&format!("What to do: {}.", advice.join("; ")))?;
    }
    Ok(())
}

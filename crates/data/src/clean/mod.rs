//! Changing and leaving out texts, each step a choice, each counted and shown by examples.

mod patterns;
mod report;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use rayon::prelude::*;
use record::{Cleaning, CleaningReport, CleaningStep as Step, DuplicatesAmong, OnFind};

use self::{
    patterns::{reddit_links, replaced, urls, without_invisible},
    report::Reporter,
};
use crate::{
    Error, Example, Labels, Table,
    duplicates::{self, Signature},
    error::Result,
    language::language,
    posts::{Joiner, cut},
    type_words,
};

/// What stands in the place of what is masked.
const URL: &str = "[URL]";
const LINK: &str = "[LINK]";
/// The token that type words are masked with.
pub const TYPE_WORD: &str = "[TYPE]";
/// Texts that are worked on at once.
const PIECE: usize = 1024;

/// What a step made of a text.
enum Change {
    /// The text is another one now.
    Changed(Step),
    Dropped(Step),
}

/// A text after the steps that look at it alone.
struct Prepared {
    /// None where it is left out.
    text: Option<String>,
    changes: Vec<Change>,
    /// The text before and after each change, where examples are still wanted.
    shown: Vec<(Step, String, Option<String>)>,
}

/// Cleans the texts of these rows and hands on what is left, in order; with duplicates to be found they are
/// read twice. `progress` hears how many rows of all that are to be read were read, and may end it by
/// answering `false`.
///
/// Which steps come one after another: authors of several types, invisible characters, addresses, Reddit's
/// links, type words, languages, exact duplicates, near ones, cutting, joining, lengths.
pub fn clean(
    table: &Table,
    rows: &[u32],
    cleaning: &Cleaning,
    mut keep: impl FnMut(Example) -> Result<()>,
    mut progress: impl FnMut(usize, usize) -> bool,
) -> Result<CleaningReport> {
    let labels = &table.labels;
    let mut reporter = Reporter::new(cleaning, rows.len());
    let several = match cleaning.authors_of_several_types {
        true => authors_of_several_types(labels, rows),
        false => HashSet::new(),
    };
    let wanted: Vec<u32> = rows
        .iter()
        .copied()
        .filter(|&row| labels.authors[row as usize].is_none_or(|author| !several.contains(&author)))
        .collect();
    reporter.dropped(Step::AuthorsOfSeveralTypes, rows.len() - wanted.len());

    let looks_for_duplicates =
        [cleaning.exact_duplicates, cleaning.near_duplicates] != [DuplicatesAmong::None; 2];
    let total = wanted.len() * if looks_for_duplicates { 2 } else { 1 };
    let mut drop_as: Vec<Option<Step>> = vec![None; wanted.len()];
    if looks_for_duplicates {
        let mut signatures = Vec::with_capacity(wanted.len());
        each_prepared(table, &wanted, cleaning, 0, |_, prepared| {
            signatures.push(prepared.text.as_deref().map(duplicates::signature));
            Ok(signatures.len() % PIECE != 0 || progress(signatures.len(), total))
        })?;
        let authors: Vec<Option<u32>> = wanted.iter().map(|&row| labels.authors[row as usize]).collect();
        for (step, among) in [
            (Step::ExactDuplicates, cleaning.exact_duplicates),
            (Step::NearDuplicates, cleaning.near_duplicates),
        ] {
            for place in repeated(&signatures, &authors, step, among, cleaning.near_from) {
                drop_as[place as usize].get_or_insert(step);
            }
        }
    }

    let before = total - wanted.len();
    let mut last = Last::new(cleaning);
    let shown = reporter.wanted_examples();
    each_prepared(table, &wanted, cleaning, shown, |place, prepared| {
        let row = wanted[place] as usize;
        reporter.prepared(&prepared);
        if let Some(text) = prepared.text {
            match drop_as[place] {
                Some(step) => reporter.dropped_text(step, &text),
                None => last.push(labels, row, text, &mut reporter, &mut keep)?,
            }
        }
        Ok(place % PIECE != 0 || progress(before + place, total))
    })?;
    last.finish(labels, &mut reporter, &mut keep)?;
    Ok(reporter.finish())
}

fn authors_of_several_types(labels: &Labels, rows: &[u32]) -> HashSet<u32> {
    let mut first = vec![None; labels.names.len()];
    let mut several = HashSet::new();
    for &row in rows {
        let Some(author) = labels.authors[row as usize] else { continue };
        let mbti = labels.types[row as usize];
        if *first[author as usize].get_or_insert(mbti) != mbti {
            several.insert(author);
        }
    }
    several
}

/// Hands on the texts after the steps that look at each alone, made on all cores.
fn each_prepared(
    table: &Table,
    rows: &[u32],
    cleaning: &Cleaning,
    examples: usize,
    mut take: impl FnMut(usize, Prepared) -> Result<bool>,
) -> Result<()> {
    let mut piece: Vec<String> = Vec::with_capacity(PIECE);
    let mut place = 0;
    let mut work = |piece: &mut Vec<String>| {
        // Examples are only wanted of the first texts, most of which have been seen when there are enough.
        let shows = place < examples;
        let done: Vec<Prepared> = piece.par_drain(..).map(|text| prepared(text, cleaning, shows)).collect();
        for one in done {
            if !take(place, one)? {
                return Ok(false);
            }
            place += 1;
        }
        Ok(true)
    };
    let mut bytes = 0;
    let whole = table.texts(rows, |_, text| {
        piece.push(text.to_owned());
        bytes += text.len();
        if piece.len() < PIECE && bytes < 16 << 20 {
            return Ok(true);
        }
        bytes = 0;
        work(&mut piece)
    })?;
    if whole && work(&mut piece)? { Ok(()) } else { Err(Error::Stopped) }
}

fn prepared(text: String, cleaning: &Cleaning, shows: bool) -> Prepared {
    let mut prepared = Prepared { text: Some(text), changes: Vec::new(), shown: Vec::new() };
    if cleaning.invisible {
        prepared.apply(Step::Invisible, shows, |text| without_invisible(text).map(Some));
    }
    for (step, on_find, find, token) in [
        (Step::Urls, cleaning.urls, urls as fn(&str) -> _, URL),
        (Step::RedditLinks, cleaning.reddit_links, reddit_links as fn(&str) -> _, LINK),
    ] {
        let apply = |text: &str| {
            let found: Vec<std::ops::Range<usize>> = find(text);
            (!found.is_empty()).then(|| done_to(text, &found, on_find, token))
        };
        if on_find != OnFind::Keep {
            prepared.apply(step, shows, apply);
        }
    }
    match cleaning.type_words {
        OnFind::Keep => {}
        OnFind::Mask => {
            prepared.apply(Step::TypeWords, shows, |text| type_words::mask(text, TYPE_WORD).map(Some))
        }
        OnFind::Remove | OnFind::Drop => prepared.apply(Step::TypeWords, shows, |text| {
            let found: Vec<_> = type_words::find(text).into_iter().map(|found| found.range).collect();
            (!found.is_empty()).then(|| done_to(text, &found, cleaning.type_words, TYPE_WORD))
        }),
    }
    if !cleaning.languages.is_empty() {
        let is_wanted =
            |text: &str| language(text).is_none_or(|found| cleaning.languages.iter().any(|one| one == found));
        prepared.apply(Step::Languages, shows, |text| (!is_wanted(text)).then_some(None));
    }
    prepared
}

/// The text with all that was found masked or taken out, or none where it is to be left out.
fn done_to(text: &str, found: &[std::ops::Range<usize>], on_find: OnFind, token: &str) -> Option<String> {
    match on_find {
        OnFind::Keep => Some(text.to_owned()),
        OnFind::Mask => Some(replaced(text, found, Some(token))),
        OnFind::Remove => Some(replaced(text, found, None)),
        OnFind::Drop => None,
    }
}

impl Prepared {
    /// Does a step that gives nothing where it finds nothing, else what is left of the text.
    fn apply(&mut self, step: Step, shows: bool, work: impl FnOnce(&str) -> Option<Option<String>>) {
        let Some(text) = self.text.take() else { return };
        let Some(after) = work(&text) else {
            self.text = Some(text);
            return;
        };
        // A text of which only white space is left is no text.
        let after = after.filter(|after| after.chars().any(|c| !c.is_whitespace()));
        self.changes.push(if after.is_some() { Change::Changed(step) } else { Change::Dropped(step) });
        if shows {
            self.shown.push((step, text, after.clone()));
        }
        self.text = after;
    }
}

/// The places of texts that repeat one before them, among all or among those of their author.
fn repeated(
    signatures: &[Option<Signature>],
    authors: &[Option<u32>],
    step: Step,
    among: DuplicatesAmong,
    near_from: f64,
) -> Vec<u32> {
    let mut places: Vec<u32> =
        (0..signatures.len() as u32).filter(|&place| signatures[place as usize].is_some()).collect();
    let find = |places: &[u32]| -> Vec<u32> {
        let chosen: Vec<Signature> = places.iter().filter_map(|&place| signatures[place as usize]).collect();
        let firsts = match step {
            Step::ExactDuplicates => duplicates::first_exact_of(&chosen),
            _ => duplicates::first_of(&chosen, near_from),
        };
        (0..)
            .zip(firsts)
            .filter(|(place, first)| place != first)
            .map(|(place, _): (u32, u32)| places[place as usize])
            .collect()
    };
    match among {
        DuplicatesAmong::None => Vec::new(),
        DuplicatesAmong::All => find(&places),
        DuplicatesAmong::Author => {
            places.retain(|&place| authors[place as usize].is_some());
            places.sort_by_key(|&place| authors[place as usize]);
            places
                .chunk_by(|&one, &other| authors[one as usize] == authors[other as usize])
                .flat_map(find)
                .collect()
        }
    }
}

/// The steps that make other texts of several: cutting, joining and lengths.
struct Last<'a> {
    cleaning: &'a Cleaning,
    joiner: Option<Joiner>,
}

impl Last<'_> {
    fn new(cleaning: &Cleaning) -> Last<'_> {
        let joiner = cleaning
            .join_to
            .map(|[shortest, longest]| Joiner::new(shortest as usize, longest as usize, '\n'));
        Last { cleaning, joiner }
    }

    fn push(
        &mut self,
        labels: &Labels,
        row: usize,
        text: String,
        reporter: &mut Reporter,
        keep: &mut dyn FnMut(Example) -> Result<()>,
    ) -> Result<()> {
        let (author, mbti) = (labels.authors[row], labels.types[row]);
        let pieces: Vec<String> = match self.cleaning.cut_at {
            Some(longest) if text.chars().count() > longest as usize => {
                let pieces: Vec<String> =
                    cut(&text, longest as usize).into_iter().map(str::to_owned).collect();
                reporter.changed_text(Step::Cut, &text, pieces.first());
                pieces
            }
            _ => vec![text],
        };
        for piece in pieces {
            match (&mut self.joiner, author) {
                (Some(joiner), Some(author)) => {
                    reporter.joined(1);
                    for text in joiner.push(author, mbti, &piece) {
                        let author = labels.names.get(author as usize).cloned();
                        self.end(Example { author, text, mbti }, reporter, keep)?;
                    }
                }
                _ => self.end(
                    Example { author: labels.author(row).map(str::to_owned), text: piece, mbti },
                    reporter,
                    keep,
                )?,
            }
        }
        Ok(())
    }

    fn finish(
        mut self,
        labels: &Labels,
        reporter: &mut Reporter,
        keep: &mut dyn FnMut(Example) -> Result<()>,
    ) -> Result<()> {
        let Some(joiner) = self.joiner.take() else { return Ok(()) };
        for left in joiner.finish(true).texts {
            let author = labels.names.get(left.author as usize).cloned();
            self.end(Example { author, text: left.text, mbti: left.mbti }, reporter, keep)?;
        }
        Ok(())
    }

    fn end(
        &self,
        example: Example,
        reporter: &mut Reporter,
        keep: &mut dyn FnMut(Example) -> Result<()>,
    ) -> Result<()> {
        let Cleaning { shortest, longest, .. } = self.cleaning;
        let length = if shortest.is_some() || longest.is_some() { example.text.chars().count() } else { 0 };
        if shortest.is_some_and(|shortest| length < shortest as usize) {
            reporter.dropped_text(Step::Shortest, &example.text);
        } else if longest.is_some_and(|longest| length > longest as usize) {
            reporter.dropped_text(Step::Longest, &example.text);
        } else {
            reporter.kept();
            keep(example)?;
        }
        Ok(())
    }
}

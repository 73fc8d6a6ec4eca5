use record::{
    Cleaning, CleaningCount, CleaningExample, CleaningReport, CleaningStep as Step, DuplicatesAmong, OnFind,
};

use super::{Change, Prepared};

/// Examples of each step, and how much of a text they show, in characters.
const EXAMPLES: usize = 5;
const EXAMPLE_CHARS: usize = 300;
/// Texts among which examples are looked for.
const LOOKED_AT: usize = 50_000;

/// Counts what the steps do.
pub(super) struct Reporter {
    report: CleaningReport,
}

impl Reporter {
    pub(super) fn new(cleaning: &Cleaning, texts: usize) -> Reporter {
        let wanted = [
            (Step::AuthorsOfSeveralTypes, cleaning.authors_of_several_types),
            (Step::Invisible, cleaning.invisible),
            (Step::Urls, cleaning.urls != OnFind::Keep),
            (Step::RedditLinks, cleaning.reddit_links != OnFind::Keep),
            (Step::TypeWords, cleaning.type_words != OnFind::Keep),
            (Step::Languages, !cleaning.languages.is_empty()),
            (Step::ExactDuplicates, cleaning.exact_duplicates != DuplicatesAmong::None),
            (Step::NearDuplicates, cleaning.near_duplicates != DuplicatesAmong::None),
            (Step::Cut, cleaning.cut_at.is_some()),
            (Step::Join, cleaning.join_to.is_some()),
            (Step::Shortest, cleaning.shortest.is_some()),
            (Step::Longest, cleaning.longest.is_some()),
        ];
        let steps = wanted.into_iter().filter(|(_, wanted)| *wanted);
        let steps =
            steps.map(|(step, _)| CleaningCount { step, changed: 0, dropped: 0, examples: Vec::new() });
        Reporter {
            report: CleaningReport { texts_before: texts as i64, texts_after: 0, steps: steps.collect() },
        }
    }

    /// Among how many texts examples are looked for.
    pub(super) fn wanted_examples(&self) -> usize {
        LOOKED_AT
    }

    fn count(&mut self, step: Step) -> Option<&mut CleaningCount> {
        self.report.steps.iter_mut().find(|count| count.step == step)
    }

    pub(super) fn prepared(&mut self, prepared: &Prepared) {
        for change in &prepared.changes {
            match *change {
                Change::Changed(step) => self.count(step).into_iter().for_each(|count| count.changed += 1),
                Change::Dropped(step) => self.dropped(step, 1),
            }
        }
        for (step, before, after) in &prepared.shown {
            self.show(*step, before, after.as_deref());
        }
    }

    pub(super) fn dropped(&mut self, step: Step, texts: usize) {
        self.count(step).into_iter().for_each(|count| count.dropped += texts as i64);
    }

    pub(super) fn dropped_text(&mut self, step: Step, text: &str) {
        self.dropped(step, 1);
        self.show(step, text, None);
    }

    pub(super) fn changed_text(&mut self, step: Step, before: &str, after: Option<&String>) {
        self.count(step).into_iter().for_each(|count| count.changed += 1);
        self.show(step, before, after.map(String::as_str));
    }

    pub(super) fn joined(&mut self, texts: usize) {
        self.count(Step::Join).into_iter().for_each(|count| count.changed += texts as i64);
    }

    pub(super) fn kept(&mut self) {
        self.report.texts_after += 1;
    }

    fn show(&mut self, step: Step, before: &str, after: Option<&str>) {
        let Some(count) = self.count(step).filter(|count| count.examples.len() < EXAMPLES) else { return };
        // The part in which the two differ.
        let same = after.map_or(0, |after| {
            before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count()
        });
        let from = before.char_indices().map(|(at, _)| at).take_while(|&at| at <= same).last().unwrap_or(0);
        let skipped = before[..from].chars().count().saturating_sub(EXAMPLE_CHARS / 3);
        let shorten = |text: &str| {
            let part: String = text.chars().skip(skipped).take(EXAMPLE_CHARS).collect();
            if skipped > 0 { format!("…{part}") } else { part }
        };
        count.examples.push(CleaningExample { before: shorten(before), after: after.map(shorten) });
    }

    pub(super) fn finish(self) -> CleaningReport {
        self.report
    }
}

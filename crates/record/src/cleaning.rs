use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Problem, bad_setting};

/// What is done with something that is found in a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum OnFind {
    #[default]
    Keep,
    /// One token stands in its place.
    Mask,
    /// It is taken out.
    Remove,
    /// The whole text is left out.
    Drop,
}

/// Among which texts a duplicate is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum DuplicatesAmong {
    /// None is left out.
    #[default]
    None,
    Author,
    All,
}

/// What is changed in the texts of a data set, and which are left out. By default nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(default, deny_unknown_fields)]
#[ts(export)]
pub struct Cleaning {
    /// Authors whose texts have several types are left out.
    pub authors_of_several_types: bool,
    /// Control characters and those without width are taken out.
    pub invisible: bool,
    pub urls: OnFind,
    /// Links as Reddit writes them, such as r/mbti and u/somebody.
    pub reddit_links: OnFind,
    /// Words that name or give away a type.
    pub type_words: OnFind,
    /// Languages by ISO 639-1 that are kept; all where none is named. Texts too short to tell are kept.
    pub languages: Vec<String>,
    /// Texts that differ in nothing but case, white space and punctuation.
    pub exact_duplicates: DuplicatesAmong,
    pub near_duplicates: DuplicatesAmong,
    /// From which Jaccard similarity on a text is a near duplicate.
    pub near_from: f64,
    /// Longer texts are cut at the ends of sentences into pieces of at most so many characters.
    pub cut_at: Option<u32>,
    /// Texts of an author are joined until they have so many characters, and cut at the second number.
    pub join_to: Option<[u32; 2]>,
    /// Texts of fewer characters are left out.
    pub shortest: Option<u32>,
    /// Texts of more characters are left out.
    pub longest: Option<u32>,
}

impl Default for Cleaning {
    fn default() -> Self {
        Cleaning {
            authors_of_several_types: false,
            invisible: false,
            urls: OnFind::Keep,
            reddit_links: OnFind::Keep,
            type_words: OnFind::Keep,
            languages: Vec::new(),
            exact_duplicates: DuplicatesAmong::None,
            near_duplicates: DuplicatesAmong::None,
            near_from: 0.8,
            cut_at: None,
            join_to: None,
            shortest: None,
            longest: None,
        }
    }
}

impl Cleaning {
    /// Refuses values that mean nothing, naming the setting and what is allowed.
    pub fn check(&self) -> Result<(), Problem> {
        let near = self.near_from;
        if !(near > 0.0 && near <= 1.0) {
            return Err(bad_setting("near_from", near, "a number above 0, at most 1"));
        }
        if self.cut_at == Some(0) {
            return Err(bad_setting("cut_at", 0, "a whole number from 1"));
        }
        if let Some([least, most]) = self.join_to.filter(|[least, most]| *least == 0 || least > most) {
            let allowed = "two whole numbers from 1, the second not below the first";
            return Err(bad_setting("join_to", format!("{least},{most}"), allowed));
        }
        if let (Some(shortest), Some(longest)) = (self.shortest, self.longest)
            && shortest > longest
        {
            return Err(bad_setting("shortest", shortest, &format!("at most what longest is, {longest}")));
        }
        let is_code = |code: &String| code.len() <= 16 && !code.contains(crate::is_unprintable);
        if self.languages.len() > 200 || !self.languages.iter().all(is_code) {
            return Err(bad_setting("languages", self.languages.join(","), "codes such as en, at most 200"));
        }
        Ok(())
    }

    /// What takes out most that flatters a model or teaches it nothing.
    pub fn recommended() -> Cleaning {
        Cleaning {
            authors_of_several_types: true,
            invisible: true,
            urls: OnFind::Mask,
            reddit_links: OnFind::Mask,
            type_words: OnFind::Mask,
            exact_duplicates: DuplicatesAmong::All,
            near_duplicates: DuplicatesAmong::All,
            shortest: Some(10),
            ..Cleaning::default()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum CleaningStep {
    AuthorsOfSeveralTypes,
    Invisible,
    Urls,
    RedditLinks,
    TypeWords,
    Languages,
    ExactDuplicates,
    NearDuplicates,
    Cut,
    Join,
    Shortest,
    Longest,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct CleaningCount {
    pub step: CleaningStep,
    /// Texts that were changed by it; of cutting, those that were cut, and of joining, those joined.
    pub changed: i64,
    /// Texts that were left out for it.
    pub dropped: i64,
    /// Some of both, cut short: before, and after where the text was kept.
    pub examples: Vec<CleaningExample>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct CleaningExample {
    pub before: String,
    pub after: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct CleaningReport {
    pub texts_before: i64,
    pub texts_after: i64,
    /// The steps that were asked for, in the order in which they were done.
    pub steps: Vec<CleaningCount>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_that_mean_nothing_are_refused_by_name() {
        let usual = Cleaning::default;
        usual().check().unwrap();
        Cleaning::recommended().check().unwrap();
        let wrong = [
            ("near_from", Cleaning { near_from: f64::NAN, ..usual() }),
            ("near_from", Cleaning { near_from: -1.0, ..usual() }),
            ("near_from", Cleaning { near_from: 1e308, ..usual() }),
            ("cut_at", Cleaning { cut_at: Some(0), ..usual() }),
            ("join_to", Cleaning { join_to: Some([0, 5]), ..usual() }),
            ("join_to", Cleaning { join_to: Some([6, 5]), ..usual() }),
            ("shortest", Cleaning { shortest: Some(6), longest: Some(5), ..usual() }),
            ("languages", Cleaning { languages: vec!["en".into(); 201], ..usual() }),
            ("languages", Cleaning { languages: vec!["x".repeat(17)], ..usual() }),
        ];
        for (name, cleaning) in wrong {
            assert_eq!(cleaning.check().unwrap_err().params["name"], name);
        }
    }
}

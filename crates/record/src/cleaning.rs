use serde::{Deserialize, Serialize};
use ts_rs::TS;

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

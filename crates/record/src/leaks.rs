use std::collections::BTreeMap;

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::SplitSummary;

/// What texts to validate with share with those that are learned from, so that a model can be right about
/// them without having learned anything about types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Leaks {
    pub split: SplitSummary,
    /// Validation texts with at least one of what follows: the one figure.
    pub leaking_texts: i64,
    /// By an author who is learned from too.
    pub texts_of_shared_authors: i64,
    /// Also learned from, but for case, white space and punctuation.
    pub exact_duplicates: i64,
    /// Nearly so: a Jaccard similarity of at least 0.8, without the exact ones.
    pub near_duplicates: i64,
    /// That name the type of whoever wrote them.
    pub own_type_named: i64,
    /// That have any word that names or gives away a type.
    pub type_words: i64,
    /// The balanced accuracy of the bag of words on type words alone, learned and judged on the split;
    /// null where there are none or it was not asked for. 0.5 is chance.
    pub type_words_alone: Option<BTreeMap<Axis, f64>>,
}

impl Leaks {
    /// The share of validation texts that leak, in [0, 1].
    pub fn share(&self) -> f64 {
        self.leaking_texts as f64 / self.split.valid_examples.max(1) as f64
    }
}

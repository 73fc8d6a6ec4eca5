use std::collections::BTreeMap;

use mbti::Axis;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What can be seen of a data set's texts, or of a part of them where they are many.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct DataSetLook {
    /// How many texts were looked at, each type in proportion.
    pub texts: i64,
    /// Of those, the texts in each language by ISO 639-1; under "" those that are too short to tell.
    pub languages: BTreeMap<String, i64>,
    /// Texts with a word that names or gives away a type.
    pub type_words: i64,
    /// Texts that name the type of whoever wrote them.
    pub own_type_named: i64,
    /// The words that tell most of the first and of the second letter of each axis.
    pub telling_words: BTreeMap<Axis, [Vec<TellingWord>; 2]>,
}

/// A word that authors of one letter use more than those of the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct TellingWord {
    pub word: String,
    /// The log odds ratio in standard errors, above zero; from about 3 on it is not by chance alone.
    pub z: f64,
    /// Authors of the first letter who used it, each text without an author being one.
    pub first: u32,
    /// The same of the second letter.
    pub second: u32,
}

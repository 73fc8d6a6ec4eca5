use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Axis, Error, Letter};

/// One of the sixteen types: a letter on each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(try_from = "String", into = "String")]
#[ts(export, type = "string")]
pub struct Type {
    classes: [bool; 4],
}

impl Type {
    /// The sixteen types, in the order of their indices.
    pub fn all() -> impl Iterator<Item = Type> {
        (0..16).map(|index| Type { classes: std::array::from_fn(|axis| index >> (3 - axis) & 1 == 1) })
    }

    /// From the class (0 or 1) on each axis, in the order of [`Axis::ALL`].
    pub fn from_classes(classes: [bool; 4]) -> Type {
        Type { classes }
    }

    pub fn letter(self, axis: Axis) -> Letter {
        axis.letters()[usize::from(self.class(axis))]
    }

    /// Whether the type has the second letter of the axis, which is class 1.
    pub fn class(self, axis: Axis) -> bool {
        self.classes[axis.index()]
    }

    /// From 0 (ENFJ) to 15 (ISTP).
    pub fn index(self) -> usize {
        self.classes.iter().fold(0, |index, &class| index << 1 | usize::from(class))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Axis::ALL.into_iter().try_for_each(|axis| write!(f, "{}", self.letter(axis)))
    }
}

impl FromStr for Type {
    type Err = Error;

    /// Four letters in the usual order, in either case, with white space around them allowed.
    fn from_str(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        let wrong = || Error::Type(trimmed.chars().take(40).collect());
        let chars: [char; 4] = trimmed.chars().take(5).collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
        let mut classes = [false; 4];
        for axis in Axis::ALL {
            let mut buffer = [0; 4];
            let cell = chars[axis.index()].encode_utf8(&mut buffer);
            classes[axis.index()] = Letter::on_axis(axis, cell).map_err(|_| wrong())?.class() == 1;
        }
        Ok(Type { classes })
    }
}

impl TryFrom<String> for Type {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Type> for String {
    fn from(value: Type) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_sixteen_types_are_distinct_and_read_back_from_their_names() {
        let names: std::collections::BTreeSet<String> = Type::all().map(|t| t.to_string()).collect();
        assert_eq!(names.len(), 16);
        for (index, mbti) in Type::all().enumerate() {
            assert_eq!(mbti.index(), index);
            assert_eq!(mbti.to_string().parse::<Type>().unwrap(), mbti);
            assert_eq!(mbti.to_string().to_lowercase().parse::<Type>().unwrap(), mbti);
        }
    }

    #[test]
    fn a_type_that_does_not_exist_is_refused_by_name() {
        for wrong in ["ABCD", "", "INF", "INFPX", "NIFP", "ÄNFP", "I N F P"] {
            assert!(wrong.parse::<Type>().is_err(), "{wrong}");
        }
        assert_eq!("ABCD".parse::<Type>(), Err(Error::Type("ABCD".into())));
    }

    #[test]
    fn class_one_is_the_second_letter_in_the_alphabet() {
        let infp: Type = "infp".parse().unwrap();
        assert_eq!(Axis::ALL.map(|axis| infp.class(axis)), [true, false, false, true]);
        for axis in Axis::ALL {
            let [first, second] = axis.letters();
            assert!(first.as_char() < second.as_char());
            assert_eq!((first.class(), second.class()), (0, 1));
        }
    }

    #[test]
    fn an_axis_reads_in_either_order_and_case() {
        for text in ["J-P", "p-j", "jp", "J/P"] {
            assert_eq!(text.parse::<Axis>().unwrap(), Axis::JudgingPerceiving);
        }
        assert!("J-Q".parse::<Axis>().is_err());
    }
}

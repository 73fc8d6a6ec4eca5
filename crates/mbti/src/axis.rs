use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Error, Letter};

/// One of the four scales of the indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[ts(export)]
pub enum Axis {
    #[serde(rename = "E-I")]
    ExtraversionIntroversion,
    #[serde(rename = "N-S")]
    IntuitionSensing,
    #[serde(rename = "F-T")]
    FeelingThinking,
    #[serde(rename = "J-P")]
    JudgingPerceiving,
}

impl Axis {
    /// All axes, in the order of the letters of a type.
    pub const ALL: [Axis; 4] = [
        Axis::ExtraversionIntroversion,
        Axis::IntuitionSensing,
        Axis::FeelingThinking,
        Axis::JudgingPerceiving,
    ];

    /// The place of this axis in a type, from 0 to 3.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Class 0 and class 1: the two letters in alphabetical order.
    pub fn letters(self) -> [Letter; 2] {
        match self {
            Axis::ExtraversionIntroversion => [Letter::E, Letter::I],
            Axis::IntuitionSensing => [Letter::N, Letter::S],
            Axis::FeelingThinking => [Letter::F, Letter::T],
            Axis::JudgingPerceiving => [Letter::J, Letter::P],
        }
    }

    /// The name, which is also the column's name: `E-I`, `N-S`, `F-T` or `J-P`.
    pub fn name(self) -> &'static str {
        match self {
            Axis::ExtraversionIntroversion => "E-I",
            Axis::IntuitionSensing => "N-S",
            Axis::FeelingThinking => "F-T",
            Axis::JudgingPerceiving => "J-P",
        }
    }
}

impl Letter {
    /// The axis on which this letter is one of the two.
    pub fn axis(self) -> Axis {
        match self {
            Letter::E | Letter::I => Axis::ExtraversionIntroversion,
            Letter::N | Letter::S => Axis::IntuitionSensing,
            Letter::F | Letter::T => Axis::FeelingThinking,
            Letter::J | Letter::P => Axis::JudgingPerceiving,
        }
    }

    /// 0 for the first letter of the axis in alphabetical order, 1 for the second.
    pub fn class(self) -> usize {
        usize::from(self.axis().letters()[1] == self)
    }

    /// Reads a cell of an axis column: the letter alone, in either case.
    pub fn on_axis(axis: Axis, text: &str) -> Result<Letter, Error> {
        let text = text.trim();
        axis.letters()
            .into_iter()
            .find(|letter| {
                let mut chars = text.chars();
                chars.next().map(|c| c.to_ascii_uppercase()) == Some(letter.as_char())
                    && chars.next().is_none()
            })
            .ok_or_else(|| Error::Letter { axis, found: text.to_owned() })
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Axis {
    type Err = Error;

    /// Either order of the letters, either case, with any one separator or none: `J-P`, `pj`, `J/P`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let letters: Vec<char> = text
            .trim()
            .chars()
            .filter(|c| !matches!(c, '-' | '/' | '_' | ' '))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        Axis::ALL
            .into_iter()
            .find(|axis| {
                let [first, second] = axis.letters().map(Letter::as_char);
                letters == [first, second] || letters == [second, first]
            })
            .ok_or_else(|| Error::Axis(text.trim().to_owned()))
    }
}

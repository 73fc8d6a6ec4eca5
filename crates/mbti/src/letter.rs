use std::fmt;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{Axis, Error};

/// One of the eight letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[ts(export)]
pub enum Letter {
    E,
    I,
    N,
    S,
    F,
    T,
    J,
    P,
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

    pub fn as_char(self) -> char {
        match self {
            Letter::E => 'E',
            Letter::I => 'I',
            Letter::N => 'N',
            Letter::S => 'S',
            Letter::F => 'F',
            Letter::T => 'T',
            Letter::J => 'J',
            Letter::P => 'P',
        }
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

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

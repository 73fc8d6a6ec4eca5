use std::fmt;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

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
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

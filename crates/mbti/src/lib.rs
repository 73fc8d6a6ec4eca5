//! The sixteen types, the four axes and the letters. A leaf: it depends on nothing of ours.
//!
//! An axis is written as its two letters in alphabetical order joined by a hyphen, as the
//! columns of the Hugging Face data set `minhaozhang/mbti` are: `E-I`, `N-S`, `F-T`, `J-P`.
//! The first letter is class 0 and the second class 1 wherever a number is needed.

mod axis;
mod letter;
mod types;

pub use axis::Axis;
pub use letter::Letter;
pub use types::Type;

/// Why a text is not an axis, a letter or a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("\"{0}\" is not one of the 16 types, such as INFP or ESTJ")]
    Type(String),
    #[error("\"{0}\" is not an axis; the axes are E-I, N-S, F-T and J-P")]
    Axis(String),
    #[error("\"{found}\" is not a letter of the axis {axis}")]
    Letter { axis: Axis, found: String },
}

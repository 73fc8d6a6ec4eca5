//! Model folders: where they lie and whether they are whole. Local ones now, the Hub's later.

mod check;
mod error;
mod format;
mod install;
mod layout;
#[cfg(test)]
mod samples;
mod weights;

pub use check::{ModelFolder, check};
pub use error::Error;
pub use format::WeightFormat;
pub use install::{WORDS, install, install_words};
pub use layout::locate;

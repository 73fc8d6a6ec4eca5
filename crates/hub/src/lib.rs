//! Model folders: where they lie and whether they are whole. Local ones now, the Hub's later.

mod check;
mod error;
mod install;

pub use check::{ModelFolder, check};
pub use error::Error;
pub use install::{WORDS, install, install_words};

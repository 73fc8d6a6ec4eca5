//! Model folders: where they lie and whether they are whole.

mod check;
pub(crate) mod format;
mod install;
mod layout;
pub(crate) mod quantized;
#[cfg(test)]
pub(crate) mod samples;
mod weights;

#[cfg(test)]
pub(crate) use check::FAMILIES;
pub use check::{ModelFolder, check};
pub use format::WeightFormat;
pub(crate) use install::{FILES, NOTES};
pub use install::{WORDS, companions, install, install_words};
pub(crate) use layout::CONFIG;
pub use layout::locate;

//! Model folders, whole or not; and the Hugging Face Hub, where they come from and go to.

pub mod access;
mod card_head;
mod catalogue;
pub mod download;
mod error;
mod folder;
pub mod push;
mod shown;
mod transfer;

pub use catalogue::catalogue;
pub use error::{Error, told};
pub use folder::{ModelFolder, WORDS, WeightFormat, check, companions, install, install_words, locate};
pub use transfer::Transfer;

//! What the program can do, with no window and no candle: it is what both the desktop shell and
//! the engine's commands call.

pub mod data_sets;
pub mod engine;
mod error;
mod home;
mod locks;
pub mod models;
mod names;
pub mod prediction;
pub mod runs;
mod work;

pub use data::{ImportOptions, ImportProgress, Reading};
pub use error::Error;
pub use home::{Home, locate};
pub use work::{Watch, Works, apart};

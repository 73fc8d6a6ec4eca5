//! What the program can do, with no window and no candle: it is what both the desktop shell and
//! the engine's commands call.

pub mod account;
mod clearing;
pub mod cross_validations;
pub mod data_sets;
pub mod downloads;
pub mod engine;
mod error;
pub mod evaluations;
mod home;
pub mod journal;
mod locks;
mod making;
pub mod models;
mod names;
mod opening;
mod outside;
pub mod prediction;
mod privacy;
pub mod pushing;
mod removing;
pub mod runs;
mod work;

pub use data::{ImportOptions, ImportProgress, Reading};
pub use error::Error;
pub use home::{Home, Unrecorded, locate};
pub use hub::{
    Transfer,
    access::{Kept, SECRETS, Token, hold_tokens},
    told,
};
pub use outside::check_outside;
pub use work::{Watch, Works, apart};

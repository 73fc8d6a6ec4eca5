//! For tests alone: models beside Transformers, PyTorch and PEFT, on cases that tests/reference has recorded.
#![allow(clippy::unwrap_used)]

mod case;

pub use case::{Case, cases};

//! What each instruction does, a file for each family.

pub mod asynchronous;
pub mod atomic;
pub mod compare;
pub mod convert;
pub mod float;
pub mod integer;
pub mod matrix;
pub mod memory;
pub mod moves;
mod numbers;
pub mod warp;

//! Networks with gradients. With `train` and `predict`, the only crate that knows candle.
//!
//! Every family reads packed batches: the tokens of a batch lie one after another, with the
//! cumulative lengths beside them and no padding anywhere.

mod bert;
mod error;
mod head;
mod network;
pub mod ops;
mod save;
mod weights;
mod words;

pub use error::Error;
pub use head::{Head, ProblemType};
pub use network::{Network, inspect, open, start};
pub use ops::Mode;
pub use save::save;
pub use weights::{Parameter, Weights};

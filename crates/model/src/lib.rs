//! Networks with gradients. With `train` and `predict`, the only crate that knows candle.
//!
//! Every family reads packed batches: the tokens of a batch lie one after another, with the
//! cumulative lengths beside them and no padding anywhere.

mod adapter;
mod block;
mod callbacks;
mod classifier;
mod config_file;
mod decoder;
mod embeddings;
mod encoder;
mod error;
mod family_names;
mod fused;
mod gradient_sum;
pub mod halves;
mod head;
mod kernels;
mod layers;
mod limits;
mod loader;
mod network;
pub mod ops;
mod packed;
mod report;
mod rope_config;
mod save;
mod setup;
mod source;
pub mod timing;
mod transformer;
mod weights;
mod words;

pub use callbacks::{Loss, Take};
pub use error::Error;
pub use gradient_sum::GradientSum;
pub use head::{Head, ProblemType};
#[doc(hidden)]
pub use kernels::{NullaryFnOnce, dispatch};
pub use kernels::{Products, bf16_products_are_faster, processor_multiplies_bf16, product_limit};
pub use network::{Network, inspect, open, start};
pub use ops::Mode;
pub use report::LoadReport;
pub use save::{restore, save, save_merged, save_merged_anew, write};
pub use setup::{LoraSetup, Setup};
pub use weights::{Parameter, Weights};

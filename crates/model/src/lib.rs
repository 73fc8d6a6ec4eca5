//! Networks with gradients. With `train` and `predict`, the only crate that knows candle.
//!
//! Every family reads packed batches: the tokens of a batch lie one after another, with the
//! cumulative lengths beside them and no padding anywhere.

mod adapter;
mod block;
mod callbacks;
mod checkpointing;
mod classifier;
mod config_file;
mod decoder;
mod embeddings;
mod encoder;
mod error;
mod family_names;
mod gradients;
mod halves;
mod head;
mod layers;
mod limits;
mod loader;
mod network;
pub mod ops;
#[cfg(test)]
mod oracle;
mod packed;
mod pass;
mod place;
mod report;
mod rope_config;
mod rotation;
mod safetensors_file;
mod save;
mod setup;
mod source;
mod targets;
mod transformer;
mod weights;
mod words;

pub use callbacks::Taker;
pub use checkpointing::Checkpointing;
pub use compute::{
    Device, Products,
    cpu::{bf16_products_are_faster, processor_multiplies_bf16, product_limit},
    timing,
};
pub use error::Error;
pub use gradients::{Gradients, Squares, read_norm};
pub use head::{Head, ProblemType};
pub use network::{Network, inspect, open, open_on, open_to_merge, start};
pub use ops::Mode;
pub use report::LoadReport;
pub use safetensors_file::read_header;
pub use save::{restore, save, save_merged, save_merged_anew, write};
pub use setup::{LoraSetup, Setup};
pub use targets::Targets;
pub use weights::{Parameter, Weights};

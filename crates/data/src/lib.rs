//! From a file to batches: reading, examples, splitting, tokenizing. No network is known here,
//! in either sense of the word.

mod batch;
mod columns;
mod error;
mod example;
mod import;
mod ngrams;
pub mod sample;
mod split;
mod statistics;
mod storage;
mod tokenize;

pub use batch::{Batch, epoch_order, pack};
pub use error::Error;
pub use example::Example;
pub use import::{Imported, import_csv};
pub use ngrams::NGRAM_BUCKETS;
pub use split::{Split, sample, split, split_for, split_given};
pub use statistics::{Statistics, statistics};
pub use storage::{Stored, load, save, stored};
pub use tokenize::{Encoded, One, Tokenizer, encode, encode_one};

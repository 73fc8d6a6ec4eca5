//! Writes the adapter that a run by LoRA on one axis begins with, before its first step, so that
//! tests/reference/tutorial.py can begin with the same one.
//!
//!     cargo run -p model --example start_adapter -- MODEL SEED OUT
#![allow(clippy::unwrap_used)]

use std::path::Path;

use mbti::Axis;
use model::Setup;
use record::Trainable;

fn main() -> Result<(), model::Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seed = arguments[1].parse().unwrap();
    let setup = Setup { trainable: Trainable::Lora, ..Setup::plain(&[Axis::JudgingPerceiving], seed) };
    let network = model::start(Path::new(&arguments[0]), &setup)?;
    model::save(&network, Path::new(&arguments[2]), Default::default())
}

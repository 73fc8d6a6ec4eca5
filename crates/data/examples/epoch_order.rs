//! Prints, as JSON, in which order the first epoch of a run takes its texts, so that
//! tests/reference/tutorial.py can take them in the same one.
//!
//!     cargo run -p data --example epoch_order -- TEXTS SEED

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u32>().unwrap_or_default());
    let (texts, seed) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let order = data::epoch_order(texts as usize, seed, 0);
    writeln!(std::io::stdout(), "{order:?}")
}

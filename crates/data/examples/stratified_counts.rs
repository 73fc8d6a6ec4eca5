//! How many texts of each type a stratified tenth and its split in 80 and 20 per cent have, for
//! `scripts/splits-parity.sh`, which compares them with those of Hugging Face's datasets.
//!
//! Reads a JSON list of lists, each the numbers of texts of up to sixteen types, and prints a line of JSON
//! for each: the counts of the tenth, of the part to learn from and of the part to validate with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;

use data::{Example, Labels, parts, sample};
use mbti::Type;
use record::SplitBy;

fn main() {
    let cases: Vec<Vec<usize>> = serde_json::from_reader(std::io::stdin()).expect("a list of lists");
    for counts in cases {
        let types: Vec<Type> =
            Type::all().zip(&counts).flat_map(|(mbti, &count)| vec![mbti; count]).collect();
        let examples: Vec<Example> =
            types.into_iter().map(|mbti| Example { author: None, text: String::new(), mbti }).collect();
        let labels = Labels::of(&examples);
        let count = |rows: &[u32]| {
            let mut found = vec![0; counts.len()];
            rows.iter().for_each(|&row| found[labels.types[row as usize].index()] += 1);
            found
        };
        let tenth = sample(&labels, 0.1, 0);
        let split = parts(&labels, &tenth, [0.2, 0.0], SplitBy::Text, 1).ok();
        let line = serde_json::json!({
            "tenth": count(&tenth),
            "train": split.as_ref().map(|[train, _, _]| count(train)),
            "test": split.as_ref().map(|[_, test, _]| count(test)),
        });
        writeln!(std::io::stdout(), "{line}").expect("standard output");
    }
}

//! Texts that are nearly PTX: whatever they are, they are loaded or refused.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::memory::{Find, Where};
use crate::vm::{Launch, Settings, launch};
use proptest::prelude::*;

/// Every family of instructions, each statement in a line of its own.
const TEXT: &str = include_str!("sample.ptx");

struct Nothing;

impl Find for Nothing {
    fn find(&self, _: u64) -> Where {
        Where::Nowhere
    }
}

/// Loads a text and, where it is loaded, launches its kernels: with no memory they soon fault, but nothing panics.
fn survives(text: &str) {
    let Ok(module) = parse(text) else { return };
    for kernel in &module.kernels {
        // What a kernel wants of memory is its own affair; a test gives it a little.
        if kernel.lines > 4096 || kernel.param_size > 1 << 16 {
            continue;
        }
        let params = vec![0; kernel.param_size];
        let of = Launch {
            kernel,
            grid: [1, 1, 1],
            block: [33, 1, 1],
            dynamic_shared: 64,
            shared_limit: 48 << 10,
            params: &params,
        };
        let settings = Settings { threads: 1, instruction_limit: 2000, races: true, ..Settings::default() };
        let _ = launch(&of, &Nothing, &settings);
    }
}

#[test]
fn the_sample_itself_is_loaded() {
    let module = parse(TEXT).unwrap();
    assert_eq!(module.kernels.len(), 2);
    assert_eq!(module.kernel("all").unwrap().params.len(), 3);
    assert_eq!(module.kernel("all").unwrap().params[2], Parameter { offset: 16, size: 24 });
    assert_eq!(module.kernel("all").unwrap().max_threads, Some(256));
    assert!(module.kernel("none").is_none());
    assert_eq!(module.global("table").map(|global| (global.size, global.constant)), Some((16, true)));
    survives(TEXT);
}

#[test]
fn a_text_that_is_cut_off_anywhere_is_refused_or_loaded() {
    for end in (0..TEXT.len()).filter(|end| TEXT.is_char_boundary(*end)) {
        let _ = parse(&TEXT[..end]);
    }
}

#[test]
fn a_text_without_any_one_token_is_refused_or_runs() {
    let tokens = lex::tokens(TEXT).unwrap();
    for token in tokens {
        survives(&format!("{}{}", &TEXT[..token.start], &TEXT[token.end..]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exchanged_tokens_are_refused_or_run(swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4)) {
        let tokens = lex::tokens(TEXT).unwrap();
        let mut words: Vec<&str> = tokens.iter().map(|token| &TEXT[token.start..token.end]).collect();
        for (to, from) in swaps {
            let word = words[from.index(words.len())];
            let at = to.index(words.len());
            words[at] = word;
        }
        survives(&words.join(" "));
    }

    #[test]
    fn exchanged_modifiers_are_refused_or_run(at in any::<prop::sample::Index>(), from in any::<prop::sample::Index>()) {
        let tokens = lex::tokens(TEXT).unwrap();
        let mut words: Vec<String> = tokens.iter().map(|token| TEXT[token.start..token.end].to_owned()).collect();
        let modifiers: Vec<&str> = TEXT.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|part| !part.is_empty()).collect();
        let opcodes: Vec<usize> = (0..words.len()).filter(|at| words[*at].contains('.') && !words[*at].starts_with(['.', '%'])).collect();
        let word = &mut words[opcodes[at.index(opcodes.len())]];
        let mut parts: Vec<&str> = word.split('.').collect();
        let part = from.index(parts.len());
        parts[part] = modifiers[from.index(modifiers.len())];
        *word = parts.join(".");
        survives(&words.join(" "));
    }

    #[test]
    fn any_bytes_are_refused_or_loaded(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&String::from_utf8_lossy(&bytes));
    }
}

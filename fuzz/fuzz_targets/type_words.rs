//! Any text: what is found lies in it, and masked texts have nothing left to be found.
#![no_main]

use data::type_words::{find, mask, only};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let found = find(text);
    let mut from = 0;
    for one in &found {
        assert!(one.range.start >= from && text.get(one.range.clone()).is_some_and(|word| !word.is_empty()));
        from = one.range.end;
    }
    only(text);
    if let Some(masked) = mask(text, data::clean::TYPE_WORD) {
        assert!(find(&masked).is_empty(), "{masked}");
    } else {
        assert!(found.is_empty());
    }
});

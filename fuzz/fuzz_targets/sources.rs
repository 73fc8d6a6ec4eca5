//! Any bytes as a file of texts: CSV, JSON Lines, whatever they are packed or encoded as. What the first byte
//! says is put before the rest, so that each format is tried.
#![no_main]

use data::{ImportOptions, import, preview};
use libfuzzer_sys::fuzz_target;

const STARTS: [&[u8]; 8] = [
    b"",
    b"author,body,mbti,E-I\n",
    b"posts\ttype\n",
    b"{\"text\":\"a\",\"type\":\"INFP\"}\n",
    b"\xef\xbb\xbftype;posts\n",
    b"\xff\xfe",
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x");
    std::fs::write(&path, [STARTS[usize::from(first) % STARTS.len()], rest].concat()).expect("a file");
    preview(&path, Default::default()).ok();
    let mut kept = 0;
    let keep = |_| {
        kept += 1;
        Ok(())
    };
    if let Ok(imported) = import(&path, &ImportOptions::default(), keep, |_| true) {
        let skipped: i64 = imported.skipped_by_reason.values().sum();
        assert_eq!(kept, imported.examples);
        assert!(imported.rows <= kept + skipped);
    }
});

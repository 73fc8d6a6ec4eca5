//! A sound Parquet file with bytes changed in it, and any bytes that say they are one.
#![no_main]

use std::sync::LazyLock;

use data::{Example, ImportOptions, Stored, import, save};
use libfuzzer_sys::fuzz_target;

static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    save(folder.path(), |keep| {
        for (number, mbti) in mbti::Type::all().enumerate() {
            let author = (number % 3 > 0).then(|| format!("a{}", number % 5));
            keep(Example { author, text: format!("text {number}, 文本"), mbti })?;
        }
        Ok(Stored { has_authors: true, ..Stored::default() })
    })
    .expect("a data set");
    std::fs::read(folder.path().join("examples.parquet")).expect("its file")
});

// What the format's own crate breaks off with, the reader catches; what is not caught ends the target all the same.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| ())), |bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let file = if first % 4 == 0 {
        [b"PAR1", rest].concat()
    } else {
        // Three bytes say where, and what stands there then.
        let mut file = SOUND.clone();
        for change in rest.chunks_exact(3) {
            let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
            file[place] = change[2];
        }
        file
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.parquet");
    std::fs::write(&path, file).expect("a file");
    import(&path, &ImportOptions::default(), |_| Ok(()), |_| true).ok();
});

//! Files that nobody wrote in good faith: each ends in a clear message, with memory bounded.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Output},
};

use common::Engine;

/// Imports a file with at most 1.5 GiB of addresses, which a reader that held the whole file could not keep to.
fn import(engine: &Engine, path: &Path) -> Output {
    let command = engine.command(&["datasets", "import", path.to_str().unwrap(), "--json"]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -v 1572864; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    limited.output().unwrap()
}

/// The message of an import that has to fail.
fn refused(engine: &Engine, path: &Path) -> String {
    let output = import(engine, path);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}: {} {error}", path.display(), output.status);
    assert!(error.starts_with("error: ") && !error.contains("panicked"), "{error}");
    let left = std::fs::read_dir(engine.home.path().join("datasets")).unwrap().count();
    assert_eq!(left, 0, "nothing half is left");
    error
}

#[test]
fn a_line_of_a_gigabyte_is_refused_as_no_text_that_somebody_wrote() {
    let engine = Engine::new();
    let path = engine.home.path().join("long.csv");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"author,body,mbti\na,\"").unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        file.write_all(&piece).unwrap();
    }
    drop(file);
    assert!(refused(&engine, &path).contains("16 MiB"));
    let lines = engine.home.path().join("long.jsonl");
    std::fs::rename(&path, &lines).unwrap();
    assert!(refused(&engine, &lines).contains("MiB"));
    // And one of NUL bytes alone, which takes no room on the disk.
    File::options().write(true).truncate(true).open(&lines).unwrap().set_len(1 << 30).unwrap();
    refused(&engine, &lines);
}

#[test]
fn a_file_that_unpacks_to_hundreds_of_times_its_size_is_refused() {
    let engine = Engine::new();
    for (name, packer) in [("bomb.csv.gz", "gzip"), ("bomb.csv.zst", "zstd -q")] {
        let path = engine.home.path().join(name);
        let script = format!(
            "row=$(head -c 20000 /dev/zero | tr '\\0' x); \
             {{ echo author,body,mbti; yes \"a,$row,INFP\" | head -c 400000000; }} | {packer} > '{}'",
            path.display()
        );
        if !Command::new("sh").args(["-c", &script]).status().unwrap().success() {
            eprintln!("Passed over: there is no {packer} here.");
            continue;
        }
        let error = refused(&engine, &path);
        assert!(error.contains("hundreds of times") || error.contains("its size"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_parquet_file_that_lies_about_its_lengths_is_refused() {
    let engine = Engine::new();
    engine.import_small("small");
    let sound = engine.home.path().join("sound.parquet");
    engine.ok(&["datasets", "export", "small", sound.to_str().unwrap()]);
    engine.ok(&["datasets", "remove", "small"]);
    let sound = std::fs::read(sound).unwrap();
    let path = engine.home.path().join("lies.parquet");
    let end = sound.len();
    for footer in [0u32, 1, end as u32, u32::MAX, i32::MAX as u32] {
        let mut lies = sound.clone();
        lies[end - 8..end - 4].copy_from_slice(&footer.to_le_bytes());
        std::fs::write(&path, lies).unwrap();
        assert!(refused(&engine, &path).contains("parquet") || refused(&engine, &path).contains("Parquet"));
    }
    // Lengths of pages and columns: any byte of the footer as large as it can be.
    let footer = u32::from_le_bytes(sound[end - 8..end - 4].try_into().unwrap()) as usize;
    let mut seen = 0;
    for place in (end - 8 - footer..end - 8).step_by(37) {
        let mut lies = sound.clone();
        lies[place] = 0xff;
        std::fs::write(&path, lies).unwrap();
        let output = import(&engine, &path);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code <= 1), "{place}: {} {error}", output.status);
        assert!(!error.contains("panicked"), "{place}: {error}");
        seen += 1;
        if output.status.success() {
            engine.ok(&["datasets", "remove", "lies"]);
        }
    }
    assert!(seen > 10);
}

#[test]
fn nul_bytes_and_several_encodings_in_one_file_are_told_row_by_row_or_refused() {
    let engine = Engine::new();
    let mut text = b"author,body,mbti\n".to_vec();
    for n in 0..30 {
        text.extend(format!("a{n},ordinary words number {n},INFP\n").bytes());
    }
    let mut nul = text.clone();
    nul.extend(b"b,words with a \0 in them,ESTJ\n");
    nul.extend([0; 5000]);
    let mut mixed = text.clone();
    // GB18030, Latin-1 and half a character of UTF-8.
    for row in [&b"c,\xc4\xe3\xba\xc3\xca\xc0\xbd\xe7,ESTJ\n"[..], b"d,caf\xe9,ESTJ\n", b"e,\xe4\xbd,ESTJ\n"]
    {
        mixed.extend(row);
    }
    for (name, bytes) in [("nul.csv", nul), ("mixed.csv", mixed)] {
        let path = engine.file(name, bytes);
        let output = import(&engine, &path);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!error.contains("panicked"), "{name}: {error}");
        if output.status.success() {
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(report["data_set"]["examples"].as_i64().unwrap() >= 30, "{name}: {report}");
        } else {
            assert!(error.starts_with("error: ") && error.contains(name), "{name}: {error}");
        }
    }
}

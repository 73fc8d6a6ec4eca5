//! Files that nobody wrote in good faith: each ends in a clear message, with memory bounded.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow_array::{
    ArrayRef, RecordBatch, StringArray,
    builder::{ListBuilder, StringBuilder},
};
use common::Engine;
use parquet::{
    arrow::ArrowWriter,
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
};

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

/// What the slowest of the imports may take that end early, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// The message of an import that has to fail.
fn refused(engine: &Engine, path: &Path) -> String {
    let begun = Instant::now();
    let output = import(engine, path);
    assert!(begun.elapsed() < PATIENCE, "{} took {:?}", path.display(), begun.elapsed());
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
    for (name, bytes) in [("zeros.csv", nul), ("mixed.csv", mixed)] {
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

/// A Parquet file of a column of texts and one of types.
fn parquet_file(path: &Path, name: &str, texts: ArrayRef, packing: Compression, dictionary: bool) {
    parquet_batches(path, name, packing, dictionary, std::iter::once(texts));
}

/// The same, written piece by piece, since in the end it comes to more than should be in memory.
fn parquet_batches(
    path: &Path,
    name: &str,
    packing: Compression,
    dictionary: bool,
    pieces: impl Iterator<Item = ArrayRef>,
) {
    let properties = WriterProperties::builder()
        .set_compression(packing)
        .set_dictionary_enabled(dictionary)
        .set_dictionary_page_size_limit(32 << 20)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let mut writer = None;
    for texts in pieces {
        let types = (0..texts.len()).map(|_| Some("INFP")).collect::<StringArray>();
        let batch =
            RecordBatch::try_from_iter([(name, texts), ("type", Arc::new(types) as ArrayRef)]).unwrap();
        let writer = writer.get_or_insert_with(|| {
            let file = File::create(path).unwrap();
            ArrowWriter::try_new(file, batch.schema(), Some(properties.clone())).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
}

fn strings<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(texts.into_iter().map(|text| Some(text.as_ref().to_owned())).collect::<StringArray>())
}

#[test]
fn a_parquet_file_of_a_kilobyte_that_comes_to_gigabytes_is_refused() {
    let engine = Engine::new();
    let path = engine.home.path().join("bomb.parquet");
    let zstd = Compression::ZSTD(ZstdLevel::default());
    // One text of four mebibytes that stands in four hundred rows.
    let (long, rows) = ("x".repeat(4 << 20), 400);
    parquet_batches(&path, "body", zstd, true, (0..rows / 8).map(|_| strings((0..8).map(|_| &long))));
    assert!(std::fs::metadata(&path).unwrap().len() < 4000);
    assert!(refused(&engine, &path).contains("hundreds of times"));
    // The same as the posts of one row: a list of a million short ones and then of long ones.
    let mut lists = ListBuilder::new(StringBuilder::new());
    for text in [&"x".repeat(100), &long] {
        let count = if text.len() > 100 { 20 } else { 1_000_000 };
        (0..count).for_each(|_| lists.values().append_value(text));
        lists.append(true);
    }
    parquet_file(&path, "posts", Arc::new(lists.finish()), zstd, true);
    let error = refused(&engine, &path);
    assert!(error.contains("16 MiB") || error.contains("hundreds of times"), "{error}");
}

#[test]
fn parquet_pages_that_unpack_to_hundreds_of_times_their_size_are_refused() {
    let engine = Engine::new();
    let path = engine.home.path().join("bomb.parquet");
    for packing in [
        Compression::BROTLI(BrotliLevel::default()),
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let texts = strings((0..12).map(|n| format!("{n}{}", "x".repeat(8 << 20))));
        parquet_file(&path, "body", texts, packing, false);
        assert!(std::fs::metadata(&path).unwrap().len() < 2 << 20, "{packing}");
        let error = refused(&engine, &path);
        assert!(error.contains("hundreds of times") || error.contains("MiB"), "{packing}: {error}");
    }
}

#[test]
fn a_parquet_footer_that_is_too_deep_or_counts_what_is_not_there_is_refused() {
    let engine = Engine::new();
    let path = engine.home.path().join("footer.parquet");
    // Field 2, a list of structures; of each, field 4, the name, and field 5, how many columns are in it.
    let schema = |elements: &[u8], count: u32| {
        let varint = [count as u8 | 0x80, (count >> 7) as u8 | 0x80, (count >> 14) as u8];
        [&[0x15, 2, 0x19, 0xfc][..], &varint, elements, &[0x16, 0, 0x19, 0x0c, 0]].concat()
    };
    let one_in_one = [0x48, 1, b'a', 0x15, 2, 0];
    let billions = [0x48, 1, b'a', 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0];
    for footer in [
        schema(&one_in_one.repeat(40_000), 40_000),
        schema(&billions, 1),
        schema(&[&one_in_one[..], &billions].concat(), 2),
        // A list of two billion columns, of which none is there.
        vec![0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0],
    ] {
        let length = (footer.len() as u32).to_le_bytes();
        std::fs::write(&path, [&b"PAR1"[..], &footer, &length, b"PAR1"].concat()).unwrap();
        assert!(refused(&engine, &path).contains("Parquet"));
    }
}

#[test]
fn lines_of_json_and_rows_of_many_small_parts_take_bounded_memory() {
    let engine = Engine::new();
    let path = engine.home.path().join("parts.jsonl");
    let sound = "{\"text\": \"hello there\", \"type\": \"INFP\"}\n";
    let lists = format!("{{\"text\": [{}[]], \"type\": \"INFP\"}}\n", "[],".repeat(5 << 20));
    let keys: String = (0..1_200_000).map(|n| format!("\"{n}\":1,")).collect();
    let deep = format!("{{\"text\": {}", "[".repeat(15 << 20));
    std::fs::write(&path, format!("{sound}{lists}{{{keys}\"type\":\"INFP\"}}\n{deep}\n")).unwrap();
    let output = import(&engine, &path);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {error}", output.status);
    // Cells, none of which has anything in it, in rows that are read ahead to find out which column is what.
    let table = engine.home.path().join("cells.csv");
    let row = format!("{}\n", ",".repeat(15 << 20));
    std::fs::write(&table, format!("body,mbti\n{}hello,INFP\n", row.repeat(6))).unwrap();
    let output = import(&engine, &table);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {error}", output.status);
    engine.ok(&["datasets", "remove", "parts"]);
    engine.ok(&["datasets", "remove", "cells"]);
    std::fs::write(&table, &row).unwrap();
    assert!(refused(&engine, &table).contains("columns"));
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_at_once_wherever_it_stands() {
    let engine = Engine::new();
    let folder = engine.home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("1.csv"), "body,mbti\nhello there,INFP\n").unwrap();
    let pipe = folder.join("2.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), &folder, Path::new("/dev/zero")] {
        let error = refused(&engine, path);
        assert!(error.contains("regular file"), "{error}");
    }
    std::fs::remove_file(&pipe).unwrap();
    std::os::unix::fs::symlink("/proc/self/environ", &pipe).unwrap();
    let error = refused(&engine, &folder);
    assert!(error.contains("2.csv") && error.contains("outside"), "{error}");
}

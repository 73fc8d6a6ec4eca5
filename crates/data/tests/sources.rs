//! Files of all formats, packings and encodings, sound and hostile, as they are taken in.
#![allow(clippy::unwrap_used)]

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use data::{
    Error, Example, ImportOptions, Imported, Part, Reading, Stored, Table, export, import, preview, save,
};
use flate2::{Compression, write::GzEncoder};
use mbti::{Axis, Letter, Type};
use proptest::prelude::*;
use record::{AxisColumn, ColumnMapping, ExportFormat, SkipReason, SourceFormat};

const CHINESE: &str = "posts,type\n我喜欢安静的晚上，也喜欢一本好书,INFP\n\"周末，朋友们一起去爬山\n很开心\",ESFJ\n今天把所有的计划都写完了,estj\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn read_with(path: &Path, options: &ImportOptions) -> Result<(Vec<Example>, Imported), Error> {
    let mut examples = Vec::new();
    let imported = import(
        path,
        options,
        |example| {
            examples.push(example);
            Ok(())
        },
        |_| true,
    )?;
    Ok((examples, imported))
}

fn read(path: &Path) -> Vec<Example> {
    read_with(path, &ImportOptions::default()).unwrap().0
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_file_gives_the_same_rows_in_every_encoding() {
    let folder = Folder::new();
    let expected = read(&folder.file("utf8.csv", CHINESE));
    assert_eq!(expected.len(), 3);
    assert_eq!(expected[1].text, "周末，朋友们一起去爬山\n很开心");
    let (gb18030, _, _) = encoding_rs::GB18030.encode(CHINESE);
    let (big5, _, _) = encoding_rs::BIG5.encode(CHINESE);
    let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff).chain(CHINESE.encode_utf16()).flat_map(bytes).collect()
    };
    assert_eq!(read(&folder.file("gb.csv", &gb18030)), expected);
    assert_eq!(read(&folder.file("le.csv", utf16(u16::to_le_bytes))), expected);
    assert_eq!(read(&folder.file("be.csv", utf16(u16::to_be_bytes))), expected);
    assert_eq!(read(&folder.file("bom.csv", ["\u{feff}", CHINESE].concat())), expected);
    // Said rather than guessed; simplified characters are not in Big5, so that only what it has is compared.
    let options = ImportOptions {
        reading: Reading { encoding: Some(Reading::encoding("big5").unwrap()), delimiter: None },
        ..Default::default()
    };
    assert_eq!(read_with(&folder.file("big5.csv", &big5), &options).unwrap().0.len(), 3);
}

#[test]
fn packed_files_and_folders_of_them_are_read_as_what_is_in_them() {
    let folder = Folder::new();
    let expected = read(&folder.file("plain.csv", CHINESE));
    assert_eq!(read(&folder.file("a.csv.gz", gz(CHINESE.as_bytes()))), expected);
    let packed = zstd::encode_all(CHINESE.as_bytes(), 3).unwrap();
    // The ending says nothing: what is in it does.
    assert_eq!(read(&folder.file("b.dat", packed)), expected);
    let inner = folder.0.path().join("parts");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("1.csv.gz"), gz(CHINESE.as_bytes())).unwrap();
    std::fs::write(inner.join("2.tsv"), "type\tposts\nISTP\tone\n").unwrap();
    std::fs::write(inner.join(".hidden.csv"), "x").unwrap();
    std::fs::write(inner.join("README.md"), "x").unwrap();
    let (all, imported) = read_with(&inner, &ImportOptions::default()).unwrap();
    assert_eq!((all.len(), imported.rows), (4, 4));
    assert_eq!(all[3].text, "one");
    std::fs::remove_file(inner.join("1.csv.gz")).unwrap();
    std::fs::remove_file(inner.join("2.tsv")).unwrap();
    assert!(matches!(read_with(&inner, &ImportOptions::default()), Err(Error::NoFiles { .. })));
}

#[test]
fn json_lines_are_read_with_their_damaged_lines_reported() {
    let folder = Folder::new();
    let text = "{\"text\": \"one\", \"label\": \"INFP-T\", \"user\": 7}\n\nnot json\n[1]\n\
                {\"user\": null, \"label\": \"entj\", \"text\": \"two\\nlines\", \"more\": {}}\n";
    let (examples, imported) = read_with(&folder.file("a.jsonl", text), &ImportOptions::default()).unwrap();
    assert_eq!(examples.len(), 2);
    assert_eq!((examples[0].author.as_deref(), examples[1].author.as_deref()), (Some("7"), None));
    assert_eq!(examples[1].text, "two\nlines");
    assert_eq!(imported.skipped_by_reason, [(SkipReason::NotJson, 2)].into());
    assert_eq!(imported.skipped[0].line, 3);
    let list = folder.file("list.json", "[{\"text\": \"one\", \"type\": \"INFP\"}]");
    assert!(matches!(read_with(&list, &ImportOptions::default()), Err(Error::Format { .. })));
}

#[test]
fn columns_are_mapped_by_hand_and_numbers_need_a_meaning() {
    let folder = Folder::new();
    let path = folder
        .file("a.csv", "who,said,intro,sense,think,perceive\nann,hello there,1,0,true,F\nbob,bye,0,1,0,0\n");
    assert!(matches!(read_with(&path, &ImportOptions::default()), Err(Error::Columns { .. })));
    let axis = |axis: Axis, column: &str, one| (axis, AxisColumn { column: column.into(), one: Some(one) });
    let mapping = ColumnMapping {
        text: "said".into(),
        author: Some("who".into()),
        mbti: None,
        axes: [
            axis(Axis::ExtraversionIntroversion, "intro", Letter::I),
            axis(Axis::IntuitionSensing, "sense", Letter::S),
            axis(Axis::FeelingThinking, "think", Letter::T),
            axis(Axis::JudgingPerceiving, "perceive", Letter::P),
        ]
        .into(),
    };
    let options = ImportOptions { mapping: Some(mapping.clone()), ..Default::default() };
    let (examples, imported) = read_with(&path, &options).unwrap();
    // F is no letter of J-P, and no number either.
    assert_eq!(imported.skipped_by_reason, [(SkipReason::UnknownLetter, 1)].into());
    assert_eq!((examples.len(), examples[0].mbti.to_string().as_str()), (1, "ESFJ"));
    let wrong = ImportOptions { mapping: Some(ColumnMapping { text: "body".into(), ..mapping }), ..options };
    let error = read_with(&path, &wrong).unwrap_err();
    assert!(matches!(&error, Error::NoSuchColumn { name, .. } if name == "body"), "{error}");
}

#[test]
fn a_preview_tells_format_encoding_delimiter_columns_and_a_guess() {
    let folder = Folder::new();
    let (gb18030, _, _) = encoding_rs::GB18030
        .encode("用户;内容;类型\n小明;\"今天天气很好；出去走走\";INFP\n小红;在家看书看电影;ESTJ\n");
    let found = preview(&folder.file("a.csv", &gb18030), Reading::default()).unwrap();
    assert_eq!(
        (found.format, found.delimiter.as_deref(), found.files),
        (SourceFormat::Delimited, Some(";"), 1)
    );
    assert!(matches!(found.encoding.as_str(), "GBK" | "gb18030"));
    assert_eq!(found.columns, ["用户", "内容", "类型"]);
    assert_eq!(found.rows[0][1], "今天天气很好；出去走走");
    let mapping = found.mapping.unwrap();
    assert_eq!((mapping.text.as_str(), mapping.author.as_deref()), ("内容", Some("用户")));
    let unknown = preview(&folder.file("b.csv", "a,b\n1,2\n"), Reading::default()).unwrap();
    assert_eq!((unknown.mapping, unknown.rows.len()), (None, 1));
}

#[test]
fn hostile_files_end_in_an_error_that_says_what_they_are() {
    let folder = Folder::new();
    let fails = |name: &str, bytes: &[u8]| {
        read_with(&folder.file(name, bytes), &ImportOptions::default()).map(|found| found.1).unwrap_err()
    };
    let header = b"body,mbti\n".as_slice();
    let long = [header, &vec![b'x'; 20 << 20], b",INFP\n"].concat();
    assert!(matches!(fails("long.csv", &long), Error::LongRow { .. }));
    let quoted = [header, b"\"", &vec![b'\n'; 20 << 20]].concat();
    assert!(matches!(fails("quoted.csv", &quoted), Error::LongRow { .. }));
    let json =
        [b"{\"text\": \"a\", \"type\": \"INFP\"}\n{\"text\": \"".as_slice(), &vec![b'x'; 20 << 20]].concat();
    assert!(matches!(fails("long.jsonl", &json), Error::LongRow { .. }));
    // A bomb of rows, and one of a single row.
    let row = [vec![b'a'; 1000], b",INFP\n".to_vec()].concat();
    let rows = [header, row.repeat(100_000).as_slice()].concat();
    assert!(matches!(fails("bomb.csv.gz", &gz(&rows)), Error::Bomb { .. }));
    assert!(matches!(
        fails("bomb.gz", &gz(&vec![b' '; 100 << 20])),
        Error::Bomb { .. } | Error::LongRow { .. }
    ));
    let zstd = zstd::encode_all(rows.as_slice(), 3).unwrap();
    assert!(matches!(fails("bomb.csv.zst", &zstd), Error::Bomb { .. }));
    let cut = gz(CHINESE.as_bytes());
    assert!(matches!(fails("cut.csv.gz", &cut[..cut.len() - 12]), Error::Read { .. }));
    assert!(matches!(fails("zeros.csv", &[0; 5000]), Error::Nul { .. }));
    assert!(matches!(fails("some.csv", b"body,mbti\na\0b,INFP\n"), Error::Nul { line: 2, .. }));
    assert!(matches!(fails("a.parquet", b"PAR1 and then nothing of it PAR1"), Error::Format { .. }));
}

#[test]
fn a_parquet_file_that_is_damaged_anywhere_is_an_error_and_no_panic() {
    let folder = Folder::new();
    let examples: Vec<Example> = (0..300)
        .map(|n| Example {
            author: Some(format!("a{}", n % 9)),
            text: format!("text {n}"),
            mbti: Type::all().nth(n % 16).unwrap(),
        })
        .collect();
    let inner = folder.0.path().join("set");
    std::fs::create_dir(&inner).unwrap();
    save(&inner, |keep| {
        examples.iter().cloned().try_for_each(keep)?;
        Ok(Stored { has_authors: true, ..Stored::default() })
    })
    .unwrap();
    let bytes = std::fs::read(inner.join("examples.parquet")).unwrap();
    assert_eq!(read(&folder.file("whole.parquet", &bytes)), examples);
    let mut wrong = 0;
    for place in (4..bytes.len()).step_by(7) {
        for value in [0, 0xff, bytes[place] ^ 0x10] {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            wrong += usize::from(
                read_with(&folder.file("x.parquet", &damaged), &ImportOptions::default()).is_err(),
            );
        }
    }
    for length in (4..bytes.len()).step_by(11) {
        assert!(read_with(&folder.file("x.parquet", &bytes[..length]), &ImportOptions::default()).is_err());
    }
    assert!(wrong > 50, "{wrong}");
}

#[test]
fn an_import_that_is_stopped_or_cannot_be_written_ends_at_once() {
    let folder = Folder::new();
    let path = folder.file("a.csv", ["body,mbti\n", &"hello,INFP\n".repeat(100_000)].concat());
    let mut kept = 0;
    let keep = |_| {
        kept += 1;
        Ok(())
    };
    let stopped = import(&path, &ImportOptions::default(), keep, |progress| progress.examples < 5000);
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert!(kept < 10_000, "{kept}");
    let full = |_| Err(Error::Encode { reason: "full".into() });
    assert!(matches!(import(&path, &ImportOptions::default(), full, |_| true), Err(Error::Encode { .. })));
}

#[test]
fn cells_that_spreadsheets_take_for_formulas_are_made_safe_on_request() {
    let folder = Folder::new();
    let texts = ["=1+1", "+49", "-5 degrees", "@you", "\tx", "\rx", "plain = fine"];
    let example = |text: &&str| Example { author: None, text: (*text).into(), mbti: "INFP".parse().unwrap() };
    let table = Table::of(texts.iter().map(example).collect());
    let rows = table.rows();
    for safe in [false, true] {
        let path = folder.0.path().join(format!("{safe}.csv"));
        export(Part { table: &table, rows: &rows }, &path, ExportFormat::Csv, safe, |_| true).unwrap();
        let found: Vec<String> = read(&path).into_iter().map(|example| example.text).collect();
        let expected = texts
            .iter()
            .map(|text| if safe && !text.starts_with('p') { format!("'{text}") } else { (*text).into() });
        assert_eq!(found, expected.collect::<Vec<_>>());
        let again = export(Part { table: &table, rows: &rows }, &path, ExportFormat::Csv, safe, |_| true);
        assert!(matches!(again, Err(Error::Exists { .. })), "nothing is written over");
    }
    let path = folder.0.path().join("stopped.csv");
    assert!(matches!(
        export(Part { table: &table, rows: &rows }, &path, ExportFormat::Csv, false, |_| false),
        Err(Error::Stopped)
    ));
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_is_exported_and_imported_again_is_what_it_was(
        rows in proptest::collection::vec(
            (proptest::option::of("[a-z0-9,\"'=你]{1,9}"), "\\PC{0,20}[a-z你=+@\"]\\PC{0,9}[\r\n\t,\"|]{0,2}", 0..16usize), 1..30)
    ) {
        let folder = Folder::new();
        let examples: Vec<Example> = rows
            .into_iter()
            .map(|(author, text, index)| Example { author, text, mbti: Type::all().nth(index).unwrap() })
            .collect();
        let named = examples.iter().any(|example| example.author.is_some());
        let table = Table::of(examples.clone());
        let all = table.rows();
        for (format, name) in
            [(ExportFormat::Csv, "a.csv"), (ExportFormat::Jsonl, "a.jsonl"), (ExportFormat::Parquet, "a.parquet")]
        {
            let path = folder.0.path().join(name);
            export(Part { table: &table, rows: &all }, &path, format, false, |_| true).unwrap();
            let (found, imported) = read_with(&path, &ImportOptions::default()).unwrap();
            prop_assert_eq!(&found, &examples);
            prop_assert!(imported.has_authors || !named);
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic_and_every_row_is_kept_or_counted(
        start in proptest::sample::select(vec![
            b"author,body,mbti\n".to_vec(), b"posts\ttype\n".to_vec(), b"{\"text\":\"a\",\"type\":\"INFP\"}\n".to_vec(),
            b"\xff\xfe".to_vec(), b"PAR1".to_vec(), b"\x1f\x8b\x08".to_vec(), b"\x28\xb5\x2f\xfd".to_vec(), vec![],
        ]),
        rows in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)
    ) {
        let folder = Folder::new();
        let mut bytes = start;
        for row in rows {
            bytes.extend(row);
            bytes.push(b'\n');
        }
        if let Ok((examples, imported)) = read_with(&folder.file("x", &bytes), &ImportOptions::default()) {
            let skipped: i64 = imported.skipped_by_reason.values().sum();
            prop_assert_eq!(examples.len() as i64, imported.examples);
            prop_assert!(imported.rows <= imported.examples + skipped);
        }
    }
}

#[cfg(unix)]
#[test]
fn an_export_goes_through_no_link_and_over_nothing_of_the_user_s() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let example = Example { author: None, text: "words".into(), mbti: "INFP".parse().unwrap() };
    let table = Table::of(vec![example]);
    let rows = table.rows();
    let (precious, own) = (folder.file("precious", "x"), folder.file("a.csv.part", "mine"));
    for (format, name) in
        [(ExportFormat::Csv, "a.csv"), (ExportFormat::Jsonl, "b.jsonl"), (ExportFormat::Parquet, "c.parquet")]
    {
        let path = folder.0.path().join(name);
        let planted = folder.0.path().join(format!("{name}.part"));
        let is_planted = symlink(&precious, &planted).is_ok();
        export(Part { table: &table, rows: &rows }, &path, format, false, |_| true).unwrap();
        assert_eq!(read(&path).len(), 1);
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
        assert!(!is_planted || std::fs::symlink_metadata(&planted).unwrap().is_symlink());
        // A link in the place itself, whether it leads to something or not.
        for target in [precious.as_path(), Path::new("nowhere")] {
            std::fs::remove_file(&path).unwrap();
            symlink(target, &path).unwrap();
            let error = export(Part { table: &table, rows: &rows }, &path, format, false, |_| true);
            assert!(matches!(error, Err(Error::Exists { .. })));
        }
    }
    assert_eq!(std::fs::read(&precious).unwrap(), b"x");
    assert_eq!(std::fs::read(&own).unwrap(), b"mine");
    let left = std::fs::read_dir(folder.0.path()).unwrap().flatten();
    assert!(left.map(|entry| entry.file_name()).all(|name| !name.to_string_lossy().starts_with(".new-")));
}

#[test]
fn a_first_line_of_json_may_be_as_long_as_any_row() {
    let folder = Folder::new();
    let long = "word ".repeat(200_000);
    let short = "{\"body\": \"short\", \"mbti\": \"ESTJ\"}";
    let lines = format!("{{\"body\": \"{long}\", \"mbti\": \"INFP\"}}\n{short}\n");
    let found = read(&folder.file("long.jsonl", lines));
    assert_eq!(found.iter().map(|one| one.text.len()).collect::<Vec<_>>(), [long.len(), 5]);
    let endless = format!("{{\"body\": \"{}", "x".repeat(17 << 20));
    let error = read_with(&folder.file("endless.jsonl", endless), &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, Error::LongRow { .. }), "{error}");
    let error = read_with(&folder.file("none.jsonl", "{no json\n"), &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Format { format: "JSON Lines", .. }), "{error}");
}

#[test]
fn what_is_not_read_is_called_by_what_it_is() {
    let folder = Folder::new();
    let told = |name: &str, bytes: &[u8]| {
        read_with(&folder.file(name, bytes), &ImportOptions::default()).unwrap_err().to_string()
    };
    let nul = told("nul.csv", "body,mbti\nété,INFP\nx\0y,INFP\n".as_bytes());
    assert!(nul.contains("line 3 has a NUL character") && !nul.contains("not UTF-8"), "{nul}");
    for (start, name) in [
        (&b"BZh91AY&SY\x01\x02\x00\x00"[..], "bzip2"),
        (b"\xfd7zXZ\x00\x00\x04\xe6\xd6", "xz"),
        (b"PK\x03\x04\x14\x00\x00", "ZIP"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "7-Zip"),
    ] {
        let error = told("packed.csv", start);
        assert!(error.contains(name) && error.contains("unpack it"), "{error}");
    }
}

#[test]
fn texts_that_hardly_differ_are_exported_so_that_they_can_be_imported_again() {
    let folder = Folder::new();
    let text = "the same words ".repeat(20_000);
    let example = || Example { author: None, text: text.clone(), mbti: "INFP".parse().unwrap() };
    let table = Table::of((0..240).map(|_| example()).collect());
    let rows = table.rows();
    let path = folder.0.path().join("alike.parquet");
    export(Part { table: &table, rows: &rows }, &path, ExportFormat::Parquet, false, |_| true).unwrap();
    assert_eq!(read(&path).len(), 240);
}

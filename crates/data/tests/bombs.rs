//! Files that say little and come to much, and what stands where a file is expected; beside files of the same kinds
//! that are sound and must be read.
#![allow(clippy::unwrap_used)]

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringArray,
    builder::{ListBuilder, StringBuilder},
};
use data::{Error, Example, ImportOptions, Imported, Reading, import, preview};
use parquet::{
    arrow::ArrowWriter,
    basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel},
    file::{
        metadata::ParquetMetaDataReader,
        properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion},
    },
    schema::types::ColumnPath,
};
use proptest::prelude::*;

fn read(path: &Path) -> Result<(Vec<Example>, Imported), Error> {
    let mut examples = Vec::new();
    let keep = |example| {
        examples.push(example);
        Ok(())
    };
    let imported = import(path, &ImportOptions::default(), keep, |_| true)?;
    Ok((examples, imported))
}

fn refused(path: &Path) -> Error {
    read(path).map(|(examples, _)| examples.len()).unwrap_err()
}

fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(texts.into_iter().map(|text| Some(text.as_ref().to_owned())).collect::<StringArray>())
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, properties: WriterPropertiesBuilder) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, name != "mbti")),
    )
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn packings() -> Vec<Compression> {
    vec![
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ]
}

#[test]
fn what_writers_write_in_any_packing_encoding_and_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let rows = 3000;
    let authors: ArrayRef = Arc::new(
        (0..rows).map(|n| (n % 5 > 0).then(|| format!("author {}", n % 7))).collect::<StringArray>(),
    );
    let bodies: Vec<String> = (0..rows).map(|n| format!("text {n} {}", "文本 ".repeat(n % 40))).collect();
    let types = ["INFP", "ESTJ", "entp-A"];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for packing in packings() {
            for encoding in [
                None,
                Some(Encoding::PLAIN),
                Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
                Some(Encoding::DELTA_BYTE_ARRAY),
            ] {
                let mut properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_compression(packing)
                    .set_data_page_row_count_limit(500)
                    .set_write_batch_size(100)
                    .set_max_row_group_row_count(Some(1700))
                    .set_column_encoding(ColumnPath::from("n"), Encoding::DELTA_BINARY_PACKED)
                    .set_column_dictionary_enabled(ColumnPath::from("n"), false);
                if let Some(encoding) = encoding {
                    for name in ["author", "body", "mbti"] {
                        properties = properties
                            .set_column_encoding(ColumnPath::from(name), encoding)
                            .set_column_dictionary_enabled(ColumnPath::from(name), false);
                    }
                }
                let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
                write(
                    &path,
                    vec![
                        ("n", numbers),
                        ("author", authors.clone()),
                        ("body", texts(&bodies)),
                        ("mbti", texts((0..rows).map(|n| types[n % 3]))),
                    ],
                    properties,
                );
                let (found, imported) = read(&path).unwrap();
                assert_eq!(imported.rows, rows as i64, "{version:?} {packing} {encoding:?}");
                for (n, example) in found.iter().enumerate() {
                    assert_eq!(example.text, bodies[n], "{version:?} {packing} {encoding:?}");
                    assert_eq!(example.author.is_some(), n % 5 > 0);
                    assert_eq!(example.mbti.to_string(), types[n % 3][..4].to_uppercase());
                }
            }
        }
    }
    let found = preview(&path, Reading::default()).unwrap();
    assert_eq!(found.columns, ["n", "author", "body", "mbti"]);
    assert_eq!(found.rows[3][..2], ["3", "author 3"]);
}

#[test]
fn lists_of_texts_are_read_as_several_posts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..1000 {
        (0..row % 4).for_each(|post| lists.values().append_value(format!("post {post} of {row}")));
        lists.append(row % 9 > 0);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    let types = texts((0..1000).map(|_| "INFP"));
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let properties =
            WriterProperties::builder().set_writer_version(version).set_data_page_row_count_limit(70);
        write(&path, vec![("posts", lists.clone()), ("type", types.clone())], properties);
        let (found, _) = read(&path).unwrap();
        assert_eq!(found[0].text, "post 0 of 1");
        assert_eq!((found[2].text.as_str(), found[2].author.as_deref()), ("post 1 of 2", Some("row-3")));
        let expected: usize = (0..1000).filter(|row| row % 9 > 0).map(|row| row % 4).sum();
        assert_eq!(found.len(), expected);
    }
}

#[test]
fn half_a_million_rows_of_one_text_are_read_and_gigabytes_out_of_a_kilobyte_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let repeated = |text: &str, rows: usize| {
        let columns =
            vec![("body", texts((0..rows).map(|_| text))), ("mbti", texts((0..rows).map(|_| "INFP")))];
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        write(&path, columns, properties);
        std::fs::metadata(&path).unwrap().len()
    };
    let size = repeated(&"x y z ".repeat(16), 500_000);
    assert!(size < 20_000, "{size}");
    let mut count = 0;
    let keep = |_| {
        count += 1;
        Ok(())
    };
    import(&path, &ImportOptions::default(), keep, |_| true).unwrap();
    assert_eq!(count, 500_000);
    let size = repeated(&"x".repeat(100_000), 1000);
    assert!(size < 20_000, "{size}");
    assert!(matches!(refused(&path), Error::Bomb { .. }));
}

#[test]
fn pages_that_unpack_to_hundreds_of_times_the_file_are_refused_in_every_packing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    for packing in packings() {
        let bodies = (0..40).map(|n| format!("{n} {}", "x".repeat(2 << 20)));
        let columns = vec![("body", texts(bodies)), ("mbti", texts((0..40).map(|_| "INFP")))];
        let properties = WriterProperties::builder().set_compression(packing).set_dictionary_enabled(false);
        write(&path, columns, properties);
        let size = std::fs::metadata(&path).unwrap().len();
        // LZ4 and Snappy do not come to a two-hundredth; what is sound so far is read.
        match read(&path) {
            Ok((examples, _)) => {
                assert!(examples.len() == 40 && size > (80 << 20) / 200, "{packing}: {size}")
            }
            Err(error) => assert!(matches!(error, Error::Bomb { .. }), "{packing}: {error}"),
        }
        let is_bomb = size < (80 << 20) / 200;
        assert_eq!(read(&path).is_err(), is_bomb, "{packing}: {size}");
    }
}

/// Changes what the header of the first page of a column says of its size, in as many bytes.
fn lie(path: &Path, column: usize, size: u64) {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(path).unwrap()).unwrap();
    let (start, _) = metadata.row_group(0).column(column).byte_range();
    let mut bytes = std::fs::read(path).unwrap();
    let place = start as usize + 3;
    let (mut left, mut at) = (size * 2, place);
    loop {
        let last = bytes[at] & 0x80 == 0;
        bytes[at] = (left & 0x7f) as u8 | if last { 0 } else { 0x80 };
        left >>= 7;
        at += 1;
        if last {
            break;
        }
    }
    assert_eq!(left, 0, "the size does not fit");
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_page_that_says_less_or_more_than_it_unpacks_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    for packing in packings() {
        for size in [1 << 20, 120 << 20] {
            let body = texts(["x".repeat(4 << 20)]);
            let properties =
                WriterProperties::builder().set_compression(packing).set_dictionary_enabled(false);
            write(&path, vec![("body", body), ("mbti", texts(["INFP"]))], properties);
            assert_eq!(read(&path).unwrap().0.len(), 1, "{packing}");
            lie(&path, 0, size);
            // Where nothing is packed, what a header says of it counts for nothing.
            if packing == Compression::UNCOMPRESSED {
                assert_eq!(read(&path).unwrap().0.len(), 1);
                continue;
            }
            let error = refused(&path);
            assert!(matches!(error, Error::Bomb { .. } | Error::Format { .. }), "{packing}, {size}: {error}");
        }
    }
}

#[test]
fn a_name_that_stands_for_all_the_posts_of_its_row_is_cut_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let posts = "a|||".repeat(300_000);
    std::fs::write(&path, format!("author,posts,type\n{},{posts},INFP\n", "n".repeat(1000))).unwrap();
    assert!(matches!(refused(&path), Error::Bomb { .. }));
    std::fs::write(&path, format!("author,posts,type\n{},a|||b,INFP\n", "é".repeat(1 << 20))).unwrap();
    let (examples, _) = read(&path).unwrap();
    let expected = "é".repeat(512);
    assert!(examples.iter().all(|example| example.author.as_deref() == Some(expected.as_str())));
}

#[test]
fn a_table_of_a_million_columns_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let wide = ",".repeat(1 << 20);
    std::fs::write(&path, format!("body,mbti{wide}\n")).unwrap();
    assert!(matches!(refused(&path), Error::Format { .. }));
    // Rows of a million empty cells, which are read ahead to guess the columns.
    std::fs::write(&path, format!("body,mbti\n{}a,INFP\n", format!("{wide}\n").repeat(20))).unwrap();
    let (examples, imported) = read(&path).unwrap();
    assert_eq!((examples.len(), imported.rows), (1, 21));
}

#[test]
fn an_import_without_a_single_usable_row_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    std::fs::write(&path, format!("body,mbti\n{}", "some words,NONE\n".repeat(4 << 20))).unwrap();
    let stopped = import(&path, &ImportOptions::default(), |_| Ok(()), |_| false);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
}

/// Small files in all packings and encodings.
static SMALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..40 {
        (0..row % 3).for_each(|post| lists.values().append_value(format!("post {post}")));
        lists.append(row % 5 > 0);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    let mut files = Vec::new();
    for (place, packing) in packings().into_iter().enumerate() {
        for encoding in [
            None,
            Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
            Some(Encoding::DELTA_BYTE_ARRAY),
            Some(Encoding::PLAIN),
        ] {
            let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][place % 2];
            let mut properties =
                WriterProperties::builder().set_compression(packing).set_writer_version(version);
            if let Some(encoding) = encoding {
                properties = properties.set_dictionary_enabled(false);
                properties = properties.set_column_encoding(ColumnPath::from("body"), encoding);
            }
            let columns = vec![
                ("body", texts((0..40).map(|n| format!("text {}, 文本", n % 9)))),
                ("mbti", texts((0..40).map(|_| "INFP"))),
                ("more", lists.clone()),
            ];
            write(&path, columns, properties);
            files.push(std::fs::read(&path).unwrap());
        }
    }
    files
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn bytes_changed_in_a_parquet_file_end_in_an_error_and_in_nothing_worse(
        file in 0..28usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes = SMALL[file].clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        std::fs::write(&path, bytes).unwrap();
        if let Ok((examples, imported)) = read(&path) {
            prop_assert_eq!(examples.len() as i64, imported.examples);
        }
    }
}

#[cfg(unix)]
mod places {
    use super::*;
    use std::os::unix::fs::symlink;

    const TABLE: &str = "body,mbti\nhello there,INFP\n";

    fn pipe(path: &Path) {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }

    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        pipe(&path);
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        for path in [path.as_path(), &folder.path().join("s"), Path::new("/dev/zero"), folder.path()] {
            let error = refused(path);
            assert!(matches!(error, Error::Read { .. }), "{error}");
            assert!(preview(path, Reading::default()).is_err());
        }
    }

    fn folder(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("datasets--a--b/snapshots/abc");
        std::fs::create_dir_all(&inner).unwrap();
        files.iter().for_each(|file| std::fs::write(inner.join(file), TABLE).unwrap());
        (root, inner)
    }

    #[test]
    fn links_in_a_folder_are_followed_within_it_and_to_the_blobs_of_its_cache_and_nowhere_else() {
        let (root, inner) = folder(&["1.csv"]);
        let blobs = root.path().join("datasets--a--b/blobs");
        std::fs::create_dir(&blobs).unwrap();
        std::fs::write(blobs.join("0123"), TABLE).unwrap();
        symlink("1.csv", inner.join("2.csv")).unwrap();
        symlink("../../blobs/0123", inner.join("3.csv")).unwrap();
        assert_eq!(read(&inner).unwrap().0.len(), 3);
        // The user has named this one.
        assert_eq!(read(&inner.join("3.csv")).unwrap().0.len(), 1);
        std::fs::write(root.path().join("secret"), TABLE).unwrap();
        for target in ["../../../secret", "/proc/self/environ", "/dev/zero", "nowhere", "."] {
            symlink(target, inner.join("4.csv")).unwrap();
            let error = refused(&inner);
            assert!(error.to_string().contains("4.csv"), "{error}");
            std::fs::remove_file(inner.join("4.csv")).unwrap();
        }
        // Blobs that are a link themselves could be anything.
        std::fs::rename(&blobs, root.path().join("elsewhere")).unwrap();
        symlink("../elsewhere", &blobs).unwrap();
        assert!(refused(&inner).to_string().contains("3.csv"));
    }

    #[test]
    fn a_pipe_in_a_folder_is_named_and_other_files_are_left_alone() {
        let (_root, inner) = folder(&["1.csv"]);
        pipe(&inner.join("notes"));
        std::fs::create_dir(inner.join("more.csv")).unwrap();
        assert_eq!(read(&inner).unwrap().0.len(), 1);
        pipe(&inner.join("2.csv"));
        assert!(refused(&inner).to_string().contains("2.csv"));
    }
}

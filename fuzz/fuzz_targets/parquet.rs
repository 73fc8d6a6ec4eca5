//! Sound Parquet files, in several encodings and packings, with bytes changed in them, and any bytes that say they are
//! one.
#![no_main]

use std::sync::{Arc, LazyLock};

use arrow_array::{
    ArrayRef, RecordBatch, StringArray,
    builder::{ListBuilder, StringBuilder},
};
use data::{ImportOptions, import};
use libfuzzer_sys::fuzz_target;
use parquet::{
    arrow::ArrowWriter,
    basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel},
    file::properties::{WriterProperties, WriterVersion},
};

static SOUND: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let packings = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    let encodings = [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];
    let mut files = Vec::new();
    for (place, packing) in packings.into_iter().enumerate() {
        let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][place % 2];
        let properties = WriterProperties::builder().set_compression(packing).set_writer_version(version);
        files.push(file(properties.clone().build()));
        for encoding in encodings {
            let properties = properties.clone().set_dictionary_enabled(false).set_encoding(encoding);
            files.push(file(properties.build()));
        }
    }
    files
});

fn file(properties: WriterProperties) -> Vec<u8> {
    let types: Vec<String> = mbti::Type::all().map(|mbti| mbti.to_string()).collect();
    let authors: StringArray =
        (0..types.len()).map(|n| (n % 3 > 0).then(|| format!("a{}", n % 5))).collect();
    let texts = StringArray::from_iter_values((0..types.len()).map(|n| format!("text {n}, 文本")));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for n in 0..types.len() {
        (0..n % 4).for_each(|post| lists.values().append_value(format!("post {post}")));
        lists.append(n % 5 > 0);
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("author", Arc::new(authors)),
        ("body", Arc::new(texts)),
        ("mbti", Arc::new(StringArray::from(types))),
        ("more", Arc::new(lists.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a table");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a file");
    bytes
}

// What the format's own crate breaks off with, the reader catches; what is not caught ends the target all the same.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| ())), |bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let first = usize::from(first);
    let file = match SOUND.get(first % (SOUND.len() + 1)) {
        None => [b"PAR1", rest].concat(),
        Some(sound) => {
            let mut file = sound.clone();
            // Three bytes say where, and what stands there then.
            for change in rest.chunks_exact(3) {
                let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
                file[place] = change[2];
            }
            file
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.parquet");
    std::fs::write(&path, file).expect("a file");
    import(&path, &ImportOptions::default(), |_| Ok(()), |_| true).ok();
});

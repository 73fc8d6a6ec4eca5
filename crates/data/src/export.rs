use std::{
    io::{BufWriter, Write},
    path::Path,
};

use files::{Access, Replacement};
use mbti::Axis;
use record::ExportFormat;
use serde_json::json;

use crate::{
    Error, Example, Part,
    error::Result,
    parquet_file::{self, Packing},
    source::guard::Produced,
};

/// What the type of a text comes to, with room to spare.
const TYPE_BYTES: u64 = 16;

/// Writes texts to a new file, with the columns author, body, mbti, E-I, N-S, F-T and J-P in CSV and JSON
/// Lines and the first three of them in Parquet, so that they can be imported again as they were.
///
/// With `safe_cells`, which only matters to CSV, an apostrophe is put before texts and authors that
/// begin with `=`, `+`, `-`, `@`, a tab or a carriage return, which spreadsheets would take for formulas
/// (OWASP, "CSV Injection"); imported again, they have it still.
///
/// It is written under a random name beside the path and gets its own at the end, never over what is there.
/// Where it fails or is stopped nothing is left of it; where the process is killed, `.new-….part` is.
pub fn export(
    part: Part,
    path: &Path,
    format: ExportFormat,
    safe_cells: bool,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<()> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.to_owned() },
        _ => Error::write(path, error),
    };
    // A link counts as well, whatever it leads to. Told now, since nobody wants to wait for it.
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(Error::Exists { path: path.to_owned() });
    }
    let written = match format {
        ExportFormat::Csv => write_csv(part, path, safe_cells, &mut progress),
        ExportFormat::Jsonl => write_json_lines(part, path, &mut progress),
        ExportFormat::Parquet => write_parquet(part, path, &mut progress),
    };
    written?.put_new().map_err(failed)
}

/// Hands each example to `write`, and ends it where that is wished.
fn each(
    part: Part,
    progress: &mut dyn FnMut(usize) -> bool,
    mut write: impl FnMut(Example) -> Result<()>,
) -> Result<()> {
    let whole = part.table.each(part.rows, |place, example| {
        write(example)?;
        Ok(place % 1024 != 0 || progress(place))
    })?;
    if whole { Ok(()) } else { Err(Error::Stopped) }
}

/// A file of a random name beside the place, which nobody can have put there before.
fn begin(path: &Path) -> Result<BufWriter<Replacement>> {
    let new = Replacement::begin(path, Access::Usual).map_err(|error| Error::write(path, error))?;
    Ok(BufWriter::with_capacity(1 << 18, new))
}

fn finish(path: &Path, output: BufWriter<Replacement>) -> Result<Replacement> {
    output.into_inner().map_err(|error| Error::write(path, error.into_error()))
}

fn write_csv(
    part: Part,
    path: &Path,
    safe_cells: bool,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<Replacement> {
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::write(path, source),
        other => Error::write(path, std::io::Error::other(format!("{other:?}"))),
    };
    let mut writer = csv::Writer::from_writer(begin(path)?);
    let names = Axis::ALL.map(Axis::name);
    writer.write_record(["author", "body", "mbti"].into_iter().chain(names)).map_err(failed)?;
    let cell = |text: String| if safe_cells && is_formula(&text) { format!("'{text}") } else { text };
    each(part, progress, |example| {
        let letters = Axis::ALL.map(|axis| example.mbti.letter(axis).to_string());
        let cells = [cell(example.author.unwrap_or_default()), cell(example.text), example.mbti.to_string()];
        writer.write_record(cells.into_iter().chain(letters)).map_err(failed)
    })?;
    finish(path, writer.into_inner().map_err(|error| Error::write(path, error.into_error()))?)
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn write_json_lines(part: Part, path: &Path, progress: &mut dyn FnMut(usize) -> bool) -> Result<Replacement> {
    let mut output = begin(path)?;
    each(part, progress, |example| {
        let letter = |axis: Axis| example.mbti.letter(axis).to_string();
        let [a, b, c, d] = Axis::ALL;
        let line = json!({
            "author": example.author, "body": example.text, "mbti": example.mbti.to_string(),
            a.name(): letter(a), b.name(): letter(b), c.name(): letter(c), d.name(): letter(d),
        });
        writeln!(output, "{line}").map_err(|error| Error::write(path, error))
    })?;
    finish(path, output)
}

/// Texts that hardly differ are packed to so little that an import would take the file for a bomb. Such a file is
/// written once more as it is, so that whatever was exported can be imported again.
fn write_parquet(part: Part, path: &Path, progress: &mut dyn FnMut(usize) -> bool) -> Result<Replacement> {
    let mut write = |packing| {
        let mut bytes = 0;
        let mut writer = parquet_file::Writer::begin(path, Access::Usual, packing)?;
        each(part, progress, |example| {
            bytes += example.bytes() as u64 + TYPE_BYTES;
            writer.push(&example)
        })?;
        Ok((writer.finish()?, bytes))
    };
    let (mut packed, bytes) = write(Packing::Zstd)?;
    let size = packed.file().metadata().map_err(|error| Error::write(path, error))?.len();
    if Produced::default().add(bytes, size).is_ok() {
        return Ok(packed);
    }
    drop(packed);
    Ok(write(Packing::None)?.0)
}

//! What a model says of each text of a data set, as a Parquet file: columns author and mbti, overlaps, and for each axis,
//! by its name, the log odds of its second letter as the network gives them.

use std::{path::Path, sync::Arc};

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use files::{Access, Replacement};
use mbti::Axis;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{metadata::KeyValue, properties::WriterProperties},
};

use crate::{
    Error, Labels,
    error::Result,
    labels::LabelsBuilder,
    parquet_file::{AUTHOR, MBTI, damaged, failed, open, strings},
};

/// The name in the file's metadata under which the hash of the texts stands.
const TEXTS: &str = "mbti_tuner.texts";
const OVERLAPS: &str = "overlaps";
/// Texts that are read at once.
const BATCH_ROWS: usize = 8 * 1024;

/// The logits of all texts of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct TextLogits {
    /// The hash of the texts, as [`crate::fingerprint`] gives it.
    pub texts: String,
    pub labels: Labels,
    /// Whether each text shares something with what the model learned from, as far as that is known: [texts].
    pub overlaps: Vec<bool>,
    pub axes: Vec<Axis>,
    /// [texts][axes], flat row-major.
    pub logits: Vec<f64>,
}

/// Writes the file whole or not at all; one that is there is replaced.
pub fn write_logits(path: &Path, found: &TextLogits) -> Result<()> {
    let file = Replacement::begin(path, Access::Owner).map_err(|error| Error::write(path, error))?;
    let level = ZstdLevel::try_new(1).map_err(|error| failed(path, error))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_key_value_metadata(Some(vec![KeyValue::new(TEXTS.to_owned(), found.texts.clone())]))
        .build();
    let batch = batch(found).map_err(|error| failed(path, error.into()))?;
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(|error| failed(path, error))?;
    writer.write(&batch).map_err(|error| failed(path, error))?;
    let file = writer.into_inner().map_err(|error| failed(path, error))?;
    file.put().map_err(|error| Error::write(path, error))
}

fn batch(found: &TextLogits) -> std::result::Result<RecordBatch, arrow_schema::ArrowError> {
    let (labels, axes) = (&found.labels, &found.axes);
    let authors: StringArray = (0..labels.len()).map(|row| labels.author(row)).collect();
    let types: StringArray = labels.types.iter().map(|mbti| Some(mbti.to_string())).collect();
    let overlaps = BooleanArray::from(found.overlaps.clone());
    let mut fields = vec![
        Field::new(AUTHOR, DataType::Utf8, true),
        Field::new(MBTI, DataType::Utf8, false),
        Field::new(OVERLAPS, DataType::Boolean, false),
    ];
    let mut columns: Vec<ArrayRef> = vec![Arc::new(authors), Arc::new(types), Arc::new(overlaps)];
    for (place, axis) in axes.iter().enumerate() {
        let of_axis = found.logits.iter().skip(place).step_by(axes.len()).copied();
        fields.push(Field::new(axis.name(), DataType::Float64, false));
        columns.push(Arc::new(Float64Array::from_iter_values(of_axis)));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Reads what [`write_logits`] wrote.
pub fn read_logits(path: &Path) -> Result<TextLogits> {
    read(path).map_err(|error| match error {
        // What helps is another thing than with a data set.
        Error::Damaged { path, reason, .. } => Error::DamagedLogits { path, reason },
        other => other,
    })
}

fn read(path: &Path) -> Result<TextLogits> {
    let builder = open(path)?;
    let metadata = builder.metadata().file_metadata();
    let noted = metadata.key_value_metadata().into_iter().flatten().find(|noted| noted.key == TEXTS);
    let texts = noted.and_then(|noted| noted.value.clone());
    let texts = texts.ok_or_else(|| damaged(path, 0, "it does not say of which texts it is"))?;
    let schema = builder.schema().clone();
    let axes: Vec<Axis> =
        Axis::ALL.into_iter().filter(|axis| schema.field_with_name(axis.name()).is_ok()).collect();
    let (mut labels, mut overlaps, mut logits) = (LabelsBuilder::default(), Vec::new(), Vec::new());
    let mut row = 0;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| damaged(path, 0, error))?;
    for batch in reader {
        let batch = batch.map_err(|error| damaged(path, row, error))?;
        let [authors, types] = [strings(&batch, AUTHOR, path)?, strings(&batch, MBTI, path)?];
        let of_axes: Vec<&Float64Array> =
            axes.iter().map(|axis| column(&batch, axis.name(), path)).collect::<Result<_>>()?;
        let overlapping: &BooleanArray = column(&batch, OVERLAPS, path)?;
        for place in 0..batch.num_rows() {
            row += 1;
            let mbti = types.value(place).parse().map_err(|error: mbti::Error| damaged(path, row, error))?;
            labels.push(authors.is_valid(place).then(|| authors.value(place)), mbti);
            overlaps.push(overlapping.value(place));
            logits.extend(of_axes.iter().map(|of_axis| of_axis.value(place)));
        }
    }
    Ok(TextLogits { texts, labels: labels.finish(), overlaps, axes, logits })
}

fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str, path: &Path) -> Result<&'a T> {
    let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| damaged(path, 0, format!("the column {name} is missing, or of another kind")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Example;

    fn found(texts: usize) -> TextLogits {
        let examples: Vec<Example> = (0..texts)
            .map(|n| Example {
                author: (n % 3 > 0).then(|| format!("a{}", n % 5)),
                text: String::new(),
                mbti: ["INFP", "ESTJ"][n % 2].parse().unwrap(),
            })
            .collect();
        let axes = vec![Axis::FeelingThinking, Axis::JudgingPerceiving];
        let logits = (0..2 * texts).map(|n| (n as f64 - 7.0) / 3.0).collect();
        let overlaps = (0..texts).map(|n| n % 4 == 0).collect();
        TextLogits { texts: "0f".into(), labels: Labels::of(&examples), overlaps, axes, logits }
    }

    #[test]
    fn logits_are_read_as_they_were_written_and_replace_those_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.parquet");
        for texts in [20_000, 0, 1] {
            let found = found(texts);
            write_logits(&path, &found).unwrap();
            assert_eq!(read_logits(&path).unwrap(), found);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_such_file_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.parquet");
        assert!(matches!(read_logits(&path), Err(Error::NotFound { .. })));
        std::fs::write(&path, "no Parquet").unwrap();
        assert!(matches!(read_logits(&path), Err(Error::DamagedLogits { .. })));
        // A file of examples has neither logits nor a hash.
        crate::save(folder.path(), |keep| {
            keep(Example { author: None, text: "x".into(), mbti: "INFP".parse().unwrap() })?;
            Ok(crate::Stored::default())
        })
        .unwrap();
        let error = read_logits(&folder.path().join("examples.parquet")).unwrap_err();
        assert!(error.to_string().contains("of which texts"), "{error}");
        let beside = folder.path().join("nowhere/d.parquet");
        assert!(matches!(write_logits(&beside, &found(1)), Err(Error::Write { .. })));
    }
}

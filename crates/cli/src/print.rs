//! Output: JSON for programs, aligned columns for people.

use std::io::Write;

use mbti::Axis;
use record::AxisMetrics;
use serde::Serialize;

use crate::error::Result;

/// One value as JSON on a line of its own, at once.
pub fn json(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

pub fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    Ok(writeln!(out, "{text}")?)
}

/// A message beside the result.
pub fn note(text: &str) {
    // When nobody reads the messages the work itself need not end.
    writeln!(std::io::stderr(), "{text}").ok();
}

/// Rows in columns as wide as their widest cell, by characters and not by bytes.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        line(cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// What stands where nothing is known.
pub fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

pub fn number(value: Option<f64>) -> String {
    or_dash(value.map(|value| format!("{value:.3}")))
}

/// The metrics against the line that they have to beat.
pub fn metrics<'a>(axes: impl Iterator<Item = (&'a Axis, &'a AxisMetrics)>) -> Result<()> {
    let rows: Vec<Vec<String>> = axes
        .map(|(axis, m)| {
            let cells = [m.majority_accuracy, m.accuracy, m.f1, m.macro_f1, m.balanced_accuracy, m.mcc];
            std::iter::once(axis.name().to_owned()).chain(cells.map(number)).collect()
        })
        .collect();
    table(&["axis", "majority", "accuracy", "f1", "macro_f1", "balanced_accuracy", "mcc"], &rows)
}

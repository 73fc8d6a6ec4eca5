//! Output: JSON for programs, aligned columns for people. All that reaches a terminal goes through here, and so through
//! one filter: names, licences and texts are strangers', and a terminal obeys the control characters in them.
#![allow(clippy::disallowed_methods, reason = "this is the one place that writes")]

mod bar;
mod json;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    borrow::Cow,
    fmt::Display,
    io::Write,
    panic::PanicHookInfo,
};

use clap::error::ErrorKind;
use mbti::Axis;
use record::{AxisMetrics, one_line, printable};

use crate::error::Result;

pub use bar::{bar, hidden_bar, message};
pub use json::{json, json_beside};

/// Characters of a line, and of a cell, past which nobody reads.
const LONGEST_LINE: usize = 20_000;
const LONGEST_CELL: usize = 1_000;
/// Columns are padded to at most so many characters; a longer cell moves what follows it.
const WIDEST_COLUMN: usize = 100;

/// A line of the result. A line end in it, which can only be part of what a stranger named, begins no new one.
pub fn line(text: &str) -> Result<()> {
    write_out(&[&shortened(one_line(text), LONGEST_LINE), "\n"])
}

/// A line before which one is left free.
pub fn heading(text: &str) -> Result<()> {
    line("")?;
    line(text)
}

/// Several lines that are the program's own, such as a file of settings.
pub fn lines(text: &str) -> Result<()> {
    write_out(&[&printable(text), "\n"])
}

/// A message beside the result.
pub fn note(text: &str) {
    write_beside(&shortened(one_line(text), LONGEST_LINE));
}

/// A clause as the beginning of a sentence.
pub fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Why a command failed.
pub fn error(error: &impl Display) {
    write_beside(&format!("error: {}", message_of(&error.to_string())));
}

/// Shows what the parser of the arguments has to say: help, or what is wrong with them.
pub fn parser_says(error: &clap::Error) {
    match error.kind() {
        // These hold nothing that was given, and may have colours.
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.print().ok(),
        _ => {
            write_beside(printable(error.render().to_string().trim_end()).as_ref());
            None
        }
    };
}

/// Has panics told by the same filter, since their messages may quote what was read.
pub fn panics_too() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo| {
        let thread = std::thread::current();
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let said = panic.payload_as_str().unwrap_or("no message");
        let name = thread.name().unwrap_or("without a name");
        write_beside(&message_of(&format!("thread {name} panicked{place}: {said}")));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            write_beside(&printable(&trace.to_string()));
        }
    }));
}

/// Rows in columns as wide as their widest cell, by characters and not by bytes.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let cell = |text: &str| shortened(one_line(text), LONGEST_CELL).into_owned();
    let header: Vec<String> = header.iter().map(|name| cell(name)).collect();
    let rows = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect());
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().min(WIDEST_COLUMN).max(*width);
        }
    }
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        write_out(&[cells.join("  ").trim_end(), "\n"])?;
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

/// A length of time in words, in the unit that it is lived through in.
pub fn time(seconds: f64) -> String {
    match seconds {
        ..1.0 => "less than a second".to_owned(),
        1.0..99.5 => format!("about {seconds:.0} s"),
        99.5..5970.0 => format!("about {:.0} minutes", seconds / 60.0),
        _ => format!("about {:.1} hours", seconds / 3600.0),
    }
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

/// A message that may have several lines. All but the first are set in, so that none of them looks like another message.
fn message_of(text: &str) -> String {
    let text = shortened(printable(text.trim_end()), LONGEST_LINE);
    text.split('\n').collect::<Vec<_>>().join("\n  ")
}

fn shortened(text: Cow<'_, str>, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => text,
    }
}

fn write_out(pieces: &[&str]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for piece in pieces {
        out.write_all(piece.as_bytes())?;
    }
    Ok(())
}

fn write_beside(text: &str) {
    // When nobody reads the messages the work itself need not end.
    writeln!(std::io::stderr(), "{text}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_has_none_that_looks_like_another_message() {
        assert_eq!(message_of("no \"a\nerror: b\u{1b}[2J\"\n"), "no \"a\n  error: b\u{FFFD}[2J\"");
    }

    #[test]
    fn no_length_of_time_reads_as_nothing() {
        for (seconds, text) in [
            (0.0, "less than a second"),
            (0.7, "less than a second"),
            (1.4, "about 1 s"),
            (99.0, "about 99 s"),
            (120.0, "about 2 minutes"),
            (5400.0, "about 90 minutes"),
            (7200.0, "about 2.0 hours"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn what_nobody_reads_to_its_end_is_cut() {
        assert_eq!(shortened("好好好".into(), 3), "好好好");
        assert_eq!(shortened("好好好".into(), 2), "好好…");
    }
}

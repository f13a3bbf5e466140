//! What the commands print: lines, tables and JSON, with colours where a person reads them.
//!
//! Owns tones, the shape of tables and the choice between text and JSON. Refuses to know what is shown. Colours are
//! always written here and taken out by `anstream` where they do not belong: no terminal, `NO_COLOR`, `--color never`.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde::Serialize;

/// For whom a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For machines: one JSON document on standard output.
    Json,
}

impl Format {
    /// By the flag `--json`.
    pub(super) const fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// When colours are used (`--color`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colors {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Even into a pipe or a file
    Always,
    /// Not at all
    Never,
}

impl Colors {
    /// Makes it so for everything that is printed from here on.
    pub(super) fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// What a piece of text means to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing special.
    Plain,
    /// As it should be.
    Good,
    /// Wrong.
    Bad,
    /// Noteworthy.
    Warning,
    /// Only there for completeness.
    Dim,
    /// Begins something.
    Heading,
    /// To be typed.
    Command,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Dim => Style::new().dimmed(),
            Self::Heading => Style::new().bold(),
            Self::Command => AnsiColor::Cyan.on_default(),
        }
    }

    /// `text` in this tone.
    pub(super) const fn paint<T: Display>(self, text: T) -> Painted<T> {
        Painted { tone: self, text }
    }

    /// A table's cell in this tone.
    pub(super) fn cell(self, text: impl Display) -> Cell {
        let cell = Cell::new(text);
        match self {
            Self::Plain => cell,
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Bad => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
            Self::Warning => cell.fg(Color::DarkYellow),
            Self::Dim => cell.add_attribute(Attribute::Dim),
            Self::Heading => cell.add_attribute(Attribute::Bold),
            Self::Command => cell.fg(Color::DarkCyan),
        }
    }
}

/// Text in a tone.
pub(super) struct Painted<T> {
    tone: Tone,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = self.tone.style();
        write!(out, "{style}{}{style:#}", self.text)
    }
}

/// An empty table with these column heads and no lines around it; [`print`] it.
pub(super) fn table(heads: &[&str]) -> Table {
    let mut table = block();
    table.set_header(heads.iter().map(|head| Tone::Dim.cell(head)));
    table
}

/// A table without heads, for text that is wrapped beside a margin.
pub(super) fn block() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).enforce_styling().set_content_arrangement(ContentArrangement::Dynamic);
    table.style_text_only();
    table
}

/// A cell of a number: right-aligned.
pub(super) fn number(text: impl Display) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// In windows narrower than this a table's columns would be narrower than its words.
const NARROW: u16 = 70;

/// A table, each line `indent` columns to the right, as wide as the terminal at most; without the last line's end. In a
/// narrow window its columns stand below each other.
pub(super) fn indented(table: &mut Table, indent: u16) -> String {
    let narrow = table.width().is_some_and(|width| width < NARROW);
    let mut stacked = if narrow { stacked(table) } else { None };
    let table = stacked.as_mut().unwrap_or(table);
    if let Some(width) = table.width() {
        table.set_width(width.saturating_sub(indent).max(20));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let space = " ".repeat(usize::from(indent));
    let lines = table.lines().map(|line| format!("{space}{line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The same with a line for each cell, behind its column's head; `None` if the table has no heads or is not to be
/// wrapped at all.
fn stacked(table: &Table) -> Option<Table> {
    if matches!(table.content_arrangement(), ContentArrangement::Disabled) {
        return None;
    }
    let heads: Vec<Cell> = table.header()?.cell_iter().cloned().collect();
    let mut rows = block();
    if let Some(width) = table.width() {
        rows.set_width(width);
    }
    for row in table.row_iter() {
        if !rows.is_empty() {
            rows.add_row([""]);
        }
        let cells = heads.iter().zip(row.cell_iter()).filter(|(_, cell)| !cell.content().is_empty());
        for (head, cell) in cells {
            rows.add_row([head.clone(), cell.clone().set_alignment(CellAlignment::Left)]);
        }
    }
    Some(rows)
}

/// Whether something could not be written to standard output.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether something that belonged on standard output is lost.
pub(super) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Notes what became of writing to standard output. A reader that went away (`| head`) is no error; a full disk is one,
/// told once, and [`is_lost`] makes it the exit status.
pub(super) fn noted(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            if !LOST.swap(true, Ordering::Relaxed) {
                let who = Tone::Bad.paint("backstop:");
                complain(format_args!("{who} cannot write to standard output: {error}"));
            }
        }
        Ok(()) | Err(_) => {}
    }
}

/// A line on standard output.
pub(super) fn say(text: impl Display) {
    let mut out = anstream::stdout().lock();
    noted(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// A line on standard error.
pub(super) fn complain(text: impl Display) {
    let _gone = writeln!(anstream::stderr().lock(), "{text}");
}

/// A JSON document on standard output.
pub(super) fn json(value: &impl Serialize) {
    let mut out = io::stdout().lock();
    let written = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
    noted(written.and_then(|()| writeln!(out)).and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_indented_wrapped_and_ends_without_spaces() {
        let mut rows = table(&["name", "what"]);
        rows.add_row([Tone::Good.cell("one"), Tone::Plain.cell("word ".repeat(20))]);
        rows.set_width(72);
        let plain = anstream::adapter::strip_str(&indented(&mut rows, 4)).to_string();
        assert!(plain.lines().count() > 2, "{plain}");
        for line in plain.lines() {
            assert!(line.starts_with("    ") && line.len() <= 72 && !line.ends_with(' '), "{line:?}");
        }
        assert_eq!(plain.lines().next(), Some("    name  what"));
    }

    #[test]
    fn in_a_narrow_window_columns_stand_below_each_other() {
        let mut rows = table(&["name", "what", "keys"]);
        rows.add_row([Tone::Good.cell("one"), Tone::Plain.cell("an-unbroken-word"), Tone::Plain.cell("")]);
        rows.add_row([Tone::Good.cell("two"), number("7"), Tone::Plain.cell("k")]);
        rows.set_width(40);
        let plain = anstream::adapter::strip_str(&indented(&mut rows, 2)).to_string();
        let lines: Vec<&str> = plain.lines().collect();
        assert_eq!(
            lines,
            ["  name  one", "  what  an-unbroken-word", "", "  name  two", "  what  7", "  keys  k"],
            "{plain}"
        );
    }

    #[test]
    fn a_tone_ends_where_its_text_ends() {
        assert_eq!(Tone::Good.paint("ok").to_string(), "\u{1b}[32mok\u{1b}[0m");
        assert_eq!(Tone::Plain.paint("ok").to_string(), "ok");
    }
}

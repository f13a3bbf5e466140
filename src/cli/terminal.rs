//! What the commands print: lines, tables and JSON, with colours where a person reads them.
//!
//! Owns tones, the shape of tables and the choice between text and JSON. Refuses to know what is shown. Colours are
//! always written here and taken out by `anstream` where they do not belong: no terminal, `NO_COLOR`, `--color never`.

use std::fmt::{self, Display};
use std::io::{self, Write};

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
    let mut table = Table::new();
    table.load_style(presets::NOTHING).enforce_styling().set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(heads.iter().map(|head| Tone::Dim.cell(head)));
    table.style_text_only();
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// A cell of a number: right-aligned.
pub(super) fn number(text: impl Display) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// A table, each line `indent` columns to the right, as wide as the terminal at most; without the last line's end.
pub(super) fn indented(table: &mut Table, indent: u16) -> String {
    if let Some(width) = table.width() {
        table.set_width(width.saturating_sub(indent).max(40));
    }
    let space = " ".repeat(usize::from(indent));
    let lines = table.lines().map(|line| format!("{space}{}", line.trim_end()));
    lines.collect::<Vec<_>>().join("\n")
}

/// A line on standard output. A reader that went away (`| head`) is no error.
pub(super) fn say(text: impl Display) {
    let _gone = writeln!(anstream::stdout().lock(), "{text}");
}

/// A line on standard error.
pub(super) fn complain(text: impl Display) {
    let _gone = writeln!(anstream::stderr().lock(), "{text}");
}

/// A JSON document on standard output.
pub(super) fn json(value: &impl Serialize) {
    let mut out = io::stdout().lock();
    let _gone = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from).and_then(|()| writeln!(out));
}

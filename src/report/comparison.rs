//! The reports of `presync reconcile` and `presync labels`: how names compare with a plan.

use std::io::{self, BufWriter, Write};

use anstyle::Style;
use clap::ValueEnum;
use csv::{Terminator, WriterBuilder};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::compact::write_record;
use super::layout::{self, MAX_WIDTH, MIN_WIDTH, columns, number, shown};
use super::record::{FORMAT_VERSION, SourceRecord, ToolRecord};
use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN, WARNING};
use super::{Format, Out, Visible, html, written};
use crate::files::cell::cell;
use crate::matching::{Cell, Comparison, Group, Pattern, Record, Tone};
use crate::model::error::Result;
use crate::plan::RunHeader;

/// The most names that text shows of each group.
const MAX_NAMES: usize = 5;
/// The most columns of a table's codes.
const CODES: usize = 20;

/// The format of a comparison.
///
/// The docs of the variants are shown in `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ComparisonFormat {
    /// Plain text for people
    #[default]
    Text,
    /// One JSON document with every name
    Json,
    /// One row per name, for spreadsheets
    Csv,
    /// One self-contained page for browsers
    Html,
}

impl From<ComparisonFormat> for Format {
    fn from(format: ComparisonFormat) -> Self {
        match format {
            ComparisonFormat::Text => Self::Text,
            ComparisonFormat::Json => Self::Json,
            ComparisonFormat::Csv => Self::Csv,
            ComparisonFormat::Html => Self::Html,
        }
    }
}

/// A report that is being written.
pub struct ComparisonReport {
    format: ComparisonFormat,
    header: RunHeader,
    out: Out,
    width: usize,
    /// The name of the list of names in JSON.
    list: &'static str,
    records: u64,
}

impl ComparisonReport {
    /// Opens a report on `out`, about a plan with this header. `list` is the name of the list in JSON, and `width` the
    /// maximum number of columns for text.
    pub fn new(
        format: ComparisonFormat,
        header: RunHeader,
        list: &'static str,
        out: impl Write + Send + 'static,
        width: usize,
    ) -> Self {
        let out: Out = BufWriter::with_capacity(64 << 10, Box::new(out));
        Self { format, header, out, width: width.clamp(MIN_WIDTH, MAX_WIDTH), list, records: 0 }
    }

    /// Writes the next name, in formats that have all of them.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn record(&mut self, record: &Record) -> Result<()> {
        let (is_first, list) = (self.records == 0, self.list);
        self.records += 1;
        let out = &mut self.out;
        match self.format {
            ComparisonFormat::Json => written(|| {
                if is_first {
                    head(out, &self.header, list)?;
                }
                out.write_all(if is_first { b"\n" } else { b",\n" })?;
                write_record(&Fields(record), out)
            }),
            ComparisonFormat::Csv => written(|| {
                let names = record.iter().map(|(name, _)| (*name).into());
                let cells = record.iter().map(|(_, value)| match value {
                    Cell::Empty => String::new(),
                    Cell::Text(text) => cell(text).into_owned(),
                    Cell::Number(number) => number.to_string(),
                });
                if is_first {
                    row(out, names)?;
                }
                row(out, cells)
            }),
            ComparisonFormat::Text | ComparisonFormat::Html => Ok(()),
        }
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn finish(mut self, comparison: &Comparison) -> Result<()> {
        let Self { format, header, out, width, list, records } = &mut self;
        written(|| {
            match format {
                ComparisonFormat::Text => text(out, header, comparison, *width)?,
                ComparisonFormat::Html => html::comparison::write(out, header, comparison)?,
                ComparisonFormat::Csv => {}
                ComparisonFormat::Json => {
                    if *records == 0 {
                        head(out, header, list)?;
                    }
                    foot(out, comparison)?;
                }
            }
            out.flush()
        })
    }
}

fn row(out: &mut Out, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let mut row = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
    row.write_record(cells.map(String::into_bytes))?;
    row.flush()
}

/// A record as an object; what is empty is left out.
struct Fields<'a>(&'a Record);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0 {
            match value {
                Cell::Empty => {}
                Cell::Text(text) => map.serialize_entry(name, text)?,
                Cell::Number(number) => map.serialize_entry(name, number)?,
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Head<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    source: SourceRecord<'a>,
    profile: &'a str,
}

/// What is known before the names, which follow in a list.
fn head(out: &mut Out, header: &RunHeader, list: &str) -> io::Result<()> {
    let head = Head {
        format_version: FORMAT_VERSION,
        tool: ToolRecord::this(),
        source: SourceRecord::new(&header.origin),
        profile: &header.profile.name,
    };
    let mut text = Vec::new();
    serde_json::to_writer(Visible::json(&mut text), &head)?;
    // Without the closing brace: more fields follow.
    out.write_all(&text[..text.len() - 1])?;
    write!(out, ",\"{list}\":[")
}

#[derive(Serialize)]
struct Foot<'a> {
    command: &'static str,
    files: &'a [String],
    totals: Totals<'a>,
    patterns: &'a [Pattern],
    tables: Vec<TableRecord<'a>>,
    unread: Vec<UnreadRecord<'a>>,
    complete: bool,
    result: &'a str,
}

struct Totals<'a>(&'a Comparison);

impl Serialize for Totals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.counts.iter().try_for_each(|count| map.serialize_entry(count.key, &count.count))?;
        map.end()
    }
}

#[derive(Serialize)]
struct TableRecord<'a> {
    title: &'a str,
    rows: Vec<TableRow<'a>>,
}

#[derive(Serialize)]
struct TableRow<'a> {
    code: &'a str,
    count: u64,
    message: &'a str,
}

/// A file that could not be read.
#[derive(Serialize)]
struct UnreadRecord<'a> {
    file: &'a str,
    message: &'a str,
}

fn foot(out: &mut Out, comparison: &Comparison) -> io::Result<()> {
    let unread =
        comparison.groups.iter().filter(|group| group.key == "unread").flat_map(|group| &group.examples);
    let foot = Foot {
        command: comparison.command,
        files: &comparison.files,
        totals: Totals(comparison),
        patterns: &comparison.patterns,
        tables: comparison
            .tables
            .iter()
            .map(|(title, rows)| TableRecord {
                title,
                rows: rows
                    .iter()
                    .map(|(code, count, message)| TableRow { code, count: *count, message })
                    .collect(),
            })
            .collect(),
        unread: unread
            .map(|example| UnreadRecord { file: &example.name, message: &example.message })
            .collect(),
        complete: comparison.is_complete,
        result: &comparison.verdict.1,
    };
    let mut text = Vec::new();
    serde_json::to_writer(Visible::json(&mut text), &foot)?;
    out.write_all(b"\n],")?;
    // Without the opening brace: these are fields of the document.
    out.write_all(&text[1..])?;
    out.write_all(b"\n")
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => GOOD,
        Tone::Bad => ERROR,
        Tone::Warning => WARNING,
        Tone::Unknown => UNKNOWN,
        Tone::Plain => BOLD,
    }
}

fn text(out: &mut Out, header: &RunHeader, comparison: &Comparison, width: usize) -> io::Result<()> {
    layout::heading(out, comparison.command, header)?;
    for (place, file) in comparison.files.iter().enumerate() {
        let label = if place == 0 { "compared" } else { "" };
        writeln!(out, "  {DIM}{label:<10}{DIM:#}  {}", shown(file))?;
    }
    writeln!(out)?;
    let digits = comparison.counts.iter().map(|count| number(count.count).len()).max().unwrap_or(0).max(6);
    let labels = comparison.counts.iter().map(|count| count.label.len()).max().unwrap_or(0).max(10);
    for count in &comparison.counts {
        let style = if count.count == 0 { DIM } else { style(count.tone) };
        let (label, amount) = (count.label, number(count.count));
        write!(out, "  {label:<labels$}  {style}{amount:>digits$}{style:#}  ")?;
        layout::hanging(out, labels + digits + 6, DIM, count.note, width)?;
    }
    writeln!(out)?;
    for group in comparison.groups.iter().filter(|group| group.count > 0) {
        names(out, group, width)?;
    }
    if !comparison.patterns.is_empty() {
        writeln!(out, "{BOLD}Patterns{BOLD:#}")?;
    }
    for pattern in &comparison.patterns {
        layout::wrapped(out, &number(pattern.count), &pattern.message, width)?;
        layout::wrapped(out, "", &format!("contradicts {}", pattern.contradicts), width)?;
        layout::wrapped(out, "", &format!("fix: {}", pattern.fix), width)?;
        writeln!(out)?;
    }
    for (title, rows) in &comparison.tables {
        writeln!(out, "{BOLD}{title}{BOLD:#}")?;
        let longest = rows.iter().map(|(code, ..)| columns(&shown(code))).max().unwrap_or(0).min(CODES);
        for (code, count, message) in rows {
            let code = shown(code);
            out.write_all(b"  ")?;
            // A longer code has lines of its own.
            let code = if columns(&code) > longest {
                layout::hanging(out, 2, Style::new(), &code, width)?;
                out.write_all(b"  ")?;
                String::new()
            } else {
                code
            };
            let pad = longest - columns(&code);
            write!(out, "{code}{:pad$}  {:>digits$}  ", "", number(*count))?;
            layout::hanging(out, longest + digits + 6, DIM, &shown(message), width)?;
        }
        writeln!(out)?;
    }
    for note in &comparison.notes {
        layout::hanging(out, 0, DIM, &shown(note), width)?;
    }
    let (tone, verdict) = &comparison.verdict;
    let style = style(*tone);
    layout::hanging(out, 0, style, &shown(verdict), width)?;
    if !comparison.next.is_empty() {
        writeln!(out, "\n{BOLD}Next{BOLD:#}")?;
    }
    comparison.next.iter().try_for_each(|(label, text)| layout::wrapped(out, label, text, width))
}

/// A group with its first names.
fn names(out: &mut Out, group: &Group, width: usize) -> io::Result<()> {
    let style = style(group.tone);
    let examples: Vec<_> = group.examples.iter().take(MAX_NAMES).collect();
    writeln!(out, "{style}{}{style:#}  {}", group.title, number(group.count))?;
    let rows = examples.iter().map(|example| (shown(&example.name), shown(&example.message)));
    layout::named(out, 4, &rows.collect::<Vec<_>>(), width)?;
    let more = group.count.saturating_sub(examples.len() as u64);
    if more > 0 {
        writeln!(out, "    {DIM}and {} more{DIM:#}", number(more))?;
    }
    writeln!(out)
}

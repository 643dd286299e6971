//! The summary for people.

use std::io::{self, Write};
use std::time::Duration;

use super::super::layout::{MAX_WIDTH, MIN_WIDTH, bytes, columns, counted, cut, number, shown};
use super::super::style::{self, BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::audit::{Audit, Container, Outcome};
use crate::model::{Severity, Totals};
use crate::rules;

/// Containers in the table; JSON has all.
const MAX_ROWS: usize = 40;
/// Containers of which it is said why they are not complete.
const MAX_CAUSES: usize = 20;
/// Folders that are named.
const MAX_FOLDERS: usize = 10;
/// The narrowest that a container's name gets in the table, in columns.
const MIN_NAME: usize = 16;

/// The columns of the table after the name.
const HEADINGS: [&str; 9] =
    ["assets", "accept", "reject", "unknown", "images", "frames", "read", "requests", "time"];

pub(super) struct Text<'a, W> {
    audit: &'a Audit,
    totals: Totals,
    out: W,
    width: usize,
}

impl<'a, W: Write> Text<'a, W> {
    pub(super) fn new(audit: &'a Audit, out: W, width: usize) -> Self {
        Self { audit, totals: audit.totals(), out, width: width.clamp(MIN_WIDTH, MAX_WIDTH) }
    }

    pub(super) fn write(mut self) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(self.out, "{BOLD}presync audit{BOLD:#} {DIM}{version}{DIM:#}\n")?;
        self.sums()?;
        self.causes()?;
        self.table()?;
        self.notes()?;
        self.findings()?;
        self.folders()?;
        self.duplicates()?;
        self.together()?;
        self.closing()
    }

    fn sums(&mut self) -> io::Result<()> {
        let totals = self.totals;
        let containers = self.audit.containers.len() as u64;
        let rows = [
            ("containers", containers, BOLD, self.states()),
            ("listed", totals.listed, BOLD, String::new()),
            ("accepted", totals.accepted, GOOD, String::new()),
            ("rejected", totals.rejected, ERROR, String::new()),
            ("skipped", totals.skipped, DIM, String::new()),
            ("unknown", totals.unknown, UNKNOWN, String::new()),
            ("images", totals.images, BOLD, String::new()),
            ("frames", totals.frames, BOLD, String::new()),
        ];
        let digits = rows.iter().map(|row| number(row.1).len()).max().unwrap_or(0).max(6);
        for (label, count, style, note) in rows {
            let style = if count == 0 { DIM } else { style };
            let count = format!("{:>digits$}", number(count));
            let gap = if note.is_empty() { "" } else { "  " };
            writeln!(self.out, "  {label:<10}  {style}{count}{style:#}{gap}{DIM}{note}{DIM:#}")?;
        }
        if !self.audit.system.is_empty() {
            let names = self.audit.system.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
            let names = cut(&names, self.width - 40);
            writeln!(self.out, "  {DIM}{:<10}{DIM:#}  {names}, which belong to the service", "left out")?;
        }
        writeln!(self.out)
    }

    /// `58 complete, 2 failed`; nothing when all are complete.
    fn states(&self) -> String {
        let states: [(&str, fn(&Outcome) -> bool); 4] = [
            ("complete", Outcome::is_complete),
            ("incomplete", |outcome| matches!(outcome, Outcome::Incomplete(..))),
            ("failed", |outcome| matches!(outcome, Outcome::Failed(_))),
            ("not done", |outcome| matches!(outcome, Outcome::NotDone)),
        ];
        let counts = states.map(|(state, is_meant)| (state, self.audit.count(is_meant)));
        let there = counts.iter().filter(|(_, count)| *count > 0);
        there
            .map(|(state, count)| format!("{} {state}", number(*count as u64)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Why containers are not complete, before anything else is said of them.
    fn causes(&mut self) -> io::Result<()> {
        let containers = &self.audit.containers;
        let not_done = self.audit.count(|outcome| matches!(outcome, Outcome::NotDone)) as u64;
        let causes = containers.iter().filter_map(|container| Some((container, container.outcome.cause()?)));
        let causes: Vec<_> = causes.collect();
        if causes.is_empty() && not_done == 0 {
            return Ok(());
        }
        writeln!(self.out, "{BOLD}Not complete{BOLD:#}")?;
        for (container, error) in causes.iter().take(MAX_CAUSES) {
            let name = cut(&shown(&container.name), self.width - 16);
            let state = container.outcome.as_str();
            let message = shown(error.message());
            writeln!(
                self.out,
                "  {ERROR}{state:<10}{ERROR:#}  {BOLD}{name}{BOLD:#}\n              {message}"
            )?;
            if let Some(hint) = error.way_out() {
                writeln!(self.out, "              {DIM}{}{DIM:#}", shown(hint))?;
            }
        }
        self.and_more(causes.len(), MAX_CAUSES, "              ")?;
        if not_done > 0 {
            let stopped = counted(not_done, "container was", "containers were");
            writeln!(
                self.out,
                "  {ERROR}{:<10}{ERROR:#}  {stopped} not begun when the audit was stopped",
                "not done"
            )?;
        }
        writeln!(self.out)
    }

    fn table(&mut self) -> io::Result<()> {
        let containers = &self.audit.containers;
        let shown_rows = &containers[..containers.len().min(MAX_ROWS)];
        let mut rows: Vec<_> = shown_rows.iter().map(cells).collect();
        let all = Some(numbers(&self.totals, self.audit.elapsed));
        rows.push(all.filter(|_| containers.len() > 1));
        let mut widths = HEADINGS.map(columns);
        for row in rows.iter().flatten() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(cell));
            }
        }
        let numbers_width: usize = widths.iter().map(|width| width + 2).sum();
        let longest = shown_rows.iter().map(|container| columns(&shown(&container.name))).max().unwrap_or(0);
        let room = self.width.saturating_sub(numbers_width + 2).max(MIN_NAME);
        let name_width = longest.max("container".len()).min(room);
        let line = |name: &str, cells: &[String; 9]| {
            let name = cut(name, name_width);
            let pad = " ".repeat(name_width - columns(&name));
            let cells: String =
                cells.iter().zip(widths).map(|(cell, width)| format!("  {cell:>width$}")).collect();
            format!("  {name}{pad}{cells}")
        };
        writeln!(self.out, "{DIM}{}{DIM:#}", line("container", &HEADINGS.map(str::to_owned)))?;
        let total = rows.pop().flatten();
        for (container, row) in shown_rows.iter().zip(&rows) {
            let name = shown(&container.name);
            let style = style_of(container);
            match row {
                Some(row) => writeln!(self.out, "{style}{}{style:#}", line(&name, row))?,
                None => {
                    let name = cut(&name, name_width);
                    let pad = " ".repeat(name_width - columns(&name));
                    writeln!(self.out, "{style}  {name}{pad}  {}{style:#}", container.outcome.as_str())?;
                }
            }
        }
        self.and_more(containers.len(), MAX_ROWS, "  ")?;
        if let Some(total) = total {
            writeln!(self.out, "{BOLD}{}{BOLD:#}", line("together", &total))?;
        }
        writeln!(self.out)
    }

    fn notes(&mut self) -> io::Result<()> {
        let notes = self.audit.containers.iter().flat_map(|container| {
            container.notes.iter().map(|note| format!("{}: {}", shown(&container.name), shown(note)))
        });
        let notes: Vec<_> = notes.collect();
        for note in notes.iter().take(MAX_CAUSES) {
            writeln!(self.out, "  {note}")?;
        }
        self.and_more(notes.len(), MAX_CAUSES, "  ")?;
        if notes.is_empty() { Ok(()) } else { writeln!(self.out) }
    }

    fn findings(&mut self) -> io::Result<()> {
        let findings = self.audit.findings();
        for (severity, title) in [
            (Severity::Error, "Rejected"),
            (Severity::Unknown, "Not judged"),
            (Severity::Warning, "Warnings"),
        ] {
            let found: Vec<_> = findings.iter().filter(|(code, _)| code.severity() == severity).collect();
            if found.is_empty() {
                continue;
            }
            let style = style::of(severity);
            writeln!(self.out, "{BOLD}{title}{BOLD:#}")?;
            for (code, count) in found {
                let summary = cut(rules::summary(*code), self.width - 44);
                let (name, count) = (code.name(), number(*count));
                writeln!(
                    self.out,
                    "  {style}{code}{style:#}  {name:<21} {count:>10}  {DIM}{summary}{DIM:#}"
                )?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn folders(&mut self) -> io::Result<()> {
        let worst = &self.audit.worst;
        if worst.top().is_empty() {
            return Ok(());
        }
        writeln!(self.out, "{BOLD}Worst prefixes{BOLD:#}")?;
        let named = worst.top().iter().take(MAX_FOLDERS);
        let (mut more, mut left_out) = (worst.more_folders, worst.more_left_out);
        for folder in worst.top().iter().skip(MAX_FOLDERS) {
            more += 1;
            left_out += folder.rejected + folder.unknown;
        }
        for folder in named {
            let container = self.audit.containers.get(folder.container);
            let prefix = if folder.name.is_empty() { "(no folder)" } else { &folder.name };
            let name = container.map_or(String::new(), |container| shown(&container.name));
            let name = cut(&format!("{name}  {}", shown(prefix)), self.width - 44);
            let sum = format!("{} of {}", number(folder.rejected + folder.unknown), number(folder.listed));
            writeln!(self.out, "  {ERROR}{sum:>20}{ERROR:#}  {name}")?;
        }
        if more > 0 {
            let (more, left_out) = (counted(more, "more prefix", "more prefixes"), number(left_out));
            writeln!(self.out, "  {DIM}{left_out:>20}  in {more}{DIM:#}")?;
        }
        writeln!(self.out)
    }

    fn duplicates(&mut self) -> io::Result<()> {
        let found: Vec<_> = self.audit.duplicates.iter().filter(|(_, found)| found.count > 0).collect();
        if found.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "{BOLD}The same basename in several containers{BOLD:#}")?;
        for (project, found) in found {
            let project =
                project.as_ref().map_or("all containers".into(), |name| format!("project {}", shown(name)));
            let sample = match found.one_of {
                1 => String::new(),
                one_of => format!(", in a sample of one in {}", number(one_of)),
            };
            let count = counted(found.count, "basename", "basenames");
            writeln!(self.out, "  {}: {count}{sample}", cut(&project, self.width / 2))?;
            for example in &found.examples {
                let names = example.containers.map(|place| {
                    self.audit.containers.get(place).map_or(String::new(), |container| shown(&container.name))
                });
                let basename = cut(&shown(&example.basename), self.width / 3);
                let names = cut(&names.join(", "), self.width - self.width / 3 - 6);
                writeln!(self.out, "    {basename}  {DIM}{names}{DIM:#}")?;
            }
            self.and_more(usize::try_from(found.count).unwrap_or(usize::MAX), found.examples.len(), "    ")?;
        }
        writeln!(self.out, "  {DIM}annotations are matched by this name{DIM:#}\n")
    }

    fn together(&mut self) -> io::Result<()> {
        if self.audit.together.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "{BOLD}Together, of what the workspace has left{BOLD:#}")?;
        for together in &self.audit.together {
            let (unit, cost) = (together.kind.unit(), number(together.cost));
            let (style, verdict) = match (together.left, together.excess()) {
                (None, _) => (DIM, format!("{cost}; no limit is set")),
                (Some(left), 0) => (GOOD, format!("{cost} of {} left: it fits", number(left))),
                (Some(left), excess) => {
                    (ERROR, format!("{cost} of {} left: {} too many", number(left), number(excess)))
                }
            };
            writeln!(self.out, "  {unit:<10}  {style}{verdict}{style:#}")?;
        }
        writeln!(self.out)
    }

    fn closing(&mut self) -> io::Result<()> {
        let totals = self.totals;
        let (read, listed) = (bytes(totals.bytes_read), bytes(totals.bytes_listed));
        let requests = counted(totals.requests, "request", "requests");
        let repeated = match totals.retries {
            0 => String::new(),
            retries => format!(", {} of them repeated", number(retries)),
        };
        writeln!(self.out, "{DIM}Read {read} of {listed} in {requests}{repeated}.{DIM:#}")?;
        let containers = self.audit.containers.len();
        let incomplete = containers - self.audit.count(Outcome::is_complete);
        let assets = counted(totals.listed - totals.skipped, "asset", "assets");
        let left_out = match (totals.rejected, totals.unknown) {
            (0, 0) => format!("all {assets} will sync"),
            (rejected, 0) => format!("{} of {assets} will be left out", number(rejected)),
            (rejected, unknown) => format!(
                "{} of {assets} will be left out, {} could not be judged",
                number(rejected),
                number(unknown)
            ),
        };
        let (style, verdict) = match (incomplete, totals.rejected + totals.unknown) {
            (0, 0) => (GOOD, format!("{}.", capital(&left_out))),
            (0, _) => (ERROR, format!("{}.", capital(&left_out))),
            (incomplete, _) => {
                let of = counted(containers as u64, "container is", "containers are");
                (
                    ERROR,
                    format!(
                        "Incomplete: {} of {of} not; of the rest, {left_out}.",
                        number(incomplete as u64)
                    ),
                )
            }
        };
        writeln!(self.out, "{style}{verdict}{style:#}")
    }

    /// `and 960 more`, if there are.
    fn and_more(&mut self, there: usize, named: usize, indent: &str) -> io::Result<()> {
        match there.saturating_sub(named) {
            0 => Ok(()),
            more => writeln!(self.out, "{indent}{DIM}and {} more{DIM:#}", number(more as u64)),
        }
    }
}

/// The numbers of a container, if anything of it was examined.
fn cells(container: &Container) -> Option<[String; 9]> {
    let summary = container.outcome.summary()?;
    Some(numbers(&summary.totals, container.elapsed))
}

fn numbers(totals: &Totals, elapsed: Duration) -> [String; 9] {
    [
        short(totals.listed),
        short(totals.accepted),
        short(totals.rejected),
        short(totals.unknown),
        short(totals.images),
        short(totals.frames),
        bytes(totals.bytes_read),
        short(totals.requests),
        format!("{:.1} s", elapsed.as_secs_f64()),
    ]
}

/// `99,999`, and above it three digits: `123k`, `1.23M`. Sums and JSON are exact.
fn short(value: u64) -> String {
    let mut amount = value as f64;
    if value < 100_000 {
        return number(value);
    }
    let mut unit = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        if amount < 999.5 {
            break;
        }
        amount /= 1000.0;
        unit = next;
    }
    let decimals = if amount < 9.995 { 2 } else { usize::from(amount < 99.95) };
    format!("{amount:.decimals$}{unit}")
}

fn style_of(container: &Container) -> anstyle::Style {
    match &container.outcome {
        Outcome::Complete(summary) if summary.totals.unknown > 0 => UNKNOWN,
        Outcome::Complete(_) => anstyle::Style::new(),
        Outcome::Incomplete(..) | Outcome::Failed(_) => ERROR,
        Outcome::NotDone => DIM,
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_three_digits() {
        let numbers = [0, 99_999, 100_000, 999_499, 999_500, 1_234_567, 12_345_678, u64::MAX];
        let texts = ["0", "99,999", "100k", "999k", "1.00M", "1.23M", "12.3M", "18.4E"];
        assert_eq!(numbers.map(short), texts);
    }
}

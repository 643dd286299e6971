//! The table of containers in the text report.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;

use crate::model::Totals;
use crate::plan::audit::{Audit, Container, ContainerOutcome};
use crate::report::layout::{broken, bytes, columns, number, shown};
use crate::report::style::{BOLD, DIM, ERROR, UNKNOWN};

/// The most containers in the table. JSON has all of them.
const MAX_ROWS: usize = 40;
/// The minimum width of container names, in columns.
const MIN_NAME: usize = 16;
/// The columns that every table has: how many assets there are, and how they were judged.
const MIN_CELLS: usize = 4;

/// The columns after the name.
const HEADINGS: Cells<&str> =
    ["assets", "accept", "reject", "unknown", "images", "frames", "read", "requests", "time"];

type Cells<T> = [T; 9];

/// Writes the table, `width` columns wide unless its numbers are huge. Columns at the end are left out if there is no room.
pub(super) fn write(out: &mut impl Write, audit: &Audit, width: usize) -> io::Result<()> {
    let containers = &audit.containers[..audit.containers.len().min(MAX_ROWS)];
    let rows: Vec<_> =
        containers.iter().map(|container| (shown(&container.name), cells(container))).collect();
    let together = (audit.containers.len() > 1).then(|| numbers(&audit.totals(), audit.elapsed));
    let layout = Layout::new(&rows, together.as_ref(), width);

    let head = layout.line("container", &HEADINGS.map(str::to_owned));
    writeln!(out, "{DIM}{head}{DIM:#}")?;
    for (container, (name, cells)) in containers.iter().zip(&rows) {
        let line = match cells {
            Some(cells) => layout.line(name, cells),
            None => layout.named(name, &format!("  {}", container.outcome.as_str().replace('-', " "))),
        };
        let style = style_of(&container.outcome);
        writeln!(out, "{style}{line}{style:#}")?;
    }
    and_more(out, audit.containers.len(), MAX_ROWS, "  ")?;
    if let Some(together) = together {
        writeln!(out, "{BOLD}{}{BOLD:#}", layout.line("total", &together))?;
    }
    writeln!(out)
}

/// Writes `and 960 more`, if there are more than `named`.
pub(super) fn and_more(out: &mut impl Write, there: usize, named: usize, indent: &str) -> io::Result<()> {
    match there.saturating_sub(named) {
        0 => Ok(()),
        more => writeln!(out, "{indent}{DIM}and {} more{DIM:#}", number(more as u64)),
    }
}

/// The width of each column.
struct Layout {
    /// Of the whole table.
    width: usize,
    name: usize,
    /// Of the columns for which there is room.
    cells: Vec<usize>,
}

impl Layout {
    fn new(rows: &[(String, Option<Cells<String>>)], together: Option<&Cells<String>>, width: usize) -> Self {
        let mut cells = HEADINGS.map(columns).to_vec();
        for row in rows.iter().filter_map(|(_, cells)| cells.as_ref()).chain(together) {
            for (width, cell) in cells.iter_mut().zip(row) {
                *width = columns(cell).max(*width);
            }
        }
        let longest = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or(0).max("container".len());
        let room = |cells: &[usize]| {
            let of_cells: usize = cells.iter().map(|width| width + 2).sum();
            width.saturating_sub(of_cells + 2)
        };
        while cells.len() > MIN_CELLS && room(&cells) < longest.min(MIN_NAME) {
            cells.pop();
        }
        Self { width, name: longest.min(room(&cells).max(MIN_NAME)), cells }
    }

    /// A line for a name, which has lines of its own in front of it if it is too long.
    fn named(&self, name: &str, rest: &str) -> String {
        let mut lines = broken(name, self.width.saturating_sub(2), true);
        if columns(name) > self.name {
            lines.push(String::new());
        }
        let last = lines.pop().unwrap_or_default();
        let pad = " ".repeat(self.name.saturating_sub(columns(&last)));
        let before: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        format!("{before}  {last}{pad}{rest}")
    }

    fn line(&self, name: &str, cells: &Cells<String>) -> String {
        let cells = cells.iter().zip(&self.cells).map(|(cell, width)| format!("  {cell:>width$}"));
        self.named(name, &cells.collect::<String>())
    }
}

/// The numbers of a container, if any of it was examined.
fn cells(container: &Container) -> Option<Cells<String>> {
    let summary = container.outcome.summary()?;
    Some(numbers(&summary.totals, container.elapsed))
}

fn numbers(totals: &Totals, elapsed: Duration) -> Cells<String> {
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

/// Up to `99,999` exact, and three digits above that: `123k`, `1.23M`. Totals and JSON are exact.
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

fn style_of(outcome: &ContainerOutcome) -> Style {
    match outcome {
        ContainerOutcome::Complete(summary) if summary.totals.unknown > 0 => UNKNOWN,
        ContainerOutcome::Complete(_) => Style::new(),
        ContainerOutcome::Incomplete(..) | ContainerOutcome::Failed(_) => ERROR,
        ContainerOutcome::Stopped(_) | ContainerOutcome::NotDone => DIM,
    }
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

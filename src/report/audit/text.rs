//! The audit summary as text.

use std::io::{self, Write};

use anstyle::Style;

use super::table::{self, and_more};
use crate::model::{Severity, Totals};
use crate::plan::FolderSum;
use crate::plan::audit::{Audit, ContainerOutcome};
use crate::report::containers;
use crate::report::layout::{
    MAX_WIDTH, MIN_WIDTH, bytes, counted, counted_row, hanging, hanging_words, named, noted, number, shown,
};
use crate::report::style::{self, BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::report::{changes, next};
use crate::rules;

/// The most containers listed with the cause of their failure.
const MAX_CAUSES: usize = 20;
/// The most folders listed.
const MAX_FOLDERS: usize = 10;
/// The columns before the text of a row with a label.
const INDENT: usize = 14;

pub(super) struct AuditText<'a, W> {
    audit: &'a Audit,
    totals: Totals,
    out: W,
    width: usize,
}

impl<'a, W: Write> AuditText<'a, W> {
    pub(super) fn new(audit: &'a Audit, out: W, width: usize) -> Self {
        Self { audit, totals: audit.totals(), out, width: width.clamp(MIN_WIDTH, MAX_WIDTH) }
    }

    pub(super) fn write(mut self) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(self.out, "{BOLD}presync audit{BOLD:#} {DIM}{version}{DIM:#}\n")?;
        self.sums()?;
        self.causes()?;
        table::write(&mut self.out, self.audit, self.width)?;
        self.notes()?;
        if let Some(changes) = self.audit.changes() {
            writeln!(self.out, "{BOLD}Since the last audit{BOLD:#}")?;
            changes::findings_text(&mut self.out, &changes, self.width)?;
            writeln!(self.out)?;
        }
        self.findings()?;
        self.folders()?;
        self.duplicates()?;
        self.together()?;
        self.closing()?;
        let steps = next::after_audit(self.audit);
        if !steps.is_empty() {
            writeln!(self.out)?;
        }
        next::write(&mut self.out, &steps, self.width)
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
            counted_row(&mut self.out, (label, count, style, &note), digits, self.width)?;
        }
        if let Some(line) = containers::empty(self.audit) {
            write!(self.out, "  {:<10}  ", "empty")?;
            hanging(&mut self.out, INDENT, UNKNOWN, &line, self.width)?;
        }
        if !self.audit.left_out.is_empty() {
            let names: Vec<_> = self.audit.left_out.iter().map(|name| shown(name)).collect();
            write!(self.out, "  {DIM}{:<10}{DIM:#}  ", "left out")?;
            hanging(&mut self.out, INDENT, DIM, &names.join(", "), self.width)?;
        }
        writeln!(self.out)
    }

    /// `58 complete, 2 failed`.
    fn states(&self) -> String {
        let counts = ContainerOutcome::STATES.map(|state| (state, self.count(state)));
        let there = counts.iter().filter(|(_, count)| *count > 0);
        let said = there.map(|(state, count)| format!("{} {}", number(*count), state.replace('-', " ")));
        said.collect::<Vec<_>>().join(", ")
    }

    /// The number of containers in this state.
    fn count(&self, state: &str) -> u64 {
        let containers = self.audit.containers.iter();
        containers.filter(|container| container.outcome.as_str() == state).count() as u64
    }

    /// Why containers are incomplete, before anything else about them.
    fn causes(&mut self) -> io::Result<()> {
        let containers = &self.audit.containers;
        let [.., stopped, not_done] = ContainerOutcome::STATES.map(|state| self.count(state));
        let causes = containers.iter().filter_map(|container| Some((container, container.outcome.cause()?)));
        let causes: Vec<_> = causes.collect();
        if causes.is_empty() && stopped + not_done == 0 {
            return Ok(());
        }
        writeln!(self.out, "{BOLD}Not complete{BOLD:#}")?;
        for (container, error) in causes.iter().take(MAX_CAUSES) {
            write!(self.out, "  {ERROR}{:<10}{ERROR:#}  ", container.outcome.as_str())?;
            hanging(&mut self.out, INDENT, BOLD, &shown(&container.name), self.width)?;
            for (style, text) in [(Style::new(), Some(error.message())), (DIM, error.hint())] {
                let Some(text) = text else { continue };
                write!(self.out, "{:INDENT$}", "")?;
                hanging_words(&mut self.out, INDENT, style, &shown(text), self.width)?;
            }
        }
        and_more(&mut self.out, causes.len(), MAX_CAUSES, "              ")?;
        if stopped + not_done > 0 {
            let next = "run the audit again with the same --out to resume";
            let (stopped, not_done) = (number(stopped), number(not_done));
            write!(self.out, "  {ERROR}{:<10}{ERROR:#}  ", "stopped")?;
            let text = format!("{stopped} interrupted, {not_done} not started; {next}");
            hanging(&mut self.out, INDENT, Style::new(), &text, self.width)?;
        }
        writeln!(self.out)
    }

    fn notes(&mut self) -> io::Result<()> {
        let notes = self.audit.containers.iter().flat_map(|container| {
            container.notes.iter().map(|note| format!("{}: {}", shown(&container.name), shown(note)))
        });
        let notes: Vec<_> = notes.collect();
        for note in notes.iter().take(MAX_CAUSES) {
            self.out.write_all(b"  ")?;
            hanging(&mut self.out, 2, Style::new(), note, self.width)?;
        }
        and_more(&mut self.out, notes.len(), MAX_CAUSES, "  ")?;
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
                let (name, count) = (code.name(), number(*count));
                write!(self.out, "  {style}{code}{style:#}  {name:<21} {count:>10}")?;
                noted(&mut self.out, 42, rules::summary(*code), 10, self.width)?;
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
        let (mut more, mut left_out) = (worst.more, worst.rest.weight());
        for folder in worst.top().iter().skip(MAX_FOLDERS) {
            more += 1;
            left_out += folder.sum.weight();
        }
        for folder in named {
            let container = self.audit.containers.get(folder.container);
            let prefix = if folder.name.is_empty() { "(no folder)" } else { &folder.name };
            let name = container.map_or(String::new(), |container| shown(&container.name));
            let sum = format!("{} of {}", number(folder.sum.weight()), number(folder.sum.listed));
            write!(self.out, "  {ERROR}{sum:>20}{ERROR:#}  ")?;
            let name = format!("{name}  {}", shown(prefix));
            hanging(&mut self.out, 24, Style::new(), &name, self.width)?;
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
                one_of => format!(", in a sample of 1 in {}", number(one_of)),
            };
            let count = counted(found.count, "basename", "basenames");
            self.out.write_all(b"  ")?;
            hanging(&mut self.out, 2, Style::new(), &format!("{project}: {count}{sample}"), self.width)?;
            let rows = found.examples.iter().map(|example| {
                let names = example.containers.map(|place| {
                    self.audit.containers.get(place).map_or(String::new(), |container| shown(&container.name))
                });
                (shown(&example.basename), names.join(", "))
            });
            let rows: Vec<_> = rows.collect();
            named(&mut self.out, 4, &rows, self.width)?;
            and_more(
                &mut self.out,
                usize::try_from(found.count).unwrap_or(usize::MAX),
                found.examples.len(),
                "    ",
            )?;
        }
        writeln!(self.out, "  {DIM}annotations are matched by basename{DIM:#}\n")
    }

    fn together(&mut self) -> io::Result<()> {
        if self.audit.together.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "{BOLD}All containers, against the workspace's remaining quota{BOLD:#}")?;
        for together in &self.audit.together {
            let (unit, cost) = (together.kind.unit(), number(together.cost));
            let (style, verdict) = match (together.left, together.excess()) {
                (None, _) => (DIM, format!("{cost}; no limit set")),
                (Some(left), 0) => (GOOD, format!("{cost} of {} left: fits", number(left))),
                (Some(left), excess) => {
                    (ERROR, format!("{cost} of {} left: {} over", number(left), number(excess)))
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
            retries => format!(", {} of them retries", number(retries)),
        };
        writeln!(self.out, "{DIM}Read {read} of {listed} in {requests}{repeated}.{DIM:#}")?;
        let assets = counted(totals.listed - totals.skipped, "asset", "assets");
        let (rejected, unknown) = (number(totals.rejected), number(totals.unknown));
        let (style, verdict) = match (totals.rejected, totals.unknown) {
            (0, 0) if totals.listed == totals.skipped => (DIM, "There is nothing to sync.".to_owned()),
            (0, 0) => (GOOD, format!("All {assets} will sync.")),
            (_, 0) => (ERROR, format!("{rejected} of {assets} will be left out.")),
            _ => (ERROR, format!("{rejected} of {assets} will be left out, {unknown} could not be judged.")),
        };
        let containers = self.audit.containers.len() as u64;
        match containers - self.count(ContainerOutcome::STATES[0]) {
            0 => hanging(&mut self.out, 0, style, &verdict, self.width),
            missing => {
                let missing = number(missing);
                let of = counted(containers, "container", "containers");
                let seen = if totals.listed == 0 { "" } else { verdict.as_str() };
                let text = format!("Incomplete: {missing} of {of} not fully examined. {seen}");
                hanging(&mut self.out, 0, ERROR, text.trim_end(), self.width)
            }
        }
    }
}

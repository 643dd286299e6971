//! The text report.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;

use super::changes;
use super::groups::{FindingExample, FindingGroup, Groups};
use super::layout::{self, MAX_WIDTH, MIN_WIDTH, bytes, counted, counted_row, left_out_by, number, shown};
use super::next::{counts, if_fixed, next_steps};
use super::shortage::{Limit, do_not_fit, limits, shortage};
use super::style::{self, BOLD, DIM, ERROR, GOOD, UNKNOWN};
use super::{Out, synced, written};
use crate::model::error::Result;
use crate::model::{Asset, Code, Severity};
use crate::plan::{RunHeader, Sink, Summary};
use crate::rules;

/// The most assets named for each rule.
const EXAMPLES: usize = 3;
/// The columns before their names.
const EXAMPLE: usize = 10;

pub(super) struct TextReport {
    header: RunHeader,
    out: Out,
    width: usize,
    groups: Groups,
    skipped: BTreeMap<&'static str, u64>,
}

impl TextReport {
    pub(super) fn new(header: RunHeader, out: Out, width: usize) -> Self {
        Self {
            header,
            out,
            width: width.clamp(MIN_WIDTH, MAX_WIDTH),
            groups: Groups::new(EXAMPLES),
            skipped: BTreeMap::new(),
        }
    }
}

impl Sink for TextReport {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.groups.add(asset);
        if let Some(skip) = asset.skipped {
            *self.skipped.entry(skip.as_str()).or_default() += 1;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, summary: &Summary, _elapsed: Duration) -> Result<()> {
        written(|| {
            layout::heading(&mut self.out, "dry-run", &self.header)?;
            self.incomplete(summary)?;
            self.totals(summary)?;
            if let Some(changes) = &summary.changes {
                changes::text(&mut self.out, changes, &summary.totals, self.width)?;
            }
            if let Some(totals) = &summary.synced {
                synced::text(&mut self.out, totals, &self.header.profile, self.width)?;
            }
            self.findings()?;
            self.closing(summary)?;
            self.out.flush()
        })
    }
}

impl TextReport {
    fn incomplete(&mut self, summary: &Summary) -> io::Result<()> {
        let Some(why) = &summary.incomplete else { return Ok(()) };
        let judged = match summary.totals.listed {
            0 => "nothing was judged.".to_owned(),
            listed => format!("only the first {} judged.", counted(listed, "entry was", "entries were")),
        };
        self.out.write_all(b"  ")?;
        let text = format!("INCOMPLETE  {}: {judged}", shown(why));
        layout::hanging(&mut self.out, 2, ERROR, &text, self.width)?;
        writeln!(self.out)
    }

    fn totals(&mut self, summary: &Summary) -> io::Result<()> {
        let totals = &summary.totals;
        let rows = [
            ("listed", totals.listed, BOLD, String::new()),
            ("accepted", totals.accepted, GOOD, String::new()),
            ("rejected", totals.rejected, ERROR, String::new()),
            ("skipped", totals.skipped, DIM, self.skip_reasons()),
            ("unknown", totals.unknown, UNKNOWN, String::new()),
        ];
        let excluded = ("excluded", totals.excluded, DIM, left_out_by(&self.header));
        let rows = rows.into_iter().chain(Some(excluded).filter(|(_, count, ..)| *count > 0));
        let digits = number(totals.listed).len().max(6);
        for (label, count, style, note) in rows {
            counted_row(&mut self.out, (label, count, style, &note), digits, self.width)?;
        }
        writeln!(self.out)?;
        self.gauges(summary)?;
        writeln!(self.out)
    }

    fn gauges(&mut self, summary: &Summary) -> io::Result<()> {
        let (out, width) = (&mut self.out, self.width);
        for limit in limits(&self.header.profile, summary) {
            gauge_line(out, &limit, width)?;
            if summary.quota.is_shared() {
                let of = counts(summary.totals.images, summary.totals.frames);
                writeln!(out, "  {:<10}  {DIM}{of}{DIM:#}", "")?;
            }
            shortage(out, &limit, width)?;
        }
        match if_fixed(&self.header, summary) {
            Some(text) => layout::wrapped(&mut self.out, "if fixed", &text, width),
            None => Ok(()),
        }
    }

    fn skip_reasons(&self) -> String {
        let reasons = self.skipped.iter().map(|(reason, count)| format!("{} × {reason}", number(*count)));
        reasons.collect::<Vec<_>>().join("; ")
    }

    fn findings(&mut self) -> io::Result<()> {
        for (severity, title) in [
            (Severity::Error, "Rejected"),
            (Severity::Unknown, "Not judged"),
            (Severity::Warning, "Warnings"),
        ] {
            let mut found = self.groups.of(severity).peekable();
            if found.peek().is_none() {
                continue;
            }
            writeln!(self.out, "{BOLD}{title}{BOLD:#}")?;
            for (code, group) in found {
                rule(&mut self.out, self.width, code, group, severity)?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn closing(&mut self, summary: &Summary) -> io::Result<()> {
        let totals = &summary.totals;
        for note in layout::notes(summary) {
            layout::hanging(&mut self.out, 0, DIM, &note, self.width)?;
        }
        let (read, listed) = (bytes(totals.bytes_read), bytes(totals.bytes_listed));
        let requests = counted(totals.requests, "request", "requests");
        let repeated = match totals.retries {
            0 => String::new(),
            retries => format!(", {} of them retries", number(retries)),
        };
        writeln!(self.out, "{DIM}Read {read} of {listed} in {requests}{repeated}.{DIM:#}")?;
        let (style, verdict) = layout::verdict(summary);
        layout::hanging(&mut self.out, 0, style, &verdict, self.width)?;
        let steps = next_steps(&self.header, summary);
        if !steps.is_empty() {
            writeln!(self.out, "\n{BOLD}Next{BOLD:#}")?;
        }
        steps.iter().try_for_each(|(label, text)| layout::wrapped(&mut self.out, label, text, self.width))
    }
}

fn rule(
    out: &mut impl Write,
    width: usize,
    code: Code,
    group: &FindingGroup,
    severity: Severity,
) -> io::Result<()> {
    let style = style::of(severity);
    let (name, total) = (code.name(), number(group.count));
    write!(out, "  {style}{code}{style:#}  {BOLD}{name:<21}{BOLD:#} {total:>6}")?;
    let new = group.new.map_or(String::new(), |new| format!("{} new; ", number(new)));
    let summary = format!("{new}{}", rules::summary(code));
    layout::noted(out, 38, &summary, EXAMPLE, width)?;
    let examples = &group.examples;
    let row = |example: &FindingExample| {
        (format!("{}{}", example.mark(), shown(&example.name)), shown(&example.message))
    };
    layout::named(out, EXAMPLE, &examples.iter().map(row).collect::<Vec<_>>(), width)?;
    if group.more() > 0 {
        writeln!(out, "          {DIM}and {} more{DIM:#}", number(group.more()))?;
    }
    // Never cut a fix, because users copy it.
    let mut fixes = examples.iter().filter_map(|example| Some((&example.name, example.fix.as_ref()?)));
    if let Some((name, fix)) = fixes.next() {
        let fix = shown(fix);
        // The commands of az name the blob, and the others have placeholders for it.
        let is_general = !fix.contains("IN") && !fix.contains("--name");
        match fixes.all(|(_, other)| *other == fix) && group.more() == 0 || is_general {
            true => writeln!(out, "          fix: {fix}")?,
            false => writeln!(out, "          fix for {}: {fix}", shown(name))?,
        }
    }
    Ok(())
}

/// `images      ████░░░░  1,204 of 5,000 images, 1,000 used before; fits`.
fn gauge_line(out: &mut impl Write, limit: &Limit<'_>, width: usize) -> io::Result<()> {
    let Limit { label, unit, gauge, refused, noun, .. } = limit;
    let used = number(gauge.used());
    let before = match gauge.used_before {
        0 => String::new(),
        before => format!(", {} used before", number(before)),
    };
    let before = match gauge.reserve {
        0 => before,
        reserve => format!("{before}, {} kept free", number(reserve)),
    };
    let Some(limit) = gauge.limit else {
        write!(out, "  {label:<10}  ")?;
        let text = format!("{used} {unit}{before}; no limit set");
        return layout::hanging(out, 14, Style::new(), &text, width);
    };
    let style = if gauge.fits { GOOD } else { ERROR };
    let bar = layout::gauge(gauge.used(), limit, style);
    let verdict = match gauge.fits {
        true => "fits".to_owned(),
        false => do_not_fit(*refused, noun),
    };
    let used = format!("{used} of {} {unit}{before};", number(limit));
    layout::gauge_row(out, label, &bar, &used, (style, &verdict), width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Gauge;

    #[test]
    fn a_gauge_says_whether_it_fits() {
        let plain = |gauge: &Gauge, refused| {
            let (label, unit) = ("images".to_owned(), "images".to_owned());
            let limit = Limit { label, unit, gauge, refused, noun: "image", shortage: None };
            let mut out = Vec::new();
            gauge_line(&mut out, &limit, MAX_WIDTH).expect("it can be written");
            let text = String::from_utf8(out).expect("UTF-8");
            anstream::adapter::strip_str(text.trim_end()).to_string()
        };
        let mut gauge = Gauge::new(Some(5000), 0);
        gauge.spend(1204);
        assert_eq!(plain(&gauge, 0), "  images      ████░░░░░░░░░░░░░░░░  1,204 of 5,000 images; fits");
        gauge.spend(5000);
        assert_eq!(
            plain(&gauge, 2),
            "  images      ████░░░░░░░░░░░░░░░░  1,204 of 5,000 images; 2 images do not fit"
        );
        let mut gauge = Gauge::new(Some(5000), 1000);
        gauge.spend(204);
        assert_eq!(
            plain(&gauge, 0),
            "  images      ████░░░░░░░░░░░░░░░░  1,204 of 5,000 images, 1,000 used before; fits"
        );
    }
}

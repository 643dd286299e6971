//! The report of `presync fix` as text.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;

use super::{Done, Estimate, Group, Summary, Way};
use crate::plan::RunHeader;
use crate::report::layout::{self, bytes, counted, hanging, number, shown};
use crate::report::meter::duration;
use crate::report::next::needed;
use crate::report::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::rules;
use crate::rules::fix::Effort;

pub(super) fn write(
    out: &mut impl Write,
    header: &RunHeader,
    summary: &Summary,
    way: &Way,
    width: usize,
) -> io::Result<()> {
    layout::heading(out, "fix", header)?;
    let is_container = header.origin.container.is_some();
    let what = |effort: &Effort| match (effort, is_container) {
        (Effort::Rename, _) => ("renamed", "the content stays as it is"),
        (Effort::Patch, true) => ("on the service's side", "four bytes change; the service copies the rest"),
        (Effort::Patch, false) => ("four bytes", "only the major brand changes"),
        (Effort::Lossless, _) => ("lossless", "pixels and frames stay as they are"),
        (Effort::Encode, _) => ("encoded again", "at a quality at which no difference is seen"),
    };
    if summary.fixable() > 0 {
        writeln!(out, "{BOLD}Can be fixed{BOLD:#}")?;
        for (effort, Group { assets, bytes: size }) in &summary.groups {
            let (title, note) = what(effort);
            write!(out, "  {title:<22} {:>8}  {:>10}", number(*assets), bytes(*size))?;
            layout::noted(out, 45, note, 4, width)?;
        }
        let codes = summary.codes.iter().map(|(code, count)| format!("{code} {}", number(*count)));
        out.write_all(b"  ")?;
        hanging(out, 2, DIM, &codes.collect::<Vec<_>>().join(", "), width)?;
        writeln!(out)?;
    }
    if summary.unfixable() + summary.left_out > 0 {
        writeln!(out, "{BOLD}Cannot be fixed{BOLD:#}")?;
        for (code, count) in &summary.unfixable {
            let assets = counted(*count, "asset", "assets");
            layout::wrapped(out, code.as_str(), &format!("{assets}: {}", rules::text(*code).fix), width)?;
        }
        if summary.left_out > 0 {
            let assets = counted(summary.left_out, "asset", "assets");
            let text = format!("{assets} would have to be encoded again; --lossless-only leaves them out");
            out.write_all(b"  ")?;
            hanging(out, 2, Style::new(), &text, width)?;
        }
        writeln!(out)?;
    }
    if summary.renamed > 0 {
        let stay = match &way.to {
            Some(to) => format!("; the originals stay, the fixed assets go to {to}"),
            None if is_container => "; the blobs with the old names stay".to_owned(),
            None => String::new(),
        };
        write!(out, "{BOLD}New names{BOLD:#}")?;
        layout::noted(out, 9, &shown(&format!("annotations are matched by name{stay}")), 2, width)?;
        for (from, to) in &summary.renames {
            let (from, to) = (shown(from.as_str()), shown(to.as_str()));
            out.write_all(b"  ")?;
            hanging(out, 2, Style::new(), &format!("{from} → {to}"), width)?;
        }
        let more = summary.renamed - summary.renames.len() as u64;
        if more > 0 {
            writeln!(out, "  {DIM}and {} more{DIM:#}", number(more))?;
        }
        writeln!(out)?;
    }
    if let Some(done) = &summary.done {
        problems(out, done, width)?;
    }
    conclusion(out, header, summary, way, width)
}

fn problems(out: &mut impl Write, done: &Done, width: usize) -> io::Result<()> {
    if done.problems.is_empty() {
        return Ok(());
    }
    writeln!(out, "{BOLD}Left as they are{BOLD:#}")?;
    for (name, why) in &done.problems {
        out.write_all(b"  ")?;
        hanging(out, 2, Style::new(), &shown(name.as_str()), width)?;
        write!(out, "{:4}", "")?;
        hanging(out, 4, DIM, &shown(why), width)?;
    }
    let more = done.failed + done.unreachable - done.problems.len() as u64;
    if more > 0 {
        writeln!(out, "  {DIM}and {} more{DIM:#}", number(more))?;
    }
    writeln!(out)
}

fn conclusion(
    out: &mut impl Write,
    header: &RunHeader,
    summary: &Summary,
    way: &Way,
    width: usize,
) -> io::Result<()> {
    let quota = needed(header, &summary.if_fixed, &summary.quota);
    let fixable = summary.fixable();
    let mut said = |style, text: &str| hanging(out, 0, style, text, width);
    match &summary.done {
        None if fixable == 0 && summary.unfixable() + summary.left_out == 0 => {
            said(GOOD, "There is nothing to fix.")
        }
        None if fixable == 0 => said(ERROR, "Nothing can be fixed by a command."),
        None => {
            let assets = counted(fixable, "asset", "assets");
            said(BOLD, &format!("{assets} can be fixed. Nothing has been written."))?;
            let Estimate { requests, bytes: moved, .. } = summary.estimate;
            let time = duration(summary.estimate.time(way.jobs, way.requests).max(Duration::from_secs(1)));
            let traffic = match requests {
                0 => String::new(),
                _ => format!(", {} requests and {} to move", number(requests), bytes(moved)),
            };
            said(Style::new(), &format!("It takes about {time}{traffic}."))?;
            said(Style::new(), &format!("All that will then sync uses of the quota: {quota}."))?;
            said(Style::new(), &format!("To fix them: {}", way.next))
        }
        Some(done) => {
            let left = done.failed + done.unreachable;
            let style = if left == 0 && !done.stopped { GOOD } else { UNKNOWN };
            let fixed = counted(done.fixed, "asset", "assets");
            let mut line = format!("Fixed {fixed}, {} written", bytes(done.bytes));
            if done.already > 0 {
                line += &format!("; {} fixed before", number(done.already));
            }
            if left > 0 {
                line += &format!("; {} left as they are", number(left));
            }
            if done.stopped {
                line += "; stopped: run the same command again to continue";
            }
            said(style, &format!("{line}."))?;
            match left == 0 && !done.stopped {
                true => said(Style::new(), &format!("All that will now sync uses of the quota: {quota}.")),
                false => Ok(()),
            }
        }
    }
}

//! The report of an audit as Markdown.

use std::io::Write;

use super::report::{rule, rules_table};
use super::{Document, cell, code, words};
use crate::model::error::Result;
use crate::plan::audit::{Audit, Container};
use crate::report::containers;
use crate::report::groups::Groups;
use crate::report::layout::{counted, number, shown};
use crate::report::next::after_audit;
use crate::report::{Out, written};

/// The most assets named for each rule.
const EXAMPLES: usize = 5;
/// The most containers in the table, worst first; the rest is counted.
const MAX_ROWS: usize = 100;
/// The most containers that are named as not complete.
const MAX_INCOMPLETE: usize = 20;

/// Writes the report of an audit.
pub(in crate::report) fn audit(audit: &Audit, mut out: Out) -> Result<()> {
    let mut groups = Groups::new(EXAMPLES);
    for container in &audit.containers {
        let place = format!("{}: ", container.name);
        for asset in containers::assets(audit, container)? {
            groups.add_in(&place, &asset?);
        }
    }
    let mut document = Document::default();
    head(&mut document, audit);
    containers(&mut document, audit);
    rules_table(&mut document, &groups);
    for (_, of, group) in groups.iter() {
        rule(&mut document, of, group);
    }
    let steps = after_audit(audit);
    if !steps.is_empty() {
        let steps = steps.iter().map(|(label, text)| format!("- {label}: {}", words(&shown(text))));
        document.list("**Next**\n\n", steps, 0, "");
    }
    document.add(&format!("presync {}.", env!("CARGO_PKG_VERSION")));
    written(|| {
        out.write_all(document.finish().as_bytes())?;
        out.flush()
    })
}

fn head(document: &mut Document, audit: &Audit) {
    document.add(&format!("{}\n---", containers::verdict(audit)));
    let incomplete = audit.containers.iter().filter(|container| !container.outcome.is_complete());
    let incomplete: Vec<_> = incomplete.collect();
    if !incomplete.is_empty() {
        let named = incomplete.iter().take(MAX_INCOMPLETE);
        let lines = named.map(|container| {
            let (state, name) = (container.outcome.as_str(), code(&container.name));
            format!("> - {name}: {state}; {}", words(&shown(&containers::why(container))))
        });
        let more = incomplete.len().saturating_sub(MAX_INCOMPLETE) as u64;
        document.list("> **Incomplete**\n>\n", lines, more, "");
    }
    for text in containers::sums(audit) {
        document.add(&words(&text));
    }
}

fn containers(document: &mut Document, audit: &Audit) {
    let left_out = |container: &Container| {
        let summary = container.outcome.summary();
        summary.map_or(u64::MAX, |summary| summary.totals.rejected + summary.totals.unknown)
    };
    let mut worst: Vec<_> = audit.containers.iter().collect();
    worst.sort_by_key(|container| std::cmp::Reverse(left_out(container)));
    let row = |container: &&Container| {
        let name = cell(&code(&container.name));
        let state = container.outcome.as_str();
        let Some(summary) = container.outcome.summary() else {
            return format!("| {name} | {state} | | | | |");
        };
        let totals = &summary.totals;
        let counts = [totals.listed, totals.accepted, totals.rejected, totals.unknown].map(number);
        format!("| {name} | {state} | {} |", counts.join(" | "))
    };
    let head = format!(
        "<details><summary>{}</summary>\n\n| container | state | listed | accepted | rejected | unknown |\n\
         |---|---|---:|---:|---:|---:|\n",
        counted(worst.len() as u64, "container", "containers")
    );
    let more = worst.len().saturating_sub(MAX_ROWS) as u64;
    document.list(&head, worst.iter().take(MAX_ROWS).map(row), more, "\n</details>\n");
}

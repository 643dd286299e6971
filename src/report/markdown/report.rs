//! The report as Markdown.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::{Document, cell, code, whole, words};
use crate::model::error::Result;
use crate::model::{Asset, Code, Severity};
use crate::plan::{Changes, MAX_BASENAMES, RunHeader, Sink, Summary};
use crate::report::changes;
use crate::report::groups::{FindingGroup, Groups};
use crate::report::layout::{self, bytes, counted, number, shown};
use crate::report::next::{if_fixed, next_steps};
use crate::report::shortage::{Limit, advice, costliest, do_not_fit, limits};
use crate::report::synced::amount;
use crate::report::{Out, written};
use crate::rules;

/// The most assets named for each rule.
const EXAMPLES: usize = 10;

pub(in crate::report) struct Markdown {
    header: RunHeader,
    out: Out,
    groups: Groups,
    skipped: BTreeMap<&'static str, u64>,
}

impl Markdown {
    pub(in crate::report) fn new(header: RunHeader, out: Out) -> Self {
        Self { header, out, groups: Groups::new(EXAMPLES), skipped: BTreeMap::new() }
    }
}

impl Sink for Markdown {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.groups.add(asset);
        if let Some(skip) = asset.skipped {
            *self.skipped.entry(skip.as_str()).or_default() += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { header, mut out, groups, skipped } = *self;
        let mut document = Document::default();
        head(&mut document, &header, summary);
        totals(&mut document, summary, &skipped);
        quota(&mut document, &header, summary);
        since(&mut document, &header, summary);
        rules_table(&mut document, &groups);
        for (_, code, group) in groups.iter() {
            rule(&mut document, code, group);
        }
        steps(&mut document, &header, summary);
        foot(&mut document, &header, summary, elapsed);
        written(|| {
            out.write_all(document.finish().as_bytes())?;
            out.flush()
        })
    }
}

fn head(document: &mut Document, header: &RunHeader, summary: &Summary) {
    // A heading by a line below it, because no line begins with two number signs.
    document.add(&format!("{}\n---", layout::verdict(summary).1));
    document.add(&code(&header.origin.location));
    if let Some(why) = &summary.incomplete {
        let listed = counted(summary.totals.listed, "entry was", "entries were");
        document.add(&format!("> **Incomplete:** {}. Only the first {listed} judged.", words(&shown(why))));
    }
}

fn totals(document: &mut Document, summary: &Summary, skipped: &BTreeMap<&'static str, u64>) {
    let totals = &summary.totals;
    let counts = [totals.listed, totals.accepted, totals.rejected, totals.skipped, totals.unknown];
    let counts = counts.map(number).join(" | ");
    document.add(&format!(
        "| listed | accepted | rejected | skipped | unknown |\n|---:|---:|---:|---:|---:|\n| {counts} |"
    ));
    let skipped = skipped.iter().map(|(reason, count)| format!("{} × {reason}", number(*count)));
    let skipped: Vec<_> = skipped.collect();
    if !skipped.is_empty() {
        document.add(&format!("Skipped: {}.", skipped.join("; ")));
    }
}

fn quota(document: &mut Document, header: &RunHeader, summary: &Summary) {
    let limits = limits(&header.profile, summary);
    let row = |limit: &Limit<'_>| {
        let gauge = limit.gauge;
        let (most, left) = match gauge.limit {
            Some(most) => (number(most), gauge.left().map(number).unwrap_or_default()),
            None => ("no limit set".to_owned(), String::new()),
        };
        let fits = match (gauge.limit, gauge.fits) {
            (None, _) => String::new(),
            (_, true) => "fits".to_owned(),
            (_, false) => format!("**{}**", do_not_fit(limit.refused, limit.noun)),
        };
        let (unit, used) = (cell(&words(&shown(&limit.unit))), number(gauge.used()));
        format!("| {unit} | {used} | {most} | {left} | {fits} |")
    };
    let head = "| quota | used | limit | left | |\n|---|---:|---:|---:|---|\n";
    document.list(head, limits.iter().map(row), 0, "");
    for limit in &limits {
        shortage(document, limit);
    }
    if let Some(text) = if_fixed(header, summary) {
        document.add(&format!("If fixed: {}.", words(&shown(&text))));
    }
}

fn shortage(document: &mut Document, limit: &Limit<'_>) {
    let (Some(shortage), Some(most)) = (limit.shortage, limit.gauge.limit) else { return };
    let first = &shortage.first_refused;
    let (position, name) = (number(first.position), code(first.name.as_str()));
    let mut lines = vec![format!("- first refused: entry {position}, {name}")];
    lines.extend(advice(shortage, most, limit.noun).iter().map(|line| format!("- {line}")));
    let (named, more) = costliest(shortage);
    lines.extend(named.iter().map(|costly| {
        let (name, cost) = (code(costly.name.as_str()), number(costly.cost));
        format!("  - {name}: {cost} {}", words(&shown(&limit.unit)))
    }));
    if more > 0 {
        lines.push(format!("  - and {} more", number(more as u64)));
    }
    let head = format!("**{}**\n\n", words(&shown(&limit.label)));
    document.list(&head, lines, 0, "");
}

/// The changes since an earlier plan, and what is on the platform.
fn since(document: &mut Document, header: &RunHeader, summary: &Summary) {
    if let Some(changes) = &summary.changes {
        let Changes { since, added, changed, removed, unchanged, .. } = changes;
        let [added, changed, removed] = [added, changed, removed].map(|group| number(group.count));
        let (since, unchanged) = (since.strftime("%Y-%m-%d %H:%M:%S UTC"), number(*unchanged));
        document.add(&format!(
            "Since {since}: {added} added, {changed} changed, {removed} removed, {unchanged} unchanged."
        ));
    }
    if let Some(findings) = changes::findings_of(summary) {
        document.add(&format!("Findings: {}.", changes::finding_counts(findings)));
        let lines = findings.fixed.iter().map(|fixed| {
            let gone = if fixed.is_gone { ", which is gone" } else { "" };
            format!("- {} {}{gone}", fixed.code, code(fixed.name.as_str()))
        });
        let fixed = findings.counts().fixed;
        let head = format!("<details><summary>{} fixed</summary>\n\n", number(fixed));
        if fixed > 0 {
            document.list(&head, lines, fixed - findings.fixed.len() as u64, "\n</details>\n");
        }
    }
    if let Some(synced) = summary.synced.as_ref().filter(|synced| !synced.sources.is_empty()) {
        let counts = [synced.new, synced.changed, synced.unchanged, synced.gone.count].map(number);
        let [new, changed, unchanged, gone] = counts;
        let uses = words(&shown(&amount(synced.charge, &header.profile)));
        document.add(&format!(
            "On the platform: {new} new, {changed} changed, {unchanged} unchanged, {gone} gone. A sync uses {uses}."
        ));
    }
    if !summary.basenames_compared {
        document.add(&format!("Only the first {} basenames were compared.", number(MAX_BASENAMES as u64)));
    }
}

pub(super) fn rules_table(document: &mut Document, groups: &Groups) {
    let row = |(severity, code, group): (Severity, Code, &FindingGroup)| {
        let effect = match severity {
            Severity::Error => "rejects",
            Severity::Unknown => "not judged",
            Severity::Warning => "warns",
        };
        let (name, count) = (code.name(), number(group.count));
        format!("| {code} | {name} | {effect} | {count} | {} |", rules::summary(code).replace('|', "\\|"))
    };
    let mut rows = groups.iter().map(row).peekable();
    if rows.peek().is_some() {
        document.list("| code | rule | effect | assets | |\n|---|---|---|---:|---|\n", rows, 0, "");
    }
}

pub(super) fn rule(document: &mut Document, of: Code, group: &FindingGroup) {
    let assets = group.counted();
    let head = format!("<details><summary>{of} {}: {assets}</summary>\n\n", of.name());
    let fix = group.fix().map(|(name, fix)| {
        let is_prose = fix.starts_with(|letter: char| letter.is_ascii_uppercase());
        let fix = if is_prose { words(&shown(fix)) } else { whole(fix) };
        format!("- fix for {}: {fix}", code(name))
    });
    let examples = group.examples.iter();
    let example = examples.map(|example| {
        format!("- {}{}: {}", example.mark(), code(&example.name), words(&shown(&example.message)))
    });
    document.list(&head, fix.into_iter().chain(example), group.more(), "\n</details>\n");
}

fn steps(document: &mut Document, header: &RunHeader, summary: &Summary) {
    let steps = next_steps(header, summary);
    if !steps.is_empty() {
        let steps = steps.iter().map(|(label, text)| format!("- {label}: {}", words(&shown(text))));
        document.list("**Next**\n\n", steps, 0, "");
    }
}

fn foot(document: &mut Document, header: &RunHeader, summary: &Summary, elapsed: Duration) {
    let totals = &summary.totals;
    let (read, listed) = (bytes(totals.bytes_read), bytes(totals.bytes_listed));
    let requests = counted(totals.requests, "request", "requests");
    let profile = words(&shown(&header.profile.name));
    let changed = match header.profile.overrides.is_empty() {
        true => String::new(),
        false => format!(" with {}", words(&shown(&header.profile.overrides.to_string()))),
    };
    let (version, ended) =
        (env!("CARGO_PKG_VERSION"), layout::ended(header, elapsed).strftime("%Y-%m-%d %H:%M:%S UTC"));
    document.add(&format!(
        "presync {version}, rules {profile}{changed}, {ended}; read {read} of {listed} in {requests}."
    ));
}

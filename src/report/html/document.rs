//! The data of the page, as JSON for its own script. It isn't a format for other programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::curve::{FirstRefused, Point, QuotaCurve};
use super::distributions::{Distribution, Distributions};
use super::findings::{FindingRow, Findings};
use super::folders::{FolderRow, FolderTree};
use crate::model::{Code, Gauge, Totals};
use crate::plan::{RunHeader, Shortage, Summary};
use crate::report::changes;
use crate::report::layout::{self, number, verdict};
use crate::report::next::{if_fixed, next_steps};
use crate::report::record::ToolRecord;
use crate::report::shortage::{Limit, advice, costliest, limits};
use crate::report::{shown, synced};
use crate::rules;

#[derive(Serialize)]
pub(super) struct PageData<'a> {
    pub(super) location: String,
    pub(super) verdict: String,
    tool: ToolRecord,
    /// Labels and values about the run.
    about: Vec<(&'static str, String)>,
    /// Caveats about the numbers.
    notes: Vec<String>,
    /// What the rules assume about the platform.
    assumptions: Vec<String>,
    /// What would be needed if everything that can be fixed were fixed; empty if nothing can be.
    if_fixed: String,
    /// What to do next: labels and texts.
    next: Vec<(&'static str, String)>,
    totals: Totals,
    /// Why entries were skipped.
    skipped: Vec<(&'static str, u64)>,
    quota: QuotaData<'a>,
    rules: Vec<RuleData>,
    folders: Vec<FolderRow>,
    distributions: Vec<Distribution>,
    findings: Vec<FindingRow>,
    texts: Vec<String>,
    thumbnails: Vec<String>,
    /// What is on the platform: rows of a label, a count and a note.
    synced: Vec<(&'static str, u64, String)>,
    /// What a sync uses of the quota.
    charge: String,
}

#[derive(Serialize)]
struct QuotaData<'a> {
    is_shared: bool,
    images: GaugeData<'a>,
    frames: GaugeData<'a>,
    curve: Vec<Point>,
}

#[derive(Serialize)]
struct GaugeData<'a> {
    unit: String,
    limit: Option<u64>,
    used_before: u64,
    /// What is kept free.
    reserve: u64,
    cost: u64,
    /// What the other kind uses of a shared limit.
    cost_of_other_kind: u64,
    /// Assets that do not fit.
    refused: u64,
    /// What would fit if the limit were raised, and what to leave out instead.
    advice: Vec<String>,
    /// Assets to leave out, with what they cost, and the number of further ones.
    leave_out: Vec<(String, u64)>,
    leave_out_more: usize,
    first_refused: Option<&'a FirstRefused>,
}

#[derive(Serialize)]
struct RuleData {
    /// Its index in [`Code::ALL`], by which findings and folders refer to it.
    place: usize,
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    count: u64,
    /// The number of its findings in the table.
    shown: usize,
    summary: &'static str,
    why: &'static str,
    fix: &'static str,
    source: &'static str,
}

/// The parts collected from the assets.
pub(super) struct PageParts<'a> {
    pub(super) curve: &'a QuotaCurve,
    pub(super) distributions: Distributions,
    pub(super) findings: Findings,
    pub(super) folders: FolderTree,
    pub(super) skipped: BTreeMap<&'static str, u64>,
}

impl<'a> PageData<'a> {
    pub(super) fn new(
        header: &RunHeader,
        summary: &Summary,
        elapsed: Duration,
        parts: PageParts<'a>,
    ) -> Self {
        let PageParts { curve, distributions, findings, folders, skipped } = parts;
        let rules = summary.findings.iter().map(|(code, count)| rule(*code, *count, &findings)).collect();
        let (findings, texts, thumbnails) = findings.into_rows();
        Self {
            location: shown(&header.origin.location),
            verdict: verdict(summary).1,
            tool: ToolRecord::this(),
            about: about(header, elapsed),
            notes: notes(summary),
            assumptions: header.profile.assumptions.iter().map(|text| shown(text)).collect(),
            if_fixed: if_fixed(header, summary).map(|text| shown(&text)).unwrap_or_default(),
            next: next_steps(header, summary)
                .into_iter()
                .map(|(label, text)| (label, shown(&text)))
                .collect(),
            totals: summary.totals,
            skipped: skipped.into_iter().collect(),
            quota: quota(header, summary, curve),
            rules,
            folders: folders.into_records(),
            distributions: distributions.into_list(),
            findings,
            texts,
            thumbnails,
            synced: summary
                .synced
                .as_ref()
                .map(|synced| synced::rows(synced, &header.profile))
                .unwrap_or_default(),
            charge: summary
                .synced
                .as_ref()
                .map(|synced| shown(&synced::amount(synced.charge, &header.profile)))
                .unwrap_or_default(),
        }
    }
}

fn about(header: &RunHeader, elapsed: Duration) -> Vec<(&'static str, String)> {
    let (origin, profile) = (&header.origin, &header.profile);
    let rows = [
        ("Connection", header.connection.as_ref().map(|name| format!("@{name}"))),
        ("Account", origin.account.clone()),
        ("Container", origin.container.clone()),
        ("Prefix", Some(origin.prefix.clone()).filter(|prefix| !prefix.is_empty())),
        ("Credential", origin.credential.clone()),
        ("Rules", Some(format!("{} ({})", profile.name, profile.title))),
        ("Names", Some(header.filter.to_string()).filter(|filter| !filter.is_empty())),
        ("Changed rules", Some(profile.overrides.to_string()).filter(|rules| !rules.is_empty())),
        ("Run", Some(ran(header, elapsed))),
    ];
    rows.into_iter().filter_map(|(label, value)| Some((label, shown(&value?)))).collect()
}

/// `2026-11-28 17:03:41 UTC, for 2.3 s`.
fn ran(header: &RunHeader, elapsed: Duration) -> String {
    let begun = header.begun.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!("{begun}, for {:.1} s", elapsed.as_secs_f64())
}

fn notes(summary: &Summary) -> Vec<String> {
    let incomplete = summary.incomplete.as_ref().map(|why| {
        let listed = number(summary.totals.listed);
        format!("Incomplete: {}. Only the first {listed} entries were judged.", shown(why))
    });
    let since = changes::lines(summary).into_iter().map(|line| shown(&line));
    incomplete.into_iter().chain(layout::notes(summary)).chain(since).collect()
}

fn quota<'a>(header: &RunHeader, summary: &Summary, curve: &'a QuotaCurve) -> QuotaData<'a> {
    let count =
        |code| summary.findings.iter().find(|(found, _)| *found == code).map_or(0, |(_, count)| *count);
    let limits = limits(&header.profile, summary);
    let gauge = |limit: &Limit<'_>, gauge: &Gauge, code, first_refused| {
        let costly = limit.shortage.map(costliest);
        let (named, more) = costly.unwrap_or((&[], 0));
        let advice = |lacking: &Shortage| Some(advice(lacking, gauge.limit?, limit.noun));
        GaugeData {
            unit: shown(&limit.unit),
            limit: gauge.limit,
            used_before: gauge.used_before.saturating_sub(gauge.returned),
            reserve: gauge.reserve,
            cost: gauge.cost,
            cost_of_other_kind: gauge.cost_of_other_kind,
            refused: count(code),
            advice: limit.shortage.and_then(advice).unwrap_or_default(),
            leave_out: named.iter().map(|costly| (shown(costly.name.as_str()), costly.cost)).collect(),
            leave_out_more: more,
            first_refused,
        }
    };
    let quota = &summary.quota;
    // If both share a limit, the page shows only the first gauge.
    let (of_images, of_frames) = (&limits[0], &limits[limits.len() - 1]);
    QuotaData {
        is_shared: quota.is_shared(),
        images: gauge(of_images, &quota.images, Code::ImageQuota, curve.image_refused()),
        frames: gauge(of_frames, &quota.frames, Code::FrameQuota, curve.frame_refused()),
        curve: curve.points(),
    }
}

fn rule(code: Code, count: u64, findings: &Findings) -> RuleData {
    let kept = findings.rule(code);
    let text = rules::text(code);
    RuleData {
        place: code as usize,
        code: code.as_str(),
        name: code.name(),
        severity: kept.severity.unwrap_or(code.severity()).as_str(),
        count,
        shown: kept.rows,
        summary: text.summary,
        why: text.why,
        fix: text.fix,
        source: text.source,
    }
}

//! What the numbers of a run are for: what would be needed if everything were fixed, and what to do next.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::layout::{counted, number, quoted, refused, wrapped};
use super::style::BOLD;
use crate::model::{Gauge, Kind, Quota};
use crate::plan::audit::{Audit, Container};
use crate::plan::{IfFixed, RunHeader, Summary};

/// `8 images, 240 frames`.
pub(super) fn counts(images: u64, frames: u64) -> String {
    format!("{}, {}", counted(images, "image", "images"), counted(frames, "frame", "frames"))
}

/// How much would be needed if everything that can be fixed were fixed, and whether it fits. `None` if nothing can be.
pub(super) fn if_fixed(header: &RunHeader, summary: &Summary) -> Option<String> {
    let fixable = summary.if_fixed.fixable;
    let assets = counted(fixable, "asset", "assets");
    let needed = needed(header, &summary.if_fixed, &summary.quota);
    (fixable > 0).then(|| format!("with the {assets} that can be fixed: {needed}"))
}

/// What that uses of the quota, and whether it fits.
pub(super) fn needed(header: &RunHeader, if_fixed: &IfFixed, quota: &Quota) -> String {
    let IfFixed { uncounted, images, frames, image_cost, frame_cost, .. } = *if_fixed;
    let need = |cost: u64, gauge: &Gauge, kind| {
        let needed = format!("{} {}", number(cost), header.profile.quota_unit(kind));
        match gauge.room() {
            None => needed,
            Some(room) if cost <= room => format!("{needed}, which fit"),
            Some(room) => format!("{needed}, {} too many", number(cost - room)),
        }
    };
    let needed = match quota.is_shared() {
        true => {
            let cost = image_cost.saturating_add(frame_cost);
            format!("{} ({})", need(cost, &quota.images, Kind::Image), counts(images, frames))
        }
        false => {
            let images = need(image_cost, &quota.images, Kind::Image);
            format!("{images}; {}", need(frame_cost, &quota.frames, Kind::Video))
        }
    };
    let unknown = match uncounted {
        0 => String::new(),
        1 => "; the frames of 1 video are not known yet".to_owned(),
        videos => format!("; the frames of {} videos are not known yet", number(videos)),
    };
    format!("{needed}{unknown}")
}

/// Writes what to do next.
pub(super) fn write(out: &mut impl Write, steps: &[(&'static str, String)], width: usize) -> io::Result<()> {
    if !steps.is_empty() {
        writeln!(out, "{BOLD}Next{BOLD:#}")?;
    }
    steps.iter().try_for_each(|(label, text)| wrapped(out, label, text, width))
}

/// What to do after a preview of a source with so many images and videos.
pub(super) fn after_preview(header: &RunHeader, media: u64) -> Vec<(&'static str, String)> {
    let source = quoted(&header.origin.location);
    match media {
        0 => Vec::new(),
        _ => vec![("check", format!("presync dry-run {source} reads the headers and says what will sync"))],
    }
}

/// What to do after an audit.
pub(super) fn after_audit(audit: &Audit) -> Vec<(&'static str, String)> {
    let summaries =
        || audit.containers.iter().filter_map(|container| Some((container, container.outcome.summary()?)));
    let mut steps = Vec::new();
    let missing = audit.containers.iter().filter(|container| !container.outcome.is_complete()).count() as u64;
    if missing > 0 {
        let containers = counted(missing, "container", "containers");
        steps.push(("again", format!("the same command reads only what is missing of {containers}")));
    }
    // The container with most to fix stands for the others.
    let fixable = |summary: &Summary| summary.if_fixed.fixable;
    let worst = summaries().max_by_key(|(container, summary)| (fixable(summary), Reverse(&container.name)));
    if let Some((container, summary)) = worst.filter(|(_, summary)| fixable(summary) > 0) {
        let assets = counted(fixable(summary), "asset", "assets");
        let others = summaries().filter(|(_, summary)| fixable(summary) > 0).count() as u64 - 1;
        let others = match others {
            0 => String::new(),
            others => format!("; likewise for {}", counted(others, "other container", "other containers")),
        };
        let source = source_of(container);
        steps.push((
            "fix",
            format!("{assets}: presync fix {source} shows how, and does it with --apply{others}"),
        ));
    }
    if let Some((container, _)) = summaries().find(|(_, summary)| refused(summary) > 0) {
        let source = source_of(container);
        steps.push(("quota", format!("presync dry-run {source} shows what to raise or to leave out")));
    }
    let planned = summaries().find_map(|(container, summary)| Some((container.plan.as_ref()?, summary)));
    if let Some((plan, _)) = planned.filter(|(_, summary)| summary.totals.accepted > 0) {
        let plan = quoted(&plan.to_string_lossy());
        steps.push(("sync", format!("presync commit {plan} --workspace NAME, then sync on the platform")));
    }
    steps
}

/// A container as an argument: its connection, or its location.
fn source_of(container: &Container) -> String {
    match container.name.starts_with('@') {
        true => quoted(&container.name),
        false => quoted(&container.origin.location),
    }
}

/// What to do next, as labels and texts with commands.
pub(super) fn next_steps(header: &RunHeader, summary: &Summary) -> Vec<(&'static str, String)> {
    let totals = &summary.totals;
    let source = quoted(&header.origin.location);
    let profile = match &*header.profile_from {
        "nexus" => String::new(),
        profile => format!(" --profile {}", quoted(profile)),
    };
    let workspace = header.workspace.as_deref().map(|name| format!(" --workspace {}", quoted(name)));
    let run = format!("presync dry-run {source}{profile}{}", workspace.unwrap_or_default());
    if summary.incomplete.is_some() {
        return vec![("again", format!("{run}; with --plan FILE, --resume continues where it stopped"))];
    }
    if totals.listed == totals.skipped {
        return Vec::new();
    }
    let mut steps = Vec::new();
    if totals.unknown > 0 {
        let text =
            "run again for what could not be judged, or leave it out with presync commit --allow-unknown";
        steps.push(("unknown", text.to_owned()));
    }
    if summary.if_fixed.fixable > 0 {
        let assets = counted(summary.if_fixed.fixable, "asset", "assets");
        let fix = format!("presync fix {source}{profile}");
        steps.push((
            "fix",
            format!("{assets}: {fix} shows how, and does it with --apply; then check again: {run}"),
        ));
    }
    if refused(summary) > 0 {
        let text = "raise the limit, leave assets out, or let the most assets fit: --admit most-assets";
        steps.push(("quota", text.to_owned()));
    }
    if totals.accepted > 0 {
        let commit = match header.workspace {
            Some(_) => "presync commit plan.parquet",
            None => "presync commit plan.parquet --workspace NAME",
        };
        steps.push(("sync", format!("{run} --plan plan.parquet, then {commit}, then sync on the platform")));
    }
    steps
}

//! The report of `presync fix` as JSON: one document, or a line for each asset and one for the rest.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Fixed, Group, Outcome, Summary, Way};
use crate::model::BlobName;
use crate::plan::RunHeader;
use crate::report::Visible;
use crate::report::record::{FORMAT_VERSION, SourceRecord, ToolRecord};
use crate::rules::fix::Effort;

#[derive(Serialize)]
struct FixedRecord<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_name: Option<&'a str>,
    effort: &'static str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> FixedRecord<'a> {
    fn new(name: &'a BlobName, new_name: &'a BlobName, effort: Effort, result: &'static str) -> Self {
        let changed = Some(new_name.as_str()).filter(|_| name != new_name);
        Self {
            name: name.as_str(),
            new_name: changed,
            effort: effort.as_str(),
            result,
            bytes: None,
            reason: None,
        }
    }
}

/// Writes the record of an asset that can be fixed as a line of JSON.
///
/// # Errors
/// Returns an error if the line cannot be written.
pub fn fixable(name: &BlobName, new_name: &BlobName, effort: Effort, out: &mut impl Write) -> io::Result<()> {
    line(FixedRecord::new(name, new_name, effort, "fixable"), out)
}

/// Writes the record of an asset that was fixed, or was to be, as a line of JSON.
///
/// # Errors
/// Returns an error if the line cannot be written.
pub fn record(fixed: &Fixed, out: &mut impl Write) -> io::Result<()> {
    let (result, bytes, reason) = match &fixed.outcome {
        Outcome::Fixed { bytes } => ("fixed", Some(*bytes), None),
        Outcome::Already => ("already-fixed", None, None),
        Outcome::Failed(why) => ("failed", None, Some(why.as_str())),
        Outcome::Unreachable(why) => ("unreachable", None, Some(why.as_str())),
    };
    let record = FixedRecord::new(&fixed.name, &fixed.new_name, fixed.effort, result);
    line(FixedRecord { bytes, reason, ..record }, out)
}

fn line(record: impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(Visible::json(&mut *out), &record)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
pub(super) struct Document<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    source: SourceRecord<'a>,
    profile: &'a str,
    fixable: BTreeMap<&'static str, GroupRecord>,
    unfixable: BTreeMap<&'static str, u64>,
    left_out: u64,
    renamed: u64,
    estimate: EstimateRecord,
    quota_if_fixed: QuotaRecord,
    /// Whether the run did not end early.
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<DoneRecord>,
}

#[derive(Serialize)]
struct GroupRecord {
    assets: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct EstimateRecord {
    requests: u64,
    bytes_moved: u64,
    seconds: u64,
}

#[derive(Serialize)]
struct QuotaRecord {
    images: u64,
    frames: u64,
    image_cost: u64,
    frame_cost: u64,
    /// `None` without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    images_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames_left: Option<u64>,
}

#[derive(Serialize)]
struct DoneRecord {
    fixed: u64,
    already_fixed: u64,
    failed: u64,
    unreachable: u64,
    bytes: u64,
    complete: bool,
}

impl<'a> Document<'a> {
    pub(super) fn new(header: &'a RunHeader, summary: &Summary, way: &Way) -> Self {
        let groups = summary.groups.iter();
        let group = |(effort, group): (&Effort, &Group)| {
            (effort.as_str(), GroupRecord { assets: group.assets, bytes: group.bytes })
        };
        let done = summary.done.as_ref().map(|done| DoneRecord {
            fixed: done.fixed,
            already_fixed: done.already,
            failed: done.failed,
            unreachable: done.unreachable,
            bytes: done.bytes,
            complete: !done.stopped,
        });
        Self {
            format_version: FORMAT_VERSION,
            tool: ToolRecord::this(),
            source: SourceRecord::new(&header.origin),
            profile: &header.profile.name,
            fixable: groups.map(group).collect(),
            unfixable: summary.unfixable.iter().map(|(code, count)| (code.as_str(), *count)).collect(),
            left_out: summary.left_out,
            renamed: summary.renamed,
            estimate: EstimateRecord {
                requests: summary.estimate.requests,
                bytes_moved: summary.estimate.bytes,
                seconds: summary.estimate.time(way.jobs, way.requests).as_secs(),
            },
            quota_if_fixed: QuotaRecord {
                images: summary.if_fixed.images,
                frames: summary.if_fixed.frames,
                image_cost: summary.if_fixed.image_cost,
                frame_cost: summary.if_fixed.frame_cost,
                images_left: summary.quota.images.room(),
                frames_left: summary.quota.frames.room(),
            },
            complete: summary.done.as_ref().is_none_or(|done| !done.stopped),
            done,
        }
    }
}

/// Writes the last line of JSON lines.
pub(super) fn end(header: &RunHeader, summary: &Summary, way: &Way, out: &mut impl Write) -> io::Result<()> {
    line(Document::new(header, summary, way), out)
}

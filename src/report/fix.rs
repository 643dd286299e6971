//! The report of `presync fix`: what would be done, or what was done.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::layout::{self, MAX_WIDTH, MIN_WIDTH, bytes, counted, cut, number, shown};
use super::next::needed;
use super::record::{FORMAT_VERSION, SourceRecord, ToolRecord};
use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::model::{BlobName, Code, Quota};
use crate::plan::{IfFixed, RunHeader};
use crate::rules::fix::Effort;

/// The most names that the text report shows in a list.
const MAX_NAMES: usize = 10;

/// The format of the report.
///
/// The docs of the variants are shown in `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FixFormat {
    /// Plain text for people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// One JSON object per line for each asset, written as it is fixed
    Jsonl,
}

/// The result for one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Its name.
    pub name: BlobName,
    /// The name of the fixed asset.
    pub new_name: BlobName,
    /// The effort of the fix.
    pub effort: Effort,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened to one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was fixed, and this many bytes were written.
    Fixed {
        /// Bytes written.
        bytes: u64,
    },
    /// An earlier run had already fixed it.
    Already,
    /// It was left as it is, for this reason.
    Failed(String),
    /// It could not be read or written, for this reason.
    Unreachable(String),
}

/// The assets that need the same effort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Number of assets.
    pub assets: u64,
    /// Their sizes, in bytes.
    pub bytes: u64,
}

/// Bytes per second that a connection is assumed to move.
const BANDWIDTH: f64 = 12.5e6;
/// How long a response is assumed to take.
const LATENCY: Duration = Duration::from_millis(50);

/// What fixing takes, roughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Requests to the service.
    pub requests: u64,
    /// Bytes that are moved to and from the service.
    pub bytes: u64,
    /// The time of the programs, on one core.
    pub work: Duration,
}

impl Estimate {
    /// Adds what another asset takes.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.work = self.work.saturating_add(other.work);
    }

    /// How long it takes with `jobs` programs and `requests` requests at a time, at 100 Mbit/s and 50 ms a request.
    pub fn time(&self, jobs: usize, requests: usize) -> Duration {
        let of = |duration: Duration, at_once: usize| duration.as_secs_f64() / at_once.max(1) as f64;
        let waiting = self.requests as f64 * of(LATENCY, requests);
        let seconds = of(self.work, jobs) + self.bytes as f64 / BANDWIDTH + waiting;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// How a fix is carried out.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// What to run next.
    pub next: String,
    /// Programs at a time.
    pub jobs: usize,
    /// Requests at a time.
    pub requests: usize,
    /// Where the fixed assets go, if the originals stay as they are.
    pub to: Option<String>,
}

/// What is to be fixed, and what was.
#[derive(Debug)]
pub struct Summary {
    /// The assets that can be fixed, by effort.
    pub groups: BTreeMap<Effort, Group>,
    /// The number of assets that need each rule's fix.
    pub codes: BTreeMap<Code, u64>,
    /// The number of assets that no command can fix, by the rule that is in the way.
    pub unfixable: BTreeMap<Code, u64>,
    /// The assets that encoding would fix, but that `--lossless-only` leaves out.
    pub left_out: u64,
    /// The number of assets whose name changes.
    pub renamed: u64,
    /// The first of them, with their new names.
    pub renames: Vec<(BlobName, BlobName)>,
    /// What fixing takes.
    pub estimate: Estimate,
    /// What all accepted and fixed assets need of the quota.
    pub if_fixed: IfFixed,
    /// The quota.
    pub quota: Quota,
    /// The results; `None` if nothing was to be done yet.
    pub done: Option<Done>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Assets fixed.
    pub fixed: u64,
    /// Assets that an earlier run had fixed.
    pub already: u64,
    /// Assets that were left as they are.
    pub failed: u64,
    /// Assets that could not be read or written.
    pub unreachable: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Whether the run ended early.
    pub stopped: bool,
    /// The first assets that were not fixed, with the reason.
    pub problems: Vec<(BlobName, String)>,
}

impl Summary {
    /// Nothing to fix yet.
    pub fn new(quota: Quota) -> Self {
        let (groups, codes, unfixable) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (estimate, if_fixed) = (Estimate::default(), IfFixed::default());
        let (left_out, renamed, renames, done) = (0, 0, Vec::new(), None);
        Self { groups, codes, unfixable, left_out, renamed, renames, estimate, if_fixed, quota, done }
    }

    /// The number of assets that can be fixed.
    pub fn fixable(&self) -> u64 {
        self.groups.values().map(|group| group.assets).sum()
    }

    /// The number of assets that no command can fix.
    pub fn unfixable(&self) -> u64 {
        self.unfixable.values().sum()
    }

    /// Counts an asset whose name changes.
    pub fn add_rename(&mut self, from: &BlobName, to: &BlobName) {
        self.renamed += 1;
        if self.renames.len() < MAX_NAMES {
            self.renames.push((from.clone(), to.clone()));
        }
    }
}

impl Done {
    /// Counts the result for an asset.
    pub fn add(&mut self, fixed: &Fixed) {
        let mut problem = |why: &String| {
            if self.problems.len() < MAX_NAMES {
                self.problems.push((fixed.name.clone(), why.clone()));
            }
        };
        match &fixed.outcome {
            Outcome::Fixed { bytes } => {
                self.fixed += 1;
                self.bytes += bytes;
            }
            Outcome::Already => self.already += 1,
            Outcome::Failed(why) => {
                problem(why);
                self.failed += 1;
            }
            Outcome::Unreachable(why) => {
                problem(why);
                self.unreachable += 1;
            }
        }
    }
}

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

/// Writes the record of an asset as a line of JSON.
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
    let record = FixedRecord {
        name: fixed.name.as_str(),
        new_name: Some(fixed.new_name.as_str()).filter(|name| *name != fixed.name.as_str()),
        effort: fixed.effort.as_str(),
        result,
        bytes,
        reason,
    };
    serde_json::to_writer(&mut *out, &record)?;
    writeln!(out)
}

#[derive(Serialize)]
struct Document<'a> {
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

/// Writes the report. JSON lines have no summary.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub fn write(
    format: FixFormat,
    header: &RunHeader,
    summary: &Summary,
    way: &Way,
    out: &mut impl Write,
    width: usize,
) -> io::Result<()> {
    match format {
        FixFormat::Text => text(out, header, summary, way, width.clamp(MIN_WIDTH, MAX_WIDTH))?,
        FixFormat::Json => json(out, header, summary, way)?,
        FixFormat::Jsonl => {}
    }
    out.flush()
}

fn json(out: &mut impl Write, header: &RunHeader, summary: &Summary, way: &Way) -> io::Result<()> {
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
    let document = Document {
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
        done,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn text(
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
            let line = format!("{:<22} {:>8}  {:>10}", title, number(*assets), bytes(*size));
            writeln!(out, "  {line}  {DIM}{}{DIM:#}", cut(note, width.saturating_sub(46)))?;
        }
        let codes = summary.codes.iter().map(|(code, count)| format!("{code} {}", number(*count)));
        writeln!(out, "  {DIM}{}{DIM:#}\n", cut(&codes.collect::<Vec<_>>().join(", "), width - 2))?;
    }
    if summary.unfixable() + summary.left_out > 0 {
        writeln!(out, "{BOLD}Cannot be fixed{BOLD:#}")?;
        for (code, count) in &summary.unfixable {
            let assets = counted(*count, "asset", "assets");
            layout::wrapped(
                out,
                code.as_str(),
                &format!("{assets}: {}", crate::rules::text(*code).fix),
                width,
            )?;
        }
        if summary.left_out > 0 {
            let assets = counted(summary.left_out, "asset", "assets");
            writeln!(out, "  {assets} would have to be encoded again; --lossless-only leaves them out")?;
        }
        writeln!(out)?;
    }
    if summary.renamed > 0 {
        let stay = match &way.to {
            Some(to) => format!("; the originals stay, the fixed assets go to {to}"),
            None if is_container => "; the blobs with the old names stay".to_owned(),
            None => String::new(),
        };
        let stay = shown(&stay);
        writeln!(out, "{BOLD}New names{BOLD:#}  {DIM}annotations are matched by name{stay}{DIM:#}")?;
        for (from, to) in &summary.renames {
            let (from, to) = (shown(from.as_str()), shown(to.as_str()));
            writeln!(out, "  {}", cut(&format!("{from} → {to}"), width - 2))?;
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
    conclusion(out, header, summary, way)
}

fn problems(out: &mut impl Write, done: &Done, width: usize) -> io::Result<()> {
    if done.problems.is_empty() {
        return Ok(());
    }
    writeln!(out, "{BOLD}Left as they are{BOLD:#}")?;
    for (name, why) in &done.problems {
        writeln!(out, "  {}", cut(&shown(name.as_str()), width - 2))?;
        writeln!(out, "    {DIM}{}{DIM:#}", shown(why))?;
    }
    let more = done.failed + done.unreachable - done.problems.len() as u64;
    if more > 0 {
        writeln!(out, "  {DIM}and {} more{DIM:#}", number(more))?;
    }
    writeln!(out)
}

fn conclusion(out: &mut impl Write, header: &RunHeader, summary: &Summary, way: &Way) -> io::Result<()> {
    let quota = needed(header, &summary.if_fixed, &summary.quota);
    let fixable = summary.fixable();
    match &summary.done {
        None if fixable == 0 && summary.unfixable() + summary.left_out == 0 => {
            writeln!(out, "{GOOD}There is nothing to fix.{GOOD:#}")
        }
        None if fixable == 0 => writeln!(out, "{ERROR}Nothing can be fixed by a command.{ERROR:#}"),
        None => {
            let assets = counted(fixable, "asset", "assets");
            writeln!(out, "{BOLD}{assets} can be fixed.{BOLD:#} Nothing has been written.")?;
            let Estimate { requests, bytes: moved, .. } = summary.estimate;
            let time = duration(summary.estimate.time(way.jobs, way.requests));
            let traffic = match requests {
                0 => String::new(),
                _ => format!(", {} requests and {} to move", number(requests), bytes(moved)),
            };
            writeln!(out, "It takes about {time}{traffic}.")?;
            writeln!(out, "All that will then sync uses of the quota: {quota}.")?;
            writeln!(out, "To fix them: {}", way.next)
        }
        Some(done) => {
            let left = done.failed + done.unreachable;
            let style = if left == 0 && !done.stopped { GOOD } else { UNKNOWN };
            let fixed = counted(done.fixed, "asset", "assets");
            let mut line = format!("Fixed {fixed}, {} written", bytes(done.bytes));
            if done.already > 0 {
                line += &format!("; {} were fixed before", number(done.already));
            }
            if left > 0 {
                line += &format!("; {} left as they are", number(left));
            }
            if done.stopped {
                line += "; stopped: run the same command again to continue";
            }
            writeln!(out, "{style}{line}.{style:#}")?;
            match left == 0 && !done.stopped {
                true => writeln!(out, "All that will now sync uses of the quota: {quota}."),
                false => Ok(()),
            }
        }
    }
}

/// `12 s`, `3 min`, `2.5 h`.
fn duration(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.5 => "a second".to_owned(),
        seconds if seconds < 90.0 => format!("{seconds:.0} s"),
        seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

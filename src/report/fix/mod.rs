//! The report of `presync fix`: what would be done, or what was done.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;

use super::document;
use super::layout::{MAX_WIDTH, MIN_WIDTH};
use crate::model::{BlobName, Code, Quota};
use crate::plan::{IfFixed, RunHeader};
use crate::rules::fix::Effort;

mod json;
mod text;

pub use json::{fixable, record};

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
    /// One JSON object per line for each asset that can be fixed, written as it is fixed, and at the end one with the
    /// totals
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

/// Writes the report. In JSON lines, that is the last one, after those of the assets.
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
        FixFormat::Text => text::write(out, header, summary, way, width.clamp(MIN_WIDTH, MAX_WIDTH))?,
        FixFormat::Json => document(&json::Document::new(header, summary, way), out)?,
        FixFormat::Jsonl => json::end(header, summary, way, out)?,
    }
    out.flush()
}

//! The progress of a run: counters that the pipeline updates and a progress bar reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{Asset, Skip, Verdict};

/// Counters of a run. Each counter is exact, but two counters may not be from the same moment.
#[derive(Debug, Default)]
pub struct Progress {
    listed: AtomicU64,
    all_listed: AtomicBool,
    judged: AtomicU64,
    rejected: AtomicU64,
    unknown: AtomicU64,
    gone: AtomicU64,
    changed: AtomicU64,
    bytes_read: AtomicU64,
    retries: AtomicU64,
    /// CPU time by [`Stage`], in nanoseconds.
    stages: [AtomicU64; 3],
}

/// A stage of a run whose CPU time is measured separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From bytes to facts.
    Probe,
    /// From facts to a verdict.
    Judge,
    /// Restoring listing order, spending the quota, writing the report.
    Write,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Entries listed so far.
    pub listed: u64,
    /// Whether the listing is complete, so that `listed` is the total.
    pub all_listed: bool,
    /// Entries with a verdict.
    pub judged: u64,
    /// Of these, rejected by a rule, not by the quota.
    pub rejected: u64,
    /// Of these, not judged.
    pub unknown: u64,
    /// Of these, deleted before they were read.
    pub gone: u64,
    /// Entries that had changed by the time they were read, and were looked up and read again.
    pub changed: u64,
    /// Bytes of content received.
    pub bytes_read: u64,
    /// Repeated requests for content.
    pub retries: u64,
}

impl Progress {
    pub(crate) fn add_listed(&self, count: u64) {
        self.listed.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn finish_listing(&self) {
        self.all_listed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn add_judged(&self, asset: &Asset) {
        match asset.verdict {
            Verdict::Reject => _ = self.rejected.fetch_add(1, Ordering::Relaxed),
            Verdict::Unknown => _ = self.unknown.fetch_add(1, Ordering::Relaxed),
            Verdict::Skip if asset.skipped == Some(Skip::Gone) => {
                _ = self.gone.fetch_add(1, Ordering::Relaxed)
            }
            Verdict::Accept | Verdict::Skip => {}
        }
        self.bytes_read.fetch_add(asset.reads.bytes, Ordering::Relaxed);
        self.retries.fetch_add(asset.reads.retries.into(), Ordering::Relaxed);
        self.judged.fetch_add(1, Ordering::Relaxed);
    }

    /// An asset was fixed, by writing this many bytes, or left as it is.
    pub(crate) fn add_fixed(&self, written: Option<u64>) {
        match written {
            Some(bytes) => _ = self.bytes_read.fetch_add(bytes, Ordering::Relaxed),
            None => _ = self.rejected.fetch_add(1, Ordering::Relaxed),
        }
        self.judged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_changed(&self) {
        self.changed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_stage(&self, stage: Stage, time: Duration) {
        self.stages[stage as usize].fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The CPU time of a stage. For a folder, reading, probing and judging are not measured separately.
    pub fn stage(&self, stage: Stage) -> Duration {
        Duration::from_nanos(self.stages[stage as usize].load(Ordering::Relaxed))
    }

    /// Whether the listing is complete and has `count` entries.
    pub(crate) fn is_all(&self, count: u64) -> bool {
        self.all_listed.load(Ordering::Relaxed) && self.listed.load(Ordering::Relaxed) == count
    }

    /// The current counters.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            listed: self.listed.load(Ordering::Relaxed),
            all_listed: self.all_listed.load(Ordering::Relaxed),
            judged: self.judged.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
            gone: self.gone.load(Ordering::Relaxed),
            changed: self.changed.load(Ordering::Relaxed),
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

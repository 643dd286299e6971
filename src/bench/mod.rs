//! What `presync bench` measures, and what follows from it. Measuring itself is done by child processes, so that CPU
//! time and peak memory are those of one measurement.

use serde::{Deserialize, Serialize};

mod estimate;
pub mod floor;

pub use estimate::{Assumptions, Bound, Estimate, bound, estimate, recommended};

/// One run of the pipeline, measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Requests in flight that were allowed; `None` when the run chose by itself, as it does without `--concurrency`.
    pub concurrency: Option<usize>,
    /// Bytes of the first read of each blob; `None` when its extension decided.
    pub first_read: Option<u64>,
    /// Blobs that were listed.
    pub blobs: u64,
    /// Of these, ones that could not be judged.
    pub unknown: u64,
    /// Time, in seconds.
    pub wall_s: f64,
    /// CPU time of the process, all threads, in seconds.
    pub cpu_s: f64,
    /// CPU time by stage, in seconds.
    pub stages: Stages,
    /// The share of all cores that was busy, with anything at all, 0 to 1; `None` where the system does not tell.
    pub machine_busy: Option<f64>,
    /// The most memory that the process held at a time, in bytes; `None` where the system does not tell.
    pub peak_rss: Option<u64>,
    /// Reads, every attempt counted.
    pub requests: u64,
    /// Of these, repeated ones.
    pub retries: u64,
    /// Attempts that the service refused for want of capacity.
    pub refused: u64,
    /// Bytes of content that were read.
    pub bytes: u64,
    /// How long answers took; `None` for a folder.
    pub latency: Option<Latency>,
}

/// CPU time by stage, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// Pages: asking for them, reading their XML, handing out blobs. For a folder, handing out files.
    pub list: f64,
    /// Ranges: requests, connections, TLS, and the system's part of it. For a folder, the walk too.
    pub fetch: f64,
    /// Headers: from bytes to facts.
    pub probe: f64,
    /// Facts: from facts to a verdict.
    pub judge: f64,
    /// Verdicts: listing order, quota, the report.
    pub write: f64,
}

/// How long answers took, in milliseconds, failed attempts left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 90 % of them took no longer.
    pub p90_ms: f64,
    /// 99 % of them took no longer.
    pub p99_ms: f64,
}

/// The same work without presync: what cannot be saved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// What was done.
    pub work: Work,
    /// How often: requests, blobs or files.
    pub count: u64,
    /// CPU time of the floor, in seconds.
    pub cpu_s: f64,
    /// Its time, in seconds.
    pub wall_s: f64,
    /// CPU time of presync's part that does this and more, in seconds, for the same count.
    pub ours_cpu_s: f64,
}

/// The work of a [`Floor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The first read of each blob by a bare hyper client; against it stands the whole run: list, fetch, probe, judge,
    /// write.
    Gets,
    /// The events of the pages of the listing, from a bare quick-xml; against it stands presync's reading of pages.
    Pages,
    /// Adding up the bytes that were read; against it stands the probe.
    Scan,
    /// Opening each file, asking for its size, one read; against it stands the whole run.
    Files,
}

impl Floor {
    /// How many times the floor's CPU time presync takes.
    pub fn ratio(&self) -> f64 {
        self.ours_cpu_s / self.cpu_s.max(f64::MIN_POSITIVE)
    }
}

/// Everything that a benchmark found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Benchmark {
    /// What was read, without any secret.
    pub source: String,
    /// Whether client and server shared this machine.
    pub shared_machine: bool,
    /// Cores of the machine.
    pub cores: usize,
    /// Runs at several numbers of requests in flight, and the last one with a number of its own choice.
    pub by_concurrency: Vec<Measured>,
    /// Runs with several lengths of the first read.
    pub by_first_read: Vec<Measured>,
    /// What cannot be saved.
    pub floors: Vec<Floor>,
    /// What keeps the fastest run from being faster.
    pub bound: Bound,
    /// The fewest requests in flight that are nearly as fast as any; `None` for a folder.
    pub recommended_concurrency: Option<usize>,
    /// What more blobs would take.
    pub estimates: Vec<Estimate>,
    /// What the estimates assume.
    pub assumptions: Assumptions,
}

impl Measured {
    /// Blobs a second.
    pub fn rate(&self) -> f64 {
        self.blobs as f64 / self.wall_s.max(f64::MIN_POSITIVE)
    }

    /// A sum over all blobs, for one of them.
    pub fn per_blob(&self, sum: f64) -> f64 {
        sum / (self.blobs.max(1)) as f64
    }
}

/// The run that was the fastest.
pub fn fastest(runs: &[Measured]) -> Option<&Measured> {
    runs.iter().max_by(|a, b| a.rate().total_cmp(&b.rate()))
}

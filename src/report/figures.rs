//! What `presync bench` measures, and the conclusions. Each measurement runs in a child process, so that CPU time and
//! peak memory belong to that measurement alone.

use serde::{Deserialize, Serialize};

mod estimate;

pub use estimate::{Assumptions, Bound, Estimate, bound, estimate, recommended};

/// One run of the pipeline, measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The most requests in flight; `None` if the run adapted the number, as it does without `--concurrency`.
    pub concurrency: Option<usize>,
    /// Length of the first read of each blob, in bytes; `None` if chosen by file extension.
    pub first_read: Option<u64>,
    /// Blobs that were listed.
    pub blobs: u64,
    /// Of these, not judged.
    pub unknown: u64,
    /// Wall time, in seconds.
    pub wall_s: f64,
    /// CPU time of the process, all threads, in seconds.
    pub cpu_s: f64,
    /// CPU time by stage, in seconds.
    pub stages: Stages,
    /// The load of all cores, from any process, 0 to 1; `None` if the system does not report it.
    pub machine_busy: Option<f64>,
    /// Peak memory of the process, in bytes; `None` if the system does not report it.
    pub peak_rss: Option<u64>,
    /// Reads, counting every attempt.
    pub requests: u64,
    /// Of these, retries.
    pub retries: u64,
    /// Attempts that the service throttled.
    pub refused: u64,
    /// Bytes of content that were read.
    pub bytes: u64,
    /// Response times; `None` for a folder.
    pub latency: Option<Latency>,
}

/// CPU time by stage, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// Requesting listing pages, parsing their XML and handing out blobs. For a folder, handing out files.
    pub list: f64,
    /// Reading ranges: requests, connections, TLS, and the system's share. For a folder, also the walk.
    pub fetch: f64,
    /// Turning bytes into facts.
    pub probe: f64,
    /// Turning facts into a verdict.
    pub judge: f64,
    /// Restoring listing order, spending the quota, writing the report.
    pub write: f64,
}

/// Response times in milliseconds, excluding failed attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// The 90th percentile.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
}

/// The same work without presync: the lower bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// What was done.
    pub work: Work,
    /// The number of requests, blobs or files.
    pub count: u64,
    /// CPU time of the floor, in seconds.
    pub cpu_s: f64,
    /// Wall time of the floor, in seconds.
    pub wall_s: f64,
    /// CPU time of the part of presync that does this work, for the same count, in seconds.
    pub ours_cpu_s: f64,
}

/// The work of a [`Floor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The first read of each blob by a bare hyper client, compared with the whole run: list, fetch, probe, judge,
    /// write.
    Gets,
    /// Reading the XML events of listing pages with bare quick-xml, compared with presync's parsing of pages.
    Pages,
    /// Adding up the bytes that were read, compared with the probe.
    Scan,
    /// Opening each file, getting its size and reading once, compared with the whole run.
    Files,
}

impl Floor {
    /// presync's CPU time as a multiple of the floor's.
    pub fn ratio(&self) -> f64 {
        self.ours_cpu_s / self.cpu_s.max(f64::MIN_POSITIVE)
    }
}

/// The results of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Benchmark {
    /// The source, without any secrets.
    pub source: String,
    /// Whether client and server ran on the same machine.
    pub shared_machine: bool,
    /// Cores of the machine.
    pub cores: usize,
    /// Runs with several fixed numbers of requests in flight, and a last one that adapted the number.
    pub by_concurrency: Vec<Measured>,
    /// Runs with several lengths of the first read.
    pub by_first_read: Vec<Measured>,
    /// The lower bounds.
    pub floors: Vec<Floor>,
    /// What limits the fastest run.
    pub bound: Bound,
    /// The lowest number of requests in flight that is nearly as fast as any; `None` for a folder.
    pub recommended_concurrency: Option<usize>,
    /// What more blobs would take.
    pub estimates: Vec<Estimate>,
    /// What the estimates assume.
    pub assumptions: Assumptions,
}

impl Measured {
    /// Blobs per second.
    pub fn rate(&self) -> f64 {
        self.blobs as f64 / self.wall_s.max(f64::MIN_POSITIVE)
    }

    /// The average per blob of a sum over all blobs.
    pub(crate) fn per_blob(&self, sum: f64) -> f64 {
        sum / (self.blobs.max(1)) as f64
    }
}

/// The fastest run.
pub(crate) fn fastest(runs: &[Measured]) -> Option<&Measured> {
    runs.iter().max_by(|a, b| a.rate().total_cmp(&b.rate()))
}

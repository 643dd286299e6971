//! One measurement, in a process of its own: the job comes as JSON on stdin, and the result goes to stdout as JSON.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cpu_time::{ProcessTime, ThreadTime};
use futures::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use hyper::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::machine;
use crate::command::args::AzureArgs;
use crate::command::target::{Resolved, Target};
use crate::model::error::{Error, Result};
use crate::model::{Access, Blob, ByteRange, Quota, Reads};
use crate::plan::{RunHeader, Summary};
use crate::probe::{Probe, Step, Want};
use crate::report::figures::{Floor, Latency, Measured, Stages, Work};
use crate::report::{self, Format};
use crate::rules::Choice;
use crate::run::{self, End, Ended, Progress, Settings, Stage, Task};
use crate::source::any::AnySource;
use crate::source::azure::{self, AzureSource, Limits, Traffic};
use crate::source::floor::{self, Get};
use crate::source::location::{Environment, Location};
use crate::source::{Reader, listing};

/// The most bytes of listing pages and blobs to hold for the floors that work in memory.
const HELD: usize = 256 << 20;
/// The least time that such a floor runs: a few milliseconds would only be noise.
const LONG_ENOUGH: Duration = Duration::from_millis(400);

/// What is read, and how much of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct What {
    pub source: String,
    pub account: Option<String>,
    pub auth: Option<String>,
    pub config: Option<PathBuf>,
    pub profile: Option<String>,
    /// A bearer token in place of a credential from the environment.
    pub token: Option<String>,
    /// Blobs from the beginning of the listing.
    pub sample: u64,
}

/// A measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Job {
    /// The whole pipeline.
    Run {
        what: What,
        concurrency: Option<usize>,
        first_read: Option<u64>,
    },
    /// A floor; `ours_cpu_s` is the CPU time of the run.
    Gets {
        what: What,
        concurrency: usize,
        ours_cpu_s: f64,
    },
    Pages {
        what: What,
    },
    Scan {
        what: What,
    },
    Files {
        what: What,
        ours_cpu_s: f64,
    },
}

/// The result of a measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Found {
    Measured(Box<Measured>),
    Floor(Floor),
}

impl Job {
    pub(super) fn run(self) -> Result<Found> {
        let runtime = crate::command::runtime()?;
        match self {
            Self::Run { what, concurrency, first_read } => {
                let (cpu, mine, wall) = (ProcessTime::now(), ThreadTime::now(), Instant::now());
                let busy = machine::Busy::now();
                let mut measured = runtime.block_on(what.run(concurrency, first_read))?;
                let (wall, busy) = (wall.elapsed(), busy.and_then(machine::Busy::since));
                // The CPU time of this thread counts as listing: reads, probes and the report have their own threads.
                measured.stages.list += mine.elapsed().as_secs_f64();
                measured.cpu_s = cpu.elapsed().as_secs_f64();
                let Stages { list, probe, judge, write, .. } = measured.stages;
                measured.stages.fetch = (measured.cpu_s - list - probe - judge - write).max(0.0);
                measured.wall_s = wall.as_secs_f64();
                measured.machine_busy = busy;
                measured.peak_rss = machine::peak_rss();
                Ok(Found::Measured(Box::new(measured)))
            }
            Self::Gets { what, concurrency, ours_cpu_s } => {
                let (origin, gets) = runtime.block_on(what.gets())?;
                let count = gets.len() as u64;
                let (_, cost) = floor::gets(&origin, gets, concurrency, what.token.as_deref())?;
                Ok(floor_of(Work::Gets, count, cost, ours_cpu_s))
            }
            Self::Pages { what } => {
                let pages = runtime.block_on(async { what.container()?.raw_pages().await })?;
                let mut blobs = 0;
                let ours = || -> Result<u64> {
                    blobs = 0;
                    for page in &pages {
                        blobs += azure::parse_page(page)?.blobs.len() as u64;
                    }
                    Ok(blobs)
                };
                let (times, ours_cpu_s) = repeated(ours)?;
                let (_, cost) = floor::events(&pages, times)?;
                Ok(floor_of(Work::Pages, blobs * times as u64, cost, ours_cpu_s))
            }
            Self::Scan { what } => {
                let heads = runtime.block_on(what.heads())?;
                let probe = || -> Result<u64> {
                    Ok(heads.iter().filter(|(blob, head)| is_settled(blob, head)).count() as u64)
                };
                let (times, ours_cpu_s) = repeated(probe)?;
                let heads: Vec<_> = heads.iter().map(|(_, head)| head.clone()).collect();
                let (_, cost) = floor::scan(&heads, times)?;
                Ok(floor_of(Work::Scan, (heads.len() * times) as u64, cost, ours_cpu_s))
            }
            Self::Files { what, ours_cpu_s } => {
                let files = runtime.block_on(what.files())?;
                let count = files.len() as u64;
                let (_, cost) = floor::files(files)?;
                Ok(floor_of(Work::Files, count, cost, ours_cpu_s))
            }
        }
    }
}

fn floor_of(work: Work, count: u64, cost: floor::Cost, ours_cpu_s: f64) -> Found {
    Found::Floor(Floor { work, count, cpu_s: cost.cpu_s, wall_s: cost.wall_s, ours_cpu_s })
}

/// Repeats the work for long enough, and returns how many times it ran and the CPU time that it took.
fn repeated(mut work: impl FnMut() -> Result<u64>) -> Result<(usize, f64)> {
    let (wall, cpu) = (Instant::now(), ThreadTime::now());
    let mut times = 0;
    while times == 0 || wall.elapsed() < LONG_ENOUGH {
        std::hint::black_box(work()?);
        times += 1;
    }
    Ok((times, cpu.elapsed().as_secs_f64()))
}

/// Whether the first read is all that the probe needs.
fn is_settled(blob: &Blob, head: &Bytes) -> bool {
    let (mut probe, step) = Probe::wanting(Want::default(), blob.size, blob.name.extension());
    match step {
        Step::Done(_) => true,
        Step::Need(_) => matches!(probe.step(head.clone()), Step::Done(_)),
    }
}

impl What {
    fn resolved(&self, environment: &Environment) -> Result<Resolved> {
        let auth = self.auth.as_deref().map(|auth| clap::ValueEnum::from_str(auth, false)).transpose();
        let azure = AzureArgs {
            account: self.account.clone(),
            auth: auth.map_err(|_| Error::new("unknown way to sign in"))?,
            api_version: None,
            config: self.config.clone(),
        };
        let (source, profile) = (self.source.as_ref(), self.profile.as_deref());
        Resolved::source(Target { source, azure: &azure, profile }, environment)
    }

    fn options(concurrency: Option<usize>) -> azure::Options {
        azure::Options { limits: Limits { concurrency, ..Limits::default() }, ..azure::Options::default() }
    }

    fn open(&self, concurrency: Option<usize>) -> Result<(AnySource, Resolved)> {
        let environment = Environment::of_process();
        let resolved = self.resolved(&environment)?;
        let options = Self::options(concurrency);
        let source = match (&self.token, &resolved.location) {
            (Some(token), Location::Container(url)) => {
                AnySource::Container(Arc::new(AzureSource::with_token(url.clone(), token.clone(), options)?))
            }
            _ => AnySource::open(resolved.location.clone(), resolved.auth, options, &environment)?,
        };
        Ok((source, resolved))
    }

    fn container(&self) -> Result<Arc<AzureSource>> {
        match self.open(None)?.0 {
            AnySource::Container(container) => Ok(container),
            AnySource::Folder(_) => Err(Error::new("a folder has no listing pages")),
        }
    }

    async fn run(&self, concurrency: Option<usize>, first_read: Option<u64>) -> Result<Measured> {
        let (source, resolved) = self.open(concurrency)?;
        let profile = Arc::new(resolved.profile(&Choice::default())?);
        let header = RunHeader::new(source.origin(), Arc::clone(&profile), Timestamp::now());
        let report = report::open(Format::Jsonl, header, io::sink(), 100)?;
        let at_once = match source {
            AnySource::Folder(_) => crate::command::dry_run::args::FILES_AT_ONCE,
            AnySource::Container(_) => azure::MAX_CONCURRENCY,
        };
        let settings = Settings { first_read, ..Settings::with_concurrency(concurrency.unwrap_or(at_once)) };
        let (source, sample) = (source.with_names_only(), self.sample);
        let (listing, source) = (listing::first(source.list(), sample), Arc::new(source));
        let progress = Arc::new(Progress::default());
        let task = Task {
            progress: Arc::clone(&progress),
            ..Task::new(listing, Arc::clone(&source), profile, Quota::new(None, None), settings)
        };
        let Ended { summary, sink, end } = run::run(task, report, std::future::pending()).await?;
        if let End::Broken(error) = end {
            return Err(error);
        }
        Box::new(sink).finish(&summary, Duration::ZERO)?;
        let (traffic, list) = match &*source {
            AnySource::Container(container) => (Some(container.traffic()), container.parsing().as_secs_f64()),
            AnySource::Folder(_) => (None, 0.0),
        };
        let stage = |stage| progress.stage(stage).as_secs_f64();
        Ok(Measured {
            stages: Stages {
                list,
                probe: stage(Stage::Probe),
                judge: stage(Stage::Judge),
                write: stage(Stage::Write),
                ..Stages::default()
            },
            ..measured(&summary, traffic, concurrency, first_read)
        })
    }

    /// The blobs of the sample that can be read.
    async fn blobs(&self, source: &AnySource) -> Result<Vec<Blob>> {
        let mut blobs = listing::first(source.list(), self.sample).try_concat().await?;
        blobs.retain(|blob| blob.access == Access::Online && blob.size > 0);
        Ok(blobs)
    }

    /// The first read of each blob, as a bare client requests it.
    async fn gets(&self) -> Result<(Uri, Vec<Get>)> {
        let (source, _) = self.open(None)?;
        let blobs = self.blobs(&source).await?;
        let AnySource::Container(container) = &source else {
            return Err(Error::new("a folder serves no requests"));
        };
        let get = |blob: &Blob| {
            let range = first_range(blob);
            Get {
                target: container.target(&blob.name),
                range: format!("bytes={range}"),
                etag: blob.etag.as_ref().map(|etag| format!("\"{}\"", etag.as_str())),
            }
        };
        let gets = blobs.iter().filter(|blob| !first_range(blob).is_empty()).map(get).collect();
        Ok((container.host().clone(), gets))
    }

    /// The first read of each blob, up to [`HELD`] bytes in all.
    async fn heads(&self) -> Result<Vec<(Blob, Bytes)>> {
        let (source, _) = self.open(None)?;
        let mut blobs = self.blobs(&source).await?;
        let mut held = 0;
        blobs.retain(|blob| {
            held += first_range(blob).len() as usize;
            held <= HELD
        });
        let read = async |mut blob: Blob| {
            let range = first_range(&blob);
            let bytes = source.read(&mut blob, range, &mut Reads::default()).await;
            bytes.ok().map(|bytes| (blob, bytes))
        };
        Ok(stream::iter(blobs).map(read).buffered(64).filter_map(std::future::ready).collect().await)
    }

    /// The files of a folder, with the bytes of their first reads.
    async fn files(&self) -> Result<Vec<(PathBuf, u64)>> {
        let (source, resolved) = self.open(None)?;
        let Location::Folder(root) = &resolved.location else { return Err(Error::new("it isn't a folder")) };
        let blobs = self.blobs(&source).await?;
        Ok(blobs.iter().map(|blob| (root.join(blob.name.as_str()), first_range(blob).len())).collect())
    }
}

fn first_range(blob: &Blob) -> ByteRange {
    match Probe::wanting(Want::default(), blob.size, blob.name.extension()).1 {
        Step::Need(range) => range,
        Step::Done(_) => ByteRange::new(0, 0),
    }
}

fn measured(
    summary: &Summary,
    traffic: Option<Traffic>,
    concurrency: Option<usize>,
    first_read: Option<u64>,
) -> Measured {
    let totals = &summary.totals;
    let latency = |latencies: &Histogram<u64>| {
        let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        Latency { p50_ms: ms(0.5), p90_ms: ms(0.9), p99_ms: ms(0.99) }
    };
    Measured {
        concurrency,
        first_read,
        blobs: totals.listed,
        unknown: totals.unknown,
        requests: totals.requests,
        retries: totals.retries,
        refused: traffic.as_ref().map_or(0, |traffic| traffic.throttled),
        bytes: totals.bytes_read,
        latency: traffic.as_ref().map(|traffic| latency(&traffic.latencies)),
        ..Measured::default()
    }
}

//! One measurement, in a process of its own: what is to be measured comes as JSON on stdin, what was found goes out as
//! JSON on stdout.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cpu_time::{ProcessTime, ThreadTime};
use futures::{StreamExt, TryStreamExt, pin_mut, stream};
use hdrhistogram::Histogram;
use hyper::Uri;
use serde::{Deserialize, Serialize};

use super::machine;
use crate::bench::floor::{self, Get};
use crate::bench::{Floor, Latency, Measured, Stages, Work};
use crate::command::target::Resolved;
use crate::config::Target;
use crate::error::{Error, Result};
use crate::model::{Access, Blob, ByteRange, Quota, Reads};
use crate::plan::Summary;
use crate::probe::{Probe, Step, Want};
use crate::progress::{Progress, Stage};
use crate::report::{self, Format, Header};
use crate::rules::Choice;
use crate::run::{self, End, Ended, Settings, Task};
use crate::source::any::AnySource;
use crate::source::azure::{self, AzureSource, Limits, Traffic};
use crate::source::location::{Environment, Location};
use crate::source::sample::Sample;
use crate::source::{ReadBlocking, Source};

/// Bytes of the listing's pages and of blobs that are held for the floors that work in memory, at the most.
const HELD: usize = 256 << 20;
/// How long such a floor works at the least: a few milliseconds say nothing.
const LONG_ENOUGH: Duration = Duration::from_millis(400);

/// What is read, and how much of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct What {
    pub source: String,
    pub account: Option<String>,
    pub auth: Option<String>,
    pub config: Option<PathBuf>,
    pub profile: Option<String>,
    /// A bearer token in place of a credential of the environment.
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
    /// A floor; `ours` is what the run took.
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

/// What a measurement found.
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
                // What this thread did is listing, too: reads, probes and the report have threads of their own.
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

/// Works until it took long enough, and says how often it did and what CPU time it took.
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
        let target = Target {
            source: self.source.clone().into(),
            account: self.account.clone(),
            auth: auth.map_err(|_| Error::new("there is no such way to sign in"))?,
            config: self.config.clone(),
            profile: self.profile.clone(),
        };
        Resolved::source(&target, environment)
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
                AnySource::Container(Box::new(AzureSource::with_token(url.clone(), token.clone(), options)?))
            }
            _ => AnySource::open(resolved.location.clone(), resolved.auth, options, &environment)?,
        };
        Ok((source, resolved))
    }

    fn container(&self) -> Result<Box<AzureSource>> {
        match self.open(None)?.0 {
            AnySource::Container(container) => Ok(container),
            AnySource::Folder(_) | AnySource::Inventory(_) => Err(Error::new("it has no pages")),
        }
    }

    async fn run(&self, concurrency: Option<usize>, first_read: Option<u64>) -> Result<Measured> {
        let (source, resolved) = self.open(concurrency)?;
        let profile = Arc::new(resolved.profile(&Choice::default())?);
        let header =
            Header { origin: source.origin(), profile: Arc::clone(&profile), admit: Default::default() };
        let report = report::open(Format::Jsonl, header, io::sink(), 100)?;
        let at_once = match source {
            AnySource::Folder(_) => crate::command::dry_run::FILES_AT_ONCE,
            AnySource::Container(_) | AnySource::Inventory(_) => azure::MAX_CONCURRENCY,
        };
        let settings = Settings { first_read, ..Settings::with_concurrency(concurrency.unwrap_or(at_once)) };
        let source = Arc::new(Sample::new(source, self.sample));
        let progress = Arc::new(Progress::default());
        let task = Task {
            progress: Arc::clone(&progress),
            ..Task::new(Arc::clone(&source), profile, Quota::new(None, None), settings)
        };
        let Ended { summary, sink, end } = run::run(task, report, std::future::pending()).await?;
        if let End::Broken(error) = end {
            return Err(error);
        }
        sink.finish(&summary, Duration::ZERO).map_err(|error| report::output(&error))?;
        let (traffic, list) = match source.inner() {
            AnySource::Container(container) => (Some(container.traffic()), container.parsing().as_secs_f64()),
            AnySource::Folder(_) | AnySource::Inventory(_) => (None, 0.0),
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
        let mut blobs = Vec::new();
        let pages = source.list();
        pin_mut!(pages);
        while let Some(page) = pages.try_next().await? {
            blobs.extend(page);
            if blobs.len() as u64 >= self.sample {
                break;
            }
        }
        blobs.truncate(usize::try_from(self.sample).unwrap_or(usize::MAX));
        blobs.retain(|blob| blob.access == Access::Online && blob.size > 0);
        Ok(blobs)
    }

    /// The first read of each blob, as a bare client asks for it.
    async fn gets(&self) -> Result<(Uri, Vec<Get>)> {
        let (source, _) = self.open(None)?;
        let blobs = self.blobs(&source).await?;
        let AnySource::Container(container) = &source else {
            return Err(Error::new("a folder takes no requests"));
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
        let blocking = source.blocking();
        let read = |mut blob: Blob| {
            let (source, blocking) = (&source, blocking.clone());
            async move {
                let range = first_range(&blob);
                let bytes = match &blocking {
                    Some(folder) => ReadBlocking::read(&**folder, &blob, range, &mut Reads::default()),
                    None => source.read(&mut blob, range, &mut Reads::default()).await,
                };
                bytes.ok().map(|bytes| (blob, bytes))
            }
        };
        Ok(stream::iter(blobs).map(read).buffered(64).filter_map(std::future::ready).collect().await)
    }

    /// The files of a folder, with the bytes of their first reads.
    async fn files(&self) -> Result<Vec<(PathBuf, u64)>> {
        let (source, resolved) = self.open(None)?;
        let Location::Folder(root) = &resolved.location else { return Err(Error::new("it is no folder")) };
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
        refused: traffic.as_ref().map_or(0, |traffic| traffic.refused),
        bytes: totals.bytes_read,
        latency: traffic.as_ref().map(|traffic| latency(&traffic.latencies)),
        ..Measured::default()
    }
}

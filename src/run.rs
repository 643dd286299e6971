//! The whole pipeline: list, read, probe, judge, weigh, report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cpu_time::ThreadTime;
use futures::{FutureExt, StreamExt, future};
use tokio::sync::{Semaphore, mpsc};

use crate::examine::{Examination, Next};
use crate::model::error::{Error, Result};
use crate::model::{Admit, Blob, Quota, ReadError};
use crate::plan::{Sink, Summary};
use crate::probe::Want;
use crate::rules::Profile;
use crate::source::{Listing, Reader};

mod folder;
mod known;
mod listing;
mod network;
mod pool;
mod progress;
mod runtimes;
mod settle;

use folder::Folder;
pub use known::{Judged, Known};
use listing::{Sorter, Work};
use network::Network;
use pool::Pool;
pub use progress::{Progress, Snapshot, Stage};
pub use runtimes::MAX_RUNTIMES;
use runtimes::Runtimes;
pub use settle::settle_judged;
use settle::{Delivery, Settler};

/// Listing pages that wait until their blobs are taken.
const PAGES_AHEAD: usize = 1;
/// Assets that need no read and go through the pipeline together.
const KNOWN_AT_ONCE: usize = 256;
/// How long blobs under way may take to finish when the run is stopped: a user who stops it waits.
const GRACE: Duration = Duration::from_millis(500);
/// Bytes that may be in flight between the network and the pool at a time: 64 MiB.
const BYTES_IN_FLIGHT: usize = 64 << 20;

/// How a run goes about its work. But for `want`, none of these settings changes what it finds; `first_read` changes
/// which widths and heights the bytes happen to show.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Blobs that are examined side by side.
    pub concurrency: usize,
    /// Threads that probe.
    pub workers: usize,
    /// Depth of the queue before them.
    pub queue: usize,
    /// How far the newest blob in flight may be ahead of the oldest one, in blobs; at least `concurrency` is used.
    pub window: usize,
    /// Which facts are worth a read.
    pub want: Want,
    /// Bytes of the first read of each blob; `None` for what its extension makes likely to be enough.
    pub first_read: Option<u64>,
}

impl Settings {
    /// Settings for a source whose reads wait for a network, with `concurrency` reads at a time.
    pub fn with_concurrency(concurrency: usize) -> Self {
        Self {
            concurrency,
            workers: cores(),
            queue: 256,
            window: 4096,
            want: Want::Verdict,
            first_read: None,
        }
    }
}

/// What runs that go on side by side have in common: the threads that read and those that probe, and the bytes that wait
/// for them.
#[derive(Debug)]
pub struct Resources {
    pool: Arc<Pool>,
    /// Started by the first run that reads over a network.
    runtimes: OnceLock<Runtimes>,
    bytes: Arc<Semaphore>,
}

impl Resources {
    /// `workers` threads that probe, behind a queue of the depth `queue`, and 64 MiB of bytes in flight.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn new(workers: usize, queue: usize) -> Result<Self> {
        let pool = Arc::new(Pool::new(workers, queue)?);
        Ok(Self { pool, runtimes: OnceLock::new(), bytes: Arc::new(Semaphore::new(BYTES_IN_FLIGHT)) })
    }

    /// The threads that read: as many as the machine has cores.
    fn runtimes(&self) -> Result<&Runtimes> {
        if let Some(runtimes) = self.runtimes.get() {
            return Ok(runtimes);
        }
        let runtimes = Runtimes::new(cores(), &self.pool)?;
        Ok(self.runtimes.get_or_init(|| runtimes))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// What is to be examined, and how.
pub struct Task<R> {
    /// The blobs.
    pub listing: Listing,
    /// What reads them.
    pub reader: Arc<R>,
    /// The rules.
    pub profile: Arc<Profile>,
    /// The budget.
    pub quota: Quota,
    /// Who gets it.
    pub admit: Admit,
    /// What earlier runs know of the blobs.
    pub known: Known,
    /// How the run goes about its work.
    pub settings: Settings,
    /// What it shares with other runs; then the settings' workers and queue are not looked at.
    pub resources: Option<Arc<Resources>>,
    /// Where it counts how far it is.
    pub progress: Arc<Progress>,
}

impl<R> Task<R> {
    /// A run in the order of the listing, of which nothing is known before and whose progress nobody watches.
    pub fn new(
        listing: Listing,
        reader: Arc<R>,
        profile: Arc<Profile>,
        quota: Quota,
        settings: Settings,
    ) -> Self {
        let (admit, known, progress) = (Admit::Listing, Known::default(), Arc::default());
        Self { listing, reader, profile, quota, admit, known, settings, resources: None, progress }
    }
}

/// What the examinations of a run have in common.
struct Examiner {
    profile: Arc<Profile>,
    want: Want,
    first_read: Option<u64>,
    progress: Arc<Progress>,
}

impl Examiner {
    fn begin(&self, blob: Blob) -> (Examination, Next) {
        Examination::begin(blob, self.want, self.first_read)
    }

    /// Hands over the answer to [`Next::Find`], and counts the blob as changed.
    fn found(
        &self,
        examination: &mut Examination,
        answer: std::result::Result<Option<Blob>, ReadError>,
    ) -> Result<Next> {
        if let Ok(Some(_)) = answer {
            self.progress.add_changed();
        }
        examination.found(answer)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Every blob was examined.
    Complete,
    /// It was stopped before its end.
    Stopped,
    /// It could not go on: the listing broke, or no blob of the source can be read.
    Broken(Error),
}

/// What a run leaves behind. One that is not complete has settled the first blobs of the listing, without a gap.
#[derive(Debug)]
pub struct Ended<K> {
    /// What the settled assets add up to.
    pub summary: Summary,
    /// The sink, which has taken them.
    pub sink: K,
    /// Whether they are all there are.
    pub end: End,
}

/// Runs the pipeline to its end, or until `stop` is ready, and gives back what it adds up to, and the sink.
///
/// # Errors
/// When the sink or the machine fails. What can be said of single blobs is never an error.
pub async fn run<R: Reader, K: Sink>(
    task: Task<R>,
    sink: K,
    stop: impl Future<Output = ()>,
) -> Result<Ended<K>> {
    let Task { listing, reader, profile, quota, admit, known, settings, resources, progress } = task;
    let settler = Settler::new(admit, quota, &profile, sink)?;
    let at_once = settings.concurrency.max(1);
    let window = settings.window.max(at_once);
    let resources = match resources {
        Some(resources) => resources,
        None => Arc::new(Resources::new(settings.workers, settings.queue)?),
    };

    // List: a task of its own, so that the next page arrives while blobs are read. What is known of a blob already
    // makes its read unnecessary. Known assets go on in groups that the window can hold: a larger one would wait forever.
    let (page_sender, pages) = mpsc::channel(PAGES_AHEAD);
    let at_once_known = KNOWN_AT_ONCE.min(window);
    let sorter = Sorter { known, profile: Arc::clone(&profile), want: settings.want, at_once: at_once_known };
    let listing = tokio::spawn(listing::list(listing, sorter, page_sender, Arc::clone(&progress)));

    // Settle: a thread of its own, because it writes; it gives back a permit of the window for each asset that it
    // settles. No more verdicts than the window has permits can wait for it, so sending one never waits.
    let permits = Arc::new(Semaphore::new(window));
    let (verdict_sender, verdicts) = mpsc::channel(window);
    let settling = {
        let permits = Arc::clone(&permits);
        let progress = Arc::clone(&progress);
        tokio::task::spawn_blocking(move || {
            let cpu = ThreadTime::now();
            let settled = settle::settle(verdicts, &permits, settler);
            progress.add_stage(Stage::Write, cpu.elapsed());
            settled
        })
    };

    // Window: one blob after the other gets its ordinal and its permits, before it is read. The order of these two steps
    // must stay: the oldest blob without a verdict then always has its permit, so it can be settled and the window moves.
    // Permits that are taken out of order could all go to newer blobs, which wait for it.
    let number = |next: &mut u64, work: Work| {
        let first = *next;
        *next += work.len() as u64;
        future::ready(Some((first, work)))
    };
    let permit = async |numbered: (u64, Work)| {
        let count = u32::try_from(numbered.1.len()).map_err(closed)?;
        permits.acquire_many(count).await.map_err(closed)?.forget();
        Ok(numbered)
    };
    let stopping = Arc::new(AtomicBool::new(false));
    let stop = {
        let stopping = Arc::clone(&stopping);
        stop.map(move |()| stopping.store(true, Ordering::Relaxed)).shared()
    };
    let numbered = listing::works(pages).take_until(stop.clone()).scan(0, number).then(permit);

    // Read, probe and judge: in any order, so that a slow blob holds up no other until the window is full.
    let delivery = Delivery { verdicts: verdict_sender, progress: Arc::clone(&progress) };
    let Settings { want, first_read, workers, .. } = settings;
    let examiner = Arc::new(Examiner { profile, want, first_read, progress: Arc::clone(&progress) });
    let read_all = async {
        match reader.blocking() {
            None => {
                let bytes = Arc::clone(&resources.bytes);
                let network = Arc::new(Network { reader, examiner, bytes, stopping });
                network.examine_all(numbered, resources.runtimes()?, at_once, &delivery).await
            }
            Some(reader) => {
                let folder = Folder { reader, examiner, pool: Arc::clone(&resources.pool) };
                folder.examine_all(numbered, at_once, workers, &delivery).await
            }
        }
    };
    let read = tokio::select! {
        read = read_all => read,
        () = stop.clone().then(|()| tokio::time::sleep(GRACE)) => Ok(()),
    };

    // End: the settling ends once every sender of verdicts is dropped. The readers have dropped theirs; this is the last,
    // and waiting before it is dropped would wait forever. The listing ends by itself when nothing takes its pages.
    drop(delivery);
    let settled =
        settling.await.map_err(|error| Error::new(format!("the report was not written: {error}")))?;
    // When the sink fails, the reading side only sees that nobody listens; the sink knows why, so it comes first.
    let (budget, sink) = settled?;
    let mut summary = budget.summary();
    if !summary.totals.reconcile() {
        return Err(Error::new("the totals do not add up; this is a defect of presync, please report it"));
    }
    let is_all = progress.is_all(summary.totals.listed);
    let end = match read {
        Err(error) => End::Broken(error),
        Ok(()) if !is_all && stop.peek().is_some() => End::Stopped,
        Ok(()) => match listing.await {
            Ok(Ok(changes)) if is_all => {
                summary.changes = changes;
                End::Complete
            }
            Ok(Ok(_)) => {
                End::Broken(Error::new("blobs are missing; this is a defect of presync, please report it"))
            }
            Ok(Err(error)) => End::Broken(error),
            Err(error) => End::Broken(Error::new(format!("the listing did not end: {error}"))),
        },
    };
    summary.incomplete = match &end {
        End::Complete => None,
        End::Stopped => Some("the run was stopped".to_owned()),
        End::Broken(error) => Some(error.message().to_owned()),
    };
    Ok(Ended { summary, sink, end })
}

/// Says that the other end of a channel is gone, which happens only when that end has failed with an error of its own.
fn closed<E>(_: E) -> Error {
    Error::new("the run ended early")
}

fn worker_failed() -> Error {
    Error::new("a worker failed; this is a defect of presync, please report it")
}

//! The whole pipeline: list, read, probe, judge, weigh, report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, future};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinError;

use crate::examine::{Examination, Next, wanted};
use crate::model::error::{Error, Result};
use crate::model::{Admit, Blob, Origin, Quota, ReadError};
use crate::plan::{Changes, Sink, Summary};
use crate::probe::Want;
use crate::rules::Profile;
use crate::source::listing::Excluded;
use crate::source::{Listing, Reader};

mod folder;
mod known;
mod listing;
mod memory;
mod network;
mod pool;
mod progress;
mod runtimes;
mod settle;
mod synced;

use folder::Folder;
pub use known::{Judged, Known};
use listing::{Sorter, Work};
use memory::Memory;
use network::Network;
use pool::Pool;
pub use progress::{Progress, Snapshot, Stage};
pub use runtimes::MAX_RUNTIMES;
use runtimes::{Runtimes, Writers};
pub use settle::settle_judged;
use settle::{Delivery, Settler};
pub use synced::Synced;

/// Listing pages buffered ahead of the reads.
const PAGES_AHEAD: usize = 1;
/// The most assets without a read that go through the pipeline as one group.
const KNOWN_AT_ONCE: usize = 256;
/// How long blobs in flight may take to finish once the run is stopped. It is short because the user is waiting.
const GRACE: Duration = Duration::from_millis(500);

/// How a run does its work. Apart from `want`, none of these settings affects the verdicts; `first_read` affects which
/// widths and heights happen to be in the bytes that are read.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Blobs examined concurrently.
    pub concurrency: usize,
    /// Probing threads.
    pub workers: usize,
    /// Depth of the queue in front of them.
    pub queue: usize,
    /// How far the newest blob in flight may be ahead of the oldest, in blobs; never less than `concurrency`.
    pub window: usize,
    /// Which facts are worth a read.
    pub want: Want,
    /// Length of the first read of each blob, in bytes; `None` picks a length by file extension.
    pub first_read: Option<u64>,
}

impl Settings {
    /// Settings for a source that is read over a network, with `concurrency` concurrent reads.
    pub fn with_concurrency(concurrency: usize) -> Self {
        Self {
            concurrency,
            workers: cores(),
            queue: 256,
            window: 4096,
            want: Want::default(),
            first_read: None,
        }
    }
}

/// What concurrent runs share: the reading, probing and writing threads, and the memory of all examinations.
#[derive(Debug)]
pub struct Resources {
    pool: Arc<Pool>,
    /// Started by the first run that reads over a network.
    runtimes: OnceLock<Runtimes>,
    writers: Writers,
    memory: Arc<Memory>,
}

impl Resources {
    /// Starts `workers` probing threads behind a queue of depth `queue`.
    ///
    /// # Errors
    /// Returns an error if a thread cannot be started.
    pub fn new(workers: usize, queue: usize) -> Result<Self> {
        let pool = Arc::new(Pool::new(workers, queue)?);
        let (runtimes, writers) = (OnceLock::new(), Writers::default());
        Ok(Self { pool, runtimes, writers, memory: Arc::new(Memory::new()) })
    }

    /// Runs work that waits for the disk on a writing thread, so that nothing else waits for it.
    ///
    /// # Errors
    /// Returns an error if the work does, or if it panics.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writers.next(cores())?.spawn(async { work() }).await.map_err(|error| not_written(&error))?
    }

    /// The reading threads, one per core.
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

/// What to examine, and how.
pub struct Task<R> {
    /// The blobs.
    pub listing: Listing,
    /// Counts the names that the listing leaves out.
    pub excluded: Excluded,
    /// Where they come from, for the commands of fixes.
    pub origin: Option<Origin>,
    /// Reads the blobs.
    pub reader: Arc<R>,
    /// The rules.
    pub profile: Arc<Profile>,
    /// The budget.
    pub quota: Quota,
    /// Which assets get the budget first.
    pub admit: Admit,
    /// What earlier runs found out about the blobs.
    pub known: Known,
    /// What is on the platform already; `None` if the run is not to compare with it.
    pub synced: Option<Synced>,
    /// How the run does its work.
    pub settings: Settings,
    /// Resources shared with other runs. If set, `workers` and `queue` in the settings are ignored.
    pub resources: Option<Arc<Resources>>,
    /// Counts the progress of the run.
    pub progress: Arc<Progress>,
}

impl<R> Task<R> {
    /// A run that spends the budget in listing order, without earlier results, shared resources or visible progress.
    pub fn new(
        listing: Listing,
        reader: Arc<R>,
        profile: Arc<Profile>,
        quota: Quota,
        settings: Settings,
    ) -> Self {
        let (admit, known, progress) = (Admit::Listing, Known::default(), Arc::default());
        let (excluded, origin, synced, resources) = (Excluded::default(), None, None, None);
        Self {
            listing,
            excluded,
            origin,
            reader,
            profile,
            quota,
            admit,
            known,
            synced,
            settings,
            resources,
            progress,
        }
    }
}

/// What all examinations of a run share.
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

    /// Passes the answer to [`Next::Find`] to the examination, and counts the blob as changed.
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
    /// The run was stopped before it was complete.
    Stopped,
    /// The run could not continue: the listing failed, or no blob of the source can be read.
    Broken(Error),
}

/// The result of a run. A run that is not complete has settled the first blobs of the listing, without gaps.
#[derive(Debug)]
pub struct Ended<K> {
    /// The totals of the settled assets.
    pub summary: Summary,
    /// The sink that received the assets.
    pub sink: K,
    /// Whether these are all assets, and if not, why.
    pub end: End,
}

/// Runs the pipeline until every blob is settled or `stop` is ready, and returns the summary and the sink.
///
/// # Errors
/// Returns an error if the sink fails or a thread cannot be started. A problem with a single blob is a verdict, not an
/// error.
pub async fn run<R: Reader, K: Sink>(
    task: Task<R>,
    sink: K,
    stop: impl Future<Output = ()>,
) -> Result<Ended<K>> {
    let Task {
        listing,
        excluded,
        origin,
        reader,
        profile,
        quota,
        admit,
        mut known,
        synced,
        settings,
        resources,
        progress,
    } = task;
    let settings = Settings { want: wanted(settings.want, &profile), ..settings };
    let settler = Settler::new(origin.as_ref(), admit, quota, &profile, synced, sink)?;
    let settler = settler.with_earlier(known.earlier());
    let at_once = settings.concurrency.max(1);
    let window = settings.window.max(at_once);
    let resources = match resources {
        Some(resources) => resources,
        None => Arc::new(Resources::new(settings.workers, settings.queue)?),
    };

    // List: a separate task, so that the next page is fetched while blobs are read. Blobs that earlier runs know enough
    // about are not read. Known assets travel in groups no larger than the window: a larger group could never get all
    // its permits and would wait forever.
    let (page_sender, pages) = mpsc::channel(PAGES_AHEAD);
    let at_once_known = KNOWN_AT_ONCE.min(window);
    let sorter = Sorter { known, profile: Arc::clone(&profile), want: settings.want, at_once: at_once_known };
    let listing = tokio::spawn(listing::list(listing, sorter, page_sender, Arc::clone(&progress)));

    // Settle: on a separate thread, because it writes to disk. It returns one permit to the window for each asset it
    // settles. There are never more pending verdicts than permits, so sending a verdict never waits.
    let permits = Arc::new(Semaphore::new(window));
    let (verdict_sender, verdicts) = mpsc::channel(window);
    let settling = settle::settle(verdicts, Arc::clone(&permits), settler, Arc::clone(&progress));
    let settling = resources.writers.next(cores())?.spawn(settling);

    // Window: each blob gets its ordinal and then its permits, one blob at a time, before it is read. Keep this order:
    // it guarantees that the oldest blob without a verdict holds its permit, so it can be settled and the window moves.
    // If permits were taken out of order, newer blobs could hold all of them while they wait for the oldest one.
    // The files of a folder are taken many at a time.
    let stopping = Arc::new(AtomicBool::new(false));
    let stop = {
        let stopping = Arc::clone(&stopping);
        stop.map(move |()| stopping.store(true, Ordering::Relaxed)).shared()
    };

    // Read, probe and judge: in any order, so that a slow blob does not delay the others until the window is full.
    let delivery = Delivery { verdicts: verdict_sender, progress: Arc::clone(&progress) };
    let Settings { want, first_read, workers, .. } = settings;
    let examiner = Arc::new(Examiner { profile, want, first_read, progress: Arc::clone(&progress) });
    let read_all = async {
        match reader.blocking() {
            None => {
                let memory = Arc::clone(&resources.memory);
                let works = listing::works(pages).take_until(stop.clone());
                let numbered = admitted(works, Work::len, &permits);
                let network = Arc::new(Network { reader, examiner, memory, stopping });
                network.examine_all(numbered, resources.runtimes()?, at_once, &delivery).await
            }
            Some(reader) => {
                let groups = listing::groups(pages, folder::FILES.min(at_once)).take_until(stop.clone());
                let numbered = admitted(groups, |group| group.iter().map(Work::len).sum(), &permits);
                let folder = Folder { reader, examiner, pool: Arc::clone(&resources.pool) };
                folder.examine_all(numbered, at_once, workers, &delivery).await
            }
        }
    };
    let read = tokio::select! {
        read = read_all => read,
        () = stop.clone().then(|()| tokio::time::sleep(GRACE)) => Ok(()),
    };

    // End: settling ends once every sender of verdicts is dropped. The readers have dropped theirs, so this is the last
    // one: it must go before `settling` is awaited. The listing task ends when the receiver of its pages is gone.
    drop(delivery);
    let settled = settling.await.map_err(|error| not_written(&error))?;
    // When the sink fails, the reading side only sees a closed channel. The sink's own error is the cause, so it is
    // returned first.
    let (budget, sink) = settled?;
    let mut summary = budget.summary();
    summary.totals.excluded = excluded.load(Ordering::Relaxed);
    if !summary.totals.reconcile() {
        return Err(Error::new("the totals do not add up; this is a bug in presync, please report it"));
    }
    let is_all = progress.is_all(summary.totals.listed);
    let end = match read {
        Err(error) => End::Broken(error),
        Ok(()) if !is_all && stop.peek().is_some() => End::Stopped,
        Ok(()) => match listing.await {
            Ok(Ok(changes)) if is_all => {
                summary.changes = changes.map(|changes| {
                    let mut findings = budget.finding_changes().clone();
                    findings.add_all(changes.findings.unwrap_or_default());
                    Changes { findings: Some(findings), ..changes }
                });
                End::Complete
            }
            Ok(Ok(_)) => {
                End::Broken(Error::new("blobs are missing; this is a bug in presync, please report it"))
            }
            Ok(Err(error)) => End::Broken(error),
            Err(error) => End::Broken(Error::new(format!("failed to list the source: {error}"))),
        },
    };
    summary.incomplete = match &end {
        End::Complete => None,
        End::Stopped => Some("the run was stopped".to_owned()),
        End::Broken(error) => Some(error.message().to_owned()),
    };
    Ok(Ended { summary, sink, end })
}

/// Numbers the blobs of a listing, and takes their permits of the window. `len` is how many an item has.
fn admitted<W>(
    items: impl Stream<Item = W>,
    len: impl Fn(&W) -> usize + Copy,
    permits: &Semaphore,
) -> impl Stream<Item = Result<(u64, W)>> {
    let number = move |next: &mut u64, item: W| {
        let first = *next;
        *next += len(&item) as u64;
        future::ready(Some((first, item)))
    };
    items.scan(0, number).then(move |(first, item)| async move {
        let count = u32::try_from(len(&item)).map_err(closed)?;
        permits.acquire_many(count).await.map_err(closed)?.forget();
        Ok((first, item))
    })
}

/// The error for a closed channel. A channel closes early only if its other end failed with an error of its own.
fn closed<E>(_: E) -> Error {
    Error::new("the run ended early")
}

fn not_written(error: &JoinError) -> Error {
    Error::new(format!("failed to write the report: {error}"))
}

fn worker_failed() -> Error {
    Error::new("a worker failed; this is a bug in presync, please report it")
}

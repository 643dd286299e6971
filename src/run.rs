//! The whole pipeline: list, read, probe, judge, weigh, report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cpu_time::ThreadTime;
use futures::{FutureExt, StreamExt, future};
use tokio::sync::{Semaphore, mpsc};

use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::model::{Admit, Asset, Quota};
use crate::plan::Summary;
use crate::pool::Pool;
use crate::probe::Want;
use crate::progress::{Progress, Stage};
use crate::rules::Profile;
use crate::source::Source;

mod inspect;
mod known;
mod listing;
mod read;
mod settle;

use inspect::Inspector;
pub(crate) use inspect::judge;
pub use known::{Judged, Known, Rows};
use listing::{Sorter, Work};
use read::Delivery;
use settle::Settler;
pub use settle::settle_judged;

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
    /// Places in the queue before them.
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
            want: Want::default(),
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
    lanes: OnceLock<Lanes>,
    bytes: Arc<Semaphore>,
}

impl Resources {
    /// `workers` threads that probe, behind a queue of `queue` places, and 64 MiB of bytes in flight.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn new(workers: usize, queue: usize) -> Result<Self> {
        let pool = Arc::new(Pool::new(workers, queue)?);
        Ok(Self { pool, lanes: OnceLock::new(), bytes: Arc::new(Semaphore::new(BYTES_IN_FLIGHT)) })
    }

    /// The threads that read: as many as the machine has cores.
    fn lanes(&self) -> Result<&Lanes> {
        if let Some(lanes) = self.lanes.get() {
            return Ok(lanes);
        }
        let lanes = Lanes::new(cores(), &self.pool)?;
        Ok(self.lanes.get_or_init(|| lanes))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// What is to be examined, and how.
pub struct Task<S> {
    /// Where the blobs come from.
    pub source: Arc<S>,
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

impl<S> Task<S> {
    /// A run in the order of the listing, of which nothing is known before and whose progress nobody watches.
    pub fn new(source: Arc<S>, profile: Arc<Profile>, quota: Quota, settings: Settings) -> Self {
        let (admit, known, progress) = (Admit::Listing, Known::default(), Arc::default());
        Self { source, profile, quota, admit, known, settings, resources: None, progress }
    }
}

/// Takes assets, in listing order.
pub trait Sink: Send + 'static {
    /// Takes the next asset as the rules judge it, before the quota is weighed.
    ///
    /// # Errors
    /// When it cannot be kept; the run ends.
    fn judged(&mut self, _judged: &Judged) -> Result<()> {
        Ok(())
    }

    /// Takes the next asset, which is settled.
    ///
    /// # Errors
    /// When it cannot be written; the run ends.
    fn asset(&mut self, asset: &Asset) -> Result<()>;
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
pub async fn run<S: Source, K: Sink>(
    task: Task<S>,
    sink: K,
    stop: impl Future<Output = ()>,
) -> Result<Ended<K>> {
    let Task { source, profile, quota, admit, known, settings, resources, progress } = task;
    let settler = Settler::new(admit, quota, &profile, sink)?;
    let window = settings.window.max(settings.concurrency).max(1);
    let resources = match resources {
        Some(resources) => resources,
        None => Arc::new(Resources::new(settings.workers, settings.queue)?),
    };
    let inspector = Arc::new(Inspector {
        source: Arc::clone(&source),
        profile: Arc::clone(&profile),
        want: settings.want,
        first_read: settings.first_read,
        progress: Arc::clone(&progress),
        pool: Arc::clone(&resources.pool),
        bytes: Arc::clone(&resources.bytes),
    });

    // List: a task of its own, so that the next page arrives while blobs are read. What is known of a blob already
    // makes its read unnecessary.
    let (page_sender, pages) = mpsc::channel(PAGES_AHEAD);
    let sorter = Sorter { known, profile, want: settings.want, at_once: KNOWN_AT_ONCE.min(window) };
    let listing =
        tokio::spawn(listing::list(Arc::clone(&source), sorter, page_sender, Arc::clone(&progress)));

    // Settle: a thread of its own, because it writes; it frees a place in the window for each asset that it settles.
    let places = Arc::new(Semaphore::new(window));
    let (verdict_sender, verdicts) = mpsc::channel(window);
    let settling = {
        let places = Arc::clone(&places);
        let progress = Arc::clone(&progress);
        tokio::task::spawn_blocking(move || {
            let cpu = ThreadTime::now();
            let settled = settle::settle(verdicts, &places, settler);
            progress.add_stage(Stage::Write, cpu.elapsed());
            settled
        })
    };

    // Read, probe and judge: in any order, so that a slow blob holds up no other until the window is full.
    let stopping = Arc::new(AtomicBool::new(false));
    let stop = {
        let stopping = Arc::clone(&stopping);
        stop.map(move |()| stopping.store(true, Ordering::Relaxed)).shared()
    };
    let number = |next: &mut u64, work: Work| {
        let first = *next;
        *next += work.len() as u64;
        future::ready(Some((first, work)))
    };
    let place = async |numbered: (u64, Work)| {
        let permits = u32::try_from(numbered.1.len()).map_err(closed)?;
        places.acquire_many(permits).await.map_err(closed)?.forget();
        Ok(numbered)
    };
    let numbered = listing::works(pages).take_until(stop.clone()).scan(0, number).then(place);
    let delivery = Delivery { verdicts: verdict_sender, progress: Arc::clone(&progress) };
    let at_once = settings.concurrency.max(1);
    let read_all = async {
        match source.blocking() {
            None => {
                let lanes = resources.lanes()?;
                read::over_a_network(numbered, &inspector, lanes, at_once, &delivery, &stopping).await
            }
            Some(folder) => {
                read::in_batches(numbered, &inspector, folder, at_once, &settings, &delivery).await
            }
        }
    };
    let read = tokio::select! {
        read = read_all => read,
        () = stop.clone().then(|()| tokio::time::sleep(GRACE)) => Ok(()),
    };

    drop(delivery);
    let settled =
        settling.await.map_err(|error| Error::new(format!("the report was not written: {error}")))?;
    // When the sink fails, the reading side only sees that nobody listens; the sink knows why.
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

//! The whole pipeline: list, read, probe, judge, weigh, report.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, pin_mut, stream};
use tokio::sync::{Semaphore, mpsc};

use crate::error::{Error, Result};
use crate::model::{Asset, Blob, Quota, Reads};
use crate::plan::{Budget, Reorder, Summary};
use crate::pool::Pool;
use crate::probe::{Probe, Step, Want};
use crate::progress::Progress;
use crate::rules::{self, Content, Profile};
use crate::source::{ReadBlocking, ReadError, Source};

/// Listing pages that wait until their blobs are taken.
const PAGES_AHEAD: usize = 2;
/// Files that are read and probed in one job.
const BATCH: usize = 32;
/// How long blobs under way may take to finish when the run is stopped: a user who stops it waits.
const GRACE: Duration = Duration::from_millis(500);
/// Bytes that may be in flight between the network and the pool at a time: 64 MiB.
const BYTES_IN_FLIGHT: usize = 64 << 20;

/// How a run goes about its work. But for `want`, none of these settings changes what it finds.
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
}

impl Settings {
    /// Settings for a source whose reads wait for a network, with `concurrency` reads at a time.
    pub fn with_concurrency(concurrency: usize) -> Self {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        Self { concurrency, workers, queue: 256, window: 4096, want: Want::Verdict }
    }
}

/// Takes settled assets, in listing order.
pub trait Sink: Send + 'static {
    /// Takes the next asset.
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
    source: Arc<S>,
    profile: Arc<Profile>,
    quota: Quota,
    settings: Settings,
    progress: Arc<Progress>,
    sink: K,
    stop: impl Future<Output = ()>,
) -> Result<Ended<K>> {
    let window = settings.window.max(settings.concurrency).max(1);
    let budget = Budget::new(quota).with_overrides(profile.overrides.clone());
    let inspector = Inspector {
        source: Arc::clone(&source),
        profile,
        want: settings.want,
        pool: Pool::new(settings.workers, settings.queue)?,
        bytes: Semaphore::new(BYTES_IN_FLIGHT),
    };

    // List: a task of its own, so that the next page arrives while blobs are read.
    let (page_sender, pages) = mpsc::channel(PAGES_AHEAD);
    let listing = tokio::spawn(list(Arc::clone(&source), page_sender, Arc::clone(&progress)));

    // Settle: a thread of its own, because it writes; it frees a place in the window for each asset that it settles.
    let places = Arc::new(Semaphore::new(window));
    let (verdict_sender, verdicts) = mpsc::channel(window);
    let settling = {
        let places = Arc::clone(&places);
        tokio::task::spawn_blocking(move || settle(verdicts, &places, budget, sink))
    };

    // Read, probe and judge: in any order, so that a slow blob holds up no other until the window is full.
    let stop = stop.shared();
    let place = async |numbered| {
        places.acquire().await.map_err(closed)?.forget();
        Ok(numbered)
    };
    let numbered = stream::iter(0u64..).zip(blobs(pages).take_until(stop.clone())).then(place);
    let deliver = async |judged: Vec<(u64, Asset)>| {
        judged.iter().for_each(|(_, asset)| progress.add_judged(asset));
        verdict_sender.send(judged).await.map_err(closed)
    };
    let at_once = settings.concurrency.max(1);
    let read_all = async {
        match source.blocking() {
            None => {
                let inspect = |(ordinal, blob)| {
                    let (inspector, deliver) = (&inspector, &deliver);
                    async move { deliver(vec![(ordinal, inspector.inspect(blob).await?)]).await }
                };
                numbered.try_for_each_concurrent(at_once, inspect).await
            }
            Some(folder) => {
                let inspect = |batch: Vec<(u64, Blob)>| {
                    let (inspector, deliver, folder) = (&inspector, &deliver, Arc::clone(&folder));
                    async move { deliver(inspector.inspect_on_pool(batch, folder).await?).await }
                };
                // A worker that is done must find the next batch waiting.
                let batches = at_once.div_ceil(BATCH).max(2 * settings.workers);
                numbered
                    .try_ready_chunks(BATCH.min(at_once))
                    .map_err(|broken| broken.1)
                    .try_for_each_concurrent(batches, inspect)
                    .await
            }
        }
    };
    let read = tokio::select! {
        read = read_all => read,
        () = stop.clone().then(|()| tokio::time::sleep(GRACE)) => Ok(()),
    };

    drop(verdict_sender);
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
        Ok(()) if is_all => End::Complete,
        Ok(()) if stop.peek().is_some() => End::Stopped,
        Ok(()) => End::Broken(match listing.await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => Error::new("blobs are missing; this is a defect of presync, please report it"),
            Err(error) => Error::new(format!("the listing did not end: {error}")),
        }),
    };
    summary.incomplete = match &end {
        End::Complete => None,
        End::Stopped => Some("the run was stopped".to_owned()),
        End::Broken(error) => Some(error.message().to_owned()),
    };
    Ok(Ended { summary, sink, end })
}

/// Hands over page after page, until the end, an error, or until nobody takes them.
async fn list<S: Source>(
    source: Arc<S>,
    pages: mpsc::Sender<Vec<Blob>>,
    progress: Arc<Progress>,
) -> Result<()> {
    let listing = source.list();
    pin_mut!(listing);
    while let Some(page) = listing.try_next().await? {
        progress.add_listed(page.len() as u64);
        if pages.send(page).await.is_err() {
            return Ok(());
        }
    }
    progress.finish_listing();
    Ok(())
}

fn blobs(pages: mpsc::Receiver<Vec<Blob>>) -> impl stream::Stream<Item = Blob> {
    stream::unfold(pages, |mut pages| async { pages.recv().await.map(|page| (stream::iter(page), pages)) })
        .flatten()
}

/// Brings assets into listing order, spends the budget on them and hands them to the sink.
fn settle<K: Sink>(
    mut verdicts: mpsc::Receiver<Vec<(u64, Asset)>>,
    places: &Semaphore,
    mut budget: Budget,
    mut sink: K,
) -> Result<(Budget, K)> {
    let mut reorder = Reorder::default();
    while let Some(judged) = verdicts.blocking_recv() {
        for (ordinal, asset) in judged {
            reorder.insert(ordinal, asset);
        }
        while let Some(mut asset) = reorder.pop() {
            places.add_permits(1);
            budget.settle(&mut asset);
            if let Err(error) = sink.asset(&asset) {
                // Whoever waits for a place in the window would wait forever.
                places.close();
                return Err(error);
            }
        }
    }
    Ok((budget, sink))
}

/// Says that the other end of a channel is gone, which happens only when that end has failed with an error of its own.
fn closed<E>(_: E) -> Error {
    Error::new("the run ended early")
}

/// Examines blobs, each from its first read to its verdict.
struct Inspector<S> {
    source: Arc<S>,
    profile: Arc<Profile>,
    want: Want,
    pool: Pool,
    bytes: Semaphore,
}

impl<S: Source> Inspector<S> {
    /// Examines one blob whose reads wait for a network. One that changed since it was listed is listed again, once.
    async fn inspect(&self, mut blob: Blob) -> Result<Asset> {
        if let Some(asset) = rules::without_reading(&blob, &self.profile) {
            return Ok(asset);
        }
        let mut reads = Reads::default();
        let mut content = self.probe(&blob, &mut reads).await;
        if matches!(content, Err(ReadError::Changed)) {
            content = match self.source.find(&blob.name).await {
                Ok(None) => Err(ReadError::Gone),
                Err(error) => Err(error),
                Ok(Some(now)) => {
                    blob = now;
                    match rules::without_reading(&blob, &self.profile) {
                        Some(asset) => return Ok(Asset { reads, ..asset }),
                        None => self.probe(&blob, &mut reads).await,
                    }
                }
            };
        }
        judge(blob, content, reads, &self.profile)
    }

    /// Examines a batch of blobs whose reads block: on the pool, in one job, because a job costs as much as a file.
    async fn inspect_on_pool(
        &self,
        batch: Vec<(u64, Blob)>,
        folder: Arc<dyn ReadBlocking>,
    ) -> Result<Vec<(u64, Asset)>> {
        let (profile, want) = (Arc::clone(&self.profile), self.want);
        let judged = self.pool.run(move || {
            let inspect = |(ordinal, blob): (u64, Blob)| {
                Ok((ordinal, inspect_blocking(folder.as_ref(), blob, &profile, want)?))
            };
            batch.into_iter().map(inspect).collect()
        });
        judged.await.unwrap_or_else(|| {
            Err(Error::new("a worker failed; this is a defect of presync, please report it"))
        })
    }

    /// Reads what the probe needs, and lets the pool probe it.
    async fn probe(&self, blob: &Blob, reads: &mut Reads) -> std::result::Result<Content, ReadError> {
        let (mut probe, mut step) = Probe::wanting(self.want, blob.size, blob.name.extension());
        loop {
            let range = match step {
                Step::Done(facts) => return Ok(Content::Facts(facts)),
                Step::Need(range) => range,
            };
            let weight = u32::try_from(range.len()).unwrap_or(u32::MAX).min(BYTES_IN_FLIGHT as u32);
            let _weight = self.bytes.acquire_many(weight).await;
            let bytes = self.source.read(blob, range, reads).await?;
            let probed = self.pool.run(move || {
                let step = probe.step(bytes);
                (probe, step)
            });
            match probed.await {
                Some(next) => (probe, step) = next,
                None => return Ok(panicked()),
            }
        }
    }
}

/// Examines one blob on this thread.
fn inspect_blocking(
    folder: &dyn ReadBlocking,
    mut blob: Blob,
    profile: &Profile,
    want: Want,
) -> Result<Asset> {
    if let Some(asset) = rules::without_reading(&blob, profile) {
        return Ok(asset);
    }
    let mut reads = Reads::default();
    // A panic must cost no more than this one verdict.
    let probe = |blob: &Blob, reads: &mut Reads| {
        let content = catch_unwind(AssertUnwindSafe(|| probe_blocking(folder, blob, want, reads)));
        content.unwrap_or_else(|_| Ok(panicked()))
    };
    let mut content = probe(&blob, &mut reads);
    if matches!(content, Err(ReadError::Changed)) {
        let Some(now) = folder.find(&blob.name) else {
            return judge(blob, Err(ReadError::Gone), reads, profile);
        };
        blob = now;
        match rules::without_reading(&blob, profile) {
            Some(asset) => return Ok(Asset { reads, ..asset }),
            None => content = probe(&blob, &mut reads),
        }
    }
    judge(blob, content, reads, profile)
}

fn probe_blocking(
    folder: &dyn ReadBlocking,
    blob: &Blob,
    want: Want,
    reads: &mut Reads,
) -> std::result::Result<Content, ReadError> {
    let (mut probe, mut step) = Probe::wanting(want, blob.size, blob.name.extension());
    loop {
        step = match step {
            Step::Done(facts) => return Ok(Content::Facts(facts)),
            Step::Need(range) => probe.step(folder.read(blob, range, reads)?),
        };
    }
}

/// The verdict on what reading a blob led to; an error when no blob of the source can be read.
pub(crate) fn judge(
    blob: Blob,
    content: std::result::Result<Content, ReadError>,
    reads: Reads,
    profile: &Profile,
) -> Result<Asset> {
    let content = match content {
        Ok(content) => content,
        Err(ReadError::Changed) => Content::Changed,
        Err(ReadError::Gone) => Content::Gone,
        Err(ReadError::Archived) => Content::Archived,
        Err(ReadError::Unreadable(why)) => Content::Unreadable(why),
        Err(ReadError::Fatal(error)) => return Err(error),
    };
    Ok(rules::judge(blob, content, reads, profile))
}

fn panicked() -> Content {
    Content::Unreadable("the probe failed on it; this is a defect of presync, please report it".to_owned())
}

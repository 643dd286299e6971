//! From a blob to its verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;

use super::{BYTES_IN_FLIGHT, Judged};
use crate::error::{Error, Result};
use crate::model::{Asset, Blob, ByteRange, Reads};
use crate::pool::{Batches, Pool};
use crate::probe::{Probe, Step, Want};
use crate::progress::{Progress, Stage};
use crate::rules::{self, Content, Profile};
use crate::source::{ReadBlocking, ReadError, Source};

/// Examines blobs, each from its first read to its verdict.
pub(super) struct Inspector<S> {
    pub(super) source: Arc<S>,
    pub(super) profile: Arc<Profile>,
    pub(super) want: Want,
    pub(super) first_read: Option<u64>,
    pub(super) progress: Arc<Progress>,
    pub(super) pool: Arc<Pool>,
    pub(super) bytes: Arc<Semaphore>,
}

/// What became of the bytes of a read.
enum Probed {
    /// The probe needs this range as well.
    More(Box<Probe>, ByteRange, Blob),
    Judged(Box<Asset>),
}

/// Why there is no verdict yet.
enum Stopped {
    NotRead(Blob, ReadError),
    Broken(Error),
}

impl<S: Source> Inspector<S> {
    /// Examines one blob whose reads wait for a network, on a lane. One that changed since it was listed is listed again,
    /// once.
    pub(super) async fn inspect(&self, mut blob: Blob, batches: &Batches) -> Result<Asset> {
        let mut reads = Reads::default();
        let mut is_listed_again = false;
        loop {
            if let Some(asset) = rules::without_reading(&blob, &self.profile) {
                return Ok(Asset { reads, ..asset });
            }
            match self.read_and_probe(blob, &mut reads, batches).await {
                Ok(asset) => return Ok(*asset),
                Err(Stopped::NotRead(changed, ReadError::Changed)) if !is_listed_again => {
                    is_listed_again = true;
                    match self.source.find(&changed.name).await {
                        Ok(Some(now)) => blob = now,
                        Ok(None) => return judge(changed, Err(ReadError::Gone), reads, &self.profile),
                        Err(error) => return judge(changed, Err(error), reads, &self.profile),
                    }
                }
                Err(Stopped::NotRead(blob, error)) => return judge(blob, Err(error), reads, &self.profile),
                Err(Stopped::Broken(error)) => return Err(error),
            }
        }
    }

    /// Reads what the probe needs, and lets the pool probe and judge it.
    async fn read_and_probe(
        &self,
        mut blob: Blob,
        reads: &mut Reads,
        batches: &Batches,
    ) -> std::result::Result<Box<Asset>, Stopped> {
        let (probe, mut step) = begin(&blob, self.want, self.first_read);
        let mut probe = Box::new(probe);
        loop {
            let range = match step {
                Step::Done(facts) => {
                    let asset = rules::judge(blob, Content::Facts(facts), *reads, &self.profile);
                    return Ok(Box::new(asset));
                }
                Step::Need(range) => range,
            };
            let weight = u32::try_from(range.len()).unwrap_or(u32::MAX).min(BYTES_IN_FLIGHT as u32);
            let _weight = self.bytes.acquire_many(weight).await;
            let bytes = match self.source.read(&mut blob, range, reads).await {
                Ok(bytes) => bytes,
                Err(error) => return Err(Stopped::NotRead(blob, error)),
            };
            let (profile, progress, so_far) = (Arc::clone(&self.profile), Arc::clone(&self.progress), *reads);
            let probed = batches.run(move || {
                let begun = Instant::now();
                // A panic must cost no more than this one verdict.
                let probed = catch_unwind(AssertUnwindSafe(|| probe.step(bytes)));
                let judging = Instant::now();
                progress.add_stage(Stage::Probe, judging - begun);
                let content = match probed {
                    Ok(Step::Need(range)) => return Probed::More(probe, range, blob),
                    Ok(Step::Done(facts)) => Content::Facts(facts),
                    Err(_) => panicked(),
                };
                let asset = rules::judge(blob, content, so_far, &profile);
                progress.add_stage(Stage::Judge, judging.elapsed());
                Probed::Judged(Box::new(asset))
            });
            match probed.await {
                Some(Probed::Judged(asset)) => return Ok(asset),
                Some(Probed::More(again, range, same)) => {
                    (probe, step, blob) = (again, Step::Need(range), same)
                }
                None => return Err(Stopped::Broken(worker_failed())),
            }
        }
    }

    /// Examines a batch of blobs whose reads block: on the pool, in one job, because a job costs as much as a file.
    pub(super) async fn inspect_on_pool(
        &self,
        batch: Vec<(u64, Blob)>,
        folder: Arc<dyn ReadBlocking>,
    ) -> Result<Vec<(u64, Judged)>> {
        let profile = Arc::clone(&self.profile);
        let (want, first_read) = (self.want, self.first_read);
        let judged = self.pool.run(move || {
            let inspect = |(ordinal, blob): (u64, Blob)| {
                Ok((ordinal, inspect_blocking(folder.as_ref(), blob, &profile, want, first_read)?.into()))
            };
            batch.into_iter().map(inspect).collect()
        });
        judged.await.unwrap_or_else(|| Err(worker_failed()))
    }
}

fn begin(blob: &Blob, want: Want, first_read: Option<u64>) -> (Probe, Step) {
    match first_read {
        Some(first) => Probe::beginning(first, want, blob.size),
        None => Probe::wanting(want, blob.size, blob.name.extension()),
    }
}

/// Examines one blob on this thread.
fn inspect_blocking(
    folder: &dyn ReadBlocking,
    mut blob: Blob,
    profile: &Profile,
    want: Want,
    first_read: Option<u64>,
) -> Result<Asset> {
    if let Some(asset) = rules::without_reading(&blob, profile) {
        return Ok(asset);
    }
    let mut reads = Reads::default();
    // A panic must cost no more than this one verdict.
    let probe = |blob: &Blob, reads: &mut Reads| {
        let content =
            catch_unwind(AssertUnwindSafe(|| probe_blocking(folder, blob, want, first_read, reads)));
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
    first_read: Option<u64>,
    reads: &mut Reads,
) -> std::result::Result<Content, ReadError> {
    let (mut probe, mut step) = begin(blob, want, first_read);
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

fn worker_failed() -> Error {
    Error::new("a worker failed; this is a defect of presync, please report it")
}

fn panicked() -> Content {
    Content::Unreadable("the probe failed on it; this is a defect of presync, please report it".to_owned())
}

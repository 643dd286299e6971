//! From a blob to its verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{BYTES_IN_FLIGHT, Judged, Resources};
use crate::error::{Error, Result};
use crate::model::{Asset, Blob, Reads};
use crate::probe::{Probe, Step, Want};
use crate::rules::{self, Content, Profile};
use crate::source::{ReadBlocking, ReadError, Source};

/// Examines blobs, each from its first read to its verdict.
pub(super) struct Inspector<S> {
    pub(super) source: Arc<S>,
    pub(super) profile: Arc<Profile>,
    pub(super) want: Want,
    pub(super) resources: Arc<Resources>,
}

impl<S: Source> Inspector<S> {
    /// Examines one blob whose reads wait for a network. One that changed since it was listed is listed again, once.
    pub(super) async fn inspect(&self, mut blob: Blob) -> Result<Asset> {
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
    pub(super) async fn inspect_on_pool(
        &self,
        batch: Vec<(u64, Blob)>,
        folder: Arc<dyn ReadBlocking>,
    ) -> Result<Vec<(u64, Judged)>> {
        let (profile, want) = (Arc::clone(&self.profile), self.want);
        let judged = self.resources.pool.run(move || {
            let inspect = |(ordinal, blob): (u64, Blob)| {
                Ok((ordinal, inspect_blocking(folder.as_ref(), blob, &profile, want)?.into()))
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
            let _weight = self.resources.bytes.acquire_many(weight).await;
            let bytes = self.source.read(blob, range, reads).await?;
            let probed = self.resources.pool.run(move || {
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

//! From what the listing leaves to do to verdicts, in any order.

use std::pin::pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::inspect::Inspector;
use super::listing::Work;
use super::{Judged, Settings, closed};
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::model::Blob;
use crate::progress::Progress;
use crate::source::{ReadBlocking, Source};

/// Files that are read and probed in one job.
const FILES: usize = 32;
/// Blobs that go to a lane together: what that costs is shared by them, and near the end no lane has many more left.
const BLOBS: usize = 16;
/// Such groups that wait for a lane.
const GROUPS_AHEAD: usize = 16;
/// Verdicts that go on together at the most.
const VERDICTS: usize = 64;

/// Where verdicts go.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) verdicts: mpsc::Sender<Vec<(u64, Judged)>>,
    pub(super) progress: Arc<Progress>,
}

impl Delivery {
    async fn send(&self, judged: Vec<(u64, Judged)>) -> Result<()> {
        judged.iter().for_each(|(_, judged)| self.progress.add_judged(&judged.asset));
        self.verdicts.send(judged).await.map_err(closed)
    }
}

/// Blobs whose reads wait for a network: on the lanes, `at_once` of them at a time.
pub(super) async fn over_a_network<S: Source>(
    works: impl Stream<Item = Result<(u64, Work)>>,
    inspector: &Arc<Inspector<S>>,
    lanes: &Lanes,
    at_once: usize,
    delivery: &Delivery,
) -> Result<()> {
    let (sender, groups) = mpsc::channel::<Vec<(u64, Blob)>>(GROUPS_AHEAD);
    let groups = Arc::new(Mutex::new(groups));
    let mut reading = JoinSet::new();
    for (number, lane) in lanes.iter().take(at_once).enumerate() {
        let mine = at_once / lanes.len() + usize::from(number < at_once % lanes.len());
        let (groups, inspector) = (Arc::clone(&groups), Arc::clone(inspector));
        let (delivery, batches) = (delivery.clone(), lane.batches().clone());
        let read = async move {
            let blobs = stream::unfold(groups, async |groups| {
                let group = groups.lock().await.recv().await;
                group.map(|group| (stream::iter(group), groups))
            });
            let inspect = |(ordinal, blob)| {
                let (inspector, batches) = (&inspector, &batches);
                async move { Ok((ordinal, inspector.inspect(blob, batches).await?.into())) }
            };
            let mut verdicts =
                pin!(blobs.flatten().map(inspect).buffer_unordered(mine).try_ready_chunks(VERDICTS));
            while let Some(judged) = verdicts.next().await {
                delivery.send(judged.map_err(|broken| broken.1)?).await?;
            }
            Ok(())
        };
        reading.spawn_on(read, lane.handle());
    }

    drop(groups);

    let feed = async move {
        let mut works = pin!(works.try_ready_chunks(BLOBS));
        while let Some(group) = works.next().await {
            let mut blobs = Vec::with_capacity(BLOBS);
            for (ordinal, work) in group.map_err(|broken| broken.1)? {
                match work {
                    Work::Examine(blob) => blobs.push((ordinal, blob)),
                    Work::Known(judged) => delivery.send((ordinal..).zip(judged).collect()).await?,
                }
            }
            // When the lanes are gone, they know why.
            if !blobs.is_empty() && sender.send(blobs).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let read = async {
        while let Some(ended) = reading.join_next().await {
            ended.unwrap_or_else(|error| Err(Error::new(format!("a reading thread failed: {error}"))))?;
        }
        Ok(())
    };
    tokio::try_join!(feed, read).map(|_| ())
}

/// Blobs whose reads block: on the pool, where they are probed, many in one job.
pub(super) async fn in_batches<S: Source>(
    works: impl Stream<Item = Result<(u64, Work)>>,
    inspector: &Arc<Inspector<S>>,
    folder: Arc<dyn ReadBlocking>,
    at_once: usize,
    settings: &Settings,
    delivery: &Delivery,
) -> Result<()> {
    let examine = |batch: Vec<(u64, Work)>| {
        let folder = Arc::clone(&folder);
        async move {
            let (mut files, mut known) = (Vec::new(), Vec::new());
            for (ordinal, work) in batch {
                match work {
                    Work::Examine(blob) => files.push((ordinal, blob)),
                    Work::Known(judged) => known.extend((ordinal..).zip(judged)),
                }
            }
            if !known.is_empty() {
                delivery.send(known).await?;
            }
            match files.is_empty() {
                true => Ok(()),
                false => delivery.send(inspector.inspect_on_pool(files, folder).await?).await,
            }
        }
    };
    // A worker that is done must find the next batch waiting.
    let batches = at_once.div_ceil(FILES).max(2 * settings.workers);
    works
        .try_ready_chunks(FILES.min(at_once))
        .map_err(|broken| broken.1)
        .try_for_each_concurrent(batches, examine)
        .await
}

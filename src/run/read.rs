//! From what the listing leaves to do to verdicts, in any order.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::inspect::Inspector;
use super::listing::Work;
use super::{Judged, Settings, closed};
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::model::Blob;
use crate::pool::BATCH;
use crate::progress::Progress;
use crate::source::{ReadBlocking, Source};

/// Files that are read and probed in one job.
const FILES: usize = 32;
/// Blobs that go to a lane together: what that costs is shared by them, and near the end no lane has many more left.
const BLOBS: usize = 16;
/// Blobs besides those that a lane reads, because they wait to be probed.
const PROBED: usize = BATCH;
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

/// Blobs with their places in the listing.
type Group = Vec<(u64, Blob)>;

/// The blobs of a lane, which come in groups that all lanes take from.
struct Blobs {
    mine: std::sync::Mutex<VecDeque<(u64, Blob)>>,
    groups: Arc<Mutex<mpsc::Receiver<Group>>>,
    stopping: Arc<AtomicBool>,
}

impl Blobs {
    /// The next one, unless the run is being stopped: what has not been begun by then is not.
    async fn next(&self) -> Option<(u64, Blob)> {
        loop {
            if self.stopping.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(blob) = self.pop() {
                return Some(blob);
            }
            let mut groups = self.groups.lock().await;
            // Who waited for the lock finds what another one has fetched.
            if let Some(blob) = self.pop() {
                return Some(blob);
            }
            let group = groups.recv().await?;
            self.mine.lock().unwrap_or_else(PoisonError::into_inner).extend(group);
        }
    }

    fn pop(&self) -> Option<(u64, Blob)> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Blobs whose reads wait for a network: on the lanes, `at_once` of them at a time, and none is begun once the run is
/// `stopping`.
pub(super) async fn over_a_network<S: Source>(
    works: impl Stream<Item = Result<(u64, Work)>>,
    inspector: &Arc<Inspector<S>>,
    lanes: &Lanes,
    at_once: usize,
    delivery: &Delivery,
    stopping: &Arc<AtomicBool>,
) -> Result<()> {
    let (sender, groups) = mpsc::channel::<Group>(GROUPS_AHEAD);
    let groups = Arc::new(Mutex::new(groups));
    let mut reading = JoinSet::new();
    for (number, lane) in lanes.iter().take(at_once).enumerate() {
        let mine = at_once / lanes.len() + usize::from(number < at_once % lanes.len()) + PROBED;
        let (groups, inspector) = (Arc::clone(&groups), Arc::clone(inspector));
        let stopping = Arc::clone(stopping);
        let (delivery, batches) = (delivery.clone(), lane.batches().clone());
        let read = async move {
            let blobs = Blobs { mine: std::sync::Mutex::default(), groups, stopping };
            let (judged, mut verdicts) = mpsc::channel(VERDICTS);
            // A slot is a future that examines one blob after the other: so many slots, so many blobs at a time.
            let slot = async |judged: mpsc::Sender<_>| {
                while let Some((ordinal, blob)) = blobs.next().await {
                    let asset = inspector.inspect(blob, &batches).await?;
                    judged.send((ordinal, asset.into())).await.map_err(closed)?;
                }
                Ok(())
            };
            let slots: FuturesUnordered<_> = (0..mine).map(|_| slot(judged.clone())).collect();
            drop(judged);
            let deliver = async {
                let mut chunk = Vec::new();
                while verdicts.recv_many(&mut chunk, VERDICTS).await > 0 {
                    delivery.send(std::mem::take(&mut chunk)).await?;
                }
                Ok(())
            };
            tokio::try_join!(slots.try_collect::<()>(), deliver).map(|_| ())
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

//! Examines blobs that are read over a network: read on the per-core runtimes, probed on the pool.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::listing::Work;
use super::memory::Memory;
use super::pool::{BATCH, Batches};
use super::progress::Stage;
use super::runtimes::Runtimes;
use super::settle::Delivery;
use super::{Examiner, Judged, closed, worker_failed};
use crate::examine::{Examination, Next};
use crate::model::error::{Error, Result};
use crate::model::{Blob, ReadError};
use crate::source::Reader;

/// Blobs handed to a runtime as one group: enough to spread the cost, and few enough that no runtime is left with much
/// more work than the others near the end.
const BLOBS: usize = 16;
/// Blobs in flight per runtime in addition to those being read, because they are waiting to be probed.
const PROBED: usize = BATCH;
/// Groups waiting for a runtime.
const GROUPS_AHEAD: usize = 16;
/// The most verdicts delivered together.
const VERDICTS: usize = 64;

/// Reads the blobs of a container and examines them.
pub(super) struct Network<R> {
    pub(super) reader: Arc<R>,
    pub(super) examiner: Arc<Examiner>,
    pub(super) memory: Arc<Memory>,
    /// Once this is set, no new blob is started.
    pub(super) stopping: Arc<AtomicBool>,
}

impl<R: Reader> Network<R> {
    /// Examines all blobs, with `at_once` concurrent reads spread over the runtimes.
    pub(super) async fn examine_all(
        self: &Arc<Self>,
        works: impl Stream<Item = Result<(u64, Work)>>,
        runtimes: &Runtimes,
        at_once: usize,
        delivery: &Delivery,
    ) -> Result<()> {
        let (sender, groups) = mpsc::channel::<Group>(GROUPS_AHEAD);
        let groups = Arc::new(Mutex::new(groups));
        let mut reading = JoinSet::new();
        for (number, runtime) in runtimes.iter().take(at_once).enumerate() {
            let share = at_once / runtimes.len() + usize::from(number < at_once % runtimes.len()) + PROBED;
            let blobs = Blobs {
                mine: std::sync::Mutex::default(),
                groups: Arc::clone(&groups),
                stopping: Arc::clone(&self.stopping),
            };
            let examine =
                Arc::clone(self).examine_share(blobs, share, runtime.batches().clone(), delivery.clone());
            reading.spawn_on(examine, runtime.handle());
        }
        // Only the runtimes may hold the receiver: if they end early, `feed` then fails to send instead of waiting
        // forever.
        drop(groups);
        let read = async {
            while let Some(ended) = reading.join_next().await {
                ended.unwrap_or_else(|error| Err(Error::new(format!("a reading thread failed: {error}"))))?;
            }
            Ok(())
        };
        tokio::try_join!(feed(works, sender, delivery), read).map(|_| ())
    }

    /// Examines the blobs of one runtime, `share` of them concurrently.
    async fn examine_share(
        self: Arc<Self>,
        blobs: Blobs,
        share: usize,
        batches: Batches,
        delivery: Delivery,
    ) -> Result<()> {
        let (judged, mut verdicts) = mpsc::channel(VERDICTS);
        // A slot is a future that examines one blob after another; there are as many slots as concurrent blobs. All
        // slots are polled on one thread, so no step of a read wakes another thread.
        let slot = async |judged: mpsc::Sender<_>| {
            while let Some((ordinal, blob)) = blobs.next().await {
                let examined = self.examine(blob, &batches).await?;
                judged.send((ordinal, examined)).await.map_err(closed)?;
            }
            Ok(())
        };
        let slots: FuturesUnordered<_> = (0..share).map(|_| slot(judged.clone())).collect();
        // Only the slots may hold senders: `deliver` ends when the last slot does.
        drop(judged);
        let deliver = async {
            let mut chunk = Vec::new();
            while verdicts.recv_many(&mut chunk, VERDICTS).await > 0 {
                delivery.send(std::mem::take(&mut chunk)).await?;
            }
            Ok(())
        };
        tokio::try_join!(slots.try_collect::<()>(), deliver).map(|_| ())
    }

    /// Examines one blob.
    async fn examine(&self, blob: Blob, batches: &Batches) -> Result<Judged> {
        let (examination, mut next) = self.examiner.begin(blob);
        let mut examination = Box::new(examination);
        let mut share = self.memory.share();
        loop {
            next = match next {
                Next::Read(range) => {
                    // Once a turn has been granted, what this waits for below, the network and the pool, needs no memory:
                    // that is why every examination ends.
                    share.resize(examination.held() + range.len()).await;
                    let (blob, reads) = examination.blob_and_reads();
                    let answer = self.reader.read(blob, range, reads).await;
                    // The last owner frees the bytes: if that is the thread that allocated them, it is cheaper.
                    let _bytes = answer.as_ref().ok().cloned();
                    match self.on_pool(examination, answer, batches).await? {
                        ControlFlow::Break(judged) => return Ok(judged),
                        ControlFlow::Continue((again, next)) => {
                            examination = again;
                            next
                        }
                    }
                }
                Next::Find => {
                    // In a box: it is rare, and each of a thousand slots would have room for it.
                    let found = Box::pin(self.reader.find(&examination.blob().name)).await;
                    self.examiner.found(&mut examination, found)?
                }
                Next::Judge(content) => return Ok(examination.judge(content, &self.examiner.profile).into()),
            };
        }
    }

    /// Passes the answer to the examination on a worker, and judges there too if no more reads are needed.
    async fn on_pool(
        &self,
        mut examination: Box<Examination>,
        answer: std::result::Result<Bytes, ReadError>,
        batches: &Batches,
    ) -> Result<ControlFlow<Judged, (Box<Examination>, Next)>> {
        let examiner = Arc::clone(&self.examiner);
        let step = move || {
            let begun = Instant::now();
            let next = examination.bytes(answer)?;
            let judging = Instant::now();
            examiner.progress.add_stage(Stage::Probe, judging - begun);
            let Next::Judge(content) = next else { return Ok(ControlFlow::Continue((examination, next))) };
            let judged = examination.judge(content, &examiner.profile).into();
            examiner.progress.add_stage(Stage::Judge, judging.elapsed());
            Ok(ControlFlow::Break(judged))
        };
        batches.run(step).await.unwrap_or_else(|| Err(worker_failed()))
    }
}

/// Blobs with their ordinals in the listing.
type Group = Vec<(u64, Blob)>;

/// Groups the blobs that must be read, and delivers the known verdicts.
async fn feed(
    works: impl Stream<Item = Result<(u64, Work)>>,
    groups: mpsc::Sender<Group>,
    delivery: &Delivery,
) -> Result<()> {
    let mut works = pin!(works.try_ready_chunks(BLOBS));
    while let Some(works) = works.next().await {
        let mut blobs = Vec::with_capacity(BLOBS);
        for (ordinal, work) in works.map_err(|broken| broken.1)? {
            match work {
                Work::Examine(blob) => blobs.push((ordinal, blob)),
                Work::Known(judged) => delivery.send((ordinal..).zip(judged).collect()).await?,
            }
        }
        // If the runtimes have ended early, their error is the cause; it is returned by `examine_all`.
        if !blobs.is_empty() && groups.send(blobs).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The blobs of one runtime. It takes them in groups from a queue shared by all runtimes.
struct Blobs {
    mine: std::sync::Mutex<VecDeque<(u64, Blob)>>,
    groups: Arc<Mutex<mpsc::Receiver<Group>>>,
    stopping: Arc<AtomicBool>,
}

impl Blobs {
    /// The next blob, unless the run is being stopped.
    async fn next(&self) -> Option<(u64, Blob)> {
        loop {
            if self.stopping.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(blob) = self.pop() {
                return Some(blob);
            }
            let mut groups = self.groups.lock().await;
            // Another slot may have fetched a group while this one waited for the lock.
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

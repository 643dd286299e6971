//! The rayon pool that probes, behind a bounded queue.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crossbeam_channel::Sender;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::model::error::{Error, Result};

type Work = Box<dyn FnOnce() + Send>;

/// Workers that take work from a bounded queue.
///
/// A task that hands in work waits for a permit of the queue without blocking its thread, and workers never wait to hand
/// anything out, so the two cannot wait for each other: one worker and a queue of depth 1 are enough.
#[derive(Debug)]
pub(super) struct Pool {
    queue: Sender<(OwnedSemaphorePermit, Work)>,
    /// One for each free slot of the queue: with a permit in hand, a send never waits.
    permits: Arc<Semaphore>,
    /// Ends its threads when it is dropped, after the queue has been closed and emptied.
    _threads: rayon::ThreadPool,
}

impl Pool {
    /// A pool of `workers` threads behind a queue of this `depth`; zero of either counts as one.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn new(workers: usize, depth: usize) -> Result<Self> {
        let depth = depth.max(1);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(workers.max(1))
            .thread_name(|index| format!("probe-{index}"))
            .build()
            .map_err(|error| Error::new(format!("cannot start the worker threads: {error}")))?;
        let (queue, jobs) = crossbeam_channel::bounded::<(OwnedSemaphorePermit, Work)>(depth);
        threads.spawn_broadcast(move |_| {
            for (permit, work) in &jobs {
                // Receiving the work freed its slot of the queue: the permit goes back before the work is done.
                drop(permit);
                work();
            }
        });
        Ok(Self { queue, permits: Arc::new(Semaphore::new(depth)), _threads: threads })
    }

    /// Runs `work` on a worker and gives its answer; `None` when it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move || {
            // A panic must not take the worker along: the asset is then reported as not judged.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                // Nobody waits for the answer when the run has ended early.
                let _ = reply.send(result);
            }
        });
        self.queue.try_send((permit, work)).ok()?;
        answer.await.ok()
    }
}

/// Pieces of work that go to the pool together at the most: by then, what a batch costs is shared by enough of them.
pub(super) const BATCH: usize = 32;
/// How long the first piece of a batch waits for others. A read takes longer, and others go on in the meantime.
const LINGER: Duration = Duration::from_millis(2);

/// A piece of work. It leaves behind how to hand over what came of it.
type Piece = Box<dyn FnOnce() -> HandOver + Send>;
/// Called where the one who waits for it runs, so that no other thread has to be woken.
type HandOver = Box<dyn FnOnce() + Send>;

/// The way to a [`Pool`] for the tasks of a runtime that runs on one thread: what they hand in goes to the pool as one
/// batch, and comes back as one. To wake a thread costs more than to probe a header.
///
/// It holds as many pieces as there are tasks that wait for theirs.
#[derive(Clone)]
pub(super) struct Batches(Arc<Shared>);

struct Shared {
    open: Mutex<Open>,
    /// Batches that are full, or that have waited long enough.
    ready: mpsc::UnboundedSender<Vec<Piece>>,
    /// A batch has been begun.
    begun: Arc<Notify>,
}

/// The batch that is being filled.
#[derive(Default)]
struct Open {
    pieces: Vec<Piece>,
    /// The number of this batch, by which it is told from the next one.
    number: u64,
}

impl Batches {
    /// Starts the task that carries batches. It ends with the last clone of this.
    pub(super) fn start(runtime: &Handle, pool: Arc<Pool>) -> Self {
        let (ready, batches) = mpsc::unbounded_channel();
        let begun = Arc::new(Notify::new());
        let shared = Arc::new(Shared { open: Mutex::default(), ready, begun: Arc::clone(&begun) });
        runtime.spawn(carry(batches, begun, Arc::downgrade(&shared), pool));
        Self(shared)
    }

    /// Runs `work` on a worker and gives its answer; `None` when it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let piece: Piece = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work)).ok();
            Box::new(move || {
                if let Some(result) = result {
                    // Nobody waits for the answer when the run has ended early.
                    let _ = reply.send(result);
                }
            })
        });
        self.0.add(piece);
        answer.await.ok()
    }
}

impl Shared {
    fn add(&self, piece: Piece) {
        let mut open = self.open();
        open.pieces.push(piece);
        match open.pieces.len() {
            1 => self.begun.notify_one(),
            BATCH => self.close(&mut open),
            _ => {}
        }
    }

    fn close(&self, open: &mut Open) {
        let pieces = std::mem::replace(&mut open.pieces, Vec::with_capacity(BATCH));
        open.number += 1;
        // It is open for as long as this is.
        let _ = self.ready.send(pieces);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // A panic elsewhere leaves the batch whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

/// Carries batches to the pool, hands over what comes back, and closes each batch that has waited long enough.
async fn carry(
    mut batches: mpsc::UnboundedReceiver<Vec<Piece>>,
    begun: Arc<Notify>,
    shared: Weak<Shared>,
    pool: Arc<Pool>,
) {
    let mut under_way = FuturesUnordered::new();
    let mut due = pin!(tokio::time::sleep(LINGER));
    // The number of the batch that is waited for.
    let mut lingering = None;
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        tokio::select! {
            batch = batches.recv(), if is_open => match batch {
                None => is_open = false,
                Some(batch) => under_way.push(
                    pool.run(|| batch.into_iter().map(|piece| piece()).collect::<Vec<_>>())
                ),
            },
            Some(done) = under_way.next() => {
                done.into_iter().flatten().for_each(|hand_over| hand_over());
            }
            () = begun.notified(), if is_open && lingering.is_none() => {
                lingering = shared.upgrade().map(|shared| shared.open().number);
                due.as_mut().reset(Instant::now() + LINGER);
            }
            () = &mut due, if lingering.is_some() => {
                let number = lingering.take();
                if let Some(shared) = shared.upgrade() {
                    let mut open = shared.open();
                    if Some(open.number) == number {
                        shared.close(&mut open);
                    } else if !open.pieces.is_empty() {
                        begun.notify_one();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    #[tokio::test]
    async fn a_batch_comes_back_whole_and_a_panic_costs_one_answer() {
        let pool = Arc::new(Pool::new(1, 1).expect("a thread can be had"));
        let batches = Batches::start(&Handle::current(), pool);
        let work = |number: usize| move || if number == 77 { panic!("on purpose") } else { number };
        let answers = join_all((0..3000).map(|number| batches.run(work(number)))).await;
        let expected = (0..3000).map(|number| Some(number).filter(|number| *number != 77));
        assert_eq!(answers, expected.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_worker_and_a_queue_of_depth_1_are_enough() {
        let pool = Pool::new(1, 1).expect("a thread can be had");
        let answers = join_all((0..1000).map(|number| pool.run(move || number * 2))).await;
        assert_eq!(answers, (0..1000).map(|number| Some(number * 2)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_worker() {
        let pool = Pool::new(1, 1).expect("a thread can be had");
        assert_eq!(pool.run(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(pool.run(|| 1).await, Some(1));
    }
}

//! The rayon pool for probing, behind a bounded queue.

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
/// A task that submits work waits for a queue permit without blocking its thread, and workers never wait to return a
/// result. So the two cannot deadlock: even one worker and a queue of depth 1 are enough.
#[derive(Debug)]
pub(super) struct Pool {
    queue: Sender<(OwnedSemaphorePermit, Work)>,
    /// One permit per free slot of the queue: a send with a permit never waits.
    permits: Arc<Semaphore>,
    /// Stops the threads when dropped, after the queue has been closed and drained.
    _threads: rayon::ThreadPool,
}

impl Pool {
    /// Starts a pool of `workers` threads behind a queue of this `depth`. Zero counts as one for both.
    ///
    /// # Errors
    /// Returns an error if the threads cannot be started.
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
                // Receiving the work freed its slot in the queue, so return the permit before doing the work.
                drop(permit);
                work();
            }
        });
        Ok(Self { queue, permits: Arc::new(Semaphore::new(depth)), _threads: threads })
    }

    /// Runs `work` on a worker and returns its result, or `None` if it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move || {
            // A panic must not end the worker. The caller gets `None`.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                // If the run has ended early, nothing is waiting for the answer.
                let _ = reply.send(result);
            }
        });
        self.queue.try_send((permit, work)).ok()?;
        answer.await.ok()
    }
}

/// The most pieces of work in a batch: enough of them to share the cost of sending it.
pub(super) const BATCH: usize = 32;
/// How long the first piece of a batch waits for others. This is shorter than a read, and other reads continue
/// meanwhile.
const LINGER: Duration = Duration::from_millis(2);

/// A piece of work. It returns a closure that delivers its result.
type Piece = Box<dyn FnOnce() -> HandOver + Send>;
/// Called on the thread of the waiting task, so that no other thread has to be woken.
type HandOver = Box<dyn FnOnce() + Send>;

/// Submits work to a [`Pool`] in batches, for the tasks of a single-threaded runtime: their pieces of work go to the
/// pool as one batch and come back as one, because waking a thread costs more than probing a header.
///
/// It holds at most one piece per waiting task.
#[derive(Clone)]
pub(super) struct Batches(Arc<Shared>);

struct Shared {
    open: Mutex<Open>,
    /// Sends batches that are full, or that have waited long enough.
    ready: mpsc::UnboundedSender<Vec<Piece>>,
    /// Notified when a batch gets its first piece.
    begun: Arc<Notify>,
}

/// The batch that is being filled.
#[derive(Default)]
struct Open {
    pieces: Vec<Piece>,
    /// The number of this batch, to distinguish it from the next one.
    number: u64,
}

impl Batches {
    /// Starts the task that carries batches. The task ends when the last clone of this value is dropped.
    pub(super) fn start(runtime: &Handle, pool: Arc<Pool>) -> Self {
        let (ready, batches) = mpsc::unbounded_channel();
        let begun = Arc::new(Notify::new());
        let shared = Arc::new(Shared { open: Mutex::default(), ready, begun: Arc::clone(&begun) });
        runtime.spawn(carry(batches, begun, Arc::downgrade(&shared), pool));
        Self(shared)
    }

    /// Runs `work` on a worker and returns its result, or `None` if it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let piece: Piece = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work)).ok();
            Box::new(move || {
                if let Some(result) = result {
                    // If the run has ended early, nothing is waiting for the answer.
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
        // This fails only if the runtime was shut down: the receiving task otherwise outlives `self`.
        let _ = self.ready.send(pieces);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // A panic elsewhere leaves the batch intact.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

/// Carries batches to the pool, delivers their results, and closes each batch that has waited long enough.
async fn carry(
    mut batches: mpsc::UnboundedReceiver<Vec<Piece>>,
    begun: Arc<Notify>,
    shared: Weak<Shared>,
    pool: Arc<Pool>,
) {
    let mut under_way = FuturesUnordered::new();
    let mut due = pin!(tokio::time::sleep(LINGER));
    // The number of the open batch whose time is running.
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

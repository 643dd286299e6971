//! The rayon pool that probes, behind a bounded queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Sender;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::error::{Error, Result};

type Work = Box<dyn FnOnce() + Send>;

/// Workers that take work from a bounded queue.
///
/// Whoever hands in work waits for a place in the queue without blocking its thread, and workers never wait to hand
/// anything out, so the two cannot wait for each other: one worker and a queue of one place are enough.
#[derive(Debug)]
pub struct Pool {
    queue: Sender<(OwnedSemaphorePermit, Work)>,
    /// One permit for each free place in the queue: who holds one may send, and will not be kept waiting.
    places: Arc<Semaphore>,
    /// Ends its threads when it is dropped, after the queue has been closed and emptied.
    _threads: rayon::ThreadPool,
}

impl Pool {
    /// A pool of `workers` threads behind a queue of `depth` places; zero of either counts as one.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn new(workers: usize, depth: usize) -> Result<Self> {
        let depth = depth.max(1);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(workers.max(1))
            .thread_name(|index| format!("probe-{index}"))
            .build()
            .map_err(|error| Error::new(format!("cannot start the worker threads: {error}")))?;
        let (queue, jobs) = crossbeam_channel::bounded::<(OwnedSemaphorePermit, Work)>(depth);
        threads.spawn_broadcast(move |_| {
            for (place, work) in &jobs {
                drop(place);
                work();
            }
        });
        Ok(Self { queue, places: Arc::new(Semaphore::new(depth)), _threads: threads })
    }

    /// Runs `work` on a worker and gives its answer; `None` when it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move || {
            // A panic must not take the worker along: the asset is then reported as not judged.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                // Nobody waits for the answer when the run has ended early.
                let _ = reply.send(result);
            }
        });
        self.queue.try_send((place, work)).ok()?;
        answer.await.ok()
    }
}

/// Pieces of work that go to the pool together at the most: by then, what a batch costs is shared by enough of them.
const BATCH: usize = 64;
/// Pieces that wait for the next batch at the most. Who has another one waits as well.
const WAITING: usize = 1024;

/// A piece of work. It leaves behind how to hand over what came of it.
type Piece = Box<dyn FnOnce() -> HandOver + Send>;
/// Called where the one who waits for it runs, so that no other thread has to be woken.
type HandOver = Box<dyn FnOnce() + Send>;

/// The way to a [`Pool`] for the tasks of a runtime that runs on one thread: what they hand in while that thread is busy
/// goes to the pool as one batch, and comes back as one. To wake a thread costs more than to probe a header.
#[derive(Clone, Debug)]
pub struct Batches(mpsc::Sender<Piece>);

impl Batches {
    /// Starts the task that makes the batches. It ends with the last clone of this.
    pub fn start(runtime: &Handle, pool: Arc<Pool>) -> Self {
        let (sender, mut pieces) = mpsc::channel::<Piece>(WAITING);
        runtime.spawn(async move {
            let mut under_way = FuturesUnordered::new();
            let mut batch = Vec::with_capacity(BATCH);
            let mut is_open = true;
            while is_open || !under_way.is_empty() {
                tokio::select! {
                    taken = pieces.recv_many(&mut batch, BATCH), if is_open => {
                        is_open = taken > 0;
                        let batch: Vec<Piece> = batch.drain(..).collect();
                        if is_open {
                            let work = || batch.into_iter().map(|piece| piece()).collect::<Vec<_>>();
                            under_way.push(pool.run(work));
                        }
                    }
                    Some(done) = under_way.next() => {
                        done.into_iter().flatten().for_each(|hand_over| hand_over());
                    }
                }
            }
        });
        Self(sender)
    }

    /// Runs `work` on a worker and gives its answer; `None` when it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
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
        self.0.send(piece).await.ok()?;
        answer.await.ok()
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
    async fn one_worker_and_one_place_are_enough() {
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

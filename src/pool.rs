//! The rayon pool that probes, behind a bounded queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

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

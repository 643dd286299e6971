//! Per-core runtimes: threads that read, each with a runtime of its own, so that what one of them waits for wakes no other.
//!
//! A read is a dozen small steps. On a runtime that shares its tasks between threads, most of them would end with one
//! thread waking another, which costs more than the step.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::pool::{Batches, Pool};
use crate::model::error::{Error, Result, reason};

/// The most runtimes: with the probing threads and the writer beside them, more have nothing left to run on.
pub const MAX_RUNTIMES: usize = 16;

/// Threads that read. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Runtimes(Vec<CoreRuntime>);

/// One of them.
#[derive(Debug)]
pub(super) struct CoreRuntime {
    handle: Handle,
    batches: Batches,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtimes {
    /// Starts `count` runtimes, one at least and [`MAX_RUNTIMES`] at most, whose work goes to `pool`.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn new(count: usize, pool: &Arc<Pool>) -> Result<Self> {
        let failed =
            |error: io::Error| Error::new(format!("cannot start a reading thread: {}", reason(&error)));
        let start = |number| -> io::Result<CoreRuntime> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let batches = Batches::start(&handle, Arc::clone(pool));
            let (stop, stopped) = oneshot::channel::<()>();
            let run = move || {
                // Whatever it is that comes, it is the end.
                let _ = runtime.block_on(stopped);
                // A name that is being looked up is not waited for.
                runtime.shutdown_background();
            };
            let thread = thread::Builder::new().name(format!("read-{number}")).spawn(run)?;
            Ok(CoreRuntime { handle, batches, stop: Some(stop), thread: Some(thread) })
        };
        (0..count.clamp(1, MAX_RUNTIMES)).map(start).collect::<io::Result<_>>().map(Self).map_err(failed)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The runtimes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &CoreRuntime> {
        self.0.iter()
    }
}

impl CoreRuntime {
    /// The runtime on which its tasks run.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The way from its tasks to the pool.
    pub(super) fn batches(&self) -> &Batches {
        &self.batches
    }
}

impl Drop for CoreRuntime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been told already, by the thread itself.
            let _ = thread.join();
        }
    }
}

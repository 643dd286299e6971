//! Per-core runtimes: reading threads with one single-threaded runtime each, so that no task wakes another thread.
//!
//! A read is a dozen small steps. On a multi-threaded runtime, most steps would end with one thread waking another,
//! which costs more than the step itself.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::pool::{Batches, Pool};
use crate::model::error::{Error, Result, reason};

/// The most runtimes. More would compete for cores with the probing threads and the writer.
pub const MAX_RUNTIMES: usize = 16;

/// How long a runtime ever sleeps. A timer that is earlier than any other wakes its runtime with a system call, even from
/// the thread of that runtime. Reads set timers of two seconds and more, so with a tick before them none does.
const TICK: Duration = Duration::from_millis(500);

/// The reading threads. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Runtimes(Vec<CoreRuntime>);

/// A reading thread and its runtime.
#[derive(Debug)]
pub(super) struct CoreRuntime {
    handle: Handle,
    batches: Batches,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtimes {
    /// Starts `count` runtimes, at least one and at most [`MAX_RUNTIMES`], which submit their work to `pool`.
    ///
    /// # Errors
    /// Returns an error if a thread cannot be started.
    pub(super) fn new(count: usize, pool: &Arc<Pool>) -> Result<Self> {
        let failed =
            |error: io::Error| Error::new(format!("cannot start a reading thread: {}", reason(&error)));
        let start = |number| -> io::Result<CoreRuntime> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            handle.spawn(async {
                loop {
                    tokio::time::sleep(TICK).await;
                }
            });
            let batches = Batches::start(&handle, Arc::clone(pool));
            let (stop, stopped) = oneshot::channel::<()>();
            let run = move || {
                // Nothing is ever sent: dropping the sender ends the wait.
                let _ = runtime.block_on(stopped);
                // Do not wait for a DNS lookup in progress.
                runtime.shutdown_background();
            };
            let thread = thread::Builder::new().name(format!("read-{number}")).spawn(run)?;
            Ok(CoreRuntime { handle, batches, stop: Some(stop), thread: Some(thread) })
        };
        (0..count.clamp(1, MAX_RUNTIMES)).map(start).collect::<io::Result<_>>().map(Self).map_err(failed)
    }

    /// The number of runtimes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The runtimes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &CoreRuntime> {
        self.0.iter()
    }
}

impl CoreRuntime {
    /// The handle to spawn tasks on this runtime.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Submits work of its tasks to the pool.
    pub(super) fn batches(&self) -> &Batches {
        &self.batches
    }
}

impl Drop for CoreRuntime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has already reported a panic itself.
            let _ = thread.join();
        }
    }
}

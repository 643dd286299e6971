//! Per-core runtimes: reading threads with one single-threaded runtime each, so that no task wakes another thread.
//!
//! A read is a dozen small steps. On a multi-threaded runtime, most steps would end with one thread waking another,
//! which costs more than the step itself.
//!
//! The threads that write reports are the same, without network.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
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
    batches: Batches,
    thread: RuntimeThread,
}

/// A thread that drives a single-threaded runtime. It ends when this is dropped.
#[derive(Debug)]
struct RuntimeThread {
    handle: Handle,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RuntimeThread {
    fn start(name: String, mut builder: Builder) -> io::Result<Self> {
        let runtime = builder.build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // Nothing is ever sent: dropping the sender ends the wait.
            let _ = runtime.block_on(stopped);
            // Do not wait for a DNS lookup in progress.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name(name).spawn(run)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for RuntimeThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has already reported a panic itself.
            let _ = thread.join();
        }
    }
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
            let mut builder = Builder::new_current_thread();
            builder.enable_all();
            let thread = RuntimeThread::start(format!("read-{number}"), builder)?;
            thread.handle.spawn(async {
                loop {
                    tokio::time::sleep(TICK).await;
                }
            });
            let batches = Batches::start(&thread.handle, Arc::clone(pool));
            Ok(CoreRuntime { batches, thread })
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
        &self.thread.handle
    }

    /// Submits work of its tasks to the pool.
    pub(super) fn batches(&self) -> &Batches {
        &self.batches
    }
}

/// The threads that settle verdicts and write reports. Concurrent runs share them: a thread keeps memory for itself, so
/// one for each of many runs takes more than what they write. Some of them may be blocked by a slow disk.
const WRITERS: usize = 4;

/// The writing threads. They end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Writers {
    /// Each is started when it is needed.
    threads: [OnceLock<RuntimeThread>; WRITERS],
    next: AtomicUsize,
}

impl Writers {
    /// The thread for the next run, one of at most `most`. Its tasks may block, for as long as it takes to write.
    ///
    /// # Errors
    /// Returns an error if the thread cannot be started.
    pub(super) fn next(&self, most: usize) -> Result<&Handle> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % most.clamp(1, WRITERS);
        let thread = &self.threads[number];
        if let Some(started) = thread.get() {
            return Ok(&started.handle);
        }
        let started = RuntimeThread::start(format!("write-{number}"), Builder::new_current_thread())
            .map_err(|error| Error::new(format!("cannot start a writing thread: {}", reason(&error))))?;
        Ok(&thread.get_or_init(|| started).handle)
    }
}

//! A program that calls a command as a library. It takes what the command prints, sees its progress, and can stop it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::error::{Cause, Error, Result};
use crate::run::{Progress, Snapshot};

thread_local! {
    /// The host of the command that runs on this thread. A command never leaves the thread that it was called on, and
    /// commands on other threads have hosts of their own.
    static HOST: RefCell<Option<Arc<Host>>> = const { RefCell::new(None) };
}

/// What a command has besides its options when a program calls it: in place of a terminal, stdout, stderr and Ctrl-C.
#[derive(Debug, Default)]
pub struct Host {
    stop: watch::Sender<bool>,
    progress: Mutex<Vec<Arc<Progress>>>,
    said: Mutex<Vec<String>>,
    printed: Mutex<Vec<u8>>,
}

impl Host {
    /// Stops the command, as Ctrl-C does: it ends soon, with what it has so far.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the command was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// The progress of the command. Of an audit, that of all its containers together.
    pub fn progress(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        let all = lock(&self.progress);
        sum.all_listed = !all.is_empty();
        for snapshot in all.iter().map(|progress| progress.snapshot()) {
            sum.all_listed &= snapshot.all_listed;
            sum.listed += snapshot.listed;
            sum.judged += snapshot.judged;
            sum.rejected += snapshot.rejected;
            sum.unknown += snapshot.unknown;
            sum.gone += snapshot.gone;
            sum.changed += snapshot.changed;
            sum.bytes_read += snapshot.bytes_read;
            sum.retries += snapshot.retries;
        }
        sum
    }

    /// What would have gone to stderr since the last call, line by line.
    pub fn take_said(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.said))
    }

    /// What would have gone to stdout.
    pub fn take_printed(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.printed))
    }

    pub(super) fn say(&self, line: String) {
        lock(&self.said).push(line);
    }

    pub(super) async fn stopped(&self) {
        // The sender is part of this host, so waiting cannot fail.
        let _ = self.stop.subscribe().wait_for(|stopped| *stopped).await;
    }
}

/// A panic elsewhere leaves these values intact.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host of the command on this thread; `None` if it was started from a command line.
pub(super) fn current() -> Option<Arc<Host>> {
    HOST.with_borrow(Clone::clone)
}

/// Calls `run` with this host.
pub(super) fn with<T>(host: &Arc<Host>, run: impl FnOnce() -> T) -> T {
    /// Takes the host away even if the call panics.
    struct Reset(Option<Arc<Host>>);
    impl Drop for Reset {
        fn drop(&mut self) {
            HOST.set(self.0.take());
        }
    }
    let _reset = Reset(HOST.replace(Some(Arc::clone(host))));
    run()
}

/// Shows the progress of a run to the host.
pub(super) fn watch(progress: &Arc<Progress>) {
    if let Some(host) = current() {
        lock(&host.progress).push(Arc::clone(progress));
    }
}

/// Completes when the host stops the command.
pub(super) async fn stopped() {
    match current() {
        Some(host) => host.stopped().await,
        None => std::future::pending().await,
    }
}

/// Ends the work of a command that has no results before its end when the host stops it.
///
/// # Errors
/// Returns an error if it was stopped, or that of the work.
pub(super) async fn unless_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = stopped() => Err(Error::new("the run was stopped").because(Cause::Interrupted)),
    }
}

/// Stdout of a command that has a host.
pub(super) struct Printed(pub(super) Arc<Host>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0.printed).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Bounds the connections by the number of files that the process may have open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The most descriptors that are left to everything else: plans and their temporary files, the threads' event queues,
/// name lookups. Where fewer than twice as many may be open, half of them are.
const RESERVED: usize = 256;

/// The connections of all endpoints.
pub(super) struct Descriptors {
    most: usize,
    open: AtomicUsize,
    /// Each closes an idle connection of an endpoint, if there is one.
    closers: Mutex<Vec<Box<dyn Fn() -> bool + Send + Sync>>>,
}

/// The descriptor of a connection.
pub(super) struct Descriptor(Arc<Descriptors>);

impl Descriptors {
    /// As many as the process may have open at this moment, less those that are reserved.
    pub(super) fn of_process() -> Self {
        #[cfg(unix)]
        let limit = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
        #[cfg(not(unix))]
        let limit = u64::MAX;
        Self::of(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    fn of(limit: usize) -> Self {
        let most = (limit - RESERVED.min(limit / 2)).max(1);
        Self { most, open: AtomicUsize::new(0), closers: Mutex::default() }
    }

    /// The most connections.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Remembers how to close an idle connection; `close` returns whether there was one.
    pub(super) fn watch(&self, close: impl Fn() -> bool + Send + Sync + 'static) {
        self.closers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(close));
    }

    /// A descriptor for one more connection. If there are too many already, an idle one is closed. As long as no more
    /// requests are in flight than connections are allowed, there is one.
    pub(super) fn take(self: &Arc<Self>) -> Descriptor {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.close_idle();
        }
        Descriptor(Arc::clone(self))
    }

    /// Closes an idle connection, if there is one.
    pub(super) fn close_idle(&self) {
        let closers = self.closers.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = closers.iter().any(|close| close());
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_keep_descriptors() {
        let most = [64, 256, 1024, 4096, usize::MAX].map(|limit| Descriptors::of(limit).most());
        assert_eq!(most, [32, 128, 768, 3840, usize::MAX - RESERVED]);
        assert_eq!(Descriptors::of(0).most(), 1);
    }
}

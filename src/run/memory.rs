//! Bounds the memory of all examinations together, whatever their blobs contain.
//!
//! An examination takes memory before each read, and keeps it as long as it keeps the bytes. Examinations that wait for
//! more while they hold some could wait for each other forever. So a few *turns* are set aside, each with room for
//! everything that a probe may hold:
//!
//! * One that holds nothing waits only for shared memory.
//! * One that holds some waits for shared memory or for a turn, whichever comes first.
//! * One that has a turn never waits for memory again.
//!
//! So one with a turn always ends, and turns are given in the order in which they were asked for: each gets one, or
//! shared memory, after a finite time.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::probe::MAX_HELD;

/// Bytes of memory that all examinations share: 96 MiB. As many as read at a time by default take half of it.
const SHARED: usize = 96 << 20;
/// Examinations that may have a turn at the same time. Each holds up to [`MAX_HELD`], so they take 32 MiB.
const TURNS: usize = 8;
/// What an examination takes besides the bytes of its probe: 32 KiB for its future, its request, and its connection
/// with a read buffer.
const BESIDES: u64 = 32 << 10;

/// The memory of concurrent examinations.
#[derive(Debug)]
pub(super) struct Memory {
    /// One permit per byte.
    shared: Semaphore,
    turns: Semaphore,
}

/// The memory of one examination. It is returned when this is dropped.
#[derive(Debug)]
pub(super) struct Share<'m> {
    memory: &'m Memory,
    shared: Option<SemaphorePermit<'m>>,
    turn: Option<SemaphorePermit<'m>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self::of(SHARED, TURNS)
    }

    fn of(shared: usize, turns: usize) -> Self {
        Self { shared: Semaphore::new(shared), turns: Semaphore::new(turns) }
    }

    /// The memory of an examination that holds nothing yet.
    pub(super) fn share(&self) -> Share<'_> {
        Share { memory: self, shared: None, turn: None }
    }
}

impl Share<'_> {
    /// Waits until the probe may hold `bytes` bytes, at most [`MAX_HELD`], and returns what it no longer needs.
    pub(super) async fn resize(&mut self, bytes: u64) {
        if self.turn.is_some() {
            return;
        }
        let wanted = (bytes.min(MAX_HELD) + BESIDES) as usize;
        // The semaphores are never closed.
        let Some(shared) = &mut self.shared else {
            self.shared = self.memory.shared.acquire_many(wanted as u32).await.ok();
            return;
        };
        let has = shared.num_permits();
        if wanted <= has {
            drop(shared.split(has - wanted));
            return;
        }
        tokio::select! {
            biased;
            Ok(more) = self.memory.shared.acquire_many((wanted - has) as u32) => shared.merge(more),
            Ok(turn) = self.memory.turns.acquire() => {
                self.turn = Some(turn);
                self.shared = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use proptest::prelude::*;

    use super::*;

    /// Runs examinations that hold these many bytes after each of their reads, and returns the most that were held.
    async fn examine(memory: &Memory, examinations: &[Vec<u64>]) -> u64 {
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let one = async |steps: &Vec<u64>| {
            let (mut share, mut has) = (memory.share(), 0);
            for bytes in steps {
                share.resize(*bytes).await;
                let now = held.fetch_add(*bytes, Ordering::Relaxed) + bytes;
                held.fetch_sub(has, Ordering::Relaxed);
                most.fetch_max(now - has, Ordering::Relaxed);
                has = *bytes;
                // A read: others go on meanwhile.
                tokio::task::yield_now().await;
            }
            drop(share);
            held.fetch_sub(has, Ordering::Relaxed);
        };
        join_all(examinations.iter().map(one)).await;
        most.into_inner()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_examination_ends_within_the_memory(
            examinations in prop::collection::vec(prop::collection::vec(0..=MAX_HELD, 1..6), 1..60),
            shared in (MAX_HELD + BESIDES) as usize..=24 << 20,
            turns in 1_usize..4,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let memory = Memory::of(shared, turns);
            let most = runtime.block_on(async {
                tokio::time::timeout(Duration::from_secs(20), examine(&memory, &examinations)).await
            });
            let most = most.expect("no examination waits forever");
            prop_assert!(most <= shared as u64 + turns as u64 * MAX_HELD, "{most}");
            prop_assert_eq!(memory.shared.available_permits(), shared);
            prop_assert_eq!(memory.turns.available_permits(), turns);
        }
    }

    #[tokio::test]
    async fn one_that_waits_gets_what_another_returns() {
        let memory = Memory::of(4 * BESIDES as usize, 1);
        let (mut first, mut second, mut third) = (memory.share(), memory.share(), memory.share());
        first.resize(BESIDES).await;
        second.resize(0).await;
        third.resize(0).await;
        second.resize(1).await;
        assert!(second.turn.is_some(), "nothing is left but the turn");
        third.resize(BESIDES).await;
        assert!(third.turn.is_none(), "the second one has returned its share");
        first.resize(0).await;
        assert_eq!(memory.shared.available_permits(), BESIDES as usize);
    }
}

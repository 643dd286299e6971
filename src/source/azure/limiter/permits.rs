//! Permits for requests in flight, handed on within a thread where possible.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use tokio::sync::oneshot;

/// Every so many permits that are handed on, one goes to the task that has waited longest, on whichever thread.
const FAIRNESS: u64 = 16;

/// Permits that a number of threads share. One that is returned goes to a task of the same thread if any is waiting,
/// because waking another thread costs as much as a read.
#[derive(Debug, Default)]
pub(super) struct Permits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those that nobody holds; then nobody waits.
    free: usize,
    /// The tasks that wait, by thread. There are as many threads as cores, and a few more.
    waiting: Vec<(ThreadId, VecDeque<Waiter>)>,
    /// Tasks that have waited so far.
    waiters: u64,
    handed_on: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    turn: oneshot::Sender<Held>,
}

/// A permit. It is returned when this is dropped.
#[derive(Debug)]
pub(super) struct Held(Option<Arc<Permits>>);

impl Permits {
    /// This many permits.
    pub(super) fn new(free: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free, ..State::default() })))
    }

    /// Waits for a permit.
    pub(super) async fn acquire(self: &Arc<Self>) -> Held {
        loop {
            let turn = {
                let mut state = self.state();
                if state.free > 0 {
                    state.free -= 1;
                    return Held(Some(Arc::clone(self)));
                }
                state.wait(thread::current().id())
            };
            // The sender is dropped only with the permits, which this task holds.
            if let Ok(held) = turn.await {
                return held;
            }
        }
    }

    /// Adds this many.
    pub(super) fn add(self: &Arc<Self>, count: usize) {
        (0..count).for_each(|_| self.give());
    }

    /// Takes away up to this many that nobody holds, and returns their number.
    pub(super) fn forget(&self, count: usize) -> usize {
        let mut state = self.state();
        let forgotten = count.min(state.free);
        state.free -= forgotten;
        forgotten
    }

    /// Gives a permit to a task that waits, or keeps it.
    fn give(self: &Arc<Self>) {
        let mut state = self.state();
        while let Some(waiter) = state.next(thread::current().id()) {
            match waiter.turn.send(Held(Some(Arc::clone(self)))) {
                Ok(()) => return,
                // The task is gone. Its permit must not be returned while the state is locked.
                Err(mut held) => held.0 = None,
            }
        }
        state.free += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the counts intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, thread: ThreadId) -> oneshot::Receiver<Held> {
        let (turn, given) = oneshot::channel();
        self.waiters += 1;
        let waiter = Waiter { number: self.waiters, turn };
        match self.waiting.iter_mut().find(|(other, _)| *other == thread) {
            Some((_, queue)) => queue.push_back(waiter),
            None => self.waiting.push((thread, VecDeque::from([waiter]))),
        }
        given
    }

    /// The task that gets the next permit, which `thread` returns.
    fn next(&mut self, thread: ThreadId) -> Option<Waiter> {
        self.handed_on += 1;
        let is_fair = self.handed_on.is_multiple_of(FAIRNESS);
        let mine = self.waiting.iter_mut().find(|(other, queue)| *other == thread && !queue.is_empty());
        if let Some((_, queue)) = mine.filter(|_| !is_fair) {
            return queue.pop_front();
        }
        let oldest = |(_, queue): &&mut (_, VecDeque<Waiter>)| queue.front().map(|waiter| waiter.number);
        let waiting = self.waiting.iter_mut().filter(|(_, queue)| !queue.is_empty());
        waiting.min_by_key(oldest).and_then(|(_, queue)| queue.pop_front())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            permits.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::{join_all, select};

    use super::*;

    /// Tasks on several threads: each holds a permit a few times, and some give up while they wait.
    #[test]
    fn no_more_are_held_than_there_are_and_none_is_lost() {
        let permits = Permits::new(3);
        let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (permits, held, most) = (Arc::clone(&permits), Arc::clone(&held), Arc::clone(&most));
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                    let task = async |number: usize| {
                        for time in 0..50 {
                            let one = std::pin::pin!(permits.acquire());
                            if (number + time).is_multiple_of(7) {
                                let soon = std::pin::pin!(tokio::task::yield_now());
                                drop(select(one, soon).await);
                                continue;
                            }
                            let one = one.await;
                            let now = held.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            held.fetch_sub(1, Ordering::SeqCst);
                            drop(one);
                        }
                    };
                    let all = join_all((0..20).map(task));
                    let runtime = runtime.expect("a runtime");
                    let all = async { tokio::time::timeout(Duration::from_secs(20), all).await };
                    runtime.block_on(all).expect("every task gets its turns");
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        assert_eq!((most.load(Ordering::SeqCst), permits.state().free), (3, 3));
    }

    #[tokio::test]
    async fn permits_are_added_and_forgotten() {
        let permits = Permits::new(1);
        let one = permits.acquire().await;
        assert_eq!(permits.forget(1), 0, "it is held");
        let mut two = std::pin::pin!(permits.acquire());
        assert!(futures::poll!(&mut two).is_pending());
        permits.add(2);
        let two = two.await;
        assert_eq!(permits.forget(5), 1);
        drop((one, two));
        assert_eq!(permits.forget(5), 2);
    }
}

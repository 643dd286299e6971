//! Attempts at a request: admitted by the limiter, limited in time, and repeated while that may help.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::limiter::{Feedback, Limiter, Permit};

/// The most attempts at one request, including the first.
pub(super) const MAX_ATTEMPTS: u32 = 4;

/// The longest wait before the second attempt; it doubles with each further attempt.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait that presync chooses on its own.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(15);

/// The longest wait that the service can ask for: one header must not stall a run.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How many times one request may be throttled: about two minutes, including the waits.
pub(super) const MAX_THROTTLED: u32 = 12;

/// How requests are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The most attempts at one request, including the first; at least one is made.
    pub attempts: u32,
    /// The longest wait before the second attempt.
    pub first_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: MAX_ATTEMPTS, first_wait: FIRST_WAIT }
    }
}

impl Retry {
    /// The wait after attempt number `made`. `random` spreads it over the upper half of the backoff, so that requests
    /// that failed together are not retried together. It is never shorter than the service asks for, up to
    /// [`MAX_RETRY_AFTER`].
    fn wait(&self, made: u32, asked: Option<Duration>, random: u64) -> Duration {
        let doubled = 1_u32.checked_shl(made.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.first_wait.saturating_mul(doubled).min(MAX_WAIT);
        let share = u32::try_from(random % 1024).unwrap_or(0);
        let backoff = full / 2 + full / 2 * share / 1024;
        backoff.max(asked.unwrap_or_default().min(MAX_RETRY_AFTER))
    }
}

/// How long one attempt may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deadline {
    /// This long. For requests that a run cannot go on without: they are sent even while the circuit breaker is open,
    /// because the error says what is wrong.
    Fixed(Duration),
    /// At first as long as the limiter allows by the latencies so far, twice as long after each failed attempt, and at
    /// most this long. For one of many reads.
    Adaptive(Duration),
}

/// A request that failed for good, with the failure of its last attempt.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub failure: Failure,
    /// Attempts made.
    pub attempts: u32,
}

impl fmt::Display for Failed {
    /// The failure, with the number of attempts if there was more than one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts {
            0 | 1 => self.failure.fmt(f),
            made => write!(f, "{} after {made} attempts", self.failure),
        }
    }
}

/// Attempts a request for `bytes` bytes of content until it succeeds or another attempt would not help. `attempt` is
/// called with whether it is the first.
///
/// # Errors
/// Returns the failure of the last attempt, or [`Failure::CircuitOpen`] if the next one was not sent.
pub(super) async fn with_retries<T, F: Future<Output = Result<T, Failure>>>(
    limiter: &Limiter,
    retry: Retry,
    bytes: u64,
    deadline: Deadline,
    mut attempt: impl FnMut(bool) -> F,
) -> Result<T, Failed> {
    let mut backoff = Backoff::new(retry);
    loop {
        // Outside the time limit: the wait for a permit is not the service's.
        let permit = limiter.admit(bytes).await.ok();
        let limit = match (deadline, &permit) {
            (Deadline::Fixed(limit), _) => limit,
            (Deadline::Adaptive(longest), Some(permit)) => backoff.deadline(permit.timeout(), longest),
            (Deadline::Adaptive(_), None) => {
                return Err(Failed { failure: Failure::CircuitOpen, attempts: 0 });
            }
        };
        let begun = permit.as_ref().map_or_else(Instant::now, Permit::begun);
        let result = timeout_at(begun + limit, attempt(backoff.is_first())).await;
        let result = result.unwrap_or_else(|_| Err(Failure::Broken("no complete response in time".into())));
        // Before the backoff: a request that waits for its next attempt must not hold a permit, or such requests could
        // block all others.
        if let Some(permit) = permit {
            permit.done(result.as_ref().map_or_else(Failure::feedback, |_| Feedback::Answered));
        }
        let failure = match result {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if !backoff.again(&failure).await {
            return Err(Failed { failure, attempts: backoff.made() });
        }
    }
}

/// The attempts that failed, and the waits between them.
#[derive(Debug)]
struct Backoff {
    retry: Retry,
    /// Attempts that failed for any reason other than throttling.
    failed: u32,
    /// Attempts that were throttled.
    throttled: u32,
}

impl Backoff {
    /// Before the first attempt.
    fn new(retry: Retry) -> Self {
        Self { retry, failed: 0, throttled: 0 }
    }

    fn made(&self) -> u32 {
        self.failed + self.throttled
    }

    /// Whether the next attempt is the first one.
    fn is_first(&self) -> bool {
        self.made() == 0
    }

    /// How long the next attempt may take: `first`, and twice as long for each attempt that failed, up to `longest`.
    fn deadline(&self, first: Duration, longest: Duration) -> Duration {
        first.saturating_mul(1_u32.checked_shl(self.failed).unwrap_or(u32::MAX)).min(longest)
    }

    /// Returns whether another attempt may help, after waiting until it is due.
    async fn again(&mut self, failure: &Failure) -> bool {
        // Counted separately: a busy service says nothing about the blob, and the limiter slows down until it recovers.
        let made = if failure.is_throttled() {
            self.throttled += 1;
            if self.throttled >= MAX_THROTTLED {
                return false;
            }
            self.throttled
        } else {
            self.failed += 1;
            if self.failed >= self.retry.attempts || !failure.is_passing() {
                return false;
            }
            self.failed
        };
        let asked = match failure {
            Failure::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        let random = RandomState::new().hash_one(made);
        tokio::time::sleep(self.retry.wait(made, asked, random)).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry { attempts: 4, first_wait: Duration::from_millis(400) };

    #[test]
    fn waits_double_and_keep_to_the_upper_half() {
        assert_eq!(RETRY.wait(1, None, 0), Duration::from_millis(200));
        assert!(RETRY.wait(1, None, 1023) < Duration::from_millis(400));
        assert_eq!(RETRY.wait(3, None, 0), Duration::from_millis(800));
        assert!(RETRY.wait(u32::MAX, None, 1023) < MAX_WAIT);
    }

    #[test]
    fn what_the_service_asks_for_is_kept_within_reason() {
        assert_eq!(RETRY.wait(1, Some(Duration::from_secs(9)), 0), Duration::from_secs(9));
        assert_eq!(RETRY.wait(1, Some(Duration::from_secs(9_999)), 0), MAX_RETRY_AFTER);
        assert!(RETRY.wait(1, Some(Duration::ZERO), 0) >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn attempts_end() {
        let retry = Retry { attempts: 3, first_wait: Duration::ZERO };
        let mut backoff = Backoff::new(retry);
        let failed = Failure::Status {
            status: 500,
            code: Some("OperationTimedOut".into()),
            retry_after: None,
            said: Box::default(),
        };
        assert!(backoff.again(&failed).await);
        assert!(backoff.again(&failed).await);
        assert!(!backoff.again(&failed).await);
        let failed = Failed { failure: failed, attempts: backoff.made() };
        assert_eq!(failed.to_string(), "500 OperationTimedOut after 3 attempts");
    }

    #[tokio::test]
    async fn a_busy_service_does_not_use_up_the_attempts() {
        let mut backoff = Backoff::new(Retry { attempts: 2, first_wait: Duration::ZERO });
        let busy = Failure::Status {
            status: 503,
            code: Some("ServerBusy".into()),
            retry_after: None,
            said: Box::default(),
        };
        for _ in 1..MAX_THROTTLED {
            assert!(backoff.again(&busy).await);
        }
        assert!(backoff.again(&Failure::Broken("cut".into())).await, "its own attempts are all there");
        assert!(!backoff.again(&busy).await);
    }

    #[test]
    fn each_failed_attempt_gives_the_next_one_more_time() {
        let mut backoff = Backoff::new(RETRY);
        let deadline =
            |backoff: &Backoff| backoff.deadline(Duration::from_secs(15), Duration::from_secs(100));
        assert_eq!(deadline(&backoff), Duration::from_secs(15));
        backoff.failed = 2;
        assert_eq!(deadline(&backoff), Duration::from_secs(60));
        backoff.failed = 99;
        assert_eq!(deadline(&backoff), Duration::from_secs(100));
    }

    #[tokio::test]
    async fn what_does_not_pass_is_not_tried_again() {
        for status in [400, 401, 403, 404, 409, 412, 501] {
            let mut backoff = Backoff::new(RETRY);
            let failure = Failure::Status { status, code: None, retry_after: None, said: Box::default() };
            assert!(!backoff.again(&failure).await, "{status}");
            let text = failure.to_string();
            assert_eq!(Failed { failure, attempts: backoff.made() }.to_string(), text);
        }
    }
}

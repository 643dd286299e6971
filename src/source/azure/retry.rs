//! How often an attempt is made again, and after what time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use super::failure::Failure;

/// Attempts at one request, the first one counted.
pub const MAX_ATTEMPTS: u32 = 4;

/// The longest wait before the second attempt; it doubles with every further one.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait that presync chooses by itself.
pub const MAX_WAIT: Duration = Duration::from_secs(15);

/// The longest wait that the service can ask for: a run must not hang on one header.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Refusals of one request: with the waits between them, some two minutes.
pub const MAX_REFUSALS: u32 = 12;

/// How attempts are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts at one request, the first one counted; at least one is made.
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
    /// The wait after attempt number `made`. `random` spreads it over the upper half of the backoff, so that
    /// requests that failed together do not come back together; what the service asks for is never undercut.
    fn wait(&self, made: u32, asked: Option<Duration>, random: u64) -> Duration {
        let doubled = 1_u32.checked_shl(made.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.first_wait.saturating_mul(doubled).min(MAX_WAIT);
        let share = u32::try_from(random % 1024).unwrap_or(0);
        let backoff = full / 2 + full / 2 * share / 1024;
        backoff.max(asked.unwrap_or_default().min(MAX_RETRY_AFTER))
    }
}

/// The attempts made at one request.
#[derive(Debug)]
pub(super) struct Attempts {
    retry: Retry,
    /// Attempts that failed for a reason of their own.
    failed: u32,
    /// Attempts that were refused for want of capacity.
    refused: u32,
}

impl Attempts {
    /// Before the first attempt.
    pub(super) fn new(retry: Retry) -> Self {
        Self { retry, failed: 0, refused: 0 }
    }

    /// Whether the next attempt is the first one.
    pub(super) fn is_first(&self) -> bool {
        self.failed == 0 && self.refused == 0
    }

    /// How long the next attempt may take: `first`, and twice as long for each attempt that failed, up to `longest`.
    pub(super) fn deadline(&self, first: Duration, longest: Duration) -> Duration {
        first.saturating_mul(1_u32.checked_shl(self.failed).unwrap_or(u32::MAX)).min(longest)
    }

    /// Says whether the attempt that just failed is worth another one, and waits until it is due.
    pub(super) async fn again(&mut self, failure: &Failure) -> bool {
        // A busy service says nothing about the blob: the pace of all requests goes down until it takes them.
        let made = if failure.is_refusal() {
            self.refused += 1;
            if self.refused >= MAX_REFUSALS {
                return false;
            }
            self.refused
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

    /// The failure of the last attempt, with their number if there was more than one.
    pub(super) fn describe(&self, failure: &Failure) -> String {
        match self.failed + self.refused {
            0 | 1 => failure.to_string(),
            made => format!("{failure} after {made} attempts"),
        }
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
        let mut attempts = Attempts::new(retry);
        let failed =
            Failure::Status { status: 500, code: Some("OperationTimedOut".into()), retry_after: None };
        assert!(attempts.again(&failed).await);
        assert!(attempts.again(&failed).await);
        assert!(!attempts.again(&failed).await);
        assert_eq!(attempts.describe(&failed), "500 OperationTimedOut after 3 attempts");
    }

    #[tokio::test]
    async fn a_busy_service_does_not_use_up_the_attempts() {
        let mut attempts = Attempts::new(Retry { attempts: 2, first_wait: Duration::ZERO });
        let busy = Failure::Status { status: 503, code: Some("ServerBusy".into()), retry_after: None };
        for _ in 1..MAX_REFUSALS {
            assert!(attempts.again(&busy).await);
        }
        assert!(attempts.again(&Failure::Broken("cut".into())).await, "its own attempts are all there");
        assert!(!attempts.again(&busy).await);
    }

    #[test]
    fn each_failed_attempt_gives_the_next_one_more_time() {
        let mut attempts = Attempts::new(RETRY);
        let deadline =
            |attempts: &Attempts| attempts.deadline(Duration::from_secs(15), Duration::from_secs(100));
        assert_eq!(deadline(&attempts), Duration::from_secs(15));
        attempts.failed = 2;
        assert_eq!(deadline(&attempts), Duration::from_secs(60));
        attempts.failed = 99;
        assert_eq!(deadline(&attempts), Duration::from_secs(100));
    }

    #[tokio::test]
    async fn what_does_not_pass_is_not_tried_again() {
        for status in [400, 401, 403, 404, 409, 412, 501] {
            let mut attempts = Attempts::new(RETRY);
            let failure = Failure::Status { status, code: None, retry_after: None };
            assert!(!attempts.again(&failure).await, "{status}");
            assert_eq!(attempts.describe(&failure), failure.to_string());
        }
    }
}

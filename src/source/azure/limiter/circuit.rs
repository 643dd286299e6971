//! A circuit breaker, for when no request succeeds.
//!
//! *Closed*, it lets requests pass. *Open*, it makes them wait, except for a trial now and then: one that succeeds closes
//! it again. Once it has been open for minutes, requests other than trials fail without being sent.

use std::time::Duration;

use tokio::time::Instant;

/// Consecutive failures, over all requests, that open it at once…
const MANY_FAILURES: u32 = 64;
/// … and the smaller number that opens it…
const FAILURES: u32 = 8;
/// … if no request has succeeded for this long: before the requests in flight have used up their attempts.
const SILENCE: Duration = Duration::from_secs(1);
/// The time between two trials while it is open: it doubles from the first value up to the last.
const FIRST_TRIAL: Duration = Duration::from_secs(1);
const LAST_TRIAL: Duration = Duration::from_secs(15);
/// How long requests wait for it to close.
const GIVE_UP: Duration = Duration::from_secs(120);

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Now.
    Pass,
    /// Ask again after this time.
    Wait(Duration),
    /// Not at all: no request has succeeded for two minutes.
    GiveUp,
}

/// The breaker, and the failures since the last success.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    last_success: Instant,
    failures: u32,
    /// `None` while it is closed.
    open: Option<Open>,
}

/// An open breaker.
#[derive(Debug)]
struct Open {
    since: Instant,
    next_trial: Instant,
    between: Duration,
}

impl CircuitBreaker {
    /// A closed breaker.
    pub(super) fn new(now: Instant) -> Self {
        Self { last_success: now, failures: 0, open: None }
    }

    /// The service responded to a request, whatever the response says about the blob.
    pub(super) fn succeeded(&mut self, now: Instant) {
        (self.last_success, self.failures, self.open) = (now, 0, None);
    }

    /// A request failed in a way that may be transient. Throttled requests concern the rate instead.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let silent = now.duration_since(self.last_success) >= SILENCE;
        let opens = self.failures >= MANY_FAILURES || self.failures >= FAILURES && silent;
        if self.open.is_none() && opens {
            self.open = Some(Open { since: now, next_trial: now + FIRST_TRIAL, between: FIRST_TRIAL });
        }
    }

    /// Whether a request may be sent now. One that passes while the breaker is open is the trial.
    pub(super) fn decide(&mut self, now: Instant) -> Decision {
        let Some(open) = &mut self.open else { return Decision::Pass };
        // Before giving up: trials go on as long as requests come, so that the run notices when the service is back.
        if now >= open.next_trial {
            open.between = (2 * open.between).min(LAST_TRIAL);
            open.next_trial = now + open.between;
            return Decision::Pass;
        }
        match now.duration_since(open.since) >= GIVE_UP {
            true => Decision::GiveUp,
            false => Decision::Wait(open.next_trial - now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_open_breaker_lets_trials_pass_until_one_succeeds() {
        let begun = Instant::now();
        let mut breaker = CircuitBreaker::new(begun);
        for _ in 1..MANY_FAILURES {
            breaker.failed(begun + SILENCE / 2);
        }
        assert_eq!(breaker.decide(begun + SILENCE / 2), Decision::Pass, "it is still closed");
        breaker.failed(begun + seconds(11));
        assert_eq!(breaker.decide(begun + seconds(11)), Decision::Wait(seconds(1)));
        assert_eq!(breaker.decide(begun + seconds(12)), Decision::Pass, "the trial");
        assert_eq!(breaker.decide(begun + seconds(12)), Decision::Wait(seconds(2)), "one at a time");
        breaker.succeeded(begun + seconds(13));
        assert_eq!(breaker.decide(begun + seconds(13)), Decision::Pass);
    }

    #[test]
    fn after_two_minutes_only_trials_are_sent() {
        let begun = Instant::now();
        let mut breaker = CircuitBreaker::new(begun);
        for _ in 0..16 {
            breaker.failed(begun + seconds(10));
        }
        let mut trials = 0;
        let mut now = begun + seconds(10);
        while breaker.decide(now) != Decision::GiveUp {
            trials += u32::from(breaker.decide(now) == Decision::Pass);
            now += seconds(1);
        }
        assert!(now >= begun + seconds(130) && trials <= 15, "{trials} trials, {:?}", now - begun);
        now += LAST_TRIAL;
        assert_eq!(breaker.decide(now), Decision::Pass, "the service may come back at any time");
        breaker.succeeded(now);
        assert_eq!(breaker.decide(now), Decision::Pass);
    }
}

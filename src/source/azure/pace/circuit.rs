//! What to do when nothing gets through: wait, try one request now and then, and in the end give up.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row, over all requests, from which an outage is concluded at once…
const MANY_FAILURES: u32 = 64;
/// … and fewer of them, from which it is concluded…
const FAILURES: u32 = 8;
/// … when no request succeeded for so long: before the requests under way have used up their attempts.
const SILENCE: Duration = Duration::from_secs(1);
/// The time between two trials in an outage: it doubles from the first to the last.
const FIRST_TRIAL: Duration = Duration::from_secs(1);
const LAST_TRIAL: Duration = Duration::from_secs(15);
/// How long requests wait for the end of an outage.
const GIVE_UP: Duration = Duration::from_secs(120);

/// Whether a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Now.
    Open,
    /// Ask again after this time.
    Wait(Duration),
    /// There is no point in it: nothing has got through for two minutes.
    Shut,
}

/// Failures since the last success.
#[derive(Debug)]
pub(super) struct Circuit {
    last_success: Instant,
    failures: u32,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    next_trial: Instant,
    between: Duration,
}

impl Circuit {
    /// Nothing has failed yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { last_success: now, failures: 0, outage: None }
    }

    /// A request got through: an answer came, whatever it says of its blob.
    pub(super) fn succeeded(&mut self, now: Instant) {
        (self.last_success, self.failures, self.outage) = (now, 0, None);
    }

    /// A request failed in a way that may pass. One that is refused for want of capacity is the matter of the rate.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let silent = now.duration_since(self.last_success) >= SILENCE;
        let is_outage = self.failures >= MANY_FAILURES || self.failures >= FAILURES && silent;
        if self.outage.is_none() && is_outage {
            self.outage = Some(Outage { since: now, next_trial: now + FIRST_TRIAL, between: FIRST_TRIAL });
        }
    }

    /// Whether a request may leave now. In an outage, one that may is the trial.
    pub(super) fn gate(&mut self, now: Instant) -> Gate {
        let Some(outage) = &mut self.outage else { return Gate::Open };
        if now >= outage.next_trial {
            outage.between = (2 * outage.between).min(LAST_TRIAL);
            outage.next_trial = now + outage.between;
            return Gate::Open;
        }
        match now.duration_since(outage.since) >= GIVE_UP {
            true => Gate::Shut,
            false => Gate::Wait(outage.next_trial - now),
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
    fn an_outage_lets_trials_through_until_one_succeeds() {
        let begun = Instant::now();
        let mut circuit = Circuit::new(begun);
        for _ in 1..MANY_FAILURES {
            circuit.failed(begun + SILENCE / 2);
        }
        assert_eq!(circuit.gate(begun + SILENCE / 2), Gate::Open, "too early to call it an outage");
        circuit.failed(begun + seconds(11));
        assert_eq!(circuit.gate(begun + seconds(11)), Gate::Wait(seconds(1)));
        assert_eq!(circuit.gate(begun + seconds(12)), Gate::Open, "the trial");
        assert_eq!(circuit.gate(begun + seconds(12)), Gate::Wait(seconds(2)), "there is one at a time");
        circuit.succeeded(begun + seconds(13));
        assert_eq!(circuit.gate(begun + seconds(13)), Gate::Open);
    }

    #[test]
    fn after_two_minutes_only_trials_are_sent() {
        let begun = Instant::now();
        let mut circuit = Circuit::new(begun);
        for _ in 0..16 {
            circuit.failed(begun + seconds(10));
        }
        let mut trials = 0;
        let mut now = begun + seconds(10);
        while circuit.gate(now) != Gate::Shut {
            trials += u32::from(circuit.gate(now) == Gate::Open);
            now += seconds(1);
        }
        assert!(now >= begun + seconds(130) && trials <= 15, "{trials} trials, {:?}", now - begun);
        now += LAST_TRIAL;
        assert_eq!(circuit.gate(now), Gate::Open, "the service may come back at any time");
        circuit.succeeded(now);
        assert_eq!(circuit.gate(now), Gate::Open);
    }
}

//! Decides when a request may be sent: one limiter for all requests to an account.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

mod circuit;
mod concurrency;
mod permits;
mod rate;

use circuit::{CircuitBreaker, Decision};
use concurrency::Concurrency;
use permits::{Held, Permits};
use rate::{Bandwidth, Rate};

/// The most requests in flight if no number is given. An account handles 20,000 a second; at 50 ms each, that takes a
/// thousand in flight.
pub const MAX_CONCURRENCY: usize = 1024;

/// How many times the usual latency a first attempt may take. One that takes longer has most likely lost its
/// connection, and holds up the blobs listed after it.
const TIMEOUT_FACTOR: f64 = 40.0;
/// The bounds of that time; the upper one applies until the first response.
const MIN_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_TIMEOUT: Duration = Duration::from_secs(15);
/// The weight of the newest response in the usual latency.
const NEWEST: f64 = 0.05;

/// The limits on a source's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Requests in flight; `None` to adapt to the service's latency.
    pub concurrency: Option<usize>,
    /// Requests per second, including those for pages.
    pub requests_per_second: Option<f64>,
    /// Bytes of content per second.
    pub bytes_per_second: Option<f64>,
}

/// How a request ended, as far as the limiter is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feedback {
    /// The service responded, whatever the response says.
    Answered,
    /// The service has no capacity at the moment (429, 503).
    Throttled,
    /// The service did not respond, or not as it should.
    Failed,
}

/// The circuit breaker has been open for so long that the request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CircuitOpen;

/// What the requests to an account share: permits, rates, and the circuit breaker.
#[derive(Debug)]
pub(super) struct Limiter {
    permits: Arc<Permits>,
    /// One permit per connection that the process may have, shared with the limiters of other accounts.
    connections: Arc<Semaphore>,
    /// Held by the request that waits for its slot, so that requests are sent one after the other.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: Rate,
    bandwidth: Bandwidth,
    breaker: CircuitBreaker,
    /// `None` when the number of requests in flight is fixed.
    concurrency: Option<Concurrency>,
    /// The number of permits, in use or not.
    permits: usize,
    in_flight: usize,
    /// The moving average of the latency, in seconds.
    latency: Option<f64>,
    /// All latencies, in microseconds.
    latencies: Histogram<u64>,
    throttled: u64,
}

impl State {
    fn is_rate_limited(&self) -> bool {
        self.rate.is_limited() || self.bandwidth.is_limited()
    }

    /// How long a first attempt may take.
    fn timeout(&self) -> Duration {
        let usual = self.latency.map(|latency| Duration::from_secs_f64(TIMEOUT_FACTOR * latency));
        usual.map_or(MAX_TIMEOUT, |usual| usual.clamp(MIN_TIMEOUT, MAX_TIMEOUT))
    }
}

/// Figures of the requests to an account.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Latencies in microseconds, to two digits.
    pub latencies: Histogram<u64>,
    /// Requests that the service throttled.
    pub throttled: u64,
}

impl Limiter {
    /// `connections` has a permit for each request that may be in flight, to all accounts together.
    pub(super) fn new(limits: Limits, connections: Arc<Semaphore>) -> Self {
        let concurrency = match limits.concurrency {
            Some(_) => None,
            None => Some(Concurrency::new(MAX_CONCURRENCY)),
        };
        let fixed = limits.concurrency.unwrap_or(MAX_CONCURRENCY).max(1);
        let permits = concurrency.as_ref().map_or(fixed, Concurrency::limit);
        Self {
            permits: Permits::new(permits),
            connections,
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                rate: Rate::new(limits.requests_per_second),
                bandwidth: Bandwidth::new(limits.bytes_per_second),
                breaker: CircuitBreaker::new(Instant::now()),
                concurrency,
                permits,
                in_flight: 0,
                latency: None,
                latencies: latencies(),
                throttled: 0,
            }),
        }
    }

    /// Waits until a request for `bytes` bytes may be sent.
    ///
    /// # Errors
    /// Returns an error if the circuit breaker has been open for too long.
    pub(super) async fn admit(&self, bytes: u64) -> Result<Permit<'_>, CircuitOpen> {
        loop {
            // First the permit, then the breaker: a request that waited for a permit while the service failed must not
            // be sent.
            let permit = self.permits.acquire().await;
            let (decision, timeout) = {
                let (now, mut state) = (Instant::now(), self.state());
                let decision = state.breaker.decide(now);
                if decision == Decision::Pass
                    && !state.is_rate_limited()
                    && let Ok(connection) = self.connections.try_acquire()
                {
                    state.in_flight += 1;
                    let (permit, timeout) = (Some((permit, connection)), state.timeout());
                    return Ok(Permit { limiter: self, permit, begun: now, timeout });
                }
                (decision, state.timeout())
            };
            match decision {
                Decision::Pass => {
                    self.wait_for_turn(bytes).await;
                    // Last: those that hold one wait only for the service.
                    // The semaphore is never closed.
                    let Ok(connection) = self.connections.acquire().await else { return Err(CircuitOpen) };
                    self.state().in_flight += 1;
                    // Latency is measured from here: the waits above are not the service's.
                    return Ok(Permit {
                        limiter: self,
                        permit: Some((permit, connection)),
                        begun: Instant::now(),
                        timeout,
                    });
                }
                Decision::GiveUp => return Err(CircuitOpen),
                Decision::Wait(time) => {
                    // Before the wait: the trial request needs a permit.
                    drop(permit);
                    sleep(time).await;
                }
            }
        }
    }

    /// Figures of the requests so far.
    pub(super) fn traffic(&self) -> Traffic {
        let state = self.state();
        Traffic { latencies: state.latencies.clone(), throttled: state.throttled }
    }

    async fn wait_for_turn(&self, bytes: u64) {
        let _turn = self.turn.lock().await;
        let wait = {
            let (now, mut state) = (Instant::now(), self.state());
            state.rate.take(now).max(state.bandwidth.take(now, bytes))
        };
        sleep(wait).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the numbers usable: at worst the limits are a little off.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adjusts the number of permits to the limit. Permits in use are withdrawn once they are returned.
    fn resize(&self, state: &mut State) {
        let Some(wanted) = state.concurrency.as_ref().map(Concurrency::limit) else { return };
        if wanted > state.permits {
            self.permits.add(wanted - state.permits);
            state.permits = wanted;
        } else {
            state.permits -= self.permits.forget(state.permits - wanted);
        }
    }
}

/// An empty histogram, in 30 KiB. Latencies over two minutes are recorded as two minutes.
#[expect(clippy::expect_used, reason = "the bounds are valid constants")]
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 120_000_000, 2).expect("the bounds are in order")
}

/// A request in flight. If it is dropped without feedback, because the run ended, nothing is recorded.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    limiter: &'a Limiter,
    permit: Option<(Held, SemaphorePermit<'a>)>,
    begun: Instant,
    timeout: Duration,
}

impl Permit<'_> {
    /// When the request was admitted.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// How long the request may take if it is a first attempt.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Records how the request ended.
    pub(super) fn done(mut self, feedback: Feedback) {
        let (now, mut state) = (Instant::now(), self.limiter.state());
        let in_flight = state.in_flight;
        match feedback {
            Feedback::Answered => {
                state.rate.delivered(now);
                state.breaker.succeeded(now);
                let latency = now.duration_since(self.begun);
                state.latencies.saturating_record(latency.as_micros() as u64);
                let (usual, newest) = (state.latency, latency.as_secs_f64());
                state.latency = Some(usual.map_or(newest, |usual| usual + NEWEST * (newest - usual)));
                if let Some(concurrency) = &mut state.concurrency {
                    concurrency.answered(now, latency, in_flight);
                }
            }
            Feedback::Throttled => {
                state.throttled += 1;
                // Only when the rate is cut: a burst of throttled requests counts once, not once per request.
                if state.rate.throttled(now)
                    && let Some(concurrency) = &mut state.concurrency
                {
                    concurrency.back_off();
                }
            }
            Feedback::Failed => state.breaker.failed(now),
        }
        // First return the permit, then resize: only a permit that has been returned can be withdrawn.
        self.give_back(&mut state);
        self.limiter.resize(&mut state);
    }

    fn give_back(&mut self, state: &mut State) {
        if self.permit.take().is_some() {
            state.in_flight = state.in_flight.saturating_sub(1);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.permit.is_some() {
            let mut state = self.limiter.state();
            self.give_back(&mut state);
        }
    }
}

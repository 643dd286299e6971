//! When a request may leave: one pace for all requests of a source.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

mod circuit;
mod concurrency;
mod rate;

use circuit::{Circuit, Gate};
use concurrency::Concurrency;
use rate::{Bandwidth, Rate};

/// Requests that are ever in flight when their number is not given. An account takes 20,000 a second; at 50 ms each,
/// a thousand of them keep that up.
pub const MAX_CONCURRENCY: usize = 1024;

/// How many times the usual latency a first attempt is waited for. One that takes longer has most likely lost its
/// connection, and holds up the blobs that were listed after it.
const PATIENCE: f64 = 40.0;
/// The bounds of that wait; the longer one counts until an answer came.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);
const MOST_PATIENCE: Duration = Duration::from_secs(15);
/// Weight of the newest answer in the usual latency.
const NEWEST: f64 = 0.05;

/// What bounds the requests of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Requests in flight; `None` for as many as the service answers without delay.
    pub concurrency: Option<usize>,
    /// Requests a second, those for pages included.
    pub requests_per_second: Option<f64>,
    /// Bytes of content a second.
    pub bytes_per_second: Option<f64>,
}

/// How a request ended, for the pace of those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The service answered, whatever the answer says.
    Answered,
    /// It has no capacity at the moment.
    Refused,
    /// It did not answer, or not as it should.
    Failed,
}

/// Nothing has got through for so long that a request is not even sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp;

/// The pace of a source's requests.
#[derive(Debug)]
pub(super) struct Pace {
    places: Semaphore,
    /// Held by the request that waits for its time, so that all leave one after the other.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: Rate,
    bandwidth: Bandwidth,
    circuit: Circuit,
    /// `None` when the number of requests in flight is fixed.
    concurrency: Option<Concurrency>,
    /// Places there are, taken or not.
    places: usize,
    in_flight: usize,
    /// The moving average of the answers' latency, in seconds.
    latency: Option<f64>,
    /// All of them, in microseconds.
    latencies: Histogram<u64>,
    refused: u64,
}

impl State {
    /// Whether requests leave at a given rate.
    fn is_paced(&self) -> bool {
        self.rate.is_limited() || self.bandwidth.is_limited()
    }

    /// How long a first attempt may take.
    fn patience(&self) -> Duration {
        let usual = self.latency.map(|latency| Duration::from_secs_f64(PATIENCE * latency));
        usual.map_or(MOST_PATIENCE, |usual| usual.clamp(LEAST_PATIENCE, MOST_PATIENCE))
    }
}

/// What became of the requests of a source.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// How long answers took, in microseconds, to three digits.
    pub latencies: Histogram<u64>,
    /// Requests that were refused for want of capacity.
    pub refused: u64,
}

impl Pace {
    pub(super) fn new(limits: Limits) -> Self {
        let concurrency = match limits.concurrency {
            Some(_) => None,
            None => Some(Concurrency::new(MAX_CONCURRENCY)),
        };
        let fixed = limits.concurrency.unwrap_or(MAX_CONCURRENCY).max(1);
        let places = concurrency.as_ref().map_or(fixed, Concurrency::limit);
        Self {
            places: Semaphore::new(places),
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                rate: Rate::new(limits.requests_per_second),
                bandwidth: Bandwidth::new(limits.bytes_per_second),
                circuit: Circuit::new(Instant::now()),
                concurrency,
                places,
                in_flight: 0,
                latency: None,
                latencies: latencies(),
                refused: 0,
            }),
        }
    }

    /// Waits until a request for `bytes` bytes may leave.
    ///
    /// # Errors
    /// In an outage that has lasted too long.
    pub(super) async fn admit(&self, bytes: u64) -> Result<Request<'_>, GivenUp> {
        loop {
            // It never closes.
            let Ok(place) = self.places.acquire().await else { return Err(GivenUp) };
            let (gate, patience) = {
                let (now, mut state) = (Instant::now(), self.state());
                let gate = state.circuit.gate(now);
                if gate == Gate::Open && !state.is_paced() {
                    state.in_flight += 1;
                    let (place, patience) = (Some(place), state.patience());
                    return Ok(Request { pace: self, place, begun: now, patience });
                }
                (gate, state.patience())
            };
            match gate {
                Gate::Open => {
                    self.wait_for_turn(bytes).await;
                    self.state().in_flight += 1;
                    return Ok(Request { pace: self, place: Some(place), begun: Instant::now(), patience });
                }
                Gate::Shut => return Err(GivenUp),
                Gate::Wait(time) => {
                    drop(place);
                    sleep(time).await;
                }
            }
        }
    }

    /// What became of the requests so far.
    pub(super) fn traffic(&self) -> Traffic {
        let state = self.state();
        Traffic { latencies: state.latencies.clone(), refused: state.refused }
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
        // A panic elsewhere leaves the numbers usable: at worst the pace is a little off.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the number of places what it should be. Places that are taken are given up when they come back.
    fn resize(&self, state: &mut State) {
        let Some(wanted) = state.concurrency.as_ref().map(Concurrency::limit) else { return };
        if wanted > state.places {
            self.places.add_permits(wanted - state.places);
            state.places = wanted;
        } else {
            state.places -= self.places.forget_permits(state.places - wanted);
        }
    }
}

/// No latency yet. Room for up to two minutes, longer than any attempt takes, in 30 KiB.
#[expect(clippy::expect_used, reason = "the bounds are good ones")]
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 120_000_000, 2).expect("the bounds are in order")
}

/// A request under way. One that is dropped without an outcome, because the run ended, tells nothing.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pace: &'a Pace,
    place: Option<SemaphorePermit<'a>>,
    begun: Instant,
    patience: Duration,
}

impl Request<'_> {
    /// How long it may take if it is a first attempt.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The request ended.
    pub(super) fn done(mut self, outcome: Outcome) {
        let (now, mut state) = (Instant::now(), self.pace.state());
        let in_flight = state.in_flight;
        match outcome {
            Outcome::Answered => {
                state.rate.delivered(now);
                state.circuit.succeeded(now);
                let latency = now.duration_since(self.begun);
                state.latencies.saturating_record(latency.as_micros() as u64);
                let (usual, newest) = (state.latency, latency.as_secs_f64());
                state.latency = Some(usual.map_or(newest, |usual| usual + NEWEST * (newest - usual)));
                if let Some(concurrency) = &mut state.concurrency {
                    concurrency.answered(now, latency, in_flight);
                }
            }
            Outcome::Refused => {
                state.refused += 1;
                if state.rate.refused(now)
                    && let Some(concurrency) = &mut state.concurrency
                {
                    concurrency.back_off();
                }
            }
            Outcome::Failed => state.circuit.failed(now),
        }
        self.leave(&mut state);
        self.pace.resize(&mut state);
    }

    /// Gives back its place.
    fn leave(&mut self, state: &mut State) {
        if self.place.take().is_some() {
            state.in_flight = state.in_flight.saturating_sub(1);
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            let mut state = self.pace.state();
            self.leave(&mut state);
        }
    }
}

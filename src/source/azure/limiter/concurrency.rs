//! Adaptive concurrency: more requests in flight while that does not make them slower, fewer when it does.

use std::time::Duration;

use tokio::time::Instant;

/// Requests in flight at the start.
const FIRST: f64 = 32.0;
/// The lowest limit.
const MIN: f64 = 8.0;
/// The shortest time over which latencies are averaged.
const WINDOW: Duration = Duration::from_millis(50);
/// Latency up to this many times the best is the service's own; anything above it is queueing.
const TOLERANCE: f64 = 2.0;
/// The factor by which the limit is scaled when a request is throttled, and at the lowest when latency has grown.
const BACKOFF: f64 = 0.7;
/// This few requests in flight cannot overload the service: if latency has grown even so, the service is slower.
const FEW: f64 = 16.0;

/// The limit on requests in flight, by the gradient of their latency: after each window, the limit is scaled down if
/// the mean latency exceeds twice the best mean, and the square root of the limit is added.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: f64,
    max: f64,
    /// The lowest mean latency of a window, in seconds.
    best: Option<f64>,
    begun: Option<Instant>,
    sum: f64,
    answers: u32,
    busiest: usize,
}

impl Concurrency {
    /// At most `max` requests in flight.
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1) as f64;
        Self { limit: FIRST.min(max), max, best: None, begun: None, sum: 0.0, answers: 0, busiest: 0 }
    }

    /// Requests that may be in flight.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A response came after `latency`, while `in_flight` requests were in flight.
    pub(super) fn answered(&mut self, now: Instant, latency: Duration, in_flight: usize) {
        let begun = *self.begun.get_or_insert(now);
        self.sum += latency.as_secs_f64();
        self.answers += 1;
        self.busiest = self.busiest.max(in_flight);
        if now.duration_since(begun) < WINDOW || f64::from(self.answers) < self.limit {
            return;
        }
        let mean = self.sum / f64::from(self.answers);
        // With few in flight, the old best is dropped: otherwise a service that has become slower would keep the limit
        // at its minimum for the rest of the run.
        let best = match self.best {
            Some(best) if self.limit > FEW => best.min(mean),
            _ => mean,
        };
        self.best = Some(best);
        let gradient = (TOLERANCE * best / mean).clamp(BACKOFF, 1.0);
        // A limit that was not reached says nothing about a higher one.
        if gradient < 1.0 || self.busiest as f64 >= 0.8 * self.limit {
            self.limit = (self.limit * gradient + self.limit.sqrt()).clamp(MIN.min(self.max), self.max);
        }
        (self.begun, self.sum, self.answers, self.busiest) = (Some(now), 0.0, 0, 0);
    }

    /// The service throttled requests.
    pub(super) fn back_off(&mut self) {
        self.limit = (self.limit * BACKOFF).max(MIN.min(self.max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that takes `base` for a request and works on `width` of them at a time: the number in flight after
    /// `answers` answers.
    fn settle(base: Duration, width: usize, answers: usize) -> usize {
        let mut concurrency = Concurrency::new(1024);
        let mut now = Instant::now();
        for _ in 0..answers {
            let in_flight = concurrency.limit();
            let queued = (in_flight as f64 / width as f64).max(1.0);
            now += base.mul_f64(1.0 / in_flight.min(width) as f64);
            concurrency.answered(now, base.mul_f64(queued), in_flight);
        }
        concurrency.limit()
    }

    #[test]
    fn it_grows_while_latency_allows_and_stops_when_requests_queue() {
        let wide = settle(Duration::from_millis(20), 100_000, 100_000);
        assert_eq!(wide, 1024);
        let narrow = settle(Duration::from_millis(20), 100, 100_000);
        assert!((150..250).contains(&narrow), "{narrow}: twice the service's width, and a little more");
    }

    #[test]
    fn it_does_not_grow_while_idle_and_backs_off_when_throttled() {
        let mut concurrency = Concurrency::new(1024);
        let mut now = Instant::now();
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            concurrency.answered(now, Duration::from_millis(5), 3);
        }
        assert_eq!(concurrency.limit(), 32);
        for _ in 0..20 {
            concurrency.back_off();
        }
        assert_eq!(concurrency.limit(), 8);
        assert_eq!(Concurrency::new(2).limit(), 2);
    }
}

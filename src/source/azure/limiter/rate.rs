//! Limits requests and bytes per second. The token buckets are kept as the time at which the next request conforms (the
//! generic cell rate algorithm, GCRA).

use std::time::Duration;

use tokio::time::Instant;

/// The time over which responses are counted, including throttled ones, to learn what the service delivers.
const WINDOW: Duration = Duration::from_millis(500);
/// The parts of the window: the oldest is dropped as a whole.
const PARTS: usize = 10;
/// The shortest time from which a rate is calculated.
const SHORTEST: Duration = Duration::from_millis(100);
/// The shortest time between two cuts: requests throttled in between were sent before the first one.
const BETWEEN_CUTS: Duration = Duration::from_millis(500);
/// The share of throttled requests that is tolerated: services throttle a few at any rate.
const TOLERATED: f64 = 0.08;
/// The fewest throttled requests from which a share is calculated, unless the window has fewer than twice as many
/// responses.
const ENOUGH: u64 = 3;
/// The rate after a cut, as a share of the rate delivered before.
const AFTER_CUT: f64 = 0.95;
/// The time between two steps of growth.
const STEP: Duration = Duration::from_millis(250);
/// Growth per step after the first cut, which is based on few responses. Applies until the next cut.
const SLOW_START: f64 = 0.5;
/// Growth in the first step after any later cut; it doubles with every further step.
const FIRST_GROWTH: f64 = 0.0025;
/// The most growth in one step after a later cut: about a quarter per second.
const MAX_GROWTH: f64 = 0.06;
/// The lowest learned rate, in requests per second.
const MIN_RATE: f64 = 1.0;
/// A learned rate above this many requests per second is dropped: no account handles more.
const NO_LIMIT: f64 = 100_000.0;
/// How far ahead of their time requests may be sent: timers are no finer than a millisecond.
const BURST: Duration = Duration::from_millis(5);

/// The rate of requests: at most what the user allows, and what the service delivered when it throttled some.
#[derive(Debug)]
pub(super) struct Rate {
    allowed: Option<f64>,
    learned: Option<f64>,
    next: Option<Instant>,
    recent: Window,
    last_cut: Option<Instant>,
    last_growth: Option<Instant>,
    growth: f64,
}

impl Rate {
    /// A rate limited only by `allowed`, in requests per second, until the service throttles.
    pub(super) fn new(allowed: Option<f64>) -> Self {
        Self {
            allowed,
            learned: None,
            next: None,
            recent: Window::default(),
            last_cut: None,
            last_growth: None,
            growth: SLOW_START,
        }
    }

    /// Takes the next slot for a request, and returns how long to wait for it.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        // First, so that growth due since the last request applies to this one.
        self.grow(now);
        match self.limit() {
            None => Duration::ZERO,
            Some(limit) => space(&mut self.next, now, Duration::from_secs_f64(1.0 / limit)),
        }
    }

    /// Whether requests must be spaced at all.
    pub(super) fn is_limited(&self) -> bool {
        self.limit().is_some()
    }

    /// A request got a response and was not throttled.
    pub(super) fn delivered(&mut self, now: Instant) {
        self.recent.part(now).delivered += 1;
    }

    /// The service throttled a request. Returns whether the rate was cut.
    pub(super) fn throttled(&mut self, now: Instant) -> bool {
        self.recent.part(now).throttled += 1;
        if self.last_cut.is_some_and(|cut| now.duration_since(cut) < BETWEEN_CUTS) {
            return false;
        }
        let Answers { delivered, throttled } = self.recent.sum();
        let is_enough = throttled >= ENOUGH || delivered + throttled < 2 * ENOUGH;
        if !is_enough || throttled as f64 <= TOLERATED * (delivered + throttled) as f64 {
            return false;
        }
        let delivered = delivered as f64 / self.recent.time(now).as_secs_f64();
        let cut = AFTER_CUT * self.learned.map_or(delivered, |learned| learned.min(delivered));
        self.growth = if self.last_cut.is_some() { FIRST_GROWTH } else { SLOW_START };
        self.learned = Some(cut.max(MIN_RATE));
        (self.last_cut, self.last_growth) = (Some(now), Some(now));
        true
    }

    fn limit(&self) -> Option<f64> {
        match (self.allowed, self.learned) {
            (Some(allowed), Some(learned)) => Some(allowed.min(learned)),
            (allowed, learned) => allowed.or(learned),
        }
    }

    /// Raises the learned rate by the steps that are due.
    fn grow(&mut self, now: Instant) {
        while let (Some(learned), Some(since)) = (self.learned, self.last_growth) {
            if now.duration_since(since) < STEP {
                return;
            }
            self.learned = Some(learned * (1.0 + self.growth)).filter(|learned| *learned < NO_LIMIT);
            self.last_growth = Some(since + STEP);
            self.growth = (2.0 * self.growth).min(MAX_GROWTH).max(self.growth);
        }
    }
}

/// The rate of bytes that the user allows.
#[derive(Debug)]
pub(super) struct Bandwidth {
    allowed: Option<f64>,
    next: Option<Instant>,
}

impl Bandwidth {
    /// At most `allowed` bytes per second.
    pub(super) fn new(allowed: Option<f64>) -> Self {
        Self { allowed, next: None }
    }

    /// Takes the next slot for `len` bytes, and returns how long to wait for it.
    pub(super) fn take(&mut self, now: Instant, len: u64) -> Duration {
        match self.allowed {
            None => Duration::ZERO,
            Some(allowed) => space(&mut self.next, now, Duration::from_secs_f64(len as f64 / allowed)),
        }
    }

    /// Whether bytes must be spaced at all.
    pub(super) fn is_limited(&self) -> bool {
        self.allowed.is_some()
    }
}

/// Moves `next`, the time at which the next request conforms, forward by `interval`. Returns how long to wait for its
/// previous value.
fn space(next: &mut Option<Instant>, now: Instant, interval: Duration) -> Duration {
    // Unused time is worth no more than a burst: a pause must not be followed by a flood.
    let earliest = now.checked_sub(BURST).unwrap_or(now);
    let due = next.map_or(now, |next| next.max(earliest));
    *next = Some(due + interval);
    due.saturating_duration_since(now)
}

/// How many requests were delivered and throttled.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    delivered: u64,
    throttled: u64,
}

/// The responses in the last [`WINDOW`].
#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    /// The number of the last part counted, since `begun`.
    part: u64,
    parts: [Answers; PARTS],
}

impl Window {
    /// The current part.
    fn part(&mut self, now: Instant) -> &mut Answers {
        let begun = *self.begun.get_or_insert(now);
        let part = (now.duration_since(begun).as_nanos() / (WINDOW / PARTS as u32).as_nanos()) as u64;
        for passed in (self.part + 1..=part).rev().take(PARTS) {
            self.parts[(passed % PARTS as u64) as usize] = Answers::default();
        }
        self.part = part;
        &mut self.parts[(part % PARTS as u64) as usize]
    }

    fn sum(&self) -> Answers {
        self.parts.iter().fold(Answers::default(), |sum, part| Answers {
            delivered: sum.delivered + part.delivered,
            throttled: sum.throttled + part.throttled,
        })
    }

    /// The time over which responses were counted.
    fn time(&self, now: Instant) -> Duration {
        let since = self.begun.map_or(Duration::ZERO, |begun| now.duration_since(begun));
        since.clamp(SHORTEST, WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that delivers `limit` requests a second and throttles the rest, for `seconds`: what it delivers and
    /// what it throttles, each second.
    fn serve(rate: &mut Rate, limit: f64, seconds: u64) -> Vec<(u64, u64)> {
        let begun = Instant::now();
        let (mut now, mut tokens, mut filled) = (begun, 1.0, begun);
        let mut each_second = vec![(0, 0); seconds as usize];
        loop {
            // Without a limit of its own, a client on a fast network sends some 10,000 a second.
            now += rate.take(now).max(Duration::from_micros(if rate.is_limited() { 0 } else { 100 }));
            let second = now.duration_since(begun).as_secs();
            let Some((delivered, throttled)) = each_second.get_mut(second as usize) else {
                return each_second;
            };
            tokens = (tokens + limit * now.duration_since(filled).as_secs_f64()).min(limit / 10.0);
            filled = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                *delivered += 1;
                rate.delivered(now);
            } else {
                *throttled += 1;
                rate.throttled(now);
            }
        }
    }

    #[test]
    fn it_settles_at_what_the_service_delivers() {
        for limit in [20.0, 500.0, 5000.0] {
            let seconds = serve(&mut Rate::new(None), limit, 60);
            let settled = &seconds[5..];
            let delivered = settled.iter().map(|(delivered, _)| delivered).sum::<u64>() as f64;
            let throttled = settled.iter().map(|(_, throttled)| throttled).sum::<u64>() as f64;
            let share = delivered / (limit * settled.len() as f64);
            assert!(share > 0.9, "{limit}: {share:.2} of the limit, {seconds:?}");
            assert!(throttled / (throttled + delivered) < 0.1, "{limit}: {throttled} throttled, {seconds:?}");
        }
    }

    #[test]
    fn a_few_throttled_requests_at_any_rate_change_nothing() {
        let (mut rate, mut now) = (Rate::new(None), Instant::now());
        for number in 0..100_000 {
            now += Duration::from_micros(100);
            match number % 25 {
                24 => assert!(!rate.throttled(now)),
                _ => rate.delivered(now),
            }
        }
        assert!(!rate.is_limited());
    }

    #[test]
    fn it_recovers_when_the_service_does() {
        let mut rate = Rate::new(None);
        serve(&mut rate, 100.0, 5);
        let now = Instant::now();
        (rate.learned, rate.last_growth, rate.growth) = (Some(100.0), Some(now), FIRST_GROWTH);
        rate.take(now + Duration::from_secs(20));
        assert!(rate.limit().is_some_and(|limit| limit > 1000.0), "{rate:?}");
        rate.take(now + Duration::from_secs(60));
        assert_eq!(rate.limit(), None);
    }

    #[test]
    fn what_the_user_allows_is_never_exceeded() {
        let mut rate = Rate::new(Some(100.0));
        let seconds = serve(&mut rate, 1e9, 10);
        assert!(seconds.iter().all(|(delivered, _)| (95..=101).contains(delivered)), "{seconds:?}");
    }

    #[test]
    fn bytes_are_spaced_by_their_number() {
        let mut bandwidth = Bandwidth::new(Some(1e6));
        let mut now = Instant::now();
        let begun = now;
        for _ in 0..100 {
            now += bandwidth.take(now, 50_000);
        }
        let took = now.duration_since(begun).as_secs_f64();
        assert!((4.9..5.0).contains(&took), "{took}");
        assert_eq!(Bandwidth::new(None).take(now, u64::MAX), Duration::ZERO);
    }
}

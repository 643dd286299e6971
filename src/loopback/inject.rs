//! Decides the latency and the fault of each request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::Kind;
use super::faults::{Attempts, Fault, Faults, Latency, Limit, MAX_WAIT, On, Rule};

/// The most targets whose attempts are counted, about 32 MiB. Transient faults do not affect any more targets.
const MAX_REMEMBERED: usize = 1 << 20;

/// The 99th percentile of the standard normal distribution.
const Z_99: f64 = 2.326_347_9;

/// The properties of a request that a fault can depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    /// The container.
    pub container: &'a str,
    /// The blob's name, or the prefix of a listing.
    pub name: &'a str,
    /// Where in the listing a page starts; empty for a blob.
    pub marker: &'a str,
    /// The first byte of the range; 0 for a page.
    pub start: u64,
}

/// The decision about a request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// How long to wait before the response.
    pub wait: Duration,
    /// The fault, and the name under which it is counted.
    pub fault: Option<(Fault, Cow<'static, str>)>,
}

/// The faults and their state.
#[derive(Debug)]
pub(super) struct Injector {
    faults: Faults,
    /// The random numbers for latencies.
    rng: Rng,
    bucket: Option<Bucket>,
    /// Matching requests so far, by rule.
    seen: Vec<u64>,
    /// Failed attempts, by rule and target.
    hit: HashMap<(usize, u64), u32>,
}

impl Injector {
    pub(super) fn new(faults: Faults, now: Instant) -> Self {
        let bucket = faults.limit.map(|limit| Bucket { limit, tokens: limit.capacity(), filled: now });
        let (rng, seen) = (Rng::with_seed(faults.seed), vec![0; faults.rules.len()]);
        Self { faults, rng, bucket, seen, hit: HashMap::new() }
    }

    /// Decides about a request that arrives `now`.
    pub(super) fn decide(&mut self, kind: Kind, target: Target<'_>, now: Instant) -> Decision {
        if let Some(bucket) = &mut self.bucket
            && !bucket.take(now)
        {
            let fault = Fault::busy(bucket.limit.retry_after);
            return Decision { wait: Duration::ZERO, fault: Some((fault, "limit".into())) };
        }
        let wait = wait(self.faults.latency, &mut self.rng);
        let fault = self.fault(kind, target).map(|fault| {
            let name = fault.name();
            (fault, name)
        });
        Decision { wait, fault }
    }

    /// The fault of the first rule that applies.
    ///
    /// A target is a point on a circle of circumference 1, and rules occupy consecutive arcs. So two rules do not
    /// affect the same target, and a rate of 1 still affects every target.
    fn fault(&mut self, kind: Kind, target: Target<'_>) -> Option<Fault> {
        if self.faults.rules.is_empty() {
            return None;
        }
        let key = target.hash();
        let mut rng = Rng::with_seed(self.faults.seed ^ key);
        let (point, one_or_two) = (rng.f64(), rng.u32(1..=2));
        let mut arc = 0.0;
        for (number, rule) in self.faults.rules.iter().enumerate() {
            if !is_about(rule, kind, target) {
                continue;
            }
            let offset = (point - arc).rem_euclid(1.0);
            arc += rule.rate;
            self.seen[number] += 1;
            if self.seen[number] <= rule.after || offset >= rule.rate {
                continue;
            }
            let most = match rule.attempts {
                // The replacement is permanent, so there is nothing to repeat.
                Attempts::OneOrTwo if rule.fault == Fault::Replaced => 1,
                Attempts::OneOrTwo => one_or_two,
                Attempts::First(most) => most,
                Attempts::Always => return Some(rule.fault.clone()),
            };
            if count(&mut self.hit, (number, key), most) {
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

fn is_about(rule: &Rule, kind: Kind, target: Target<'_>) -> bool {
    let is_meant = match rule.on {
        On::Reads => kind == Kind::Read,
        On::Lists => kind == Kind::List,
        On::All => true,
    };
    let is_there = rule.container.is_empty() || rule.container == target.container;
    is_meant && is_there && rule.fault.fits(kind) && target.name.starts_with(&rule.prefix)
}

/// Counts an attempt, unless `most` have been counted already. Returns whether it was counted.
fn count(hit: &mut HashMap<(usize, u64), u32>, key: (usize, u64), most: u32) -> bool {
    let is_full = hit.len() >= MAX_REMEMBERED;
    let count = match hit.entry(key) {
        Entry::Vacant(_) if is_full => return false,
        entry => entry.or_default(),
    };
    let is_hit = *count < most;
    *count += u32::from(is_hit);
    is_hit
}

fn wait(latency: Latency, rng: &mut Rng) -> Duration {
    let ms = match latency {
        Latency::None => return Duration::ZERO,
        Latency::Fixed { ms } => ms,
        Latency::Uniform { min_ms, max_ms } => min_ms + (max_ms - min_ms) * rng.f64(),
        Latency::Lognormal { p50_ms, p99_ms } => {
            p50_ms * ((p99_ms / p50_ms).ln() / Z_99 * standard_normal(rng)).exp()
        }
    };
    Duration::from_secs_f64(ms / 1e3).min(MAX_WAIT)
}

/// The Box–Muller transform; `1 - f64()` is never 0.
fn standard_normal(rng: &mut Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

impl Target<'_> {
    /// FNV-1a over all fields. It is the same in every process, which `std` does not guarantee for its hasher.
    fn hash(&self) -> u64 {
        const OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01B3;
        let bytes = [self.container, "\0", self.name, "\0", self.marker].into_iter().flat_map(str::bytes);
        bytes
            .chain(self.start.to_le_bytes())
            .fold(OFFSET, |hash, b| (hash ^ u64::from(b)).wrapping_mul(PRIME))
    }
}

#[derive(Debug)]
struct Bucket {
    limit: Limit,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// Takes a token if there is one.
    fn take(&mut self, now: Instant) -> bool {
        let grown = now.duration_since(self.filled).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + grown).min(self.limit.capacity());
        self.filled = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target<'_> {
        Target { container: "media", name, marker: "", start: 0 }
    }

    fn injector(faults: Faults) -> Injector {
        Injector::new(faults, Instant::now())
    }

    /// The faults of three attempts at each of many blobs.
    fn attempts(faults: &Faults) -> Vec<[Option<Fault>; 3]> {
        let mut injector = injector(faults.clone());
        let names = (0..20_000).map(|number| format!("{number}.jpg"));
        names.map(|name| [(); 3].map(|()| injector.fault(Kind::Read, target(&name)))).collect()
    }

    #[test]
    fn faults_that_pass_hit_their_share_of_targets_once_or_twice_each() {
        let faults = Faults::passing(0.1, 7);
        let attempts_made = attempts(&faults);
        let share = attempts_made.iter().filter(|made| made[0].is_some()).count() as f64 / 20_000.0;
        assert!((0.09..0.11).contains(&share), "{share}");
        assert!(attempts_made.iter().all(|made| made[2].is_none()));
        assert!(attempts_made.iter().all(|made| made[1].is_none() || made[1] == made[0]));
        let twice = attempts_made.iter().filter(|made| made[1].is_some()).count();
        assert!((800..1_200).contains(&twice), "{twice}");
        for rule in faults.rules.iter().filter(|rule| rule.on == On::Reads) {
            let hit = attempts_made.iter().filter(|made| made[0].as_ref() == Some(&rule.fault)).count();
            assert!((140..260).contains(&hit), "{hit} × {:?}", rule.fault);
        }
        assert_eq!(attempts_made, attempts(&faults));
        assert_ne!(attempts_made, attempts(&Faults { seed: 8, ..faults }));
    }

    #[test]
    fn a_rule_for_everything_comes_after_the_rules_for_some() {
        let lost = Rule { on: On::All, after: 2, ..Rule::on_reads(Fault::no_permission(), 1.0) };
        let stall = Rule::on_reads(Fault::Stall, 1.0).attempts(Attempts::First(1));
        let stall = Rule { prefix: "cam2/".into(), ..stall };
        let rules = vec![stall, lost.attempts(Attempts::Always)];
        let mut injector = injector(Faults { rules, ..Faults::default() });
        let mut fault = |kind, name| injector.fault(kind, target(name));
        assert_eq!(fault(Kind::Read, "cam1/a"), None);
        assert_eq!(fault(Kind::Read, "cam2/a"), Some(Fault::Stall));
        assert_eq!(fault(Kind::Read, "cam2/a"), None);
        assert_eq!(fault(Kind::Read, "cam2/a"), Some(Fault::no_permission()));
        assert_eq!(fault(Kind::List, ""), Some(Fault::no_permission()));
    }

    #[test]
    fn a_limit_lets_through_what_it_says() {
        let limit = Limit { per_second: 500.0, burst: None, retry_after: Some(1) };
        let begun = Instant::now();
        let mut injector = Injector::new(Faults { limit: Some(limit), ..Faults::default() }, begun);
        let mut served = 0;
        for at in 0..20_000 {
            let decision = injector.decide(Kind::Read, target("a"), begun + Duration::from_micros(at * 100));
            match decision.fault {
                None => served += 1,
                Some((fault, name)) => assert_eq!((fault, &*name), (Fault::busy(Some(1)), "limit")),
            }
        }
        assert!((1_045..=1_051).contains(&served), "2 s of 500, and a burst of 50: {served}");
    }

    #[test]
    fn latencies_have_their_percentiles() {
        let mut rng = Rng::with_seed(1);
        let mut percentiles = |latency| {
            let mut waits: Vec<_> =
                (0..20_000).map(|_| wait(latency, &mut rng).as_secs_f64() * 1e3).collect();
            waits.sort_by(f64::total_cmp);
            [waits[0], waits[10_000], waits[19_800]]
        };
        let [_, p50, p99] = percentiles(Latency::Lognormal { p50_ms: 20.0, p99_ms: 200.0 });
        assert!((19.0..21.0).contains(&p50) && (180.0..220.0).contains(&p99), "{p50} {p99}");
        let [least, p50, p99] = percentiles(Latency::Uniform { min_ms: 10.0, max_ms: 30.0 });
        assert!(least >= 10.0 && (19.5..20.5).contains(&p50) && (29.5..30.0).contains(&p99));
        assert_eq!(percentiles(Latency::Fixed { ms: 5.0 }), [5.0; 3]);
    }
}

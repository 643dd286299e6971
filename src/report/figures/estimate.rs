//! Interprets the figures: what bounds a run, how many concurrent requests to allow, and what more blobs would take.

use serde::{Deserialize, Serialize};

use super::{Measured, fastest};

/// From this load on, the machine counts as fully busy.
const BUSY: f64 = 0.85;
/// A run counts as nearly as fast as another from this share of its rate on.
const NEARLY: f64 = 0.95;
/// From this share of refused requests on, the service limits the rate.
const REFUSED: f64 = 0.01;
/// Two runs saturate the connection if the lower of their bytes per second is at least this share of the higher.
const ALIKE: f64 = 0.85;
/// Blobs per page of a listing.
const PAGE: u64 = 5_000;

/// What limits the speed of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The cores are busy.
    Cpu,
    /// The service refuses some requests.
    ServiceLimit,
    /// The connection is saturated: longer reads yield fewer blobs but just as many bytes.
    Bandwidth,
    /// Responses are slow, and more concurrent requests would help.
    Latency,
    /// The service does not get faster with more concurrent requests.
    Service,
}

/// What estimates assume.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assumptions {
    /// Requests per second that a storage account accepts.
    pub account_limit: f64,
    /// The price of 10,000 reads; `None` if not given.
    pub price_per_10k_reads: Option<f64>,
}

/// What a number of blobs would take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Blobs.
    pub blobs: u64,
    /// Requests, including those for listing pages.
    pub requests: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Hours at the measured rate.
    pub hours_measured: f64,
    /// Hours at the account's request limit.
    pub hours_at_limit: f64,
    /// The price of the requests; `None` if the price of 10,000 is not known.
    pub cost: Option<f64>,
}

/// What limits the fastest of these runs.
pub fn bound(by_concurrency: &[Measured], by_first_read: &[Measured]) -> Bound {
    let Some(best) = fastest(by_concurrency) else { return Bound::Cpu };
    if best.refused as f64 >= REFUSED * best.requests.max(1) as f64 {
        return Bound::ServiceLimit;
    }
    if best.machine_busy.is_some_and(|busy| busy >= BUSY) || best.latency.is_none() {
        return Bound::Cpu;
    }
    if is_line_full(by_first_read) {
        return Bound::Bandwidth;
    }
    let mut fixed: Vec<_> = by_concurrency.iter().filter(|run| run.concurrency.is_some()).collect();
    fixed.sort_by_key(|run| run.concurrency);
    match &*fixed {
        [.., less, most] if less.rate() < NEARLY * most.rate() => Bound::Latency,
        _ => Bound::Service,
    }
}

/// Whether runs that read more bytes per blob reach about the same number of bytes per second.
fn is_line_full(by_first_read: &[Measured]) -> bool {
    let bytes = |run: &Measured| run.bytes as f64 / run.wall_s.max(f64::MIN_POSITIVE);
    let per_blob = |run: &Measured| run.per_blob(run.bytes as f64);
    let by_length = |a: &&Measured, b: &&Measured| per_blob(a).total_cmp(&per_blob(b));
    let (Some(least), Some(most)) =
        (by_first_read.iter().min_by(by_length), by_first_read.iter().max_by(by_length))
    else {
        return false;
    };
    per_blob(most) >= 2.0 * per_blob(least) && {
        let (one, other) = (bytes(least), bytes(most));
        one.min(other) >= ALIKE * one.max(other)
    }
}

/// The lowest fixed concurrency that is nearly as fast as the fastest fixed one.
pub fn recommended(by_concurrency: &[Measured]) -> Option<usize> {
    let fixed = || by_concurrency.iter().filter(|run| run.concurrency.is_some());
    let best = fixed().map(Measured::rate).fold(0.0, f64::max);
    fixed().filter(|run| run.rate() >= NEARLY * best).filter_map(|run| run.concurrency).min()
}

/// What `blobs` blobs like those of this run would take.
pub fn estimate(run: &Measured, blobs: u64, assumptions: &Assumptions) -> Estimate {
    let of_each = |sum: u64| (run.per_blob(sum as f64) * blobs as f64).ceil() as u64;
    let requests = of_each(run.requests).saturating_add(blobs.div_ceil(PAGE));
    let hours = |seconds: f64| seconds / 3600.0;
    Estimate {
        blobs,
        requests,
        bytes: of_each(run.bytes),
        hours_measured: hours(blobs as f64 / run.rate().max(f64::MIN_POSITIVE)),
        hours_at_limit: hours(requests as f64 / assumptions.account_limit),
        cost: assumptions.price_per_10k_reads.map(|price| requests as f64 / 10_000.0 * price),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Latency;
    use super::*;

    fn run(concurrency: usize, rate: f64) -> Measured {
        Measured {
            concurrency: Some(concurrency),
            blobs: 1000,
            wall_s: 1000.0 / rate,
            requests: 1100,
            bytes: 16_000_000,
            machine_busy: Some(0.3),
            latency: Some(Latency::default()),
            ..Measured::default()
        }
    }

    #[test]
    fn what_bounds_a_run_is_told_apart() {
        let grows = [run(16, 100.0), run(64, 400.0)];
        let flat = [run(16, 400.0), run(64, 402.0)];
        assert_eq!(bound(&grows, &[]), Bound::Latency);
        assert_eq!(bound(&flat, &[]), Bound::Service);
        let busy = flat.clone().map(|run| Measured { machine_busy: Some(0.97), ..run });
        assert_eq!(bound(&busy, &[]), Bound::Cpu);
        let refused = flat.clone().map(|run| Measured { refused: 50, ..run });
        assert_eq!(bound(&refused, &[]), Bound::ServiceLimit);
        let short = Measured { bytes: 4_000_000, ..run(64, 1600.0) };
        assert_eq!(bound(&flat, &[short.clone(), run(64, 402.0)]), Bound::Bandwidth);
        assert_eq!(bound(&flat, &[Measured { wall_s: 2.5, ..short }, run(64, 402.0)]), Bound::Service);
    }

    #[test]
    fn the_fewest_requests_in_flight_that_do_are_recommended() {
        let runs = [run(8, 100.0), run(64, 390.0), run(256, 400.0)];
        assert_eq!(recommended(&runs), Some(64));
        assert_eq!(recommended(&[Measured { concurrency: None, ..run(1, 1.0) }]), None);
    }

    #[test]
    fn an_estimate_counts_pages_too() {
        let assumptions = Assumptions { account_limit: 20_000.0, price_per_10k_reads: Some(0.005) };
        let estimate = estimate(&run(64, 1000.0), 1_000_000, &assumptions);
        assert_eq!((estimate.requests, estimate.bytes), (1_100_200, 16_000_000_000));
        assert!((estimate.hours_measured - 1000.0 / 3600.0).abs() < 1e-9);
        assert!((estimate.hours_at_limit - 1_100_200.0 / 20_000.0 / 3600.0).abs() < 1e-9);
        assert!(estimate.cost.is_some_and(|cost| (cost - 0.5501).abs() < 1e-9));
    }
}

//! Statistics about requests and responses.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

/// The duration of one bucket of [`Stats::buckets`], in milliseconds.
pub const BUCKET_MS: u64 = 100;

/// The number of most recent buckets that are kept: ten minutes.
const MAX_BUCKETS: usize = 6_000;

/// The kinds of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// GET of a blob.
    Read,
    /// HEAD of a blob.
    Properties,
    /// A page of blobs.
    List,
    /// A page of containers.
    Containers,
    /// A CORS preflight.
    Preflight,
    /// Anything the server does not support.
    Other,
}

/// Counters since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests by kind, including failed ones.
    pub requests: BTreeMap<Kind, u64>,
    /// Faults by name; those of the request limit are called `limit`.
    pub faults: BTreeMap<String, u64>,
    /// Requests answered with 429 or 503.
    pub refused: u64,
    /// Bytes of response bodies, as of the start of each response.
    pub bytes: u64,
    /// Accepted connections.
    pub connections: u64,
    /// The most requests in progress at one time.
    pub most_at_once: u64,
    /// The number of the first bucket kept. It started `first_bucket` × [`BUCKET_MS`] ms after the start.
    pub first_bucket: u64,
    /// Requests served and refused in each bucket, by the time of the response.
    pub buckets: VecDeque<(u32, u32)>,
}

impl Stats {
    /// Requests of all kinds.
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests of one kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.requests.get(&kind).copied().unwrap_or(0)
    }
}

/// The counters, while the server runs.
#[derive(Debug)]
pub(super) struct Counters {
    begun: Instant,
    stats: Stats,
    in_hand: u64,
}

impl Counters {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, stats: Stats::default(), in_hand: 0 }
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Resets the counters. Requests in progress stay in progress.
    pub(super) fn reset(&mut self, now: Instant) {
        (self.begun, self.stats) = (now, Stats::default());
    }

    pub(super) fn connection(&mut self) {
        self.stats.connections += 1;
    }

    pub(super) fn begin(&mut self, kind: Kind, fault: Option<&str>) {
        *self.stats.requests.entry(kind).or_default() += 1;
        if let Some(fault) = fault {
            match self.stats.faults.get_mut(fault) {
                Some(count) => *count += 1,
                None => drop(self.stats.faults.insert(fault.to_owned(), 1)),
            }
        }
        self.in_hand += 1;
        self.stats.most_at_once = self.stats.most_at_once.max(self.in_hand);
    }

    /// Ends a request: it was answered, or its client disconnected.
    pub(super) fn end(&mut self) {
        self.in_hand = self.in_hand.saturating_sub(1);
    }

    /// Counts a response; a status of `None` means that the connection was ended instead.
    pub(super) fn answer(&mut self, status: Option<StatusCode>, bytes: u64, now: Instant) {
        let refused = matches!(status, Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE));
        self.stats.bytes += bytes;
        self.stats.refused += u64::from(refused);
        let Some(bucket) = self.bucket(now) else { return };
        *(if refused { &mut bucket.1 } else { &mut bucket.0 }) += 1;
    }

    /// The bucket for a time, unless it has been dropped.
    fn bucket(&mut self, now: Instant) -> Option<&mut (u32, u32)> {
        let number = now.duration_since(self.begun).as_millis() as u64 / BUCKET_MS;
        let Stats { first_bucket, buckets, .. } = &mut self.stats;
        let kept = number.saturating_sub(MAX_BUCKETS as u64 - 1);
        if kept > *first_bucket {
            buckets.drain(..buckets.len().min((kept - *first_bucket) as usize));
            *first_bucket = kept;
        }
        let at = number.checked_sub(*first_bucket)? as usize;
        if at >= buckets.len() {
            buckets.resize(at + 1, (0, 0));
        }
        buckets.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn buckets_are_a_tenth_of_a_second_and_the_latest_ones_are_kept() {
        let begun = Instant::now();
        let mut counters = Counters::new(begun);
        let mut answer = |ms, status| counters.answer(Some(status), 10, begun + Duration::from_millis(ms));
        answer(0, StatusCode::OK);
        answer(99, StatusCode::PARTIAL_CONTENT);
        answer(350, StatusCode::SERVICE_UNAVAILABLE);
        answer(200, StatusCode::NOT_FOUND);
        let expected: VecDeque<_> = [(2, 0), (0, 0), (1, 0), (0, 1)].into();
        assert_eq!((&counters.stats.buckets, counters.stats.first_bucket), (&expected, 0));
        assert_eq!((counters.stats.bytes, counters.stats.refused), (40, 1));

        counters.answer(Some(StatusCode::OK), 0, begun + Duration::from_millis(600_150));
        assert_eq!((counters.stats.buckets.len(), counters.stats.first_bucket), (MAX_BUCKETS, 2));
        assert_eq!((counters.stats.buckets[0], counters.stats.buckets[1]), ((1, 0), (0, 1)));
        counters.answer(Some(StatusCode::OK), 0, begun + Duration::from_secs(86_400));
        assert_eq!(counters.stats.buckets.len(), MAX_BUCKETS);
        counters.answer(Some(StatusCode::OK), 0, begun);
        assert_eq!(counters.stats.buckets.iter().map(|bucket| bucket.0).sum::<u32>(), 1);
    }
}

//! A source that answers late: reads finish in another order than they began, as they do over a network.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::{ReadError, Source};
use crate::error::Result;
use crate::model::{Blob, BlobName, ByteRange, Reads};

/// Wraps a source and delays each page and each read by a time that a seed decides.
#[derive(Debug)]
pub struct Faults<S> {
    source: S,
    seed: u64,
    max_delay: Duration,
    drawn: AtomicU64,
}

impl<S> Faults<S> {
    /// Delays of up to `max_delay`, drawn from `seed`.
    pub fn new(source: S, seed: u64, max_delay: Duration) -> Self {
        Self { source, seed, max_delay, drawn: AtomicU64::new(0) }
    }

    fn delay(&self) -> impl Future<Output = ()> + Send + use<S> {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let random = splitmix(self.seed.wrapping_add(drawn)) >> 32;
        tokio::time::sleep(self.max_delay.mul_f64(random as f64 / f64::from(u32::MAX)))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): enough randomness for a delay, without a dependency.
fn splitmix(state: u64) -> u64 {
    let mut mixed = state.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

impl<S: Source> Source for Faults<S> {
    fn list(&self) -> impl Stream<Item = Result<Vec<Blob>>> + Send {
        self.source.list().then(|page| async {
            self.delay().await;
            page
        })
    }

    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        self.delay().await;
        self.source.read(blob, range, reads).await
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        self.source.find(name).await
    }
}

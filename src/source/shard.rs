//! A share of a source, so that several machines can examine one container.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use super::{ReadBlocking, ReadError, Source};
use crate::error::Result;
use crate::model::{Blob, BlobName, ByteRange, Reads};

/// Wraps a source and lists the blobs of one shard.
///
/// A blob's shard depends on its name alone, so that each is in exactly one, whatever comes and goes while the shards
/// run; and the names of a shard lie all over the listing, so that no shard reads from one partition of the service.
#[derive(Debug)]
pub struct Shard<S> {
    source: S,
    index: u32,
    of: u32,
}

impl<S> Shard<S> {
    /// The shard `index` of `of`; all blobs where there is one shard.
    pub fn new(source: S, index: u32, of: u32) -> Self {
        Self { source, index, of }
    }

    /// The whole source.
    pub fn inner(&self) -> &S {
        &self.source
    }
}

/// The shard of a name: the first eight bytes of its SHA-256 as a number, the least significant first, modulo `of`.
fn shard(name: &BlobName, of: u32) -> u32 {
    let hash: [u8; 32] = Sha256::digest(name.as_str()).into();
    let number = hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
    (number % u64::from(of.max(1))) as u32
}

impl<S: Source> Source for Shard<S> {
    fn list(&self) -> impl Stream<Item = Result<Vec<Blob>>> + Send {
        let (index, of) = (self.index, self.of);
        self.source.list().map(move |page| {
            let mut page = page?;
            if of > 1 {
                page.retain(|blob| shard(&blob.name, of) == index);
            }
            Ok(page)
        })
    }

    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        self.source.read(blob, range, reads).await
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        self.source.find(name).await
    }

    fn blocking(&self) -> Option<Arc<dyn ReadBlocking>> {
        self.source.blocking()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_a_name_stays_what_it_is() {
        // Python: int.from_bytes(hashlib.sha256(b"a.jpg").digest()[:8], "little") % 1000
        let of = |name: &str, of| shard(&BlobName::new(name), of);
        assert_eq!(of("a.jpg", 1), 0);
        assert_eq!((of("a.jpg", 1000), of("b.jpg", 16), of("é/ü.jpg", 1000)), (696, 10, 190));
    }

    #[test]
    fn shards_are_about_equal() {
        let mut counts = [0; 7];
        for number in 0..7_000 {
            counts[shard(&BlobName::new(format!("cam/{number:06}.jpg")), 7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }
}

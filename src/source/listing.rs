//! Listings, and parts of a listing: a sample or a shard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};

use crate::model::error::Result;
use crate::model::{Blob, BlobName, Filter};

/// Blobs a page at a time, in the order in which the source lists them, which is often that of their names: by UTF-8
/// bytes, or folder by folder in accounts with a hierarchical namespace. Nothing may rely on it.
///
/// * A page may be empty. After an `Err` nothing follows.
/// * It must be created within a tokio runtime, and keeps alive what it needs of its source.
pub type Listing = BoxStream<'static, Result<Vec<Blob>>>;

/// Counts names that a source has but its listing leaves out.
pub type Excluded = Arc<AtomicU64>;

/// The blobs that the filter keeps; the others are counted.
pub(crate) fn filtered(listing: Listing, filter: &Filter, excluded: &Excluded) -> Listing {
    if filter.is_empty() {
        return listing;
    }
    let (filter, excluded) = (filter.clone(), Arc::clone(excluded));
    let keep = move |page: Result<Vec<Blob>>| {
        let mut page = page?;
        let listed = page.len();
        page.retain(|blob| filter.keeps_blob(blob));
        excluded.fetch_add((listed - page.len()) as u64, Ordering::Relaxed);
        Ok(page)
    };
    listing.map(keep).boxed()
}

/// The first `blobs` blobs. No page after theirs is requested.
pub fn first(listing: Listing, blobs: u64) -> Listing {
    let next = async |(mut listing, left): (Listing, u64)| {
        // Checked before the next page is polled: a page that is not needed would cost a request.
        let page = if left > 0 { listing.next().await? } else { return None };
        let page = page.map(|mut page| {
            page.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            page
        });
        let left = left - page.as_ref().map_or(0, |page| page.len() as u64);
        Some((page, (listing, left)))
    };
    stream::unfold((listing, blobs), next).boxed()
}

/// The positions of a shard's blobs in the whole listing, counted from 0. The position of a blob is sent before its page
/// is returned.
pub type Positions = mpsc::Receiver<u64>;

/// Shard `index` of `of`, so that several machines can examine one container; all blobs if there is only one shard. Also
/// returns where in the listing they are, by which the shards are merged.
///
/// A blob's shard depends only on its name, so each is in exactly one, even if blobs are added or removed meanwhile.
/// The names of a shard are spread over the whole listing, so that no machine reads from a single partition of the
/// service.
pub fn shard(listing: Listing, index: u32, of: u32) -> (Listing, Positions) {
    let (sender, positions) = mpsc::channel();
    let mut listed = 0..;
    let share = move |page: Result<Vec<Blob>>| {
        let mut page = page?;
        page.retain(|blob| {
            let position = listed.next().unwrap_or(u64::MAX);
            let is_own = shard_of(&blob.name, of) == index;
            if is_own {
                // If the receiver is gone, the run has failed, with an error of its own.
                let _ = sender.send(position);
            }
            is_own
        });
        Ok(page)
    };
    (listing.map(share).boxed(), positions)
}

/// The shard of a name: the first eight bytes of its SHA-256 as a little-endian number, modulo `of`.
fn shard_of(name: &BlobName, of: u32) -> u32 {
    let hash: [u8; 32] = Sha256::digest(name.as_str()).into();
    let number = hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
    (number % u64::from(of.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;
    use crate::model::Access;

    #[test]
    fn the_shard_of_a_name_stays_what_it_is() {
        // Python: int.from_bytes(hashlib.sha256(b"a.jpg").digest()[:8], "little") % 1000
        let of = |name: &str, of| shard_of(&BlobName::new(name), of);
        assert_eq!(of("a.jpg", 1), 0);
        assert_eq!((of("a.jpg", 1000), of("b.jpg", 16), of("é/ü.jpg", 1000)), (696, 10, 190));
    }

    #[test]
    fn shards_are_about_equal() {
        let mut counts = [0; 7];
        for number in 0..7_000 {
            counts[shard_of(&BlobName::new(format!("cam/{number:06}.jpg")), 7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }

    /// Pages of these lengths, whose blobs are numbered.
    fn pages(lengths: &[usize]) -> Listing {
        let mut numbers = 0..;
        let blob = |number| Blob {
            name: BlobName::new(format!("{number:03}")),
            size: 1,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        };
        let page = |len: &usize| Ok(numbers.by_ref().take(*len).map(blob).collect());
        stream::iter(lengths.iter().map(page).collect::<Vec<_>>()).boxed()
    }

    #[tokio::test]
    async fn a_sample_ends_with_its_last_blob() {
        for (blobs, expected) in [(0, &[][..]), (3, &[3]), (4, &[4]), (5, &[4, 0, 1]), (20, &[4, 0, 4])] {
            let sample: Vec<_> =
                first(pages(&[4, 0, 4]), blobs).try_collect().await.expect("no page is broken");
            assert_eq!(sample.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{blobs} blobs");
        }
    }

    #[tokio::test]
    async fn each_blob_is_in_one_shard() {
        let mut placed = Vec::new();
        for index in 0..3 {
            let (share, positions) = shard(pages(&[50, 50]), index, 3);
            let share = share.try_concat().await.expect("no page is broken");
            placed.extend(positions.into_iter().zip(share).map(|(at, blob)| (at, blob.name.to_string())));
        }
        placed.sort();
        assert_eq!(placed, (0..100).map(|at| (at, format!("{at:03}"))).collect::<Vec<_>>());
    }
}

//! The totals of a run.

use serde::{Deserialize, Serialize};

use super::{Asset, Verdict};

/// The totals of a run. `listed` is always the sum of the four verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries of the listing.
    pub listed: u64,
    /// Of these, accepted.
    pub accepted: u64,
    /// Of these, rejected.
    pub rejected: u64,
    /// Of these, skipped.
    pub skipped: u64,
    /// Of these, not judged.
    pub unknown: u64,
    /// Names that the source has but the run left out: by its [filter](super::Filter) or an ignore file. Not part of
    /// `listed`.
    #[serde(default)]
    pub excluded: u64,
    /// Accepted images.
    pub images: u64,
    /// Frames of the accepted videos.
    pub frames: u64,
    /// The sum of the listed sizes, in bytes.
    pub bytes_listed: u64,
    /// Bytes of content received.
    pub bytes_read: u64,
    /// Requests for content, counting every attempt.
    pub requests: u64,
    /// Of these, retries.
    pub retries: u64,
}

impl Totals {
    /// Counts an asset.
    pub fn add(&mut self, asset: &Asset) {
        self.listed += 1;
        match asset.verdict {
            Verdict::Accept => {
                self.accepted += 1;
                let (images, frames) = asset.counts();
                self.images = self.images.saturating_add(images);
                self.frames = self.frames.saturating_add(frames);
            }
            Verdict::Reject => self.rejected += 1,
            Verdict::Skip => self.skipped += 1,
            Verdict::Unknown => self.unknown += 1,
        }
        self.bytes_listed = self.bytes_listed.saturating_add(asset.blob.size);
        self.bytes_read = self.bytes_read.saturating_add(asset.reads.bytes);
        self.requests = self.requests.saturating_add(u64::from(asset.reads.requests));
        self.retries = self.retries.saturating_add(u64::from(asset.reads.retries));
    }

    /// Adds the totals of another run.
    pub(crate) fn add_all(&mut self, other: &Self) {
        let pairs = [
            (&mut self.listed, other.listed),
            (&mut self.accepted, other.accepted),
            (&mut self.rejected, other.rejected),
            (&mut self.skipped, other.skipped),
            (&mut self.unknown, other.unknown),
            (&mut self.excluded, other.excluded),
            (&mut self.images, other.images),
            (&mut self.frames, other.frames),
            (&mut self.bytes_listed, other.bytes_listed),
            (&mut self.bytes_read, other.bytes_read),
            (&mut self.requests, other.requests),
            (&mut self.retries, other.retries),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }

    /// Whether every listed entry has exactly one verdict.
    pub(crate) fn reconcile(&self) -> bool {
        self.listed == self.accepted + self.rejected + self.skipped + self.unknown
    }
}

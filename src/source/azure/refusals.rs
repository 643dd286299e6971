//! Tells one blob that is refused from a container in which nothing can be read any more.
//!
//! A service may refuse single blobs for good while all others can be read: because of a condition on blob tags, a
//! disabled encryption scope, or an access control list of a Data Lake. It may also refuse every read, because a token
//! has expired or a role is missing. The status and code are the same, so reading other blobs has to tell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::auth::Authorization;
use super::retry::Failed;
use super::{AzureSource, Cursor, Page, list_page, why};
use crate::model::{Access, Blob, BlobName, ByteRange, ReadError, Reads};
use crate::source::Depth;

/// Blobs refused in a row before others are tried, once a blob has been read: each trial costs requests.
const IN_A_ROW: u64 = 4;
/// The time between two trials.
const BETWEEN: Duration = Duration::from_secs(1);
/// Blobs that are tried, besides one that was read before.
const TRIED: usize = 64;
/// Blobs refused in a row that end a run in which none was ever read, unless fewer are all that there are: where only
/// one of ten can be read, fewer might all be refused by chance.
const NEVER_READ: u64 = 64;
/// Blobs that an error names.
const NAMED: usize = 3;
/// Blobs of a folder's first page among which one is chosen: a Data Lake lists the folder itself, too.
const FEW: u16 = 16;

/// What reads of a container have met so far. A successful read costs two loads of an atomic number.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Refused reads since the last successful one.
    in_a_row: AtomicU64,
    /// The first blob that was read.
    readable: OnceLock<Blob>,
    row: Mutex<Row>,
}

#[derive(Debug, Default)]
struct Row {
    /// Its first blobs.
    names: Vec<BlobName>,
    last_trial: Option<Instant>,
}

impl Refusals {
    /// A blob was read.
    pub(super) fn read(&self, blob: &Blob) {
        if self.readable.get().is_none() {
            let _ = self.readable.set(blob.clone());
        }
        if self.in_a_row.load(Ordering::Relaxed) > 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// A blob was refused. Returns whether others should be tried.
    fn refused(&self, blob: &Blob, now: Instant) -> bool {
        let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        // A panic elsewhere leaves the names intact.
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        if in_a_row == 1 {
            row.names.clear();
        }
        if row.names.len() < NAMED && !row.names.contains(&blob.name) {
            row.names.push(blob.name.clone());
        }
        let is_known = self.readable.get().is_some();
        let is_early = is_known && in_a_row < IN_A_ROW;
        let is_time = row.last_trial.is_none_or(|last| now.duration_since(last) >= BETWEEN);
        let is_due = !is_early && is_time || !is_known && in_a_row == NEVER_READ;
        if is_due {
            row.last_trial = Some(now);
        }
        is_due
    }

    fn in_a_row(&self) -> u64 {
        self.in_a_row.load(Ordering::Relaxed)
    }

    /// The blobs of the row, as an error names them.
    fn names(&self) -> String {
        let names = &self.row.lock().unwrap_or_else(PoisonError::into_inner).names;
        let shown: Vec<_> = names.iter().map(|name| format!("'{}'", name.as_str().escape_debug())).collect();
        match self.in_a_row().saturating_sub(names.len() as u64) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}

impl AzureSource {
    /// What it means that a blob was refused: a problem of this blob, or the end of the run if nothing can be read.
    pub(super) async fn refused(&self, blob: &Blob, failed: &Failed) -> ReadError {
        let is_due = self.refusals.refused(blob, Instant::now());
        if !self.has_expired() && (!is_due || self.is_anything_readable().await) {
            return ReadError::Refused(why(failed));
        }
        let error = self.explain(failed);
        let any_more = if self.refusals.readable.get().is_some() { " any more" } else { "" };
        let message = format!("{error}; nothing can be read{any_more}, from {} on", self.refusals.names());
        ReadError::Fatal(error.reworded(message))
    }

    /// Whether the SAS itself says that it has expired.
    fn has_expired(&self) -> bool {
        match &self.credential.authorization {
            Authorization::Sas(sas) => sas.expires().is_some_and(|end| end <= Timestamp::now()),
            _ => false,
        }
    }

    /// Whether anything can be read. Without enough evidence against it, the answer is yes.
    async fn is_anything_readable(&self) -> bool {
        // None in a row: a read that was under way has succeeded meanwhile. Whether that still holds, a second trial
        // tells.
        self.trial().await || self.refusals.in_a_row() == 0 && self.trial().await
    }

    /// Tries to read a blob that was read before, then others. Returns whether one was read, or too few were tried.
    async fn trial(&self) -> bool {
        let known = self.refusals.readable.get();
        if let Some(blob) = known
            && !self.is_refused(blob).await
        {
            return true;
        }
        let Sample { blobs, is_all } = match self.sample(TRIED).await {
            Ok(sample) => sample,
            // The credential may allow reading, but not listing.
            Err(failed) if failed.failure.is_refusal() => Sample { blobs: Vec::new(), is_all: false },
            // A service that fails for another reason says nothing about permissions.
            Err(_) => return true,
        };
        let refused = join_all(blobs.iter().map(|blob| self.is_refused(blob))).await;
        let is_certain = known.is_some() || is_all || self.refusals.in_a_row() >= NEVER_READ;
        refused.contains(&false) || !is_certain
    }

    async fn is_refused(&self, blob: &Blob) -> bool {
        match self.try_range(blob, ByteRange::new(0, 1), &mut Reads::default()).await {
            Ok(_) => {
                self.refusals.read(blob);
                false
            }
            Err(failed) => failed.failure.is_refusal(),
        }
    }

    /// Up to `most` blobs with content, spread over the names under the prefix if they are on one page, else from
    /// different folders if there are any.
    pub(super) async fn sample(&self, most: usize) -> Result<Sample, Failed> {
        let has_content = |blob: &Blob| blob.access == Access::Online && blob.size > 0;
        let from = Cursor::new(self.url.prefix(), list_page::MAX_BLOBS);
        let Page { blobs: mut top, next } = self.page(&from).await?;
        if next.is_some() {
            top = self.page(&from.with_depth(Depth::Direct)).await?.blobs;
        }
        top.retain(|blob| blob.access == Access::NotEntered || has_content(blob));
        let is_all = next.is_none() && top.len() <= most;
        let step = top.len().saturating_sub(1).div_ceil(most.saturating_sub(1).max(1)).max(1);
        let one = async |blob: Blob| {
            if blob.access != Access::NotEntered {
                return Ok(Some(blob));
            }
            let from = Cursor::new(blob.name.as_str(), FEW).with_depth(Depth::All);
            Ok(self.page(&from).await?.blobs.into_iter().find(has_content))
        };
        let found = join_all(top.into_iter().step_by(step).take(most).map(one)).await;
        let blobs = found.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok(Sample { blobs, is_all })
    }
}

/// Some blobs of a container.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) blobs: Vec<Blob>,
    /// Whether there are no others.
    is_all: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: &str) -> Blob {
        let name = BlobName::new(name);
        let (access, declared) = (Access::Online, Default::default());
        Blob { name, size: 1, etag: None, last_modified: None, access, declared }
    }

    #[test]
    fn others_are_tried_at_first_or_after_some_in_a_row_and_not_too_often() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        assert!(refusals.refused(&blob("a"), begun), "nothing was ever read");
        assert!(!refusals.refused(&blob("b"), begun));
        refusals.read(&blob("c"));
        let later = begun + BETWEEN;
        for _ in 1..IN_A_ROW {
            assert!(!refusals.refused(&blob("d"), later));
        }
        assert!(refusals.refused(&blob("e"), later));
        assert!(!refusals.refused(&blob("f\n"), later + BETWEEN / 2));
        assert!(refusals.refused(&blob("g"), later + BETWEEN));
        assert_eq!(refusals.names(), format!("'d', 'e', 'f\\n' and {} more", IN_A_ROW - 1));
    }
}

//! What of a container is on the platform: a file of names, versions and costs, and how a sync changes it.
//!
//! A plan takes about 17 bytes per asset, and such a file less. It is read and written a row group at a time, and looked
//! up by name in any order, so memory does not grow with the number of assets.

mod apply;
mod file;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::PlanReader;
use crate::files::lookup::Record;
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, BlobName, Cost, ETag, OnPlatform, Scope, Verdict};

pub use apply::{Applied, Merge, apply};
pub use file::{SyncedFile, SyncedWriter};

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedRow {
    /// The asset.
    pub asset: OnPlatform,
    /// Whether the plan that was applied last accepted it. Otherwise the plan left it as it was.
    pub is_own: bool,
}

/// The rows that a plan brings, with whole names and in the order of its listing.
pub fn rows_of<A: Iterator<Item = Result<Asset>>>(
    assets: A,
    scope: &Scope,
) -> impl Iterator<Item = Result<SyncedRow>> {
    let row = |asset: Asset| SyncedRow {
        asset: OnPlatform {
            name: BlobName::new(scope.whole_name(asset.blob.name.as_str())),
            etag: asset.blob.etag,
            cost: asset.cost,
        },
        is_own: asset.verdict == Verdict::Accept,
    };
    assets.map(move |asset| asset.map(row))
}

/// Writes what is on the platform according to a plan and, apart from its scope, to `base`, to `path`.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn of_plan(plan: &Path, scope: &Scope, base: Option<&Path>, path: &Path) -> Result<()> {
    let merge = Merge { scope, recounts: false, out: Some(path) };
    apply(rows_of(PlanReader::open(plan)?, scope), base, &merge).map(drop)
}

/// A row in a temporary file: own, images, frames, the length of the ETag and 1, or 0 without one, the ETag, the name.
impl Record for SyncedRow {
    fn name(&self) -> &str {
        self.asset.name.as_str()
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        let OnPlatform { name, etag, cost } = &self.asset;
        let etag = etag.as_ref().map(ETag::as_str);
        bytes.push(self.is_own.into());
        for number in [cost.images, cost.frames, etag.map_or(0, |etag| etag.len() as u64 + 1)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(etag.unwrap_or_default().as_bytes());
        bytes.extend_from_slice(name.as_str().as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (own, mut rest) = bytes.split_first()?;
        let mut number = || {
            let (number, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*number))
        };
        let (images, frames, len) = (number()?, number()?, number()?);
        let (etag, name) = rest.split_at_checked(usize::try_from(len.saturating_sub(1)).ok()?)?;
        let etag = std::str::from_utf8(etag).ok().filter(|_| len > 0);
        Some(row(std::str::from_utf8(name).ok()?, etag, Cost { images, frames }, *own == 1))
    }
}

fn row(name: &str, etag: Option<&str>, cost: Cost, is_own: bool) -> SyncedRow {
    let asset = OnPlatform { name: BlobName::new(name), etag: etag.map(ETag::unquoted), cost };
    SyncedRow { asset, is_own }
}

/// The error for a file that cannot be written.
fn not_written(path: &Path, why: &str) -> Error {
    Error::new(format!("cannot write '{}': {why}", path.display()))
        .with_hint("check that the disk has space and that you may write to the folder")
}

/// The error for a file that cannot be read.
fn not_read(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("cannot read what is known to be synced in '{}': {}", path.display(), reason(error)))
        .with_hint("restore the file from a backup, or start over: presync quota forget --help")
}

/// The error for a file that presync did not write like this.
fn damaged(path: &Path, fault: &str) -> Error {
    Error::new(format!("what is known to be synced in '{}' is damaged: {fault}", path.display()))
        .with_hint("restore the file from a backup, or start over: presync quota forget --help")
}

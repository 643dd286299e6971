//! What of a container is on the platform: a sorted file, and the ways to look it up and to bring it up to date.
//!
//! A plan takes about 17 bytes per asset; such a file takes less, because it has only names, versions and costs. It is
//! read and written a row group at a time, so memory does not grow with the number of assets.

mod apply;
mod file;
mod lookup;
mod sort;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::PlanReader;
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, BlobName, Cost, ETag, OnPlatform, Scope, Verdict};

pub use apply::{Applied, Merge, apply};
pub use file::{SyncedFile, SyncedWriter};
pub use lookup::SyncedLookup;

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedRow {
    /// The asset.
    pub asset: OnPlatform,
    /// Whether the plan that was applied last accepted it. Otherwise the plan left it as it was.
    pub is_own: bool,
}

/// Rows by name, each name once.
pub type SyncedRows = Box<dyn Iterator<Item = Result<SyncedRow>> + Send>;

/// The rows that a plan brings, with whole names and in the order of its listing.
fn rows_of(assets: impl Iterator<Item = Result<Asset>> + Send + 'static, scope: Scope) -> SyncedRows {
    let row = move |asset: Asset| SyncedRow {
        asset: OnPlatform {
            name: BlobName::new(scope.whole_name(asset.blob.name.as_str())),
            etag: asset.blob.etag,
            cost: asset.cost,
        },
        is_own: asset.verdict == Verdict::Accept,
    };
    Box::new(assets.map(move |asset| asset.map(&row)))
}

/// Brings `base` up to date with a plan, whose sync has the given scope, and passes the result to `merge`. `open` opens
/// the assets of the plan; it is called again if they are not in name order, and then they are sorted on disk.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn apply_plan<A: Iterator<Item = Result<Asset>> + Send + 'static>(
    open: impl Fn() -> Result<A>,
    base: Option<&Path>,
    mut merge: Merge<'_>,
) -> Result<Applied> {
    let base = || base.map(SyncedFile::open).transpose();
    let scope = merge.scope.clone();
    match apply(rows_of(open()?, scope.clone()), base()?, &mut merge)? {
        Some(applied) => Ok(applied),
        None => {
            let sorted = sort::sorted(rows_of(open()?, scope))?;
            let applied = apply(sorted, base()?, &mut merge)?;
            applied.ok_or_else(|| Error::new("the plan's assets cannot be sorted"))
        }
    }
}

/// What is on the platform according to a plan and, apart from its scope, to `base`; in a temporary file at `path`.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn of_plan(plan: &Path, scope: &Scope, base: Option<&Path>, path: &Path) -> Result<()> {
    let merge = Merge { scope, recounts: false, out: Some(path) };
    apply_plan(|| PlanReader::open(plan), base, merge).map(drop)
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

/// An amount as a column holds it.
fn unsigned(amount: i64) -> u64 {
    u64::try_from(amount).unwrap_or(0)
}

fn row(name: &str, etag: Option<&str>, images: i64, frames: i64, is_own: bool) -> SyncedRow {
    let cost = Cost { images: unsigned(images), frames: unsigned(frames) };
    let asset = OnPlatform { name: BlobName::new(name), etag: etag.map(ETag::unquoted), cost };
    SyncedRow { asset, is_own }
}

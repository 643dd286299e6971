//! Brings what is on the platform up to date with a sync.

use std::path::Path;

use super::{SyncedFile, SyncedRow, SyncedWriter};
use crate::files::lookup::Record;
use crate::model::error::Result;
use crate::model::{Cost, OnPlatform, Scope, Standing, SyncState};

/// A sync, and where to write its result.
pub struct Merge<'a> {
    /// What the sync lists.
    pub scope: &'a Scope,
    /// Whether the platform counts a changed asset as a whole again.
    pub recounts: bool,
    /// The file to write; `None` to only count.
    pub out: Option<&'a Path>,
}

/// The effect of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// What it adds to what is used.
    pub charge: Cost,
    /// What it gives back if the quota is a stock: what is gone, and what changed assets cost less.
    pub returned: Cost,
    /// Assets in its scope that are on the platform afterwards.
    pub assets: u64,
    /// What these cost.
    pub cost: Cost,
}

/// Merges the rows of a sync, in any order, into those in the file `base`.
///
/// * What the sync accepts is there afterwards, with the cost at which it was counted.
/// * What it lists but does not accept stays as it was.
/// * What is in its scope but not listed is gone.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn apply(
    rows: impl Iterator<Item = Result<SyncedRow>>,
    base: Option<&Path>,
    merge: &Merge<'_>,
) -> Result<Applied> {
    let mut out = merge.out.map(SyncedWriter::create).transpose()?;
    let mut base = base.map(SyncedFile::open).transpose()?.map(SyncedFile::lookup);
    let mut applied = Applied::default();
    let mut put = |row: &SyncedRow, applied: &mut Applied| {
        if merge.scope.has(row.name()) {
            applied.assets += 1;
            applied.cost.add(row.asset.cost);
        }
        out.as_mut().map_or(Ok(()), |out| out.add(row))
    };
    for row in rows {
        let row = row?;
        let before = match &mut base {
            Some(base) => base.find(&row.asset.name)?,
            None => None,
        };
        if let Some(row) = settle(row, before.map(|before| before.asset), merge.recounts, &mut applied) {
            put(&row, &mut applied)?;
        }
    }
    let mut kept = Ok(());
    if let Some(base) = base {
        base.finish(|row| match merge.scope.has(row.name()) {
            true => applied.returned.add(row.asset.cost),
            false if kept.is_ok() => kept = put(&SyncedRow { is_own: false, ..row }, &mut applied),
            false => {}
        })?;
    }
    kept?;
    out.map_or(Ok(()), SyncedWriter::finish)?;
    Ok(applied)
}

/// What is there afterwards under a name that the sync lists.
fn settle(
    row: SyncedRow,
    before: Option<OnPlatform>,
    recounts: bool,
    applied: &mut Applied,
) -> Option<SyncedRow> {
    if !row.is_own {
        return before.map(|asset| SyncedRow { asset, is_own: false });
    }
    let cost = row.asset.cost;
    let standing = Standing::of(before.as_ref(), row.asset.etag.as_ref(), cost, recounts);
    applied.charge.add(standing.charge);
    applied.returned.add(standing.returns(before.as_ref(), cost, recounts));
    match before {
        Some(asset) if standing.state == SyncState::Unchanged => Some(SyncedRow { asset, is_own: true }),
        _ => Some(row),
    }
}

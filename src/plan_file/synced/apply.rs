//! Brings what is on the platform up to date with a sync.

use std::cmp::Ordering;
use std::path::Path;

use super::{SyncedFile, SyncedRow, SyncedRows, SyncedWriter};
use crate::model::error::Result;
use crate::model::{Cost, Scope, Standing, SyncState};

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

/// Merges the rows of a sync into those on the platform. `None` if the rows of the sync are not in name order; nothing
/// is written then.
///
/// * What the sync accepts is there afterwards, with the cost at which it was counted.
/// * What it lists but does not accept stays as it was.
/// * What is in its scope but not listed is gone.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn apply(rows: SyncedRows, base: Option<SyncedFile>, merge: &mut Merge<'_>) -> Result<Option<Applied>> {
    let mut out = merge.out.map(SyncedWriter::create).transpose()?;
    let mut applied = Applied::default();
    let mut put = |row: SyncedRow, applied: &mut Applied| {
        if merge.scope.has(row.asset.name.as_str()) {
            applied.assets += 1;
            applied.cost.add(row.asset.cost);
        }
        out.as_mut().map_or(Ok(()), |out| out.add(&row))
    };
    let mut base = base.into_iter().flat_map(SyncedFile::rows).peekable();
    let mut last: Option<SyncedRow> = None;
    for row in rows {
        let row = row?;
        match last.as_ref().map(|last| last.asset.name.cmp(&row.asset.name)) {
            None | Some(Ordering::Less) => {}
            // A listing has each name once; of a plan that does not, the first one counts.
            Some(Ordering::Equal) => continue,
            Some(Ordering::Greater) => return Ok(None),
        }
        let is_due = |before: &Result<SyncedRow>| {
            before.as_ref().map_or(true, |before| before.asset.name <= row.asset.name)
        };
        let mut before = None;
        while let Some(found) = base.next_if(is_due) {
            let found = found?;
            match found.asset.name == row.asset.name {
                true => before = Some(found),
                false => pass(found, merge.scope, &mut applied, &mut put)?,
            }
        }
        if let Some(row) = settle(&row, before, merge.recounts, &mut applied) {
            put(row, &mut applied)?;
        }
        last = Some(row);
    }
    for rest in base {
        pass(rest?, merge.scope, &mut applied, &mut put)?;
    }
    out.map_or(Ok(()), SyncedWriter::finish)?;
    Ok(Some(applied))
}

/// A row under a name that the sync does not list.
fn pass(
    row: SyncedRow,
    scope: &Scope,
    applied: &mut Applied,
    put: &mut impl FnMut(SyncedRow, &mut Applied) -> Result<()>,
) -> Result<()> {
    if scope.has(row.asset.name.as_str()) {
        applied.returned.add(row.asset.cost);
        return Ok(());
    }
    put(SyncedRow { is_own: false, ..row }, applied)
}

/// What is there afterwards under a name that the sync lists.
fn settle(
    row: &SyncedRow,
    before: Option<SyncedRow>,
    recounts: bool,
    applied: &mut Applied,
) -> Option<SyncedRow> {
    if !row.is_own {
        return before.map(|before| SyncedRow { is_own: false, ..before });
    }
    let before = before.map(|before| before.asset);
    let cost = row.asset.cost;
    let standing = Standing::of(before.as_ref(), row.asset.etag.as_ref(), cost, recounts);
    applied.charge.add(standing.charge);
    applied.returned.add(standing.returns(before.as_ref(), cost, recounts));
    match before {
        Some(asset) if standing.state == SyncState::Unchanged => Some(SyncedRow { asset, is_own: true }),
        _ => Some(row.clone()),
    }
}

//! Compares assets with what is on the platform.

use std::borrow::Cow;
use std::path::Path;

use crate::model::error::Result;
use crate::model::{Asset, BlobName, Cost, Gone, Kind, Scope, Standing, Verdict};
use crate::plan::MAX_NAMED;
use crate::plan_file::synced::{SyncedFile, SyncedRow};
use crate::plan_file::{Lookup, Record};
use crate::rules::Profile;

/// What is on the platform already, as far as that is known.
pub struct Synced {
    /// `None` if nothing is.
    lookup: Option<Lookup<SyncedRow>>,
    scope: Scope,
    sources: Vec<String>,
    returned: Cost,
}

/// What a listing that has ended shows of what is on the platform.
pub(super) struct Ended {
    pub(super) sources: Vec<String>,
    pub(super) gone: Gone,
    /// What changed assets cost less than before.
    pub(super) returned: Cost,
}

impl Synced {
    /// Compares with the file at `path`; without one, nothing is on the platform. `scope` is that of the listing, and
    /// `sources` are those through which it was synced.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn new(path: Option<&Path>, scope: Scope, sources: Vec<String>) -> Result<Self> {
        let lookup = path.map(SyncedFile::open).transpose()?.map(SyncedFile::lookup);
        Ok(Self { lookup, scope, sources, returned: Cost::default() })
    }

    /// Whether nothing is on the platform.
    pub(super) fn is_empty(&self) -> bool {
        self.lookup.is_none()
    }

    /// Says of the next asset in the listing what a sync of it would add.
    pub(super) fn compare(&mut self, asset: &mut Asset, profile: &Profile) -> Result<()> {
        // Every blob is looked up: one that is listed is not gone, even if it isn't an asset any more.
        let before = match (&mut self.lookup, self.scope.whole_name(asset.blob.name.as_str())) {
            (None, _) => None,
            (Some(lookup), Cow::Borrowed(_)) => lookup.find(&asset.blob.name)?,
            (Some(lookup), Cow::Owned(name)) => lookup.find(&BlobName::new(name))?,
        };
        let before = before.as_ref().map(|before| &before.asset);
        if asset.kind == Kind::Other || (asset.verdict == Verdict::Skip && before.is_none()) {
            return Ok(());
        }
        let recounts = profile.quota.recounts_changed;
        let standing = Standing::of(before, asset.blob.etag.as_ref(), asset.cost, recounts);
        if asset.verdict == Verdict::Accept {
            self.returned.add(standing.returns(before, asset.cost, recounts));
        }
        asset.synced = Some(standing);
        Ok(())
    }

    /// Ends the listing; one that is incomplete does not show what is gone.
    pub(super) fn finish(self, is_complete: bool) -> Result<Ended> {
        let mut gone = Gone::default();
        if let Some(lookup) = self.lookup.filter(|_| is_complete) {
            lookup.finish(|row| {
                if self.scope.has(row.name()) {
                    gone.count += 1;
                    gone.cost.add(row.asset.cost);
                    if gone.names.len() < MAX_NAMED {
                        gone.names.push(row.asset.name);
                    }
                }
            })?;
        }
        Ok(Ended { sources: self.sources, gone, returned: self.returned })
    }
}

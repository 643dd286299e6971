//! Compares an earlier plan with a listing.

use std::iter::Peekable;

use crate::model::error::Result;
use crate::model::{Asset, BlobName};

/// The assets of an earlier plan, merged with a listing. Both are in name order.
///
/// * Each asset is returned once: by its name, or as one that is no longer listed.
/// * If a listing is not in byte order, names that come too late are not found. This causes extra reads, but no wrong
///   verdicts.
pub struct Earlier<I: Iterator> {
    assets: Peekable<I>,
}

impl<I: Iterator<Item = Result<Asset>>> Earlier<I> {
    /// Wraps the assets of a plan, which must be in name order.
    pub fn new(assets: I) -> Self {
        Self { assets: assets.peekable() }
    }

    /// Returns the asset with this name, if there is one. Assets before it are passed to `removed`.
    ///
    /// # Errors
    /// Returns an error if the plan cannot be read.
    pub fn take(&mut self, name: &BlobName, mut removed: impl FnMut(Asset)) -> Result<Option<Asset>> {
        let is_due = |asset: &Result<Asset>| asset.as_ref().map_or(true, |asset| asset.blob.name <= *name);
        while let Some(asset) = self.assets.next_if(is_due) {
            let asset = asset?;
            if asset.blob.name == *name {
                return Ok(Some(asset));
            }
            removed(asset);
        }
        Ok(None)
    }

    /// Ends the listing: the remaining assets are passed to `removed`.
    ///
    /// # Errors
    /// Returns an error if the plan cannot be read.
    pub fn finish(self, mut removed: impl FnMut(Asset)) -> Result<()> {
        for asset in self.assets {
            removed(asset?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Error;
    use crate::model::{Blob, Cost, Facts, Format, Kind, Reads, Verdict};

    fn asset(name: &str) -> Asset {
        Asset {
            blob: Blob::not_entered(name),
            kind: Kind::Other,
            facts: Facts::of(Format::Unknown),
            verdict: Verdict::Skip,
            cost: Cost::default(),
            synced: None,
            findings: Vec::new(),
            skipped: None,
            reads: Reads::default(),
        }
    }

    #[test]
    fn a_listing_finds_what_is_still_there() {
        let mut earlier = Earlier::new(["a", "b", "d", "e", "f"].map(|name| Ok(asset(name))).into_iter());
        let (mut found, mut removed) = (Vec::new(), Vec::new());
        for name in ["a", "c", "d", "e"] {
            let name = BlobName::new(name);
            let asset = earlier.take(&name, |asset| removed.push(asset.blob.name)).expect("it can be read");
            found.push(asset.map(|asset| asset.blob.name));
        }
        earlier.finish(|asset| removed.push(asset.blob.name)).expect("it can be read");
        assert_eq!(found, ["a", "-", "d", "e"].map(|name| (name != "-").then(|| BlobName::new(name))));
        assert_eq!(removed, ["b", "f"].map(BlobName::new));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_at_its_place() {
        let mut earlier = Earlier::new([Ok(asset("a")), Err(Error::new("damaged"))].into_iter());
        let mut take = |name: &str| earlier.take(&BlobName::new(name), drop);
        assert!(take("a").is_ok_and(|asset| asset.is_some()));
        assert!(take("b").is_err());
    }
}

//! The differences between an earlier plan and the current listing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Access, Asset, Blob, BlobName, Code};

/// The most names kept for each kind of change.
pub const MAX_NAMED: usize = 5;
/// The most fixed findings that are named, and the most bytes of their names: an audit keeps them for every container.
pub const MAX_FIXED: usize = 100;
const MAX_FIXED_BYTES: usize = 16 << 10;

/// Entries added, removed and changed since an earlier plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The earlier plan's id.
    pub plan: String,
    /// When the run of the earlier plan began.
    pub since: Timestamp,
    /// Assets that it accepted.
    pub accepted_before: u64,
    /// Image quota used by these.
    pub images_before: u64,
    /// Frame quota used by these.
    pub frames_before: u64,
    /// New entries.
    pub added: ChangeGroup,
    /// Entries whose content differs.
    pub changed: ChangeGroup,
    /// Entries that are no longer listed.
    pub removed: ChangeGroup,
    /// Entries that have not changed.
    pub unchanged: u64,
    /// Of these, read again because the earlier plan lacks facts.
    pub read_again: u64,
    /// The changes of findings; `None` in plans that do not have them.
    #[serde(default)]
    pub findings: Option<FindingChanges>,
}

/// Entries with the same kind of change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeGroup {
    /// The number of entries.
    pub count: u64,
    /// The first names in listing order, at most [`MAX_NAMED`].
    pub names: Vec<BlobName>,
}

impl ChangeGroup {
    /// Counts an entry.
    pub fn add(&mut self, name: &BlobName) {
        self.count += 1;
        if self.names.len() < MAX_NAMED {
            self.names.push(name.clone());
        }
    }
}

/// Findings that are new, unchanged and fixed since an earlier plan. A finding is one of a rule and an asset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingChanges {
    /// By rule.
    pub by_code: BTreeMap<Code, FindingCounts>,
    /// The first fixed ones, at most [`MAX_FIXED`]: of listed assets in listing order, then of those that are gone.
    pub fixed: Vec<FixedFinding>,
}

/// Findings by how they changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCounts {
    /// Findings that the earlier plan does not have.
    pub new: u64,
    /// Findings that it has, too.
    pub unchanged: u64,
    /// Its findings that are gone.
    pub fixed: u64,
}

/// A finding of the earlier plan that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedFinding {
    /// The asset.
    pub name: BlobName,
    /// The rule.
    pub code: Code,
    /// Whether the asset itself is gone.
    pub is_gone: bool,
}

impl FindingCounts {
    fn add(&mut self, other: Self) {
        self.new += other.new;
        self.unchanged += other.unchanged;
        self.fixed += other.fixed;
    }
}

impl FindingChanges {
    /// Counts the findings of an asset of the listing.
    pub(crate) fn add(&mut self, asset: &Asset) {
        let Some(earlier) = asset.earlier else { return };
        for code in asset.codes().iter() {
            let counts = self.by_code.entry(code).or_default();
            *(if earlier.contains(code) { &mut counts.unchanged } else { &mut counts.new }) += 1;
        }
        asset.fixed().iter().for_each(|code| self.add_fixed(&asset.blob.name, code, false));
    }

    /// Counts the findings of an asset of the earlier plan that is no longer listed.
    pub(crate) fn add_gone(&mut self, earlier: &Asset) {
        earlier.codes().iter().for_each(|code| self.add_fixed(&earlier.blob.name, code, true));
    }

    fn add_fixed(&mut self, name: &BlobName, code: Code, is_gone: bool) {
        self.by_code.entry(code).or_default().fixed += 1;
        self.name_fixed(FixedFinding { name: name.clone(), code, is_gone });
    }

    fn name_fixed(&mut self, fixed: FixedFinding) {
        let bytes: usize = self.fixed.iter().map(|fixed| fixed.name.as_str().len()).sum();
        if self.fixed.len() < MAX_FIXED && bytes + fixed.name.as_str().len() <= MAX_FIXED_BYTES {
            self.fixed.push(fixed);
        }
    }

    /// Counts findings that the earlier plan cannot have.
    pub(crate) fn add_new(&mut self, findings: &[(Code, u64)]) {
        for (code, count) in findings {
            self.by_code.entry(*code).or_default().new += count;
        }
    }

    /// Adds those of other assets.
    pub(crate) fn add_all(&mut self, other: Self) {
        for (code, counts) in other.by_code {
            self.by_code.entry(code).or_default().add(counts);
        }
        other.fixed.into_iter().for_each(|fixed| self.name_fixed(fixed));
    }

    /// All rules together.
    pub fn counts(&self) -> FindingCounts {
        let mut sum = FindingCounts::default();
        self.by_code.values().for_each(|counts| sum.add(*counts));
        sum
    }
}

/// Whether the content of an entry is unchanged. Without an ETag this is unknown, so only entries without content count
/// as unchanged.
pub fn is_unchanged(earlier: &Blob, now: &Blob) -> bool {
    let same = (&earlier.etag, earlier.size, &earlier.access) == (&now.etag, now.size, &now.access);
    same && (now.etag.is_some() || now.access != Access::Online)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ETag;

    #[test]
    fn the_version_tells_what_is_unchanged() {
        let blob = |etag: Option<&str>, size, access| Blob {
            name: BlobName::new("a"),
            size,
            etag: etag.map(ETag::new),
            last_modified: None,
            access,
            declared: Default::default(),
        };
        let first = blob(Some("1"), 5, Access::Online);
        assert!(is_unchanged(&first, &first));
        for other in [blob(Some("2"), 5, Access::Online), blob(Some("1"), 5, Access::Archived)] {
            assert!(!is_unchanged(&first, &other));
        }
        let unversioned = blob(None, 5, Access::Online);
        assert!(!is_unchanged(&unversioned, &unversioned));
        assert!(is_unchanged(&Blob::not_entered("a/"), &Blob::not_entered("a/")));
    }

    #[test]
    fn a_group_names_its_first_entries() {
        let mut group = ChangeGroup::default();
        (0..9).for_each(|number| group.add(&BlobName::new(number.to_string())));
        assert_eq!((group.count, group.names.len()), (9, MAX_NAMED));
    }
}

//! The differences between an earlier plan and the current listing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Access, Blob, BlobName};

/// The most names kept for each kind of change.
pub const MAX_NAMED: usize = 5;

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

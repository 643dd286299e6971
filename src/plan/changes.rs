//! What differs between an earlier plan and the listing of now.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Access, Blob, BlobName};

/// Names that are given for each kind of change.
pub const MAX_NAMED: usize = 5;

/// What came, went and changed since an earlier plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The earlier plan's id.
    pub plan: String,
    /// When the run that it is of began.
    pub since: Timestamp,
    /// Assets that it accepted.
    pub accepted_before: u64,
    /// Images that these use.
    pub images_before: u64,
    /// Frames that these use.
    pub frames_before: u64,
    /// Entries that were not there.
    pub added: ChangeGroup,
    /// Entries whose content differs.
    pub changed: ChangeGroup,
    /// Entries that are gone.
    pub removed: ChangeGroup,
    /// Entries that are the same.
    pub unchanged: u64,
    /// Of these, read again all the same, because the earlier plan lacks facts.
    pub read_again: u64,
}

/// Entries that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeGroup {
    /// How many there are.
    pub count: u64,
    /// The first of them in listing order, [`MAX_NAMED`] at most.
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

/// Whether an entry's content is unchanged. Without an ETag that is unknown, unless there is no content.
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

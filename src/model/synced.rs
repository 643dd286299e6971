//! What of a source is on the platform already, and what a sync therefore costs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{BlobName, Cost, ETag, Filter};

/// The blobs that a source lists, in a form in which sources can be compared.
///
/// * `container` is the same for every way to name a container; all folders of this machine share one.
/// * `prefix` begins the whole name of each blob: its name in the container, or a file's absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The container, or [`FOLDERS`](Self::FOLDERS).
    pub container: String,
    /// What whole names begin with.
    pub prefix: String,
    /// Whether names with a `/` after the prefix are listed too.
    pub recursive: bool,
    /// Which of these names are listed. In a folder, it is compared with names after the prefix.
    pub filter: Filter,
}

impl Scope {
    /// The container of all folders of this machine.
    pub const FOLDERS: &'static str = "file://";

    /// The whole name of a listed blob. The names in a folder are relative to it.
    pub fn whole_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.container == Self::FOLDERS {
            true => Cow::Owned(format!("{}{name}", self.prefix)),
            false => Cow::Borrowed(name),
        }
    }

    /// Whether the source would list the blob with this whole name.
    pub fn has(&self, name: &str) -> bool {
        name.strip_prefix(&self.prefix).is_some_and(|rest| {
            let listed = if self.container == Self::FOLDERS { rest } else { name };
            (self.recursive || !rest.contains('/')) && self.filter.keeps(listed)
        })
    }

    /// Whether both could list the same blob.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (one, other_prefix) = (&self.prefix, &other.prefix);
        self.container == other.container && (one.starts_with(other_prefix) || other_prefix.starts_with(one))
    }

    /// Whether the other one lists every blob of this one.
    pub fn is_within(&self, other: &Self) -> bool {
        let is_same = self.prefix == other.prefix && self.recursive == other.recursive;
        let is_below = other.recursive && self.prefix.starts_with(&other.prefix);
        // Patterns for names in a folder mean something else in another folder.
        let is_same_filter =
            self.filter == other.filter && (self.prefix == other.prefix || self.container != Self::FOLDERS);
        let has_names = other.filter.is_empty() || is_same_filter;
        self.container == other.container && (is_same || is_below) && has_names
    }
}

/// An asset that is on the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnPlatform {
    /// Its whole name.
    pub name: BlobName,
    /// The version that was synced.
    pub etag: Option<ETag>,
    /// What it was counted as.
    pub cost: Cost,
}

/// How an asset compares with what is on the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncState {
    /// It is not there.
    New,
    /// A different version is there, or one whose version is unknown.
    Changed,
    /// This version is there.
    Unchanged,
}

impl SyncState {
    /// Every state.
    pub const ALL: &[Self] = &[Self::New, Self::Changed, Self::Unchanged];

    /// `new`, `changed` or `unchanged`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What a sync of an asset would add to what is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How it compares with what is on the platform.
    pub state: SyncState,
    /// What a sync of it uses of the quota.
    pub charge: Cost,
}

impl Standing {
    /// Compares an asset with what is on the platform under its name. `recounts` is whether a changed asset costs its
    /// whole cost again; otherwise only what it costs more than before.
    pub fn of(before: Option<&OnPlatform>, etag: Option<&ETag>, cost: Cost, recounts: bool) -> Self {
        match before {
            None => Self { state: SyncState::New, charge: cost },
            // Without an ETag it is unknown which version is there.
            Some(before) if etag.is_some() && before.etag.as_ref() == etag => {
                Self { state: SyncState::Unchanged, charge: Cost::default() }
            }
            Some(_) if recounts => Self { state: SyncState::Changed, charge: cost },
            Some(before) => Self { state: SyncState::Changed, charge: cost.beyond(before.cost) },
        }
    }

    /// What a sync of it gives back if the quota is a stock: what the version there cost more.
    pub fn returns(self, before: Option<&OnPlatform>, cost: Cost, recounts: bool) -> Cost {
        match before {
            Some(before) if self.state == SyncState::Changed && !recounts => before.cost.beyond(cost),
            _ => Cost::default(),
        }
    }
}

impl Cost {
    /// How much it is more than `other`, separately for images and frames.
    pub fn beyond(self, other: Self) -> Self {
        Self {
            images: self.images.saturating_sub(other.images),
            frames: self.frames.saturating_sub(other.frames),
        }
    }

    /// Adds another cost.
    pub fn add(&mut self, other: Self) {
        self.images = self.images.saturating_add(other.images);
        self.frames = self.frames.saturating_add(other.frames);
    }

    /// Whether it costs nothing.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// The accepted assets of a run, compared with what is on the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTotals {
    /// The sources through which it came there, as known.
    pub sources: Vec<String>,
    /// Accepted assets that a sync would add.
    pub new: u64,
    /// Accepted assets of which another version is there.
    pub changed: u64,
    /// Accepted assets that are there.
    pub unchanged: u64,
    /// What is there under the name of a blob that is no longer accepted. It stays.
    pub kept: u64,
    /// What is there, but no longer listed.
    pub gone: Gone,
    /// What the accepted assets use of the quota.
    pub charge: Cost,
    /// What of a stock a sync gives back.
    pub returned: Cost,
}

impl SyncTotals {
    /// Counts an accepted asset.
    pub(crate) fn add(&mut self, state: SyncState, charge: Cost) {
        *match state {
            SyncState::New => &mut self.new,
            SyncState::Changed => &mut self.changed,
            SyncState::Unchanged => &mut self.unchanged,
        } += 1;
        self.charge.add(charge);
    }
}

/// Assets on the platform that are no longer listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// How many.
    pub count: u64,
    /// The first few names.
    pub names: Vec<BlobName>,
    /// What they cost.
    pub cost: Cost,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(prefix: &str, recursive: bool) -> Scope {
        Scope {
            container: "media/cams".to_owned(),
            prefix: prefix.to_owned(),
            recursive,
            filter: Filter::default(),
        }
    }

    #[test]
    fn a_prefix_is_within_what_it_begins_with() {
        let (all, cam1, cam10, flat) =
            (scope("", true), scope("cam1", true), scope("cam10/", true), scope("", false));
        assert!(cam1.is_within(&all) && cam10.is_within(&cam1) && all.is_within(&all));
        assert!(!all.is_within(&cam1) && !cam1.is_within(&flat) && flat.is_within(&all));
        assert!(all.overlaps(&cam10) && cam10.overlaps(&all) && !scope("a", true).overlaps(&cam1));
        assert!(flat.has("a.jpg") && !flat.has("a/b.jpg") && cam1.has("cam10/b.jpg") && !cam1.has("cam"));
        let other = Scope { container: "media/other".to_owned(), ..all.clone() };
        assert!(!other.overlaps(&all) && !other.is_within(&all));
    }

    #[test]
    fn a_filter_leaves_names_out_of_a_source() {
        let globs = vec![crate::model::Glob::parse("cam1/*.jpg").expect("a pattern")];
        let filter = Filter::new(globs, Vec::new()).expect("it is one");
        let all = scope("", true);
        let some = Scope { filter: filter.clone(), ..all.clone() };
        let below = Scope { filter: filter.clone(), ..scope("cam1", true) };
        assert!(some.has("cam1/a.jpg") && below.has("cam1/a.jpg") && !some.has("cam1/a.png"));
        assert!(some.is_within(&all) && below.is_within(&some) && !all.is_within(&some));

        let folder = |prefix: &str| Scope {
            container: Scope::FOLDERS.to_owned(),
            filter: filter.clone(),
            ..scope(prefix, true)
        };
        let (data, deeper) = (folder("/data/"), folder("/data/x/"));
        assert!(
            data.has("/data/cam1/a.jpg")
                && !data.has("/data/x/cam1/a.jpg")
                && deeper.has("/data/x/cam1/a.jpg")
        );
        assert!(data.is_within(&data) && !deeper.is_within(&data));
    }

    #[test]
    fn only_what_a_sync_adds_is_charged() {
        let cost = |frames| Cost { images: 0, frames };
        let before = OnPlatform { name: BlobName::new("a"), etag: Some(ETag::new("1")), cost: cost(60) };
        let (same, other) = (ETag::new("1"), ETag::new("2"));
        for (before, etag, now, recounts, state, charge, returns) in [
            (None, Some(&same), 60, true, SyncState::New, 60, 0),
            (Some(&before), Some(&same), 90, true, SyncState::Unchanged, 0, 0),
            (Some(&before), Some(&other), 90, true, SyncState::Changed, 90, 0),
            (Some(&before), Some(&other), 90, false, SyncState::Changed, 30, 0),
            (Some(&before), Some(&other), 40, false, SyncState::Changed, 0, 20),
            (Some(&before), None, 60, true, SyncState::Changed, 60, 0),
        ] {
            let standing = Standing::of(before, etag, cost(now), recounts);
            assert_eq!((standing.state, standing.charge), (state, cost(charge)));
            assert_eq!(standing.returns(before, cost(now), recounts), cost(returns));
        }
    }
}

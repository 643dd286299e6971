//! What is known of a run before its first asset.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Admit, Origin};
use crate::rules::Profile;

/// What plans, parts of plans and reports say of a run before its first asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Where the blobs come from.
    #[serde(rename = "source")]
    pub origin: Origin,
    /// A folder's absolute path, by which the plan finds it again from any working directory. `None` for a container,
    /// and for a path that is not UTF-8.
    pub root: Option<String>,
    /// The rules, whole, so that a change of them shows.
    pub profile: Arc<Profile>,
    /// Where the rules are from: a built-in profile's name, or the absolute path of a file.
    pub profile_from: String,
    /// The workspace of the ledger whose quota the assets were weighed against.
    pub workspace: Option<String>,
    /// The [version of the probe](crate::probe::VERSION) that found the facts; 0 where none did.
    pub probe_version: u32,
    /// Whether the listing went below the folders directly under the prefix.
    pub recursive: bool,
    /// Whether width and height were read even where the rules do not need them.
    pub dimensions: bool,
    /// In which order the quota was spent.
    pub admit: Admit,
    /// When the run began.
    pub begun: Timestamp,
}

impl RunHeader {
    /// The header of a run with default settings, which found no facts yet.
    pub fn new(origin: Origin, profile: Arc<Profile>, begun: Timestamp) -> Self {
        Self {
            origin,
            root: None,
            profile_from: profile.name.clone(),
            profile,
            workspace: None,
            probe_version: 0,
            recursive: true,
            dimensions: false,
            admit: Admit::Listing,
            begun,
        }
    }

    /// Whether two plans are of the same blobs, in the same order.
    pub fn lists_the_same(&self, other: &Self) -> bool {
        let of = |header: &Self| {
            let Origin { provider, location, prefix, .. } = &header.origin;
            let root = header.root.as_ref().unwrap_or(location);
            (provider.clone(), root.clone(), prefix.clone(), header.recursive)
        };
        of(self) == of(other)
    }
}

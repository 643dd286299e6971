//! The properties of a run that are known before its first asset.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Admit, Filter, Origin};
use crate::rules::Profile;

/// The header of plans, parts of plans and reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Where the blobs come from.
    #[serde(rename = "source")]
    pub origin: Origin,
    /// The connection through which the source was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The absolute path of a folder, so that a plan can find it from any working directory. `None` for a container,
    /// and for a path that is not UTF-8.
    pub root: Option<String>,
    /// The complete rules, so that changes to them can be detected.
    pub profile: Arc<Profile>,
    /// Where the rules come from: the name of a built-in profile, or the absolute path of a file. That file is for people
    /// to find; presync never opens it, because a plan may be someone else's.
    pub profile_from: String,
    /// The workspace in the ledger whose quota was used.
    pub workspace: Option<String>,
    /// The [version of the probe](crate::probe::VERSION) that found the facts; 0 if there are none.
    pub probe_version: u32,
    /// Whether the listing descended into folders.
    pub recursive: bool,
    /// Which names were listed.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
    /// Whether width and height were read even if the rules do not need them.
    pub dimensions: bool,
    /// The order in which the quota was spent.
    pub admit: Admit,
    /// When the run began.
    pub begun: Timestamp,
}

impl RunHeader {
    /// Creates the header of a run with default settings and no facts yet.
    pub fn new(origin: Origin, profile: Arc<Profile>, begun: Timestamp) -> Self {
        Self {
            origin,
            connection: None,
            root: None,
            profile_from: profile.name.clone(),
            profile,
            workspace: None,
            probe_version: 0,
            recursive: true,
            filter: Filter::default(),
            dimensions: false,
            admit: Admit::Listing,
            begun,
        }
    }

    /// Whether two runs list the same source in the same way.
    pub(crate) fn lists_the_same(&self, other: &Self) -> bool {
        let of = |header: &Self| {
            let Origin { provider, location, prefix, .. } = &header.origin;
            let root = header.root.as_ref().unwrap_or(location);
            (provider.clone(), root.clone(), prefix.clone(), header.recursive, header.filter.clone())
        };
        of(self) == of(other)
    }
}

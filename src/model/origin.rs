//! Where a run's blobs come from, as shown in reports.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A source, without any secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `folder` or `azure`.
    pub provider: Cow<'static, str>,
    /// The folder's path, or the container's URL without its query.
    pub location: String,
    /// The storage account.
    pub account: Option<String>,
    /// The container.
    pub container: Option<String>,
    /// Only names that start with this are listed; empty for all.
    pub prefix: String,
    /// The kind of credential and where it was found, such as `shared key (AZURE_STORAGE_KEY)`.
    pub credential: Option<String>,
}

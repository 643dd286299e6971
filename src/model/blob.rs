//! A blob as it appears in a listing.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Declared;

/// The name of a blob within its container; for a file in a folder, its relative path with `/`.
///
/// * UTF-8, not normalised, at least one character: `a//b.jpg`, `/lead.jpg` and `trail/` are all valid.
/// * Ordered by bytes. A service may list names in another order.
/// * Never includes the container or a SAS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobName(Box<str>);

impl BlobName {
    /// Wraps a name unchanged.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self(name.into())
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`, by which the platform matches annotations. Empty for `trail/`.
    pub fn basename(&self) -> &str {
        &self.0[last(&self.0).map_or(0, |slash| slash + 1)..]
    }

    /// The part after the last `.` of the basename, in its original case; `None` for `README` and `.hidden`.
    pub fn extension(&self) -> Option<&str> {
        // Most extensions are short, so the search from the end takes a few steps.
        let at = self.0.bytes().rposition(|byte| byte == b'.' || byte == b'/')?;
        let (before, rest) = self.0.split_at(at);
        let is_extension = !before.is_empty() && !before.ends_with('/');
        rest.strip_prefix('.').filter(|extension| is_extension && !extension.is_empty())
    }
}

/// Where a name has its last `/`. Names are so short that any search faster than this starts more slowly.
fn last(name: &str) -> Option<usize> {
    name.bytes().rposition(|byte| byte == b'/')
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of a blob's content: equal ETags mean equal bytes.
///
/// * Without the quotes that the service puts around it in headers.
/// * For a file, derived from its modification time and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(Box<str>);

impl ETag {
    /// Creates an ETag from text with or without quotes.
    pub fn new(etag: &str) -> Self {
        Self(without_quotes(etag).into())
    }

    /// Whether the text, with or without quotes, is this ETag.
    pub fn is(&self, etag: &str) -> bool {
        *self.0 == *without_quotes(etag)
    }

    /// Creates an ETag from text that is not quoted, even if it starts or ends with a quote.
    pub(crate) fn unquoted(etag: &str) -> Self {
        Self(etag.into())
    }

    /// The ETag without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn without_quotes(etag: &str) -> &str {
    etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag)
}

/// Whether the content of a listed blob can be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It can be read.
    Online,
    /// It is in the archive tier and must be rehydrated first.
    Archived,
    /// It is being moved out of the archive tier, which takes hours.
    Rehydrating,
    /// It is a directory of a hierarchical namespace, which is stored as an empty blob.
    Directory,
    /// It stands for everything in a folder that the listing does not descend into; its name ends in `/`.
    NotEntered,
    /// It is listed but cannot be addressed, for the given reason.
    Unreachable(Box<str>),
}

impl Access {
    /// The name used in plans, such as `online`. It does not include why a blob is unreachable.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Archived => "archived",
            Self::Rehydrating => "rehydrating",
            Self::Directory => "directory",
            Self::NotEntered => "not-entered",
            Self::Unreachable(_) => "unreachable",
        }
    }

    /// Returns the access with this name; `why` is the reason if it is `unreachable`.
    pub fn named(name: &str, why: &str) -> Option<Self> {
        Some(match name {
            "online" => Self::Online,
            "archived" => Self::Archived,
            "rehydrating" => Self::Rehydrating,
            "directory" => Self::Directory,
            "not-entered" => Self::NotEntered,
            "unreachable" => Self::Unreachable(why.into()),
            _ => return None,
        })
    }
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its name, which identifies it within the container.
    pub name: BlobName,
    /// Its length in bytes.
    pub size: u64,
    /// The listed version, which all reads are tied to. `None` if the listing has none.
    pub etag: Option<ETag>,
    /// When it was last written.
    pub last_modified: Option<Timestamp>,
    /// Whether it can be read.
    pub access: Access,
    /// What its properties say about its content.
    pub declared: Declared,
}

impl Blob {
    /// The most bytes of a blob: 50,000 blocks of 4,000 MiB, 190.7 TiB ("Scalability and performance targets for Blob
    /// Storage").
    pub const MAX_SIZE: u64 = 50_000 * (4_000 << 20);

    /// An entry for everything in a folder that the listing does not descend into. `name` ends in `/`.
    pub fn not_entered(name: impl Into<Box<str>>) -> Self {
        let name = BlobName::new(name);
        let (access, declared) = (Access::NotEntered, Declared::default());
        Self { name, size: 0, etag: None, last_modified: None, access, declared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basename_and_extension_of_odd_names() {
        let parts = |name: &str| {
            let name = BlobName::new(name);
            (name.basename().to_owned(), name.extension().map(str::to_owned))
        };
        assert_eq!(parts("a//b.JPG"), ("b.JPG".into(), Some("JPG".into())));
        assert_eq!(parts("/lead.tar.gz"), ("lead.tar.gz".into(), Some("gz".into())));
        assert_eq!(parts("trail/"), (String::new(), None));
        assert_eq!(parts("v1.2/README"), ("README".into(), None));
        assert_eq!(parts(".hidden"), (".hidden".into(), None));
        assert_eq!(parts("dot."), ("dot.".into(), None));
        assert_eq!(parts("a.b/.c"), (".c".into(), None));
        assert_eq!(parts("..jpg"), ("..jpg".into(), Some("jpg".into())));
    }

    #[test]
    fn an_etag_loses_its_quotes() {
        assert_eq!(ETag::new("\"0x8D\""), ETag::new("0x8D"));
        assert_eq!(ETag::new("\""), ETag::new("\""));
    }
}

//! A trial write, which shows whether blobs can be written and whether the account keeps what is overwritten.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Instant;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};

use super::AzureSource;
use super::auth::Authorization;
use super::said::Head;
use super::write::ROLE_HINT;
use crate::model::error::Error;
use crate::model::{BlobName, Check, Outcome, ReadError};

/// The content of the blob that is written, read and deleted.
const CONTENT: &[u8] = b"Written by presync to test whether it can write here. It can be deleted.\n";

/// Whether a replaced or deleted blob can be restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protection {
    /// Whether the account keeps old versions of blobs; `None` if that is not known.
    pub versions: Option<bool>,
    /// Whether the account keeps deleted and overwritten blobs for some time (soft delete); `None` if that is not known.
    pub soft_delete: Option<bool>,
}

impl Protection {
    /// Whether it can; `None` if that is not known.
    pub(crate) fn restores(self) -> Option<bool> {
        match (self.versions, self.soft_delete) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }
}

/// A trial that did not succeed.
pub(crate) struct Untried {
    /// What was tried: `write`, `read` or `delete`.
    pub step: &'static str,
    pub why: ReadError,
    /// The blob that stays, if it was written.
    pub left: Option<BlobName>,
}

impl AzureSource {
    /// Writes a small blob with a name of presync's own, reads it and deletes it.
    ///
    /// # Errors
    /// Returns the step that failed, and why.
    pub(crate) async fn try_writing(&self) -> Result<Protection, Untried> {
        // The service must refuse to overwrite it, so the number only has to be unlikely to exist.
        let number = RandomState::new().hash_one("presync");
        let name = BlobName::new(format!("{}presync-write-test-{number:016x}.txt", self.url.prefix()));
        let target = self.requests.path_of(&name);
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        let written = self.exchange(Method::PUT, target.clone(), &headers, Bytes::from_static(CONTENT)).await;
        let (written, _) = written.map_err(|why| Untried { step: "write", why, left: None })?;
        let read = self.exchange(Method::GET, target.clone(), &HeaderMap::new(), Bytes::new()).await;
        // Whatever the read gave: the blob must not stay.
        let deleted = self.exchange(Method::DELETE, target, &HeaderMap::new(), Bytes::new()).await;
        let (deleted, _) = deleted.map_err(|why| Untried { step: "delete", why, left: Some(name) })?;
        match read {
            Ok((_, content)) if content == CONTENT => {}
            Ok(_) => {
                let why = ReadError::Unreadable("it has another content than what was written".into());
                return Err(Untried { step: "read", why, left: None });
            }
            Err(why) => return Err(Untried { step: "read", why, left: None }),
        }
        // "Delete Blob": false for a blob that soft delete keeps. Without versioning, no response has a version.
        let permanent = deleted.field("x-ms-delete-type-permanent");
        Ok(Protection {
            versions: Some(written.contains_key("x-ms-version-id")),
            soft_delete: permanent.map(|permanent| permanent.eq_ignore_ascii_case("false")),
        })
    }

    /// Whether a trial leaves nothing behind, as far as the credential says.
    pub(crate) fn may_delete(&self) -> bool {
        match &self.credential.authorization {
            Authorization::Anonymous => false,
            Authorization::Sas(sas) => {
                sas.field("sp").is_some_and(|may| may.contains('d') && may.contains('w'))
            }
            Authorization::Key(_) | Authorization::Token(_) => true,
        }
    }

    /// The doctor's test of what `presync fix --apply` needs.
    pub(super) async fn check_writing(&self) -> Check {
        const NAME: &str = "write";
        let begun = Instant::now();
        let check = match self.try_writing().await {
            Ok(tried) => {
                // The account's settings say it, too, but few credentials may read them.
                let soft_delete = match tried.soft_delete {
                    None => self.keeps_deleted().await.ok().flatten(),
                    known => known,
                };
                let protection = Protection { soft_delete, ..tried };
                let wrote = "a small blob was written, read and deleted";
                let state = |on: Option<bool>| match on {
                    Some(true) => "on",
                    Some(false) => "off",
                    None => "unknown",
                };
                let kept = format!(
                    "versioning is {}, soft delete is {}",
                    state(protection.versions),
                    state(protection.soft_delete)
                );
                match protection.restores() {
                    Some(true) => Check::new(NAME, Outcome::Ok, format!("{wrote}; {kept}")),
                    _ => Check::new(
                        NAME,
                        Outcome::Warning,
                        format!("{wrote}; {kept}: a replaced blob could not be restored"),
                    )
                    .cure(UNPROTECTED),
                }
            }
            Err(Untried { step, why, left }) => {
                let left = left.map(|name| format!("; '{name}' stays: delete it")).unwrap_or_default();
                let (why, hint) = match why {
                    ReadError::Fatal(error) => {
                        (error.message().to_owned(), error.hint().unwrap_or(ROLE_HINT).to_owned())
                    }
                    ReadError::Unreadable(why) | ReadError::Refused(why) => (why, ROLE_HINT.to_owned()),
                    ReadError::Changed | ReadError::Gone | ReadError::Archived => {
                        ("someone else has changed it".to_owned(), "try again".to_owned())
                    }
                };
                Check::failed(NAME, &format!("cannot {step} a small blob: {why}{left}"), Some(&hint))
            }
        };
        check.took(begun.elapsed())
    }
}

/// How to make replaced blobs restorable.
pub(crate) const UNPROTECTED: &str = "turn on soft delete with 'az storage account blob-service-properties update --account-name ACCOUNT \
     --enable-delete-retention true --delete-retention-days 14', or keep the originals with presync fix --backup DIR";

/// The error for a container whose blobs could not be restored.
pub(crate) fn unprotected(protection: Protection) -> Error {
    let why = match protection.restores() {
        Some(_) => "the account keeps no old versions of blobs, so a replaced blob could not be restored",
        None => {
            "whether the account keeps old versions of blobs is not known, because the credential may not read its \
             settings"
        }
    };
    Error::new(why).with_hint(format!("{UNPROTECTED}; or write the fixed blobs elsewhere with --to"))
}

//! One blob's properties, read without listing the container.

use super::answer::Version;
use super::auth::Authorization;
use super::encryption;
use super::failure::Failure;
use super::http::{Fields, Length, MAX_ERROR_BYTES};
use super::retry::{Deadline, with_retries};
use super::said::Head;
use super::{AzureSource, PAGE_DEADLINE};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Access, Blob, BlobName, Declared};

impl AzureSource {
    /// The blob of this name, as a listing would show it; `None` if there is none. A SAS for the blob is enough.
    ///
    /// # Errors
    ///
    /// Returns an error if the blob cannot be read.
    pub async fn properties(&self, name: &BlobName) -> Result<Option<Blob>> {
        let attempt = |_| self.try_properties(name);
        let deadline = Deadline::Fixed(PAGE_DEADLINE);
        match with_retries(&self.limiter, self.options.retry, 0, deadline, attempt).await {
            Ok(blob) => Ok(Some(blob)),
            Err(failed) => match &failed.failure {
                Failure::Status { status: 404, .. } if failed.failure.code() == Some("BlobNotFound") => {
                    Ok(None)
                }
                Failure::Status { status: 403, .. } if self.has_blob_sas() => {
                    let (name, label) = (name.as_str().escape_debug(), self.credential.label());
                    Err(Error::new(format!("no access to '{name}' with {label}: {failed}")).with_hint(
                        "the SAS is for one blob: check that it is for this one, allows reading (sp=r), was copied in \
                         full and has not expired",
                    ).because(Cause::Credential))
                }
                failure => match failure.code().and_then(encryption::fault) {
                    Some(fault) => {
                        let name = name.as_str().escape_debug();
                        Err(Error::new(format!("'{name}' cannot be read: {fault} ({failed})")))
                    }
                    None => Err(self.explain(&failed)),
                },
            },
        }
    }

    /// Whether the credential is a SAS for one blob ("Create a service SAS", sr).
    fn has_blob_sas(&self) -> bool {
        match &self.credential.authorization {
            Authorization::Sas(sas) => sas.field("sr").is_some_and(|resource| resource.starts_with('b')),
            _ => false,
        }
    }

    async fn try_properties(&self, name: &BlobName) -> std::result::Result<Blob, Failure> {
        let response = self.keyed(|key| self.requests.properties(name, key)).await?;
        let blob = blob(name, response.fields());
        // Empty, but the connection can be reused after it.
        response.body(Length::First(MAX_ERROR_BYTES)).await?;
        blob.ok_or_else(|| Failure::Broken("a response without the blob's size".into()))
    }
}

/// A blob by the headers of its properties ("Get Blob Properties").
fn blob(name: &BlobName, headers: &Fields) -> Option<Blob> {
    let is = |field: &'static str, value: &str| {
        headers.field(field).is_some_and(|text| text.eq_ignore_ascii_case(value))
    };
    let is_directory = is("x-ms-meta-hdi_isfolder", "true") || is("x-ms-resource-type", "directory");
    let access = match (is_directory, is("x-ms-access-tier", "Archive")) {
        (true, _) => Access::Directory,
        (false, true) if headers.field("x-ms-archive-status").is_some() => Access::Rehydrating,
        (false, true) => Access::Archived,
        (false, false) => Access::Online,
    };
    let Version { etag, last_modified } = Version::of(headers);
    let size = headers.field("content-length")?.parse().ok()?;
    let declared = Declared::new(headers.field("content-type"), headers.field("content-encoding"));
    Some(Blob { name: name.clone(), size, etag, last_modified, access, declared })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_those_of_a_listing() {
        let of = |fields: &[(&'static str, &'static str)]| blob(&BlobName::new("a.jpg"), &Fields::of(fields));
        let size = ("content-length", "7");
        let found =
            of(&[size, ("etag", "\"0x1\""), ("last-modified", "Sun, 01 Nov 2026 10:00:00 GMT")]).unwrap();
        assert_eq!((found.size, found.etag.unwrap().as_str(), found.access), (7, "0x1", Access::Online));
        assert_eq!(found.last_modified, "2026-11-01T10:00:00Z".parse().ok());
        assert_eq!(of(&[size, ("x-ms-access-tier", "Archive")]).unwrap().access, Access::Archived);
        assert_eq!(of(&[size, ("x-ms-resource-type", "directory")]).unwrap().access, Access::Directory);
        assert_eq!(of(&[size, ("x-ms-meta-hdi_isfolder", "true")]).unwrap().access, Access::Directory);
        assert_eq!(of(&[("content-length", "-7")]), None);
        assert_eq!(of(&[]), None);
    }
}

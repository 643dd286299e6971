//! Where fixed blobs go in a container: in place of the original, in one step, if it is still the listed version.

use std::path::Path;
use std::sync::Arc;

use super::place::{FolderPlace, Put};
use crate::model::error::{Error, Result, reason};
use crate::model::{Blob, BlobName, ReadError};
use crate::report::shown;
use crate::source::azure::{AzureSource, Content};

/// A container whose blobs are replaced.
pub(super) struct ContainerPlace {
    pub container: Arc<AzureSource>,
    /// Where the originals are kept, besides what the account itself keeps.
    pub backup: Option<FolderPlace>,
}

impl ContainerPlace {
    /// Checks that the originals can be restored: they are backed up, or the account keeps old versions of blobs.
    ///
    /// # Errors
    /// Returns an error if they could not, or if `example` cannot be read.
    pub(super) async fn check_protection(&self, example: &Blob) -> Result<()> {
        if self.backup.is_some() {
            return Ok(());
        }
        let properties = self.container.kept(example).await.map_err(|error| broken(example, error))?;
        if properties.is_versioned
            || self.container.keeps_deleted().await.map_err(|error| broken(example, error))? == Some(true)
        {
            return Ok(());
        }
        Err(Error::new("the account keeps no old versions of blobs, so a replaced blob could not be restored").with_hint(
            "turn on soft delete with 'az storage account blob-service-properties update --account-name ACCOUNT \
             --enable-delete-retention true --delete-retention-days 14', or keep the originals with --backup DIR",
        ))
    }

    /// Whether an earlier run has already written the fixed blob, which has another name than its original.
    ///
    /// # Errors
    /// Returns an error if another blob has that name, or if it cannot be read.
    pub(super) async fn has(&self, blob: &Blob, name: &BlobName) -> std::result::Result<bool, ReadError> {
        if blob.name == *name {
            return Ok(false);
        }
        match self.container.kept(&Blob { name: name.clone(), etag: None, ..blob.clone() }).await {
            Ok(found) if found.is_fixed_from(blob) => Ok(true),
            Ok(_) => Err(ReadError::Unreadable(format!(
                "another blob has the name '{}' already",
                shown(name.as_str())
            ))),
            Err(ReadError::Gone) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps a copy of the original, which is the file `input`, if the user wants one.
    ///
    /// # Errors
    /// Returns why that failed.
    pub(super) fn keep_original(&self, blob: &Blob, input: &Path) -> std::result::Result<(), String> {
        let Some(backup) = &self.backup else { return Ok(()) };
        if backup.has(blob, &blob.name)? {
            return Ok(());
        }
        let copy = input.with_file_name("original");
        std::fs::copy(input, &copy).map_err(|error| format!("it cannot be copied: {}", reason(&error)))?;
        backup.put(blob, &blob.name, &copy).map(drop)
    }

    /// Replaces the blob by a file.
    ///
    /// # Errors
    /// Returns an error if that fails; the blob is then as it was.
    pub(super) async fn put(
        &self,
        blob: &Blob,
        name: &BlobName,
        file: &Path,
    ) -> std::result::Result<Put, ReadError> {
        let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        let properties = self.container.kept(blob).await?;
        self.container.write(blob, name, &properties, Content::File(file)).await?;
        Ok(Put::New { bytes })
    }

    /// Replaces the first bytes of the blob; the service copies the rest.
    ///
    /// # Errors
    /// Returns an error if that fails; the blob is then as it was.
    pub(super) async fn patch(&self, blob: &Blob, head: bytes::Bytes) -> std::result::Result<Put, ReadError> {
        let bytes = head.len() as u64;
        let properties = self.container.kept(blob).await?;
        self.container.write(blob, &blob.name, &properties, Content::Head(head)).await?;
        Ok(Put::New { bytes })
    }
}

/// The error for a container that cannot be written to at all.
fn broken(blob: &Blob, error: ReadError) -> Error {
    match error {
        ReadError::Fatal(error) => error,
        ReadError::Unreadable(why) | ReadError::Refused(why) => {
            Error::new(format!("'{}' cannot be fixed: {why}", shown(blob.name.as_str())))
        }
        ReadError::Changed | ReadError::Gone | ReadError::Archived => {
            Error::new(format!("'{}' has changed since it was judged", shown(blob.name.as_str())))
                .with_hint("run the command again")
        }
    }
}

//! Where fixed blobs go in a container: in place of the original if it is still the listed version, or to another name.
//! Both in one step.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::place::{FolderPlace, Put};
use crate::model::error::{Error, Result, reason};
use crate::model::{Blob, BlobName, Format, ReadError};
use crate::report::shown;
use crate::source::azure::{AzureSource, Content, Properties, Protection, Target, unprotected};

/// A container that fixed blobs are written to.
pub(super) struct ContainerPlace {
    pub container: Arc<AzureSource>,
    /// The container of the originals; `None` if they are in a folder.
    pub source: Option<Arc<AzureSource>>,
    /// Where in the container; `None` if the originals are replaced.
    pub to: Option<Renamed>,
    /// Where the originals are kept, besides what the account itself keeps.
    pub backup: Option<FolderPlace>,
}

/// Names under another prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Renamed {
    /// What the names of the source begin with, up to its last `/`.
    from: String,
    to: String,
}

impl Renamed {
    /// Names of a source with the prefix `from`, below the prefix `to`.
    pub(super) fn new(from: &str, to: &str) -> Self {
        let folder = from.rfind('/').map_or("", |slash| &from[..=slash]);
        Self { from: folder.to_owned(), to: to.to_owned() }
    }

    /// Whether every name stays the same.
    pub(super) fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// The new name.
    pub(super) fn name(&self, name: &BlobName) -> BlobName {
        let rest = name.as_str().strip_prefix(&*self.from).unwrap_or(name.as_str());
        BlobName::new(format!("{}{rest}", self.to))
    }
}

impl ContainerPlace {
    /// Checks that the originals can be restored: they stay, they are backed up, or the account keeps old versions.
    ///
    /// # Errors
    /// Returns an error if they could not, if `example` cannot be read, or if nothing can be written.
    pub(super) async fn check_protection(&self, example: &Blob) -> Result<()> {
        if self.backup.is_some() || self.to.is_some() {
            return Ok(());
        }
        let failed = |error| broken(example, error);
        let soft_delete = self.container.keeps_deleted().await.map_err(failed)?;
        let mut protection = Protection { versions: None, soft_delete };
        if protection.restores() != Some(true) {
            if self.container.may_delete() {
                let tried = self.container.try_writing().await.map_err(|untried| match untried.why {
                    ReadError::Fatal(error) => error,
                    why => broken(example, why),
                })?;
                protection = Protection { soft_delete: soft_delete.or(tried.soft_delete), ..tried };
            } else {
                protection.versions = Some(self.container.kept(example).await.map_err(failed)?.is_versioned);
            }
        }
        match protection.restores() {
            Some(true) => Ok(()),
            _ => Err(unprotected(protection)),
        }
    }

    /// The name of the fixed blob, whose name would be `name` beside its original.
    pub(super) fn name(&self, name: BlobName) -> BlobName {
        self.to.as_ref().map_or_else(|| name.clone(), |to| to.name(&name))
    }

    /// Whether the fixed blob takes its original's place.
    fn replaces(&self, blob: &Blob, name: &BlobName) -> bool {
        self.to.is_none() && blob.name == *name
    }

    /// Whether an earlier run has already written the fixed blob, which is not in its original's place.
    ///
    /// # Errors
    /// Returns an error if another blob has that name, or if it cannot be read.
    pub(super) async fn has(&self, blob: &Blob, name: &BlobName) -> std::result::Result<bool, ReadError> {
        if self.replaces(blob, name) {
            return Ok(false);
        }
        match self.container.kept(&Blob { name: name.clone(), etag: None, ..blob.clone() }).await {
            Ok(found) if found.is_fixed_from(blob) => Ok(true),
            Ok(_) => Err(ReadError::Unreadable(format!(
                "another blob has the name '{}' already; delete it to write this one",
                shown(name.as_str())
            ))),
            Err(ReadError::Gone) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The properties of the fixed blob: those of its original, with a content type that fits its name.
    ///
    /// # Errors
    /// Returns an error if the original cannot be read or has changed, or if it cannot be replaced.
    pub(super) async fn properties(
        &self,
        blob: &Blob,
        name: &BlobName,
    ) -> std::result::Result<Properties, ReadError> {
        let mut properties = match &self.source {
            Some(source) => source.kept(blob).await?,
            None => Properties::default(),
        };
        if let (true, Some(why)) = (self.replaces(blob, name), properties.locked) {
            return Err(ReadError::Refused(why.to_owned()));
        }
        if self.source.as_ref().is_none_or(|source| source.host() != self.container.host()) {
            properties = properties.elsewhere();
        }
        let extension = name.extension().unwrap_or_default();
        if self.source.is_none() || !blob.name.extension().unwrap_or_default().eq_ignore_ascii_case(extension)
        {
            let format = Format::of_extension(extension);
            if let Some(media_type) = format.and_then(|format| format.media_type(extension)) {
                properties = properties.with_content_type(media_type);
            }
        }
        Ok(properties)
    }

    /// Keeps the original, which is the file `input`, if the user wants that. The file stays only if it `is_needed`.
    ///
    /// # Errors
    /// Returns why that failed.
    pub(super) fn keep_original(
        &self,
        blob: &Blob,
        input: &Path,
        is_needed: bool,
    ) -> std::result::Result<(), String> {
        let Some(backup) = &self.backup else { return Ok(()) };
        if backup.has(blob, &blob.name)?.is_some() {
            return Ok(());
        }
        if !is_needed {
            return backup.put(blob, &blob.name, input).map(drop);
        }
        let copy = input.with_file_name("original");
        std::fs::copy(input, &copy).map_err(|error| format!("it cannot be copied: {}", reason(&error)))?;
        backup.put(blob, &blob.name, &copy).map(drop)
    }

    /// Writes the fixed blob from a file.
    ///
    /// # Errors
    /// Returns an error if that fails; the blob is then as it was.
    pub(super) async fn put(
        &self,
        blob: &Blob,
        name: &BlobName,
        properties: &Properties,
        file: &Path,
    ) -> std::result::Result<Put, ReadError> {
        let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        self.write(blob, name, properties, Content::File(file)).await?;
        Ok(Put::New { bytes })
    }

    /// Writes the fixed blob as new first bytes and the rest of the original, which the service copies.
    ///
    /// # Errors
    /// Returns an error if that fails; the blob is then as it was.
    pub(super) async fn patch(
        &self,
        blob: &Blob,
        name: &BlobName,
        properties: &Properties,
        head: Bytes,
    ) -> std::result::Result<Put, ReadError> {
        let bytes = head.len() as u64;
        let source = self.source.as_ref().unwrap_or(&self.container);
        self.write(blob, name, properties, Content::Head(head, source)).await?;
        Ok(Put::New { bytes })
    }

    async fn write(
        &self,
        blob: &Blob,
        name: &BlobName,
        properties: &Properties,
        content: Content<'_>,
    ) -> std::result::Result<(), ReadError> {
        let target = if self.replaces(blob, name) { Target::Original } else { Target::New(name) };
        self.container.write(blob, target, properties, content).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_below_another_prefix_from_the_source_s_last_folder() {
        for (from, to, name, new) in [
            ("", "fixed/", "cam1/a.jpg", "fixed/cam1/a.jpg"),
            ("raw/", "fixed/", "raw/cam1/a.jpg", "fixed/cam1/a.jpg"),
            ("raw/cam", "fixed-", "raw/cam1//a.jpg", "fixed-cam1//a.jpg"),
            ("raw/", "", "raw/a.jpg", "a.jpg"),
            ("//", "x", "//a", "xa"),
        ] {
            assert_eq!(Renamed::new(from, to).name(&BlobName::new(name)), BlobName::new(new), "{from} {to}");
        }
        assert!(Renamed::new("raw/cam", "raw/").is_identity());
        assert!(!Renamed::new("raw/", "").is_identity());
    }
}

//! A source of either kind: a folder or a container.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use super::azure::{self, AuthMode, AzureSource, Session};
use super::listing::{self, Excluded};
use super::local::LocalSource;
use super::location::{Environment, Location};
use super::{BlockingReader, Listing, Reader};
use crate::model::error::Result;
use crate::model::{Blob, BlobName, ByteRange, Filter, Origin, ReadError, Reads};

/// A folder or a container.
#[derive(Clone, Debug)]
pub enum AnySource {
    /// A folder.
    Folder(LocalSource),
    /// A container.
    Container(Arc<AzureSource>),
}

impl AnySource {
    /// Opens the folder or container at a location, without sending a request. `auth` and all options except the depth
    /// apply only to containers.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder does not exist or cannot be listed, or if the credential is missing or cannot be
    /// used with the endpoint.
    pub fn open(
        location: Location,
        auth: AuthMode,
        options: azure::Options,
        env: &Environment,
    ) -> Result<Self> {
        Ok(match location {
            Location::Folder(path) => Self::Folder(LocalSource::open(path)?.with_depth(options.depth)),
            Location::Container(url) => Self::Container(Arc::new(AzureSource::new(url, auth, env, options)?)),
        })
    }

    /// Same as [`open`](Self::open), but containers share the session.
    ///
    /// # Errors
    ///
    /// Same as [`open`](Self::open).
    pub(crate) fn open_in(
        session: &Session,
        location: Location,
        auth: AuthMode,
        options: azure::Options,
        env: &Environment,
    ) -> Result<Self> {
        match location {
            Location::Folder(_) => Self::open(location, auth, options, env),
            Location::Container(url) => {
                let container = AzureSource::in_session(url, auth, env, options, session)?;
                Ok(Self::Container(Arc::new(container)))
            }
        }
    }

    /// Lists the files of a folder by their names alone, for a run that opens each of them anyway.
    pub(crate) fn with_names_only(self) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.with_names_only()),
            Self::Container(_) => self,
        }
    }

    /// Lists the blobs under the source's prefix, down to its depth. Must be called within a tokio runtime.
    pub fn list(&self) -> Listing {
        match self {
            Self::Folder(folder) => folder.list(),
            Self::Container(container) => container.list(),
        }
    }

    /// Lists the blobs that the filter keeps and, in a folder, that no `.presyncignore` leaves out. Also returns the
    /// count of those that are left out, which is complete when the listing is. Must be called within a tokio runtime.
    pub(crate) fn list_filtered(&self, filter: &Filter) -> (Listing, Excluded) {
        let excluded = Excluded::default();
        let listing = match self {
            Self::Folder(folder) => folder.list_with_ignore_files(&excluded),
            Self::Container(container) => container.list(),
        };
        (listing::filtered(listing, filter, &excluded), excluded)
    }

    /// The file or blob of this name, found without listing a container; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be listed or the blob cannot be read.
    pub(crate) async fn blob(&self, name: &BlobName) -> Result<Option<Blob>> {
        match self {
            Self::Folder(folder) => {
                let mut listing = folder.list();
                while let Some(page) = listing.try_next().await? {
                    if let Some(blob) = page.into_iter().find(|blob| blob.name == *name) {
                        return Ok(Some(blob));
                    }
                }
                Ok(None)
            }
            Self::Container(container) => container.properties(name).await,
        }
    }

    /// Credentials that were looked at and could not be used, with the reason.
    pub(crate) fn passed_over(&self) -> &[String] {
        match self {
            Self::Folder(_) => &[],
            Self::Container(container) => container.passed_over(),
        }
    }

    /// Describes the source for reports.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Folder(folder) => folder.origin(),
            Self::Container(container) => container.origin(),
        }
    }
}

impl Reader for AnySource {
    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        match self {
            Self::Folder(folder) => Reader::read(folder, blob, range, reads).await,
            Self::Container(container) => container.read(blob, range, reads).await,
        }
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        match self {
            Self::Folder(folder) => Reader::find(folder, name).await,
            Self::Container(container) => container.find(name).await,
        }
    }

    fn blocking(&self) -> Option<Arc<dyn BlockingReader>> {
        match self {
            Self::Folder(folder) => folder.blocking(),
            Self::Container(container) => container.blocking(),
        }
    }
}

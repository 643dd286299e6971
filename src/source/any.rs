//! A source of whatever kind the SOURCE argument names.

use std::sync::Arc;

use bytes::Bytes;

use super::azure::{self, AuthMode, AzureSource, Session};
use super::local::LocalSource;
use super::location::{Environment, Location};
use super::{BlockingReader, Listing, Reader};
use crate::model::error::Result;
use crate::model::{Blob, BlobName, ByteRange, Origin, ReadError, Reads};

/// A folder or a container.
#[derive(Debug)]
pub enum AnySource {
    /// A folder.
    Folder(LocalSource),
    /// A container.
    Container(Arc<AzureSource>),
}

impl AnySource {
    /// Opens what a location names. Sends nothing yet. `auth` is for containers alone, and so are all options but the
    /// depth.
    ///
    /// # Errors
    ///
    /// The folder is not there or cannot be listed; the credential is missing or does not fit the endpoint.
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

    /// The same, for one of several sources: containers share the session.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_in(
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

    /// Every blob under the source's prefix, as far down as its depth says. Must be called inside a tokio runtime.
    pub fn list(&self) -> Listing {
        match self {
            Self::Folder(folder) => folder.list(),
            Self::Container(container) => container.list(),
        }
    }

    /// What a report says of the source.
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

//! A source of whatever kind the SOURCE argument names.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::azure::{self, AuthMode, AzureSource, Session};
use super::inventory::Inventory;
use super::local::LocalSource;
use super::location::{Environment, Location};
use super::{ReadBlocking, ReadError, Source};
use crate::error::{Error, Result};
use crate::model::{Blob, BlobName, ByteRange, Origin, Reads};

/// A folder or a container.
#[derive(Debug)]
pub enum AnySource {
    /// A folder.
    Folder(LocalSource),
    /// A container.
    Container(Box<AzureSource>),
    /// A container that reports list.
    Inventory(Box<Inventory>),
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
            Location::Container(url) => Self::Container(Box::new(AzureSource::new(url, auth, env, options)?)),
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
                Ok(Self::Container(Box::new(container)))
            }
        }
    }

    /// The same container, listed from these reports of Azure Blob Inventory.
    ///
    /// # Errors
    ///
    /// It is a folder, which has no inventory, or one of the reports is not there.
    pub fn listed_from(self, reports: Vec<PathBuf>) -> Result<Self> {
        match self {
            Self::Container(container) => Ok(Self::Inventory(Box::new(Inventory::new(*container, reports)?))),
            Self::Folder(_) | Self::Inventory(_) => Err(Error::new(
                "an inventory lists a container, and the source is none",
            )
            .hint("give the container that it is of: https://ACCOUNT.blob.core.windows.net/CONTAINER")),
        }
    }

    /// What a report says of the source.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Folder(folder) => folder.origin(),
            Self::Container(container) => container.origin(),
            Self::Inventory(inventory) => inventory.origin(),
        }
    }
}

impl Source for AnySource {
    fn list(&self) -> impl Stream<Item = Result<Vec<Blob>>> + Send {
        match self {
            Self::Folder(folder) => folder.list().left_stream(),
            Self::Container(container) => container.list().left_stream().right_stream(),
            Self::Inventory(inventory) => inventory.list().right_stream().right_stream(),
        }
    }

    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        match self {
            Self::Folder(folder) => Source::read(folder, blob, range, reads).await,
            Self::Container(container) => container.read(blob, range, reads).await,
            Self::Inventory(inventory) => inventory.read(blob, range, reads).await,
        }
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        match self {
            Self::Folder(folder) => Source::find(folder, name).await,
            Self::Container(container) => container.find(name).await,
            Self::Inventory(inventory) => inventory.find(name).await,
        }
    }

    fn blocking(&self) -> Option<Arc<dyn ReadBlocking>> {
        match self {
            Self::Folder(folder) => folder.blocking(),
            Self::Container(container) => container.blocking(),
            Self::Inventory(inventory) => inventory.blocking(),
        }
    }
}

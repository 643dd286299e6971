//! Where blobs come from: a folder or a container. Each provides a listing, which is a value, and reads listed blobs.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::{Blob, BlobName, ByteRange, ReadError, Reads};

pub mod any;
pub mod azure;
pub mod floor;
pub mod inventory;
mod lent;
pub mod listing;
pub mod local;
pub mod location;

pub use listing::Listing;
pub use local::{Near, OpenFile};

/// How far below its prefix a source lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Every name that begins with the prefix.
    #[default]
    All,
    /// Only names without a `/` after the prefix. Each deeper folder is listed as one [`NotEntered`] blob.
    ///
    /// [`NotEntered`]: crate::model::Access::NotEntered
    Direct,
}

/// Reads listed blobs. Never writes.
pub trait Reader: Send + Sync + 'static {
    /// The bytes of `range`, all from the version of the blob that was listed.
    ///
    /// * A range that ends past the blob's end gives the bytes that are there; one that starts at or past the end,
    ///   or has no length, gives none and costs no request.
    /// * The result takes as much memory as the range is long; the caller must bound it.
    /// * Every attempt is counted in `reads`, even if the result is an error.
    /// * A blob that was listed without an ETag gets that of the first response, so that all its bytes are from one
    ///   version.
    fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> impl Future<Output = Result<Bytes, ReadError>> + Send;

    /// The blob of this name as it is listed now; `None` if it no longer exists.
    fn find(&self, name: &BlobName) -> impl Future<Output = Result<Option<Blob>, ReadError>> + Send;

    /// The blocking form of this reader, for a source whose reads block a thread: its blobs are read on the pool that
    /// probes them. `None` for a source that waits for the network.
    fn blocking(&self) -> Option<Arc<dyn BlockingReader>> {
        None
    }
}

/// The blocking form of a [`Reader`] of files, with the same meaning. Files that are opened one after another share what
/// is kept in `near`.
pub trait BlockingReader: Send + Sync {
    /// Completes the entry of a blob that was listed by its name alone, and returns its file if it can be read and is to
    /// be. Does nothing for any other blob.
    fn open(&self, near: &mut Near, blob: &mut Blob, is_read: bool) -> Result<Option<OpenFile>, ReadError>;

    /// See [`Reader::read`]. The file stays open in `file` for the next read of the same blob.
    fn read(
        &self,
        near: &mut Near,
        file: &mut Option<OpenFile>,
        blob: &Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> Result<Bytes, ReadError>;

    /// See [`Reader::find`].
    fn find(&self, name: &BlobName) -> Result<Option<Blob>, ReadError>;
}

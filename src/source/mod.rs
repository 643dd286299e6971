//! Where blobs come from: a folder or a container, behind one trait.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;

use crate::error::Result;
use crate::model::{Blob, BlobName, ByteRange, Reads};

pub mod any;
pub mod azure;
pub mod faults;
pub mod inventory;
pub mod local;
pub mod location;
pub mod sample;
pub mod shard;

/// How far below its prefix a source lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Every name that begins with the prefix.
    #[default]
    All,
    /// Only names without a `/` after the prefix. What lies deeper comes as one [`NotEntered`] blob a folder.
    ///
    /// [`NotEntered`]: crate::model::Access::NotEntered
    Direct,
}

/// A place that lists blobs and gives out parts of them. Read-only.
pub trait Source: Send + Sync + 'static {
    /// Every blob under the source's prefix, as far down as its [`Depth`] says, a page at a time, in the UTF-8 byte
    /// order of the names.
    ///
    /// A page may be empty. After an `Err` nothing follows. Must be called inside a tokio runtime.
    fn list(&self) -> impl Stream<Item = Result<Vec<Blob>>> + Send;

    /// The bytes of `range`, all from the version of the blob that was listed.
    ///
    /// * A range that ends past the blob's end gives the bytes that are there; one that starts at or past the end,
    ///   or has no length, gives none and costs no request.
    /// * The answer takes as much memory as the range is long: that is the caller's to bound.
    /// * Every attempt is counted in `reads`, also when the answer is an error.
    /// * A blob that was listed without an ETag gets that of the answer, so that all its bytes are of one version.
    fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> impl Future<Output = std::result::Result<Bytes, ReadError>> + Send;

    /// The blob of this name as it is listed now; `None` when it is gone.
    fn find(
        &self,
        name: &BlobName,
    ) -> impl Future<Output = std::result::Result<Option<Blob>, ReadError>> + Send;

    /// For a source whose reads block a thread, the same read without `async`: such blobs are read on the pool,
    /// where they are probed. `None` for a source that waits for a network.
    fn blocking(&self) -> Option<Arc<dyn ReadBlocking>> {
        None
    }
}

/// The blocking form of [`Source::read`], with the same meaning.
pub trait ReadBlocking: Send + Sync {
    /// See [`Source::read`].
    fn read(&self, blob: &Blob, range: ByteRange, reads: &mut Reads)
    -> std::result::Result<Bytes, ReadError>;

    /// See [`Source::find`].
    fn find(&self, name: &BlobName) -> Option<Blob>;
}

/// Why a range of one blob was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The blob has another ETag than the one listed.
    Changed,
    /// The blob is gone.
    Gone,
    /// The blob lies in the archive tier.
    Archived,
    /// It was not read after retries; the text carries the service's own code.
    Unreadable(String),
    /// No blob of the source can be read: the run ends.
    Fatal(crate::error::Error),
}

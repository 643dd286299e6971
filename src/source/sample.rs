//! A source of which only the beginning is listed.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, future};

use super::{ReadBlocking, ReadError, Source};
use crate::error::Result;
use crate::model::{Blob, BlobName, ByteRange, Reads};

/// Wraps a source and lists its first blobs.
#[derive(Debug)]
pub struct Sample<S> {
    source: S,
    blobs: u64,
}

impl<S> Sample<S> {
    /// The first `blobs` blobs of the listing.
    pub fn new(source: S, blobs: u64) -> Self {
        Self { source, blobs }
    }

    /// The whole source.
    pub fn inner(&self) -> &S {
        &self.source
    }
}

impl<S: Source> Source for Sample<S> {
    fn list(&self) -> impl Stream<Item = Result<Vec<Blob>>> + Send {
        self.source.list().scan(self.blobs, |left, page| {
            let is_done = *left == 0;
            let page = page.map(|mut page| {
                page.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= page.len() as u64;
                page
            });
            future::ready((!is_done).then_some(page))
        })
    }

    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        self.source.read(blob, range, reads).await
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        self.source.find(name).await
    }

    fn blocking(&self) -> Option<Arc<dyn ReadBlocking>> {
        self.source.blocking()
    }
}

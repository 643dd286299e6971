//! An answer whose head has come and whose body has not.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use hyper::http::response::Parts;
use tokio::time::timeout;

use super::connection::Connection;
use super::pool::Pool;
use crate::source::azure::failure::{Failure, Head};

/// The most bytes of an error's body that are read so that its connection can be used again.
pub(in crate::source::azure) const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How long an answer may be silent.
pub(super) const MAX_SILENCE: Duration = Duration::from_secs(30);

/// The most that is set aside because an answer says how long it is, in bytes: twice what a page of the longest names
/// usually takes.
const MAX_ROOM: usize = 16 << 20;

/// How long a body may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::source::azure) enum Length {
    /// So many; any other body is not believed.
    Exactly(usize),
    /// No more than that.
    AtMost(usize),
    /// Any number, of which no more than the first so many are read.
    First(usize),
}

/// An answer. Its connection goes back to the pool once the body has been read to its end.
pub(in crate::source::azure) struct Response<'p> {
    head: Parts,
    body: Incoming,
    connection: Connection,
    pool: &'p Pool,
}

impl<'p> Response<'p> {
    pub(super) fn new(head: Parts, body: Incoming, connection: Connection, pool: &'p Pool) -> Self {
        Self { head, body, connection, pool }
    }

    pub(in crate::source::azure) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(in crate::source::azure) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The answer itself if its status is one of success.
    ///
    /// # Errors
    /// The status is another one, or the connection breaks.
    pub(in crate::source::azure) async fn error_for_status(self) -> Result<Self, Failure> {
        if self.status().is_success() {
            return Ok(self);
        }
        let failure = Failure::of_answer(self.status(), self.headers());
        // Read to its end, so that the connection can be used again.
        self.body(Length::First(MAX_ERROR_BYTES)).await?;
        Err(failure)
    }

    /// The body.
    ///
    /// # Errors
    /// It has another length, is silent for too long, or the connection breaks.
    pub(in crate::source::azure) async fn body(self, length: Length) -> Result<Bytes, Failure> {
        self.counted_body(length, &AtomicU64::new(0)).await
    }

    /// The body, whose bytes are counted as they come: also those of one that breaks off or comes too late.
    ///
    /// # Errors
    /// As [`body`](Self::body).
    pub(in crate::source::azure) async fn counted_body(
        mut self,
        length: Length,
        received: &AtomicU64,
    ) -> Result<Bytes, Failure> {
        let mut buffer = Buffer::new(length, &self.head.headers);
        while !self.body.is_end_stream() && !buffer.is_cut() {
            let frame = timeout(MAX_SILENCE, self.connection.frame(&mut self.body)).await;
            let Some(frame) = frame.map_err(|_| Failure::silent())?? else { break };
            if let Ok(piece) = frame.into_data() {
                received.fetch_add(piece.len() as u64, Relaxed);
                buffer.push(piece)?;
            }
        }
        // One with an unread rest must not be used again: the rest would be taken for the next answer.
        if self.connection.is_reusable().await {
            self.pool.keep(self.connection);
        }
        buffer.finish()
    }
}

/// A body, put together. One that comes as one piece is not copied.
struct Buffer {
    length: Length,
    /// What is set aside for a body that comes in several pieces, in bytes.
    room: usize,
    whole: Bytes,
    pieces: BytesMut,
}

impl Buffer {
    fn new(length: Length, headers: &HeaderMap) -> Self {
        let room = match length {
            Length::Exactly(len) => len,
            // A buffer that grows is there twice for a moment.
            Length::AtMost(most) | Length::First(most) => {
                let said = headers.field("content-length").and_then(|length| length.parse().ok());
                said.map_or(0, |said: usize| said.min(most).min(MAX_ROOM))
            }
        };
        Self { length, room, whole: Bytes::new(), pieces: BytesMut::new() }
    }

    fn len(&self) -> usize {
        self.whole.len() + self.pieces.len()
    }

    /// Whether nothing of what follows is wanted.
    fn is_cut(&self) -> bool {
        matches!(self.length, Length::First(most) if self.len() == most)
    }

    fn push(&mut self, mut piece: Bytes) -> Result<(), Failure> {
        let (Length::Exactly(most) | Length::AtMost(most) | Length::First(most)) = self.length;
        let left = most - self.len();
        if piece.len() > left {
            match self.length {
                Length::Exactly(len) => {
                    return Err(Failure::Broken(format!("the answer goes on after its {len} bytes")));
                }
                Length::AtMost(most) => {
                    return Err(Failure::Other(format!("a body has more than {most} bytes")));
                }
                Length::First(_) => piece.truncate(left),
            }
        }
        if self.len() == 0 {
            self.whole = piece;
            return Ok(());
        }
        if self.pieces.is_empty() {
            self.pieces.reserve(self.room);
            self.pieces.extend_from_slice(&std::mem::take(&mut self.whole));
        }
        self.pieces.extend_from_slice(&piece);
        Ok(())
    }

    fn finish(self) -> Result<Bytes, Failure> {
        let body = if self.pieces.is_empty() { self.whole } else { self.pieces.freeze() };
        match self.length {
            Length::Exactly(len) if body.len() != len => {
                Err(Failure::Broken(format!("the answer ended after {} of {len} bytes", body.len())))
            }
            _ => Ok(body),
        }
    }
}

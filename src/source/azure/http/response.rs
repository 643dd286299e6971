//! A response whose head has arrived, but not its body.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::framing::Part;
use super::head::{Fields, Head};
use super::pool::Pool;
use crate::source::azure::failure::Failure;
use crate::source::azure::said::Head as _;

/// The most bytes to read of an error's body so that its connection can be reused.
pub(in crate::source::azure) const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How long a response may stall.
pub(super) const MAX_SILENCE: Duration = Duration::from_secs(30);

/// A response that brings fewer bytes than this in that time, and is not complete then, counts as stalled: a server
/// that trickles bytes must not hold up a listing.
const MIN_PROGRESS: usize = 4 << 10;

/// The most bytes to allocate because of a response's `content-length`, or to keep for the next body: twice what a page of
/// the longest names usually takes.
pub(in crate::source::azure) const MAX_ROOM: usize = 16 << 20;

/// How long a body may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::source::azure) enum Length {
    /// Exactly this many; any other body is an error.
    Exactly(usize),
    /// At most this many; a longer body is an error.
    AtMost(usize),
    /// Any number, of which at most this many are read.
    First(usize),
}

/// A response. Its connection returns to the pool once the body has been read to its end.
pub(in crate::source::azure) struct Response<'p> {
    head: Head,
    connection: Connection,
    pool: &'p Pool,
    /// Memory for a body in several pieces.
    memory: BytesMut,
}

impl<'p> Response<'p> {
    pub(super) fn new(head: Head, connection: Connection, pool: &'p Pool) -> Self {
        Self { head, connection, pool, memory: BytesMut::new() }
    }

    /// Reads the body into this memory, which is empty, if it arrives in several pieces.
    pub(in crate::source::azure) fn into_memory(self, memory: BytesMut) -> Self {
        Self { memory, ..self }
    }

    pub(in crate::source::azure) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(in crate::source::azure) fn fields(&self) -> &Fields {
        &self.head.fields
    }

    /// The failure that a status other than a success stands for, or that of the connection.
    pub(in crate::source::azure) async fn failure(self) -> Failure {
        let (status, fields) = (self.status(), self.fields().clone());
        // Read to its end, so that the connection can be reused.
        match self.body(Length::First(MAX_ERROR_BYTES)).await {
            Ok(body) => Failure::of_answer(status, &fields, &body),
            Err(failure) => failure,
        }
    }

    /// The body.
    ///
    /// # Errors
    /// Returns an error if the body has another length or stalls for too long, or if the connection breaks.
    pub(in crate::source::azure) async fn body(self, length: Length) -> Result<Bytes, Failure> {
        self.counted_body(length, &AtomicU64::new(0)).await
    }

    /// The body. Its bytes are counted as they arrive, even if it is cut off or comes too late.
    ///
    /// # Errors
    /// Same as [`body`](Self::body).
    pub(in crate::source::azure) async fn counted_body(
        mut self,
        length: Length,
        received: &AtomicU64,
    ) -> Result<Bytes, Failure> {
        let Head { fields, mut framing, is_persistent, .. } = self.head;
        let mut buffer = Buffer::new(length, &fields, self.memory);
        // Most bodies have arrived with their head, and need no timer.
        let (mut until, mut progress) = (None, 0);
        while !buffer.is_cut() {
            match self.connection.part(&mut framing)? {
                Part::Bytes(part) => {
                    received.fetch_add(part.len() as u64, Relaxed);
                    progress += part.len();
                    if progress >= MIN_PROGRESS {
                        (until, progress) = (None, 0);
                    }
                    buffer.push(part)?;
                }
                Part::End => break,
                Part::Missing => {
                    let until = *until.get_or_insert_with(|| Instant::now() + MAX_SILENCE);
                    let more = timeout_at(until, self.connection.more(&framing)).await;
                    if !more.map_err(|_| Failure::silent())?? {
                        break;
                    }
                }
            }
        }
        // A connection with unread bytes must not be reused: they would be taken for the next response.
        if is_persistent && framing.is_at_end() && self.connection.is_clean() {
            self.pool.keep(self.connection);
        }
        buffer.finish()
    }
}

/// The most bytes of a body in one piece that are copied, so that they do not keep the head in memory, which is about as
/// long.
const MAX_COPIED: usize = 1 << 10;

/// Assembles a body. One that arrives in one piece is not copied, unless it is short.
struct Buffer {
    length: Length,
    /// Bytes to reserve for a body that arrives in several pieces.
    room: usize,
    whole: Bytes,
    pieces: BytesMut,
}

impl Buffer {
    fn new(length: Length, fields: &Fields, memory: BytesMut) -> Self {
        let room = match length {
            Length::Exactly(len) => len,
            Length::AtMost(most) | Length::First(most) => {
                let said = fields.field("content-length").and_then(|length| length.parse().ok());
                said.unwrap_or(0).min(most).min(MAX_ROOM)
            }
        };
        Self { length, room, whole: Bytes::new(), pieces: memory }
    }

    fn len(&self) -> usize {
        self.whole.len() + self.pieces.len()
    }

    /// Whether the rest of the body is not needed.
    fn is_cut(&self) -> bool {
        matches!(self.length, Length::First(most) if self.len() == most)
    }

    fn push(&mut self, mut piece: Bytes) -> Result<(), Failure> {
        let (Length::Exactly(most) | Length::AtMost(most) | Length::First(most)) = self.length;
        let left = most - self.len();
        if piece.len() > left {
            match self.length {
                Length::Exactly(len) => {
                    return Err(Failure::Broken(format!("the response is longer than {len} bytes")));
                }
                Length::AtMost(most) => {
                    return Err(Failure::Other(format!("the response is longer than {most} bytes")));
                }
                Length::First(_) => piece.truncate(left),
            }
        }
        if self.len() == 0 {
            self.whole = if piece.len() > MAX_COPIED { piece } else { Bytes::copy_from_slice(&piece) };
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
                Err(Failure::Broken(format!("the response ended after {} of {len} bytes", body.len())))
            }
            _ => Ok(body),
        }
    }
}

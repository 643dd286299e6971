//! Response bodies: bytes, then zeros, then the end, which a fault can change.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// The most zeros in one frame, in bytes.
const ZEROS: usize = 256 * 1024;
static PAGE: [u8; ZEROS] = [0; ZEROS];

/// The body of a response.
pub(super) struct Body {
    bytes: Bytes,
    zeros: u64,
    /// The value of `Content-Length`.
    promised: u64,
    end: End,
}

/// What happens after the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The body ends normally.
    Proper,
    /// The connection is closed, once everything has been sent.
    Cut,
    /// The connection is closed immediately.
    CutNow,
    /// Nothing more is sent.
    Stall,
}

impl Body {
    /// A body of these bytes.
    pub(super) fn of(bytes: impl Into<Bytes>) -> Self {
        Self::padded(bytes.into(), 0)
    }

    /// A body of these bytes, followed by this many zeros.
    pub(super) fn padded(bytes: Bytes, zeros: u64) -> Self {
        let promised = bytes.len() as u64 + zeros;
        Self { bytes, zeros, promised, end: End::Proper }
    }

    /// The number of bytes to send.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.zeros
    }

    /// Sends half of the body, then closes the connection.
    pub(super) fn cut(self) -> Self {
        Self { end: End::Cut, ..self.halved() }
    }

    /// Sends half of the body, then nothing.
    pub(super) fn stalled(self) -> Self {
        Self { end: End::Stall, ..self.halved() }
    }

    fn halved(self) -> Self {
        let half = self.len() / 2;
        let bytes = self.bytes.slice(..self.bytes.len().min(usize::try_from(half).unwrap_or(usize::MAX)));
        let zeros = half - bytes.len() as u64;
        Self { bytes, zeros, ..self }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.bytes.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))));
        }
        if self.zeros > 0 {
            let len = self.zeros.min(ZEROS as u64);
            self.zeros -= len;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PAGE).slice(..len as usize)))));
        }
        match self.end {
            End::Proper => Poll::Ready(None),
            End::Stall => Poll::Pending,
            // When a body fails, hyper drops the bytes that it has not sent yet, so give it one more turn to send them.
            End::Cut => {
                self.end = End::CutNow;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::CutNow => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end == End::Proper && self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

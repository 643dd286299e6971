//! Bodies: bytes, then zeros, then the end or what is made of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// Zeros that one frame takes at most, in bytes.
const ZEROS: usize = 256 * 1024;
static PAGE: [u8; ZEROS] = [0; ZEROS];

/// The body of an answer.
pub(super) struct Body {
    bytes: Bytes,
    zeros: u64,
    /// What `Content-Length` says.
    promised: u64,
    end: End,
}

/// What follows the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The end.
    Proper,
    /// The end of the connection, once all has been sent.
    Cut,
    /// The end of the connection.
    CutNow,
    /// Nothing at all.
    Stall,
}

impl Body {
    /// These bytes.
    pub(super) fn of(bytes: impl Into<Bytes>) -> Self {
        Self::padded(bytes.into(), 0)
    }

    /// These bytes and so many zeros.
    pub(super) fn padded(bytes: Bytes, zeros: u64) -> Self {
        let promised = bytes.len() as u64 + zeros;
        Self { bytes, zeros, promised, end: End::Proper }
    }

    /// How many bytes are sent.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.zeros
    }

    /// Half of it, and then the end of the connection.
    pub(super) fn cut(self) -> Self {
        Self { end: End::Cut, ..self.halved() }
    }

    /// Half of it, and then nothing.
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
            // Hyper drops what it has not sent when a body fails, so it is given one more turn to send it.
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

//! How the body of a response is framed (RFC 9112, 6 and 7).

use bytes::Bytes;
use httparse::Status;

use crate::source::azure::failure::Failure;

/// The most bytes of a chunk's size with its extensions, and of all trailers.
const MAX_LINE: usize = 16 << 10;
/// The most fields of the trailers.
const MAX_TRAILERS: usize = 64;

/// What is left of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes.
    Exactly(u64),
    /// Chunks, the last of which is empty.
    Chunked(Chunk),
    /// All bytes until the connection is closed.
    UntilClosed,
}

/// What comes next in a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    /// This many bytes of a chunk.
    Data(u64),
    /// The line break after a chunk.
    LineBreak,
    Trailers,
    End,
}

/// What the bytes received so far hold of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Some bytes of it.
    Bytes(Bytes),
    /// Nothing until more is received.
    Missing,
    /// Its end.
    End,
}

impl Framing {
    /// A chunked body.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// Whether the whole body has been taken.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(self, Self::Exactly(0) | Self::Chunked(Chunk::End))
    }

    /// Whether the body may end where the connection is closed.
    pub(super) fn may_end(&self) -> bool {
        self.is_at_end() || *self == Self::UntilClosed
    }

    /// Takes the next part of the body from the bytes received.
    ///
    /// # Errors
    /// Returns an error if a chunk is not framed as it should be.
    pub(super) fn take(&mut self, received: &mut Bytes) -> Result<Part, Failure> {
        match self {
            Self::Exactly(left) => Ok(take_of(left, received)),
            Self::UntilClosed => {
                let mut all = u64::MAX;
                Ok(take_of(&mut all, received))
            }
            Self::Chunked(chunk) => loop {
                match chunk {
                    Chunk::Size => match httparse::parse_chunk_size(received) {
                        Ok(Status::Complete((len, size))) => {
                            let _ = received.split_to(len);
                            *chunk = if size == 0 { Chunk::Trailers } else { Chunk::Data(size) };
                        }
                        Ok(Status::Partial) if received.len() < MAX_LINE => return Ok(Part::Missing),
                        _ => return Err(malformed()),
                    },
                    Chunk::Data(0) => *chunk = Chunk::LineBreak,
                    Chunk::Data(left) => return Ok(take_of(left, received)),
                    Chunk::LineBreak => match received.get(..2) {
                        Some(b"\r\n") => {
                            let _ = received.split_to(2);
                            *chunk = Chunk::Size;
                        }
                        None if matches!(&received[..], b"" | b"\r") => return Ok(Part::Missing),
                        _ => return Err(malformed()),
                    },
                    Chunk::Trailers => {
                        let mut space = [httparse::EMPTY_HEADER; MAX_TRAILERS];
                        match httparse::parse_headers(received, &mut space) {
                            Ok(Status::Complete((len, _))) => {
                                let _ = received.split_to(len);
                                *chunk = Chunk::End;
                            }
                            Ok(Status::Partial) if received.len() < MAX_LINE => return Ok(Part::Missing),
                            _ => return Err(malformed()),
                        }
                    }
                    Chunk::End => return Ok(Part::End),
                }
            },
        }
    }
}

/// Takes at most `left` bytes.
fn take_of(left: &mut u64, received: &mut Bytes) -> Part {
    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(received.len());
    match (*left, len) {
        (0, _) => Part::End,
        (_, 0) => Part::Missing,
        _ => {
            *left -= len as u64;
            Part::Bytes(received.split_to(len))
        }
    }
}

fn malformed() -> Failure {
    Failure::Broken("the response has a malformed chunk".into())
}

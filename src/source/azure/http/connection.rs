//! One connection: requests and responses, one after the other (RFC 9112).

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use hyper::Method;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::descriptors::Descriptor;
use super::framing::{Framing, Part};
use super::head::Head;
use super::request::Outgoing;
use crate::source::azure::failure::Failure;
use crate::source::lent::Lent;

/// The most bytes of one read: enough for a response with 16 KiB of content and its head, so that the content arrives in
/// one piece and need not be assembled.
const READ_BUFFER: usize = 18 << 10;

thread_local! {
    /// What all connections of a thread read into: it stays in the processor's cache, and a connection holds no more than
    /// the bytes that it has received.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER]);
}

/// A request's body up to this length is sent together with its head.
const MAX_JOINED: usize = 16 << 10;

/// What a connection reads and writes: TCP, TLS, or either in a proxy's tunnel.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An HTTP/1.1 connection. The task that waits for a response reads it: no other task is woken.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// Bytes received that belong to no part returned so far. Empty between responses.
    received: Bytes,
    // Last: it is returned once the connection is closed.
    _descriptor: Descriptor,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>, descriptor: Descriptor) -> Self {
        Self { stream, received: Bytes::new(), _descriptor: descriptor }
    }

    /// Sends a request, whose head is `head`, and waits for the head of the response.
    ///
    /// # Errors
    /// Returns an error if the connection breaks, or if what arrives is not a response.
    pub(super) async fn send(&mut self, head: Vec<u8>, request: &Outgoing) -> Result<Head, Failure> {
        let written = self.write(head, request.body()).await;
        let head = self.head(request.method()).await;
        match written {
            Ok(()) => head,
            // A server that refuses a request need not read its body. Then the response says more than the failed write.
            Err(error) => match head {
                Ok(head) => Ok(Head { is_persistent: false, ..head }),
                Err(_) => Err(Failure::of_connection(&error)),
            },
        }
    }

    async fn write(&mut self, mut head: Vec<u8>, body: &Bytes) -> io::Result<()> {
        if body.len() <= MAX_JOINED {
            head.extend_from_slice(body);
            self.stream.write_all(&head).await?;
        } else {
            self.stream.write_all(&head).await?;
            self.stream.write_all(body).await?;
        }
        self.stream.flush().await
    }

    async fn head(&mut self, method: &Method) -> Result<Head, Failure> {
        loop {
            if self.receive().await? == 0 {
                return Err(Failure::Broken("the connection was closed without a response".into()));
            }
            if let Some(head) = Head::take(&mut self.received, method)? {
                return Ok(head);
            }
        }
    }

    /// The next part of a response's body, of the bytes received so far.
    ///
    /// # Errors
    /// Returns an error if the body is malformed.
    pub(super) fn part(&mut self, framing: &mut Framing) -> Result<Part, Failure> {
        framing.take(&mut self.received)
    }

    /// Receives more of a body, and returns whether there is more.
    ///
    /// # Errors
    /// Returns an error if the connection breaks or is closed before the end of the body.
    pub(super) async fn more(&mut self, framing: &Framing) -> Result<bool, Failure> {
        match self.receive().await? {
            0 if framing.may_end() => Ok(false),
            0 => Err(Failure::Broken("the connection was closed in the middle of the response".into())),
            _ => Ok(true),
        }
    }

    /// Receives some bytes, and returns their number; 0 if the server has closed the connection.
    async fn receive(&mut self) -> Result<usize, Failure> {
        let read = poll_fn(|context| {
            READ.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
                // Little is left of what came before: a part of a head, or of the line between two chunks.
                self.received = Lent::copy_of([&self.received, buffer.filled()]);
                Poll::Ready(Ok(buffer.filled().len()))
            })
        });
        read.await.map_err(|error: io::Error| Failure::of_connection(&error))
    }

    /// Whether another request may follow a response that has been read to its end: unless there are bytes that nobody
    /// asked for.
    pub(super) fn is_clean(&mut self) -> bool {
        std::mem::take(&mut self.received).is_empty()
    }

    /// Whether the connection is open and nothing has been received, as far as is known right now.
    pub(super) async fn is_open(&mut self) -> bool {
        poll_fn(|context| {
            let mut byte = [0];
            let read = Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read.is_pending())
        })
        .await
    }
}

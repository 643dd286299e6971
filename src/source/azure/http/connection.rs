//! One connection, driven by the task that waits for its response.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};

use super::descriptors::Descriptor;
use crate::source::azure::failure::Failure;

/// What a connection reads and writes: TCP, TLS, or either in a proxy's tunnel.
pub(super) trait Stream: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Stream for T {}

/// Moves the bytes of a connection.
type Driver = http1::Connection<Box<dyn Stream>, Full<Bytes>>;

/// An HTTP/1.1 connection. Nothing drives it between requests.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    // Boxed: connections are moved thousands of times a second, and this is most of their size.
    driver: Box<Driver>,
    ended: bool,
    // Last: it is returned once the connection is closed.
    _descriptor: Descriptor,
}

impl Connection {
    pub(super) fn new(sender: SendRequest<Full<Bytes>>, driver: Driver, descriptor: Descriptor) -> Self {
        Self { sender, driver: Box::new(driver), ended: false, _descriptor: descriptor }
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut head = std::pin::pin!(self.sender.send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let head = poll_fn(|context| drive(driver, ended, context, |context| head.as_mut().poll(context)));
        head.await.map_err(|error| Failure::of_connection(&error))
    }

    /// The next part of a response's body; `None` at its end.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Result<Option<Frame<Bytes>>, Failure> {
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let mut frame = |context: &mut Context<'_>| Pin::new(&mut *body).poll_frame(context);
        let frame = poll_fn(|context| drive(driver, ended, context, &mut frame)).await;
        frame.transpose().map_err(|error| Failure::of_connection(&error))
    }

    /// Whether the response has been read to its end and another request may follow.
    pub(super) async fn is_reusable(&mut self) -> bool {
        self.is_open().await && self.sender.is_ready()
    }

    /// Whether the connection is still open, as far as is known right now.
    pub(super) async fn is_open(&mut self) -> bool {
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        poll_fn(|context| {
            let _: Poll<()> = drive(driver, ended, context, |_| Poll::Pending);
            Poll::Ready(!*ended)
        })
        .await
    }
}

/// Polls a future that waits for the connection. While it is pending, drives the connection once and polls it again.
fn drive<T>(
    driver: &mut Driver,
    ended: &mut bool,
    context: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if let Poll::Ready(value) = poll(context) {
        return Poll::Ready(value);
    }
    // Its error can be ignored: the waiting future gets it too. Polling a driver that has ended would panic.
    if !*ended && Pin::new(driver).poll(context).is_ready() {
        *ended = true;
    }
    // Again: the driver may just have delivered the response, and nothing else would wake this task.
    poll(context)
}

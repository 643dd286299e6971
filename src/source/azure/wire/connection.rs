//! One connection, driven by whoever waits for its answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Body;
use hyper::client::conn::http1::{Connection as Driver, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Collector, Length};
use crate::source::azure::failure::Failure;

/// What moves the bytes of a connection.
type Motor = Driver<MaybeHttpsStream<TokioIo<TcpStream>>, Empty<Bytes>>;

/// A connection of HTTP/1.1. Between two requests nothing drives it.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    // Connections come and go by the thousand a second, and this is most of them.
    driver: Box<Motor>,
    ended: bool,
}

impl Connection {
    pub(super) fn new(sender: SendRequest<Empty<Bytes>>, driver: Motor) -> Self {
        Self { sender, driver: Box::new(driver), ended: false }
    }

    /// Sends a request and collects the body of its answer.
    pub(super) async fn get(
        &mut self,
        request: Request<Empty<Bytes>>,
        length: Length,
        accept: impl FnOnce(StatusCode, &HeaderMap) -> Result<(), Failure>,
        received: &mut u64,
    ) -> Result<Bytes, Failure> {
        let mut answer = std::pin::pin!(self.sender.send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let head = poll_fn(|context| drive(driver, ended, context, |context| answer.as_mut().poll(context)));
        let (head, mut body) = head.await.map_err(|error| Failure::of_connection(&error))?.into_parts();
        let mut collector = Collector::new(head.status, &head.headers, length, accept)?;
        while !body.is_end_stream() {
            let mut frame = |context: &mut Context<'_>| Pin::new(&mut body).poll_frame(context);
            match poll_fn(|context| drive(driver, ended, context, &mut frame)).await {
                None => break,
                Some(frame) => {
                    let frame = frame.map_err(|error| Failure::of_connection(&error))?;
                    if let Ok(piece) = frame.into_data() {
                        collector.push(piece, received)?;
                    }
                }
            }
        }
        collector.finish()
    }

    /// Whether the answer has been read to its end and another request may follow.
    pub(super) async fn is_reusable(&mut self) -> bool {
        self.is_open().await && self.sender.is_ready()
    }

    /// Whether the other end has not closed the connection, as far as is known at this moment.
    pub(super) async fn is_open(&mut self) -> bool {
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        poll_fn(|context| {
            let _: Poll<()> = drive(driver, ended, context, |_| Poll::Pending);
            Poll::Ready(!*ended)
        })
        .await
    }
}

/// Polls what waits for the connection, and the connection once if that does not help.
fn drive<T>(
    driver: &mut Motor,
    ended: &mut bool,
    context: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if let Poll::Ready(value) = poll(context) {
        return Poll::Ready(value);
    }
    // Its error reaches whoever waits for the answer.
    if !*ended && Pin::new(driver).poll(context).is_ready() {
        *ended = true;
    }
    poll(context)
}

//! The way to the service that listings and reads take: HTTP/1.1 on connections of our own.
//!
//! A run sends a request for every blob, so that each layer on the way is paid for a million times. Here a request is
//! driven by the task that waits for its answer, on hyper's connection, with no task, channel or timer of its own.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http_body_util::Empty;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use super::failure::{Failure, Head};
use super::transport;
use crate::error::{Error, Result};

mod connect;
mod connection;
mod idle;

use connect::Connector;
use idle::Idle;

/// The most bytes of an error's body that are read so that its connection can be used again.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The most that is set aside because an answer says how long it is, in bytes: twice what a page of the longest names
/// usually takes.
const MAX_ROOM: usize = 16 << 20;

/// How long a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// It has so many bytes, or it is not believed.
    Exactly(usize),
    /// It has no more bytes than that.
    AtMost(usize),
}

/// The way to one endpoint.
pub(super) struct Wire {
    /// Scheme, host and port.
    origin: Uri,
    route: Route,
}

enum Route {
    /// To the endpoint itself. A connection is driven by the runtime that opened it, so each keeps its own.
    Direct { connector: Connector, idle: Idle },
    /// Through the proxy that the environment names, which is a matter of the client library.
    Proxied(reqwest::Client),
}

impl Wire {
    /// The way to an endpoint such as `https://media.blob.core.windows.net`; what is in its path is not looked at.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub(super) fn new(endpoint: &str) -> Result<Self> {
        let uri = || Some(endpoint.parse::<Uri>().ok()?.into_parts());
        let origin = uri().and_then(|parts| {
            let origin = Uri::builder().scheme(parts.scheme?).authority(parts.authority?);
            origin.path_and_query("/").build().ok()
        });
        let origin = origin.ok_or_else(|| Error::new(format!("{endpoint} cannot be used as an endpoint")))?;
        let route = match Matcher::from_env().intercept(&origin) {
            Some(_) => Route::Proxied(transport::client()?),
            None => Route::Direct { connector: Connector::new(&origin)?, idle: Idle::default() },
        };
        Ok(Self { origin, route })
    }

    /// Scheme, host and port, as a URL without a path.
    pub(super) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// The host as a request names it, with the port unless that is the scheme's own.
    pub(super) fn authority(&self) -> &str {
        self.origin.authority().map_or("", |authority| authority.as_str())
    }

    /// Sends a request and gives the body of its answer, if `accept` takes the answer's head. Bytes of the body are
    /// counted as they come.
    ///
    /// # Errors
    /// The service refuses, what `accept` says, or the connection fails. When this is dropped, so is the connection.
    pub(super) async fn get(
        &self,
        request: Request<Empty<Bytes>>,
        length: Length,
        accept: impl FnOnce(StatusCode, &HeaderMap) -> std::result::Result<(), Failure>,
        received: &mut u64,
    ) -> std::result::Result<Bytes, Failure> {
        match &self.route {
            Route::Direct { connector, idle } => {
                let mut connection = match idle.take().await {
                    Some(connection) => connection,
                    None => connector.connect(&self.origin).await?,
                };
                let answer = connection.get(request, length, accept, received).await;
                if connection.is_reusable().await {
                    idle.keep(connection);
                }
                answer
            }
            Route::Proxied(client) => {
                let request = self.absolute(request)?;
                let answer = client.execute(request).await.map_err(|error| Failure::of_client(&error))?;
                let (status, headers) = (answer.status(), answer.headers().clone());
                let mut collector = Collector::new(status, &headers, length, accept)?;
                let mut body = answer.bytes_stream();
                while let Some(piece) = futures::StreamExt::next(&mut body).await {
                    collector.push(piece.map_err(|error| Failure::of_client(&error))?, received)?;
                }
                collector.finish()
            }
        }
    }

    /// The request as the client library takes it.
    fn absolute(&self, request: Request<Empty<Bytes>>) -> std::result::Result<reqwest::Request, Failure> {
        let unusable = || Failure::Other("the request could not be built".into());
        let (mut parts, _) = request.into_parts();
        let mut origin = self.origin.clone().into_parts();
        origin.path_and_query = parts.uri.into_parts().path_and_query;
        parts.uri = Uri::from_parts(origin).map_err(|_| unusable())?;
        reqwest::Request::try_from(Request::from_parts(parts, reqwest::Body::default()))
            .map_err(|_| unusable())
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The body of an answer, put together. One that comes as one piece is not copied.
struct Collector {
    length: Length,
    /// What the answer says in place of what was asked for.
    refusal: Option<Failure>,
    /// What is set aside for a body that comes in several pieces, in bytes.
    room: usize,
    whole: Bytes,
    pieces: BytesMut,
}

impl Collector {
    /// What becomes of the body behind such a head. That of a refusal is read so that the connection can be used again.
    fn new(
        status: StatusCode,
        headers: &HeaderMap,
        length: Length,
        accept: impl FnOnce(StatusCode, &HeaderMap) -> std::result::Result<(), Failure>,
    ) -> std::result::Result<Self, Failure> {
        let (length, refusal) = match status.is_success() {
            true => {
                accept(status, headers)?;
                (length, None)
            }
            false => (Length::AtMost(MAX_ERROR_BYTES), Some(Failure::of_answer(status, headers))),
        };
        let room = match length {
            Length::Exactly(len) => len,
            // A buffer that grows is there twice for a moment.
            Length::AtMost(most) => {
                let said = headers.field("content-length").and_then(|length| length.parse().ok());
                said.map_or(0, |said: usize| said.min(most).min(MAX_ROOM))
            }
        };
        Ok(Self { length, refusal, room, whole: Bytes::new(), pieces: BytesMut::new() })
    }

    fn push(&mut self, piece: Bytes, received: &mut u64) -> std::result::Result<(), Failure> {
        let had = self.whole.len() + self.pieces.len();
        let (Length::Exactly(most) | Length::AtMost(most)) = self.length;
        if self.refusal.is_none() {
            *received = received.saturating_add(piece.len() as u64);
        }
        if piece.len() > most - had {
            return Err(match (self.refusal.take(), self.length) {
                (Some(refusal), _) => refusal,
                (None, Length::Exactly(len)) => {
                    Failure::Broken(format!("the answer goes on after its {len} bytes"))
                }
                (None, Length::AtMost(most)) => Failure::Other(format!("a body has more than {most} bytes")),
            });
        }
        if had == 0 {
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

    fn finish(self) -> std::result::Result<Bytes, Failure> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let body = if self.pieces.is_empty() { self.whole } else { self.pieces.freeze() };
        match self.length {
            Length::Exactly(len) if body.len() != len => {
                Err(Failure::Broken(format!("the answer ended after {} of {len} bytes", body.len())))
            }
            _ => Ok(body),
        }
    }
}

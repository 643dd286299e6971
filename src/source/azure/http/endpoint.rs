//! One endpoint, and the connections to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HOST, HeaderValue};
use hyper::http::request::Builder;
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Uri};
use hyper_util::client::proxy::matcher::Intercept;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

use super::connect::Connector;
use super::connection::Connection;
use super::descriptors::Descriptors;
use super::pool::Pool;
use super::request::Outgoing;
use super::response::{MAX_SILENCE, Response};
use crate::source::azure::failure::{ConnectFault, Failure};

/// How often opening a connection is tried while no descriptor is left, and the time between two attempts.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// The scheme, host and port that requests are sent to, and the connections there.
pub(in crate::source::azure) struct Endpoint {
    origin: Uri,
    connector: Connector,
    /// For plain http through a proxy, which gets each request in absolute form (RFC 9112, 3.2.2).
    forwarded: Option<Forwarded>,
    pool: Arc<Pool>,
    descriptors: Arc<Descriptors>,
}

struct Forwarded {
    /// Scheme, host and port.
    origin: String,
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// An endpoint without any connection yet.
    pub(super) fn new(
        origin: Uri,
        proxy: Option<&Intercept>,
        tls: Arc<ClientConfig>,
        descriptors: Arc<Descriptors>,
    ) -> Self {
        let connector = Connector::new(origin.clone(), proxy, tls);
        let forwarded = proxy.filter(|_| origin.scheme() == Some(&Scheme::HTTP));
        let forwarded = forwarded.map(|proxy| Forwarded {
            origin: origin.to_string().trim_end_matches('/').to_owned(),
            authorization: proxy.basic_auth().cloned(),
        });
        let pool = Arc::<Pool>::default();
        let idle = Arc::downgrade(&pool);
        descriptors.watch(move || idle.upgrade().is_some_and(|pool| pool.close_one()));
        Self { origin, connector, forwarded, pool, descriptors }
    }

    /// Scheme, host and port, as a URL without a path.
    pub(in crate::source::azure) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// The host as a request names it, with the port unless it is the scheme's default.
    pub(in crate::source::azure) fn authority(&self) -> &str {
        self.origin.authority().map_or("", |authority| authority.as_str())
    }

    /// Starts a request for a path and query, such as `/media?comp=list`.
    pub(in crate::source::azure) fn request(&self, method: Method, target: &str) -> Builder {
        Request::builder().method(method).uri(target).header(HOST, self.authority())
    }

    /// Sends a request and waits for the head of the response. Dropping this future or the response early drops the
    /// connection too.
    ///
    /// # Errors
    /// Returns an error if the connection fails, or if no response begins in time.
    pub(in crate::source::azure) async fn send(&self, request: &Outgoing) -> Result<Response<'_>, Failure> {
        let mut connection = match self.pool.take().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let (origin, authorization) = match &self.forwarded {
            Some(Forwarded { origin, authorization }) => (Some(origin.as_str()), authorization.as_ref()),
            None => (None, None),
        };
        let head = request.head(origin, authorization);
        let head = timeout(MAX_SILENCE, connection.send(head, request)).await;
        let head = head.map_err(|_| Failure::silent())??;
        Ok(Response::new(head, connection, &self.pool))
    }

    /// Opens a connection. While the process or the machine has no descriptor left, waits for one: that is not the
    /// service's failure.
    async fn connect(&self) -> Result<Connection, Failure> {
        for _ in 1..ATTEMPTS {
            match self.connector.connect(self.descriptors.take()).await {
                Err(Failure::Connect { kind: ConnectFault::OutOfDescriptors, .. }) => {
                    self.descriptors.close_idle();
                    tokio::time::sleep(PAUSE).await;
                }
                connected => return connected,
            }
        }
        self.connector.connect(self.descriptors.take()).await
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("origin", &self.origin).finish_non_exhaustive()
    }
}

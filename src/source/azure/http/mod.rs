//! The HTTP client that everything goes through: listings, reads, sign-in and the doctor's own requests.
//!
//! A run sends a request for every blob, so the cost of each layer is paid a million times. Here a request is driven by
//! the task that waits for its response, with no task or channel of its own, and only the fields of a response that are
//! asked for are looked at. `benches/README.md` compares it with hyper's.
//!
//! * HTTP/1.1: many small responses are cheaper there than over the streams of one HTTP/2 connection.
//! * Redirects are not followed: they would carry a credential elsewhere.
//! * Bodies are never decompressed: ranges count the stored bytes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper_util::client::proxy::matcher::Matcher;
use tokio_rustls::rustls::ClientConfig;

use crate::model::error::{Error, Result};

mod connect;
mod connection;
mod descriptors;
mod endpoint;
mod framing;
mod head;
mod pool;
mod proxy;
mod request;
mod response;
mod transport;

pub use connect::connector;
use descriptors::Descriptors;
pub(super) use endpoint::Endpoint;
pub(super) use head::Fields;
pub(super) use request::Outgoing;
pub(super) use response::{Length, MAX_ERROR_BYTES, MAX_ROOM, Response};

/// The connections to every endpoint used so far, and what is needed to open them. Sends nothing on its own.
pub(super) struct Client {
    proxies: Matcher,
    descriptors: Arc<Descriptors>,
    /// Created for the first endpoint that needs it: reading the machine's certificates takes milliseconds.
    tls: OnceLock<Arc<ClientConfig>>,
    endpoints: Mutex<HashMap<Uri, Arc<Endpoint>>>,
}

impl Client {
    /// A client without any connection yet, which uses the proxies set in the environment.
    pub(super) fn new() -> Self {
        Self {
            proxies: Matcher::from_env(),
            descriptors: Arc::new(Descriptors::of_process()),
            tls: OnceLock::new(),
            endpoints: Mutex::default(),
        }
    }

    /// The most connections, to all endpoints together.
    pub(super) fn max_connections(&self) -> usize {
        self.descriptors.most()
    }

    /// A client that uses no proxy.
    pub(super) fn direct() -> Self {
        Self { proxies: Matcher::builder().build(), ..Self::new() }
    }

    /// The endpoint that a URL such as `https://media.blob.core.windows.net/path` is on.
    ///
    /// # Errors
    /// Returns an error if the URL has no host, if its proxy cannot be used, or if the machine's certificates cannot be
    /// read.
    pub(super) fn endpoint(&self, url: &str) -> Result<Arc<Endpoint>> {
        let origin = origin(url).ok_or_else(|| Error::new(format!("{url} cannot be used as an endpoint")))?;
        // A panic elsewhere leaves the map intact.
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = endpoints.get(&origin) {
            return Ok(Arc::clone(endpoint));
        }
        let proxy = proxy::of(&self.proxies, &origin)?;
        let speaks_tls = |uri: &Uri| uri.scheme() == Some(&Scheme::HTTPS);
        let tls = match speaks_tls(&origin) || proxy.as_ref().is_some_and(|proxy| speaks_tls(proxy.uri())) {
            true => self.tls()?,
            false => connect::tls_without_roots()?,
        };
        let endpoint =
            Arc::new(Endpoint::new(origin.clone(), proxy.as_ref(), tls, Arc::clone(&self.descriptors)));
        endpoints.insert(origin, Arc::clone(&endpoint));
        Ok(endpoint)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>> {
        if let Some(tls) = self.tls.get() {
            return Ok(Arc::clone(tls));
        }
        let tls = connect::tls()?;
        Ok(Arc::clone(self.tls.get_or_init(|| tls)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> Option<Uri> {
    let parts = url.parse::<Uri>().ok()?.into_parts();
    Uri::builder().scheme(parts.scheme?).authority(parts.authority?).path_and_query("/").build().ok()
}

/// Reads the response to a GET request that arrives in these pieces, for the fuzz target; `None` if it is none, or not
/// whole.
#[cfg(feature = "fuzz")]
pub fn read_response(pieces: &[&[u8]]) -> Option<(u16, Vec<u8>)> {
    use crate::source::lent::Lent;
    let (mut received, mut pieces) = (bytes::Bytes::new(), pieces.iter());
    let mut head = loop {
        received = Lent::copy_of([&received, pieces.next()?]);
        if let Some(head) = head::Head::take(&mut received, &hyper::Method::GET).ok()? {
            break head;
        }
    };
    let mut body = Vec::new();
    loop {
        match head.framing.take(&mut received).ok()? {
            framing::Part::Bytes(part) => body.extend_from_slice(&part),
            framing::Part::End => break,
            framing::Part::Missing => match pieces.next() {
                Some(piece) => received = Lent::copy_of([&received, piece]),
                None if head.framing.may_end() => break,
                None => return None,
            },
        }
    }
    Some((head.status.as_u16(), body))
}

#[cfg(test)]
mod tests;

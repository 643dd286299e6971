//! The HTTP client beneath the Azure client library.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request, Transport};
use futures::TryStreamExt;

use super::failure::Failure;
use crate::error::{Error, Result};

/// How long a connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections that are kept: more than requests are ever in flight, so that none is opened anew.
const IDLE_CONNECTIONS: usize = 512;

/// The transport for what the client library sends: sign-in, and listing containers.
pub(super) fn transport() -> Transport {
    Transport::new(Arc::<Client>::default())
}

/// The HTTP client beneath it.
///
/// * HTTP/1.1: many small answers are cheaper there than over the streams of one connection.
/// * Redirects are not followed: they would carry a credential elsewhere.
/// * Bodies are never decompressed: ranges count the stored bytes.
pub(super) fn client() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|error| {
            Error::new(format!("the HTTP client cannot start: {}", Failure::of_client(&error)))
                .hint("check the machine's certificates (SSL_CERT_FILE) and proxy settings")
        })
}

/// A client that is made for the first request: to read the machine's certificates takes milliseconds, and most runs do
/// not need them.
#[derive(Debug, Default)]
struct Client(OnceLock<reqwest::Client>);

impl Client {
    fn get(&self) -> std::result::Result<&reqwest::Client, Failure> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = client().map_err(|error| Failure::Other(error.to_string()))?;
        Ok(self.0.get_or_init(|| client))
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let method = match request.method() {
            Method::Delete => reqwest::Method::DELETE,
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Patch => reqwest::Method::PATCH,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            _ => return Err(Failure::Other("an unknown method".into()).into()),
        };
        let mut builder = self.get()?.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        match request.body() {
            Body::Bytes(bytes) if bytes.is_empty() => {}
            Body::Bytes(bytes) => builder = builder.body(bytes.clone()),
            // Nothing here uploads, and a sign-in is a few bytes.
            Body::SeekableStream(_) => return Err(Failure::Other("a body is a stream".into()).into()),
        }
        let response = builder.send().await.map_err(|error| Failure::of_client(&error))?;

        let status = response.status().as_u16().into();
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let body = response.bytes_stream().map_err(|error| Failure::of_client(&error).into());
        Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
    }
}

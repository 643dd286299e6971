//! The client as the Azure crates' transport.

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request};
use hyper::Method;
use url::Position;

use super::{Client, Length, MAX_ERROR_BYTES, Outgoing};
use crate::source::azure::MAX_PAGE_BYTES;
use crate::source::azure::failure::Failure;

/// Returns whole responses; of an error, only the first [`MAX_ERROR_BYTES`].
#[async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url();
        let endpoint =
            self.endpoint(&url[..Position::BeforePath]).map_err(|error| Failure::Other(error.to_string()))?;
        let method = Method::from_bytes(request.method().as_str().as_bytes());
        let method = method.map_err(|_| Failure::unsendable())?;
        let mut sent = endpoint.request(method, &url[Position::BeforePath..Position::AfterQuery]);
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        // Nothing is uploaded, and a sign-in is a few bytes, so a body is never a stream.
        let Body::Bytes(body) = request.body() else { return Err(Failure::unsendable().into()) };
        let sent = sent.body(body.clone()).map_err(|_| Failure::unsendable())?;

        let response = endpoint.send(&Outgoing::of(sent)?).await?;
        let status = response.status();
        let mut headers = Headers::new();
        for (name, value) in response.fields().iter() {
            if let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) {
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
        let length = match status.is_success() {
            true => Length::AtMost(MAX_PAGE_BYTES),
            false => Length::First(MAX_ERROR_BYTES),
        };
        let body = response.body(length).await?;
        Ok(AsyncRawResponse::from_bytes(status.as_u16().into(), headers, body))
    }
}

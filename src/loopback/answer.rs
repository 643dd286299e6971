//! Responses and their headers.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use hyper::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::page;
use super::store::Found;

const X_MS_ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Headers that the real service sends with every response, so that a client has as much to parse.
const ALWAYS: [(HeaderName, HeaderValue); 2] = [
    (
        HeaderName::from_static("x-ms-request-id"),
        HeaderValue::from_static("00000000-0000-0000-0000-000000000000"),
    ),
    (HeaderName::from_static("x-ms-version"), HeaderValue::from_static("2026-02-06")),
];

/// Headers of every response with a blob ("Get Blob").
const OF_BLOBS: [(HeaderName, HeaderValue); 5] = [
    (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    (HeaderName::from_static("x-ms-blob-type"), HeaderValue::from_static("BlockBlob")),
    (HeaderName::from_static("x-ms-lease-state"), HeaderValue::from_static("available")),
    (HeaderName::from_static("x-ms-lease-status"), HeaderValue::from_static("unlocked")),
    (HeaderName::from_static("x-ms-server-encrypted"), HeaderValue::from_static("true")),
];

/// Capacity for all headers of a response.
const HEADERS: usize = 16;

/// An error response of the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    pub status: u16,
    pub code: &'a str,
    pub retry_after: Option<u32>,
}

impl<'a> Refusal<'a> {
    pub(super) const fn new(status: u16, code: &'a str) -> Self {
        Self { status, code, retry_after: None }
    }

    pub(super) fn answer(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = xml(status, page::error(self.code));
        let headers = answer.headers_mut();
        headers.insert(X_MS_ERROR_CODE, value(self.code.to_owned()));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == 401 {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer resource_id=https://storage.azure.com"),
            );
        }
        answer
    }
}

/// A response with XML.
pub(super) fn xml(status: StatusCode, text: String) -> Response<Body> {
    answer(status, HeaderValue::from_static("application/xml"), Body::of(text))
}

/// A response with JSON, or with an error message for a control request.
pub(super) fn json(status: StatusCode, text: String) -> Response<Body> {
    answer(status, HeaderValue::from_static("application/json"), Body::of(text))
}

/// A response with the properties of a blob, without its content.
pub(super) fn properties(found: Found) -> Response<Body> {
    let body = Body::padded(Bytes::new(), found.size);
    blob(StatusCode::OK, found, body)
}

/// A response with the whole content of a blob.
pub(super) fn whole(found: Found) -> Response<Body> {
    let body = slice(&found, 0, found.size);
    blob(StatusCode::OK, found, body)
}

/// A response with the bytes of a blob from `start` up to `end`, whose `Content-Range` is off by `shift`.
pub(super) fn part(found: Found, start: u64, end: u64, shift: u64) -> Response<Body> {
    let mut range = BytesMut::with_capacity(64);
    // Writing to a growable buffer cannot fail.
    let _ = write!(range, "bytes {}-{}/{}", start + shift, end - 1 + shift, found.size);
    let body = slice(&found, start, end);
    let mut answer = blob(StatusCode::PARTIAL_CONTENT, found, body);
    answer.headers_mut().insert(CONTENT_RANGE, value(range.freeze()));
    answer
}

/// The error for a range that starts past the end of a blob.
pub(super) fn no_such_range(size: u64) -> Response<Body> {
    let mut answer = Refusal::new(416, "InvalidRange").answer();
    answer.headers_mut().insert(CONTENT_RANGE, value(format!("bytes */{size}")));
    answer
}

/// The response that allows a browser to read ("Preflight Blob Request").
pub(super) fn preflight(origin: HeaderValue, method: HeaderValue) -> Response<Body> {
    let mut answer = answer(StatusCode::OK, HeaderValue::from_static("text/plain"), Body::of(Bytes::new()));
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    answer
}

fn blob(status: StatusCode, found: Found, body: Body) -> Response<Body> {
    let content_type = match found.content_type {
        Cow::Borrowed(usual) => HeaderValue::from_static(usual),
        Cow::Owned(given) => value(given),
    };
    let mut answer = answer(status, content_type, body);
    let headers = answer.headers_mut();
    headers.extend(OF_BLOBS);
    headers.insert(LAST_MODIFIED, value(found.last_modified));
    headers.insert(ETAG, value(format!("\"{}\"", found.etag)));
    answer
}

fn answer(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    headers.extend(ALWAYS);
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

fn slice(found: &Found, start: u64, end: u64) -> Body {
    let held = found.head.len() as u64;
    let (from, to) = (start.min(held), end.min(held));
    Body::padded(found.head.slice(from as usize..to as usize), (end - start) - (to - from))
}

/// A header value; empty if the text isn't valid in a header, such as an ETag with a line break.
fn value(text: impl Into<Bytes>) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.into()).unwrap_or(HeaderValue::from_static(""))
}

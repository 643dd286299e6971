//! The requests for pages and ranges of one container.

use std::collections::BTreeMap;
use std::fmt::Write;

use azure_core::time::{OffsetDateTime, to_rfc7231};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH, RANGE, USER_AGENT,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request};
use percent_encoding::utf8_percent_encode;

use super::auth::Authorization;
use super::failure::Failure;
use crate::model::{Blob, BlobName, ByteRange};
use crate::source::Depth;
use crate::source::location::{ContainerUrl, SEGMENT_SET};

/// The version of the REST API ("Versioning for Azure Storage"): the same as the client library's.
const VERSION: HeaderValue = HeaderValue::from_static("2026-04-06");
const X_MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const X_MS_DATE: HeaderName = HeaderName::from_static("x-ms-date");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("presync/", env!("CARGO_PKG_VERSION")));
const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// Room for all headers of a request.
const HEADERS: usize = 8;

/// What the requests to one container have in common.
pub(super) struct Requests {
    /// The path of the container.
    path: String,
    /// The headers of every request.
    headers: HeaderMap,
    authorization: Authorization,
}

/// The query for a page of the listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageQuery<'a> {
    pub prefix: &'a str,
    pub marker: Option<&'a str>,
    /// The most blobs on the page.
    pub max_results: u16,
    pub depth: Depth,
}

impl Requests {
    /// Requests to `url`'s container, whose host is `authority`.
    pub(super) fn new(
        url: &ContainerUrl,
        authority: &str,
        authorization: &Authorization,
    ) -> crate::model::error::Result<Self> {
        let unusable =
            |_| crate::model::error::Error::new(format!("{url} cannot be used as the URL of a container"));
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(HOST, HeaderValue::from_str(authority).map_err(unusable)?);
        headers.insert(USER_AGENT, AGENT);
        headers.insert(X_MS_VERSION, VERSION);
        let path = url.container_url()?.path().to_owned();
        Ok(Self { path, headers, authorization: authorization.clone() })
    }

    /// The request for a range of a blob, in the version that was listed.
    pub(super) async fn range(&self, blob: &Blob, range: ByteRange) -> Result<Request<Full<Bytes>>, Failure> {
        let target = self.path_of(&blob.name);
        let mut headers = self.headers.clone();
        headers.insert(RANGE, value(format!("bytes={range}"))?);
        if let Some(etag) = &blob.etag {
            headers.insert(IF_MATCH, value(format!("\"{}\"", etag.as_str()))?);
        }
        self.request(target, headers).await
    }

    /// The request target of a blob: its path, with the SAS if there is one.
    pub(super) fn target(&self, name: &BlobName) -> String {
        let mut target = self.path_of(name);
        self.add_sas(&mut target);
        target
    }

    fn path_of(&self, name: &BlobName) -> String {
        let name = name.as_str();
        let mut path = String::with_capacity(self.path.len() + 2 * name.len() + 16);
        let _ = write!(path, "{}/{}", self.path, utf8_percent_encode(name, SEGMENT_SET));
        path
    }

    fn add_sas(&self, target: &mut String) {
        if let Authorization::Sas(sas) = &self.authorization {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(sas.query());
        }
    }

    /// The request for a page of the listing.
    pub(super) async fn page(&self, query: PageQuery<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut target = format!("{}?comp=list&restype=container&include=metadata", self.path);
        if let Some(marker) = query.marker {
            let _ = write!(target, "&marker={}", utf8_percent_encode(marker, SEGMENT_SET));
        }
        let _ = write!(target, "&maxresults={}", query.max_results);
        if !query.prefix.is_empty() {
            let _ = write!(target, "&prefix={}", utf8_percent_encode(query.prefix, SEGMENT_SET));
        }
        if query.depth == Depth::Direct {
            target.push_str("&delimiter=%2F");
        }
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT, XML);
        self.request(target, headers).await
    }

    async fn request(
        &self,
        mut target: String,
        mut headers: HeaderMap,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        match &self.authorization {
            Authorization::Anonymous => {}
            Authorization::Sas(_) => self.add_sas(&mut target),
            Authorization::Token(tokens) => {
                headers.insert(AUTHORIZATION, tokens.bearer().await?);
            }
            Authorization::Key(key) => {
                headers.insert(X_MS_DATE, value(to_rfc7231(&OffsetDateTime::now_utc()))?);
                let (path, query) = match target.split_once('?') {
                    Some((path, query)) => (path, Some(query)),
                    None => (target.as_str(), None),
                };
                let fields: BTreeMap<_, _> = headers
                    .iter()
                    .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                    .collect();
                let authorization = key.authorization("GET", path, query, fields)?;
                headers.insert(AUTHORIZATION, value(authorization)?);
            }
        }
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::GET;
        *request.uri_mut() =
            PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| Failure::unsendable())?.into();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn value(text: String) -> Result<HeaderValue, Failure> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| Failure::unsendable())
}

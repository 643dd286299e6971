//! The requests for pages and ranges of one container.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use azure_core::time::{OffsetDateTime, to_rfc7231};
use bytes::Bytes;
use hyper::header::{
    ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH, RANGE, USER_AGENT,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request};
use jiff::civil::Date;
use percent_encoding::utf8_percent_encode;

use super::auth::Authorization;
use super::encryption::EncryptionKey;
use super::failure::Failure;
use crate::model::{Blob, BlobName, ByteRange};
use crate::source::Depth;
use crate::source::location::{ContainerUrl, SEGMENT_SET};

/// The versions of the REST API to try ("Versioning for Azure Storage"): the client library's, that of Azurite before
/// 2024, the newest of Azure Stack Hub, and the first that takes tokens.
pub(super) const VERSIONS: [&str; 4] = ["2026-04-06", "2023-11-03", "2019-07-07", "2017-11-09"];
const X_MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const X_MS_DATE: HeaderName = HeaderName::from_static("x-ms-date");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("presync/", env!("CARGO_PKG_VERSION")));
const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// Room for all headers of a request.
const HEADERS: usize = 12;

/// A version of the REST API, which is a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersion(Date);

impl ApiVersion {
    /// Parses a version such as `2019-07-07`.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the requests to one container have in common.
pub(super) struct Requests {
    /// The path of the container.
    path: String,
    /// The headers of every request.
    headers: HeaderMap,
    authorization: Authorization,
    /// The position in [`VERSIONS`]; `None` if the version is the user's choice.
    version: Option<AtomicUsize>,
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
        version: Option<ApiVersion>,
    ) -> crate::model::error::Result<Self> {
        let unusable =
            |_| crate::model::error::Error::new(format!("{url} cannot be used as the URL of a container"));
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(HOST, HeaderValue::from_str(authority).map_err(unusable)?);
        headers.insert(USER_AGENT, AGENT);
        let header = version.map_or(VERSIONS[0].to_owned(), |version| version.to_string());
        headers.insert(X_MS_VERSION, HeaderValue::from_str(&header).map_err(unusable)?);
        let path = url.container_url()?.path().to_owned();
        let version = version.is_none().then(AtomicUsize::default);
        Ok(Self { path, headers, authorization: authorization.clone(), version })
    }

    /// The version of the API that the next request asks for.
    pub(super) fn version(&self) -> usize {
        self.version.as_ref().map_or(0, |version| version.load(Relaxed))
    }

    /// Whether a request with this version should be sent again with an older one, because of its failure.
    pub(super) fn falls_back(&self, used: usize, failure: &Failure) -> bool {
        let Some(version) = self.version.as_ref().filter(|_| failure.said().is_version()) else {
            return false;
        };
        // Other requests may have failed for the same reason, and moved on already.
        let older = used + 1;
        if older < VERSIONS.len() {
            version.fetch_max(older, Relaxed);
        }
        older < VERSIONS.len()
    }

    /// The headers of a request.
    fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let older @ 1.. = self.version() {
            headers.insert(X_MS_VERSION, HeaderValue::from_static(VERSIONS[older]));
        }
        headers
    }

    /// The request for a range of a blob, in the version that was listed.
    pub(super) async fn range(
        &self,
        blob: &Blob,
        range: ByteRange,
        encryption: Option<&EncryptionKey>,
    ) -> Result<Request<Bytes>, Failure> {
        let target = self.path_of(&blob.name);
        let mut headers = self.headers();
        if let Some(key) = encryption {
            key.add_to(&mut headers);
        }
        headers.insert(RANGE, value(format!("bytes={range}"))?);
        if let Some(etag) = &blob.etag {
            headers.insert(IF_MATCH, value(["\"", etag.as_str(), "\""].concat())?);
        }
        self.request(Method::GET, target, headers, Bytes::new()).await
    }

    /// The request for a blob's properties, which needs no more than the permission to read it.
    pub(super) async fn properties(
        &self,
        name: &BlobName,
        encryption: Option<&EncryptionKey>,
    ) -> Result<Request<Bytes>, Failure> {
        let mut headers = self.headers();
        if let Some(key) = encryption {
            key.add_to(&mut headers);
        }
        self.request(Method::HEAD, self.path_of(name), headers, Bytes::new()).await
    }

    /// The request target of a blob: its path, with the SAS if there is one.
    pub(super) fn target(&self, name: &BlobName) -> String {
        let mut target = self.path_of(name);
        self.add_sas(&mut target);
        target
    }

    /// The path of a blob.
    pub(super) fn path_of(&self, name: &BlobName) -> String {
        let name = name.as_str();
        let mut path = String::with_capacity(self.path.len() + 2 * name.len() + 16);
        path.push_str(&self.path);
        path.push('/');
        path.extend(utf8_percent_encode(name, SEGMENT_SET));
        path
    }

    /// The request target of the account, with a query.
    pub(super) fn service_target(&self, query: &str) -> String {
        let account = self.path.rsplit_once('/').map_or("", |(account, _)| account);
        format!("{account}/?{query}")
    }

    fn add_sas(&self, target: &mut String) {
        if let Authorization::Sas(sas) = &self.authorization {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(sas.query());
        }
    }

    /// The request for a page of the listing.
    pub(super) async fn page(&self, query: PageQuery<'_>) -> Result<Request<Bytes>, Failure> {
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
        let mut headers = self.headers();
        headers.insert(ACCEPT, XML);
        self.request(Method::GET, target, headers, Bytes::new()).await
    }

    /// The request with this target and body. `headers` may have any number besides those of every request.
    pub(super) async fn request(
        &self,
        method: Method,
        mut target: String,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Bytes>, Failure> {
        if !headers.contains_key(HOST) {
            headers.extend(self.headers());
        }
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
                let authorization = key.authorization(method.as_str(), path, query, fields)?;
                headers.insert(AUTHORIZATION, value(authorization)?);
            }
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() =
            PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| Failure::unsendable())?.into();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

pub(super) fn value(text: String) -> Result<HeaderValue, Failure> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| Failure::unsendable())
}

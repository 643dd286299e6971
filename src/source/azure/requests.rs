//! The requests for pages and ranges of one container.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use azure_core::time::{OffsetDateTime, to_rfc7231};
use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderValue};
use jiff::civil::Date;
use percent_encoding::utf8_percent_encode;

use super::auth::Authorization;
use super::encryption::EncryptionKey;
use super::failure::Failure;
use super::http::Outgoing;
use crate::model::{Blob, BlobName, ByteRange};
use crate::source::Depth;
use crate::source::location::{ContainerUrl, SEGMENT_SET};

/// The versions of the REST API to try ("Versioning for Azure Storage"): the client library's, that of Azurite before
/// 2024, the newest of Azure Stack Hub, and the first that takes tokens.
pub(super) const VERSIONS: [&str; 4] = ["2026-04-06", "2023-11-03", "2019-07-07", "2017-11-09"];
const AGENT: &str = concat!("presync/", env!("CARGO_PKG_VERSION"));

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
    /// The lines of the header fields of every request.
    fields: Vec<u8>,
    authorization: Authorization,
    /// The version of the API, if it is the user's choice.
    chosen: Option<String>,
    /// Otherwise the position of the version in [`VERSIONS`].
    version: AtomicUsize,
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
        let path = url.container_url()?.path().to_owned();
        let fields = format!("host: {authority}\r\nuser-agent: {AGENT}\r\n").into_bytes();
        let chosen = version.map(|version| version.to_string());
        Ok(Self { path, fields, authorization: authorization.clone(), chosen, version: AtomicUsize::new(0) })
    }

    /// The version of the API that the next request asks for.
    pub(super) fn version(&self) -> usize {
        self.version.load(Relaxed)
    }

    /// Whether a request with this version should be sent again with an older one, because of its failure.
    pub(super) fn falls_back(&self, used: usize, failure: &Failure) -> bool {
        if self.chosen.is_some() || !failure.said().is_version() {
            return false;
        }
        // Other requests may have failed for the same reason, and moved on already.
        let older = used + 1;
        if older < VERSIONS.len() {
            self.version.fetch_max(older, Relaxed);
        }
        older < VERSIONS.len()
    }

    /// The beginning of a request.
    fn start(&self, method: Method, mut target: String) -> Result<Outgoing, Failure> {
        self.add_sas(&mut target);
        let mut request = Outgoing::new(method, target, &self.fields)?;
        let version = self.chosen.as_deref().unwrap_or(VERSIONS[self.version()]);
        request.push("x-ms-version", &[version.as_bytes()])?;
        Ok(request)
    }

    /// Adds what proves that the request is allowed.
    async fn authorized(&self, mut request: Outgoing) -> Result<Outgoing, Failure> {
        match &self.authorization {
            Authorization::Anonymous | Authorization::Sas(_) => {}
            Authorization::Token(tokens) => {
                request.push("authorization", &[tokens.bearer().await?.as_bytes()])?;
            }
            Authorization::Key(key) => {
                request.push("x-ms-date", &[to_rfc7231(&OffsetDateTime::now_utc()).as_bytes()])?;
                let (path, query) = request.path_and_query();
                let fields: BTreeMap<_, _> = request.fields().collect();
                let authorization = key.authorization(request.method().as_str(), path, query, fields)?;
                request.push("authorization", &[authorization.as_bytes()])?;
            }
        }
        Ok(request)
    }

    /// The request for a range of a blob, in the version that was listed.
    pub(super) async fn range(
        &self,
        blob: &Blob,
        range: ByteRange,
        encryption: Option<&EncryptionKey>,
    ) -> Result<Outgoing, Failure> {
        let mut request = self.start(Method::GET, self.path_of(&blob.name))?;
        add_key(&mut request, encryption)?;
        let (mut first, mut last) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (first, last) = (first.format(range.start()), last.format(range.end().saturating_sub(1)));
        request.push("range", &[b"bytes=", first.as_bytes(), b"-", last.as_bytes()])?;
        if let Some(etag) = &blob.etag {
            request.push("if-match", &[b"\"", etag.as_str().as_bytes(), b"\""])?;
        }
        self.authorized(request).await
    }

    /// The request for a blob's properties, which needs no more than the permission to read it.
    pub(super) async fn properties(
        &self,
        name: &BlobName,
        encryption: Option<&EncryptionKey>,
    ) -> Result<Outgoing, Failure> {
        let mut request = self.start(Method::HEAD, self.path_of(name))?;
        add_key(&mut request, encryption)?;
        self.authorized(request).await
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
    pub(super) async fn page(&self, query: PageQuery<'_>) -> Result<Outgoing, Failure> {
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
        let mut request = self.start(Method::GET, target)?;
        request.push("accept", &[b"application/xml"])?;
        self.authorized(request).await
    }

    /// The request with this target, these header fields besides those of every request, and this body.
    pub(super) async fn request(
        &self,
        method: Method,
        target: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Outgoing, Failure> {
        let mut request = self.start(method, target)?;
        add(&mut request, &headers)?;
        self.authorized(request.with_body(body)).await
    }
}

fn add(request: &mut Outgoing, headers: &HeaderMap) -> Result<(), Failure> {
    headers.iter().try_for_each(|(name, value)| request.push(name.as_str(), &[value.as_bytes()]))
}

/// Adds the key that a blob is encrypted with.
fn add_key(request: &mut Outgoing, key: Option<&EncryptionKey>) -> Result<(), Failure> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        key.add_to(&mut headers);
    }
    add(request, &headers)
}

pub(super) fn value(text: String) -> Result<HeaderValue, Failure> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| Failure::unsendable())
}

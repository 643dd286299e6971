//! A container of Azure Blob Storage.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cpu_time::ThreadTime;
use futures::{StreamExt, stream};
use http_body_util::Full;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode, Uri};
use jiff::Timestamp;

use super::location::{ContainerUrl, Environment};
use super::{Depth, Listing, Reader};
use crate::model::error::{Error, Result};
use crate::model::{Access, Blob, BlobName, ByteRange, Origin, ReadError, Reads};

mod account;
mod answer;
mod auth;
mod cli;
pub mod commands;
mod doctor;
mod explain;
mod failure;
mod http;
mod limiter;
mod list_page;
mod policy;
mod requests;
mod retry;
mod session;
mod sign;

pub use account::{MAX_CONTAINERS, containers};
pub use auth::{AuthMode, Credential};
pub use doctor::Diagnosis;
pub use http::connector;
pub use limiter::{Limits, MAX_CONCURRENCY, Traffic};
pub use list_page::{Page, parse as parse_page};
pub use retry::Retry;
pub use session::Session;

use answer::Version;
use failure::Failure;
use http::{Endpoint, Length, MAX_ERROR_BYTES, Response};
use limiter::Limiter;
use requests::{PageQuery, Requests};
use retry::{Deadline, Failed, with_retries};

/// The most bytes of one page: 5,000 blobs with names and metadata of maximum length stay below it.
const MAX_PAGE_BYTES: usize = 128 * 1024 * 1024;
/// How many names that begin with a blob's whole name are listed in search of the blob, in case the service lists in no
/// order: it is rare that any does.
const MAX_LONGER_NAMES: u64 = 20_000;

/// How long one attempt at a range may take: a server that trickles bytes must not hold up a run. The first attempt
/// gets less time, and each further one twice as much as the one before, so that a slow connection succeeds.
const READ_DEADLINE: Duration = Duration::from_secs(120);

/// How long one attempt at a page may take.
const PAGE_DEADLINE: Duration = Duration::from_secs(300);

/// Settings for reading from Azure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Blobs per page of the listing, 1 to 5,000; the service may send fewer.
    pub page_size: u16,
    /// How requests are retried.
    pub retry: Retry,
    /// The limits on requests.
    pub limits: Limits,
    /// How far below the prefix the listing goes.
    pub depth: Depth,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_size: list_page::MAX_BLOBS,
            retry: Retry::default(),
            limits: Limits::default(),
            depth: Depth::All,
        }
    }
}

/// The blobs of a container whose names begin with a prefix. Nothing is ever written.
///
/// * `Debug` shows no secret.
/// * Must be used within a tokio runtime.
pub struct AzureSource {
    url: ContainerUrl,
    credential: Credential,
    endpoint: Arc<Endpoint>,
    requests: Requests,
    limiter: Arc<Limiter>,
    options: Options,
    /// CPU time of [`parsing`](Self::parsing), in nanoseconds.
    parsing: AtomicU64,
}

impl AzureSource {
    /// Finds the credential and prepares the client. Sends nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the credential that `mode` asks for is missing or cannot be used with this endpoint.
    pub fn new(url: ContainerUrl, mode: AuthMode, env: &Environment, options: Options) -> Result<Self> {
        Self::in_session(url, mode, env, options, &Session::new(options.limits))
    }

    /// Same as [`new`](Self::new), but shares the session with other containers. The session's limits apply, not those
    /// in `options`.
    ///
    /// # Errors
    ///
    /// Same as [`new`](Self::new).
    pub(crate) fn in_session(
        url: ContainerUrl,
        mode: AuthMode,
        env: &Environment,
        options: Options,
        session: &Session,
    ) -> Result<Self> {
        let credential = session.credential(mode, &url, env)?;
        Self::with(url, credential, options, session)
    }

    /// Prepares the client with a credential.
    fn with(url: ContainerUrl, credential: Credential, options: Options, session: &Session) -> Result<Self> {
        let endpoint = session.endpoint(url.endpoint())?;
        let requests = Requests::new(&url, endpoint.authority(), &credential.authorization)?;
        let limiter = session.limiter(url.endpoint());
        Ok(Self { url, credential, endpoint, requests, limiter, options, parsing: AtomicU64::new(0) })
    }

    /// Describes the source for reports.
    pub fn origin(&self) -> Origin {
        Origin { credential: Some(self.credential.label().to_owned()), ..self.url.origin() }
    }

    /// Same as [`new`](Self::new), but uses the given token instead of a credential from the environment.
    ///
    /// # Errors
    ///
    /// Same as [`new`](Self::new).
    pub fn with_token(url: ContainerUrl, token: String, options: Options) -> Result<Self> {
        Self::with(url, Credential::given(token), options, &Session::new(options.limits))
    }

    /// What [`AuthMode::Auto`] looked at and could not use, with the reason.
    pub(crate) fn passed_over(&self) -> &[String] {
        self.credential.passed_over()
    }

    /// Figures of the requests to the account so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.limiter.traffic()
    }

    /// The CPU time spent on parsing pages of the listing so far.
    pub(crate) fn parsing(&self) -> Duration {
        Duration::from_nanos(self.parsing.load(Ordering::Relaxed))
    }

    /// Lists the blobs under the prefix, down to the depth, a page at a time.
    pub fn list(self: &Arc<Self>) -> Listing {
        let page_size = self.options.page_size.clamp(1, list_page::MAX_BLOBS);
        let cursor = Cursor::new(self.url.prefix().to_owned(), page_size);
        stream::try_unfold(Some((Arc::clone(self), cursor)), async |state| {
            let Some((source, mut cursor)) = state else { return Ok(None) };
            let page = source.page(&cursor).await?;
            let next = cursor.move_on(&page)?.then_some((source, cursor));
            Ok(Some((page.blobs, next)))
        })
        .boxed()
    }

    /// The body of each page of the listing, as received.
    ///
    /// # Errors
    ///
    /// Returns an error if the container cannot be listed.
    pub async fn raw_pages(&self) -> Result<Vec<Bytes>> {
        let mut cursor = Cursor::new(self.url.prefix(), list_page::MAX_BLOBS);
        let mut pages = Vec::new();
        loop {
            let body = self.page_body(&cursor).await;
            let body = body.map_err(|failure| self.explain(&Failed { failure, attempts: 1 }))?;
            let is_last = !cursor.move_on(&list_page::parse(&body)?)?;
            pages.push(body);
            if is_last {
                return Ok(pages);
            }
        }
    }

    /// The endpoint's scheme, host and port, as a URL without a path.
    pub fn host(&self) -> &Uri {
        self.endpoint.origin()
    }

    /// The request target of a blob: its path, with the SAS if there is one.
    pub fn target(&self, name: &BlobName) -> String {
        self.requests.target(name)
    }

    /// One page of the listing, with retries.
    async fn page(&self, from: &Cursor<'_>) -> Result<Page> {
        let attempt = |_| self.try_page(from);
        let page =
            with_retries(&self.limiter, self.options.retry, 0, Deadline::Fixed(PAGE_DEADLINE), attempt);
        page.await.map_err(|failed| from.broken(self.explain(&failed)))
    }

    async fn try_page(&self, from: &Cursor<'_>) -> std::result::Result<Page, Failure> {
        let body = self.page_body(from).await?;
        // A page is megabytes: parsed on this thread, it would delay everything else, even Ctrl-C.
        let parsed = tokio::task::spawn_blocking(move || {
            let cpu = ThreadTime::now();
            (list_page::parse(&body), cpu.elapsed())
        });
        let (page, time) = parsed.await.map_err(|error| Failure::Other(error.to_string()))?;
        self.parsing.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        page.map_err(Failure::Page)
    }

    async fn page_body(&self, from: &Cursor<'_>) -> std::result::Result<Bytes, Failure> {
        let (prefix, marker, max_results) = (&*from.prefix, from.marker.as_deref(), from.page_size);
        let query = PageQuery { prefix, marker, max_results, depth: self.options.depth };
        let response = self.send(|| self.requests.page(query)).await?;
        response.body(Length::AtMost(MAX_PAGE_BYTES)).await
    }

    async fn try_read(
        &self,
        blob: &Blob,
        range: ByteRange,
        received: &AtomicU64,
    ) -> std::result::Result<(Bytes, Version), Failure> {
        let too_long = |_| Failure::Other(format!("{range} is more than this machine can address"));
        let length = Length::Exactly(usize::try_from(range.len()).map_err(too_long)?);
        let response = self.send(|| self.requests.range(blob, range)).await?;
        // Before the body: the body of a response that does not match the request is not worth reading.
        answer::check(blob, range, response.status(), response.headers())?;
        let version = match blob.etag.is_none() || blob.last_modified.is_none() {
            true => Version::of(response.headers()),
            false => Version::default(),
        };
        Ok((response.counted_body(length, received).await?, version))
    }

    /// Sends a request. If the service rejects its token, sends it once more with another one: a token may have been
    /// revoked, or have been issued before a change of permissions.
    async fn send<F>(&self, request: impl Fn() -> F) -> std::result::Result<Response<'_>, Failure>
    where
        F: Future<Output = std::result::Result<Request<Full<Bytes>>, Failure>>,
    {
        let first = request().await?;
        let used = first.headers().get(AUTHORIZATION).cloned();
        let response = self.endpoint.send(first).await?;
        let is_rejected = response.status() == StatusCode::UNAUTHORIZED;
        if is_rejected && used.is_some_and(|used| self.credential.reject(&used)) {
            // Read to its end, so that the connection can be reused.
            response.body(Length::First(MAX_ERROR_BYTES)).await?;
            return self.endpoint.send(request().await?).await?.error_for_status().await;
        }
        response.error_for_status().await
    }

    fn explain(&self, failed: &Failed) -> Error {
        let error = explain::explain(failed, &self.url, &self.credential, Timestamp::now());
        let passed_over = self.credential.passed_over().join("; ");
        // Only where another credential could make a difference.
        match failed.failure {
            Failure::Credential { .. } | Failure::Status { status: 401 | 403 | 404 | 409, .. }
                if !passed_over.is_empty() =>
            {
                let hint = error.hint().unwrap_or_default();
                Error::new(error.message()).with_hint(format!("{hint} (--auth auto: {passed_over})"))
            }
            _ => error,
        }
    }

    /// What a failed read means for its blob ("Status and error codes", "Blob service error codes").
    fn read_error(&self, failed: &Failed) -> ReadError {
        let Failed { failure, .. } = failed;
        match failure {
            Failure::Changed => ReadError::Changed,
            Failure::Credential { .. } => ReadError::Fatal(self.explain(failed)),
            Failure::Status { status, .. } => match (*status, failure.code().unwrap_or_default()) {
                // 416: a blob that is now shorter than it was listed has changed too.
                (412 | 416, _) => ReadError::Changed,
                (404, "BlobNotFound") => ReadError::Gone,
                (409, "BlobArchived" | "BlobBeingRehydrated") => ReadError::Archived,
                (401 | 403, _)
                | (404, "ContainerNotFound")
                | (409, "ContainerBeingDeleted" | "PublicAccessNotPermitted") => {
                    ReadError::Fatal(self.explain(failed))
                }
                _ => ReadError::Unreadable(failed.to_string()),
            },
            _ => ReadError::Unreadable(failed.to_string()),
        }
    }
}

impl Reader for AzureSource {
    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        match &blob.access {
            Access::Online => {}
            Access::Archived => return Err(ReadError::Archived),
            Access::Directory | Access::NotEntered => return Ok(Bytes::new()),
            Access::Unreachable(why) => return Err(ReadError::Unreadable(why.to_string())),
        }
        let range = range.within(blob.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let (listed, received) = (&*blob, AtomicU64::new(0));
        let attempt = |is_first| {
            reads.count_request(is_first);
            self.try_read(listed, range, &received)
        };
        let deadline = Deadline::Adaptive(READ_DEADLINE);
        let read = with_retries(&self.limiter, self.options.retry, range.len(), deadline, attempt).await;
        reads.bytes += received.into_inner();
        let (bytes, version) = read.map_err(|failed| self.read_error(&failed))?;
        blob.etag = blob.etag.take().or(version.etag);
        blob.last_modified = blob.last_modified.or(version.last_modified);
        Ok(bytes)
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        // In any order of names, the name itself comes first of all that begin with it.
        let mut cursor = Cursor::new(name.as_str(), 1);
        loop {
            let page = self.page(&cursor).await.map_err(ReadError::Fatal)?;
            let is_last = !cursor.move_on(&page).map_err(ReadError::Fatal)?;
            let found = page.blobs.into_iter().find(|blob| blob.name == *name);
            if found.is_some() || is_last || cursor.listed > MAX_LONGER_NAMES {
                return Ok(found);
            }
            // A page may be empty without being the last.
            cursor.page_size = list_page::MAX_BLOBS;
        }
    }
}

impl fmt::Debug for AzureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureSource")
            .field("url", &self.url.to_string())
            .field("credential", &self.credential)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The position in a listing of the names with a prefix.
#[derive(Debug)]
struct Cursor<'a> {
    prefix: Cow<'a, str>,
    page_size: u16,
    marker: Option<String>,
    listed: u64,
    last: Option<String>,
}

impl<'a> Cursor<'a> {
    fn new(prefix: impl Into<Cow<'a, str>>, page_size: u16) -> Self {
        Self { prefix: prefix.into(), page_size, marker: None, listed: 0, last: None }
    }

    /// Moves past a page, and returns whether another one follows.
    fn move_on(&mut self, page: &Page) -> Result<bool> {
        self.listed = self.listed.saturating_add(page.blobs.len() as u64);
        if let Some(blob) = page.blobs.last() {
            self.last = Some(blob.name.as_str().to_owned());
        }
        // Without this check, a broken proxy could keep a listing going forever.
        if page.next.is_some() && page.next == self.marker {
            return Err(self.broken(
                Error::new("the service sent the same page twice")
                    .with_hint("check what responds at this URL"),
            ));
        }
        self.marker.clone_from(&page.next);
        Ok(self.marker.is_some())
    }

    /// Adds the position in the listing to the error that ended it.
    fn broken(&self, error: Error) -> Error {
        let Some(last) = &self.last else { return error };
        let message =
            format!("the listing failed after {} blobs ('{}'): {error}", self.listed, last.escape_debug());
        match error.hint() {
            Some(hint) => Error::new(message).with_hint(hint),
            None => Error::new(message),
        }
    }
}

#[cfg(test)]
mod tests;

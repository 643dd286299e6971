//! A container of Azure Blob Storage.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cpu_time::ThreadTime;
use futures::{StreamExt, stream};
use hyper::Uri;
use jiff::Timestamp;
use tokio::time::timeout;

use super::location::{ContainerUrl, Environment};
use super::{Depth, Listing, Reader};
use crate::model::error::{Error, Result};
use crate::model::{Access, Blob, BlobName, ByteRange, Origin, ReadError, Reads};

mod account;
mod answer;
mod auth;
mod cli;
mod doctor;
mod explain;
mod failure;
mod http;
mod limiter;
mod list_page;
mod policy;
mod refusals;
mod requests;
mod retry;
mod session;
mod sign;

pub use account::{MAX_CONTAINERS, containers};
pub use auth::{AuthMode, Credential};
pub use doctor::{Diagnosis, role_condition};
pub use http::connector;
pub use limiter::{Limits, MAX_CONCURRENCY, Traffic};
pub use list_page::{Page, parse as parse_page};
pub use retry::Retry;
pub use session::Session;

use answer::Version;
use failure::Failure;
use http::{Endpoint, Length, MAX_SILENCE};
use limiter::Limiter;
use refusals::Refusals;
use requests::{PageQuery, Requests};
use retry::{Deadline, Failed, with_retries};

/// The most bytes of one page: 5,000 blobs with names and metadata of maximum length stay below it.
const MAX_PAGE_BYTES: usize = 128 * 1024 * 1024;

/// How long one attempt at a range may take: a server that trickles bytes must not hold up a run. The first attempt
/// gets less time, and each further one twice as much as the one before, so that a slow connection succeeds.
const READ_DEADLINE: Duration = Duration::from_secs(120);

/// How long one attempt at a page may take.
const PAGE_DEADLINE: Duration = Duration::from_secs(300);

/// The most pages in a row without a blob. The service sends some where many blobs were deleted, for each 5,000 of them.
const MAX_EMPTY_PAGES: u32 = 5_000;

/// Settings for reading from Azure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Blobs per page of the listing, 1 to 5,000; the service may send fewer.
    pub page_size: u16,
    /// How requests are retried.
    pub retry: Retry,
    /// The limits on requests.
    pub limits: Limits,
    /// How far below the prefix the listing goes.
    pub depth: Depth,
    /// Takes a line about a page of the listing that failed and is tried again, for a log.
    pub notice: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_size: list_page::MAX_BLOBS,
            retry: Retry::default(),
            limits: Limits::default(),
            depth: Depth::All,
            notice: |_| {},
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
    refusals: Refusals,
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
        let (refusals, parsing) = (Refusals::default(), AtomicU64::new(0));
        Ok(Self { url, credential, endpoint, requests, limiter, refusals, options, parsing })
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
        let cursor = Cursor::new(self.url.prefix().to_owned(), page_size).with_depth(self.options.depth);
        stream::try_unfold(Some((Arc::clone(self), cursor)), async |state| {
            let Some((source, mut cursor)) = state else { return Ok(None) };
            let page = source.page(&cursor).await;
            let page = page.map_err(|failed| cursor.broken(source.explain(&failed)))?;
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
    async fn page(&self, from: &Cursor<'_>) -> std::result::Result<Page, Failed> {
        let attempt = async |_| {
            let page = self.try_page(from).await;
            if let Err(failure) = &page
                && failure.is_passing()
            {
                (self.options.notice)(&format!("a page of the listing failed: {failure}"));
            }
            page
        };
        let deadline = Deadline::Fixed(PAGE_DEADLINE);
        with_retries(&self.limiter, self.options.retry, 0, deadline, attempt).await
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
        let query = PageQuery { prefix, marker, max_results, depth: from.depth };
        let request = self.requests.page(query).await?;
        let response = timeout(MAX_SILENCE, self.endpoint.send(request)).await;
        let response = response.map_err(|_| Failure::silent())??.error_for_status().await?;
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
        let request = self.requests.range(blob, range).await?;
        let response = self.endpoint.send(request).await?.error_for_status().await?;
        // Before the body: the body of a response that does not match the request is not worth reading.
        answer::check(blob, range, response.status(), response.headers())?;
        let version = match blob.etag.is_none() || blob.last_modified.is_none() {
            true => Version::of(response.headers()),
            false => Version::default(),
        };
        Ok((response.counted_body(length, received).await?, version))
    }

    /// Reads a range that is inside the blob, with retries, and counts the attempts.
    async fn try_range(
        &self,
        blob: &Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<(Bytes, Version), Failed> {
        let received = AtomicU64::new(0);
        let attempt = |is_first| {
            reads.count_request(is_first);
            self.try_read(blob, range, &received)
        };
        let deadline = Deadline::Adaptive(READ_DEADLINE);
        let read = with_retries(&self.limiter, self.options.retry, range.len(), deadline, attempt).await;
        reads.bytes += received.into_inner();
        read
    }

    fn explain(&self, failed: &Failed) -> Error {
        explain::explain(failed, &self.url, &self.credential, Timestamp::now())
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

impl AzureSource {
    /// What it means for a changed blob that it cannot be listed again. A credential may allow reading but not listing.
    fn unfound(&self, failed: &Failed) -> ReadError {
        match self.read_error(failed) {
            ReadError::Fatal(error) if !failed.failure.is_refusal() => ReadError::Fatal(error),
            _ => ReadError::Unreadable(format!("it changed, and listing it again failed: {failed}")),
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
        let (bytes, version) = match self.try_range(blob, range, reads).await {
            Ok(read) => read,
            Err(failed) if failed.failure.is_refusal() => return Err(self.refused(blob, &failed).await),
            Err(failed) => return Err(self.read_error(&failed)),
        };
        self.refusals.read(blob);
        blob.etag = blob.etag.take().or(version.etag);
        blob.last_modified = blob.last_modified.or(version.last_modified);
        Ok(bytes)
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        let mut cursor = Cursor::new(name.as_str(), 1);
        loop {
            let page = self.page(&cursor).await.map_err(|failed| self.unfound(&failed))?;
            let circle = |error: Error| ReadError::Unreadable(error.to_string());
            let is_last = !cursor.move_on(&page).map_err(circle)?;
            // Of all names with this prefix, the name itself comes first. A page may be empty without being the last.
            match page.blobs.into_iter().next() {
                Some(blob) => return Ok(Some(blob).filter(|blob| blob.name == *name)),
                None if is_last => return Ok(None),
                None => {}
            }
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
    depth: Depth,
    marker: Option<String>,
    /// An earlier marker, to notice that the markers go in a circle (Brent's algorithm).
    earlier: Option<String>,
    pages: u64,
    /// Pages without a blob since the last one with a blob.
    empty: u32,
    listed: u64,
    last: Option<String>,
}

impl<'a> Cursor<'a> {
    fn new(prefix: impl Into<Cow<'a, str>>, page_size: u16) -> Self {
        Self {
            prefix: prefix.into(),
            page_size,
            depth: Depth::All,
            marker: None,
            earlier: None,
            pages: 0,
            empty: 0,
            listed: 0,
            last: None,
        }
    }

    fn with_depth(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }

    /// Moves past a page, and returns whether another one follows.
    ///
    /// # Errors
    /// Returns an error if the listing would go on forever.
    fn move_on(&mut self, page: &Page) -> Result<bool> {
        self.listed = self.listed.saturating_add(page.blobs.len() as u64);
        if let Some(blob) = page.blobs.last() {
            self.last = Some(blob.name.as_str().to_owned());
        }
        self.empty = if page.blobs.is_empty() { self.empty + 1 } else { 0 };
        self.pages += 1;
        let is_repeated = page.next == self.marker || page.next == self.earlier;
        if page.next.is_some() && (is_repeated || self.empty >= MAX_EMPTY_PAGES) {
            let endless = match is_repeated {
                true => "the service sent the same page twice".to_owned(),
                false => format!("the service sent {MAX_EMPTY_PAGES} pages without a blob in a row"),
            };
            return Err(self.broken(Error::new(endless).with_hint("check what responds at this URL")));
        }
        // The distance doubles, so a circle of any length is noticed before it is passed a third time.
        if self.pages.is_power_of_two() {
            self.earlier.clone_from(&page.next);
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

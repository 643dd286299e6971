//! A container of Azure Blob Storage.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cpu_time::ThreadTime;
use futures::{StreamExt, stream};
use hyper::Uri;
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
mod cursor;
mod doctor;
mod encryption;
mod explain;
mod failure;
mod http;
mod limiter;
mod list_page;
mod policy;
mod properties;
mod refusals;
mod requests;
mod retry;
mod said;
mod send;
mod session;
mod sign;
mod trial;
mod write;

pub use account::{MAX_CONTAINERS, containers};
pub use auth::{AuthMode, Credential};
pub use doctor::{Diagnosis, platform};
pub use http::connector;
#[cfg(feature = "fuzz")]
pub use http::read_response;
pub use limiter::{Limits, MAX_CONCURRENCY, Traffic};
pub use list_page::{Page, parse as parse_page};
pub use requests::ApiVersion;
pub use retry::Retry;
pub use session::Session;
pub(crate) use trial::{Protection, unprotected};
pub(crate) use write::{Content, FIXED_FROM, Properties, Target};

use answer::Version;
use cursor::Cursor;
use failure::Failure;
use http::{Endpoint, Length, MAX_ROOM};
use limiter::Limiter;
use refusals::Refusals;
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
    /// The version of the REST API; by default the newest that the service supports.
    pub api_version: Option<ApiVersion>,
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
            api_version: None,
            notice: |_| {},
        }
    }
}

/// The blobs of a container whose names begin with a prefix.
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
    /// Whether a blob has been written.
    has_written: AtomicBool,
    /// The memory of the last page's body, for the next one: it takes megabytes, and one that grows is in memory twice.
    page_memory: Mutex<BytesMut>,
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
        let requests =
            Requests::new(&url, endpoint.authority(), &credential.authorization, options.api_version)?;
        let limiter = session.limiter(url.endpoint());
        let (refusals, parsing) = (Refusals::default(), AtomicU64::new(0));
        let (has_written, page_memory) = (AtomicBool::new(false), Mutex::default());
        Ok(Self {
            url,
            credential,
            endpoint,
            requests,
            limiter,
            refusals,
            options,
            has_written,
            page_memory,
            parsing,
        })
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

    /// The URL of a blob, without any SAS.
    pub(crate) fn public_url(&self, name: &BlobName) -> String {
        let origin = self.endpoint.origin().to_string();
        format!("{}{}", origin.trim_end_matches('/'), self.requests.path_of(name))
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
            (list_page::parse(&body), cpu.elapsed(), body)
        });
        let (page, time, body) = parsed.await.map_err(|error| Failure::Other(error.to_string()))?;
        self.parsing.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        let page = page.map_err(Failure::Page)?;
        if page.next.is_some()
            && body.len() <= MAX_ROOM
            && let Ok(mut memory) = body.try_into_mut()
        {
            memory.clear();
            self.with_page_memory(|kept| *kept = memory);
        }
        Ok(page)
    }

    async fn page_body(&self, from: &Cursor<'_>) -> std::result::Result<Bytes, Failure> {
        let (prefix, marker, max_results) = (&*from.prefix, from.marker.as_deref(), from.page_size);
        let query = PageQuery { prefix, marker, max_results, depth: from.depth };
        let response = self.send(|| self.requests.page(query)).await?;
        let memory = self.with_page_memory(std::mem::take);
        response.into_memory(memory).body(Length::AtMost(MAX_PAGE_BYTES)).await
    }

    fn with_page_memory<T>(&self, change: impl FnOnce(&mut BytesMut) -> T) -> T {
        change(&mut self.page_memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn try_read(
        &self,
        blob: &Blob,
        range: ByteRange,
        received: &AtomicU64,
    ) -> std::result::Result<(Bytes, Version), Failure> {
        let too_long = |_| Failure::Other(format!("{range} is more than this machine can address"));
        let length = Length::Exactly(usize::try_from(range.len()).map_err(too_long)?);
        let response = self.keyed(|key| self.requests.range(blob, range, key)).await?;
        // Before the body: the body of a response that does not match the request is not worth reading.
        answer::check(blob, range, response.status(), response.fields())?;
        let version = match blob.etag.is_none() || blob.last_modified.is_none() {
            true => Version::of(response.fields()),
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
        let error = explain::explain(failed, &self.url, &self.credential, Timestamp::now());
        let passed_over = self.credential.passed_over().join("; ");
        // Only where another credential could make a difference.
        match failed.failure {
            Failure::Credential { .. } | Failure::Status { status: 401 | 403 | 404 | 409, .. }
                if !passed_over.is_empty() =>
            {
                let hint = format!("{} (--auth auto: {passed_over})", error.hint().unwrap_or_default());
                error.with_hint(hint)
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
                (_, code) if encryption::fault(code).is_some() => {
                    ReadError::Refused(format!("{} ({failed})", encryption::fault(code).unwrap_or_default()))
                }
                _ if failure.is_passing() => ReadError::Unreadable(why(failed)),
                _ => ReadError::Refused(why(failed)),
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

/// Why a blob was not read, with what the service says.
fn why(failed: &Failed) -> String {
    let failure = &failed.failure;
    match (failure.code().and_then(encryption::fault), failure.said().to_string()) {
        (Some(fault), _) => format!("{fault} ({failed})"),
        (None, says) if says.is_empty() => failed.to_string(),
        (None, says) => format!("{failed}; {says}"),
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
            Access::Archived | Access::Rehydrating => return Err(ReadError::Archived),
            Access::Directory | Access::NotEntered => return Ok(Bytes::new()),
            Access::Unreachable(why) => return Err(ReadError::Unreadable(why.to_string())),
        }
        let range = range.within(blob.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let (bytes, version) = match self.try_range(blob, range, reads).await {
            Ok(read) => read,
            Err(failed) if failed.failure.is_refusal() => {
                return Err(Box::pin(self.refused(blob, &failed)).await);
            }
            Err(failed) => return Err(self.read_error(&failed)),
        };
        self.refusals.read(blob);
        blob.etag = blob.etag.take().or(version.etag);
        blob.last_modified = blob.last_modified.or(version.last_modified);
        Ok(bytes)
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        // In any order of names, the name itself comes first of all that begin with it.
        let mut cursor = Cursor::new(name.as_str(), 1);
        loop {
            let page = self.page(&cursor).await.map_err(|failed| self.unfound(&failed))?;
            let circle = |error: Error| ReadError::Unreadable(error.to_string());
            let is_last = !cursor.move_on(&page).map_err(circle)?;
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

#[cfg(test)]
mod tests;

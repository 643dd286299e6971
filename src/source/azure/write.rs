//! Writing to a container, which only `presync fix --apply` does: a blob is replaced in one step, or stays as it is.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use azure_core::hmac::hmac_sha256;
use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use percent_encoding::utf8_percent_encode;
use quick_xml::escape::unescape;
use url::form_urlencoded;

use super::AzureSource;
use super::auth::Authorization;
use super::encryption::EncryptionKey;
use super::failure::Failure;
use super::http::{Length, MAX_ERROR_BYTES};
use super::requests::value;
use super::retry::{Deadline, Failed, Retry, with_retries};
use super::said::Head;
use super::sign::SharedKey;
use crate::model::error::{Error, reason};
use crate::model::{Blob, BlobName, ByteRange, ReadError};
use crate::source::location::SEGMENT_SET;

/// Bytes of a block that is uploaded.
const BLOCK: usize = 8 << 20;
/// Bytes of a block that the service copies from another blob: small enough for one attempt, of at most 4,000 MiB ("Put
/// Block From URL").
const COPIED_BLOCK: u64 = 256 << 20;
/// Blocks of one blob that are copied or uploaded at a time.
const BLOCKS_AT_ONCE: usize = 4;
/// How long one attempt at a request that writes may take.
const WRITE_DEADLINE: Duration = Duration::from_secs(300);
/// How long a source's SAS is valid, in minutes.
const SAS_MINUTES: i64 = 60;

/// What a credential needs to replace blobs. Tags are data of their own ("Set Blob Tags", Authorization).
pub(super) const ROLE_HINT: &str = "writing needs the role Storage Blob Data Contributor (for blobs with tags, Storage Blob Data Owner), or a SAS \
     with the permissions rwlt";

/// The metadata with the ETag of the original of a fixed blob that has another name.
pub(crate) const FIXED_FROM: &str = "x-ms-meta-presync_fixed_from";
/// The header with the encryption scope of a blob.
const SCOPE: &str = "x-ms-encryption-scope";

/// The properties that replacing a blob would reset, each with the header that sets it ("Put Block List").
const PROPERTIES: [(&str, &str); 5] = [
    ("content-type", "x-ms-blob-content-type"),
    ("cache-control", "x-ms-blob-cache-control"),
    ("content-encoding", "x-ms-blob-content-encoding"),
    ("content-language", "x-ms-blob-content-language"),
    ("content-disposition", "x-ms-blob-content-disposition"),
];

/// What a blob keeps when its content is replaced or copied.
#[derive(Clone, Default)]
pub(crate) struct Properties {
    headers: HeaderMap,
    /// Whether the service keeps old versions of the blob.
    pub is_versioned: bool,
    /// Whether it is encrypted with a key of the client, so that the service cannot copy its content by itself.
    pub is_keyed: bool,
    /// Why its content cannot be replaced.
    pub locked: Option<&'static str>,
}

impl Properties {
    /// Sets the content type.
    pub(crate) fn with_content_type(mut self, media_type: &'static str) -> Self {
        self.headers.insert(PROPERTIES[0].1, HeaderValue::from_static(media_type));
        self
    }

    /// What a blob of another account can have: encryption scopes belong to an account.
    pub(crate) fn elsewhere(mut self) -> Self {
        self.headers.remove(SCOPE);
        self
    }

    /// The headers that set the properties, for a script.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    /// Whether the blob was written from this version of `original`, under another name.
    pub(crate) fn is_fixed_from(&self, original: &Blob) -> bool {
        let etag = self.headers.field(FIXED_FROM);
        etag.is_some_and(|etag| original.etag.as_ref().is_some_and(|listed| listed.is(etag)))
    }
}

/// The content of a blob that is written.
pub(crate) enum Content<'a> {
    /// These bytes, then the rest of the original in this container, copied by the service.
    Head(Bytes, &'a AzureSource),
    /// A whole file.
    File(&'a Path),
}

/// Which blob is written.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// The original itself, if it is still the listed version.
    Original,
    /// Another blob, which must not exist yet.
    New(&'a BlobName),
}

impl AzureSource {
    /// The properties, metadata and tags of a blob, in the listed version.
    ///
    /// # Errors
    /// Returns an error if the blob cannot be read, has changed, or isn't a block blob.
    pub(crate) async fn kept(&self, blob: &Blob) -> Result<Properties, ReadError> {
        let mut conditions = HeaderMap::new();
        if let Some(etag) = &blob.etag {
            conditions.insert(IF_MATCH, quoted(etag.as_str())?);
        }
        let target = self.requests.path_of(&blob.name);
        let (given, _) = self.exchange(Method::HEAD, target, &conditions, Bytes::new()).await?;
        if given.field("x-ms-blob-type").is_some_and(|kind| kind != "BlockBlob") {
            return Err(ReadError::Unreadable(
                "it isn't a block blob, so its content cannot be replaced".into(),
            ));
        }
        let is = |name: &'static str, value: &str| {
            given.field(name).is_some_and(|field| field.eq_ignore_ascii_case(value))
        };
        let locked = if is("x-ms-lease-status", "locked") {
            Some("it has a lease, so it cannot be replaced: break the lease, or write elsewhere with --to")
        } else if is("x-ms-legal-hold", "true") || is("x-ms-immutability-policy-mode", "locked") {
            Some("a legal hold or an immutability policy protects it: write elsewhere with --to")
        } else {
            None
        };
        let mut headers = HeaderMap::new();
        let renamed = |(from, to): &(&str, &'static str)| {
            Some((HeaderName::from_static(to), given.get(*from)?.clone()))
        };
        headers.extend(PROPERTIES.iter().filter_map(renamed).map(|(name, value)| (Some(name), value)));
        let is_kept = |name: &HeaderName| {
            name.as_str().starts_with("x-ms-meta-")
                || name == SCOPE
                // A tier that the account's default decides must go on following it.
                || (name == "x-ms-access-tier" && given.get("x-ms-access-tier-inferred").is_none())
        };
        for (name, value) in given.iter().filter(|(name, _)| is_kept(name)) {
            headers.append(name, value.clone());
        }
        if given.field("x-ms-tag-count").is_some_and(|count| count != "0") {
            headers.insert("x-ms-tags", self.tags(&blob.name).await?);
        }
        Ok(Properties {
            headers,
            is_versioned: given.contains_key("x-ms-version-id"),
            is_keyed: given.contains_key("x-ms-encryption-key-sha256"),
            locked,
        })
    }

    /// The tags of a blob as `x-ms-tags` takes them.
    async fn tags(&self, name: &BlobName) -> Result<HeaderValue, ReadError> {
        let target = format!("{}?comp=tags", self.requests.path_of(name));
        let (_, body) =
            self.exchange(Method::GET, target, &HeaderMap::new(), Bytes::new()).await.map_err(|error| match error {
                ReadError::Fatal(_) => ReadError::Unreadable(
                    "it has tags, and the credential may not read them, so they cannot be kept: the role Storage Blob \
                     Data Owner may, and a SAS with the permission t"
                        .into(),
                ),
                error => error,
            })?;
        let body = String::from_utf8_lossy(&body);
        let mut tags = form_urlencoded::Serializer::new(String::new());
        for tag in body.split("<Tag>").skip(1) {
            let field = |name: &str| {
                let (_, rest) = tag.split_once(&format!("<{name}>"))?;
                unescape(rest.split_once("</")?.0).ok()
            };
            let (key, value) = field("Key").zip(field("Value")).ok_or_else(|| {
                ReadError::Unreadable("its tags cannot be read, so they cannot be kept".into())
            })?;
            tags.append_pair(&key, &value);
        }
        header(tags.finish())
    }

    /// Writes a blob that was fixed from `original`.
    ///
    /// # Errors
    /// Returns an error if the original has changed, another blob has the name, or the service refuses to write. The
    /// blob is then as it was.
    pub(crate) async fn write(
        &self,
        original: &Blob,
        target: Target<'_>,
        properties: &Properties,
        content: Content<'_>,
    ) -> Result<(), ReadError> {
        let name = match target {
            Target::Original => &original.name,
            Target::New(name) => name,
        };
        let mut key = HeaderMap::new();
        if let (true, Some(own)) = (properties.is_keyed, self.credential.encryption()) {
            own.add_to(&mut key);
        }
        let mut headers = properties.headers.clone();
        headers.extend(key.clone());
        let blocks = match content {
            Content::Head(head, source) => self.copy_with_head(original, name, head, source).await?,
            Content::File(file) => self.upload(name, file, &key).await?,
        };
        match (target, &original.etag) {
            (Target::Original, Some(etag)) => headers.insert(IF_MATCH, quoted(etag.as_str())?),
            (_, etag) => {
                if let Some(etag) = etag {
                    headers.insert(FIXED_FROM, header(etag.as_str().to_owned())?);
                }
                headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"))
            }
        };
        let latest =
            (0..blocks).map(|block| format!("<Latest>{}</Latest>", block_id(block))).collect::<String>();
        let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{latest}</BlockList>");
        let target = format!("{}?comp=blocklist", self.requests.path_of(name));
        // Once: if the response is lost, a second attempt would find the new version and take it for someone else's.
        let once = Retry { attempts: 1, ..self.options.retry };
        self.exchange_with(once, Method::PUT, target, &headers, list.into()).await?;
        self.has_written.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Puts `head` as the first block, and lets the service copy the rest of `original` from `source`. Returns the number
    /// of blocks.
    async fn copy_with_head(
        &self,
        original: &Blob,
        name: &BlobName,
        head: Bytes,
        source: &AzureSource,
    ) -> Result<u64, ReadError> {
        let mut at = head.len() as u64;
        let first = u64::from(at > 0);
        if at > 0 {
            self.put_block(name, 0, head, &HeaderMap::new()).await?;
        }
        let source = source.copy_source(&original.name).await?;
        let mut ranges = Vec::new();
        while at < original.size {
            let end = at.saturating_add(COPIED_BLOCK).min(original.size);
            ranges.push(ByteRange::new(at, end));
            at = end;
        }
        let count = ranges.len() as u64 + first;
        let copies = ranges.into_iter().zip(first..).map(async |(range, block)| {
            let mut headers = source.clone();
            headers.insert("x-ms-source-range", header(format!("bytes={range}"))?);
            if let Some(etag) = &original.etag {
                headers.insert("x-ms-source-if-match", quoted(etag.as_str())?);
            }
            self.exchange(Method::PUT, self.block_target(name, block), &headers, Bytes::new()).await
        });
        stream::iter(copies).buffer_unordered(BLOCKS_AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
        Ok(count)
    }

    /// The headers that name and authorize the source of a copy ("Put Block From URL").
    async fn copy_source(&self, name: &BlobName) -> Result<HeaderMap, ReadError> {
        let mut headers = HeaderMap::new();
        let mut url = self.endpoint.origin().to_string();
        url.truncate(url.trim_end_matches('/').len());
        url.push_str(&self.requests.target(name));
        match &self.credential.authorization {
            Authorization::Anonymous | Authorization::Sas(_) => {}
            Authorization::Token(tokens) => {
                let bearer = tokens.bearer().await.map_err(|failure| self.may_not_write(failure))?;
                headers.insert("x-ms-copy-source-authorization", bearer);
            }
            Authorization::Key(key) => {
                let end = OffsetDateTime::now_utc() + azure_core::time::Duration::minutes(SAS_MINUTES);
                let sas = read_sas(key, self.url.container(), name, end);
                url.push_str(&sas.map_err(|error| ReadError::Unreadable(error.to_string()))?);
            }
        }
        let mut source = header(url)?;
        source.set_sensitive(true);
        headers.insert("x-ms-copy-source", source);
        Ok(headers)
    }

    /// Uploads a file in blocks, and returns their number.
    async fn upload(&self, name: &BlobName, file: &Path, key: &HeaderMap) -> Result<u64, ReadError> {
        let unreadable = |error: std::io::Error| {
            ReadError::Unreadable(format!("the fixed file cannot be read: {}", reason(&error)))
        };
        let mut file = File::open(file).map_err(unreadable)?;
        for block in 0.. {
            let mut bytes = Vec::new();
            (&mut file).take(BLOCK as u64).read_to_end(&mut bytes).map_err(unreadable)?;
            if bytes.is_empty() {
                return Ok(block);
            }
            self.put_block(name, block, bytes.into(), key).await?;
        }
        Ok(0)
    }

    async fn put_block(
        &self,
        name: &BlobName,
        block: u64,
        bytes: Bytes,
        key: &HeaderMap,
    ) -> Result<(), ReadError> {
        self.exchange(Method::PUT, self.block_target(name, block), key, bytes).await.map(drop)
    }

    fn block_target(&self, name: &BlobName, block: u64) -> String {
        format!("{}?comp=block&blockid={}", self.requests.path_of(name), block_id(block))
    }

    /// Whether the account keeps deleted and overwritten blobs for some time; `None` if the credential may not see it.
    pub(crate) async fn keeps_deleted(&self) -> Result<Option<bool>, ReadError> {
        let target = self.requests.service_target("restype=service&comp=properties");
        match self.exchange(Method::GET, target, &HeaderMap::new(), Bytes::new()).await {
            Ok((_, body)) => {
                let body = String::from_utf8_lossy(&body);
                let policy = body.split_once("<DeleteRetentionPolicy>").map(|(_, rest)| rest);
                let policy = policy.and_then(|rest| rest.split_once("</DeleteRetentionPolicy>"));
                Ok(Some(policy.is_some_and(|(policy, _)| policy.contains("<Enabled>true</Enabled>"))))
            }
            Err(ReadError::Fatal(_) | ReadError::Refused(_) | ReadError::Unreadable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request with retries, and returns the headers and the body of the response.
    pub(super) async fn exchange(
        &self,
        method: Method,
        target: String,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(HeaderMap, Bytes), ReadError> {
        self.exchange_with(self.options.retry, method, target, headers, body).await
    }

    async fn exchange_with(
        &self,
        retry: Retry,
        method: Method,
        target: String,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(HeaderMap, Bytes), ReadError> {
        let attempt = |_| {
            let (method, target, mut headers, body) =
                (method.clone(), target.clone(), headers.clone(), body.clone());
            async move {
                if method == Method::PUT {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
                }
                let request = |key: Option<&EncryptionKey>| {
                    let mut headers = headers.clone();
                    if let Some(key) = key {
                        key.add_to(&mut headers);
                    }
                    self.requests.request(method.clone(), target.clone(), headers, body.clone())
                };
                let response = match method {
                    // The properties of a blob are read with the key of its content.
                    Method::HEAD => self.keyed(request).await?,
                    _ => self.send(|| request(None)).await?,
                };
                let head = response.fields().to_map();
                Ok((head, response.body(Length::AtMost(MAX_ERROR_BYTES)).await?))
            }
        };
        let deadline = Deadline::Fixed(WRITE_DEADLINE);
        let sent = with_retries(&self.limiter, retry, body.len() as u64, deadline, attempt).await;
        sent.map_err(|Failed { failure, attempts }| match &failure {
            Failure::Status { status: 412, .. } if failure.code() == Some("ConditionNotMet") => {
                ReadError::Changed
            }
            Failure::Status { status: 409, .. } if failure.code() == Some("BlobAlreadyExists") => {
                ReadError::Unreadable("another blob has the name already".into())
            }
            // The source of a copy, which the service reads by itself; it passes on the status.
            Failure::Status { .. } if failure.code() == Some("CannotVerifyCopySource") => {
                let says = failure.said();
                ReadError::Unreadable(format!("the service cannot read it to copy it: {failure}; {says}"))
            }
            Failure::Status { status: 412, .. } if failure.code() == Some("SourceConditionNotMet") => {
                ReadError::Changed
            }
            Failure::Status { status: 401 | 403, .. } => self.may_not_write(failure),
            // A lease, an immutability policy, or a kind of blob that cannot be replaced.
            Failure::Status { status: 412, .. } => ReadError::Unreadable(failure.to_string()),
            _ => self.read_error(&Failed { failure, attempts }),
        })
    }

    /// The error for a credential that may not write: usually the same for every blob, but once a blob has been written,
    /// that of one blob, as a condition on its tags may refuse it.
    fn may_not_write(&self, failure: Failure) -> ReadError {
        let code = failure.code().unwrap_or_default();
        if self.has_written.load(Ordering::Relaxed) && code != "AuthenticationFailed" {
            return ReadError::Unreadable(format!("the service refuses to write it: {failure}"));
        }
        let says = match failure.said().to_string() {
            says if says.is_empty() => says,
            says => format!("; {says}"),
        };
        let label = self.credential.label();
        let message = format!("the service refuses to write to '{}' with {label}: {failure}{says}", self.url);
        ReadError::Fatal(Error::new(message).with_hint(ROLE_HINT))
    }
}

/// A block's ID: valid base64, and of the same length for every block of a blob.
fn block_id(block: u64) -> String {
    format!("{block:08}")
}

fn header(text: String) -> Result<HeaderValue, ReadError> {
    value(text).map_err(|failure| ReadError::Unreadable(failure.to_string()))
}

fn quoted(etag: &str) -> Result<HeaderValue, ReadError> {
    header(format!("\"{etag}\""))
}

/// The query of a SAS with which one blob can be read until `end` ("Create a service SAS", version 2020-12-06).
fn read_sas(
    key: &SharedKey,
    container: &str,
    name: &BlobName,
    end: OffsetDateTime,
) -> azure_core::Result<String> {
    const VERSION: &str = "2020-12-06";
    let end = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        end.year(),
        u8::from(end.month()),
        end.day(),
        end.hour(),
        end.minute(),
        end.second()
    );
    let resource = format!("/blob/{}/{container}/{name}", key.account);
    let fields = ["r", "", &end, &resource, "", "", "", VERSION, "b", "", "", "", "", "", "", ""];
    let signature = hmac_sha256(&fields.join("\n"), &key.key)?;
    let signature = utf8_percent_encode(&signature, SEGMENT_SET);
    Ok(format!("?sp=r&se={}&sv={VERSION}&sr=b&sig={signature}", utf8_percent_encode(&end, SEGMENT_SET)))
}

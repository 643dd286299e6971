//! What stands between the client library and the wire: requests leave as they are meant, answers arrive checked.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, AsyncResponseBody, Context, Request, StatusCode, Url};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use super::failure::Failure;
use crate::model::{ByteRange, ETag};
use crate::source::Depth;

/// The most bytes of one page: 5,000 blobs with names and metadata of full length stay below it.
const MAX_PAGE_BYTES: usize = 128 * 1024 * 1024;

/// The most bytes of an error's body that are read so that its connection can be used again.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;

/// A value of the request's context: the read that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The range, not empty and inside the blob.
    pub range: ByteRange,
    /// The blob's listed size in bytes.
    pub size: u64,
    /// The version that was listed.
    pub etag: Option<ETag>,
    /// The URL to use in place of the client library's.
    pub url: Option<Url>,
}

/// A value of the request's context: the page of a listing that it stands for.
#[derive(Clone, Debug)]
pub(super) struct PageSlot {
    /// Where its body goes. The client library reads the page too, but keeps its bytes to itself when it cannot.
    pub body: Arc<OnceLock<Bytes>>,
    /// How far the listing goes, which the client library cannot ask for.
    pub depth: Depth,
}

/// The policy that does it. It comes before the signature.
#[derive(Debug)]
pub(super) struct Exchange;

#[async_trait]
impl Policy for Exchange {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let asked = ctx.value::<Asked>();
        if let Some(url) = asked.and_then(|asked| asked.url.as_ref()) {
            *request.url_mut() = url.clone();
        }
        if ctx.value::<PageSlot>().is_some_and(|slot| slot.depth == Depth::Direct) {
            request.url_mut().query_pairs_mut().append_pair("delimiter", "/");
        }
        spell_spaces_out(request.url_mut());
        let Some((first, rest)) = next.split_first() else {
            return Err(Failure::Other("no transport follows the checks".into()).into());
        };
        let response = first.send(ctx, request, rest).await?;
        let status = response.status();
        if !status.is_success() {
            let failure = Failure::of_answer(status, response.headers());
            let _ = collect(response.into_body(), MAX_ERROR_BYTES).await;
            return Err(failure.into());
        }
        if let Some(asked) = asked {
            check(asked, status, response.headers())?;
        }
        match ctx.value::<PageSlot>() {
            None => Ok(response),
            Some(slot) => {
                let (status, headers, body) = response.deconstruct();
                let body = collect(body, MAX_PAGE_BYTES).await?;
                let body = slot.body.get_or_init(|| body).clone();
                Ok(AsyncRawResponse::from_bytes(status, headers, body))
            }
        }
    }
}

/// Writes a space in a query as `%20`: as `+`, which is what a form has, it is a plus sign to some servers.
fn spell_spaces_out(url: &mut Url) {
    if let Some(query) = url.query().filter(|query| query.contains('+')) {
        let query = query.replace('+', "%20");
        url.set_query(Some(&query));
    }
}

/// Whether the head of an answer is that of the bytes that were asked for (RFC 9110, 14.4 and 15.3.7).
fn check(asked: &Asked, status: StatusCode, headers: &Headers) -> Result<(), Failure> {
    let header = |name| headers.get_optional_str(&HeaderName::from_static(name));
    let listed = asked.etag.as_ref();
    if header("etag").is_some_and(|etag| listed.is_some_and(|listed| ETag::new(etag) != *listed)) {
        return Err(Failure::Changed);
    }
    let range = asked.range;
    match u16::from(status) {
        206 => {
            let given = header("content-range").and_then(content_range);
            let (start, last, size) =
                given.ok_or_else(|| Failure::Broken("a partial answer without its range".into()))?;
            if size.is_some_and(|size| size != asked.size) {
                return Err(Failure::Changed);
            }
            if start != range.start() || last.checked_add(1) != Some(range.end()) {
                return Err(Failure::Broken(format!("asked for bytes {range}, got bytes {start}-{last}")));
            }
        }
        200 if range == ByteRange::new(0, asked.size) => {}
        200 => return Err(Failure::Broken(format!("asked for bytes {range}, got the whole blob"))),
        status => return Err(Failure::Broken(format!("asked for bytes {range}, got status {status}"))),
    }
    match header("content-length") {
        Some(length) if length.parse() != Ok(range.len()) => {
            Err(Failure::Broken(format!("asked for {} bytes, got {length}", range.len())))
        }
        _ => Ok(()),
    }
}

/// First byte, last byte and the whole size, unless that is `*`, of `bytes 0-99/1234`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let size = match size {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    Some((start.parse().ok()?, last.parse().ok()?, size))
}

/// A whole body of at most `limit` bytes. A body that comes in one piece is not copied.
pub(super) async fn collect(mut body: AsyncResponseBody, limit: usize) -> azure_core::Result<Bytes> {
    let Some(first) = body.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = body.try_next().await? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        if all.len() + piece.len() > limit {
            return Err(Failure::Other(format!("a body has more than {limit} bytes")).into());
        }
        all.extend_from_slice(&piece);
        next = body.try_next().await?;
    }
    Ok(all.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, pairs: &[(&'static str, &str)], range: ByteRange) -> Result<(), String> {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.insert(*name, (*value).to_owned());
        }
        let asked = Asked { range, size: 100, etag: Some(ETag::new("0x8D")), url: None };
        check(&asked, StatusCode::from(status), &headers).map_err(|failure| failure.to_string())
    }

    fn ten() -> ByteRange {
        ByteRange::new(10, 20)
    }

    #[test]
    fn the_range_that_was_asked_for_passes() {
        let good = [("content-range", "bytes 10-29/100"), ("content-length", "20"), ("etag", "\"0x8D\"")];
        assert_eq!(verdict(206, &good, ten()), Ok(()));
        assert_eq!(verdict(206, &[("content-range", "bytes 10-29/*")], ten()), Ok(()));
        assert_eq!(verdict(200, &[("content-length", "100")], ByteRange::new(0, 100)), Ok(()));
    }

    #[test]
    fn any_other_range_does_not() {
        for (status, range) in [
            (206, "bytes 10-28/100"),
            (206, "bytes 0-19/100"),
            (206, "bytes 10-18446744073709551615/100"),
            (206, "bytes */100"),
            (206, "10-29"),
            (200, "bytes 10-29/100"),
            (204, "bytes 10-29/100"),
        ] {
            let verdict = verdict(status, &[("content-range", range)], ten());
            assert!(verdict.is_err_and(|text| text != Failure::Changed.to_string()), "{status} {range}");
        }
        assert!(verdict(206, &[], ten()).is_err());
        assert!(
            verdict(206, &[("content-range", "bytes 10-29/100"), ("content-length", "19")], ten()).is_err()
        );
    }

    #[test]
    fn another_version_or_size_is_a_change() {
        let changed = Err(Failure::Changed.to_string());
        assert_eq!(verdict(206, &[("content-range", "bytes 10-29/101")], ten()), changed);
        assert_eq!(
            verdict(206, &[("content-range", "bytes 10-29/100"), ("etag", "\"0x8E\"")], ten()),
            changed
        );
    }

    #[test]
    fn a_space_in_a_query_is_no_plus() {
        let mut url = Url::parse("https://h/c?prefix=a+b%2Bc").unwrap();
        spell_spaces_out(&mut url);
        assert_eq!(url.query(), Some("prefix=a%20b%2Bc"));
    }
}

//! What stands between the client library and the wire: requests leave as they are meant, refusals arrive as failures.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, AsyncResponseBody, Context, Request, Url};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use super::failure::Failure;
use super::wire::MAX_ERROR_BYTES;

/// The most bytes of one page: 5,000 blobs with names and metadata of full length stay below it.
pub(super) const MAX_PAGE_BYTES: usize = 128 * 1024 * 1024;

/// A value of the request's context: its answer is a page, whose body is read whole, up to [`MAX_PAGE_BYTES`].
#[derive(Clone, Copy, Debug)]
pub(super) struct WholePage;

/// The policy that does it. It comes before the signature.
#[derive(Debug)]
pub(super) struct Exchange;

#[async_trait]
impl Policy for Exchange {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        spell_spaces_out(request.url_mut());
        let Some((first, rest)) = next.split_first() else {
            return Err(Failure::Other("no transport follows the checks".into()).into());
        };
        let response = first.send(ctx, request, rest).await?;
        let status = response.status();
        if !status.is_success() {
            let failure = Failure::of_answer(u16::from(status), response.headers());
            let _ = collect(response.into_body(), MAX_ERROR_BYTES).await;
            return Err(failure.into());
        }
        match ctx.value::<WholePage>() {
            None => Ok(response),
            Some(WholePage) => {
                let (status, headers, body) = response.deconstruct();
                let body = collect(body, MAX_PAGE_BYTES).await?;
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

    #[test]
    fn a_space_in_a_query_is_no_plus() {
        let mut url = Url::parse("https://h/c?prefix=a+b%2Bc").unwrap();
        spell_spaces_out(&mut url);
        assert_eq!(url.query(), Some("prefix=a%20b%2Bc"));
    }
}

//! What requests to the blob service need beyond the client library's own policies.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request, Url};

use super::failure::Failure;

/// Writes the query the way it is signed, and turns a response with an error status into a [`Failure`]. It must come
/// before the signature.
#[derive(Debug)]
pub(super) struct ServicePolicy;

#[async_trait]
impl Policy for ServicePolicy {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        spell_spaces_out(request.url_mut());
        let Some((first, rest)) = next.split_first() else {
            return Err(Failure::Other("no transport follows the checks".into()).into());
        };
        let response = first.send(ctx, request, rest).await?;
        match response.status().is_success() {
            true => Ok(response),
            false => {
                let (status, headers, body) = response.deconstruct();
                Err(Failure::of_answer(u16::from(status), &headers, &body.collect().await?).into())
            }
        }
    }
}

/// Writes a space in a query as `%20`: some servers take `+`, which forms use for a space, for a plus sign.
fn spell_spaces_out(url: &mut Url) {
    if let Some(query) = url.query().filter(|query| query.contains('+')) {
        let query = query.replace('+', "%20");
        url.set_query(Some(&query));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_in_a_query_is_not_a_plus() {
        let mut url = Url::parse("https://h/c?prefix=a+b%2Bc").unwrap();
        spell_spaces_out(&mut url);
        assert_eq!(url.query(), Some("prefix=a%20b%2Bc"));
    }
}

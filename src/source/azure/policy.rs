//! What requests to the blob service take beyond the client library's own policies.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request, Url};

use super::failure::Failure;

/// The policy that spells requests as they are signed, and makes a [`Failure`] of an answer with an error status. It
/// comes before the signature.
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
            false => Err(Failure::of_answer(u16::from(response.status()), response.headers()).into()),
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

//! How a request is sent: with the token and the key that the service accepts.

use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::AzureSource;
use super::encryption::{self, EncryptionKey};
use super::failure::Failure;
use super::http::{Length, MAX_ERROR_BYTES, Outgoing, Response};

impl AzureSource {
    /// Sends a request with the customer-provided key, if there is one; to a blob that is not encrypted with one, once
    /// more without it.
    pub(super) async fn keyed<'s, F>(
        &'s self,
        request: impl Fn(Option<&'s EncryptionKey>) -> F,
    ) -> Result<Response<'s>, Failure>
    where
        F: Future<Output = Result<Outgoing, Failure>>,
    {
        let key = self.credential.encryption();
        match self.send(|| request(key)).await {
            Err(failure) if key.is_some() && encryption::is_needless(failure.code()) => {
                self.send(|| request(None)).await
            }
            other => other,
        }
    }

    /// Sends a request. If the service rejects its token, sends it once more with another one: a token may have been
    /// revoked, or have been issued before a change of permissions. If the service does not know the version of its API,
    /// sends it again with an older one.
    pub(super) async fn send<F>(&self, request: impl Fn() -> F) -> Result<Response<'_>, Failure>
    where
        F: Future<Output = Result<Outgoing, Failure>>,
    {
        let mut renewed = false;
        loop {
            let version = self.requests.version();
            let sent = request().await?;
            let response = self.endpoint.send(&sent).await?;
            let is_rejected = response.status() == StatusCode::UNAUTHORIZED && !renewed;
            let used = || HeaderValue::from_str(sent.field("authorization")?).ok();
            if is_rejected && used().is_some_and(|used| self.credential.reject(&used)) {
                // Read to its end, so that the connection can be reused.
                Box::pin(response.body(Length::First(MAX_ERROR_BYTES))).await?;
                renewed = true;
                continue;
            }
            if response.status().is_success() {
                return Ok(response);
            }
            // In a box: it is rare, and each of a thousand requests would have room for it.
            let failure = Box::pin(response.failure()).await;
            if !self.requests.falls_back(version, &failure) {
                return Err(failure);
            }
        }
    }
}

//! What containers that are read together share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use azure_core::credentials::TokenCredential;
use azure_core::http::policies::Policy;
use azure_core::http::{ClientOptions, RetryOptions, Transport, Url, UserAgentOptions};
use tokio::sync::Semaphore;

use super::auth::{AuthMode, Authorization, Credential};
use super::http::{Client, Endpoint};
use super::limiter::{Limiter, Limits};
use super::policy::ServicePolicy;
use crate::model::error::Result;
use crate::source::location::{ContainerUrl, Environment};

/// Connections, the limiter of each account, and credentials, shared by every container opened with it.
///
/// * The requests to one account share one limiter, because its limits are those of the account.
/// * A thousand containers of an account need only one sign-in.
/// * `Debug` shows no secret.
pub struct Session {
    client: Arc<Client>,
    /// One permit per connection.
    connections: Arc<Semaphore>,
    limits: Limits,
    /// By endpoint.
    limiters: Mutex<BTreeMap<String, Arc<Limiter>>>,
    credentials: Mutex<BTreeMap<CredentialKey, Credential>>,
}

/// What a credential that is not part of a URL depends on.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CredentialKey {
    mode: AuthMode,
    endpoint: String,
    account: Option<String>,
}

impl Session {
    /// A session without any connection yet. The limits apply to each account.
    pub fn new(limits: Limits) -> Self {
        let client = Arc::new(Client::new());
        let most = client.max_connections().min(Semaphore::MAX_PERMITS);
        let connections = Arc::new(Semaphore::new(most));
        Self { client, connections, limits, limiters: Mutex::default(), credentials: Mutex::default() }
    }

    /// The options and the token with which the client library sends requests to `url`, which gets the SAS if there is
    /// one.
    pub(super) fn client_options(
        &self,
        authorization: &Authorization,
        url: &mut Url,
    ) -> (ClientOptions, Option<Arc<dyn TokenCredential>>) {
        let mut sign: Vec<Arc<dyn Policy>> = Vec::new();
        let mut token = None;
        match authorization {
            Authorization::Sas(sas) => url.set_query(Some(sas.query())),
            Authorization::Key(key) => sign.push(Arc::new(key.clone())),
            Authorization::Token(tokens) => token = Some(Arc::clone(tokens) as _),
            Authorization::Anonymous => {}
        }
        let options = ClientOptions {
            per_call_policies: vec![Arc::new(ServicePolicy)],
            per_try_policies: sign,
            retry: RetryOptions::none(),
            transport: Some(self.transport()),
            user_agent: UserAgentOptions {
                // At most 24 characters and no slash, or the library panics.
                application_id: Some("presync".to_owned()),
            },
            ..Default::default()
        };
        (options, token)
    }

    fn transport(&self) -> Transport {
        Transport::new(Arc::clone(&self.client) as _)
    }

    /// The limiter of the account behind an endpoint.
    pub(super) fn limiter(&self, endpoint: &str) -> Arc<Limiter> {
        let mut limiters = lock(&self.limiters);
        let limiter = limiters.entry(endpoint.to_owned());
        Arc::clone(
            limiter.or_insert_with(|| Arc::new(Limiter::new(self.limits, Arc::clone(&self.connections)))),
        )
    }

    /// The connections to an endpoint.
    pub(super) fn endpoint(&self, endpoint: &str) -> Result<Arc<Endpoint>> {
        self.client.endpoint(endpoint)
    }

    /// The credential for a container: found once per account, unless the URL carries one.
    pub(super) fn credential(
        &self,
        mode: AuthMode,
        url: &ContainerUrl,
        env: &Environment,
    ) -> Result<Credential> {
        let find = || Credential::resolve(mode, url, env, &self.transport());
        if url.sas().is_some() {
            return find();
        }
        let (endpoint, account) = (url.endpoint().to_owned(), url.account().map(str::to_owned));
        let key = CredentialKey { mode, endpoint, account };
        let mut credentials = lock(&self.credentials);
        if let Some(found) = credentials.get(&key) {
            return Ok(found.clone());
        }
        let found = find()?;
        credentials.insert(key, found.clone());
        Ok(found)
    }

    /// The sign-in with Entra ID for services other than blobs.
    pub(super) fn entra(&self, mode: AuthMode, url: &ContainerUrl, env: &Environment) -> Result<Credential> {
        Credential::entra(mode, url, env, &self.transport())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves a map intact.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::location::Location;

    fn url(text: &str) -> ContainerUrl {
        match Location::parse(text.as_ref(), None, &Environment::of([("", ""); 0])) {
            Ok(Location::Container(url)) => url,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn an_account_has_one_limiter_and_one_credential() {
        let session = Session::new(Limits::default());
        let env = Environment::of([
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_SECRET", "s"),
        ]);
        let token = |text: &str| {
            let url = url(text);
            let credential = session.credential(AuthMode::ClientSecret, &url, &env).expect("it is there");
            match credential.authorization {
                Authorization::Token(token) => (session.limiter(url.endpoint()), token),
                other => panic!("{other:?}"),
            }
        };
        let (limiter, first) = token("https://media.blob.core.windows.net/one");
        let (same_limiter, same) = token("https://media.blob.core.windows.net/two/2026/");
        let (other_limiter, other) = token("https://other.blob.core.windows.net/one");
        assert!(Arc::ptr_eq(&limiter, &same_limiter) && Arc::ptr_eq(&first, &same));
        assert!(!Arc::ptr_eq(&limiter, &other_limiter) && !Arc::ptr_eq(&first, &other));
    }

    #[tokio::test]
    async fn the_sas_of_a_url_is_for_that_url() {
        let session = Session::new(Limits::default());
        let env = Environment::of([("", ""); 0]);
        let label =
            |text: &str| session.credential(AuthMode::Auto, &url(text), &env).expect("it is found").label();
        let container = "https://media.blob.core.windows.net/one";
        assert_eq!(label(&format!("{container}?sp=rl&sig=x")), "SAS in the URL");
        assert_eq!(label(container), "no credential (none was found)");
        assert_eq!(label(&format!("{container}?sp=rl&sig=x")), "SAS in the URL");
    }
}

//! What containers that are read side by side have in common.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use azure_core::credentials::TokenCredential;
use azure_core::http::policies::Policy;
use azure_core::http::{ClientOptions, RetryOptions, Transport, Url, UserAgentOptions};

use super::auth::{AuthMode, Credential, Means};
use super::exchange::Exchange;
use super::pace::{Limits, Pace};
use super::sign::SharedKey;
use super::transport;
use super::wire::Wire;
use crate::error::Result;
use crate::source::location::{ContainerUrl, Environment};

/// Connections, the pace of each account, and credentials, shared by every container that is opened with it.
///
/// * The requests to one account keep one pace, because its limits are those of the account.
/// * Who reads a thousand containers of an account signs in once.
/// * `Debug` shows no secret.
pub struct Session {
    transport: Transport,
    limits: Limits,
    /// By endpoint.
    paces: Mutex<BTreeMap<String, Arc<Pace>>>,
    /// By endpoint, too.
    wires: Mutex<BTreeMap<String, Arc<Wire>>>,
    credentials: Mutex<BTreeMap<Holder, Credential>>,
}

/// Whom a credential that is not part of a URL is for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    mode: AuthMode,
    endpoint: String,
    account: Option<String>,
}

impl Session {
    /// A session without any connection yet. The limits are those of each account.
    ///
    /// # Errors
    /// When the HTTP client cannot start.
    pub fn new(limits: Limits) -> Result<Self> {
        let (paces, wires, credentials) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self { transport: transport::transport(), limits, paces, wires, credentials })
    }

    /// What a client of the client library needs to send requests with `means` to `url`, which gets the SAS if that is it.
    pub(super) fn client_options(
        &self,
        means: &Means,
        url: &mut Url,
    ) -> (ClientOptions, Option<Arc<dyn TokenCredential>>) {
        let mut sign: Vec<Arc<dyn Policy>> = Vec::new();
        let mut token = None;
        match means {
            Means::Sas(sas) => url.set_query(Some(sas.query())),
            Means::Key { account, key } => {
                sign.push(Arc::new(SharedKey { account: account.clone(), key: key.clone() }));
            }
            Means::Token(credential) => token = Some(credential.clone()),
            Means::Anonymous => {}
        }
        let options = ClientOptions {
            per_call_policies: vec![Arc::new(Exchange)],
            per_try_policies: sign,
            retry: RetryOptions::none(),
            transport: Some(self.transport.clone()),
            user_agent: UserAgentOptions {
                // At most 24 characters, none of them a slash: the library panics at any other.
                application_id: Some("presync".to_owned()),
            },
            ..Default::default()
        };
        (options, token)
    }

    /// The pace of the account behind an endpoint.
    pub(super) fn pace(&self, endpoint: &str) -> Arc<Pace> {
        let mut paces = lock(&self.paces);
        let pace = paces.entry(endpoint.to_owned()).or_insert_with(|| Arc::new(Pace::new(self.limits)));
        Arc::clone(pace)
    }

    /// The way to an endpoint.
    pub(super) fn wire(&self, endpoint: &str) -> Result<Arc<Wire>> {
        let mut wires = lock(&self.wires);
        if let Some(wire) = wires.get(endpoint) {
            return Ok(Arc::clone(wire));
        }
        let wire = Arc::new(Wire::new(endpoint)?);
        wires.insert(endpoint.to_owned(), Arc::clone(&wire));
        Ok(wire)
    }

    /// The credential for a container: found once for all of an account, unless the URL carries one.
    pub(super) fn credential(
        &self,
        mode: AuthMode,
        url: &ContainerUrl,
        env: &Environment,
    ) -> Result<Credential> {
        let find = || Credential::resolve(mode, url, env, &self.transport);
        if url.sas().is_some() {
            return find();
        }
        let (endpoint, account) = (url.endpoint().to_owned(), url.account().map(str::to_owned));
        let holder = Holder { mode, endpoint, account };
        let mut credentials = lock(&self.credentials);
        if let Some(found) = credentials.get(&holder) {
            return Ok(found.clone());
        }
        let found = find()?;
        credentials.insert(holder, found.clone());
        Ok(found)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves a map whole.
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
    async fn an_account_has_one_pace_and_one_credential() {
        let session = Session::new(Limits::default()).expect("a client");
        let env = Environment::of([
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_SECRET", "s"),
        ]);
        let token = |text: &str| {
            let url = url(text);
            let credential = session.credential(AuthMode::ClientSecret, &url, &env).expect("it is there");
            match credential.means {
                Means::Token(token) => (session.pace(url.endpoint()), token),
                other => panic!("{other:?}"),
            }
        };
        let (pace, first) = token("https://media.blob.core.windows.net/one");
        let (same_pace, same) = token("https://media.blob.core.windows.net/two/2026/");
        let (other_pace, other) = token("https://other.blob.core.windows.net/one");
        assert!(Arc::ptr_eq(&pace, &same_pace) && Arc::ptr_eq(&first, &same));
        assert!(!Arc::ptr_eq(&pace, &other_pace) && !Arc::ptr_eq(&first, &other));
    }

    #[tokio::test]
    async fn the_sas_of_a_url_is_for_that_url() {
        let session = Session::new(Limits::default()).expect("a client");
        let env = Environment::of([("", ""); 0]);
        let label =
            |text: &str| session.credential(AuthMode::Auto, &url(text), &env).expect("it is found").label();
        let container = "https://media.blob.core.windows.net/one";
        assert_eq!(label(&format!("{container}?sp=rl&sig=x")), "SAS in the URL");
        assert_eq!(label(container), "no credential (none was found)");
        assert_eq!(label(&format!("{container}?sp=rl&sig=x")), "SAS in the URL");
    }
}

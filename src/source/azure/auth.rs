//! Finds the credential with which a container is read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::hmac::hmac_sha256;
use azure_core::http::Transport;
use azure_core::time::{Duration, OffsetDateTime};

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::sign::SharedKey;
use crate::model::error::{Error, Result};
use crate::source::location::{ConnectionString, ContainerUrl, Environment, Sas};

mod entra;

const ACCOUNT: &str = "AZURE_STORAGE_ACCOUNT";
const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
const KEY: &str = "AZURE_STORAGE_KEY";
const SAS_TOKEN: &str = "AZURE_STORAGE_SAS_TOKEN";
const TENANT_ID: &str = "AZURE_TENANT_ID";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";

/// How to sign in: the values of `--auth`, with the texts of `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// The first credential found
    #[default]
    Auto,
    /// The user signed in to the Azure CLI
    Cli,
    /// The machine's managed identity
    ManagedIdentity,
    /// A federated token, as in Kubernetes and GitHub Actions
    WorkloadIdentity,
    /// A service principal with a client secret
    ClientSecret,
    /// A shared access signature
    Sas,
    /// The account's key
    Key,
    /// No credential, for public containers
    Anonymous,
}

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", PossibleValue::get_name))
    }
}

/// A credential, and where it comes from. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Credential {
    pub(super) authorization: Authorization,
    mode: AuthMode,
    label: &'static str,
}

/// How a request is authorized.
#[derive(Clone)]
pub(super) enum Authorization {
    /// A signature with the account's key.
    Key(SharedKey),
    /// A shared access signature.
    Sas(Sas),
    /// An Entra ID token.
    Token(Arc<dyn TokenCredential>),
    /// Nothing.
    Anonymous,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(***)",
            Self::Sas(_) => "Sas(***)",
            Self::Token(_) => "Token(***)",
            Self::Anonymous => "Anonymous",
        })
    }
}

impl Credential {
    /// Finds the credential for a container.
    ///
    /// The order of [`AuthMode::Auto`]: SAS in the URL, connection string (its key, then its SAS), `AZURE_STORAGE_KEY`,
    /// `AZURE_STORAGE_SAS_TOKEN`, client secret, workload identity, managed identity if the environment announces one,
    /// Azure CLI if it is installed, anonymous. Credentials for another account are skipped, and so is Entra ID if the
    /// endpoint is plain HTTP.
    ///
    /// # Errors
    ///
    /// Returns an error if the requested credential is missing or cannot be used here, or if a key is not base64.
    pub(super) fn resolve(
        mode: AuthMode,
        url: &ContainerUrl,
        env: &Environment,
        transport: &Transport,
    ) -> Result<Self> {
        let finder = Finder { url, env, transport };
        let missing = |what: &str, hint: &str| Error::new(what).with_hint(hint);
        match mode {
            AuthMode::Auto => finder.first(),
            AuthMode::Anonymous => Ok(Self::new(Authorization::Anonymous, mode, "anonymous")),
            AuthMode::Key => finder.key()?.ok_or_else(|| finder.no_key()),
            AuthMode::Sas => finder.sas()?.ok_or_else(|| {
                missing(
                    "no SAS for this account",
                    "set AZURE_STORAGE_SAS_TOKEN, or append ?SAS to the container's https:// URL",
                )
            }),
            AuthMode::ClientSecret => {
                finder.refuse_http()?;
                finder.client_secret()?.ok_or_else(|| finder.unset(&[TENANT_ID, CLIENT_ID, CLIENT_SECRET]))
            }
            AuthMode::WorkloadIdentity => {
                finder.refuse_http()?;
                finder.workload_identity()?.ok_or_else(|| finder.unset(&[TENANT_ID, CLIENT_ID, TOKEN_FILE]))
            }
            AuthMode::ManagedIdentity => {
                finder.refuse_http()?;
                finder.managed_identity()
            }
            AuthMode::Cli => {
                finder.refuse_http()?;
                finder.cli()?.ok_or_else(|| {
                    missing("the Azure CLI (az) is not on PATH", "install it, or choose another --auth")
                })
            }
        }
    }

    fn new(authorization: Authorization, mode: AuthMode, label: &'static str) -> Self {
        Self { authorization, mode, label }
    }

    /// A given token, which is never renewed.
    pub(super) fn given(token: String) -> Self {
        Self::new(
            Authorization::Token(Arc::new(StaticToken(token.into()))),
            AuthMode::Cli,
            "a token that was given",
        )
    }

    /// The mode that selects it explicitly: never [`AuthMode::Auto`].
    pub fn mode(&self) -> AuthMode {
        self.mode
    }

    /// What it is and where it comes from, such as `shared key (AZURE_STORAGE_KEY)`. Contains no secret.
    pub fn label(&self) -> &'static str {
        self.label
    }
}

/// A given token.
#[derive(Debug)]
struct StaticToken(Secret);

#[async_trait]
impl TokenCredential for StaticToken {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(self.0.clone(), OffsetDateTime::now_utc() + Duration::days(1)))
    }
}

struct Finder<'a> {
    url: &'a ContainerUrl,
    env: &'a Environment,
    transport: &'a Transport,
}

impl Finder<'_> {
    fn first(&self) -> Result<Credential> {
        if let Some(found) = self.sas_of_url() {
            return Ok(found);
        }
        for find in [Self::key_of_connection, Self::sas_of_connection, Self::key_of_env, Self::sas_of_env] {
            if let Some(found) = find(self)? {
                return Ok(found);
            }
        }
        if self.url.is_https() {
            for find in [Self::client_secret, Self::workload_identity] {
                if let Some(found) = find(self)? {
                    return Ok(found);
                }
            }
            // Only if announced: the address of a virtual machine's identity is never tried on a guess.
            if ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"].iter().any(|name| self.env.var_os(name).is_some()) {
                return self.managed_identity();
            }
            if let Some(found) = self.cli()? {
                return Ok(found);
            }
        }
        Ok(Credential::new(Authorization::Anonymous, AuthMode::Anonymous, "no credential (none was found)"))
    }

    fn key(&self) -> Result<Option<Credential>> {
        match self.key_of_connection()? {
            Some(found) => Ok(Some(found)),
            None => self.key_of_env(),
        }
    }

    fn sas(&self) -> Result<Option<Credential>> {
        if let Some(found) = self.sas_of_url() {
            return Ok(Some(found));
        }
        match self.sas_of_connection()? {
            Some(found) => Ok(Some(found)),
            None => self.sas_of_env(),
        }
    }

    fn sas_of_url(&self) -> Option<Credential> {
        let sas = self.url.sas()?.clone();
        Some(Credential::new(Authorization::Sas(sas), AuthMode::Sas, "SAS in the URL"))
    }

    /// The connection string, if it is for the same account.
    fn connection(&self) -> Result<Option<ConnectionString>> {
        let connection = ConnectionString::from_env(self.env)?;
        Ok(connection.filter(|connection| match (connection.account(), self.url.account()) {
            (Some(one), Some(other)) => one == other,
            _ => connection.endpoint() == self.url.endpoint(),
        }))
    }

    fn key_of_connection(&self) -> Result<Option<Credential>> {
        let Some(connection) = self.connection()? else { return Ok(None) };
        let (Some(key), Some(account)) = (connection.key(), connection.account()) else { return Ok(None) };
        self.shared_key(account, key.clone(), CONNECTION, "shared key (AZURE_STORAGE_CONNECTION_STRING)")
            .map(Some)
    }

    fn sas_of_connection(&self) -> Result<Option<Credential>> {
        let sas = self.connection()?.and_then(|connection| connection.sas().cloned());
        let label = "SAS (AZURE_STORAGE_CONNECTION_STRING)";
        Ok(sas.map(|sas| Credential::new(Authorization::Sas(sas), AuthMode::Sas, label)))
    }

    /// Whether the key and the SAS in the environment are for this account.
    fn same_account(&self) -> bool {
        match (self.env.var(ACCOUNT), self.url.account()) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    fn key_of_env(&self) -> Result<Option<Credential>> {
        let (Some(key), Some(account), true) = (self.env.var(KEY), self.url.account(), self.same_account())
        else {
            return Ok(None);
        };
        self.shared_key(account, Secret::new(key), KEY, "shared key (AZURE_STORAGE_KEY)").map(Some)
    }

    fn sas_of_env(&self) -> Result<Option<Credential>> {
        let (Some(text), true) = (self.env.var(SAS_TOKEN), self.same_account()) else { return Ok(None) };
        let sas = Sas::parse(&text).ok_or_else(|| {
            Error::new(format!("{SAS_TOKEN} is not a SAS: it has no signature (sig=…)"))
                .with_hint("copy the whole SAS, and quote it in a shell")
        })?;
        Ok(Some(Credential::new(Authorization::Sas(sas), AuthMode::Sas, "SAS (AZURE_STORAGE_SAS_TOKEN)")))
    }

    fn shared_key(
        &self,
        account: &str,
        key: Secret,
        variable: &str,
        label: &'static str,
    ) -> Result<Credential> {
        hmac_sha256("", &key).map_err(|_| {
            let list = format!("copy the whole key: az storage account keys list --account-name {account}");
            Error::new(format!("the key in {variable} is not base64")).with_hint(
                match self.url.is_emulator() {
                    true => "copy the whole key".to_owned(),
                    false => list,
                },
            )
        })?;
        Ok(Credential::new(
            Authorization::Key(SharedKey { account: account.to_owned(), key }),
            AuthMode::Key,
            label,
        ))
    }

    fn no_key(&self) -> Error {
        let hint = "set AZURE_STORAGE_KEY, or AZURE_STORAGE_CONNECTION_STRING with an AccountKey";
        match (self.env.var(KEY), self.url.account()) {
            (Some(_), None) => Error::new("the account that AZURE_STORAGE_KEY belongs to is not known")
                .with_hint("add --account NAME or set AZURE_STORAGE_ACCOUNT"),
            (Some(_), Some(account)) => Error::new(format!(
                "AZURE_STORAGE_KEY is for the account in AZURE_STORAGE_ACCOUNT, not for '{account}'"
            ))
            .with_hint("set AZURE_STORAGE_ACCOUNT to the account of the key"),
            (None, _) => Error::new("no key for this account").with_hint(hint),
        }
    }
}

#[cfg(test)]
mod tests;

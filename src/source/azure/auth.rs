//! Finds the credential with which a container is read.

use std::fmt;
use std::sync::Arc;

use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use azure_core::http::Transport;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use hyper::header::HeaderValue;

use super::commands::{Account, Shell};
use super::sign::SharedKey;
use crate::model::error::{Error, Result};
use crate::source::location::{ConnectionString, ContainerUrl, Environment, Sas};

mod assertion;
mod entra;
mod managed;
mod tokens;

pub(super) use tokens::{SCOPE, Tokens};

use tokens::SignIn;

const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
/// The account's key, by the names that the Azure CLI, adlfs and object_store use, with the text for reports.
const KEYS: [(&str, &str); 3] = [
    ("AZURE_STORAGE_KEY", "shared key (AZURE_STORAGE_KEY)"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "shared key (AZURE_STORAGE_ACCOUNT_KEY)"),
    ("AZURE_STORAGE_ACCESS_KEY", "shared key (AZURE_STORAGE_ACCESS_KEY)"),
];
/// A SAS, likewise.
const SAS_TOKENS: [(&str, &str); 2] = [
    ("AZURE_STORAGE_SAS_TOKEN", "SAS (AZURE_STORAGE_SAS_TOKEN)"),
    ("AZURE_STORAGE_SAS_KEY", "SAS (AZURE_STORAGE_SAS_KEY)"),
];
/// What the Azure CLI uses for its commands on blobs: `login` for Entra ID, or `key`.
const AUTH_MODE: &str = "AZURE_STORAGE_AUTH_MODE";
const TENANT_ID: &str = "AZURE_TENANT_ID";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
/// Only used if announced: the address of a virtual machine's identity is never tried on a guess.
const MANAGED_IDENTITY: &str = "managed identity";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

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
    /// A federated token, as in Kubernetes, GitHub Actions and Azure Pipelines
    WorkloadIdentity,
    /// A service principal with a client secret
    ClientSecret,
    /// A service principal with a certificate
    ClientCertificate,
    /// The user signed in to the Azure Developer CLI
    Azd,
    /// A shared access signature
    Sas,
    /// The account's key
    Key,
    /// No credential, for public containers
    Anonymous,
}

impl AuthMode {
    /// Whether it signs in an application that the environment names.
    fn is_principal(self) -> bool {
        matches!(self, Self::ClientSecret | Self::ClientCertificate | Self::WorkloadIdentity)
    }
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
    /// What [`AuthMode::Auto`] passed over.
    passed_over: Arc<[String]>,
}

/// How a request is authorized.
#[derive(Clone)]
pub(super) enum Authorization {
    /// A signature with the account's key.
    Key(SharedKey),
    /// A shared access signature.
    Sas(Sas),
    /// An Entra ID token.
    Token(Arc<Tokens>),
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
    /// `AZURE_STORAGE_SAS_TOKEN`, client secret, client certificate, federated token; then managed identity if the
    /// environment announces one, Azure CLI and Azure Developer CLI if they are installed, of which the first that
    /// returns a token is used; anonymous. Credentials for another account and sign-ins that lack something are passed
    /// over, and so is Entra ID if the endpoint is plain HTTP. `AZURE_STORAGE_AUTH_MODE` narrows it.
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
                finder.signed_in(Finder::client_secret, &[TENANT_ID, CLIENT_ID, CLIENT_SECRET])
            }
            AuthMode::ClientCertificate => {
                finder.signed_in(Finder::client_certificate, &[TENANT_ID, CLIENT_ID, CERTIFICATE])
            }
            AuthMode::WorkloadIdentity => {
                finder.signed_in(Finder::workload_identity, &[TENANT_ID, CLIENT_ID, TOKEN_FILE])
            }
            AuthMode::ManagedIdentity => finder.signed_in(|finder| finder.managed_identity().map(Some), &[]),
            AuthMode::Cli | AuthMode::Azd => {
                finder.refuse_http()?;
                let (find, name): (Find<'_>, _) = match mode {
                    AuthMode::Cli => (Finder::cli, "the Azure CLI (az)"),
                    _ => (Finder::azd, "the Azure Developer CLI (azd)"),
                };
                let found = find(&finder)?.ok_or_else(|| {
                    missing(&format!("{name} is not on PATH"), "install it, or choose another --auth")
                })?;
                Self::signed_in(vec![found])
            }
        }
    }

    fn new(authorization: Authorization, mode: AuthMode, label: &'static str) -> Self {
        Self { authorization, mode, label, passed_over: Arc::default() }
    }

    /// The identity of the first of these sign-ins that succeeds.
    fn signed_in(sign_ins: Vec<SignIn>) -> Result<Self> {
        let (mode, label) = sign_ins.first().map(|first| (first.mode, first.label)).unwrap_or_default();
        // What passes the checks here, but the client library rejects.
        let tokens = Tokens::new(sign_ins).map_err(|_| {
            Error::new(format!("{label} cannot be used to sign in"))
                .with_hint("check its environment variables, or choose another --auth")
        })?;
        Ok(Self::new(Authorization::Token(tokens), mode, label))
    }

    /// A given token, which is never renewed.
    pub(super) fn given(token: String) -> Self {
        let (mode, label) = (AuthMode::Cli, "a token that was given");
        Self::new(Authorization::Token(Tokens::given(token.into(), mode, label)), mode, label)
    }

    /// The mode that selects it explicitly: never [`AuthMode::Auto`].
    pub fn mode(&self) -> AuthMode {
        self.sign_ins().first().map_or(self.mode, |sign_in| sign_in.mode)
    }

    /// What it is and where it comes from, such as `shared key (AZURE_STORAGE_KEY)`. Contains no secret. Before a token
    /// was obtained, it may name more than one sign-in.
    pub fn label(&self) -> String {
        match self.sign_ins() {
            [] => self.label.to_owned(),
            sign_ins => sign_ins.iter().map(|sign_in| sign_in.label).collect::<Vec<_>>().join(" or "),
        }
    }

    /// What [`AuthMode::Auto`] looked at and could not use, with the reason.
    pub(crate) fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Called when the service rejects the token in an `Authorization` header. Returns whether it is worth trying again.
    pub(super) fn reject(&self, used: &HeaderValue) -> bool {
        match &self.authorization {
            Authorization::Token(tokens) => tokens.reject(used),
            _ => false,
        }
    }

    fn sign_ins(&self) -> &[SignIn] {
        match &self.authorization {
            Authorization::Token(tokens) => tokens.sign_ins(),
            _ => &[],
        }
    }
}

struct Finder<'a> {
    url: &'a ContainerUrl,
    env: &'a Environment,
    transport: &'a Transport,
}

/// Finds a way to sign in; `None` if it is not set up.
type Find<'f> = fn(&Finder<'f>) -> Result<Option<SignIn>>;

impl<'f> Finder<'f> {
    /// A sign-in that is asked for, which these variables set up.
    fn signed_in(
        &self,
        find: impl Fn(&Self) -> Result<Option<SignIn>>,
        variables: &[&str],
    ) -> Result<Credential> {
        self.refuse_http()?;
        Credential::signed_in(vec![find(self)?.ok_or_else(|| self.unset(variables))?])
    }

    fn first(&self) -> Result<Credential> {
        if let Some(found) = self.sas_of_url() {
            return Ok(found);
        }
        let (keys, entra) = match self.env.var(AUTH_MODE).as_deref() {
            Some("login") => (false, true),
            Some("key") => (true, false),
            _ => (true, true),
        };
        if keys {
            for find in [Self::key_of_connection, Self::sas_of_connection, Self::key_of_env, Self::sas_of_env]
            {
                if let Some(found) = find(self)? {
                    return Ok(found);
                }
            }
        }
        let (mut unusable, mut unset, mut sign_ins) = (self.of_others(), Vec::new(), Vec::new());
        if entra && self.url.is_https() {
            let finds: [(&str, Find<'f>); 6] = [
                (CLIENT_SECRET, Self::client_secret),
                (CERTIFICATE, Self::client_certificate),
                ("federated token", Self::workload_identity),
                (MANAGED_IDENTITY, Self::announced_identity),
                ("Azure CLI (az)", Self::cli),
                ("Azure Developer CLI (azd)", Self::azd),
            ];
            for (what, find) in finds {
                match find(self) {
                    Ok(Some(found)) => sign_ins.push(found),
                    Ok(None) => unset.push(what),
                    Err(error) => unusable.push(format!("{what}: {error}")),
                }
                // A service principal that is set up is the one to use, even if it is refused.
                if sign_ins.first().is_some_and(|first| first.mode.is_principal()) {
                    break;
                }
            }
        }
        let mut passed_over = Vec::new();
        if !unusable.is_empty() {
            passed_over.push(format!("set, but not usable: {}", unusable.join("; ")));
        }
        if !unset.is_empty() {
            passed_over.push(format!("not set up: {}", unset.join(", ")));
        }
        if unset.contains(&MANAGED_IDENTITY) && managed::is_azure_machine() {
            passed_over.push("this is a virtual machine of Azure: try --auth managed-identity".to_owned());
        }
        let found = match sign_ins.is_empty() {
            false => Credential::signed_in(sign_ins)?,
            true => {
                let label = "no credential (none was found)";
                Credential::new(Authorization::Anonymous, AuthMode::Anonymous, label)
            }
        };
        Ok(Credential { passed_over: passed_over.into(), ..found })
    }

    fn announced_identity(&self) -> Result<Option<SignIn>> {
        let is_announced =
            ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"].iter().any(|name| self.env.var_os(name).is_some());
        is_announced.then(|| self.managed_identity()).transpose()
    }

    /// Credentials in the environment that cannot be used for this URL.
    fn of_others(&self) -> Vec<String> {
        let mut others = Vec::new();
        let set = |names: &[(&'static str, &str)]| {
            names.iter().map(|(name, _)| *name).find(|name| self.env.var_os(name).is_some())
        };
        let variables = [set(&KEYS), set(&SAS_TOKENS)].into_iter().flatten();
        match (self.env.account(), self.url.account()) {
            (_, None) => {
                others.extend(variables.map(|name| format!("{name}: the account of this URL is not known")))
            }
            (Some(one), Some(other)) if one != other => others.extend(
                variables.map(|name| format!("{name}: it is for the account '{one}', not for '{other}'")),
            ),
            _ => {}
        }
        if self.env.var_os(CONNECTION).is_some() && matches!(self.connection(), Ok(None)) {
            others.push(format!("{CONNECTION}: it is for another account"));
        }
        if self.env.var_os("AZURE_USERNAME").is_some() && self.env.var_os("AZURE_PASSWORD").is_some() {
            others.push("AZURE_USERNAME: signing in with a password is not supported".to_owned());
        }
        others
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
        match (self.env.account(), self.url.account()) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    fn key_of_env(&self) -> Result<Option<Credential>> {
        let (Some(account), true) = (self.url.account(), self.same_account()) else { return Ok(None) };
        let found = KEYS.iter().find_map(|(name, label)| Some((self.env.var(name)?, *name, *label)));
        found.map(|(key, name, label)| self.shared_key(account, Secret::new(key), name, label)).transpose()
    }

    fn sas_of_env(&self) -> Result<Option<Credential>> {
        let found = SAS_TOKENS.iter().find_map(|(name, label)| Some((self.env.var(name)?, *name, *label)));
        let (Some((text, name, label)), true) = (found, self.same_account()) else { return Ok(None) };
        let sas = Sas::parse(&text).ok_or_else(|| {
            Error::new(format!("{name} is not a SAS: it has no signature (sig=…)"))
                .with_hint("copy the whole SAS, and quote it in a shell")
        })?;
        Ok(Some(Credential::new(Authorization::Sas(sas), AuthMode::Sas, label)))
    }

    fn shared_key(
        &self,
        account: &str,
        key: Secret,
        variable: &str,
        label: &'static str,
    ) -> Result<Credential> {
        hmac_sha256("", &key).map_err(|_| {
            let list = Account::named(Some(account)).list_keys().line(Shell::Bash);
            Error::new(format!("the key in {variable} is not base64")).with_hint(
                match self.url.is_emulator() {
                    true => "copy the whole key".to_owned(),
                    false => format!("copy the whole key: {list}"),
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
        match (KEYS.iter().find(|(name, _)| self.env.var_os(name).is_some()), self.url.account()) {
            (Some((key, _)), None) => Error::new(format!("the account that {key} belongs to is not known"))
                .with_hint("add --account NAME or set AZURE_STORAGE_ACCOUNT"),
            (Some((key, _)), Some(account)) => {
                Error::new(format!("{key} is for the account in AZURE_STORAGE_ACCOUNT, not for '{account}'"))
                    .with_hint("set AZURE_STORAGE_ACCOUNT to the account of the key")
            }
            (None, _) => Error::new("no key for this account").with_hint(hint),
        }
    }
}

#[cfg(test)]
mod tests;

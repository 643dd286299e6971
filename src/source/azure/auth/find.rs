//! Looks for credentials in the environment.

use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use azure_core::http::Transport;

use super::tokens::SignIn;
use super::{AuthMode, Authorization, Credential, SharedKey, managed};
use crate::model::error::{Error, Result};
use crate::source::azure::commands::{Account, Shell};
use crate::source::location::{ConnectionString, ContainerUrl, Environment, Sas};

pub(super) const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
/// The account's key, by the names that the Azure CLI, adlfs and object_store use, with the text for reports.
pub(super) const KEYS: [(&str, &str); 3] = [
    ("AZURE_STORAGE_KEY", "shared key (AZURE_STORAGE_KEY)"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "shared key (AZURE_STORAGE_ACCOUNT_KEY)"),
    ("AZURE_STORAGE_ACCESS_KEY", "shared key (AZURE_STORAGE_ACCESS_KEY)"),
];
/// A SAS, likewise.
pub(super) const SAS_TOKENS: [(&str, &str); 2] = [
    ("AZURE_STORAGE_SAS_TOKEN", "SAS (AZURE_STORAGE_SAS_TOKEN)"),
    ("AZURE_STORAGE_SAS_KEY", "SAS (AZURE_STORAGE_SAS_KEY)"),
];
/// What the Azure CLI uses for its commands on blobs: `login` for Entra ID, or `key`.
const AUTH_MODE: &str = "AZURE_STORAGE_AUTH_MODE";
pub(super) const TENANT_ID: &str = "AZURE_TENANT_ID";
pub(super) const CLIENT_ID: &str = "AZURE_CLIENT_ID";
pub(super) const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
pub(super) const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
/// Only used if announced: the address of a virtual machine's identity is never tried on a guess.
const MANAGED_IDENTITY: &str = "managed identity";
pub(super) const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

pub(super) struct Finder<'a> {
    pub url: &'a ContainerUrl,
    pub env: &'a Environment,
    pub transport: &'a Transport,
}

/// Finds a way to sign in; `None` if it is not set up.
pub(super) type Find<'f> = fn(&Finder<'f>) -> Result<Option<SignIn>>;

impl<'f> Finder<'f> {
    /// A sign-in that is asked for, which these variables set up.
    pub(super) fn signed_in(
        &self,
        find: impl Fn(&Self) -> Result<Option<SignIn>>,
        variables: &[&str],
    ) -> Result<Credential> {
        self.refuse_http()?;
        Credential::signed_in(vec![find(self)?.ok_or_else(|| self.unset(variables))?])
    }

    pub(super) fn first(&self) -> Result<Credential> {
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
        match entra {
            true => self.first_of_entra(),
            false => Ok(Credential::none(Vec::new())),
        }
    }

    /// The first sign-in with Entra ID; if there is none, no credential.
    pub(super) fn first_of_entra(&self) -> Result<Credential> {
        let (mut unusable, mut unset, mut sign_ins) = (self.of_others(), Vec::new(), Vec::new());
        if self.url.is_https() {
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
        if sign_ins.is_empty() {
            return Ok(Credential::none(passed_over));
        }
        Ok(Credential { passed_over: passed_over.into(), ..Credential::signed_in(sign_ins)? })
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

    pub(super) fn key(&self) -> Result<Option<Credential>> {
        match self.key_of_connection()? {
            Some(found) => Ok(Some(found)),
            None => self.key_of_env(),
        }
    }

    pub(super) fn sas(&self) -> Result<Option<Credential>> {
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

    pub(super) fn no_key(&self) -> Error {
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

//! Which credential a container is read with.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use azure_core::cloud::CloudConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::hmac::hmac_sha256;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::cli::Az;
use crate::error::{Error, Result, reason};
use crate::source::location::{ConnectionString, ContainerUrl, Environment, Sas};

const ACCOUNT: &str = "AZURE_STORAGE_ACCOUNT";
const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
const KEY: &str = "AZURE_STORAGE_KEY";
const SAS_TOKEN: &str = "AZURE_STORAGE_SAS_TOKEN";
const TENANT_ID: &str = "AZURE_TENANT_ID";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// How often a sign-in is tried again.
const SIGN_IN_RETRIES: u32 = 3;

/// How to sign in: the values of `--auth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// The first of the others that the environment holds, in the order of [`Credential::resolve`].
    #[default]
    Auto,
    /// Whoever is logged in to the Azure CLI.
    Cli,
    /// The machine's own identity.
    ManagedIdentity,
    /// A federated token, as Kubernetes and GitHub Actions give it.
    WorkloadIdentity,
    /// A service principal with a secret.
    ClientSecret,
    /// A shared access signature.
    Sas,
    /// The account's key.
    Key,
    /// No credential: a container that anyone may read.
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
    pub(super) means: Means,
    label: &'static str,
}

/// What a request carries.
#[derive(Clone)]
pub(super) enum Means {
    /// A signature with the account's key.
    Key { account: String, key: Secret },
    /// A shared access signature.
    Sas(Sas),
    /// A token of Entra ID.
    Token(Arc<dyn TokenCredential>),
    /// A token of Entra ID by way of the Azure CLI.
    CliToken(Arc<dyn TokenCredential>),
    /// Nothing.
    Anonymous,
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key { .. } => "Key(***)",
            Self::Sas(_) => "Sas(***)",
            Self::Token(_) => "Token(***)",
            Self::CliToken(_) => "CliToken(***)",
            Self::Anonymous => "Anonymous",
        })
    }
}

impl Credential {
    /// Finds the credential for a container.
    ///
    /// The order of [`AuthMode::Auto`]: SAS of the URL, connection string (its key, then its SAS),
    /// `AZURE_STORAGE_KEY`, `AZURE_STORAGE_SAS_TOKEN`, client secret, workload identity, managed identity where the
    /// environment announces one, Azure CLI where there is one, anonymous. What belongs to another account is
    /// passed over, and so is Entra ID where the endpoint is plain http.
    ///
    /// # Errors
    ///
    /// What was asked for by name is missing or cannot be used here; a key is not base64.
    pub(super) fn resolve(
        mode: AuthMode,
        url: &ContainerUrl,
        env: &Environment,
        transport: &Transport,
    ) -> Result<Self> {
        let finder = Finder { url, env, transport };
        let missing = |what: &str, hint: &str| Error::new(what).hint(hint);
        match mode {
            AuthMode::Auto => finder.first(),
            AuthMode::Anonymous => Ok(Self { means: Means::Anonymous, label: "anonymous" }),
            AuthMode::Key => finder.key()?.ok_or_else(|| finder.no_key()),
            AuthMode::Sas => finder.sas()?.ok_or_else(|| {
                missing(
                    "no SAS is given for this account",
                    "set AZURE_STORAGE_SAS_TOKEN, or add ?SAS to the https:// URL of the container",
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

    /// What it is and where it comes from, such as `shared key (AZURE_STORAGE_KEY)`. No secret.
    pub fn label(&self) -> &'static str {
        self.label
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
            // The address that a virtual machine's identity answers on is never asked on a guess.
            if ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"].iter().any(|name| self.env.var_os(name).is_some()) {
                return self.managed_identity();
            }
            if let Some(found) = self.cli()? {
                return Ok(found);
            }
        }
        Ok(Credential { means: Means::Anonymous, label: "no credential (none was found)" })
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
        Some(Credential { means: Means::Sas(sas), label: "SAS in the URL" })
    }

    /// The connection string, if it is of the same account.
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
        Ok(sas.map(|sas| Credential { means: Means::Sas(sas), label }))
    }

    /// Whether what the environment holds for its account is meant for this one.
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
                .hint("copy the whole SAS; in a shell it needs quotes")
        })?;
        Ok(Some(Credential { means: Means::Sas(sas), label: "SAS (AZURE_STORAGE_SAS_TOKEN)" }))
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
            Error::new(format!("the key in {variable} is not base64")).hint(match self.url.is_emulator() {
                true => "copy the whole key".to_owned(),
                false => list,
            })
        })?;
        Ok(Credential { means: Means::Key { account: account.to_owned(), key }, label })
    }

    fn no_key(&self) -> Error {
        let hint = "set AZURE_STORAGE_KEY, or AZURE_STORAGE_CONNECTION_STRING with an AccountKey";
        match (self.env.var(KEY), self.url.account()) {
            (Some(_), None) => Error::new("the account that AZURE_STORAGE_KEY belongs to is not known")
                .hint("add --account NAME or set AZURE_STORAGE_ACCOUNT"),
            (Some(_), Some(account)) => Error::new(format!(
                "AZURE_STORAGE_KEY is for the account in AZURE_STORAGE_ACCOUNT, not for '{account}'"
            ))
            .hint("set AZURE_STORAGE_ACCOUNT to the account that the key is for"),
            (None, _) => Error::new("no key is given for this account").hint(hint),
        }
    }

    /// The variables of this list that are not set.
    fn unset(&self, names: &[&str]) -> Error {
        let unset: Vec<_> = names.iter().copied().filter(|name| self.env.var(name).is_none()).collect();
        Error::new(format!("this sign-in needs {}", unset.join(", ")))
            .hint(format!("set {}, or choose another --auth", names.join(", ")))
    }

    fn refuse_http(&self) -> Result<()> {
        match self.url.is_https() {
            true => Ok(()),
            false => Err(Error::new(format!(
                "a token of Entra ID is not sent to {}: the connection is not encrypted",
                self.url.endpoint()
            ))
            .hint("use https, or sign in with AZURE_STORAGE_KEY or a SAS")),
        }
    }

    /// Checks a tenant as the client library does. The value is not shown: it may be a secret in the wrong variable.
    fn check_tenant(&self, tenant: &str) -> Result<()> {
        match tenant.chars().find(|c| !(c.is_alphanumeric() || ".-".contains(*c))) {
            None => Ok(()),
            Some(wrong) => {
                Err(Error::new(format!("{TENANT_ID} is no tenant ID: it holds '{}'", wrong.escape_debug()))
                    .hint("set it to the tenant's ID or domain, such as contoso.onmicrosoft.com"))
            }
        }
    }

    fn client_secret(&self) -> Result<Option<Credential>> {
        let (Some(tenant), Some(client), Some(secret)) =
            (self.env.var(TENANT_ID), self.env.var(CLIENT_ID), self.env.var(CLIENT_SECRET))
        else {
            return Ok(None);
        };
        self.check_tenant(&tenant)?;
        let options = ClientSecretCredentialOptions { client_options: self.client_options() };
        let credential = ClientSecretCredential::new(&tenant, client, Secret::new(secret), Some(options))
            .map_err(|_| unusable("the client secret"))?;
        Ok(Some(token(credential, "service principal (AZURE_CLIENT_SECRET)")))
    }

    fn workload_identity(&self) -> Result<Option<Credential>> {
        let (Some(tenant), Some(client), Some(file)) =
            (self.env.var(TENANT_ID), self.env.var(CLIENT_ID), self.env.var_os(TOKEN_FILE))
        else {
            return Ok(None);
        };
        self.check_tenant(&tenant)?;
        let file = Path::new(&file);
        std::fs::read_to_string(file).map_err(|error| {
            let file = file.display();
            Error::new(format!("cannot read the token file '{file}' ({TOKEN_FILE}): {}", reason(&error)))
                .hint("check that it exists and that you may read it")
        })?;
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: self.client_options() },
            client_id: Some(client),
            tenant_id: Some(tenant),
            token_file_path: Some(file.to_owned()),
        };
        let credential =
            WorkloadIdentityCredential::new(Some(options)).map_err(|_| unusable("the workload identity"))?;
        Ok(Some(token(credential, "workload identity (AZURE_FEDERATED_TOKEN_FILE)")))
    }

    fn managed_identity(&self) -> Result<Credential> {
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: self.env.var(CLIENT_ID).map(UserAssignedId::ClientId),
            client_options: self.client_options(),
        };
        let credential = ManagedIdentityCredential::new(Some(options)).map_err(|_| {
            Error::new("this kind of managed identity is not supported")
                .hint("virtual machines and App Service have one that is; choose another --auth elsewhere")
        })?;
        Ok(token(credential, "managed identity"))
    }

    fn cli(&self) -> Result<Option<Credential>> {
        if self.env.program("az").is_none() {
            return Ok(None);
        }
        let tenant_id = self.env.var(TENANT_ID);
        if let Some(tenant) = &tenant_id {
            self.check_tenant(tenant)?;
        }
        let executor: Arc<dyn Executor> = Arc::new(Az::new());
        let options = AzureCliCredentialOptions { tenant_id, executor: Some(executor), ..Default::default() };
        let credential = AzureCliCredential::new(Some(options)).map_err(|_| unusable("the Azure CLI"))?;
        Ok(Some(Credential { means: Means::CliToken(credential), label: "Azure CLI" }))
    }

    /// The options of a sign-in: the same transport, and the cloud that the endpoint belongs to.
    fn client_options(&self) -> ClientOptions {
        let cloud = match self.url.endpoint() {
            endpoint if endpoint.ends_with(".usgovcloudapi.net") => CloudConfiguration::AzureGovernment,
            endpoint if endpoint.ends_with(".chinacloudapi.cn") => CloudConfiguration::AzureChina,
            _ => CloudConfiguration::AzurePublic,
        };
        ClientOptions {
            transport: Some(self.transport.clone()),
            cloud: Some(Arc::new(cloud)),
            // By default a name that does not resolve is asked for again for a minute.
            retry: RetryOptions::exponential(ExponentialRetryOptions {
                max_retries: SIGN_IN_RETRIES,
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}

fn token(credential: Arc<dyn TokenCredential>, label: &'static str) -> Credential {
    Credential { means: Means::Token(credential), label }
}

/// What the client library still does not take, once the values are checked.
fn unusable(what: &str) -> Error {
    Error::new(format!("{what} cannot be used to sign in"))
        .hint("check its variables, or choose another --auth")
}

#[cfg(test)]
mod tests;

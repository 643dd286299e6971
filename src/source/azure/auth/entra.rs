//! Sign-ins with Entra ID.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, Context, ExponentialRetryOptions, Request, RetryOptions,
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use serde::Deserialize;
use url::Url;

use super::{
    AUTHORITY, AuthMode, Authorization, CLIENT_ID, CLIENT_SECRET, Credential, Finder, TENANT_ID, TOKEN_FILE,
};
use crate::model::error::{Error, Result, reason};
use crate::source::azure::cli::Az;
use crate::source::azure::failure::{Failure, first_line};

/// How many times a sign-in is retried.
const SIGN_IN_RETRIES: u32 = 3;

impl Finder<'_> {
    /// The error that names which of these variables are not set.
    pub(super) fn unset(&self, names: &[&str]) -> Error {
        let unset: Vec<_> = names.iter().copied().filter(|name| self.env.var(name).is_none()).collect();
        Error::new(format!("this sign-in needs {}", unset.join(", ")))
            .with_hint(format!("set {}, or choose another --auth", names.join(", ")))
    }

    pub(super) fn refuse_http(&self) -> Result<()> {
        match self.url.is_https() {
            true => Ok(()),
            false => Err(Error::new(format!(
                "an Entra ID token is not sent to {}: the connection is not encrypted",
                self.url.endpoint()
            ))
            .with_hint("use https, or sign in with AZURE_STORAGE_KEY, which is not sent itself")),
        }
    }

    /// Checks a tenant as the client library does. The value is not shown: it may be a secret in the wrong variable.
    fn check_tenant(&self, tenant: &str) -> Result<()> {
        match tenant.chars().find(|c| !(c.is_alphanumeric() || ".-".contains(*c))) {
            None => Ok(()),
            Some(wrong) => Err(Error::new(format!(
                "{TENANT_ID} is not a tenant ID: it has a '{}'",
                wrong.escape_debug()
            ))
            .with_hint("set it to the tenant's ID or domain, such as contoso.onmicrosoft.com")),
        }
    }

    pub(super) fn client_secret(&self) -> Result<Option<Credential>> {
        let (Some(tenant), Some(client), Some(secret)) =
            (self.env.var(TENANT_ID), self.env.var(CLIENT_ID), self.env.var(CLIENT_SECRET))
        else {
            return Ok(None);
        };
        self.check_tenant(&tenant)?;
        let options = ClientSecretCredentialOptions { client_options: self.client_options()? };
        let credential = ClientSecretCredential::new(&tenant, client, Secret::new(secret), Some(options))
            .map_err(|_| unusable("the client secret"))?;
        Ok(Some(token(credential, AuthMode::ClientSecret, "service principal (AZURE_CLIENT_SECRET)")))
    }

    pub(super) fn workload_identity(&self) -> Result<Option<Credential>> {
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
                .with_hint("check that it exists and that you can read it")
        })?;
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: self.client_options()? },
            client_id: Some(client),
            tenant_id: Some(tenant),
            token_file_path: Some(file.to_owned()),
        };
        let credential =
            WorkloadIdentityCredential::new(Some(options)).map_err(|_| unusable("the workload identity"))?;
        Ok(Some(token(
            credential,
            AuthMode::WorkloadIdentity,
            "workload identity (AZURE_FEDERATED_TOKEN_FILE)",
        )))
    }

    pub(super) fn managed_identity(&self) -> Result<Credential> {
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: self.env.var(CLIENT_ID).map(UserAssignedId::ClientId),
            client_options: self.client_options()?,
        };
        let credential = ManagedIdentityCredential::new(Some(options)).map_err(|_| {
            Error::new("this kind of managed identity is not supported").with_hint(
                "use the managed identity of a virtual machine or App Service, or choose another --auth",
            )
        })?;
        Ok(token(credential, AuthMode::ManagedIdentity, "managed identity"))
    }

    pub(super) fn cli(&self) -> Result<Option<Credential>> {
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
        Ok(Some(token(credential, AuthMode::Cli, "Azure CLI")))
    }

    /// The options of a sign-in: the same transport, and where to sign in.
    fn client_options(&self) -> Result<ClientOptions> {
        Ok(ClientOptions {
            transport: Some(self.transport.clone()),
            per_call_policies: vec![Arc::new(ErrorPolicy)],
            cloud: Some(Arc::new(self.cloud()?)),
            // By default, a name that does not resolve is retried for a minute.
            retry: RetryOptions::exponential(ExponentialRetryOptions {
                max_retries: SIGN_IN_RETRIES,
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    /// Where to sign in: `AZURE_AUTHORITY_HOST` if it is set, or else the endpoint's cloud.
    fn cloud(&self) -> Result<CloudConfiguration> {
        if let Some(authority_host) = self.env.var(AUTHORITY) {
            let is_https = Url::parse(&authority_host).is_ok_and(|url| url.scheme() == "https");
            if !is_https {
                return Err(Error::new(format!("{AUTHORITY} is not an https:// URL"))
                    .with_hint("unset it, or set it to your cloud's sign-in URL, such as https://login.microsoftonline.us"));
            }
            let mut custom = CustomConfiguration::default();
            custom.authority_host = authority_host;
            return Ok(custom.into());
        }
        Ok(match self.url.endpoint() {
            endpoint if endpoint.ends_with(".usgovcloudapi.net") => CloudConfiguration::AzureGovernment,
            endpoint if endpoint.ends_with(".chinacloudapi.cn") => CloudConfiguration::AzureChina,
            _ => CloudConfiguration::AzurePublic,
        })
    }
}

/// Reads the error of a sign-in (RFC 6749, 5.2). The client library fails on a description with an escape in it, such
/// as the line breaks in Entra ID's.
#[derive(Debug)]
struct ErrorPolicy;

#[derive(Deserialize)]
struct OAuthError {
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

#[async_trait]
impl Policy for ErrorPolicy {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some((first, rest)) = next.split_first() else {
            return Err(Failure::Other("no transport follows the sign-in".into()).into());
        };
        let response = first.send(ctx, request, rest).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers, body) = response.deconstruct();
        let body = body.collect().await?;
        match serde_json::from_slice::<OAuthError>(&body) {
            Ok(error) => Err(error.into_failure().into()),
            Err(_) => Ok(AsyncRawResponse::from_bytes(status, headers, body)),
        }
    }
}

impl OAuthError {
    fn into_failure(self) -> Failure {
        let line = first_line(&self.error_description);
        // The rest is for Entra ID's support.
        let cause = line.split(" Trace ID:").next().unwrap_or_default().to_owned();
        Failure::Credential { cause, code: self.error_codes.first().map(u32::to_string) }
    }
}

fn token(credential: Arc<dyn TokenCredential>, mode: AuthMode, label: &'static str) -> Credential {
    Credential::new(Authorization::Token(credential), mode, label)
}

/// The error for values that pass the checks here but that the client library rejects.
fn unusable(what: &str) -> Error {
    Error::new(format!("{what} cannot be used to sign in"))
        .with_hint("check its environment variables, or choose another --auth")
}

//! Sign-ins with Entra ID.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, Context, ExponentialRetryOptions, Pipeline, Request, RetryOptions,
    Transport,
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential,
    AzureDeveloperCliCredentialOptions, AzurePipelinesCredential, AzurePipelinesCredentialOptions,
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use serde::Deserialize;
use url::Url;

use super::AuthMode;
use super::assertion::{Certificate, GitHub};
use super::find::{CERTIFICATE, CLIENT_ID, CLIENT_SECRET, Finder, TENANT_ID, TOKEN_FILE};
use super::managed::{self, Endpoint, Id, Machine, Provider};
use super::tokens::{Create, SignIn};
use crate::model::error::{Error, Result, reason};
use crate::source::azure::cli::Tool;
use crate::source::azure::failure::{Failure, first_line};
use crate::source::azure::http::Client;

const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
const SEND_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const CONNECTION_ID: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";
const PIPELINE_TENANT_ID: &str = "AZURESUBSCRIPTION_TENANT_ID";
const PIPELINE_CLIENT_ID: &str = "AZURESUBSCRIPTION_CLIENT_ID";
const PIPELINE_TOKEN: &str = "SYSTEM_ACCESSTOKEN";
const PIPELINE_URL: &str = "SYSTEM_OIDCREQUESTURI";
/// The user-assigned identity, by the names that object_store and BlobFuse use.
const RESOURCE_ID: [&str; 2] = ["AZURE_MSI_RESOURCE_ID", "AZURE_STORAGE_IDENTITY_RESOURCE_ID"];
const OBJECT_ID: [&str; 2] = ["AZURE_OBJECT_ID", "AZURE_STORAGE_IDENTITY_OBJECT_ID"];
const IDENTITY_CLIENT_ID: &str = "AZURE_STORAGE_IDENTITY_CLIENT_ID";
/// What Azure Machine Learning names the identity of its compute.
const ML_CLIENT_ID: &str = "DEFAULT_IDENTITY_CLIENT_ID";

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

    /// The variables of a service principal: its tenant, and its application.
    fn principal(&self, needs: &[&str]) -> Result<(String, String)> {
        let (Some(tenant), Some(client)) = (self.env.var(TENANT_ID), self.env.var(CLIENT_ID)) else {
            return Err(self.unset(&[&[TENANT_ID, CLIENT_ID], needs].concat()));
        };
        self.check_tenant(&tenant)?;
        Ok((tenant, client))
    }

    pub(super) fn client_secret(&self) -> Result<Option<SignIn>> {
        let Some(secret) = self.env.var(CLIENT_SECRET) else { return Ok(None) };
        let (tenant, client) = self.principal(&[CLIENT_SECRET])?;
        let (secret, client_options) = (Secret::new(secret), self.client_options()?);
        let create: Create = Box::new(move || {
            let options = ClientSecretCredentialOptions { client_options: client_options.clone() };
            Ok(ClientSecretCredential::new(&tenant, client.clone(), secret.clone(), Some(options))?)
        });
        Ok(Some(SignIn {
            mode: AuthMode::ClientSecret,
            label: "service principal (AZURE_CLIENT_SECRET)",
            create,
        }))
    }

    pub(super) fn client_certificate(&self) -> Result<Option<SignIn>> {
        let Some(file) = self.env.var_os(CERTIFICATE) else { return Ok(None) };
        let (tenant, client) = self.principal(&[CERTIFICATE])?;
        let client_options = self.client_options()?;
        let audience = format!("{}/{tenant}/oauth2/v2.0/token", self.authority().trim_end_matches('/'));
        let sends_chain =
            self.env.var(SEND_CHAIN).is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"));
        let read = move |client: &str| Certificate::read(Path::new(&file), client, &audience, sends_chain);
        read(&client)?;
        let create: Create = Box::new(move || {
            // Read each time: a certificate may be replaced during a run.
            let certificate = read(&client).map_err(|error| Failure::Other(error.to_string()))?;
            assertion(&tenant, &client, certificate, &client_options)
        });
        Ok(Some(SignIn {
            mode: AuthMode::ClientCertificate,
            label: "service principal (AZURE_CLIENT_CERTIFICATE_PATH)",
            create,
        }))
    }

    /// A federated token: a file's, that of a GitHub Actions job, or that of an Azure Pipelines job.
    pub(super) fn workload_identity(&self) -> Result<Option<SignIn>> {
        for find in [Self::token_file, Self::github, Self::pipelines] {
            if let Some(found) = find(self)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn token_file(&self) -> Result<Option<SignIn>> {
        let Some(file) = self.env.var_os(TOKEN_FILE) else { return Ok(None) };
        let (tenant, client) = self.principal(&[TOKEN_FILE])?;
        let file = PathBuf::from(file);
        std::fs::read_to_string(&file).map_err(|error| {
            let file = file.display();
            Error::new(format!("cannot read the token file '{file}' ({TOKEN_FILE}): {}", reason(&error)))
                .with_hint("check that it exists and that you can read it")
        })?;
        let client_options = self.client_options()?;
        let create: Create = Box::new(move || {
            let client_options = client_options.clone();
            let options = WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                client_id: Some(client.clone()),
                tenant_id: Some(tenant.clone()),
                token_file_path: Some(file.clone()),
            };
            Ok(WorkloadIdentityCredential::new(Some(options))?)
        });
        Ok(Some(workload("workload identity (AZURE_FEDERATED_TOKEN_FILE)", create)))
    }

    /// The token that GitHub issues to a job with the permission `id-token: write`.
    fn github(&self) -> Result<Option<SignIn>> {
        let Some(url) = self.env.var(GITHUB_URL) else { return Ok(None) };
        let (tenant, client) = self.principal(&[GITHUB_URL, GITHUB_TOKEN])?;
        let Some(token) = self.env.var(GITHUB_TOKEN) else { return Err(self.unset(&[GITHUB_TOKEN])) };
        let mut url = Url::parse(&url).ok().filter(|url| url.scheme() == "https").ok_or_else(|| {
            Error::new(format!("{GITHUB_URL} is not an https:// URL")).with_hint("leave it as GitHub sets it")
        })?;
        // "Configure an app to trust an external identity provider", audience.
        let suffix = match self.url.endpoint() {
            endpoint if endpoint.ends_with(".usgovcloudapi.net") => "USGov",
            endpoint if endpoint.ends_with(".chinacloudapi.cn") => "China",
            _ => "",
        };
        url.query_pairs_mut().append_pair("audience", &format!("api://AzureADTokenExchange{suffix}"));
        let (token, client_options) = (Secret::new(token), self.client_options()?);
        let create: Create = Box::new(move || {
            let pipeline = pipeline(&client_options);
            let github = GitHub { url: url.clone(), token: token.clone(), pipeline };
            assertion(&tenant, &client, github, &client_options)
        });
        Ok(Some(workload("workload identity (GitHub Actions)", create)))
    }

    /// The token of a service connection, with the variables that the task AzureCLI@2 sets.
    fn pipelines(&self) -> Result<Option<SignIn>> {
        let Some(connection) = self.env.var(CONNECTION_ID) else { return Ok(None) };
        let of = |names: [&str; 2]| names.iter().find_map(|name| self.env.var(name));
        let (tenant, client) = (of([PIPELINE_TENANT_ID, TENANT_ID]), of([PIPELINE_CLIENT_ID, CLIENT_ID]));
        let (Some(tenant), Some(client), Some(token), Some(_)) =
            (tenant, client, self.env.var(PIPELINE_TOKEN), self.env.var(PIPELINE_URL))
        else {
            return Err(self.unset(&[PIPELINE_TENANT_ID, PIPELINE_CLIENT_ID, PIPELINE_TOKEN, PIPELINE_URL]));
        };
        self.check_tenant(&tenant)?;
        let (token, client_options) = (Secret::new(token), self.client_options()?);
        let create: Create = Box::new(move || {
            let client_options = client_options.clone();
            let credential_options = ClientAssertionCredentialOptions { client_options };
            let options = AzurePipelinesCredentialOptions { credential_options };
            let (tenant, client, token) = (tenant.clone(), client.clone(), token.clone());
            Ok(AzurePipelinesCredential::new(tenant, client, &connection, token, Some(options))?)
        });
        Ok(Some(workload("workload identity (Azure Pipelines)", create)))
    }

    pub(super) fn managed_identity(&self) -> Result<SignIn> {
        let of = |names: &[&str]| names.iter().find_map(|name| self.env.var(name));
        let provider = Provider::of(|name| self.env.var_os(name).is_some());
        let of_provider = match provider {
            Provider::MachineLearning => of(&[ML_CLIENT_ID]),
            _ => None,
        };
        let id = of(&RESOURCE_ID).map(Id::Resource);
        let id = id.or_else(|| of(&OBJECT_ID).map(Id::Object));
        let id = id.or_else(|| of(&[IDENTITY_CLIENT_ID, CLIENT_ID]).or(of_provider).map(Id::Client));
        let unsupported = |what: &str, hint: &str| Err(Error::new(what.to_owned()).with_hint(hint));
        match (provider, &id) {
            (Provider::ServiceFabric, _) => {
                return unsupported(
                    "the managed identity of Service Fabric is not supported",
                    "use a client secret or certificate, or choose another --auth",
                );
            }
            (Provider::Arc | Provider::CloudShell, Some(_)) => {
                let what = if provider == Provider::Arc { "Azure Arc" } else { "Cloud Shell" };
                return unsupported(
                    &format!("{what} has one identity only, and another one is asked for"),
                    "unset AZURE_CLIENT_ID, AZURE_OBJECT_ID and AZURE_MSI_RESOURCE_ID",
                );
            }
            (Provider::MachineLearning, Some(Id::Object(_) | Id::Resource(_))) => {
                return unsupported(
                    "Azure Machine Learning takes only the client ID of an identity",
                    "set AZURE_CLIENT_ID instead",
                );
            }
            _ => {}
        }
        let client_options = self.direct_options()?;
        let by_library = matches!(provider, Provider::Machine | Provider::AppService)
            && !matches!((provider, &id), (Provider::AppService, Some(Id::Resource(_))));
        let create: Create = match by_library {
            true => Box::new(move || {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: id.clone().map(Into::into),
                    client_options: client_options.clone(),
                };
                let credential: Arc<dyn TokenCredential> = ManagedIdentityCredential::new(Some(options))?;
                Ok(if provider == Provider::Machine { Arc::new(Machine(credential)) } else { credential })
            }),
            false => {
                let url = of(&["IDENTITY_ENDPOINT"]).filter(|_| provider != Provider::MachineLearning);
                let url = url.or_else(|| of(&["MSI_ENDPOINT"])).unwrap_or_default();
                let url = Url::parse(&url).map_err(|_| {
                    Error::new("the endpoint of the managed identity is not a URL")
                        .with_hint("check IDENTITY_ENDPOINT and MSI_ENDPOINT, or choose another --auth")
                })?;
                let secret = match provider {
                    Provider::AppService => of(&["IDENTITY_HEADER"]),
                    Provider::MachineLearning => of(&["MSI_SECRET"]),
                    _ => None,
                };
                let secret = secret.map(Secret::new);
                Box::new(move || {
                    Ok(Arc::new(Endpoint {
                        provider,
                        url: url.clone(),
                        secret: secret.clone(),
                        id: id.clone(),
                        pipeline: pipeline(&client_options),
                        challenges: managed::challenges(),
                    }))
                })
            }
        };
        Ok(SignIn { mode: AuthMode::ManagedIdentity, label: "managed identity", create })
    }

    pub(super) fn cli(&self) -> Result<Option<SignIn>> {
        let Some(tenant_id) = self.developer_tool("az")? else { return Ok(None) };
        let create: Create = Box::new(move || {
            let executor: Arc<dyn Executor> = Arc::new(Tool::Az);
            let tenant_id = tenant_id.clone();
            let options =
                AzureCliCredentialOptions { tenant_id, executor: Some(executor), ..Default::default() };
            Ok(AzureCliCredential::new(Some(options))?)
        });
        Ok(Some(SignIn { mode: AuthMode::Cli, label: "Azure CLI", create }))
    }

    pub(super) fn azd(&self) -> Result<Option<SignIn>> {
        let Some(tenant_id) = self.developer_tool("azd")? else { return Ok(None) };
        let create: Create = Box::new(move || {
            let executor: Arc<dyn Executor> = Arc::new(Tool::Azd);
            let options =
                AzureDeveloperCliCredentialOptions { tenant_id: tenant_id.clone(), executor: Some(executor) };
            Ok(AzureDeveloperCliCredential::new(Some(options))?)
        });
        Ok(Some(SignIn { mode: AuthMode::Azd, label: "Azure Developer CLI", create }))
    }

    /// The tenant to ask a tool for, if the tool is there.
    fn developer_tool(&self, program: &str) -> Result<Option<Option<String>>> {
        if self.env.program(program).is_none() {
            return Ok(None);
        }
        let tenant = self.env.var(TENANT_ID);
        tenant.as_deref().map(|tenant| self.check_tenant(tenant)).transpose()?;
        Ok(Some(tenant))
    }

    /// The options of a sign-in on this machine, which never goes through a proxy: its requests carry secrets of the
    /// machine, and a proxy would take the address for one of its own.
    fn direct_options(&self) -> Result<ClientOptions> {
        let transport = Transport::new(Arc::new(Client::direct()));
        Ok(ClientOptions { transport: Some(transport), ..self.client_options()? })
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

    /// The URL of the place to sign in.
    fn authority(&self) -> String {
        self.env.var(AUTHORITY).unwrap_or_else(|| match self.url.endpoint() {
            endpoint if endpoint.ends_with(".usgovcloudapi.net") => "https://login.microsoftonline.us".into(),
            endpoint if endpoint.ends_with(".chinacloudapi.cn") => "https://login.chinacloudapi.cn".into(),
            _ => "https://login.microsoftonline.com".into(),
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

fn workload(label: &'static str, create: Create) -> SignIn {
    SignIn { mode: AuthMode::WorkloadIdentity, label, create }
}

fn assertion(
    tenant: &str,
    client: &str,
    assertion: impl ClientAssertion + 'static,
    client_options: &ClientOptions,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let options = ClientAssertionCredentialOptions { client_options: client_options.clone() };
    Ok(ClientAssertionCredential::new(tenant.to_owned(), client.to_owned(), assertion, Some(options))?)
}

fn pipeline(client_options: &ClientOptions) -> Pipeline {
    Pipeline::new(None, None, client_options.clone(), Vec::new(), Vec::new(), None)
}

//! Managed identities that the client library does not support, and how to tell where presync runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::http::headers::HeaderName;
use azure_core::http::{
    Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request, StatusCode, Url,
};
use azure_core::time::{Duration as TokenTime, OffsetDateTime};
use azure_identity::UserAssignedId;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::form_urlencoded;

use crate::source::azure::failure::{Failure, first_line};

/// Where the instance metadata service is ("Azure Instance Metadata Service").
const METADATA_SERVICE: &str = "169.254.169.254:80";

/// How long the instance metadata service has to accept a connection: it is on the same host.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// The most bytes of the file that Azure Arc names ("Authenticate against Azure resources with Azure Arc-enabled
/// servers").
const MAX_CHALLENGE: u64 = 4096;

/// The machine's chassis asset tag, which on every virtual machine of Azure is this one.
const ASSET_TAG: (&str, &str) = ("/sys/class/dmi/id/chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77");

/// The folder of these files.
pub(super) fn challenges() -> PathBuf {
    match std::env::var_os("ProgramData").filter(|_| cfg!(windows)) {
        Some(data) => Path::new(&data).join("AzureConnectedMachineAgent").join("Tokens"),
        None => PathBuf::from("/var/opt/azcmagent/tokens"),
    }
}

/// Whether this machine is a virtual machine of Azure, as far as its firmware says so (Linux only).
pub(super) fn is_azure_machine() -> bool {
    let (file, tag) = ASSET_TAG;
    std::fs::read_to_string(file).is_ok_and(|text| text.trim() == tag)
}

/// What provides the machine's identity, by the variables that it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    /// App Service, Functions and Container Apps: IDENTITY_ENDPOINT and IDENTITY_HEADER.
    AppService,
    /// A server of Azure Arc: IDENTITY_ENDPOINT and IMDS_ENDPOINT.
    Arc,
    /// Compute of Azure Machine Learning: MSI_ENDPOINT and MSI_SECRET.
    MachineLearning,
    /// Cloud Shell: MSI_ENDPOINT.
    CloudShell,
    /// Service Fabric: IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT.
    ServiceFabric,
    /// A virtual machine, which sets nothing.
    Machine,
}

impl Provider {
    /// The provider, by which variables are set.
    pub(super) fn of(is_set: impl Fn(&str) -> bool) -> Self {
        match (is_set("IDENTITY_ENDPOINT"), is_set("MSI_ENDPOINT")) {
            (true, _) if is_set("IDENTITY_HEADER") && is_set("IDENTITY_SERVER_THUMBPRINT") => {
                Self::ServiceFabric
            }
            (true, _) if is_set("IDENTITY_HEADER") => Self::AppService,
            (true, _) if is_set("IMDS_ENDPOINT") => Self::Arc,
            (_, true) if is_set("MSI_SECRET") => Self::MachineLearning,
            (_, true) => Self::CloudShell,
            _ => Self::Machine,
        }
    }
}

/// Which of the machine's user-assigned identities to use.
#[derive(Clone, Debug)]
pub(super) enum Id {
    Client(String),
    Object(String),
    Resource(String),
}

impl From<Id> for UserAssignedId {
    fn from(id: Id) -> Self {
        match id {
            Id::Client(id) => Self::ClientId(id),
            Id::Object(id) => Self::ObjectId(id),
            Id::Resource(id) => Self::ResourceId(id),
        }
    }
}

/// An identity that is asked for at an endpoint of its provider.
pub(super) struct Endpoint {
    pub provider: Provider,
    pub url: Url,
    /// The value of IDENTITY_HEADER or MSI_SECRET.
    pub secret: Option<Secret>,
    pub id: Option<Id>,
    pub pipeline: Pipeline,
    /// Where Azure Arc may keep the file for its challenge.
    pub challenges: PathBuf,
}

impl Endpoint {
    /// The request for a token for `resource`.
    fn request(&self, resource: &str) -> Request {
        let mut url = self.url.clone();
        let id = self.id.as_ref().map(|id| match (id, self.provider) {
            (Id::Client(id), Provider::MachineLearning) => ("clientid", id),
            (Id::Client(id), _) => ("client_id", id),
            (Id::Object(id), _) => ("principal_id", id),
            (Id::Resource(id), _) => ("mi_res_id", id),
        });
        if self.provider == Provider::CloudShell {
            let mut request = Request::new(url, Method::Post);
            let body =
                form_urlencoded::Serializer::new(String::new()).append_pair("resource", resource).finish();
            request.insert_header("content-type", "application/x-www-form-urlencoded");
            request.insert_header("metadata", "true");
            request.set_body(body);
            return request;
        }
        let version = match self.provider {
            Provider::MachineLearning => "2017-09-01",
            Provider::Arc => "2020-06-01",
            _ => "2019-08-01",
        };
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some((name, id)) = id {
            url.query_pairs_mut().append_pair(name, id);
        }
        let mut request = Request::new(url, Method::Get);
        let header = match self.provider {
            Provider::MachineLearning => "secret",
            _ => "x-identity-header",
        };
        match &self.secret {
            Some(secret) => request.insert_header(header, secret.secret().to_owned()),
            None => request.insert_header("metadata", "true"),
        }
        request
    }

    async fn send(&self, request: &mut Request) -> azure_core::Result<RawResponse> {
        let unchecked = PipelineSendOptions { skip_checks: true, ..Default::default() };
        self.pipeline.send(&Context::new(), request, Some(unchecked)).await
    }

    /// What Azure Arc asks for to be sure that this process may use the machine's identity: the content of a file that
    /// only some users can read.
    fn answer_to(&self, response: &RawResponse) -> Result<String, Failure> {
        let failure = |cause: &str| Failure::Credential { cause: cause.to_owned(), code: None };
        let realm = response.headers().get_optional_str(&HeaderName::from_static("www-authenticate"));
        let file =
            realm.and_then(|realm| realm.split_once("realm=")).map(|(_, file)| file.trim().trim_matches('"'));
        let file = Path::new(file.ok_or_else(|| failure("Azure Arc's agent names no file"))?);
        // Whatever listens there must not be able to read any other file.
        if file.parent() != Some(&self.challenges) || file.extension().is_none_or(|ext| ext != "key") {
            return Err(failure("Azure Arc's agent names a file that is not one of its own"));
        }
        let unreadable = || {
            let user = "add this user to the group himds, or run as an administrator";
            failure(&format!("cannot read '{}', which proves to Azure Arc who asks: {user}", file.display()))
        };
        match std::fs::metadata(file).map(|file| file.len()) {
            Ok(len) if len <= MAX_CHALLENGE => std::fs::read_to_string(file).map_err(|_| unreadable()),
            _ => Err(unreadable()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("provider", &self.provider).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for Endpoint {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let resource = scopes.first().copied().unwrap_or_default().trim_end_matches("/.default");
        let mut response = self.send(&mut self.request(resource)).await?;
        if self.provider == Provider::Arc && response.status() == StatusCode::Unauthorized {
            let mut request = self.request(resource);
            request.insert_header("authorization", format!("Basic {}", self.answer_to(&response)?.trim()));
            response = self.send(&mut request).await?;
        }
        if response.status().is_success() {
            return token(response.body(), OffsetDateTime::now_utc()).ok_or_else(|| {
                Failure::Credential { cause: "the response contains no token".into(), code: None }.into()
            });
        }
        let status = response.status();
        let cause = match message(response.body()) {
            Some(message) => message,
            None => format!("{} {}", u16::from(status), status.canonical_reason()),
        };
        Err(Failure::Credential { cause, code: None }.into())
    }
}

/// The token in a response. Providers write the time as a number or as text, and some only how long it is valid.
fn token(body: &[u8], now: OffsetDateTime) -> Option<AccessToken> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let seconds = |name: &str| match &body[name] {
        Value::String(text) => text.parse().ok(),
        number => number.as_i64(),
    };
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).ok();
    let expires = seconds("expires_on")
        .and_then(at)
        .or_else(|| now.checked_add(TokenTime::seconds(seconds("expires_in")?)))?;
    Some(AccessToken::new(body["access_token"].as_str()?.to_owned(), expires))
}

/// The provider's own reason.
fn message(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = ["error_description", "message", "Message"].iter().find_map(|name| body[*name].as_str());
    text.or_else(|| body["error"]["message"].as_str()).map(first_line).filter(|line| !line.is_empty())
}

/// The identity of a virtual machine, from the instance metadata service.
#[derive(Debug)]
pub(super) struct Machine(pub std::sync::Arc<dyn TokenCredential>);

#[async_trait]
impl TokenCredential for Machine {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        // The client library tries for a minute, because the service may be busy; but elsewhere there is none.
        match timeout(METADATA_TIMEOUT, TcpStream::connect(METADATA_SERVICE)).await {
            Ok(Ok(_)) => self.0.get_token(scopes, options).await,
            _ => Err(Failure::Credential {
                cause:
                    "the instance metadata service (169.254.169.254) does not respond: this is not a virtual \
                        machine of Azure, or a firewall blocks it"
                        .into(),
                code: None,
            }
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use azure_core::http::headers::Headers;
    use azure_core::http::{ClientOptions, Transport};

    use super::*;
    use crate::source::azure::http::Client;

    fn endpoint(provider: Provider, id: Option<Id>, challenges: &Path) -> Endpoint {
        let transport = Some(Transport::new(Arc::new(Client::direct()) as _));
        let options = ClientOptions { transport, ..Default::default() };
        Endpoint {
            provider,
            url: Url::parse("http://127.0.0.1:1/token").unwrap(),
            secret: Some(Secret::new("s")),
            id,
            pipeline: Pipeline::new(None, None, options, Vec::new(), Vec::new(), None),
            challenges: challenges.to_owned(),
        }
    }

    #[test]
    fn a_provider_is_known_by_its_variables() {
        let of = |names: &[&str]| Provider::of(|name| names.contains(&name));
        let (endpoint, header) = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER");
        assert_eq!(of(&[]), Provider::Machine);
        assert_eq!(of(&[endpoint]), Provider::Machine);
        assert_eq!(of(&[endpoint, header]), Provider::AppService);
        assert_eq!(of(&[endpoint, header, "MSI_ENDPOINT", "MSI_SECRET"]), Provider::AppService);
        assert_eq!(of(&[endpoint, header, "IDENTITY_SERVER_THUMBPRINT"]), Provider::ServiceFabric);
        assert_eq!(of(&[endpoint, "IMDS_ENDPOINT"]), Provider::Arc);
        assert_eq!(of(&["MSI_ENDPOINT"]), Provider::CloudShell);
        assert_eq!(of(&["MSI_ENDPOINT", "MSI_SECRET"]), Provider::MachineLearning);
    }

    #[test]
    fn only_a_file_of_the_agent_is_shown_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let of_arc = endpoint(Provider::Arc, None, folder.path());
        let answer = |file: &Path| {
            let mut headers = Headers::new();
            headers.insert("www-authenticate", format!("Basic realm={}", file.display()));
            let response = RawResponse::from_bytes(StatusCode::Unauthorized, headers, Vec::new());
            of_arc.answer_to(&response).map_err(|failure| failure.to_string())
        };
        let file = folder.path().join("1.key");
        assert!(answer(&file).unwrap_err().contains("himds"));
        std::fs::write(&file, "proof").unwrap();
        assert_eq!(answer(&file).as_deref(), Ok("proof"));
        for wrong in [folder.path().join("1.txt"), folder.path().join("a/../1.key"), "/etc/shadow.key".into()]
        {
            assert!(answer(&wrong).unwrap_err().contains("not one of its own"), "{}", wrong.display());
        }
        std::fs::write(&file, [b'x'; 4097]).unwrap();
        assert!(answer(&file).is_err());
    }

    #[test]
    fn the_time_of_a_token_comes_in_several_forms() {
        let now = OffsetDateTime::from_unix_timestamp(1_000).unwrap();
        let expires = |fields: &str| {
            let body = format!("{{\"access_token\":\"t\",{fields}}}");
            token(body.as_bytes(), now).map(|token| token.expires_on.unix_timestamp())
        };
        assert_eq!(expires(r#""expires_on":"2000""#), Some(2_000));
        assert_eq!(expires(r#""expires_on":2000"#), Some(2_000));
        assert_eq!(expires(r#""expires_on":"01/02/2026 03:04:05 +00:00","expires_in":"60""#), Some(1_060));
        assert_eq!(expires(r#""expires_in":9223372036854775807"#), None);
        assert_eq!(expires(r#""token_type":"Bearer""#), None);
    }
}

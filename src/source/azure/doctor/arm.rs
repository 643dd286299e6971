//! Requests to Azure Resource Manager and Microsoft Graph.

use std::fmt;

use azure_core::credentials::TokenCredential;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use super::DEADLINE;
use crate::model::error::{Error, Result};
use crate::source::azure::Session;
use crate::source::azure::auth::{Authorization, Credential};
use crate::source::azure::failure::{Failure, first_line};
use crate::source::azure::http::{Length, Outgoing};
use crate::source::location::{ContainerUrl, Environment};

/// The most bytes of a response: an account's role assignments take some hundred bytes each.
const MAX_BODY: usize = 4 << 20;

/// The most pages of a list: one has a thousand entries.
const MAX_PAGES: usize = 10;

/// The services that know who may do what, in the cloud of the account.
pub(super) struct Arm<'a> {
    session: &'a Session,
    credential: &'a Credential,
    /// The URL of Azure Resource Manager.
    pub manager: String,
    /// The URL of Microsoft Graph.
    pub graph: String,
}

/// Why a request got no answer.
pub(super) enum Refused {
    /// The service responded with an error: its status, and what it says.
    Status(u16, String),
    /// There is no token, or no response.
    Failed(Failure),
}

impl Refused {
    /// Whether the identity lacks the permission.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Status(401 | 403, _))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, said) => write!(f, "{status} {said}"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl<'a> Arm<'a> {
    /// The services of the account's cloud ("Azure Government", "Azure operated by 21Vianet", endpoint mappings), or
    /// those that the environment names.
    ///
    /// # Errors
    /// Returns an error if a variable is not an https:// URL.
    pub(super) fn new(
        session: &'a Session,
        credential: &'a Credential,
        url: &ContainerUrl,
        env: &Environment,
    ) -> Result<Self> {
        let (manager, graph) = match url.endpoint() {
            endpoint if endpoint.ends_with(".usgovcloudapi.net") => {
                ("https://management.usgovcloudapi.net", "https://graph.microsoft.us")
            }
            endpoint if endpoint.ends_with(".chinacloudapi.cn") => {
                ("https://management.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn")
            }
            _ => ("https://management.azure.com", "https://graph.microsoft.com"),
        };
        let of = |variable: &str, usual: &str| match env.var(variable) {
            None => Ok(usual.to_owned()),
            Some(url) if url.starts_with("https://") => Ok(url.trim_end_matches('/').to_owned()),
            Some(_) => Err(Error::new(format!("{variable} is not an https:// URL")).with_hint("unset it")),
        };
        Ok(Self {
            session,
            credential,
            manager: of("AZURE_RESOURCE_MANAGER_ENDPOINT", manager)?,
            graph: of("AZURE_GRAPH_ENDPOINT", graph)?,
        })
    }

    /// Gets the document at a path and query of a service.
    pub(super) async fn get(&self, service: &str, target: &str) -> std::result::Result<Value, Refused> {
        self.send(service, Method::GET, target, Bytes::new()).await
    }

    /// Gets all pages of a list at a path and query of Azure Resource Manager.
    pub(super) async fn list(&self, target: &str) -> std::result::Result<Vec<Value>, Refused> {
        let (mut entries, mut target) = (Vec::new(), target.to_owned());
        for _ in 0..MAX_PAGES {
            let mut page = self.get(&self.manager, &target).await?;
            if let Value::Array(values) = page["value"].take() {
                entries.extend(values);
            }
            // Another host is not sent the token.
            match page["nextLink"].as_str().and_then(|next| next.strip_prefix(&self.manager)) {
                Some(next) => target = next.to_owned(),
                None => break,
            }
        }
        Ok(entries)
    }

    /// Posts a document to a path and query of a service.
    pub(super) async fn send(
        &self,
        service: &str,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> std::result::Result<Value, Refused> {
        let answer = async {
            let Authorization::Token(tokens) = &self.credential.authorization else {
                return Err(Refused::Failed(Failure::Other("only Entra ID uses tokens".into())));
            };
            let token = tokens.get_token(&[&format!("{service}/.default")], None).await;
            let token = token.map_err(|error| Refused::Failed(Failure::of_sign_in(error)))?;
            let unsendable = || Refused::Failed(Failure::unsendable());
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.token.secret()))
                .map_err(|_| unsendable())?;
            bearer.set_sensitive(true);
            let endpoint = self.session.endpoint(service);
            let endpoint =
                endpoint.map_err(|error| Refused::Failed(Failure::Other(error.message().to_owned())))?;
            let request = endpoint
                .request(method, target)
                .header(AUTHORIZATION, bearer)
                .header(ACCEPT, "application/json")
                .header(CONTENT_TYPE, "application/json");
            let request = request.body(body).map_err(|_| unsendable())?;
            let request = Outgoing::of(request).map_err(Refused::Failed)?;
            let response = endpoint.send(&request).await.map_err(Refused::Failed)?;
            let status = response.status();
            let body = response.body(Length::AtMost(MAX_BODY)).await.map_err(Refused::Failed)?;
            let document: Value = serde_json::from_slice(&body).unwrap_or_default();
            match status.is_success() {
                true => Ok(document),
                false => {
                    let said =
                        ["message", "code"].iter().find_map(|field| document["error"][*field].as_str());
                    let said =
                        said.map_or(status.canonical_reason().unwrap_or_default().to_owned(), first_line);
                    Err(Refused::Status(status.as_u16(), said))
                }
            }
        };
        let late = |_| Refused::Failed(Failure::silent());
        tokio::time::timeout(DEADLINE, answer).await.map_err(late)?
    }
}

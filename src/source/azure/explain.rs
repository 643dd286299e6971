//! Explains why a container cannot be listed or read, and how to fix it.

use jiff::Timestamp;

use super::auth::{AuthMode, Authorization, Credential};
use super::commands::{Account, Shell};
use super::failure::{ConnectFault, Failure};
use super::retry::Failed;
use crate::model::error::Error;
use crate::source::location::{ContainerUrl, Sas};

/// The role that reading requires, and where to assign it.
const ROLE: &str = "assign the role 'Storage Blob Data Reader' on the storage account (not on the container); it can \
                    take 5 minutes to take effect";

/// Turns a failure into an error about the container.
pub(super) fn explain(failed: &Failed, url: &ContainerUrl, credential: &Credential, now: Timestamp) -> Error {
    let attempt = failed.to_string();
    match &failed.failure {
        Failure::Status { status, code, .. } => {
            of_status(*status, code.as_deref().unwrap_or_default(), &attempt, url, credential, now)
        }
        Failure::Connect { kind, .. } => {
            let hint = match kind {
                ConnectFault::Refused => {
                    "nothing is listening there: check the host, the port and that the server is running"
                }
                ConnectFault::TimedOut => {
                    "no response: check the network, the proxy (HTTPS_PROXY) and the firewall"
                }
                ConnectFault::Tls => {
                    "set SSL_CERT_FILE to the file of your own certificate authority; if the port speaks \
                     plain HTTP, use http://"
                }
                ConnectFault::HungUp => {
                    "if the port speaks plain HTTP, use http://; otherwise check the port and the proxy \
                     (HTTPS_PROXY)"
                }
                ConnectFault::Other => {
                    "check the account name in the URL, the network and the proxy (HTTPS_PROXY)"
                }
            };
            Error::new(format!("cannot reach {}: {attempt}", url.endpoint())).with_hint(hint)
        }
        Failure::Credential { code, .. } => {
            Error::new(format!("cannot sign in with {}: {attempt}", credential.label()))
                .with_hint(cure_of_sign_in(code.as_deref(), credential.mode()))
        }
        Failure::Page(error) => error.clone(),
        Failure::Broken(_) | Failure::Changed | Failure::CircuitOpen | Failure::Other(_) => Error::new(
            format!("{url} does not respond like a blob endpoint: {attempt}"),
        )
        .with_hint(match url.is_https() {
            true => "check the URL and the proxy, then try again",
            false => {
                "if the port speaks TLS, use https://; otherwise check the URL and the proxy, then try again"
            }
        }),
    }
}

/// The hint for a failed sign-in, by Entra ID's code ("Microsoft Entra authentication and authorization error codes")
/// or else by the kind of sign-in.
pub(super) fn cure_of_sign_in(code: Option<&str>, mode: AuthMode) -> &'static str {
    match (code, mode) {
        (Some("7000215"), _) => {
            "AZURE_CLIENT_SECRET is not a secret of this application: copy the secret's value, not its ID"
        }
        (Some("7000222"), _) => {
            "create a new secret: az ad app credential reset --append --id $AZURE_CLIENT_ID"
        }
        (Some("700016"), _) => {
            "check AZURE_CLIENT_ID, and that the application is in the tenant AZURE_TENANT_ID"
        }
        (Some("90002" | "900021" | "900023"), _) => "check AZURE_TENANT_ID: az account show --query tenantId",
        (Some("70021" | "700211" | "700212" | "700213"), _) => {
            "set the issuer, subject and audience to those of the token: az ad app federated-credential list \
             --id $AZURE_CLIENT_ID"
        }
        (Some("700024"), _) => {
            "check that AZURE_FEDERATED_TOKEN_FILE is renewed before it expires; check this machine's clock"
        }
        (_, AuthMode::Cli) => {
            "run az login, or choose another sign-in, such as --auth anonymous for a public container"
        }
        (_, AuthMode::ManagedIdentity) => {
            "assign this machine or app a managed identity; set AZURE_CLIENT_ID only if it is user-assigned"
        }
        _ => "check its environment variables, or choose another --auth",
    }
}

fn of_status(
    status: u16,
    code: &str,
    attempt: &str,
    url: &ContainerUrl,
    credential: &Credential,
    now: Timestamp,
) -> Error {
    let container = url.container();
    let denied = |why: &str| match credential.authorization {
        Authorization::Anonymous => Error::new(format!("no anonymous access to {url}: {why}")),
        _ => Error::new(format!("no access to {url} with {}: {why}", credential.label())),
    };
    match (status, code) {
        (404, "ContainerNotFound") => Error::new(format!("there is no container '{container}' ({url})"))
            .with_hint(match url.is_emulator() {
                true => "check the spelling".to_owned(),
                false => format!(
                    "check the spelling: {}",
                    Account::named(url.account()).list_containers().line(Shell::Bash)
                ),
            }),
        (404, _) if matches!(credential.authorization, Authorization::Anonymous) => {
            Error::new(format!("there is no public container at {url} ({attempt})"))
                .with_hint(format!("check the spelling, or sign in with {}", sign_in(url)))
        }
        (404, _) => {
            Error::new(format!("there is nothing at {url} ({attempt})")).with_hint(match url.is_emulator() {
                true => "check the account and the container in the URL",
                false => "check the URL: https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
            })
        }
        (409, "ContainerBeingDeleted") => Error::new(format!("container '{container}' is being deleted"))
            .with_hint("wait until it is deleted or created again"),
        (403, "AccountIsDisabled") => Error::new(format!("the storage account of {url} is disabled"))
            .with_hint("check its subscription in the Azure portal"),
        (409, "PublicAccessNotPermitted") => {
            denied("the account does not allow it").with_hint(format!("sign in with {}", sign_in(url)))
        }
        (401 | 403, _) => {
            let (why, hint) = refusal(code, url, credential, now);
            denied(&format!("{why} ({attempt})")).with_hint(hint)
        }
        (400, "AccountRequiresHttps") => Error::new(format!("the account accepts https only ({attempt})"))
            .with_hint("use https:// in the URL"),
        (400, "InvalidResourceName" | "OutOfRangeInput") => {
            Error::new(format!("the service rejects a name in {url} ({attempt})"))
                .with_hint("check the account name and the container name")
        }
        (300..400, _) => Error::new(format!("{url} is not a blob endpoint: it redirects ({attempt})"))
            .with_hint("use https and the blob endpoint: https://ACCOUNT.blob.core.windows.net/CONTAINER"),
        (400, "") if !url.is_https() => {
            Error::new(format!("{url} does not respond like a blob endpoint ({attempt})"))
                .with_hint("if the port speaks TLS, use https://; otherwise check the URL and the proxy")
        }
        (408 | 429 | 500..600, _) => Error::new(format!("the service is unavailable for {url}: {attempt}"))
            .with_hint("try again later; see https://status.azure.com for outages"),
        _ => Error::new(format!("the service refused to list {url}: {attempt}"))
            .with_hint("check the URL and the credential"),
    }
}

/// Why a request was refused, and the hint ("Status and error codes", 401 and 403).
fn refusal(code: &str, url: &ContainerUrl, credential: &Credential, now: Timestamp) -> (String, String) {
    if let Authorization::Sas(sas) = &credential.authorization
        && let Some(answer) = fault_of(sas, url, now)
    {
        return answer;
    }
    let (why, hint) = match (code, &credential.authorization) {
        ("KeyBasedAuthenticationNotPermitted", _) => (
            "the account does not allow keys, or a SAS signed with one",
            "sign in with Entra ID: az login, then --auth cli",
        ),
        ("AuthorizationProtocolMismatch", _) => ("the SAS is for https only", "use https in the URL"),
        ("AuthorizationSourceIPMismatch", _) => {
            ("the SAS is for other IP addresses", "create a SAS for this machine's address, or for any")
        }
        ("AuthorizationServiceMismatch" | "AuthorizationResourceTypeMismatch", _) => (
            "the SAS is not for the containers and blobs of this account",
            "create an account SAS with ss=b and srt=co, or a SAS for the container",
        ),
        ("AuthorizationPermissionMismatch" | "InsufficientAccountPermissions", Authorization::Sas(_)) => (
            "the SAS does not allow it",
            "create a SAS for the container with the permissions read and list (sp=rl)",
        ),
        ("AuthorizationPermissionMismatch" | "InsufficientAccountPermissions", _) => {
            ("the identity has no permission to read and list blobs", ROLE)
        }
        ("AuthorizationFailure", Authorization::Anonymous) => {
            return ("the service refused it".into(), format!("sign in with {}", sign_in(url)));
        }
        // An emulator has no network rules, and refuses a wrong credential with this code.
        ("AuthorizationFailure", Authorization::Key(_)) if url.is_emulator() => (
            "the key is wrong, or network rules block this machine",
            "check that the key belongs to this account; then check the account's network rules",
        ),
        ("AuthorizationFailure", Authorization::Sas(_)) if url.is_emulator() => (
            "the SAS is not accepted, or network rules block this machine",
            "copy the whole SAS, or create one for this container with this account's key; then check the \
             account's network rules",
        ),
        ("AuthorizationFailure", _) if url.is_emulator() => (
            "the token is not accepted, or network rules block this machine",
            "check the identity and its role; then check the account's network rules",
        ),
        ("AuthorizationFailure", _) => (
            "the account's network rules block this machine, or the credential does not cover this container",
            "add this machine's address in the account's Networking settings, or run inside its network; if \
             that does not help, check that the credential is for this account",
        ),
        (_, Authorization::Key(_)) => (
            "the key is wrong",
            "check that the key belongs to this account and has not been rotated; check this machine's clock",
        ),
        (_, Authorization::Sas(_)) => (
            "the SAS is not accepted",
            "check that it was copied in full and that its key or policy has not changed; check this \
             machine's clock",
        ),
        (_, Authorization::Token(_)) => (
            "the token is not accepted",
            "check the identity's tenant (AZURE_TENANT_ID) and this machine's clock; presync doctor shows \
             the token's claims",
        ),
        (_, Authorization::Anonymous) => {
            return ("it is not public".into(), format!("sign in with {}", sign_in(url)));
        }
    };
    (why.to_owned(), hint.to_owned())
}

/// What is wrong with a SAS, judging by its fields ("Create a service SAS").
fn fault_of(sas: &Sas, url: &ContainerUrl, now: Timestamp) -> Option<(String, String)> {
    let answer = |why: String, hint: &str| Some((why, hint.to_owned()));
    if let Some(end) = sas.expires().filter(|end| *end <= now) {
        return answer(format!("the SAS expired at {end}"), "create a new one");
    }
    if let Some(start) = sas.starts().filter(|start| *start > now) {
        return answer(
            format!("the SAS is not valid before {start}"),
            "wait, or create one without a start time (st)",
        );
    }
    if !url.is_https() && sas.field("spr").as_deref() == Some("https") {
        return answer("the SAS is for https only".into(), "use https in the URL");
    }
    if sas.field("sr").as_deref() == Some("b") {
        return answer("the SAS is for one blob".into(), "create one for the container (sr=c)");
    }
    let lacks = |letter| sas.field("sp").is_some_and(|rights| !rights.contains(letter));
    if lacks('l') || lacks('r') {
        return answer(
            format!("the SAS allows only '{}'", sas.field("sp").unwrap_or_default().escape_debug()),
            "create a SAS for the container with the permissions read and list (sp=rl)",
        );
    }
    None
}

fn sign_in(url: &ContainerUrl) -> &'static str {
    match url.is_https() {
        true => "az login, AZURE_STORAGE_KEY, AZURE_STORAGE_CONNECTION_STRING or a SAS in the URL",
        false => {
            "AZURE_STORAGE_KEY, AZURE_STORAGE_CONNECTION_STRING or a SAS in the URL (Entra ID needs https)"
        }
    }
}

//! Explains why a container cannot be listed or read, and how to fix it.

use jiff::Timestamp;

use super::auth::{AuthMode, Authorization, Credential};
use super::commands::{Account, Shell};
use super::failure::{CertificateFault, ConnectFault, Failure, UNSENDABLE};
use super::retry::Failed;
use crate::model::error::{Cause, Error};
use crate::source::location::{ContainerUrl, Sas};

mod cures;

use cures::{Case, sign_in};

/// Turns a failure into an error about the container.
pub(super) fn explain(failed: &Failed, url: &ContainerUrl, credential: &Credential, now: Timestamp) -> Error {
    explained(failed, url, credential, now).because(cause(&failed.failure))
}

/// What kind of problem a failure is ("Status and error codes").
pub(super) fn cause(failure: &Failure) -> Cause {
    match failure {
        Failure::Status { status: 404, .. } => Cause::NotFound,
        Failure::Status { status: 401, .. } | Failure::Credential { .. } => Cause::Credential,
        Failure::Status { status: 403, code, .. } => match code.as_deref() {
            // The signature or the token itself is wrong; everything else is about what it may do.
            Some("AuthenticationFailed" | "InvalidAuthenticationInfo") => Cause::Credential,
            _ => Cause::Permission,
        },
        Failure::Status { status: 400, code, .. } if code.as_deref() == Some("InvalidAuthenticationInfo") => {
            Cause::Credential
        }
        Failure::Status { status: 409, code, .. } if code.as_deref() == Some("PublicAccessNotPermitted") => {
            Cause::Permission
        }
        Failure::Status { status: 408 | 429 | 500 | 503, .. } | Failure::CircuitOpen => Cause::Throttled,
        Failure::Connect { kind: ConnectFault::Proxy | ConnectFault::Certificate(_), .. }
        | Failure::Status { status: 407, .. } => Cause::Configuration,
        _ => Cause::Other,
    }
}

fn explained(failed: &Failed, url: &ContainerUrl, credential: &Credential, now: Timestamp) -> Error {
    let attempt = failed.to_string();
    match &failed.failure {
        Failure::Status { status, code, said, .. } => {
            let code = code.as_deref().unwrap_or_default();
            let case = Case { status: *status, code, said, url, authorization: &credential.authorization };
            of_status(&case, &attempt, credential, now)
        }
        Failure::Connect { kind, .. } => {
            let hint = match kind {
                ConnectFault::Proxy => {
                    "check that the proxy runs and allows this host, and its user name and password in \
                     HTTPS_PROXY; or list the host in NO_PROXY"
                }
                ConnectFault::Certificate(fault) => cure_of_certificate(*fault),
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
                ConnectFault::OutOfDescriptors => {
                    "raise the limit of open files (ulimit -n 4096), or run fewer reads at a time: --concurrency 64"
                }
                ConnectFault::Other if url.endpoint().contains("-secondary") => {
                    "the account may have no secondary that can be read (RA-GRS): leave out '-secondary'; \
                     otherwise check the network and the proxy (HTTPS_PROXY)"
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
        Failure::Other(cause) if cause == UNSENDABLE => {
            Error::new(format!("cannot send a request for {url}: {attempt}"))
                .with_hint("copy the URL and the SAS again: one of their characters cannot be sent")
        }
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

/// The hint for a certificate that is not trusted.
fn cure_of_certificate(fault: CertificateFault) -> &'static str {
    match fault {
        CertificateFault::Expired => {
            "the server's certificate must be renewed; if it is Azure's, check this machine's clock"
        }
        CertificateFault::NotYetValid => "check this machine's clock: timedatectl set-ntp true",
        CertificateFault::OtherName => {
            "use the host that the certificate is for, such as ACCOUNT.blob.core.windows.net also for a private \
             endpoint (not ACCOUNT.privatelink…); if the name is right, something else answers for it: check DNS"
        }
        CertificateFault::UnknownIssuer => {
            "set SSL_CERT_FILE to the file of your own certificate authority, such as that of a proxy that \
             decrypts TLS"
        }
        CertificateFault::Revoked => "the server's certificate was revoked and must be replaced",
        CertificateFault::Other => "check what responds there, and the proxy (HTTPS_PROXY)",
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

fn of_status(case: &Case<'_>, attempt: &str, credential: &Credential, now: Timestamp) -> Error {
    let Case { status, code, url, said, .. } = case;
    let container = url.container();
    let denied = |why: &str| match credential.authorization {
        Authorization::Anonymous => format!("no anonymous access to {url}: {why} ({attempt})"),
        _ => format!("no access to {url} with {}: {why} ({attempt})", credential.label()),
    };
    let (message, hint) = match (*status, *code) {
        (404, "ContainerNotFound") => (
            format!("there is no container '{container}' ({url})"),
            match url.is_emulator() {
                true => "check the spelling".to_owned(),
                // Other tools write az://ACCOUNT/CONTAINER.
                false if url.account() == Some(container) && !url.prefix().is_empty() => format!(
                    "if '{container}' is only the account, write https://{container}.blob.core.windows.net/{}",
                    url.prefix()
                ),
                false => format!(
                    "check the spelling: {}",
                    Account::named(url.account()).list_containers().line(Shell::Bash)
                ),
            },
        ),
        (404, _) if matches!(credential.authorization, Authorization::Anonymous) => (
            format!("there is no public container at {url} ({attempt})"),
            format!("check the spelling, or sign in with {}", sign_in(url)),
        ),
        (404, _) => (
            format!("there is nothing at {url} ({attempt})"),
            match url.is_emulator() {
                true => "check the account and the container in the URL",
                false => "check the URL: https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
            }
            .to_owned(),
        ),
        (401 | 403, _) | (409, "PublicAccessNotPermitted") | (400, "InvalidAuthenticationInfo") => {
            let (why, hint) = refusal(case, now);
            (denied(&why), hint)
        }
        (300..400, _) => (
            format!("{url} is not a blob endpoint: it redirects ({attempt})"),
            "use https and the blob endpoint: https://ACCOUNT.blob.core.windows.net/CONTAINER".to_owned(),
        ),
        (407, _) => (
            format!("the proxy asks for a user name and a password ({attempt})"),
            "write them into HTTP_PROXY or HTTPS_PROXY, as http://USER:PASSWORD@PROXY:PORT, with %40 for '@'"
                .to_owned(),
        ),
        (400, "") if !url.is_https() => (
            format!("{url} does not respond like a blob endpoint ({attempt})"),
            "if the port speaks TLS, use https://; otherwise check the URL and the proxy".to_owned(),
        ),
        _ => match cures::find(case) {
            Some((why, hint)) => (format!("cannot list {url}: {why} ({attempt})"), hint),
            None if matches!(status, 408 | 429 | 500..600) => (
                format!("the service is unavailable for {url}: {attempt}"),
                "try again later; see https://status.azure.com for outages".to_owned(),
            ),
            None => (
                format!("the service refused to list {url}: {attempt}"),
                "check the URL and the credential".to_owned(),
            ),
        },
    };
    let says = match said.to_string() {
        says if says.is_empty() => says,
        says => format!("; {says}"),
    };
    let request = match said.request.as_str() {
        "" => String::new(),
        id => format!(" (request ID {id})"),
    };
    Error::new(format!("{message}{says}{request}")).with_hint(hint)
}

/// Why a request was refused, and the hint.
fn refusal(case: &Case<'_>, now: Timestamp) -> (String, String) {
    let is_about_credential = case.code.starts_with("Auth") && case.code != "AuthorizationSourceIPMismatch";
    if let Authorization::Sas(sas) = case.authorization
        && (is_about_credential || case.code.is_empty())
        && let Some(fault) = fault_of(sas, case.url, now)
    {
        return fault;
    }
    if let Some(found) = cures::find(case) {
        return found;
    }
    let (why, hint) = match case.authorization {
        Authorization::Key(_) => (
            "the key is not accepted",
            "check that the key belongs to this account and has not been rotated; check this machine's clock",
        ),
        Authorization::Sas(_) => (
            "the SAS is not accepted",
            "check that it was copied in full and that its key or policy has not changed; check this \
             machine's clock",
        ),
        Authorization::Token(_) => {
            let tenant = match case.said.tenant.as_str() {
                "" => "AZURE_TENANT_ID".to_owned(),
                id => format!("the account's is {id}: az login --tenant {id}"),
            };
            return (
                "the token is not accepted".into(),
                format!(
                    "check the identity's tenant ({tenant}) and this machine's clock; presync doctor shows the \
                     token's claims"
                ),
            );
        }
        Authorization::Anonymous => {
            return ("it is not public".into(), format!("sign in with {}", sign_in(case.url)));
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
    if let Some(end) = sas.key_expires().filter(|end| *end <= now) {
        return answer(
            format!("the user delegation key of the SAS expired at {end}"),
            "create a new SAS: such a key is valid for at most 7 days, whatever the SAS says",
        );
    }
    let kind = match sas.field("sr").as_deref() {
        Some("b") => Some("one blob"),
        Some("bv") => Some("one version of a blob"),
        Some("bs") => Some("one snapshot of a blob"),
        Some("f") => Some("one file of a file share"),
        Some("s") => Some("a file share"),
        _ => None,
    };
    if let Some(kind) = kind {
        return answer(format!("the SAS is for {kind}"), "create one for the container (sr=c, sp=rl)");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_the_services_code_have_a_cause() {
        let of = |status, code: &str| {
            let code = Some(code.to_owned()).filter(|code| !code.is_empty());
            cause(&Failure::Status { status, code, retry_after: None, said: Box::default() })
        };
        assert_eq!(of(404, "ContainerNotFound"), Cause::NotFound);
        assert_eq!(of(403, "AuthenticationFailed"), Cause::Credential);
        assert_eq!(of(401, ""), Cause::Credential);
        assert_eq!(of(403, "AuthorizationPermissionMismatch"), Cause::Permission);
        assert_eq!(of(409, "PublicAccessNotPermitted"), Cause::Permission);
        for status in [429, 500, 503] {
            assert_eq!(of(status, "ServerBusy"), Cause::Throttled);
        }
        assert_eq!(of(407, ""), Cause::Configuration);
        assert_eq!(of(409, "ContainerBeingDeleted"), Cause::Other);
    }
}

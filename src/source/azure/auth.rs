//! Finds the credential with which a container is read.

use std::fmt;
use std::sync::Arc;

use azure_core::http::Transport;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use hyper::header::HeaderValue;

use super::encryption::EncryptionKey;
use super::sign::SharedKey;
use crate::model::error::{Cause, Error, Result};
use crate::source::location::{ContainerUrl, Environment, Sas};

mod assertion;
mod entra;
mod find;
mod managed;
mod tokens;

pub(super) use tokens::{SCOPE, Tokens};

use find::{CERTIFICATE, CLIENT_ID, CLIENT_SECRET, Find, Finder, TENANT_ID, TOKEN_FILE};
use tokens::SignIn;

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
    /// The key that blobs are encrypted with.
    encryption: Option<EncryptionKey>,
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
        let encryption = EncryptionKey::from_env(env, url)?;
        let found =
            Self::find(mode, url, env, transport).map_err(|error| error.because(Cause::Credential))?;
        Ok(Self { encryption, ..found })
    }

    fn find(mode: AuthMode, url: &ContainerUrl, env: &Environment, transport: &Transport) -> Result<Self> {
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

    /// A sign-in with Entra ID, for services other than blobs: the requested one if it is one, or else the first that is
    /// found.
    ///
    /// # Errors
    ///
    /// Same as [`resolve`](Self::resolve), and if there is none.
    pub(super) fn entra(
        mode: AuthMode,
        url: &ContainerUrl,
        env: &Environment,
        transport: &Transport,
    ) -> Result<Self> {
        use AuthMode::{Anonymous, Auto, Key, Sas};
        if !matches!(mode, Auto | Anonymous | Key | Sas) {
            return Self::resolve(mode, url, env, transport);
        }
        let found = Finder { url, env, transport }.first_of_entra()?;
        match found.authorization {
            Authorization::Token(_) => Ok(found),
            _ => Err(Error::new("this needs a sign-in with Entra ID, and there is none")
                .with_hint(format!("run az login ({})", found.passed_over.join("; ")))),
        }
    }

    fn new(authorization: Authorization, mode: AuthMode, label: &'static str) -> Self {
        Self { authorization, mode, label, passed_over: Arc::default(), encryption: None }
    }

    fn none(passed_over: Vec<String>) -> Self {
        let label = "no credential (none was found)";
        let none = Self::new(Authorization::Anonymous, AuthMode::Anonymous, label);
        Self { passed_over: passed_over.into(), ..none }
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

    /// The customer-provided key that blobs are encrypted with.
    pub(super) fn encryption(&self) -> Option<&EncryptionKey> {
        self.encryption.as_ref()
    }

    fn sign_ins(&self) -> &[SignIn] {
        match &self.authorization {
            Authorization::Token(tokens) => tokens.sign_ins(),
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests;

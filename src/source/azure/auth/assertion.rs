//! Client assertions: what an application shows in place of a secret (RFC 7523).
//!
//! The client library signs with OpenSSL, a C library that presync would have to bring to every platform. The TLS
//! library signs as well.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::base64::{encode as base64, encode_url_safe};
use azure_core::credentials::Secret;
use azure_core::http::headers::{ACCEPT, AUTHORIZATION};
use azure_core::http::{ClientMethodOptions, Method, Pipeline, PipelineSendOptions, Request, Url};
use azure_core::time::OffsetDateTime;
use azure_core::{Uuid, error::ErrorKind};
use azure_identity::ClientAssertion;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::SigningKey;

use crate::model::error::{Error, Result, reason};
use crate::source::azure::failure::Failure;

/// How long an assertion is valid, in seconds: the time of one request.
const LIFETIME: i64 = 300;

/// The most bytes of a certificate file; a key and a chain take a few KiB.
const MAX_FILE: u64 = 1 << 20;

/// An assertion signed with a certificate's key ("Microsoft identity platform application authentication certificate
/// credentials"). `Debug` does not show the key.
pub(super) struct Certificate {
    key: Arc<dyn SigningKey>,
    /// The header of every assertion, encoded.
    header: String,
    client: String,
    /// The URL of the token endpoint.
    audience: String,
}

impl Certificate {
    /// Reads a PEM file with an RSA key and its certificate. With `sends_chain`, the assertion carries the certificates
    /// of the file, for an application that trusts an issuer and a name.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or has no such key or certificate.
    pub(super) fn read(file: &Path, client: &str, audience: &str, sends_chain: bool) -> Result<Self> {
        let shown = file.display();
        let bytes = match std::fs::metadata(file).map(|file| file.len()) {
            Ok(len) if len > MAX_FILE => {
                return Err(Error::new(format!("the certificate file '{shown}' has {len} bytes"))
                    .with_hint("give a PEM file with a key and a certificate"));
            }
            Ok(_) => std::fs::read(file),
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| {
            Error::new(format!("cannot read the certificate file '{shown}': {}", reason(&error)))
                .with_hint("check that it exists and that you can read it")
        })?;
        let convert = || {
            format!(
                "give a PEM file with an unencrypted RSA key and its certificate; to convert one: openssl pkcs12 -in \
                 {} -nodes -out certificate.pem",
                shlex::try_quote(&file.to_string_lossy()).unwrap_or_default()
            )
        };
        let lacks = |what: &str| {
            Error::new(format!("the certificate file '{shown}' has no {what}")).with_hint(convert())
        };
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(&bytes).filter_map(std::result::Result::ok).collect();
        let own = chain.first().ok_or_else(|| lacks("certificate in PEM"))?;
        let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| lacks("unencrypted key"))?;
        let key = any_supported_type(&key).map_err(|_| lacks("RSA key of 2,048 bits or more"))?;
        if key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none() {
            return Err(lacks("RSA key"));
        }
        let mut header = json!({
            "alg": "PS256",
            "typ": "JWT",
            "x5t#S256": encode_url_safe(Sha256::digest(own)),
        });
        if sends_chain {
            header["x5c"] = chain.iter().map(base64).collect();
        }
        let (client, audience) = (client.to_owned(), audience.to_owned());
        Ok(Self { key, header: encode_url_safe(header.to_string()), client, audience })
    }

    fn assertion(&self, now: OffsetDateTime) -> Option<String> {
        let now = now.unix_timestamp();
        let claims = json!({
            "aud": self.audience,
            "exp": now + LIFETIME,
            "iss": self.client,
            "jti": Uuid::new_v4().to_string(),
            "nbf": now,
            "sub": self.client,
        });
        let text = format!("{}.{}", self.header, encode_url_safe(claims.to_string()));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256])?;
        let signature = signer.sign(text.as_bytes()).ok()?;
        Some(format!("{text}.{}", encode_url_safe(signature)))
    }
}

#[async_trait]
impl ClientAssertion for Certificate {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let assertion = self.assertion(OffsetDateTime::now_utc());
        assertion.ok_or_else(|| Failure::Other("the certificate's key cannot sign".into()).into())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(***)")
    }
}

/// The token of a GitHub Actions job ("OpenID Connect reference"). `Debug` shows no secret.
pub(super) struct GitHub {
    pub url: Url,
    pub token: Secret,
    pub pipeline: Pipeline,
}

#[derive(Deserialize)]
struct GitHubToken {
    value: String,
}

#[async_trait]
impl ClientAssertion for GitHub {
    async fn secret(&self, options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let mut request = Request::new(self.url.clone(), Method::Get);
        request.insert_header(AUTHORIZATION, format!("Bearer {}", self.token.secret()));
        request.insert_header(ACCEPT, "application/json");
        let options = options.unwrap_or_default();
        let unchecked = PipelineSendOptions { skip_checks: true, ..Default::default() };
        let response = self.pipeline.send(&options.context, &mut request, Some(unchecked)).await?;
        let status = response.status();
        let failure = |cause: String| {
            azure_core::Error::with_error(
                ErrorKind::Credential,
                Failure::Credential { cause, code: None },
                "GitHub",
            )
        };
        if !status.is_success() {
            return Err(failure(format!(
                "GitHub gave no token: {} {}",
                u16::from(status),
                status.canonical_reason()
            )));
        }
        match serde_json::from_slice::<GitHubToken>(response.body()) {
            Ok(token) => Ok(token.value),
            Err(_) => Err(failure("GitHub's response contains no token".into())),
        }
    }
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GitHub(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Certificate> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's.pem");
        std::fs::write(&file, text).unwrap();
        Certificate::read(&file, "client", "https://login.test/t/oauth2/v2.0/token", false)
    }

    #[test]
    fn a_file_that_cannot_be_used_is_explained() {
        // An EC key, which Entra ID does not accept.
        let pair = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap().pem();
        let key = pair.serialize_pem();
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIE\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, why) in [
            (&key, "has no certificate in PEM"),
            (&own, "has no unencrypted key"),
            (&format!("{encrypted}{own}"), "has no unencrypted key"),
            (&format!("{key}{own}"), "has no RSA key"),
            (&"a PKCS#12 file".to_owned(), "has no certificate in PEM"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message().ends_with(why), "{error}");
            let hint = error.hint().unwrap();
            assert!(hint.contains("openssl pkcs12 -in ") && hint.contains("it's.pem\" -nodes"), "{hint}");
        }
        let missing = Certificate::read(Path::new("/nowhere/a.pem"), "c", "a", false).unwrap_err();
        assert!(missing.message().ends_with("no such file or directory"), "{missing}");
    }
}

//! Customer-provided keys, with which a client encrypts blobs ("Provide an encryption key on a request to Blob storage").

use std::fmt;

use azure_core::base64;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::model::error::{Error, Result};
use crate::source::location::{ContainerUrl, Environment};

/// The variables that hold a key: presync's own, and AzCopy's.
const VARIABLES: [&str; 2] = ["AZURE_STORAGE_ENCRYPTION_KEY", "CPK_ENCRYPTION_KEY"];

/// Bytes of a key.
const LEN: usize = 32;

const KEY: HeaderName = HeaderName::from_static("x-ms-encryption-key");
const KEY_SHA256: HeaderName = HeaderName::from_static("x-ms-encryption-key-sha256");
const ALGORITHM: HeaderName = HeaderName::from_static("x-ms-encryption-algorithm");

/// A key of 256 bits that reads of blobs carry. `Debug` does not show it.
#[derive(Clone)]
pub(super) struct EncryptionKey {
    key: HeaderValue,
    sha256: HeaderValue,
}

impl EncryptionKey {
    /// The key in the environment, if there is one.
    ///
    /// # Errors
    /// Returns an error if it is not a key, or if the endpoint is plain HTTP. The error does not contain the key.
    pub(super) fn from_env(env: &Environment, url: &ContainerUrl) -> Result<Option<Self>> {
        let found = VARIABLES.iter().find_map(|name| Some((*name, env.var(name)?)));
        let Some((name, text)) = found else { return Ok(None) };
        let bytes = base64::decode(text.trim()).ok().filter(|bytes| bytes.len() == LEN).ok_or_else(|| {
            Error::new(format!("{name} is not a key of 256 bits in base64"))
                .with_hint("set it to the key that the blobs were uploaded with, or unset it")
        })?;
        if !url.is_https() {
            return Err(Error::new(format!(
                "the key in {name} is not sent to {}: the connection is not encrypted",
                url.endpoint()
            ))
            .with_hint("use https, or unset it"));
        }
        let value = |bytes: &[u8]| {
            let mut value = HeaderValue::from_maybe_shared(Bytes::from(base64::encode(bytes))).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        Ok(value(&bytes).zip(value(&Sha256::digest(&bytes))).map(|(key, sha256)| Self { key, sha256 }))
    }

    /// Adds the key to the headers of a read.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(KEY, self.key.clone());
        headers.insert(KEY_SHA256, self.sha256.clone());
        headers.insert(ALGORITHM, HeaderValue::from_static("AES256"));
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(***)")
    }
}

/// Whether a code says that the blob is not encrypted with a key of the client ("Blob service error codes"). A
/// container may hold both kinds.
pub(super) fn is_needless(code: Option<&str>) -> bool {
    code == Some("BlobDoesNotUseCustomerSpecifiedEncryption")
}

/// What is wrong with the key for a blob, by the service's code; `None` for any other code.
pub(super) fn fault(code: &str) -> Option<&'static str> {
    match code {
        "BlobUsesCustomerSpecifiedEncryption" => Some(
            "it is encrypted with a key of its own: set AZURE_STORAGE_ENCRYPTION_KEY to the key it was uploaded with",
        ),
        "BlobCustomerSpecifiedEncryptionMismatch" => {
            Some("it is encrypted with another key than the one in AZURE_STORAGE_ENCRYPTION_KEY")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_256_bits_and_is_never_shown_or_sent_in_the_clear() {
        let url = |text: &str| {
            ContainerUrl::at_endpoint(text, None, "cam", "", &Environment::of([("", ""); 0])).unwrap()
        };
        let (https, http) =
            (url("https://media.blob.core.windows.net"), url("http://127.0.0.1:10000/devstoreaccount1"));
        let find = |name: &str, text: &str, url: &ContainerUrl| {
            EncryptionKey::from_env(&Environment::of([(name, text)]), url)
        };
        let text = base64::encode([7; 32]);
        let key = find("AZURE_STORAGE_ENCRYPTION_KEY", &text, &https).unwrap().unwrap();
        assert!(!format!("{key:?}").contains(&text));
        let mut headers = HeaderMap::new();
        key.add_to(&mut headers);
        assert_eq!(headers["x-ms-encryption-key"], text.as_str());
        assert_eq!(headers["x-ms-encryption-key-sha256"], base64::encode(Sha256::digest([7; 32])).as_str());
        assert!(!format!("{headers:?}").contains(&text));
        assert!(find("CPK_ENCRYPTION_KEY", &text, &https).unwrap().is_some());
        assert!(find("OTHER", &text, &https).unwrap().is_none());
        for (text, url, why) in [
            ("c2VjcmV0", &https, "AZURE_STORAGE_ENCRYPTION_KEY is not a key of 256 bits in base64"),
            (text.as_str(), &http, "the connection is not encrypted"),
        ] {
            let error = find("AZURE_STORAGE_ENCRYPTION_KEY", text, url).unwrap_err();
            assert!(error.message().contains(why) && !error.message().contains(text), "{error}");
        }
    }
}

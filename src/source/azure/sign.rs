//! Shared Key: the signature that proves that a request's sender knows the account's key.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use azure_core::time::{OffsetDateTime, to_rfc7231};
use url::form_urlencoded;

/// The headers whose values are in the string to sign, in this order ("Authorize with Shared Key").
const SIGNED_HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Signs every request with the time of the attempt. `Debug` does not show the key.
#[derive(Clone, Debug)]
pub(super) struct SharedKey {
    /// The account without `-secondary`.
    pub account: String,
    /// The key, in base64.
    pub key: Secret,
}

#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header("x-ms-date", to_rfc7231(&OffsetDateTime::now_utc()));
        let authorization = {
            let fields = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let url = request.url();
            self.authorization(request.method().as_str(), url.path(), url.query(), fields.collect())?
        };
        request.insert_header("authorization", authorization);
        let Some((first, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "no transport follows the signature",
            ));
        };
        first.send(ctx, request, rest).await
    }
}

impl SharedKey {
    /// The value of `Authorization` for a request with these header fields.
    ///
    /// # Errors
    /// Returns an error if the key is not base64.
    pub(super) fn authorization(
        &self,
        method: &str,
        path: &str,
        query: Option<&str>,
        fields: BTreeMap<&str, &str>,
    ) -> azure_core::Result<String> {
        let text = string_to_sign(&self.account, method, path, query, &fields);
        Ok(format!("SharedKey {}:{}", self.account, hmac_sha256(&text, &self.key)?))
    }
}

/// The text that is signed ("Authorize with Shared Key", Blob service, version 2009-09-19 and later).
fn string_to_sign(
    account: &str,
    method: &str,
    path: &str,
    query: Option<&str>,
    fields: &BTreeMap<&str, &str>,
) -> String {
    let mut text = format!("{method}\n");
    for name in SIGNED_HEADERS {
        match fields.get(name) {
            // A length of 0 is signed as if it were missing (since version 2015-02-21).
            Some(&"0") if name == "content-length" => {}
            Some(value) => text.push_str(value),
            None => {}
        }
        text.push('\n');
    }
    for (name, value) in fields.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
        let _ = writeln!(text, "{name}:{}", value.trim());
    }

    // The path of a path-style URL repeats the account.
    let _ = write!(text, "/{account}{path}");
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        parameters.entry(name.to_lowercase()).or_default().push(value.into_owned());
    }
    for (name, mut values) in parameters {
        values.sort_unstable();
        let _ = write!(text, "\n{name}:{}", values.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn text_of(account: &str, url: &str, fields: &[(&str, &str)]) -> String {
        let url = Url::parse(url).unwrap();
        string_to_sign(account, "GET", url.path(), url.query(), &fields.iter().copied().collect())
    }

    #[test]
    fn a_listing_on_a_path_style_endpoint() {
        let text = text_of(
            "devstoreaccount1",
            "http://127.0.0.1:10000/devstoreaccount1/media?comp=list&restype=container&prefix=a%20b%2F&include=metadata",
            &[
                ("x-ms-version", "2025-11-05"),
                ("x-ms-date", "Sun, 01 Nov 2026 10:00:00 GMT"),
                ("accept", "application/xml"),
            ],
        );
        assert_eq!(
            text,
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Sun, 01 Nov 2026 10:00:00 GMT\nx-ms-version:2025-11-05\n\
             /devstoreaccount1/devstoreaccount1/media\ncomp:list\ninclude:metadata\nprefix:a b/\nrestype:container"
        );
        // Computed with Python's hmac module from the text above.
        assert_eq!(
            hmac_sha256(&text, &Secret::new(KEY)).unwrap(),
            "AweO+FAbptqZ4AC4f7bDqJkEI1G8CsUeGpSpBqcUsXc="
        );
    }

    #[test]
    fn a_range_of_a_blob_with_an_odd_name() {
        let text = text_of(
            "media",
            "https://media.blob.core.windows.net/c/a%2F%2F100%25.jpg",
            &[
                ("range", "bytes=0-4095"),
                ("if-match", "\"0x8D\""),
                ("x-ms-client-request-id", " 7 "),
                ("x-ms-date", "Sun, 01 Nov 2026 10:00:00 GMT"),
                ("content-length", "0"),
            ],
        );
        assert_eq!(
            text,
            "GET\n\n\n\n\n\n\n\n\"0x8D\"\n\n\nbytes=0-4095\nx-ms-client-request-id:7\n\
             x-ms-date:Sun, 01 Nov 2026 10:00:00 GMT\n/media/c/a%2F%2F100%25.jpg"
        );
        assert_eq!(
            hmac_sha256(&text, &Secret::new(KEY)).unwrap(),
            "NxEaJCQnBJ6VvxcpEGPCQxZFQbfG7OwoyyDIS0oUqUY="
        );
    }

    #[test]
    fn debug_hides_the_key() {
        let policy = SharedKey { account: "media".into(), key: Secret::new(KEY) };
        assert!(!format!("{policy:?}").contains("Eby8"));
    }
}

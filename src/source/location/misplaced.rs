//! Credentials in a place where they do not belong: what is wrong, and where to put them.

use crate::model::error::Error;
use crate::model::secret::{Kind, kind_of};

/// The error for a credential where a source, a name or a file is expected; `None` if the text is not a credential, or
/// is a URL whose query is a SAS.
pub(crate) fn misplaced(text: &str) -> Option<Error> {
    let (what, hint) = match kind_of(text)? {
        Kind::ConnectionString => (
            "this is a connection string, which other users of this machine can see here",
            "export it as AZURE_STORAGE_CONNECTION_STRING, in quotes, and give the container as az://CONTAINER",
        ),
        Kind::Key => (
            "this is an account key, which other users of this machine can see here",
            "export it as AZURE_STORAGE_KEY, and the account's name as AZURE_STORAGE_ACCOUNT",
        ),
        Kind::Token => (
            "this is an access token, which is never given as an argument",
            "sign in with az login, and presync gets its tokens there; presync doctor shows what it finds",
        ),
        Kind::ClientSecret => (
            "this is a client secret, which other users of this machine can see here",
            "export it as AZURE_CLIENT_SECRET, with AZURE_TENANT_ID and AZURE_CLIENT_ID",
        ),
        Kind::EncodedSas => (
            "the SAS is percent-encoded as a whole, so that it is part of a name",
            "copy it again: the URL has '?' before the SAS, and '&' and '=' in it",
        ),
        Kind::Sas => of_sas(text)?,
    };
    Some(Error::new(what).with_hint(hint))
}

/// What is wrong with a text that holds a SAS.
fn of_sas(text: &str) -> Option<(&'static str, &'static str)> {
    let text = unquoted(text);
    let (path, _) = text.split_once("sig=").unwrap_or((text, ""));
    let lower = path.to_ascii_lowercase();
    let is_http = lower.starts_with("https://") || lower.starts_with("http://");
    Some(if is_http && path.contains('?') {
        return None;
    } else if is_http {
        ("the SAS is part of the path", "write a '?' between the container and the SAS, and quote the URL")
    } else if lower.starts_with("https:") || lower.starts_with("http:") {
        ("the URL has no '//' after its scheme", "write https:// with two slashes")
    } else if path.contains("://") || text.starts_with('@') {
        (
            "only an https:// URL can carry a SAS",
            "set AZURE_STORAGE_SAS_TOKEN, or write 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS'",
        )
    } else if names_host(path) {
        ("the URL has no scheme", "write https:// in front of the host, and quote the URL")
    } else {
        (
            "this is a SAS without the URL of its container",
            "write 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' in quotes, because a shell cuts it at \
             each '&'; or export the SAS as AZURE_STORAGE_SAS_TOKEN",
        )
    })
}

/// Whether a text starts like a blob endpoint, without a scheme.
pub(super) fn names_host(text: &str) -> bool {
    let host = text.trim_start_matches('/').split(['/', '?', '&']).next().unwrap_or_default();
    [".blob.", ".dfs."].iter().any(|domain| host.to_ascii_lowercase().contains(domain))
}

/// A text without the spaces and the pair of quotes around it, which some shells and files leave there.
pub(crate) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let pairs = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’'), ('`', '`')];
    let inside = pairs.iter().find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close));
    inside.map_or(text, str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misplaced_sas_gets_the_advice_that_fits() {
        let sas = "sv=2022-11-02&sr=c&sig=c2VjcmV0c2VjcmV0";
        for (text, hint) in [
            (format!("media.blob.core.windows.net/cam?{sas}"), Some("https:// in front")),
            (format!("//media.blob.core.windows.net/cam?{sas}"), Some("https:// in front")),
            (format!("https:/media.blob.core.windows.net/cam?{sas}"), Some("two slashes")),
            (format!("https://media.blob.core.windows.net/cam&{sas}"), Some("'?' between")),
            (format!("https://media.blob.core.windows.net/cam%3F{sas}"), Some("'?' between")),
            (format!("wasbs://cam@media/x?{sas}"), Some("AZURE_STORAGE_SAS_TOKEN")),
            (format!("@cams?{sas}"), Some("AZURE_STORAGE_SAS_TOKEN")),
            (sas.to_owned(), Some("in quotes")),
            (format!("https%3A%2F%2Fh%2Fc%3F{}", sas.replace('&', "%26").replace('=', "%3D")), Some("again")),
            (format!("https://media.blob.core.windows.net/cam?{sas}"), None),
            (format!("\"https://media.blob.core.windows.net/cam?{sas}\""), None),
            ("cams/design=3&sig=a.jpg".to_owned(), None),
        ] {
            let error = misplaced(&text);
            let found = error.as_ref().and_then(Error::hint);
            match hint {
                Some(hint) => assert!(found.is_some_and(|found| found.contains(hint)), "{text}: {found:?}"),
                None => assert_eq!(error, None, "{text}"),
            }
        }
    }

    #[test]
    fn quotes_around_a_value_are_no_part_of_it() {
        for text in ["\"a b\"", "'a b'", " a b ", "“a b”", "a b"] {
            assert_eq!(unquoted(text), "a b");
        }
        assert_eq!(unquoted("\"a"), "\"a");
    }
}

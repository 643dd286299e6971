//! What the service says about an error, in the body and the headers of its response ("Status and error codes"). All of
//! it is untrusted: it is capped, and holds neither secrets nor anything that controls a terminal.

use std::fmt;

use azure_core::http::headers::{HeaderName, Headers};
use hyper::header::HeaderMap;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use serde::Deserialize;

use crate::model::is_unseen;
use crate::model::secret::redact;

/// The most bytes to parse of an error's body; the service's own are below 2 KB.
const MAX_BODY: usize = 16 * 1024;
/// The most characters to keep of one element: an authentication error repeats a string to sign of several hundred.
const MAX_TEXT: usize = 500;
/// The most characters of a request ID or a tenant ID, which are GUIDs.
const MAX_ID: usize = 64;

/// The elements of an error and the headers of its response. Empty where the service says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The error's code, in case the headers have none.
    pub code: String,
    /// The message, without the request's ID and time.
    pub message: String,
    /// More about it: why the authentication failed, or the reason for a wrong parameter.
    pub detail: String,
    /// The header or the parameter that is wrong, in lower case.
    pub subject: String,
    /// Its value.
    pub value: String,
    /// The tenant that can issue tokens for the account.
    pub tenant: String,
    /// The ID of the request, which the service's support asks for.
    pub request: String,
}

impl Said {
    /// Reads the headers and the beginning of the body.
    pub(super) fn of(headers: &impl Head, body: &[u8]) -> Self {
        let mut said = Self::of_body(body.get(..MAX_BODY).unwrap_or(body));
        let id = |text: &str| {
            let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            let id: String = text.chars().take_while(|c| is_id(*c)).take(MAX_ID).collect();
            id
        };
        said.request = headers.field("x-ms-request-id").map(id).unwrap_or_default();
        said.tenant = headers.field("www-authenticate").and_then(tenant).map(id).unwrap_or_default();
        said
    }

    fn of_body(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Document {
            error: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        // The Data Lake endpoint and OneLake answer in JSON.
        if let Ok(Document { error }) = serde_json::from_slice(body) {
            let code = Some(error.code).filter(|code| is_code(code)).unwrap_or_default();
            return Self { code, message: clean(&error.message), ..Self::default() };
        }
        let mut said = Self::default();
        // What was understood before a fault is kept: a body may be cut.
        let _ = said.read(body);
        said
    }

    /// Reads the elements below the root, each the first time that it occurs.
    fn read(&mut self, body: &[u8]) -> Option<()> {
        let mut reader = Reader::from_reader(body);
        let (mut depth, mut text) = (0_u32, String::new());
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => {
                    depth += 1;
                    (depth > 1 || tag.name().as_ref() == b"Error").then_some(())?;
                    text.clear();
                }
                Event::Text(part) => push(&mut text, &part.xml10_content().ok()?),
                Event::CData(part) => push(&mut text, &part.xml10_content().ok()?),
                Event::GeneralRef(reference) => push(&mut text, &resolve(&reference)),
                Event::End(tag) => {
                    if depth == 2 {
                        self.set(tag.name().as_ref(), &text);
                    }
                    depth = depth.checked_sub(1)?;
                    text.clear();
                }
                Event::Eof => return Some(()),
                _ => {}
            }
        }
    }

    fn set(&mut self, name: &[u8], text: &str) {
        let text = match name {
            b"Code" => is_code(text).then(|| text.to_owned()).unwrap_or_default(),
            b"HeaderName" | b"QueryParameterName" => clean(text).to_ascii_lowercase(),
            _ => clean(text),
        };
        let field = match name {
            b"Code" => &mut self.code,
            b"Message" => &mut self.message,
            b"AuthenticationErrorDetail" | b"Reason" | b"ExceptionMessage" => &mut self.detail,
            b"HeaderName" | b"QueryParameterName" => &mut self.subject,
            b"HeaderValue" | b"QueryParameterValue" => &mut self.value,
            _ => return,
        };
        if field.is_empty() {
            *field = text;
        }
    }

    /// Whether the message or the detail contains one of these texts, in any case.
    pub(super) fn mentions(&self, texts: &[&str]) -> bool {
        let all = format!("{} {}", self.message, self.detail).to_ascii_lowercase();
        texts.iter().any(|text| all.contains(text))
    }

    /// Whether the service does not know the version of its API that the request asks for. Azurite has its own words.
    pub(super) fn is_version(&self) -> bool {
        self.subject == "x-ms-version" || self.mentions(&["the api version", "x-ms-version"])
    }
}

impl fmt::Display for Said {
    /// `the service says: '…'`, with the detail and the wrong header; nothing if it says nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.message, &self.detail].into_iter().filter(|text| !text.is_empty());
        let mut text = parts.map(String::as_str).collect::<Vec<_>>().join(" ");
        if !self.subject.is_empty() {
            let value = Some(&self.value).filter(|value| !value.is_empty());
            let value = value.map(|value| format!(": {value}")).unwrap_or_default();
            text += &format!(" ({}{value})", self.subject);
        }
        match text.is_empty() {
            true => Ok(()),
            false => write!(f, "the service says: '{}'", text.trim()),
        }
    }
}

/// Whether a code looks like one of the service's. Only letters and digits, so that nothing else gets into a report.
pub(super) fn is_code(code: &str) -> bool {
    (1..=80).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The header fields of a response.
pub(super) trait Head {
    /// The value of a field, if it is present and is text.
    fn field(&self, name: &'static str) -> Option<&str>;
}

impl Head for Headers {
    fn field(&self, name: &'static str) -> Option<&str> {
        self.get_optional_str(&HeaderName::from_static(name))
    }
}

impl Head for HeaderMap {
    fn field(&self, name: &'static str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

/// The tenant in `Bearer authorization_uri=https://login.microsoftonline.com/TENANT/oauth2/authorize resource_id=…`.
fn tenant(header: &str) -> Option<&str> {
    let (_, uri) = header.split_once("authorization_uri=")?;
    let (_, rest) = uri.trim_start_matches('"').split_once("://")?;
    rest.split('/').nth(1)
}

/// One line without a request's ID and time, which are in the headers, capped.
fn clean(text: &str) -> String {
    let text = text.split("RequestId:").next().unwrap_or_default();
    let line: String = text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = redact(&line);
    match line.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.into_owned(),
    }
}

fn push(text: &mut String, part: &str) {
    if text.len() < MAX_BODY {
        text.push_str(part);
    }
}

/// The text of a predefined or a numeric entity. Others are not expanded: they could grow without bounds.
fn resolve(reference: &BytesRef<'_>) -> String {
    match (reference.resolve_char_ref().ok().flatten(), &reference[..]) {
        (Some(c), _) => c.to_string(),
        (_, b"amp") => "&".to_owned(),
        (_, b"lt") => "<".to_owned(),
        (_, b"gt") => ">".to_owned(),
        (_, b"quot") => "\"".to_owned(),
        (_, b"apos") => "'".to_owned(),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(body: &str) -> Said {
        Said::of(&HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn the_elements_of_an_error_are_read() {
        let said = of(
            "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Not &lt;you&gt;.\n\
            RequestId:1\nTime:2</Message><AuthenticationErrorDetail>Signature did\nnot match.</AuthenticationErrorDetail>\
            <HeaderName>X-Ms-Version</HeaderName><HeaderValue>2099-01-01</HeaderValue></Error>",
        );
        assert_eq!(said.code, "AuthenticationFailed");
        assert_eq!(
            said.to_string(),
            "the service says: 'Not <you>. Signature did not match. (x-ms-version: 2099-01-01)'"
        );
        assert!(said.is_version());
        let json = of("{\"error\":{\"code\":\"WorkspaceNotFound\",\"message\":\"None.\"}}");
        assert_eq!((json.code.as_str(), json.message.as_str()), ("WorkspaceNotFound", "None."));
    }

    #[test]
    fn the_headers_name_the_tenant_and_the_request() {
        let mut headers = HeaderMap::new();
        let bearer = "Bearer authorization_uri=https://login.microsoftonline.com/1111-22/oauth2/authorize resource_id=x";
        headers.insert("www-authenticate", bearer.parse().expect("a header"));
        headers.insert("x-ms-request-id", "ab-1\u{1b}[31m".replace('\u{1b}', " ").parse().expect("a header"));
        let said = Said::of(&headers, b"");
        assert_eq!((said.tenant.as_str(), said.request.as_str()), ("1111-22", "ab-1"));
    }

    #[test]
    fn a_hostile_body_is_capped_and_tamed() {
        let long = of(&format!("<Error><Message>{}</Message></Error>", "x".repeat(9_999)));
        assert_eq!(long.message.chars().count(), MAX_TEXT + 1);
        let bomb = of(
            "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><Error><Message>&b;&b; &#27;[31m\u{202e}x</Message></Error>",
        );
        assert_eq!(bomb.message, "?? [31m x");
        let secret = of("<Error><Message>sent sig=c2VjcmV0&amp;x</Message></Error>");
        assert_eq!(secret.message, "sent sig=***&x");
        for text in
            ["<html><Message>x</Message></html>", "<Error><Message>x", "<Error/>", "", "[1]", "</Error>"]
        {
            assert_eq!(of(text), Said::default(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(body in "(<Error>)?(<Message>)?\\PC{0,60}(</Message>)?") {
            let said = of(&body);
            prop_assert!(!said.to_string().contains(is_unseen));
        }
    }
}

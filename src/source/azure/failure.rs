//! The ways one attempt can fail, told apart by status, error code and kind, never by text.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::time::{OffsetDateTime, parse_rfc7231};
use hyper::header::HeaderMap;

use super::limiter::Feedback;
use crate::model::error::{Error, reason};

/// The header that carries the service's own code ("Status and error codes").
const ERROR_CODE: &str = "x-ms-error-code";

/// The headers that say how long to wait, in order of precedence.
const RETRY_AFTER_MS: [&str; 2] = ["x-ms-retry-after-ms", "retry-after-ms"];
const RETRY_AFTER: &str = "retry-after";

/// The most characters to show of another program's message.
const MAX_CAUSE: usize = 300;

/// Why one attempt failed. Its text contains neither a URL nor a secret.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The service responded with an error.
    Status { status: u16, code: Option<String>, retry_after: Option<Duration> },
    /// No connection could be established.
    Connect { kind: ConnectFault, cause: String },
    /// The response was cut off, took too long, or does not match the request.
    Broken(String),
    /// The blob is no longer the one that was listed.
    Changed,
    /// No token could be obtained. `code` is Entra ID's own, the digits of `AADSTS…`.
    Credential { cause: String, code: Option<String> },
    /// A page of the listing cannot be parsed.
    Page(Error),
    /// The request was not sent: the circuit breaker has been open for too long.
    CircuitOpen,
    /// Anything else, such as a request that could not be built.
    Other(String),
}

/// Why a connection could not be established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectFault {
    /// Nothing is listening there.
    Refused,
    /// Nothing responded in time.
    TimedOut,
    /// The TLS handshake failed, most often because of the certificate.
    Tls,
    /// The server hung up during the TLS handshake, as one that does not speak TLS does.
    HungUp,
    /// Anything else; most often, the name does not resolve.
    Other,
}

impl Failure {
    /// The failure for a response with an error status.
    pub(super) fn of_answer(status: impl Into<u16>, headers: &impl Head) -> Self {
        let code = headers.field(ERROR_CODE).filter(|code| is_code(code)).map(str::to_owned);
        Self::Status { status: status.into(), code, retry_after: retry_after(headers) }
    }

    /// The failure for a connection that was not established in time.
    pub(super) fn connect_timed_out() -> Self {
        Self::Connect { kind: ConnectFault::TimedOut, cause: "the connection timed out".into() }
    }

    /// The failure for an error while connecting.
    pub(super) fn of_connect(error: &(dyn StdError + 'static)) -> Self {
        Self::Connect { kind: connect_fault(error), cause: innermost(error) }
    }

    /// The failure for an error on a connection.
    pub(super) fn of_connection(error: &hyper::Error) -> Self {
        Self::Broken(format!("the connection broke: {}", innermost(error)))
    }

    /// The failure for a response that does not arrive in time.
    pub(super) fn silent() -> Self {
        Self::Broken("no response in time".into())
    }

    /// The failure for a token that could not be obtained, whatever the reason: it says nothing about the service.
    pub(super) fn of_sign_in(error: azure_core::Error) -> Self {
        match Self::from(error) {
            failure @ Self::Credential { .. } => failure,
            failure => Self::Credential { cause: failure.to_string(), code: None },
        }
    }

    /// The failure for a request that cannot be built.
    pub(super) fn unsendable() -> Self {
        Self::Other("the request could not be built".into())
    }

    /// Whether the service has no capacity at the moment ("Status and error codes"; 429 comes from a proxy).
    pub(super) fn is_throttled(&self) -> bool {
        matches!(self, Self::Status { status: 429 | 503, .. })
    }

    /// Whether the failure may be transient ("Retry guidance for Azure Storage").
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            // Retrying does not fix a certificate.
            Self::Connect { kind, .. } => *kind != ConnectFault::Tls,
            Self::Broken(_) | Self::Page(_) => true,
            Self::Changed | Self::Credential { .. } | Self::CircuitOpen | Self::Other(_) => false,
        }
    }

    /// What the limiter should learn from it.
    pub(super) fn feedback(&self) -> Feedback {
        match self {
            _ if self.is_throttled() => Feedback::Throttled,
            _ if self.is_passing() => Feedback::Failed,
            _ => Feedback::Answered,
        }
    }

    /// The service's own code, if it sent one.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Status { code, .. } => code.as_deref(),
            _ => None,
        }
    }
}

impl From<azure_core::Error> for Failure {
    fn from(error: azure_core::Error) -> Self {
        if let Some(failure) = chain(&error).find_map(own) {
            // A sign-in that fails to connect is a failed sign-in, not a failed request to the service.
            return match (error.kind(), failure) {
                (ErrorKind::Credential, Self::Credential { .. }) => failure.clone(),
                (ErrorKind::Credential, _) => Self::Credential { cause: failure.to_string(), code: None },
                _ => failure.clone(),
            };
        }
        match error.kind() {
            ErrorKind::HttpResponse { status, raw_response: Some(response), .. } => {
                Self::of_answer(u16::from(*status), response.headers())
            }
            ErrorKind::Credential => Self::Credential { cause: cause_of_sign_in(&error), code: None },
            ErrorKind::Io | ErrorKind::Connection => {
                Self::Broken(format!("the connection broke: {}", innermost(&error)))
            }
            // The text of such an error may contain the whole body.
            _ => Self::Other("the response could not be understood".into()),
        }
    }
}

impl From<Failure> for azure_core::Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure {
            Failure::Connect { .. } => ErrorKind::Connection,
            Failure::Broken(_) => ErrorKind::Io,
            _ => ErrorKind::Other,
        };
        Self::new(kind, failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, code: Some(code), .. } => write!(f, "{status} {code}"),
            Self::Status { status, code: None, .. } => {
                write!(f, "{status} {}", StatusCode::from(*status).canonical_reason())
            }
            Self::Connect { cause, .. }
            | Self::Broken(cause)
            | Self::Credential { cause, .. }
            | Self::Other(cause) => f.write_str(cause),
            Self::Changed => f.write_str("the blob changed"),
            Self::CircuitOpen => f.write_str("not tried: no request has succeeded for minutes"),
            Self::Page(error) => error.fmt(f),
        }
    }
}

impl StdError for Failure {}

/// Whether a code looks like one of the service's. Only letters and digits, so that nothing else gets into a report.
fn is_code(code: &str) -> bool {
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

/// Why a connection could not be established, by the kind of the innermost I/O error.
fn connect_fault(error: &(dyn StdError + 'static)) -> ConnectFault {
    match io_kind(error) {
        Some(io::ErrorKind::TimedOut) => ConnectFault::TimedOut,
        Some(io::ErrorKind::ConnectionRefused) => ConnectFault::Refused,
        // The TLS layer reports what it does not accept as this kind.
        Some(io::ErrorKind::InvalidData) => ConnectFault::Tls,
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => ConnectFault::HungUp,
        _ => ConnectFault::Other,
    }
}

fn retry_after(headers: &impl Head) -> Option<Duration> {
    let milliseconds = RETRY_AFTER_MS
        .iter()
        .find_map(|name| headers.field(name)?.trim().parse().ok().map(Duration::from_millis));
    milliseconds.or_else(|| {
        let text = headers.field(RETRY_AFTER)?.trim();
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => (parse_rfc7231(text).ok()? - OffsetDateTime::now_utc()).try_into().ok(),
        }
    })
}

/// An error and its causes.
fn chain<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The kind of the innermost I/O error. The `source` of an I/O error skips the error that it wraps.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut io = chain(error).filter_map(|e| e.downcast_ref::<io::Error>()).last()?;
    while let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref()) {
        io = inner;
    }
    Some(io.kind())
}

/// The [`Failure`] that an error is or, for an I/O error, wraps: its `source` skips the wrapped error.
fn own<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Failure> {
    let wrapped = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    error.downcast_ref().or_else(wrapped)
}

/// Why there is no token. The outermost text is only used if it has no cause: it begins with the library's type names.
fn cause_of_sign_in(error: &azure_core::Error) -> String {
    let text = match error.get_ref() {
        None => error.to_string(),
        Some(cause) => match cause.downcast_ref::<azure_core::Error>().map(azure_core::Error::kind) {
            Some(ErrorKind::DataConversion) => return "the response contains no token".into(),
            Some(ErrorKind::HttpResponse { status, .. }) if cause.to_string().is_empty() => {
                format!("{} {}", u16::from(*status), status.canonical_reason())
            }
            _ => cause.to_string(),
        },
    };
    match first_line(&text) {
        line if line.is_empty() => "no reason was given".into(),
        line => line,
    }
}

/// The innermost cause, whose text contains no URL.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let text = |cause: &(dyn StdError + 'static)| match cause.downcast_ref::<io::Error>() {
        Some(cause) => reason(cause),
        None => cause.to_string(),
    };
    chain(error).last().map(|cause| first_line(&text(cause))).unwrap_or_default()
}

/// The first line that is not blank, cut to [`MAX_CAUSE`] characters.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(MAX_CAUSE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.insert(*name, (*value).to_owned());
        }
        headers
    }

    #[test]
    fn an_answer_is_told_by_its_code() {
        let failure = Failure::of_answer(
            u16::from(StatusCode::ServiceUnavailable),
            &headers(&[("x-ms-error-code", "ServerBusy"), ("retry-after", "7")]),
        );
        assert_eq!(failure.to_string(), "503 ServerBusy");
        assert!(
            matches!(failure, Failure::Status { retry_after: Some(wait), .. } if wait == Duration::from_secs(7))
        );
        let failure = Failure::of_answer(502_u16, &headers(&[("x-ms-error-code", "<html>")]));
        assert_eq!(failure.to_string(), "502 Bad Gateway");
    }

    #[test]
    fn milliseconds_count_before_seconds_and_a_past_date_is_no_wait() {
        let wait = |pairs: &[_]| retry_after(&headers(pairs));
        assert_eq!(
            wait(&[("x-ms-retry-after-ms", "250"), ("retry-after", "9")]),
            Some(Duration::from_millis(250))
        );
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), None);
        assert_eq!(wait(&[("retry-after", "-3")]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn a_failure_survives_its_way_through_the_client_library() {
        let error = azure_core::Error::from(Failure::Changed).with_context("wrapped");
        assert!(matches!(Failure::from(error), Failure::Changed));
        let error = azure_core::Error::with_message(ErrorKind::DataConversion, "secret body");
        assert!(!Failure::from(error).to_string().contains("secret"));
        let cause = "az gave no reason".to_owned();
        let wrapped = io::Error::other(Failure::Credential { cause, code: None });
        let error =
            azure_core::Error::new(ErrorKind::Credential, wrapped).with_context("SomeCredential failed");
        assert!(
            matches!(Failure::from(error), Failure::Credential { cause, .. } if cause == "az gave no reason")
        );
    }

    #[test]
    fn a_failed_sign_in_is_told_without_the_names_of_the_library() {
        let text = |cause: azure_core::Error| {
            let text = format!("ClientSecretCredential authentication failed. {cause}");
            Failure::from(azure_core::Error::with_error(ErrorKind::Credential, cause, text)).to_string()
        };
        let refused =
            azure_core::Error::with_message(ErrorKind::Credential, "AADSTS1: no such tenant\nTrace: 1");
        assert_eq!(text(refused), "AADSTS1: no such tenant");
        let garbled = azure_core::Error::with_message(ErrorKind::DataConversion, "expected ident");
        assert_eq!(text(garbled), "the response contains no token");
        assert_eq!(text(azure_core::Error::with_message(ErrorKind::Credential, "")), "no reason was given");
    }
}

//! What can go wrong with one attempt, distinguished by status, error code and kind, never by text.

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

/// The headers that say how long to wait, in the order in which they count.
const RETRY_AFTER_MS: [&str; 2] = ["x-ms-retry-after-ms", "retry-after-ms"];
const RETRY_AFTER: &str = "retry-after";

/// The longest text of another program that is passed on, in characters.
const MAX_CAUSE: usize = 300;

/// Why one attempt failed. Its text holds neither a URL nor a secret.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The service answered with an error.
    Status { status: u16, code: Option<String>, retry_after: Option<Duration> },
    /// No connection came about.
    Connect { kind: ConnectFault, cause: String },
    /// The answer broke off, took too long, or is not the answer to what was asked.
    Broken(String),
    /// The blob is no longer the one that was listed.
    Changed,
    /// There is no token to be had. `code` is Entra ID's own, the digits of `AADSTS…`.
    Credential { cause: String, code: Option<String> },
    /// The page of a listing cannot be read.
    Page(Error),
    /// It was not sent: the circuit breaker has been open for too long.
    CircuitOpen,
    /// The request could not be made.
    Other(String),
}

/// What kept a connection from coming about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectFault {
    /// Nothing listens there.
    Refused,
    /// Nothing answered in time.
    TimedOut,
    /// The two sides do not agree on TLS, most often over the certificate.
    Tls,
    /// The other side hung up before TLS stood, as one does that does not speak it.
    HungUp,
    /// Anything else: above all, the name does not resolve.
    Other,
}

impl Failure {
    /// The failure that an answer with an error status stands for.
    pub(super) fn of_answer(status: impl Into<u16>, headers: &impl Head) -> Self {
        let code = headers.field(ERROR_CODE).filter(|code| is_code(code)).map(str::to_owned);
        Self::Status { status: status.into(), code, retry_after: retry_after(headers) }
    }

    /// The failure that no connection in time stands for.
    pub(super) fn connect_timed_out() -> Self {
        Self::Connect { kind: ConnectFault::TimedOut, cause: "no connection in time".into() }
    }

    /// The failure that an error while connecting stands for.
    pub(super) fn of_connect(error: &(dyn StdError + 'static)) -> Self {
        Self::Connect { kind: connect_fault(error), cause: innermost(error) }
    }

    /// The failure that an error of a connection stands for.
    pub(super) fn of_connection(error: &hyper::Error) -> Self {
        Self::Broken(format!("the connection broke: {}", innermost(error)))
    }

    /// The failure that silence stands for.
    pub(super) fn silent() -> Self {
        Self::Broken("no answer in time".into())
    }

    /// The failure that a request without a proper head stands for.
    pub(super) fn unsendable() -> Self {
        Self::Other("the request could not be built".into())
    }

    /// Whether the service has no capacity at the moment ("Status and error codes"; 429 is what a proxy says).
    pub(super) fn is_throttled(&self) -> bool {
        matches!(self, Self::Status { status: 429 | 503, .. })
    }

    /// Whether the failure may pass by itself ("Retry guidance for Azure Storage").
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            // A certificate does not get better by asking again.
            Self::Connect { kind, .. } => *kind != ConnectFault::Tls,
            Self::Broken(_) | Self::Page(_) => true,
            Self::Changed | Self::Credential { .. } | Self::CircuitOpen | Self::Other(_) => false,
        }
    }

    /// What it means for the requests that follow.
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
            // A sign-in that fails to connect is a matter of the sign-in.
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
            // The text of such an error may hold the whole body.
            _ => Self::Other("the answer could not be understood".into()),
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
            Self::CircuitOpen => f.write_str("not tried: nothing has got through for minutes"),
            Self::Page(error) => error.fmt(f),
        }
    }
}

impl StdError for Failure {}

/// Whether a code looks like one of the service's: letters and digits, so that nothing else gets into a report.
fn is_code(code: &str) -> bool {
    (1..=80).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The fields of an answer's head.
pub(super) trait Head {
    /// The value of a field, if there is one and it is text.
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

/// What kept a connection from coming about, by the kind of its innermost I/O error.
fn connect_fault(error: &(dyn StdError + 'static)) -> ConnectFault {
    match io_kind(error) {
        Some(io::ErrorKind::TimedOut) => ConnectFault::TimedOut,
        Some(io::ErrorKind::ConnectionRefused) => ConnectFault::Refused,
        // This is how the TLS layer hands on what it does not accept.
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

/// An error and all that caused it.
fn chain<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The kind of the innermost I/O error. One that wraps another does not show it as its source.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut io = chain(error).filter_map(|e| e.downcast_ref::<io::Error>()).last()?;
    while let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref()) {
        io = inner;
    }
    Some(io.kind())
}

/// A failure of our own, also inside an I/O error, which does not show it as its source.
fn own<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Failure> {
    let wrapped = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    error.downcast_ref().or_else(wrapped)
}

/// Why there is no token. The outermost text is left out where there is another: it begins with the library's names.
fn cause_of_sign_in(error: &azure_core::Error) -> String {
    let text = match error.get_ref() {
        None => error.to_string(),
        Some(cause) => match cause.downcast_ref::<azure_core::Error>().map(azure_core::Error::kind) {
            Some(ErrorKind::DataConversion) => return "the answer holds no token".into(),
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

/// What caused it all, which names no URL.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let text = |cause: &(dyn StdError + 'static)| match cause.downcast_ref::<io::Error>() {
        Some(cause) => reason(cause),
        None => cause.to_string(),
    };
    chain(error).last().map(|cause| first_line(&text(cause))).unwrap_or_default()
}

/// The first line that says something, cut to a length that fits a terminal.
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
        assert_eq!(text(garbled), "the answer holds no token");
        assert_eq!(text(azure_core::Error::with_message(ErrorKind::Credential, "")), "no reason was given");
    }
}

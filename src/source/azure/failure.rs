//! The ways one attempt can fail, told apart by status, error code and kind, never by text.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;
use azure_core::time::{OffsetDateTime, parse_rfc7231};
use hyper::Uri;
use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{self, CertificateError};

use super::limiter::Feedback;
use super::said::{Head, Said, is_code};
use crate::files::regular;
use crate::model::error::{Error, reason};

/// The header that carries the service's own code ("Status and error codes").
const ERROR_CODE: &str = "x-ms-error-code";

/// The headers that say how long to wait, in order of precedence.
const RETRY_AFTER_MS: [&str; 2] = ["x-ms-retry-after-ms", "retry-after-ms"];
const RETRY_AFTER: &str = "retry-after";

/// The most host names of a certificate to show.
const MAX_NAMES: usize = 4;

/// The most characters to show of another program's message.
const MAX_CAUSE: usize = 300;

/// Why one attempt failed. Its text contains neither a URL nor a secret.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The service responded with an error.
    Status { status: u16, code: Option<String>, retry_after: Option<Duration>, said: Box<Said> },
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
    /// The TLS handshake failed.
    Tls,
    /// The server's certificate is not trusted.
    Certificate(CertificateFault),
    /// The proxy cannot be reached, or refuses to connect.
    Proxy,
    /// The server hung up during the TLS handshake, as one that does not speak TLS does.
    HungUp,
    /// Too many files are open in this process, or on this machine.
    OutOfDescriptors,
    /// Anything else; most often, the name does not resolve.
    Other,
}

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertificateFault {
    Expired,
    NotYetValid,
    /// It is for other hosts.
    OtherName,
    UnknownIssuer,
    Revoked,
    Other,
}

/// The text of the failure for a request that cannot be built.
pub(super) const UNSENDABLE: &str = "the request could not be built";

impl Failure {
    /// The failure for a response with an error status, whose body may be cut.
    pub(super) fn of_answer(status: impl Into<u16>, headers: &impl Head, body: &[u8]) -> Self {
        let said = Box::new(Said::of(headers, body));
        let code = headers.field(ERROR_CODE).filter(|code| is_code(code)).map(str::to_owned);
        let code = code.or_else(|| Some(said.code.clone()).filter(|code| !code.is_empty()));
        Self::Status { status: status.into(), code, retry_after: retry_after(headers), said }
    }

    /// The failure for a connection that was not established in time.
    pub(super) fn connect_timed_out(proxy: Option<&Uri>) -> Self {
        let cause = match proxy {
            Some(proxy) => format!("the connection through the proxy {} timed out", place(proxy)),
            None => "the connection timed out".to_owned(),
        };
        Self::Connect { kind: ConnectFault::TimedOut, cause }
    }

    /// The failure for an error while connecting, through the proxy of this URL if there is one.
    pub(super) fn of_connect(error: &(dyn StdError + 'static), proxy: Option<&Uri>) -> Self {
        let (kind, cause) = (connect_fault(error), innermost(error));
        let (kind, cause) = match certificate(error) {
            Some((fault, cause)) => (ConnectFault::Certificate(fault), cause),
            None => (kind, cause),
        };
        match proxy {
            Some(proxy) if is_of_proxy(error) => {
                let cause = cause.strip_prefix("tunnel error: ").unwrap_or(&cause);
                let cause = if cause == "unsuccessful" { "it refuses to connect" } else { cause };
                let cause = format!("the proxy {}: {cause}", place(proxy));
                Self::Connect { kind: ConnectFault::Proxy, cause }
            }
            _ => Self::Connect { kind, cause },
        }
    }

    /// The failure for an error on a connection.
    pub(super) fn of_connection(error: &io::Error) -> Self {
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
        Self::Other(UNSENDABLE.into())
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
            Self::Connect { kind, .. } => !matches!(kind, ConnectFault::Tls | ConnectFault::Certificate(_)),
            Self::Broken(_) | Self::Page(_) => true,
            Self::Changed | Self::Credential { .. } | Self::CircuitOpen | Self::Other(_) => false,
        }
    }

    /// Whether the service refused access: to this blob, or to all.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status: 401 | 403, .. })
    }

    /// What the limiter should learn from it.
    pub(super) fn feedback(&self) -> Feedback {
        match self {
            _ if self.is_throttled() => Feedback::Throttled,
            _ if self.is_passing() => Feedback::Failed,
            _ => Feedback::Answered,
        }
    }

    /// What the service says about it; nothing if it did not respond.
    pub(super) fn said(&self) -> Said {
        match self {
            Self::Status { said, .. } => (**said).clone(),
            _ => Said::default(),
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
                Self::of_answer(u16::from(*status), response.headers(), response.body())
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

/// Why a connection could not be established, by the kind of the innermost I/O error.
fn connect_fault(error: &(dyn StdError + 'static)) -> ConnectFault {
    let Some(error) = innermost_io(error) else { return ConnectFault::Other };
    match error.kind() {
        _ if regular::is_out_of_descriptors(error) => ConnectFault::OutOfDescriptors,
        io::ErrorKind::TimedOut => ConnectFault::TimedOut,
        io::ErrorKind::ConnectionRefused => ConnectFault::Refused,
        // The TLS layer reports what it does not accept as this kind.
        io::ErrorKind::InvalidData => ConnectFault::Tls,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ConnectFault::HungUp,
        _ => ConnectFault::Other,
    }
}

/// The host and the port of a proxy, without its password.
fn place(proxy: &Uri) -> &str {
    let authority = proxy.authority().map_or("", |authority| authority.as_str());
    authority.rsplit('@').next().unwrap_or_default()
}

/// Whether an error while connecting is one of the proxy: TCP to it or its tunnel failed. What follows, TLS inside the
/// tunnel, is between this machine and the origin.
fn is_of_proxy(error: &(dyn StdError + 'static)) -> bool {
    let is_tls = chain(error).any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<rustls::Error>())
    });
    let kind = innermost_io(error).map(io::Error::kind);
    !is_tls && !matches!(kind, Some(io::ErrorKind::UnexpectedEof))
}

/// What is wrong with the server's certificate, in words for people.
fn certificate(error: &(dyn StdError + 'static)) -> Option<(CertificateFault, String)> {
    let of_tls = |cause: &(dyn StdError + 'static)| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(fault)) => Some(fault.clone()),
            _ => None,
        }
    };
    let fault = chain(error).find_map(of_tls)?;
    let (fault, text) = match fault {
        CertificateError::Expired => (CertificateFault::Expired, "the certificate has expired".to_owned()),
        CertificateError::ExpiredContext { not_after, .. } => {
            (CertificateFault::Expired, format!("the certificate expired at {}", date(not_after)))
        }
        CertificateError::NotValidYet => {
            (CertificateFault::NotYetValid, "the certificate is not valid yet".to_owned())
        }
        CertificateError::NotValidYetContext { not_before, .. } => (
            CertificateFault::NotYetValid,
            format!("the certificate is not valid before {}", date(not_before)),
        ),
        CertificateError::NotValidForName => {
            (CertificateFault::OtherName, "the certificate is for another host".to_owned())
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = presented.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
            (CertificateFault::OtherName, first_line(&format!("the certificate is for other hosts: {names}")))
        }
        CertificateError::UnknownIssuer => (
            CertificateFault::UnknownIssuer,
            "the certificate's issuer is not one that this machine trusts".to_owned(),
        ),
        CertificateError::Revoked => (CertificateFault::Revoked, "the certificate was revoked".to_owned()),
        fault => (CertificateFault::Other, first_line(&format!("the certificate is not valid: {fault}"))),
    };
    Some((fault, text))
}

/// A certificate's time.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "an unknown time".to_owned(), |time| time.to_string())
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

/// The innermost I/O error. The `source` of an I/O error skips the error that it wraps.
fn innermost_io<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e io::Error> {
    let mut io = chain(error).filter_map(|e| e.downcast_ref::<io::Error>()).last()?;
    while let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref()) {
        io = inner;
    }
    Some(io)
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
    use azure_core::http::headers::Headers;

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
            b"",
        );
        assert_eq!(failure.to_string(), "503 ServerBusy");
        assert!(
            matches!(failure, Failure::Status { retry_after: Some(wait), .. } if wait == Duration::from_secs(7))
        );
        let failure = Failure::of_answer(502_u16, &headers(&[("x-ms-error-code", "<html>")]), b"");
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

    #[test]
    fn a_certificate_is_told_by_what_is_wrong_with_it() {
        let of = |fault: CertificateError| {
            let error = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(fault));
            match Failure::of_connect(&error, None) {
                Failure::Connect { kind, cause } => (kind, cause),
                other => panic!("{other:?}"),
            }
        };
        for (fault, kind, says) in [
            (CertificateError::Expired, CertificateFault::Expired, "expired"),
            (CertificateError::NotValidYet, CertificateFault::NotYetValid, "not valid yet"),
            (CertificateError::NotValidForName, CertificateFault::OtherName, "another host"),
            (CertificateError::UnknownIssuer, CertificateFault::UnknownIssuer, "issuer"),
            (CertificateError::BadSignature, CertificateFault::Other, "not valid"),
        ] {
            let (found, cause) = of(fault);
            assert_eq!(found, ConnectFault::Certificate(kind));
            assert!(cause.contains(says), "{cause}");
        }
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let proxy = Uri::from_static("http://user:secret@proxy.test:3128/");
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let failure = Failure::of_connect(&refused, Some(&proxy));
        assert!(matches!(failure, Failure::Connect { kind: ConnectFault::Proxy, .. }), "{failure:?}");
        assert_eq!(failure.to_string(), "the proxy proxy.test:3128: connection refused");
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert!(matches!(
            Failure::of_connect(&tls, Some(&proxy)),
            Failure::Connect { kind: ConnectFault::Tls, .. }
        ));
    }
}

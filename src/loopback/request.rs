//! Parses requests.

use std::borrow::Cow;

use hyper::header::{HeaderMap, HeaderName, RANGE};
use hyper::http::request::Parts;
use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::Kind;
use super::inject::Target;
use super::page::Query;

/// The service's own name for `Range`, which takes precedence over it ("Specifying the range header").
const X_MS_RANGE: HeaderName = HeaderName::from_static("x-ms-range");

/// A parsed request.
pub(super) enum Asked<'r> {
    Containers(Query),
    Blobs {
        container: &'r str,
        query: Query,
    },
    Blob {
        container: &'r str,
        name: Cow<'r, str>,
        range: Option<Range>,
        head_only: bool,
    },
    Preflight,
    /// An invalid request, with the status and the service's error code.
    Wrong(u16, &'static str),
}

/// The first byte of a range and, unless the range is open-ended, the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub first: u64,
    pub last: Option<u64>,
}

impl<'r> Asked<'r> {
    /// Parses a request to `account`.
    pub(super) fn of(request: &'r Parts, account: &str) -> Self {
        let path = request.uri.path().strip_prefix('/').unwrap_or_default();
        let (first, path) = path.split_once('/').unwrap_or((path, ""));
        if first != account {
            return Self::Wrong(404, "ResourceNotFound");
        }
        let (container, name) = path.split_once('/').unwrap_or((path, ""));
        match request.method {
            Method::OPTIONS => Self::Preflight,
            Method::GET | Method::HEAD if !name.is_empty() => match percent_decode_str(name).decode_utf8() {
                Ok(name) => {
                    let head_only = request.method == Method::HEAD;
                    // Get Blob Properties takes no range.
                    let range = if head_only { None } else { Range::of(&request.headers) };
                    Self::Blob { container, name, range, head_only }
                }
                Err(_) => Self::Wrong(400, "InvalidUri"),
            },
            Method::GET => Self::listing(container, &request.uri),
            _ => Self::Wrong(405, "UnsupportedHttpVerb"),
        }
    }

    fn listing(container: &'r str, uri: &'r Uri) -> Self {
        let is = |wanted: (&str, &str)| parameters(uri).any(|(name, value)| (name, &*value) == wanted);
        let in_container = match (is(("comp", "list")), is(("restype", "container")), container) {
            (true, false, "") => false,
            (true, true, container) if !container.is_empty() => true,
            _ => return Self::Wrong(400, "UnsupportedQueryParameter"),
        };
        match Query::of(parameters(uri)) {
            Ok(query) if in_container => Self::Blobs { container, query },
            Ok(query) => Self::Containers(query),
            Err(code) => Self::Wrong(400, code),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Containers(_) => Kind::Containers,
            Self::Blobs { .. } => Kind::List,
            Self::Blob { head_only: false, .. } => Kind::Read,
            Self::Blob { head_only: true, .. } => Kind::Properties,
            Self::Preflight => Kind::Preflight,
            Self::Wrong(..) => Kind::Other,
        }
    }

    pub(super) fn target(&self) -> Target<'_> {
        let nothing = Target { container: "", name: "", marker: "", start: 0 };
        match self {
            Self::Containers(query) => {
                let marker = query.from.as_deref().unwrap_or_default();
                Target { name: &query.prefix, marker, ..nothing }
            }
            Self::Blobs { container, query } => {
                let marker = query.from.as_deref().unwrap_or_default();
                Target { container, name: &query.prefix, marker, ..nothing }
            }
            Self::Blob { container, name, range, .. } => {
                Target { container, name, start: range.map_or(0, |range| range.first), ..nothing }
            }
            Self::Preflight | Self::Wrong(..) => nothing,
        }
    }
}

impl Range {
    /// The range of a request. An invalid range is ignored (RFC 9110, 14.2).
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(X_MS_RANGE).or_else(|| headers.get(RANGE))?.to_str().ok()?;
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let first = first.parse().ok()?;
        let last = match last {
            "" => None,
            last => Some(last.parse().ok().filter(|last| *last >= first)?),
        };
        Some(Self { first, last })
    }
}

/// The decoded parameters of a query. A plus sign is not a space, as in the real service.
fn parameters(uri: &Uri) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    uri.query().unwrap_or_default().split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name, percent_decode_str(value).decode_utf8_lossy())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_cannot_be_read_is_none() {
        let range = |name: &'static str, text: &str| {
            let headers = [(HeaderName::from_static(name), text.parse().expect("a header"))];
            Range::of(&headers.into_iter().collect())
        };
        assert_eq!(range("range", "bytes=5-9"), Some(Range { first: 5, last: Some(9) }));
        assert_eq!(range("x-ms-range", "bytes=5-"), Some(Range { first: 5, last: None }));
        for wrong in
            ["bytes=9-5", "bytes=-5", "bytes=0-4,6-9", "bytes", "lines=0-4", "bytes=0-99999999999999999999"]
        {
            assert_eq!(range("range", wrong), None, "{wrong}");
        }
    }
}

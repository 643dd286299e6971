//! The head of a response (RFC 9112, 4 to 6).

use std::mem::MaybeUninit;

use bytes::Bytes;
use httparse::{Header, ParserConfig, Response, Status};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use smallvec::SmallVec;

use super::framing::Framing;
use crate::source::azure::failure::Failure;
use crate::source::azure::said;

/// The most bytes of a head. The service's own are below 4 KB.
const MAX_HEAD: usize = u16::MAX as usize;
/// The most fields of a head. The service sends about a dozen, and one for each entry of a blob's metadata.
const MAX_FIELDS: usize = 256;

/// The header fields of a response, as they were received: few of them are ever looked at.
#[derive(Clone, Debug, Default)]
pub(in crate::source::azure) struct Fields {
    head: Bytes,
    /// Where each name and value is. The service sends about a dozen.
    places: SmallVec<[Place; 16]>,
}

/// The positions of a name and a value in a head, which is no longer than [`MAX_HEAD`].
#[derive(Clone, Copy, Debug)]
struct Place {
    name: (u16, u16),
    value: (u16, u16),
}

impl Fields {
    /// `fields` are parts of `head`.
    fn new(head: &[u8], fields: &[Header<'_>]) -> Self {
        // All positions are below `MAX_HEAD`, so no conversion fails.
        let place = |part: &[u8]| {
            let start = (part.as_ptr() as usize).saturating_sub(head.as_ptr() as usize);
            let at = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
            (at(start), at(start + part.len()))
        };
        let place =
            |field: &Header<'_>| Place { name: place(field.name.as_bytes()), value: place(field.value) };
        Self { head: Bytes::new(), places: fields.iter().map(place).collect() }
    }

    /// The names, in any case, and the values.
    pub(in crate::source::azure) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|place| (self.part(place.name), self.part(place.value)))
    }

    fn part(&self, (start, end): (u16, u16)) -> &[u8] {
        self.head.get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }

    /// All of them, for those that are kept or sent again.
    pub(in crate::source::azure) fn to_map(&self) -> HeaderMap {
        let field = |(name, value): (&[u8], &[u8])| {
            Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
        };
        let mut map = HeaderMap::new();
        self.iter().filter_map(field).for_each(|(name, value)| _ = map.append(name, value));
        map
    }
}

impl said::Head for Fields {
    fn field(&self, name: &'static str) -> Option<&str> {
        let name = name.as_bytes();
        let is_it = |place: &&Place| {
            // By length first: few names have the same.
            usize::from(place.name.1 - place.name.0) == name.len()
                && self.part(place.name).eq_ignore_ascii_case(name)
        };
        let value = self.part(self.places.iter().find(is_it)?.value);
        // A head has no control characters but tabs.
        std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
    }
}

#[cfg(test)]
impl Fields {
    pub(in crate::source::azure) fn of(fields: &[(&str, &str)]) -> Self {
        let head = fields.iter().flat_map(|(name, value)| [*name, *value]).collect::<String>();
        let mut end = 0;
        let mut place = |part: &str| {
            let start = end;
            end += part.len() as u16;
            (start, end)
        };
        let places =
            fields.iter().map(|(name, value)| Place { name: place(name), value: place(value) }).collect();
        Self { head: head.into(), places }
    }
}

/// The head of a response, and how its body is framed.
#[derive(Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    pub fields: Fields,
    pub framing: Framing,
    /// Whether another request may follow on the connection (RFC 9112, 9.3).
    pub is_persistent: bool,
}

impl Head {
    /// Takes the head of the response to a request with this method from the bytes received; `None` if it has not
    /// arrived as a whole. Interim responses (RFC 9110, 15.2) are left out.
    ///
    /// # Errors
    /// Returns an error if the bytes are not the head of an HTTP/1 response, or if it is too long.
    pub(super) fn take(received: &mut Bytes, method: &Method) -> Result<Option<Self>, Failure> {
        loop {
            let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
            let mut head = Response::new(&mut []);
            let parsed =
                ParserConfig::default().parse_response_with_uninit_headers(&mut head, received, &mut space);
            let len = match parsed {
                Ok(Status::Complete(len)) if len <= MAX_HEAD => len,
                Ok(Status::Partial) if received.len() < MAX_HEAD => return Ok(None),
                Ok(_) => return Err(broken(format!("a head of over {MAX_HEAD} bytes"))),
                Err(error) => return Err(broken(format!("it is not HTTP: {error}"))),
            };
            let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
            let status = status.ok_or_else(|| broken("a status below 100".to_owned()))?;
            if status.is_informational() {
                let _ = received.split_to(len);
                continue;
            }
            let (framing, may_persist) = framing(head.headers, status, method)?;
            let is_persistent = may_persist && head.version == Some(1);
            let fields = Fields::new(received, head.headers);
            let fields = Fields { head: received.split_to(len), ..fields };
            return Ok(Some(Self { status, fields, framing, is_persistent }));
        }
    }
}

/// How the body is framed (RFC 9112, 6.3), and whether another response may follow it.
fn framing(fields: &[Header<'_>], status: StatusCode, method: &Method) -> Result<(Framing, bool), Failure> {
    let (mut length, mut is_chunked, mut may_persist) = (None, false, true);
    for Header { name, value } in fields {
        if name.eq_ignore_ascii_case("content-length") {
            let digits =
                std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let len: Option<u64> = digits.and_then(|digits| digits.parse().ok());
            let len = len.filter(|len| length.is_none_or(|other| other == *len));
            length = Some(len.ok_or_else(|| broken("a content-length that is no length".to_owned()))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if is_chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(broken("an unknown transfer coding".to_owned()));
            }
            is_chunked = true;
        } else if name.eq_ignore_ascii_case("connection") {
            let mut options = value.split(|byte| *byte == b',');
            may_persist &= !options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
        }
    }
    let is_empty = method == Method::HEAD || matches!(status.as_u16(), 204 | 304);
    Ok(match (is_empty, is_chunked, length) {
        (true, ..) => (Framing::Exactly(0), may_persist),
        // One that has a length, too, may be an attempt to smuggle another response.
        (_, true, _) => (Framing::chunked(), may_persist && length.is_none()),
        (_, _, Some(len)) => (Framing::Exactly(len), may_persist),
        (..) => (Framing::UntilClosed, false),
    })
}

fn broken(what: String) -> Failure {
    Failure::Broken(format!("the response cannot be understood: {what}"))
}

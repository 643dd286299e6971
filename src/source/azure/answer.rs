//! Checks the head of a response before its body is trusted.

use hyper::StatusCode;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::failure::Failure;
use super::http::Fields;
use super::said::Head;
use crate::model::{Blob, ByteRange, ETag};

/// Checks that the head of a response matches the requested range (RFC 9110, 14.4 and 15.3.7).
pub(super) fn check(
    blob: &Blob,
    range: ByteRange,
    status: StatusCode,
    headers: &Fields,
) -> Result<(), Failure> {
    let listed = blob.etag.as_ref();
    if headers.field("etag").is_some_and(|etag| listed.is_some_and(|listed| !listed.is(etag))) {
        return Err(Failure::Changed);
    }
    match status.as_u16() {
        206 => {
            let given = headers.field("content-range").and_then(content_range);
            let (start, last, size) =
                given.ok_or_else(|| Failure::Broken("a partial response without its range".into()))?;
            if size.is_some_and(|size| size != blob.size) {
                return Err(Failure::Changed);
            }
            if start != range.start() || last.checked_add(1) != Some(range.end()) {
                return Err(Failure::Broken(format!("asked for bytes {range}, got bytes {start}-{last}")));
            }
        }
        200 if range == ByteRange::new(0, blob.size) => {}
        200 => return Err(Failure::Broken(format!("asked for bytes {range}, got the whole blob"))),
        status => return Err(Failure::Broken(format!("asked for bytes {range}, got status {status}"))),
    }
    match headers.field("content-length") {
        Some(length) if length.parse() != Ok(range.len()) => {
            Err(Failure::Broken(format!("asked for {} bytes, got {length}", range.len())))
        }
        _ => Ok(()),
    }
}

/// The blob version in a response.
#[derive(Debug, Default)]
pub(super) struct Version {
    pub etag: Option<ETag>,
    pub last_modified: Option<Timestamp>,
}

impl Version {
    pub(super) fn of(headers: &Fields) -> Self {
        let date = |text: &str| rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
        Self {
            etag: headers.field("etag").map(ETag::new),
            last_modified: headers.field("last-modified").and_then(date),
        }
    }
}

/// Parses `bytes 0-99/1234` into the first byte, the last byte and the whole size, which is `None` for `*`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (start, rest) = number(text.strip_prefix("bytes ")?.as_bytes())?;
    let (last, rest) = number(rest.strip_prefix(b"-")?)?;
    let size = match rest.strip_prefix(b"/")? {
        b"*" => None,
        size => {
            let (size, rest) = number(size)?;
            rest.is_empty().then_some(Some(size))?
        }
    };
    Some((start, last, size))
}

/// Parses the leading digits of a text, and returns the number and the rest.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    Some((digits.iter().try_fold(0, add)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, BlobName};

    fn verdict(status: u16, pairs: &[(&'static str, &str)], range: ByteRange) -> Result<(), String> {
        let headers = Fields::of(pairs);
        let (name, etag) = (BlobName::new("a.jpg"), Some(ETag::new("0x8D")));
        let blob = Blob {
            name,
            size: 100,
            etag,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        };
        let status = StatusCode::from_u16(status).unwrap();
        check(&blob, range, status, &headers).map_err(|failure| failure.to_string())
    }

    fn ten() -> ByteRange {
        ByteRange::new(10, 20)
    }

    #[test]
    fn the_range_that_was_asked_for_passes() {
        let good = [("content-range", "bytes 10-29/100"), ("content-length", "20"), ("etag", "\"0x8D\"")];
        assert_eq!(verdict(206, &good, ten()), Ok(()));
        assert_eq!(verdict(206, &[("content-range", "bytes 10-29/*")], ten()), Ok(()));
        assert_eq!(verdict(200, &[("content-length", "100")], ByteRange::new(0, 100)), Ok(()));
    }

    #[test]
    fn any_other_range_does_not() {
        for (status, range) in [
            (206, "bytes 10-28/100"),
            (206, "bytes 0-19/100"),
            (206, "bytes 10-18446744073709551615/100"),
            (206, "bytes */100"),
            (206, "10-29"),
            (200, "bytes 10-29/100"),
            (204, "bytes 10-29/100"),
        ] {
            let verdict = verdict(status, &[("content-range", range)], ten());
            assert!(verdict.is_err_and(|text| text != Failure::Changed.to_string()), "{status} {range}");
        }
        assert!(verdict(206, &[], ten()).is_err());
        assert!(
            verdict(206, &[("content-range", "bytes 10-29/100"), ("content-length", "19")], ten()).is_err()
        );
    }

    #[test]
    fn another_version_or_size_is_a_change() {
        let changed = Err(Failure::Changed.to_string());
        assert_eq!(verdict(206, &[("content-range", "bytes 10-29/101")], ten()), changed);
        assert_eq!(
            verdict(206, &[("content-range", "bytes 10-29/100"), ("etag", "\"0x8E\"")], ten()),
            changed
        );
    }
}

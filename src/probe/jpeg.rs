//! JPEG (ITU-T T.81, annex B; Exif 3.0, 4.7).

use super::view::{Parse, Stop, View, malformed};
use super::walk::Walk;
use super::{Want, tiff};
use crate::model::{Facts, Orientation};

/// Bytes at the end of the file that are searched for the end of the picture. Scan data of this length contains
/// markers, and other data usually contains some that never occur in a scan.
const TAIL: u64 = 4 << 10;
/// Maximum bytes before an EXIF block: its identifier, and what may precede that.
pub(super) const LONGEST_IDENTIFIER: u64 = 10;
/// Maximum bytes between two segments that belong to neither. Some writers pad there, and readers search for the next
/// marker.
const MAX_STRAY: u64 = 4096;

/// Minimum length in bytes of the tables and headers of most pictures. If less is left of a file and none of it has
/// been read, the file is probably a header without a picture, so the rest is worth a read.
const SHORT_REST: u64 = 256;

/// Reads the segments up to the first scan: the first orientation found, and the dimensions if their segment is
/// within the known bytes. Every APP1 segment before the first scan may contain the orientation, so only then is its
/// absence known.
pub(super) fn read(view: View<'_>, want: Want, walk: &mut Walk, facts: &mut Facts) -> Parse<()> {
    to_the_scan(view, want, walk, facts)?;
    if want.end { look_at_the_end(view, walk, facts) } else { Ok(()) }
}

fn to_the_scan(view: View<'_>, want: Want, walk: &mut Walk, facts: &mut Facts) -> Parse<()> {
    walk.begin(2);
    loop {
        match segment(view, walk.at, facts) {
            Ok(Some(next)) => walk.pass(next),
            Ok(None) => {
                if facts.orientation == Orientation::NotRead {
                    facts.orientation = Orientation::Absent;
                }
                return Ok(());
            }
            Err(Stop::Need { at: unknown, len }) if facts.orientation != Orientation::NotRead => {
                return match want.dimensions {
                    _ if facts.width.is_some() => Ok(()),
                    _ if view.size() - walk.at <= SHORT_REST => Err(Stop::Need { at: unknown, len }),
                    true => Err(Stop::Wish { at: unknown, len }),
                    false => Ok(()),
                };
            }
            Err(stop) => return Err(stop),
        }
    }
}

/// Reads one segment and returns where the next one starts; `None` at the first scan, or when everything is known.
fn segment(view: View<'_>, at: u64, facts: &mut Facts) -> Parse<Option<u64>> {
    let look_for_exif = facts.orientation == Orientation::NotRead;
    // Nearly always, a marker and its length are right here.
    let usual = match view.nearby(at).and_then(<[u8]>::first_chunk::<4>) {
        Some([0xFF, marker @ 1..=0xFE, len @ ..]) => Some((*marker, *len)),
        _ => None,
    };
    view.spend(1)?;
    let (marker, at) = usual.map_or_else(|| marker(view, at), |(marker, _)| Ok((marker, at)))?;
    match marker {
        0x01 | 0xD0..=0xD8 => return Ok(Some(at + 2)),
        0xD9 => return Err(malformed("JPEG header", at, "ends before the first scan")),
        0xDA => return Ok(None),
        _ => {}
    }
    let len = usual.map_or_else(|| view.array(at + 2, "JPEG segment"), |(_, len)| Ok(len))?;
    let len = u64::from(u16::from_be_bytes(len));
    if len < 2 {
        return Err(malformed("JPEG segment", at, "has a length below 2"));
    }
    let (body, end) = (at + 4, at + 2 + len);
    match marker {
        0xE1 if look_for_exif => {
            let identifier = view.bytes(body, (len - 2).min(LONGEST_IDENTIFIER), "JPEG segment")?;
            if let Some(prefix) = exif_identifier(identifier) {
                // The block may be cut off by the file's end and still contain the orientation.
                let found = tiff::exif_orientation(view, body + prefix, end.min(view.size()))?;
                if found != Orientation::Absent {
                    facts.orientation = found;
                }
            }
        }
        0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
            let [_, h1, h0, w1, w0] = view.array(body, "JPEG frame header")?;
            facts.height = Some(u32::from(u16::from_be_bytes([h1, h0])));
            facts.width = Some(u32::from(u16::from_be_bytes([w1, w0])));
        }
        _ => {}
    }
    if end > view.size() {
        return Err(malformed("JPEG segment", at, "runs past the end of the file"));
    }
    // If the whole file is known, read all of the header: it may be cut off.
    let complete = facts.orientation != Orientation::NotRead && facts.width.is_some() && !view.is_whole();
    Ok((!complete).then_some(end))
}

/// Determines whether the picture is cut off: then the file ends in scan data, without an end-of-image marker.
fn look_at_the_end(view: View<'_>, walk: &Walk, facts: &mut Facts) -> Parse<()> {
    let at = view.size().saturating_sub(TAIL).max(walk.at);
    let tail = view.bytes(at, view.size() - at, "JPEG file").map_err(|stop| match stop {
        Stop::Need { at, len } => Stop::Wish { at, len },
        stop => stop,
    })?;
    if is_cut(tail) {
        facts.truncated = Some(view.size() + 2);
    }
    Ok(())
}

/// Returns whether the end of a file is scan data, or zeros in its place. Other data, including text, was appended to
/// a complete picture, as phones do with videos.
fn is_cut(tail: &[u8]) -> bool {
    for pair in tail.windows(2) {
        match pair {
            [0xFF, 0xD9] => return false,
            // Markers allowed within a scan and between scans (T.81, B.2).
            [0xFF, 0 | 0xC4 | 0xCC | 0xD0..=0xD7 | 0xDA..=0xDD | 0xFE | 0xFF] => {}
            [0xFF, _] => return false,
            _ => {}
        }
    }
    !tail.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

/// Returns where the EXIF block starts, if a segment that starts with these bytes is EXIF. The identifier is `Exif`
/// and two NULs (Exif 3.0, 4.7.2.3), but browsers ignore the sixth byte, and exiftool accepts any case and up to four
/// bytes of garbage before it.
pub(super) fn exif_identifier(segment: &[u8]) -> Option<u64> {
    let is_exif =
        |at: usize| segment.get(at..at + 6).is_some_and(|text| text[..5].eq_ignore_ascii_case(b"Exif\0"));
    (0..=4).find(|at| is_exif(*at)).map(|at| at as u64 + 6)
}

/// Returns the next marker and its offset. Fill bytes may precede it (T.81, B.1.1.2) and, in invalid files, a few
/// other bytes.
#[inline]
pub(super) fn marker(view: View<'_>, at: u64) -> Parse<(u8, u64)> {
    match view.array(at, "JPEG segment")? {
        [0xFF, marker @ 1..=0xFE] => Ok((marker, at)),
        _ => marker_behind(view, at),
    }
}

#[cold]
fn marker_behind(view: View<'_>, at: u64) -> Parse<(u8, u64)> {
    let is_marker = |pair: &[u8]| matches!(pair, [0xFF, 1..=0xFE]);
    let mut next = at;
    while next < at.saturating_add(MAX_STRAY) {
        let pair: [u8; 2] = view.array(next, "JPEG segment")?;
        if is_marker(&pair) {
            return Ok((pair[1], next));
        }
        // Search the known bytes in one pass; the last one may start a marker.
        let known = view.known(next);
        let known = &known[..known.len().min(MAX_STRAY as usize)];
        let stray = known.windows(2).position(is_marker).unwrap_or(known.len() - 1);
        view.spend_on(stray)?;
        next += stray as u64;
    }
    Err(malformed("JPEG segment", at, "does not begin with a marker"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Format;
    use crate::probe::view::Store;
    use bytes::Bytes;

    fn exif(orientation: u8) -> Vec<u8> {
        let mut body = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        body.push(orientation);
        body.extend([0; 6]);
        body
    }

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        [&[0xFF, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat()
    }

    fn facts(parts: &[&[u8]]) -> Result<Facts, Stop> {
        let file = parts.concat();
        let mut store = Store::new(file.len() as u64);
        store.insert(0, Bytes::from(file));
        let mut facts = Facts::of(Format::Jpeg);
        read(store.view(), Want::default(), &mut Walk::default(), &mut facts).map(|()| facts)
    }

    const SOI: &[u8] = &[0xFF, 0xD8];
    const SOS: &[u8] = &[0xFF, 0xDA, 0, 2];
    const SOF: &[u8] = &[0xFF, 0xC0, 0, 11, 8, 0, 30, 0, 40, 1, 1, 0x11, 0];

    #[test]
    fn exif_is_found_behind_other_segments_and_fill_bytes() {
        let xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>");
        let icc = segment(0xE2, &[b'I'; 3000]);
        let read = facts(&[SOI, &xmp, &icc, &[0xFF, 0xFF], &segment(0xE1, &exif(6)), SOF, SOS]).unwrap();
        assert_eq!((read.orientation, read.width, read.height), (Orientation::Value(6), Some(40), Some(30)));
    }

    #[test]
    fn exif_counts_until_the_first_scan_and_not_after() {
        let late = facts(&[SOI, SOF, &segment(0xE1, &exif(8)), SOS]).unwrap();
        assert_eq!(late.orientation, Orientation::Value(8));
        let after = facts(&[SOI, SOF, SOS, &segment(0xE1, &exif(8))]).unwrap();
        assert_eq!(after.orientation, Orientation::Absent);
    }

    #[test]
    fn the_first_orientation_counts() {
        let read = facts(&[SOI, &segment(0xE1, &exif(1)), &segment(0xE1, &exif(6)), SOF, SOS]).unwrap();
        assert_eq!(read.orientation, Orientation::Value(1));
    }

    #[test]
    fn a_header_that_ends_before_the_scan_is_damage() {
        assert!(matches!(facts(&[SOI, SOF]), Err(Stop::Malformed(_))));
        assert!(matches!(facts(&[SOI, &[0; 5000], SOS]), Err(Stop::Malformed(_))));
    }

    #[test]
    fn the_identifier_of_exif_may_differ_from_the_standard() {
        let block = &exif(6)[6..];
        for identifier in [
            &b"Exif\0\0"[..],
            b"Exif\0\xff",
            b"Exif\0x",
            b"EXIF\0\0",
            b"exif\0\0",
            b"\0\0\0\x08Exif\0\0",
            b"xExif\0\0",
        ] {
            let read = facts(&[SOI, &segment(0xE1, &[identifier, block].concat()), SOF, SOS]).unwrap();
            assert_eq!(read.orientation, Orientation::Value(6), "{}", identifier.escape_ascii());
        }
        for identifier in [&b"Exif__"[..], b"Exig\0\0", b"12345Exif\0\0"] {
            let read = facts(&[SOI, &segment(0xE1, &[identifier, block].concat()), SOF, SOS]).unwrap();
            assert_eq!(read.orientation, Orientation::Absent, "{}", identifier.escape_ascii());
        }
    }

    #[test]
    fn a_picture_without_its_end_is_cut() {
        let scan = [&[7; 5000][..], b"\xff\0\xff\xd0"].concat();
        let truncated = |end: &[u8]| {
            let file = [SOI, &segment(0xE1, &exif(1)), SOF, SOS, &scan, end].concat();
            let mut store = Store::new(file.len() as u64);
            store.insert(0, Bytes::from(file));
            let mut facts = Facts::of(Format::Jpeg);
            let want = Want { end: true, ..Want::default() };
            read(store.view(), want, &mut Walk::default(), &mut facts).map(|()| facts.truncated.is_some())
        };
        for end in [&b""[..], b"\xff", &[0; 5000], b"\xff\xc4\0\x04ab\xff\xda\0\x02abc"] {
            assert_eq!(truncated(end), Ok(true), "{} bytes", end.len());
        }
        let video = [&b"\xff\xd9"[..], &b"ftypmp42\xff\xf1".repeat(1000)].concat();
        let text = [&b"\xff\xd9"[..], &b"<x:xmpmeta>\n".repeat(1000)].concat();
        for end in [&b"\xff\xd9"[..], b"\xff\xd9\0\0\0", &video, &text] {
            assert_eq!(truncated(end), Ok(false), "{} bytes", end.len());
        }
    }
}

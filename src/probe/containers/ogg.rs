//! Theora in Ogg (RFC 3533; Theora Specification, 6.2 and A.2.3).

use super::{Found, at, ratio, tail};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View};

const PART: &str = "Ogg page";
/// Maximum streams that begin at the start of a file: each has a page there.
const MAX_STREAMS: u32 = 32;
/// Bytes at the end of the file that are searched for the last page of the stream. A page has at most 65,307.
const TAILS: [u64; 2] = [16 << 10, 128 << 10];
/// The flag of a page with which a stream begins.
const BEGINS: u8 = 2;

/// Reads the identification header of the first Theora stream, and counts its frames by the last page. The number is
/// exact for a stream that starts with its first frame, as all do that were not cut.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    let mut start = 0;
    for _ in 0..MAX_STREAMS {
        let page: [u8; 27] = view.array(start, PART)?;
        if !page.starts_with(b"OggS\0") || page[5] & BEGINS == 0 {
            break;
        }
        let segments = view.bytes(start + 27, page[26].into(), PART)?;
        let body = start + 27 + segments.len() as u64;
        let len: u64 = segments.iter().map(|len| u64::from(*len)).sum();
        if len >= 42 && view.array(body, PART)? == *b"\x80theora" {
            let header: [u8; 42] = view.array(body, PART)?;
            let stream = Stream::read(&header);
            let mut track = stream.track.clone();
            found.track = Some(track.clone());
            track.frames = frames(view, body + len, &stream, &page[14..18])?;
            track.duration_s =
                track.frames.zip(track.frame_rate).and_then(|(frames, rate)| ratio(frames as f64, rate));
            found.track = Some(track);
            break;
        }
        start = body + len;
    }
    Ok(())
}

/// What the identification header says.
struct Stream {
    track: VideoTrack,
    /// Bits of a granule position that count the frames since the last key frame.
    shift: u32,
    /// Whether the number of the first frame is 0, as in versions before 3.2.1.
    from_zero: bool,
}

impl Stream {
    fn read(header: &[u8; 42]) -> Self {
        let number =
            |at: usize, len: usize| header[at..at + len].iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        let track = VideoTrack {
            codec: Some("theora".into()),
            width: Some(number(14, 3)),
            height: Some(number(17, 3)),
            frame_rate: ratio(number(22, 4), number(26, 4)),
            ..VideoTrack::default()
        };
        Self { track, shift: number(40, 2) >> 5 & 0x1F, from_zero: number(7, 3) < 0x03_02_01 }
    }
}

/// Returns the number of the last frame: of the last page of the stream on which one ends.
fn frames(view: View<'_>, from: u64, stream: &Stream, serial: &[u8]) -> Parse<Option<u64>> {
    for len in TAILS {
        let (start, bytes) = tail(view, len, from)?;
        let pages =
            (0..bytes.len().saturating_sub(26)).rev().filter(|at| bytes[*at..].starts_with(b"OggS\0"));
        for page in pages {
            let position = at::<8>(bytes, page + 6).map_or(u64::MAX, u64::from_le_bytes);
            if bytes.get(page + 14..page + 18) == Some(serial) && position != u64::MAX {
                let number = (position >> stream.shift).saturating_add(position & ((1 << stream.shift) - 1));
                return Ok(number.checked_add(stream.from_zero.into()));
            }
        }
        if start == from {
            break;
        }
    }
    Ok(None)
}

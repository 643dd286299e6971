//! What the headers in a video stream say about its pictures, for containers that do not say it themselves: MPEG-1 and
//! MPEG-2 (ISO/IEC 11172-2, 2.4.2.3; 13818-2, 6.2.2), H.264 and H.265.

use super::{at, ratio};
use crate::model::VideoTrack;
use crate::probe::sps::Shape;
use crate::probe::{h264, h265, sample};

/// The start of a sequence header.
const SEQUENCE: [u8; 4] = [0, 0, 1, 0xB3];
const EXTENSION: [u8; 4] = [0, 0, 1, 0xB5];

/// Reads the first sequence header or parameter set of a stream of this codec into the track.
pub(super) fn read(codec: &str, stream: &[u8], track: &mut VideoTrack) {
    if let Some(Shape { width, height, rate }) = shape(codec, stream) {
        (track.width, track.height, track.frame_rate) = (Some(width), Some(height), rate);
    }
}

pub(super) fn shape(codec: &str, stream: &[u8]) -> Option<Shape> {
    match codec {
        "h264" => sample::unit_behind_start_code(stream, h264::classify).and_then(h264::shape),
        "hevc" => sample::unit_behind_start_code(stream, h265::classify).and_then(h265::shape),
        "mpeg1video" | "mpeg2video" => sequence(stream).map(|(shape, _)| shape),
        _ => None,
    }
}

/// Returns what the first sequence header in these bytes says, and whether it is MPEG-2.
pub(super) fn sequence(stream: &[u8]) -> Option<(Shape, bool)> {
    let start = stream.windows(4).position(|window| window == SEQUENCE)? + 4;
    let [w, wh, h, code, ..] = at::<8>(stream, start)?;
    let (mut width, mut height) =
        (u32::from(w) << 4 | u32::from(wh >> 4), u32::from(wh & 15) << 8 | u32::from(h));
    let mut rate = frame_rate(code & 15);
    // The extension directly follows the header, which may hold two matrices (6.2.2.1).
    let rest = &stream[start..];
    let extension = rest.windows(4).position(|window| window[..3] == [0, 0, 1]);
    let extension =
        extension.filter(|at| rest[*at..].starts_with(&EXTENSION)).and_then(|found| at::<6>(rest, found + 4));
    if let Some([_, sizes, more, _, _, rates]) = extension.filter(|[id, ..]| id >> 4 == 1) {
        width |= u32::from(sizes & 1) << 13 | u32::from(more >> 7) << 12;
        height |= u32::from(more >> 5 & 3) << 12;
        let (n, d) = (f64::from(rates >> 5 & 3), f64::from(rates & 31));
        rate = rate.and_then(|rate| ratio(rate * (n + 1.0), d + 1.0));
    }
    Some((Shape { width, height, rate }, extension.is_some()))
}

/// Frames per second by their code (13818-2, table 6-4).
fn frame_rate(code: u8) -> Option<f64> {
    Some(match code {
        1 => 24_000.0 / 1001.0,
        2 => 24.0,
        3 => 25.0,
        4 => 30_000.0 / 1001.0,
        5 => 30.0,
        6 => 50.0,
        7 => 60_000.0 / 1001.0,
        8 => 60.0,
        _ => return None,
    })
}

//! What program and transport streams have in common: PES packets and their time stamps (ISO/IEC 13818-1, 2.4.3.6;
//! 11172-1, 2.4.4.3).

use super::{at, ratio, usual_rate};
use crate::model::VideoTrack;

/// Time stamps count 90,000 a second, in 33 bits: after 26.5 hours they start over.
const CLOCK: u32 = 90_000;
const WRAP: u64 = 1 << 33;
/// Maximum stuffing bytes in the header of an MPEG-1 packet.
const MAX_STUFFING: usize = 16;

/// The header of a PES packet.
pub(super) struct Pes {
    /// When its picture is presented.
    pub(super) presented: u64,
    /// When it is decoded, if that is earlier.
    pub(super) decoded: u64,
}

/// Returns whether a stream ID is video's.
pub(super) fn is_video(id: u8) -> bool {
    matches!(id, 0xE0..=0xEF | 0xFD)
}

/// Reads a packet after its length: its time stamps, if it has any, and its content.
pub(super) fn packet(body: &[u8]) -> Option<(Option<Pes>, &[u8])> {
    let (stamps, end) = match body.first()? >> 6 {
        2 => {
            let end = 3 + usize::from(*body.get(2)?);
            (body.get(3..).filter(|_| body[1] & 0x80 != 0), end)
        }
        // MPEG-1: stuffing, and the size of the buffer.
        _ => {
            let stuffing = body.iter().take(MAX_STUFFING).take_while(|byte| **byte == 0xFF).count();
            let buffer = if body.get(stuffing)? >> 6 == 1 { 2 } else { 0 };
            let rest = body.get(stuffing + buffer..)?;
            let len = match rest.first()? >> 4 {
                2 => 5,
                3 => 10,
                _ => 1,
            };
            (Some(rest).filter(|_| len > 1), stuffing + buffer + len)
        }
    };
    let presented = stamps.and_then(|stamps| stamp(at(stamps, 0)?));
    let times = presented.map(|presented| {
        let stamps = stamps.unwrap_or_default();
        let decoded = (stamps[0] >> 4 == 3).then(|| stamp(at(stamps, 5)?)).flatten();
        Pes { presented, decoded: decoded.unwrap_or(presented) }
    });
    Some((times, body.get(end..).unwrap_or_default()))
}

/// Reads a time stamp: 3, 15 and 15 bits, each followed by a bit that is 1.
fn stamp(bytes: [u8; 5]) -> Option<u64> {
    let [a, b, c, d, e] = bytes.map(u64::from);
    let is_marked = a & c & e & 1 == 1;
    is_marked.then_some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

/// Sets the duration of a stream, from when its first picture is decoded to the end of its last one, by the time stamps
/// at the end of the file; and its frame rate, if its header has none or one that is too low. Returns whether there is any time stamp.
pub(super) fn set_timing(track: &mut VideoTrack, first: u64, end: impl Iterator<Item = Pes>) -> bool {
    let stamps: Vec<u64> = end.map(|times| times.presented).collect();
    let Some(last) = stamps.iter().copied().max() else { return false };
    let shown = usual_rate(stamps.into_iter(), CLOCK);
    // Some encoders state half of it, because a tick is a field's.
    track.frame_rate = match (track.frame_rate, shown) {
        (Some(stated), Some(shown)) if shown < 1.1 * stated => Some(stated),
        (stated, shown) => shown.or(stated),
    };
    let ticks = match last < first && first - last > WRAP / 2 {
        true => last + WRAP - first,
        false => last.saturating_sub(first),
    };
    let frame = track.frame_rate.map_or(0.0, |rate| 1.0 / rate);
    track.duration_s = ratio(ticks as f64 / f64::from(CLOCK) + frame, 1);
    true
}

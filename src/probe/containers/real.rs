//! RealMedia (RealNetworks, "RealMedia File Format", Helix community documentation).

use super::{Found, codecs, ratio};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View, malformed};

const PART: &str = "RealMedia header";
/// Length of a chunk's type, size and version.
const CHUNK: u64 = 10;

/// Reads the media properties of the streams. No header counts the frames. A stream's rate is the highest that its
/// encoder used.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    // Files of the first versions hold only sound.
    if view.array(0, PART)? == *b".ra\xfd" {
        return Ok(());
    }
    let mut at = 0;
    while at + CHUNK <= view.size() {
        let [kind @ .., s0, s1, s2, s3] = view.array::<8>(at, PART)?;
        let len = u64::from(u32::from_be_bytes([s0, s1, s2, s3]));
        match &kind {
            b"DATA" => break,
            b"MDPR" if found.track.is_none() => found.track = stream(view, at + CHUNK, at + len)?,
            _ => {}
        }
        if len < CHUNK {
            return Err(malformed(PART, at, "has a chunk that is smaller than its own header"));
        }
        at += len;
    }
    Ok(())
}

/// Reads the properties of a stream; `None` if it isn't video.
fn stream(view: View<'_>, body: u64, end: u64) -> Parse<Option<VideoTrack>> {
    let byte = |at: u64| Ok(u64::from(view.array::<1>(at, PART)?[0]));
    // After the number of the stream, bit rates, packet sizes, start and preroll: its length in milliseconds, then two
    // texts after their lengths, then the data of its type.
    let milliseconds = u32::from_be_bytes(view.array(body + 26, PART)?);
    let name = body + 30;
    let mime = name + 1 + byte(name)?;
    let data = mime + 1 + byte(mime)? + 4;
    // Its length, `VIDO`, the codec, width, height, and the rate in 16.16 bits.
    if data + 26 > end {
        return Ok(None);
    }
    let [head @ .., w1, w0, h1, h0, _, _, _, _, _, _, f3, f2, f1, f0] = view.array::<26>(data, PART)?;
    let [_, _, _, _, kind @ .., c0, c1, c2, c3] = head;
    if &kind != b"VIDO" {
        return Ok(None);
    }
    Ok(Some(VideoTrack {
        codec: Some(codecs::of_four_bytes([c0, c1, c2, c3])),
        width: Some(u16::from_be_bytes([w1, w0]).into()),
        height: Some(u16::from_be_bytes([h1, h0]).into()),
        frame_rate: rate(u32::from_be_bytes([f3, f2, f1, f0])),
        duration_s: ratio(milliseconds, 1000),
        ..VideoTrack::default()
    }))
}

/// Returns a rate of 16.16 bits. ffmpeg cuts 30000/1001 and its like off to whole frames.
fn rate(fixed: u32) -> Option<f64> {
    match Some(fixed >> 16).filter(|_| fixed & 0xFFFF == 0) {
        Some(cut @ (14 | 23 | 29 | 47 | 59)) => ratio((cut + 1) * 1000, 1001),
        _ => ratio(fixed, 1 << 16),
    }
}

//! Advanced Systems Format: WMV (Microsoft, "Advanced Systems Format Specification", revision 01.20.05).

use super::{Found, asf_packets as packets, codecs, ratio};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View, malformed};

const PART: &str = "ASF header";
/// Times are in units of 100 ns.
const SECOND: f64 = 1e7;
/// Identifiers of objects (section 10).
const FILE_PROPERTIES: u128 = 0x8CABDCA1_A947_11CF_8EE4_00C00C205365;
const STREAM_PROPERTIES: u128 = 0xB7DC0791_A9B7_11CF_8EE6_00C00C205365;
const HEADER_EXTENSION: u128 = 0x5FBF03B5_A92E_11CF_8EE3_00C00C205365;
const EXTENDED_STREAM_PROPERTIES: u128 = 0x14E6A5CB_C672_4332_8399_A96952065B5A;
const VIDEO_MEDIA: u128 = 0xBC19EFC0_5B4D_11CF_A8FD_00805F5C442B;
/// The flag of a file that was being broadcast: its times are not valid (3.2).
const BROADCAST: u32 = 1;

/// Reads the objects in the header. None counts the frames; the extended properties of a stream have the average time
/// of a frame (4.1). Many writers leave it out; then the first frames show the rate.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    let header_end = length(view, 16)?;
    let end = header_end.min(view.size());
    // After identifier, size and the number of objects; two bytes are reserved (3.1).
    let mut at = 30;
    let (mut seconds, mut frame_times) = (None, Vec::new());
    let (mut number, mut packet_len) = (0, 0);
    while at + 24 <= end {
        let (id, len) = (identifier(view, at)?, length(view, at + 16)?);
        if len < 24 {
            return Err(malformed("ASF object", at, "is smaller than its own header"));
        }
        let body = at + 24;
        match id {
            FILE_PROPERTIES => {
                seconds = duration(view, body)?;
                packet_len = u32::from_le_bytes(view.array(body + 72, PART)?);
                // The file's size is valid where its times are (3.2).
                let size = length(view, body + 16)?;
                found.end = Some(size).filter(|size| seconds.is_some() && *size > view.size());
            }
            // Its objects are listed like those of the header (3.4).
            HEADER_EXTENSION => {
                at = body + 22;
                continue;
            }
            EXTENDED_STREAM_PROPERTIES if frame_times.len() < MAX_STREAMS => {
                let stream = u16::from_le_bytes(view.array(body + 48, PART)?);
                frame_times.push((stream, length(view, body + 52)?));
            }
            STREAM_PROPERTIES if found.track.is_none() && identifier(view, body)? == VIDEO_MEDIA => {
                let flags = u16::from_le_bytes(view.array(body + 48, PART)?);
                number = flags & 0x7F;
                found.track = Some(stream(view, body + 54, flags & 0x8000 != 0)?);
            }
            _ => {}
        }
        at = at.saturating_add(len);
    }
    let Some(track) = &mut found.track else { return Ok(()) };
    let time = frame_times.iter().find(|(stream, time)| *stream == number && *time > 0);
    track.frame_rate = time.and_then(|(_, time)| ratio(SECOND, *time as f64));
    track.duration_s = seconds;
    if track.frame_rate.is_none() && seconds.is_some() && packet_len > 0 {
        track.frame_rate = packets::frame_rate(view, header_end, packet_len, number)?;
    }
    Ok(())
}

/// Maximum streams of a file (a stream's number has seven bits, 3.3).
const MAX_STREAMS: usize = 128;

/// Returns the duration in seconds: the time to play the file, without the time before that in which it is buffered
/// (3.2).
fn duration(view: View<'_>, body: u64) -> Parse<Option<f64>> {
    let (played, preroll) = (length(view, body + 40)?, length(view, body + 56)?);
    let flags = u32::from_le_bytes(view.array(body + 64, PART)?);
    let seconds = played as f64 / SECOND - preroll as f64 / 1000.0;
    Ok(Some(seconds).filter(|seconds| flags & BROADCAST == 0 && *seconds > 0.0))
}

/// Reads the properties of a video stream (9.2): dimensions, then a bitmap header.
fn stream(view: View<'_>, at: u64, encrypted: bool) -> Parse<VideoTrack> {
    let long = |at: u64| Ok(u32::from_le_bytes(view.array(at, PART)?));
    let codec = codecs::of_four_bytes(view.array(at + 11 + 16, PART)?);
    let (width, height) = (Some(long(at)?), Some(long(at + 4)?));
    Ok(VideoTrack { codec: Some(codec), width, height, encrypted, ..VideoTrack::default() })
}

fn length(view: View<'_>, at: u64) -> Parse<u64> {
    Ok(u64::from_le_bytes(view.array(at, PART)?))
}

/// Reads an identifier, whose first three numbers are stored from the lowest byte on.
fn identifier(view: View<'_>, at: u64) -> Parse<u128> {
    let [a, b, c, d, e, f, g, h, rest @ ..] = view.array::<16>(at, PART)?;
    let [i, j, k, l, m, n, o, p] = rest;
    Ok(u128::from_be_bytes([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]))
}

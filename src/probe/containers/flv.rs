//! Flash Video (Adobe Flash Video File Format Specification 10.1, annex E).

use super::{Found, PICTURES, at, codecs, tail, usual_rate, wished};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View};

const PART: &str = "FLV tag";
/// Maximum tags before the first one with a picture: the metadata, and sound.
const MAX_TAGS: u32 = 16;
/// Bytes of the metadata in which the properties are: a list of key frames, which may be long, comes after them.
const MAX_METADATA: u64 = 2 << 10;
/// Maximum properties of the metadata. Writers have up to 30.
const MAX_PROPERTIES: u32 = 128;

/// Reads the properties in `onMetaData` (E.5), and the codec of the first picture. No header counts the frames. A
/// recording that was not finished has no duration in its metadata; its last tag tells. Without a frame rate, the times
/// of the first pictures show one.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    let [flags, header @ ..] = view.array::<5>(4, "FLV header")?;
    let mut next = u64::from(u32::from_be_bytes(header)) + 4;
    let mut track = VideoTrack::default();
    for _ in 0..MAX_TAGS {
        if next + 12 > view.size() {
            break;
        }
        let Tag { kind, body, len, .. } = Tag::read(view, next)?;
        match kind {
            SCRIPT if track.frame_rate.is_none() => {
                let known = len.min(MAX_METADATA).min(view.size().saturating_sub(body));
                properties(view.bytes(body, known, PART)?, &mut track);
            }
            VIDEO if len > 0 => {
                let head = view.bytes(body, 5.min(len), PART)?;
                track.codec = codec(head).or(track.codec);
                found.track = Some(track);
                break;
            }
            _ => {}
        }
        next = body + len + 4;
        if flags & 1 != 0 {
            found.track = Some(track.clone());
        }
    }
    let Some(track) = &mut found.track else { return Ok(()) };
    if track.frame_rate.is_none() {
        track.frame_rate = shown_rate(view, next)?;
    }
    if track.duration_s.is_none() {
        track.duration_s = last_time(view, next)?;
    }
    Ok(())
}

/// Returns the frame rate that the times of the first pictures show.
fn shown_rate(view: View<'_>, from: u64) -> Parse<Option<f64>> {
    let from = from.min(view.size());
    let mut rest = wished(view.bytes(from, PICTURES.min(view.size() - from), PART))?;
    let mut times = Vec::new();
    while let Some([kind, l2, l1, l0, t2, t1, t0, t3]) = at::<8>(rest, 0) {
        if kind & 0x1F == VIDEO {
            times.push(u64::from(u32::from_be_bytes([t3, t2, t1, t0])));
        }
        let len = u32::from_be_bytes([0, l2, l1, l0]) as usize + 15;
        rest = rest.get(len..).unwrap_or_default();
    }
    Ok(usual_rate(times.into_iter(), 1000))
}

const VIDEO: u8 = 9;
const SCRIPT: u8 = 18;

struct Tag {
    kind: u8,
    /// In milliseconds.
    time: u32,
    body: u64,
    len: u64,
}

impl Tag {
    fn read(view: View<'_>, at: u64) -> Parse<Self> {
        let [kind, l2, l1, l0, t2, t1, t0, t3] = view.array(at, PART)?;
        let len = u64::from(u32::from_be_bytes([0, l2, l1, l0]));
        Ok(Self { kind: kind & 0x1F, time: u32::from_be_bytes([t3, t2, t1, t0]), body: at + 11, len })
    }
}

/// Returns the time of the last tag, in seconds: each is followed by its length (E.3).
fn last_time(view: View<'_>, from: u64) -> Parse<Option<f64>> {
    let (_, end) = tail(view, 4, from)?;
    let Some(len) = at::<4>(end, 0).map(|len| u64::from(u32::from_be_bytes(len))) else { return Ok(None) };
    let start = (view.size() - 4).checked_sub(len).filter(|start| *start >= from && len >= 11);
    let Some(start) = start else { return Ok(None) };
    let Tag { kind, time, len: body, .. } = wished(Tag::read(view, start))?;
    let is_tag = matches!(kind, 8 | VIDEO | SCRIPT) && body + 11 == len;
    Ok((is_tag && time > 0).then(|| f64::from(time) / 1000.0))
}

/// Returns the codec of a video tag (E.4.3; for the other kind of header, Enhanced RTMP, version 1).
fn codec(body: &[u8]) -> Option<std::borrow::Cow<'static, str>> {
    let first = *body.first()?;
    match first & 0x80 != 0 {
        true => at(body, 1).map(codecs::of_four_bytes),
        false => by_number(first & 15).map(Into::into),
    }
}

fn by_number(number: u8) -> Option<&'static str> {
    Some(match number {
        2 => "flv1",
        3 => "flashsv",
        4 => "vp6f",
        5 => "vp6a",
        6 => "flashsv2",
        7 => "h264",
        8 => "h263",
        9 => "mpeg4",
        12 => "hevc",
        13 => "av1",
        _ => return None,
    })
}

/// Reads the properties of `onMetaData` into the track: values of AMF 0 after its name (E.4.4.2).
fn properties(body: &[u8], track: &mut VideoTrack) -> Option<()> {
    let mut rest = body.strip_prefix(b"\x02\0\x0aonMetaData")?;
    rest = match rest.first()? {
        3 => rest.get(1..)?,
        // The number of elements is a hint only.
        8 => rest.get(5..)?,
        _ => return None,
    };
    for _ in 0..MAX_PROPERTIES {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let (kind, value) = after.split_first()?;
        let number = at::<8>(value, 0).map(f64::from_be_bytes).filter(|_| *kind == 0);
        let number = number.filter(|number| number.is_finite() && *number > 0.0);
        match name {
            b"duration" => track.duration_s = number,
            b"framerate" | b"videoframerate" => track.frame_rate = number.or(track.frame_rate),
            b"width" => track.width = number.map(|pixels| pixels as u32),
            b"height" => track.height = number.map(|pixels| pixels as u32),
            b"videocodecid" => {
                let code = number.filter(|code| *code < f64::from(u8::MAX)).map(|code| code as u8);
                track.codec = code.and_then(by_number).map(Into::into);
            }
            _ => {}
        }
        let len = match kind {
            0 => 8,
            1 => 1,
            2 => 2 + usize::from(u16::from_be_bytes(at(value, 0)?)),
            5 | 6 => 0,
            11 => 10,
            // The others hold values themselves, and come last.
            _ => return None,
        };
        rest = value.get(len..)?;
    }
    None
}

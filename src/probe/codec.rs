//! Codec and pixel format, from a track's sample descriptions (ISO/IEC 14496-12, 8.5.2 and 12.1.3).

use bytes::Bytes;
use scuffle_h264::{AVCDecoderConfigurationRecord, Sps};
use scuffle_h265::{self as h265, HEVCDecoderConfigurationRecord, SpsNALUnit};

use super::bmff::{Bmff, Boxes};
use super::view::{Parse, Stop, View, malformed};
use crate::model::{FourCc, VideoTrack};

/// Length of a visual sample entry before its boxes (12.1.3.2).
const VISUAL_ENTRY: u64 = 78;
/// Sample descriptions that are looked at. Files joined from several sources have two or three.
const MAX_DESCRIPTIONS: u64 = 32;
/// Bytes of a codec's configuration that are read. Real ones take 40 to 200, and some 4 KiB with many parameter sets.
const MAX_CONFIGURATION: u64 = 64 << 10;

/// Reads codec, pixel format and dimensions into `track`. With several descriptions, all must agree on the pixel
/// format, or it is not known.
pub(super) fn read(view: View<'_>, stsd: Bmff, track: &mut VideoTrack) -> Parse<()> {
    let (_, body) = stsd.full(view, "sample descriptions")?;
    let count = u64::from(u32::from_be_bytes(view.array(body, "sample descriptions")?));
    let mut entries = Boxes::new(view, body + 4, stsd.end);
    for index in 0..count.min(MAX_DESCRIPTIONS) {
        let Some(entry) = entries.next()? else { break };
        let described = describe(view, entry)?;
        if index == 0 {
            *track = described;
        } else if described.pixel_format != track.pixel_format {
            track.pixel_format = None;
        }
    }
    if track.codec.is_none() {
        return Err(malformed("sample descriptions", stsd.at, "have no entry"));
    }
    Ok(())
}

fn describe(view: View<'_>, entry: Bmff) -> Parse<VideoTrack> {
    if entry.end - entry.body < VISUAL_ENTRY {
        return Err(malformed("sample description", entry.at, "is too short"));
    }
    let [w1, w0, h1, h0] = view.array(entry.body + 24, "sample description")?;
    let mut parts = Parts::default();
    let mut boxes = Boxes::new(view, entry.body + VISUAL_ENTRY, entry.end);
    // Old QuickTime entries end in bytes that are no boxes: what was found before them counts.
    while let Some(found) = match boxes.next() {
        Err(Stop::Malformed(_)) => None,
        other => other?,
    } {
        match &found.kind.0 {
            b"avcC" | b"hvcC" | b"av1C" | b"vpcC" | b"esds" if parts.configuration.is_none() => {
                let len = (found.end - found.body).min(MAX_CONFIGURATION);
                parts.configuration = Some((found.kind, view.bytes(found.body, len, "codec configuration")?));
            }
            b"colr" => parts.full_range = parts.full_range.or(colour_range(view, found)?),
            b"sinf" => {
                if let Some(original) = Boxes::inside(view, found).find(b"frma")? {
                    parts.original = Some(FourCc(view.array(original.body, "original format")?));
                }
            }
            _ => {}
        }
    }
    let (codec, pixel_format) = name_codec(parts.original.unwrap_or(entry.kind), &parts);
    let pixels = |high, low| Some(u32::from(u16::from_be_bytes([high, low])));
    Ok(VideoTrack {
        codec: Some(codec),
        pixel_format,
        width: pixels(w1, w0),
        height: pixels(h1, h0),
        ..VideoTrack::default()
    })
}

/// What the boxes of a sample entry say.
#[derive(Default)]
struct Parts<'a> {
    configuration: Option<(FourCc, &'a [u8])>,
    /// The full-range flag of `colr` of type `nclx` (12.1.5).
    full_range: Option<bool>,
    /// The format under an encryption (8.12.3).
    original: Option<FourCc>,
}

impl<'a> Parts<'a> {
    fn configuration(&self, kind: &[u8; 4]) -> Option<&'a [u8]> {
        self.configuration.filter(|(found, _)| &found.0 == kind).map(|(_, bytes)| bytes)
    }
}

fn colour_range(view: View<'_>, colr: Bmff) -> Parse<Option<bool>> {
    if colr.end - colr.body < 11 || &view.array::<4>(colr.body, "colour information")? != b"nclx" {
        return Ok(None);
    }
    let [flags] = view.array(colr.body + 10, "colour information")?;
    Ok(Some(flags & 0x80 != 0))
}

/// The codec as ffprobe names it, or the four bytes of an unknown one, and its pixel format where it is known.
fn name_codec(kind: FourCc, parts: &Parts<'_>) -> (String, Option<&'static str>) {
    let (name, format) = match &kind.0 {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" | b"dva1" | b"dvav" => {
            ("h264", parts.configuration(b"avcC").and_then(|record| h264(record, parts.full_range)))
        }
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => ("hevc", parts.configuration(b"hvcC").and_then(hevc)),
        b"av01" => ("av1", parts.configuration(b"av1C").and_then(av1)),
        b"vp09" => ("vp9", parts.configuration(b"vpcC").and_then(vp9)),
        b"vp08" => ("vp8", Some("yuv420p")),
        b"mp4v" => return mpeg4_systems(parts.configuration(b"esds")),
        b"s263" | b"h263" | b"H263" => ("h263", Some("yuv420p")),
        b"jpeg" | b"mjpa" | b"mjpb" | b"MJPG" => ("mjpeg", None),
        b"apch" | b"apcn" | b"apcs" | b"apco" => ("prores", Some("yuv422p10le")),
        b"ap4h" | b"ap4x" => ("prores", None),
        _ => return (kind.to_string(), None),
    };
    (name.to_owned(), format)
}

/// Chroma format, bit depth and range of the first sequence parameter set (ITU-T H.264, 7.3.2.1.1 and E.1.1) in the
/// configuration record (ISO/IEC 14496-15, 5.3.3.1). A set that is silent about the range leaves it to `colr`.
fn h264(record: &[u8], colr_full_range: Option<bool>) -> Option<&'static str> {
    let record =
        AVCDecoderConfigurationRecord::parse(&mut std::io::Cursor::new(Bytes::copy_from_slice(record)))
            .ok()?;
    let sps = Sps::parse_with_emulation_prevention(std::io::Cursor::new(record.sps.first()?)).ok()?;
    let (chroma, depth) = match &sps.ext {
        Some(ext)
            if ext.bit_depth_luma_minus8 != ext.bit_depth_chroma_minus8 && ext.chroma_format_idc != 0 =>
        {
            return None;
        }
        Some(ext) => (ext.chroma_format_idc, ext.bit_depth_luma_minus8 + 8),
        None => (1, 8),
    };
    let colour = sps.color_config.as_ref();
    let full_range = colour.map_or(colr_full_range.unwrap_or(false), |colour| colour.video_full_range_flag);
    let rgb = colour.is_some_and(|colour| colour.matrix_coefficients == 0);
    h264_format(chroma, depth, full_range, rgb)
}

/// The name that ffmpeg's H.264 decoder gives to what a sequence parameter set describes. Monochrome is decoded
/// into 4:2:0; full range has names of its own for 8 bits only.
fn h264_format(chroma: u8, depth: u8, full_range: bool, rgb: bool) -> Option<&'static str> {
    Some(match (chroma, depth, full_range, rgb) {
        (3, 8, _, true) => "gbrp",
        (3, 9, _, true) => "gbrp9le",
        (3, 10, _, true) => "gbrp10le",
        (0 | 1, 8, false, _) => "yuv420p",
        (0 | 1, 8, true, _) => "yuvj420p",
        (2, 8, false, _) => "yuv422p",
        (2, 8, true, _) => "yuvj422p",
        (3, 8, false, _) => "yuv444p",
        (3, 8, true, _) => "yuvj444p",
        (0 | 1, 9, ..) => "yuv420p9le",
        (2, 9, ..) => "yuv422p9le",
        (3, 9, ..) => "yuv444p9le",
        (0 | 1, 10, ..) => "yuv420p10le",
        (2, 10, ..) => "yuv422p10le",
        (3, 10, ..) => "yuv444p10le",
        (0 | 1, 12, ..) => "yuv420p12le",
        (2, 12, ..) => "yuv422p12le",
        (3, 12, ..) => "yuv444p12le",
        (0 | 1, 14, ..) => "yuv420p14le",
        (2, 14, ..) => "yuv422p14le",
        (3, 14, ..) => "yuv444p14le",
        _ => return None,
    })
}

/// Chroma format, bit depth and range of the first sequence parameter set (ITU-T H.265, 7.3.2.2.1 and E.2.1) in the
/// configuration record (ISO/IEC 14496-15, 8.3.3.1). For HEVC, `colr` does not change the range.
fn hevc(record: &[u8]) -> Option<&'static str> {
    let record = HEVCDecoderConfigurationRecord::demux(record).ok()?;
    let sets = record.arrays.iter().find(|array| array.nal_unit_type == h265::NALUnitType::SpsNut)?;
    let sps = SpsNALUnit::parse(std::io::Cursor::new(sets.nalus.first()?)).ok()?.rbsp;
    let (depth, of_chroma) = (sps.bit_depth_y(), sps.bit_depth_c());
    if depth != of_chroma && sps.chroma_format_idc != 0 {
        return None;
    }
    let signal = sps.vui_parameters.as_ref().map(|vui| &vui.video_signal_type);
    let full_range = signal.is_some_and(|signal| signal.video_full_range_flag);
    let rgb = signal.is_some_and(|signal| signal.matrix_coeffs == 0);
    Some(match (sps.chroma_format_idc, depth) {
        (0, 8) => "gray",
        (0, 10) => "gray10le",
        (0, 12) => "gray12le",
        (chroma, depth) => h264_format(chroma, depth, full_range, rgb)?,
    })
}

/// The configuration record's third byte (AV1 in ISOBMFF 1.2, 2.3.3). 4:4:4 may be RGB, which it does not show.
fn av1(record: &[u8]) -> Option<&'static str> {
    let bits = record.get(2)?;
    let (high, twelve, mono) = (bits & 0x40 != 0, bits & 0x20 != 0, bits & 0x10 != 0);
    Some(match (mono, bits >> 2 & 3, high, twelve) {
        (true, _, false, _) => "gray",
        (true, _, true, false) => "gray10le",
        (true, _, true, true) => "gray12le",
        (false, 3, false, _) => "yuv420p",
        (false, 3, true, false) => "yuv420p10le",
        (false, 3, true, true) => "yuv420p12le",
        (false, 2, false, _) => "yuv422p",
        (false, 2, true, false) => "yuv422p10le",
        (false, 2, true, true) => "yuv422p12le",
        _ => return None,
    })
}

/// Bit depth and subsampling (VP Codec ISO Media File Format Binding 1.0). 4:4:4 may be RGB. Full range has no name
/// of its own.
fn vp9(record: &[u8]) -> Option<&'static str> {
    let bits = record.get(6)?;
    Some(match (bits >> 1 & 7, bits >> 4) {
        (0 | 1, 8) => "yuv420p",
        (0 | 1, 10) => "yuv420p10le",
        (0 | 1, 12) => "yuv420p12le",
        (2, 8) => "yuv422p",
        (2, 10) => "yuv422p10le",
        (2, 12) => "yuv422p12le",
        _ => return None,
    })
}

/// The codec behind `mp4v`, by the object type of its elementary stream descriptor (ISO/IEC 14496-1, 7.2.6.6).
fn mpeg4_systems(esds: Option<&[u8]>) -> (String, Option<&'static str>) {
    let (name, format) = match esds.and_then(object_type) {
        Some(0x20) | None => ("mpeg4", Some("yuv420p")),
        // Writers give the main profile's number to every profile, 4:2:2 included.
        Some(0x60..=0x65) => ("mpeg2video", None),
        Some(0x6A) => ("mpeg1video", Some("yuv420p")),
        Some(0x6C) => ("mjpeg", None),
        Some(0x21) => ("h264", None),
        Some(0x23) => ("hevc", None),
        Some(other) => return (format!("mp4v.{other:02x}"), None),
    };
    (name.to_owned(), format)
}

/// The object type: the first byte of the decoder configuration (tag 4) in the stream's descriptor (tag 3).
fn object_type(esds: &[u8]) -> Option<u8> {
    let (tag, body) = descriptor(esds.get(4..)?)?;
    if tag == 4 {
        return body.first().copied();
    }
    // Behind the stream's number: flags, and what they announce.
    let flags = *body.get(2)?;
    let mut at = 3;
    if flags & 0x80 != 0 {
        at += 2;
    }
    if flags & 0x40 != 0 {
        at += 1 + usize::from(*body.get(at)?);
    }
    if flags & 0x20 != 0 {
        at += 2;
    }
    match (tag, descriptor(body.get(at..)?)?) {
        (3, (4, configuration)) => configuration.first().copied(),
        _ => None,
    }
}

/// A descriptor's tag and body (ISO/IEC 14496-1, 8.3.3): its length takes one to four bytes of seven bits each.
fn descriptor(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (mut len, mut at) = (0usize, 0);
    loop {
        let byte = *rest.get(at)?;
        len = len << 7 | usize::from(byte & 0x7F);
        at += 1;
        if byte & 0x80 == 0 || at == 4 {
            break;
        }
    }
    let body = rest.get(at..)?;
    Some((*tag, &body[..len.min(body.len())]))
}

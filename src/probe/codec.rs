//! Codec and pixel format, from a track's sample descriptions (ISO/IEC 14496-12, 8.5.2 and 12.1.3).

use std::borrow::Cow;

use super::bmff::{Bmff, Boxes};
use super::pixels::{self, Pixels};
use super::sample::{CONFIGURATION, Sample};
use super::view::{Parse, Stop, View, malformed};
use super::{ffv1, pixel_names};
use crate::model::{FourCc, VideoTrack};

/// Length of a visual sample entry before its boxes (12.1.3.2).
const VISUAL_ENTRY: u64 = 78;
/// Maximum sample descriptions read. Files joined from several sources have two or three.
const MAX_DESCRIPTIONS: u64 = 32;
/// Maximum bytes read of a codec's configuration. Real ones take 40 to 200, some with many parameter sets 4 KiB.
const MAX_CONFIGURATION: u64 = 64 << 10;

/// Reads codec, pixel format and dimensions into `track`, and returns how the first sample shows the pixel format if
/// no description does. If there are several descriptions that disagree on the pixel format, it is unknown.
pub(super) fn read(view: View<'_>, stsd: Bmff, track: &mut VideoTrack) -> Parse<Option<Sample>> {
    let (_, body) = stsd.full(view, "sample descriptions")?;
    let count = u64::from(u32::from_be_bytes(stsd.field(view, body, "sample descriptions")?));
    let mut entries = Boxes::new(view, body + 4, stsd.end);
    let mut pixels = Pixels::Unknown;
    for index in 0..count.min(MAX_DESCRIPTIONS) {
        let Some(entry) = entries.next()? else { break };
        let (described, shown) = describe(view, entry)?;
        if index == 0 {
            (*track, pixels) = (described, shown);
        } else if shown != pixels {
            pixels = Pixels::Unknown;
        }
    }
    if track.codec.is_none() {
        return Err(malformed("sample descriptions", stsd.at, "have no entries"));
    }
    match pixels {
        Pixels::Format(format) => track.pixel_format = Some(format.into()),
        Pixels::InSample(sample) => return Ok(Some(sample)),
        Pixels::Unknown => {}
    }
    Ok(None)
}

fn describe(view: View<'_>, entry: Bmff) -> Parse<(VideoTrack, Pixels)> {
    if entry.end - entry.body < VISUAL_ENTRY {
        return Err(malformed("sample description", entry.at, "is too short"));
    }
    let [w1, w0, h1, h0] = view.array(entry.body + 24, "sample description")?;
    let mut parts = Parts::default();
    let mut boxes = Boxes::new(view, entry.body + VISUAL_ENTRY, entry.end);
    // Old QuickTime entries end in bytes that aren't boxes: the boxes before them still count.
    while let Some(found) = match boxes.next() {
        Err(Stop::Malformed(_)) => None,
        other => other?,
    } {
        match &found.kind.0 {
            b"avcC" | b"hvcC" | b"av1C" | b"vpcC" | b"esds" | b"glbl" if parts.configuration.is_none() => {
                let len = (found.end - found.body).min(MAX_CONFIGURATION);
                parts.configuration = Some((found.kind, view.bytes(found.body, len, "codec configuration")?));
                view.spend(CONFIGURATION)?;
            }
            // Of several, ffmpeg uses the last.
            b"colr" => parts.full_range = colour_range(view, found)?.or(parts.full_range),
            b"sinf" => {
                if let Some(original) = Boxes::inside(view, found).find(b"frma")? {
                    parts.original = Some(FourCc(original.field(view, original.body, "original format")?));
                }
            }
            _ => {}
        }
    }
    let encrypted = parts.original.is_some() || entry.is(b"encv");
    let (codec, mut shown) = name_codec(parts.original.unwrap_or(entry.kind), &parts);
    if encrypted && matches!(shown, Pixels::InSample(_)) {
        shown = Pixels::Unknown;
    }
    let pixels = |high, low| Some(u32::from(u16::from_be_bytes([high, low])));
    let (width, height) = (pixels(w1, w0), pixels(h1, h0));
    Ok((VideoTrack { codec: Some(codec), width, height, encrypted, ..VideoTrack::default() }, shown))
}

/// The boxes of a sample entry.
#[derive(Default)]
struct Parts<'a> {
    configuration: Option<(FourCc, &'a [u8])>,
    /// The full-range flag of `colr` of type `nclx` (12.1.5).
    full_range: Option<bool>,
    /// The original format of an encrypted track (8.12.3).
    original: Option<FourCc>,
}

impl<'a> Parts<'a> {
    fn configuration(&self, kind: &[u8; 4]) -> Option<&'a [u8]> {
        self.configuration.filter(|(found, _)| &found.0 == kind).map(|(_, bytes)| bytes)
    }
}

fn colour_range(view: View<'_>, colr: Bmff) -> Parse<Option<bool>> {
    if colr.end - colr.body < 11 || &view.array::<4>(colr.body, "color information")? != b"nclx" {
        return Ok(None);
    }
    let [flags] = view.array(colr.body + 10, "color information")?;
    Ok(Some(flags & 0x80 != 0))
}

/// Returns the codec as ffprobe names it, or the four bytes of an unknown one, and what is known of its pixel format.
fn name_codec(kind: FourCc, parts: &Parts<'_>) -> (Cow<'static, str>, Pixels) {
    let configuration = |kind| parts.configuration(kind);
    match &kind.0 {
        b"mp4v" => return mpeg4_systems(configuration(b"esds")),
        // Encryption hides the pixel format.
        b"encv" => return ("encv".into(), Pixels::Unknown),
        _ => {}
    }
    let Some(name) = name(&kind.0) else { return (kind.to_string().into(), Pixels::Unknown) };
    let shown = match name {
        "h264" => {
            pixels::of_avcc(configuration(b"avcC").unwrap_or_default(), parts.full_range).unwrap_or_default()
        }
        "hevc" => pixels::of_hvcc(configuration(b"hvcC").unwrap_or_default()).unwrap_or_default(),
        "av1" => configuration(b"av1C").and_then(pixels::av1).into(),
        "vp9" => configuration(b"vpcC").and_then(pixels::vp9).into(),
        "ffv1" => match configuration(b"glbl") {
            Some(record) => ffv1::of_record(record).and_then(pixel_names::ffv1).into(),
            None => Pixels::InSample(Sample::Ffv1),
        },
        "vp8" | "h263" | "mpeg4" | "mpeg1video" | "aic" => Pixels::Format("yuv420p"),
        "mpeg2video" => Pixels::InSample(Sample::Mpeg2),
        "mjpeg" | "mjpegb" => Pixels::InSample(Sample::Jpeg),
        "png" => Pixels::InSample(Sample::Png),
        "jpeg2000" => Pixels::InSample(Sample::Jpeg2000),
        "dvvideo" => Pixels::InSample(Sample::Dv),
        "dnxhd" => Pixels::InSample(Sample::Dnxhd),
        "cfhd" => Pixels::InSample(Sample::CineForm),
        "prores" => match &kind.0 {
            b"ap4h" | b"ap4x" => Pixels::InSample(Sample::ProRes4444),
            _ => Pixels::Format("yuv422p10le"),
        },
        "v210" => Pixels::Format("yuv422p10le"),
        "svq1" => Pixels::Format("yuv410p"),
        "svq3" => Pixels::Format("yuvj420p"),
        _ => Pixels::Unknown,
    };
    (name.into(), shown)
}

/// Returns whether a sample entry of this type is a video one.
pub(super) fn is_video(kind: &[u8; 4]) -> bool {
    name(kind).is_some() || matches!(kind, b"encv" | b"drmi" | b"resv")
}

/// Returns the codec of a sample entry, as ffprobe names it, for everything that ffmpeg accepts as video in MP4 and
/// QuickTime.
fn name(kind: &[u8; 4]) -> Option<&'static str> {
    Some(match kind {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" | b"dva1" | b"dvav" | b"AVin" | b"aivx" | b"rv64" | b"xalg"
        | b"avlg" | b"H264" | b"h264" | b"X264" | b"x264" => "h264",
        // AVC-Intra.
        [b'a', b'i', b'1' | b'5', b'p' | b'q' | b'2' | b'3' | b'5' | b'6'] => "h264",
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" | b"HEVC" => "hevc",
        b"vvc1" | b"vvi1" => "vvc",
        b"evc1" => "evc",
        b"av01" => "av1",
        b"vp08" | b"VP80" => "vp8",
        b"vp09" | b"VP90" => "vp9",
        b"VP31" => "vp3",
        b"mp4v" | b"DIVX" | b"XVID" | b"xvid" | b"DX50" | b"3IV2" => "mpeg4",
        b"s263" | b"h263" | b"H263" => "h263",
        b"jpeg" | b"mjpa" | b"AVDJ" | b"AVRn" | b"dmb1" | b"MJPG" => "mjpeg",
        b"mjpb" => "mjpegb",
        b"png " | b"MNG " | b"MPNG" => "png",
        b"mjp2" | b"MJ2C" => "jpeg2000",
        b"m1v " | b"m1v1" | b"mpeg" | b"mp1v" => "mpeg1video",
        // Used by camcorders and Final Cut Pro: HDV, IMX, XDCAM.
        b"m2v1" | b"mp2v" | b"AVmp" | b"xdhd" | b"xdh2" => "mpeg2video",
        [b'h', b'd', b'v', b'1'..=b'9' | b'a'] => "mpeg2video",
        [b'm', b'x', b'3' | b'4' | b'5', b'n' | b'p'] => "mpeg2video",
        [b'x', b'd', b'5', b'1' | b'4' | b'5' | b'9' | b'a'..=b'f'] => "mpeg2video",
        [b'x', b'd', b'v', b'1'..=b'9' | b'a'..=b'f'] => "mpeg2video",
        b"dvcp" | b"dvc " | b"dvlp" | b"dvl " | b"dvpp" | b"dv5p" | b"dv5n" | b"AVdv" | b"AVd1" => "dvvideo",
        [b'd', b'v', b'h', b'1'..=b'6' | b'p' | b'q'] => "dvvideo",
        b"AVdn" | b"AVdh" => "dnxhd",
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "prores",
        b"CFHD" => "cfhd",
        b"FFV1" => "ffv1",
        b"icod" => "aic",
        b"SVQ1" | b"svq1" | b"svqi" => "svq1",
        b"SVQ3" => "svq3",
        b"v210" | b"bxy2" => "v210",
        b"r210" => "r210",
        b"R10k" | b"R10g" => "r10k",
        b"raw " | b"yuv2" | b"2vuy" | b"yuvs" | b"v308" | b"v408" | b"v410" | b"BGRA" | b"RGBA" | b"ABGR"
        | b"24BG" | b"L555" | b"L565" | b"B565" | b"b16g" | b"b48r" | b"b64a" | b"WRAW" | b"AV1x"
        | b"AVup" => "rawvideo",
        b"rpza" => "rpza",
        b"cvid" => "cinepak",
        b"smc " => "smc",
        b"rle " => "qtrle",
        b"8BPS" => "8bps",
        b"gif " => "gif",
        b"tiff" => "tiff",
        b"tga " => "targa",
        b"vc-1" => "vc1",
        b"drac" => "dirac",
        b"flic" => "flic",
        b"pxlt" => "pixlet",
        [b'H', b'a', b'p', b'1' | b'5' | b'Y' | b'A' | b'M'] => "hap",
        b"DXD3" | b"DXDI" => "dxv",
        [b'M', b'8' | b'0' | b'2' | b'4', b'R' | b'Y' | b'G', _] => "magicyuv",
        [b'S', b'h', b'r', b'0'..=b'7'] => "sheervideo",
        _ => return None,
    })
}

/// Returns the codec of an `mp4v` entry, by the object type of its elementary stream descriptor (ISO/IEC 14496-1,
/// 7.2.6.6).
fn mpeg4_systems(esds: Option<&[u8]>) -> (Cow<'static, str>, Pixels) {
    let configuration = esds.and_then(decoder_configuration);
    let (name, shown) = match configuration.and_then(|configuration| configuration.first()) {
        Some(0x20) | None => ("mpeg4", Pixels::Format("yuv420p")),
        // Writers use the Main profile's number for every profile, including 4:2:2.
        Some(0x60..=0x65) => {
            let format = configuration.and_then(decoder_information).and_then(pixel_names::mpeg2);
            ("mpeg2video", format.map_or(Pixels::InSample(Sample::Mpeg2), Pixels::Format))
        }
        Some(0x6A) => ("mpeg1video", Pixels::Format("yuv420p")),
        Some(0x6C) => ("mjpeg", Pixels::InSample(Sample::Jpeg)),
        Some(0x6D) => ("png", Pixels::InSample(Sample::Png)),
        Some(0x6E) => ("jpeg2000", Pixels::InSample(Sample::Jpeg2000)),
        Some(0x21) => ("h264", Pixels::Unknown),
        Some(0x23) => ("hevc", Pixels::Unknown),
        Some(other) => return (format!("mp4v.{other:02x}").into(), Pixels::Unknown),
    };
    (name.into(), shown)
}

/// Returns the body of the decoder configuration (tag 4) in the stream's descriptor (tag 3); it starts with the
/// object type.
fn decoder_configuration(esds: &[u8]) -> Option<&[u8]> {
    let (tag, body) = descriptor(esds.get(4..)?)?;
    if tag == 4 {
        return Some(body);
    }
    // After the stream's ID: flags, and the fields that they announce.
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
        (3, (4, configuration)) => Some(configuration),
        _ => None,
    }
}

/// Returns the decoder-specific information (tag 5), after the 13 bytes of a decoder configuration (7.2.6.6).
fn decoder_information(configuration: &[u8]) -> Option<&[u8]> {
    let (tag, body) = descriptor(configuration.get(13..)?)?;
    (tag == 5).then_some(body)
}

/// Reads a descriptor's tag and body (ISO/IEC 14496-1, 8.3.3): its length takes one to four bytes of seven bits each.
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

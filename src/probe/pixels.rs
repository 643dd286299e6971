//! Pixel formats as ffprobe names them, from codec configurations or, where there is none, from the first sample.

use std::panic::{AssertUnwindSafe, catch_unwind};

use scuffle_av1::{ObuHeader, seq::SequenceHeaderObu};
use scuffle_h264::Sps;
use scuffle_h265::SpsNALUnit;

use super::jpeg;
use super::view::{Parse, View};

/// Type of HEVC's sequence parameter sets (ITU-T H.265, table 7-1).
const HEVC_SPS: u8 = 33;
/// Segments of a Motion JPEG sample that are looked at.
const MAX_SEGMENTS: u32 = 64;
/// Bytes of an MPEG-2 sequence header with its two matrices and its extension.
const MAX_SEQUENCE_HEADER: u64 = 256;
/// Bytes of a JPEG 2000 sample in which its codestream must begin.
const MAX_JP2_HEAD: u64 = 1024;

/// Runs a parser of a library over bytes from outside. scuffle-h265 0.2.2 panics on a scaling list that refers to one
/// before the first (found by fuzzing): then the format is not known, and nothing else is lost.
fn guarded<T>(parse: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(parse)).ok().flatten()
}

/// Chroma format, bit depth and range of the first sequence parameter set (ITU-T H.264, 7.3.2.1.1 and E.1.1) in the
/// configuration record (ISO/IEC 14496-15, 5.3.3.1). A set that is silent about the range leaves it to `colr`.
pub(super) fn h264(record: &[u8], colr_full_range: Option<bool>) -> Option<&'static str> {
    guarded(|| h264_by_parameters(record, colr_full_range))
}

fn h264_by_parameters(record: &[u8], colr_full_range: Option<bool>) -> Option<&'static str> {
    // Five bytes, the number of sets in five bits, and each with its length in 16.
    if record.get(5)? & 0x1F == 0 {
        return None;
    }
    let sps = sized(record.get(6..)?)?;
    let sps = Sps::parse_with_emulation_prevention(std::io::Cursor::new(sps)).ok()?;
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

/// The bytes behind their length in 16 bits.
fn sized(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}

/// The first parameter set of a type in HEVC's configuration record: 22 bytes, the number of arrays, and for each of
/// them its type in six bits, the number of its sets in 16, and each set with its length.
fn first_set(record: &[u8], wanted: u8) -> Option<&[u8]> {
    let (arrays, mut rest) = record.get(22..)?.split_first()?;
    for _ in 0..*arrays {
        let ([kind, high, low], sets) = rest.split_first_chunk()?;
        rest = sets;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let set = sized(rest)?;
            if kind & 0x3F == wanted {
                return Some(set);
            }
            rest = &rest[2 + set.len()..];
        }
    }
    None
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
pub(super) fn hevc(record: &[u8]) -> Option<&'static str> {
    guarded(|| hevc_by_parameters(record))
}

fn hevc_by_parameters(record: &[u8]) -> Option<&'static str> {
    let sps = first_set(record, HEVC_SPS)?;
    let sps = SpsNALUnit::parse(std::io::Cursor::new(sps)).ok()?.rbsp;
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

/// The colour configuration of the sequence header (AV1, 5.5.2) in the configuration record (AV1 in ISOBMFF 1.2, 2.3.3);
/// without one, what the record's third byte shows, which for 4:4:4 leaves open whether it is RGB.
pub(super) fn av1(record: &[u8]) -> Option<&'static str> {
    let bits = record.get(2)?;
    let (high, twelve, mono) = (bits & 0x40 != 0, bits & 0x20 != 0, bits & 0x10 != 0);
    let depth = match (high, twelve) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    match (mono, bits >> 2 & 3, depth) {
        (true, _, 8) => Some("gray"),
        (true, _, 10) => Some("gray10le"),
        (true, ..) => Some("gray12le"),
        (false, 3, depth) => h264_format(1, depth, false, false),
        (false, 2, depth) => h264_format(2, depth, false, false),
        (false, _, depth) => h264_format(3, depth, false, guarded(|| av1_is_rgb(record.get(4..)?))?),
    }
}

/// Whether a sequence header says that its planes are green, blue and red: the identity matrix.
fn av1_is_rgb(configuration: &[u8]) -> Option<bool> {
    let mut reader = std::io::Cursor::new(configuration);
    let header = ObuHeader::parse(&mut reader).ok()?;
    let sequence = SequenceHeaderObu::parse(header, &mut reader).ok()?;
    Some(sequence.color_config.matrix_coefficients == 0)
}

/// Bit depth, subsampling and matrix (VP Codec ISO Media File Format Binding 1.0). Full range has no name of its own.
pub(super) fn vp9(record: &[u8]) -> Option<&'static str> {
    let bits = record.get(6)?;
    match bits >> 1 & 7 {
        0 | 1 => h264_format(1, bits >> 4, false, false),
        2 => h264_format(2, bits >> 4, false, false),
        3 => match (*record.get(9)? == 0, bits >> 4) {
            (true, 12) => Some("gbrp12le"),
            (rgb, depth) => h264_format(3, depth, false, rgb),
        },
        _ => None,
    }
}

/// The chroma format of the sequence extension (ITU-T H.262, 6.2.2.3); MPEG-1 has none and is 4:2:0.
pub(super) fn mpeg2(sequence: &[u8]) -> Option<&'static str> {
    if !sequence.starts_with(&[0, 0, 1, 0xB3]) {
        return None;
    }
    let extension =
        sequence.windows(6).find(|window| window.starts_with(&[0, 0, 1, 0xB5]) && window[4] >> 4 == 1);
    match extension.map(|extension| extension[5] >> 1 & 3) {
        Some(1) | None => Some("yuv420p"),
        Some(2) => Some("yuv422p"),
        Some(3) => Some("yuv444p"),
        Some(_) => None,
    }
}

/// Whether a codec's samples show its pixel format when its configuration does not.
pub(super) fn lies_in_samples(codec: &str) -> bool {
    matches!(codec, "mjpeg" | "png" | "jpeg2000" | "mpeg2video")
}

/// The pixel format by the header of the first sample, which begins at `at`.
pub(super) fn of_first_sample(view: View<'_>, codec: &str, at: u64) -> Parse<Option<&'static str>> {
    match codec {
        "mjpeg" => motion_jpeg(view, at),
        "png" => motion_png(view, at),
        "jpeg2000" => motion_jpeg2000(view, at),
        "mpeg2video" => {
            let len = MAX_SEQUENCE_HEADER.min(view.size().saturating_sub(at));
            Ok(mpeg2(view.bytes(at, len, "MPEG-2 sequence header")?))
        }
        _ => Ok(None),
    }
}

/// Sampling factors of the frame header (ITU-T T.81, B.2.2). JPEG is always of full range.
fn motion_jpeg(view: View<'_>, start: u64) -> Parse<Option<&'static str>> {
    let mut at = start.saturating_add(2);
    for _ in 0..MAX_SEGMENTS {
        let (marker, segment) = jpeg::marker(view, at)?;
        match marker {
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                let [precision, _, _, _, _, components] = view.array(segment + 4, "JPEG frame header")?;
                if (precision, components) != (8, 3) {
                    return Ok((precision == 8 && components == 1).then_some("gray"));
                }
                let [_, first, _, _, second, _, _, third, _] =
                    view.array(segment + 10, "JPEG frame header")?;
                return Ok(motion_jpeg_format(first, second, third));
            }
            0xD9 | 0xDA => return Ok(None),
            _ => at = segment + 2 + u64::from(u16::from_be_bytes(view.array(segment + 2, "JPEG segment")?)),
        }
    }
    Ok(None)
}

/// The format by the sampling factors of three components, of which only the ratios count.
fn motion_jpeg_format(first: u8, second: u8, third: u8) -> Option<&'static str> {
    let ratio = |first: u8, second: u8| first.checked_div(second).filter(|ratio| ratio * second == first);
    match (ratio(first >> 4, second >> 4)?, ratio(first & 15, second & 15)?) {
        _ if second != third => None,
        (1, 1) => Some("yuvj444p"),
        (2, 1) => Some("yuvj422p"),
        (2, 2) => Some("yuvj420p"),
        (1, 2) => Some("yuvj440p"),
        (4, 1) => Some("yuvj411p"),
        _ => None,
    }
}

/// Bit depth and colour type (W3C PNG, third edition, 11.2.1).
fn motion_png(view: View<'_>, start: u64) -> Parse<Option<&'static str>> {
    let header: [u8; 26] = view.array(start, "PNG header")?;
    if &header[12..16] != b"IHDR" {
        return Ok(None);
    }
    Ok(match (header[24], header[25]) {
        (8, 0) => Some("gray"),
        (8, 2) => Some("rgb24"),
        (8, 3) => Some("pal8"),
        (8, 4) => Some("ya8"),
        (8, 6) => Some("rgba"),
        (16, 0) => Some("gray16be"),
        (16, 2) => Some("rgb48be"),
        (16, 6) => Some("rgba64be"),
        _ => None,
    })
}

/// Components and their subsampling in the image size segment of a codestream (ISO/IEC 15444-1, A.5.1), which may lie in
/// a box. Without subsampling the colour space is shown elsewhere.
fn motion_jpeg2000(view: View<'_>, start: u64) -> Parse<Option<&'static str>> {
    let head = view.bytes(start, MAX_JP2_HEAD.min(view.size().saturating_sub(start)), "JPEG 2000 header")?;
    let Some(siz) = head.windows(4).position(|window| window == [0xFF, 0x4F, 0xFF, 0x51]) else {
        return Ok(None);
    };
    let Some([0, 3, parts @ ..]) = head.get(siz + 40..siz + 51) else { return Ok(None) };
    Ok(match parts {
        [7, 1, 1, 7, 2, 2, 7, 2, 2] => Some("yuv420p"),
        [7, 1, 1, 7, 2, 1, 7, 2, 1] => Some("yuv422p"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ratios_of_sampling_factors_count() {
        assert_eq!(motion_jpeg_format(0x22, 0x11, 0x11), Some("yuvj420p"));
        assert_eq!(motion_jpeg_format(0x22, 0x12, 0x12), Some("yuvj422p"));
        assert_eq!(motion_jpeg_format(0x12, 0x12, 0x12), Some("yuvj444p"));
        assert_eq!(motion_jpeg_format(0x11, 0x00, 0x00), None);
        assert_eq!(motion_jpeg_format(0x31, 0x21, 0x21), None);
    }

    #[test]
    fn mpeg_2_shows_its_chroma_in_the_extension() {
        let sequence = |chroma: u8| {
            [&[0, 0, 1, 0xB3, 1, 2, 3, 4][..], &[0, 0, 1, 0xB5, 0x14, 0x80 | chroma << 1]].concat()
        };
        assert_eq!(mpeg2(&sequence(1)), Some("yuv420p"));
        assert_eq!(mpeg2(&sequence(2)), Some("yuv422p"));
        assert_eq!(mpeg2(&[0, 0, 1, 0xB3, 9, 9, 9, 9, 9, 9]), Some("yuv420p"), "MPEG-1");
        assert_eq!(mpeg2(&[1, 2, 3]), None);
    }

    #[test]
    fn vp9_in_4_4_4_may_be_rgb() {
        let record = |bits: u8, matrix: u8| [1, 0, 0, 0, 1, 10, bits, 1, 1, matrix, 0, 0];
        assert_eq!(vp9(&record(8 << 4 | 1 << 1, 1)), Some("yuv420p"));
        assert_eq!(
            vp9(&record(8 << 4 | 1 << 1 | 1, 1)),
            Some("yuv420p"),
            "full range has no name of its own"
        );
        assert_eq!(vp9(&record(8 << 4 | 3 << 1, 0)), Some("gbrp"));
        assert_eq!(vp9(&record(10 << 4 | 3 << 1, 1)), Some("yuv444p10le"));
    }

    /// A configuration record with one sequence parameter set, whose bits follow those of its profile and level.
    fn hvcc(parameters: &str) -> Vec<u8> {
        let bits: Vec<u8> = parameters.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        let byte =
            |bits: &[u8]| bits.iter().enumerate().fold(0, |byte, (place, bit)| byte | bit << (7 - place));
        let mut set = vec![0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 30];
        set.extend(bits.chunks(8).map(byte));
        let mut record =
            vec![1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 30, 0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F];
        record.extend([1, 0xA1, 0, 1, 0, set.len() as u8]);
        record.extend(set);
        record
    }

    /// Number, chroma format, dimensions, window, depths, picture order, layers and block sizes: 64 by 64 in 4:2:0.
    const HEAD: &str = "1 010 0000001000001 0000001000001 0 1 1 00101 1 1 1 1 1 1 1 1 1 1";

    #[test]
    fn a_scaling_list_that_refers_to_none_leaves_the_format_unknown() {
        // Six lists of the smallest size that repeat the one before, and one that refers to the fifth before the first.
        let record = hvcc(&format!("{HEAD} 1 1 01 01 01 01 01 01 0 00110 {}", "1".repeat(400)));
        assert!(
            catch_unwind(AssertUnwindSafe(|| hevc_by_parameters(&record))).is_err(),
            "the library has mended it"
        );
        assert_eq!(hevc(&record), None);
    }

    #[test]
    fn hevc_without_such_a_list_is_read() {
        // No scaling lists, asymmetric motion, offsets, PCM, reference sets, long-term pictures, prediction, smoothing,
        // usability information or extension.
        let record = hvcc(&format!("{HEAD} 0 0 0 0 1 0 0 0 0 0 1000000"));
        assert_eq!(hevc(&record), Some("yuv420p"));
    }
}

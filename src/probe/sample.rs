//! What a first sample shows of its pixel format, where the sample description does not.

use super::view::{Parse, View};
use super::{h264, h265, jpeg, pixels};

/// Segments of a Motion JPEG sample that are looked at.
const MAX_SEGMENTS: u32 = 64;
/// Bytes of an MPEG-2 sequence header with its two matrices and its extension.
const MAX_SEQUENCE_HEADER: u64 = 256;
/// Bytes of a JPEG 2000 sample in which its codestream must begin.
const MAX_JP2_HEAD: u64 = 1024;
/// NAL units before the parameter set. A delimiter, two other sets and some messages may precede it.
const MAX_UNITS: u32 = 32;
/// Bytes of a parameter set that are read. Most take less than 100; with scaling lists, some 700.
const MAX_PARAMETER_SET: u64 = 1 << 10;

/// What a sample is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Jpeg,
    Png,
    Jpeg2000,
    Mpeg2,
    /// NAL units, each behind its length in so many bytes, with the range that the sample description states.
    H264 {
        length_bytes: u8,
        colr_full_range: Option<bool>,
    },
    /// Likewise.
    H265 {
        length_bytes: u8,
    },
}

impl Sample {
    /// The pixel format by the head of the sample that begins at `at`.
    pub(super) fn pixel_format(self, view: View<'_>, at: u64) -> Parse<Option<&'static str>> {
        match self {
            Self::Jpeg => motion_jpeg(view, at),
            Self::Png => motion_png(view, at),
            Self::Jpeg2000 => motion_jpeg2000(view, at),
            Self::Mpeg2 => {
                let len = MAX_SEQUENCE_HEADER.min(view.size().saturating_sub(at));
                Ok(pixels::mpeg2(view.bytes(at, len, "MPEG-2 sequence header")?))
            }
            Self::H264 { length_bytes, colr_full_range } => {
                let set = parameter_set(view, at, length_bytes, |header| match h264::unit_type(header) {
                    h264::SPS => Unit::Wanted,
                    1..=5 => Unit::Picture,
                    _ => Unit::Other,
                })?;
                Ok(set.and_then(|set| pixels::h264(set, colr_full_range)))
            }
            Self::H265 { length_bytes } => {
                let set = parameter_set(view, at, length_bytes, |header| match h265::unit_type(header) {
                    h265::SPS => Unit::Wanted,
                    0..=31 => Unit::Picture,
                    _ => Unit::Other,
                })?;
                Ok(set.and_then(pixels::hevc))
            }
        }
    }
}

/// What a NAL unit is to the search for a parameter set.
enum Unit {
    Wanted,
    /// A part of the picture, which no parameter set of it follows.
    Picture,
    Other,
}

/// The first parameter set of a sample (ISO/IEC 14496-15, 5.3.2). Of the units before it, only the heads are read.
fn parameter_set<'a>(
    view: View<'a>,
    mut at: u64,
    length_bytes: u8,
    classify: impl Fn(u8) -> Unit,
) -> Parse<Option<&'a [u8]>> {
    for _ in 0..MAX_UNITS {
        let [length @ .., header] = view.bytes(at, u64::from(length_bytes) + 1, "NAL unit")? else { break };
        let len = length.iter().fold(0, |len, byte| len << 8 | u64::from(*byte));
        let start = at + u64::from(length_bytes);
        if len == 0 {
            at = start;
            continue;
        }
        match classify(*header) {
            Unit::Wanted => return view.bytes(start, len.min(MAX_PARAMETER_SET), "parameter set").map(Some),
            Unit::Picture => break,
            Unit::Other => at = start + len,
        }
    }
    Ok(None)
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
}

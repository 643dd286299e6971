//! Determines the pixel format from a track's first sample, if the sample description does not show it.

use super::sps::Unit;
use super::view::{Parse, Stop, View};
use super::{ffv1, h264, h265, jpeg, mezzanine, pixel_names};

/// Maximum segments read of a Motion JPEG sample.
const MAX_SEGMENTS: u32 = 64;
/// Length in bytes of an MPEG-2 sequence header with its two matrices and its extension.
const MAX_SEQUENCE_HEADER: u64 = 256;
/// Bytes of a JPEG 2000 sample within which its codestream must start.
const MAX_JP2_HEAD: u64 = 1024;
/// Maximum NAL units up to the parameter set. A delimiter, another set and some messages may come first.
const MAX_UNITS: u32 = 16;
/// Bytes of a sample without lengths within which its parameter set must start: the encoder's settings may come
/// first.
const MAX_START: u64 = 2 << 10;
/// Length in bytes of the frame header of DNxHD, CineForm, DV or ProRes.
const MAX_FRAME_HEADER: u64 = 512;
/// Maximum bytes read of a parameter set. Most take less than 100; with scaling lists, about 700.
const MAX_PARAMETER_SET: u64 = 1 << 10;

/// Steps of work that reading a codec's configuration or the header of a sample takes at most: a thousand numbers of
/// variable length.
pub(super) const CONFIGURATION: u32 = 1024;

/// The kind of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Jpeg,
    Png,
    Jpeg2000,
    Mpeg2,
    Dv,
    Dnxhd,
    CineForm,
    ProRes4444,
    Ffv1,
    /// H.264 NAL units, each after a length of this many bytes, or after start codes if that is 0, with the range
    /// from the sample description.
    H264 {
        length_bytes: u8,
        colr_full_range: Option<bool>,
    },
    /// HEVC NAL units, each after a length of this many bytes, or after start codes if that is 0.
    H265 {
        length_bytes: u8,
    },
}

impl Sample {
    /// Returns the pixel format shown by the start of the sample at `at`. A damaged sample shows nothing; the header
    /// has everything else.
    pub(super) fn shown(self, view: View<'_>, at: u64) -> Parse<Option<&'static str>> {
        view.spend(CONFIGURATION)?;
        match self.pixel_format(view, at) {
            Err(Stop::Malformed(_)) => Ok(None),
            other => other,
        }
    }

    /// Reads the pixel format from the start of the sample at `at`.
    fn pixel_format(self, view: View<'_>, at: u64) -> Parse<Option<&'static str>> {
        match self {
            Self::Jpeg => motion_jpeg(view, at),
            Self::Png => motion_png(view, at),
            Self::Jpeg2000 => motion_jpeg2000(view, at),
            Self::Mpeg2 => Ok(pixel_names::mpeg2(head(view, at, MAX_SEQUENCE_HEADER)?)),
            Self::Dv => Ok(mezzanine::dv(head(view, at, MAX_FRAME_HEADER)?)),
            Self::Dnxhd => Ok(mezzanine::dnxhd(head(view, at, MAX_FRAME_HEADER)?)),
            Self::CineForm => Ok(mezzanine::cineform(head(view, at, MAX_FRAME_HEADER)?)),
            Self::ProRes4444 => Ok(mezzanine::prores_4444(head(view, at, MAX_FRAME_HEADER)?)),
            Self::Ffv1 => Ok(ffv1::of_frame(head(view, at, MAX_FRAME_HEADER)?).and_then(pixel_names::ffv1)),
            Self::H264 { length_bytes, colr_full_range } => {
                let set = parameter_set(view, at, length_bytes, h264::classify)?;
                Ok(set.and_then(|set| pixel_names::h264(set, colr_full_range)))
            }
            Self::H265 { length_bytes } => {
                Ok(parameter_set(view, at, length_bytes, h265::classify)?.and_then(pixel_names::hevc))
            }
        }
    }
}

/// Returns the first bytes of a sample, up to this many.
fn head(view: View<'_>, at: u64, len: u64) -> Parse<&[u8]> {
    view.bytes(at, len.min(view.size().saturating_sub(at)), "sample")
}

/// Returns the first parameter set among units after start codes (ITU-T H.264 and H.265, annex B), and what follows
/// it.
pub(super) fn unit_behind_start_code(bytes: &[u8], classify: fn(u8) -> Unit) -> Option<&[u8]> {
    let mut rest = bytes;
    for _ in 0..MAX_UNITS {
        let at = rest.windows(3).position(|window| window == [0, 0, 1])?;
        rest = &rest[at + 3..];
        match classify(*rest.first()?) {
            Unit::ParameterSet => return Some(&rest[..rest.len().min(MAX_PARAMETER_SET as usize)]),
            Unit::Picture => return None,
            Unit::Other => {}
        }
    }
    None
}

/// Returns the first parameter set of a sample (ISO/IEC 14496-15, 5.3.2). Only the headers of the units before it are
/// read.
fn parameter_set(
    view: View<'_>,
    mut at: u64,
    length_bytes: u8,
    classify: fn(u8) -> Unit,
) -> Parse<Option<&[u8]>> {
    if length_bytes == 0 {
        return Ok(unit_behind_start_code(head(view, at, MAX_START)?, classify));
    }
    for _ in 0..MAX_UNITS {
        let [length @ .., header] = view.bytes(at, u64::from(length_bytes) + 1, "NAL unit")? else { break };
        let len = length.iter().fold(0, |len, byte| len << 8 | u64::from(*byte));
        at += u64::from(length_bytes);
        // An empty unit is followed by the length of the next one.
        match if len == 0 { Unit::Other } else { classify(*header) } {
            Unit::ParameterSet => {
                return view.bytes(at, len.min(MAX_PARAMETER_SET), "parameter set").map(Some);
            }
            Unit::Picture => break,
            Unit::Other => at += len,
        }
    }
    Ok(None)
}

/// Reads the sampling factors of the frame header (ITU-T T.81, B.2.2). JPEG always has full range.
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

/// Returns the format for the sampling factors of three components, of which only the ratios matter.
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

/// Reads bit depth and color type (W3C PNG, third edition, 11.2.1).
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

/// Reads components and their subsampling from the image size segment of a codestream (ISO/IEC 15444-1, A.5.1), which
/// may be in a box. Without subsampling, the color space is stored elsewhere.
fn motion_jpeg2000(view: View<'_>, start: u64) -> Parse<Option<&'static str>> {
    let head = head(view, start, MAX_JP2_HEAD)?;
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
    use bytes::Bytes;

    use super::*;
    use crate::probe::view::Store;

    /// A 4:2:0 Baseline set.
    const SET: [u8; 10] = [0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xF6, 0x80, 0x6D];

    #[test]
    fn a_parameter_set_is_found_behind_other_units_and_none_of_them_is_read() {
        for length_bytes in 1..=4 {
            let unit = |len: u32, bytes: &[u8]| {
                [&len.to_be_bytes()[4 - usize::from(length_bytes)..], bytes].concat()
            };
            let head = [unit(2, &[9, 0xF0]), unit(0, &[]), unit(200, &[6])].concat();
            let behind = head.len() as u64 + 199;
            let tail = unit(10, &SET);
            let mut store = Store::new(behind + tail.len() as u64);
            store.insert(0, Bytes::from(head));
            let sample = Sample::H264 { length_bytes, colr_full_range: Some(true) };
            let ask = Stop::Need { at: behind, len: u64::from(length_bytes) + 1 };
            assert_eq!(sample.pixel_format(store.view(), 0), Err(ask));
            store.insert(behind, Bytes::from(tail));
            assert_eq!(sample.pixel_format(store.view(), 0), Ok(Some("yuvj420p")));
        }
    }

    #[test]
    fn no_parameter_set_is_looked_for_behind_a_picture_or_many_units() {
        let found = |units: &[&[u8]]| {
            let file = units.concat();
            let mut store = Store::new(file.len() as u64);
            store.insert(0, Bytes::from(file));
            Sample::H264 { length_bytes: 1, colr_full_range: None }.pixel_format(store.view(), 0)
        };
        let set = [&[10][..], &SET].concat();
        assert_eq!(found(&[&[1, 6], &set]), Ok(Some("yuv420p")));
        assert_eq!(found(&[&[1, 5], &set]), Ok(None));
        assert_eq!(found(&[&[1, 6].repeat(16), &set]), Ok(None));
    }

    #[test]
    fn a_parameter_set_is_found_behind_a_start_code() {
        let found = |units: &[&[u8]]| {
            let file = units.concat();
            let mut store = Store::new(file.len() as u64);
            store.insert(0, Bytes::from(file));
            Sample::H264 { length_bytes: 0, colr_full_range: None }.pixel_format(store.view(), 0)
        };
        let set = [&[0, 0, 0, 1][..], &SET].concat();
        assert_eq!(found(&[&[0, 0, 0, 1, 9, 0xF0], &set, &[0, 0, 1, 0x65]]), Ok(Some("yuv420p")));
        assert_eq!(found(&[&[0, 0, 1, 0x65, 7], &set]), Ok(None), "behind a picture");
        assert_eq!(found(&[&[0, 0, 0, 10], &SET]), Ok(None), "a length is no start code");
    }

    #[test]
    fn only_the_ratios_of_sampling_factors_count() {
        assert_eq!(motion_jpeg_format(0x22, 0x11, 0x11), Some("yuvj420p"));
        assert_eq!(motion_jpeg_format(0x22, 0x12, 0x12), Some("yuvj422p"));
        assert_eq!(motion_jpeg_format(0x12, 0x12, 0x12), Some("yuvj444p"));
        assert_eq!(motion_jpeg_format(0x11, 0x00, 0x00), None);
        assert_eq!(motion_jpeg_format(0x31, 0x21, 0x21), None);
    }
}

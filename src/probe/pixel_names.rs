//! ffprobe's names of pixel formats.

use super::sps::Planes;
use super::{ffv1, h264, h265};

/// Returns the format described by a sequence parameter set of H.264. If the set does not give the range, `colr`
/// does. Monochrome is decoded into 4:2:0.
pub(super) fn h264(set: &[u8], colr_full_range: Option<bool>) -> Option<&'static str> {
    let Planes { chroma, depth, colour } = h264::planes(set)?;
    let full_range = colour.full_range.or(colr_full_range).unwrap_or(false);
    planar(chroma.max(1), depth, full_range, colour.rgb)
}

/// Returns the format described by a sequence parameter set of HEVC. `colr` does not change the range, and full range
/// has its own name only for 4:2:0.
pub(super) fn hevc(set: &[u8]) -> Option<&'static str> {
    let Planes { chroma, depth, colour } = h265::planes(set)?;
    let full_range = chroma == 1 && colour.full_range == Some(true);
    match (chroma, depth) {
        (0, depth) => gray(depth),
        // ffmpeg's decoder supports no others.
        (_, 13..) => None,
        _ => planar(chroma, depth, full_range, colour.rgb),
    }
}

/// Returns the format described by FFV1's parameters.
pub(super) fn ffv1(planes: ffv1::Planes) -> Option<&'static str> {
    let depth = planes.depth;
    Some(match (planes.is_rgb, planes.chroma, planes.has_alpha) {
        (true, _, false) if depth == 8 => "bgr0",
        (true, _, true) if depth == 8 => "bgra",
        (true, _, false) => return planar(3, depth, false, true),
        (false, None, false) if depth == 16 => "gray16le",
        (false, None, false) => return gray(depth),
        (false, None, true) if depth == 8 => "ya8",
        (false, Some((0, 0)), false) => return planar(3, depth, false, false),
        (false, Some((1, 0)), false) => return planar(2, depth, false, false),
        (false, Some((1, 1)), false) => return planar(1, depth, false, false),
        (false, Some((0, 1)), false) if depth == 8 => "yuv440p",
        (false, Some((2, 0)), false) if depth == 8 => "yuv411p",
        (false, Some((2, 2)), false) if depth == 8 => "yuv410p",
        (false, Some((1, 1)), true) if depth == 8 => "yuva420p",
        (false, Some((1, 0)), true) if depth == 8 => "yuva422p",
        (false, Some((0, 0)), true) if depth == 8 => "yuva444p",
        _ => return None,
    })
}

/// Returns ffmpeg's name for one plane of samples with `depth` bits.
pub(super) fn gray(depth: u32) -> Option<&'static str> {
    Some(match depth {
        8 => "gray",
        9 => "gray9le",
        10 => "gray10le",
        12 => "gray12le",
        _ => return None,
    })
}

/// Returns ffmpeg's name for three planes of samples with `depth` bits. Full range has its own names only for 8 bits.
pub(super) fn planar(chroma: u32, depth: u32, full_range: bool, rgb: bool) -> Option<&'static str> {
    Some(match (chroma, depth, full_range, rgb) {
        (3, 8, _, true) => "gbrp",
        (3, 9, _, true) => "gbrp9le",
        (3, 10, _, true) => "gbrp10le",
        (3, 12, _, true) => "gbrp12le",
        (3, 14, _, true) => "gbrp14le",
        (1, 8, false, _) => "yuv420p",
        (1, 8, true, _) => "yuvj420p",
        (2, 8, false, _) => "yuv422p",
        (2, 8, true, _) => "yuvj422p",
        (3, 8, false, _) => "yuv444p",
        (3, 8, true, _) => "yuvj444p",
        (1, 9, ..) => "yuv420p9le",
        (2, 9, ..) => "yuv422p9le",
        (3, 9, ..) => "yuv444p9le",
        (1, 10, ..) => "yuv420p10le",
        (2, 10, ..) => "yuv422p10le",
        (3, 10, ..) => "yuv444p10le",
        (1, 12, ..) => "yuv420p12le",
        (2, 12, ..) => "yuv422p12le",
        (3, 12, ..) => "yuv444p12le",
        (1, 14, ..) => "yuv420p14le",
        (2, 14, ..) => "yuv422p14le",
        (3, 14, ..) => "yuv444p14le",
        _ => return None,
    })
}

/// Reads the chroma format from the sequence extension (ITU-T H.262, 6.2.2.3); MPEG-1 has none and is 4:2:0.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}

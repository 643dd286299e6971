//! Pixel formats as ffprobe names them, from codec configurations.

use super::sample::Sample;
use super::sps::Planes;
use super::{av1, ffv1, h264, h265, sample};

/// What a codec's configuration tells of the pixel format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pixels {
    Format(&'static str),
    /// Nothing, but the first sample does.
    InSample(Sample),
    #[default]
    Unknown,
}

impl From<Option<&'static str>> for Pixels {
    fn from(format: Option<&'static str>) -> Self {
        format.map_or(Self::Unknown, Self::Format)
    }
}

/// The first sequence parameter set in H.264's configuration record (ISO/IEC 14496-15, 5.3.3.1), or the first sample
/// where the record has none. Like ffmpeg's decoder, it takes what is no such record for units behind start codes, and
/// the samples with it.
pub(super) fn of_avcc(record: &[u8], colr_full_range: Option<bool>) -> Option<Pixels> {
    if record.first() != Some(&1) {
        return Some(match sample::unit_behind_start_code(record, h264::classify) {
            Some(set) => h264(set, colr_full_range).into(),
            None => Pixels::InSample(Sample::H264 { length_bytes: 0, colr_full_range }),
        });
    }
    // Five bytes, the number of sets in five bits, and each with its length in 16.
    if record.get(5)? & 0x1F == 0 {
        let length_bytes = (record[4] & 3) + 1;
        return Some(Pixels::InSample(Sample::H264 { length_bytes, colr_full_range }));
    }
    Some(h264(sized(record.get(6..)?)?, colr_full_range).into())
}

/// The first sequence parameter set in HEVC's configuration record (8.3.3.1), or the first sample where the record has
/// none, likewise.
pub(super) fn of_hvcc(record: &[u8]) -> Option<Pixels> {
    if record.len() <= 3 || matches!(record, [0, 0, 0 | 1, ..]) {
        return Some(match sample::unit_behind_start_code(record, h265::classify) {
            Some(set) => hevc(set).into(),
            None => Pixels::InSample(Sample::H265 { length_bytes: 0 }),
        });
    }
    // 22 bytes, the number of arrays, and for each of them its type in six bits, the number of its sets in 16, and each
    // set with its length.
    let (arrays, mut rest) = record.get(22..)?.split_first()?;
    for _ in 0..*arrays {
        let ([kind, high, low], sets) = rest.split_first_chunk()?;
        rest = sets;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let set = sized(rest)?;
            if kind & 0x3F == h265::SPS {
                return Some(hevc(set).into());
            }
            rest = &rest[2 + set.len()..];
        }
    }
    Some(Pixels::InSample(Sample::H265 { length_bytes: (record[21] & 3) + 1 }))
}

/// The bytes behind their length in 16 bits.
fn sized(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}

/// What a sequence parameter set of H.264 describes. One that is silent about the range leaves it to `colr`.
/// Monochrome is decoded into 4:2:0.
pub(super) fn h264(set: &[u8], colr_full_range: Option<bool>) -> Option<&'static str> {
    let Planes { chroma, depth, colour } = h264::planes(set)?;
    let full_range = colour.full_range.or(colr_full_range).unwrap_or(false);
    planar(chroma.max(1), depth, full_range, colour.rgb)
}

/// What a sequence parameter set of HEVC describes. `colr` does not change the range, and full range has a name of its
/// own for 4:2:0 only.
pub(super) fn hevc(set: &[u8]) -> Option<&'static str> {
    let Planes { chroma, depth, colour } = h265::planes(set)?;
    let full_range = chroma == 1 && colour.full_range == Some(true);
    match (chroma, depth) {
        (0, depth) => gray(depth),
        // ffmpeg's decoder takes no more.
        (_, 13..) => None,
        _ => planar(chroma, depth, full_range, colour.rgb),
    }
}

/// ffmpeg's name of one plane of samples of so many bits.
fn gray(depth: u32) -> Option<&'static str> {
    Some(match depth {
        8 => "gray",
        9 => "gray9le",
        10 => "gray10le",
        12 => "gray12le",
        _ => return None,
    })
}

/// ffmpeg's name of three planes of samples of so many bits. Full range has names of its own for 8 bits only.
fn planar(chroma: u32, depth: u32, full_range: bool, rgb: bool) -> Option<&'static str> {
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

/// What AV1's configuration record shows in its third byte (AV1 in ISOBMFF 1.2, 2.3.3). For 4:4:4 that leaves open
/// whether it is RGB, and the sequence header behind it tells. Full range has no name of its own.
pub(super) fn av1(record: &[u8]) -> Option<&'static str> {
    let bits = record.get(2)?;
    let (high, twelve, mono) = (bits & 0x40 != 0, bits & 0x20 != 0, bits & 0x10 != 0);
    let depth = match (high, twelve) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    match (mono, bits >> 2 & 3) {
        (true, _) => gray(depth),
        (false, 3) => planar(1, depth, false, false),
        (false, 2) => planar(2, depth, false, false),
        (false, _) => planar(3, depth, false, av1::is_rgb(record.get(4..)?)?),
    }
}

/// Bit depth, subsampling and matrix (VP Codec ISO Media File Format Binding 1.0). Full range has no name of its own.
pub(super) fn vp9(record: &[u8]) -> Option<&'static str> {
    let bits = record.get(6)?;
    let depth = u32::from(bits >> 4);
    match bits >> 1 & 7 {
        0 | 1 => planar(1, depth, false, false),
        2 => planar(2, depth, false, false),
        3 => planar(3, depth, false, *record.get(9)? == 0),
        _ => None,
    }
}

/// What FFV1's parameters describe.
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
}

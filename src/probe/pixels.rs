//! Pixel formats, as ffprobe names them, from codec configurations.

use super::pixel_names::{gray, h264, hevc, planar};
use super::sample::Sample;
use super::{av1, h264 as h264_units, h265, sample};

/// What a codec's configuration shows of the pixel format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pixels {
    Format(&'static str),
    /// Nothing; the first sample does.
    InSample(Sample),
    #[default]
    Unknown,
}

impl From<Option<&'static str>> for Pixels {
    fn from(format: Option<&'static str>) -> Self {
        format.map_or(Self::Unknown, Self::Format)
    }
}

/// Reads the first sequence parameter set in H.264's configuration record (ISO/IEC 14496-15, 5.3.3.1), or in the
/// first sample if the record has none. Like ffmpeg's decoder, it treats other content as units after start codes,
/// and the samples too.
pub(super) fn of_avcc(record: &[u8], colr_full_range: Option<bool>) -> Option<Pixels> {
    if record.first() != Some(&1) {
        return Some(match sample::unit_behind_start_code(record, h264_units::classify) {
            Some(set) => h264(set, colr_full_range).into(),
            None => Pixels::InSample(Sample::H264 { length_bytes: 0, colr_full_range }),
        });
    }
    // Five bytes, the number of sets in five bits, then each set after its 16-bit length.
    if record.get(5)? & 0x1F == 0 {
        let length_bytes = (record[4] & 3) + 1;
        return Some(Pixels::InSample(Sample::H264 { length_bytes, colr_full_range }));
    }
    Some(h264(sized(record.get(6..)?)?, colr_full_range).into())
}

/// Reads the first sequence parameter set in HEVC's configuration record (8.3.3.1), or in the first sample if the
/// record has none, like [`of_avcc`].
pub(super) fn of_hvcc(record: &[u8]) -> Option<Pixels> {
    if record.len() <= 3 || matches!(record, [0, 0, 0 | 1, ..]) {
        return Some(match sample::unit_behind_start_code(record, h265::classify) {
            Some(set) => hevc(set).into(),
            None => Pixels::InSample(Sample::H265 { length_bytes: 0 }),
        });
    }
    // 22 bytes, the number of arrays, and for each array its type in six bits, its number of sets in 16, and each set
    // after its length.
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

/// Returns the bytes after their 16-bit length.
fn sized(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}

/// Reads the third byte of AV1's configuration record (AV1 in ISOBMFF 1.2, 2.3.3). For 4:4:4 that does not show
/// whether it is RGB, but the sequence header after it does. Full range has no name of its own.
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

/// Reads bit depth, subsampling and matrix (VP Codec ISO Media File Format Binding 1.0). Full range has no name of
/// its own.
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

#[cfg(test)]
mod tests {
    use super::*;

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

//! The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1), as far as the pixel format needs it.

use super::bits::Bits;
use super::sps::{Colour, Planes, Shape, Unit, ticks};

/// Maximum frames of a picture order cycle (`num_ref_frames_in_pic_order_cnt_cycle`, 7.4.2.1.1).
const MAX_ORDER_CYCLE: u32 = 255;

/// Classifies a NAL unit by the type in its header (7.3.1 and table 7-1).
pub(super) fn classify(header: u8) -> Unit {
    match header & 0x1F {
        7 => Unit::ParameterSet,
        1..=5 => Unit::Picture,
        _ => Unit::Other,
    }
}

/// Reads a NAL unit; `None` if it isn't a parameter set, is damaged, or describes planes of different depths.
pub(super) fn planes(unit: &[u8]) -> Option<Planes> {
    read(unit).map(|(planes, _)| planes)
}

/// Reads dimensions and frame rate from a NAL unit, like [`planes`].
pub(super) fn shape(unit: &[u8]) -> Option<Shape> {
    read(unit).map(|(_, shape)| shape)
}

fn read(unit: &[u8]) -> Option<(Planes, Shape)> {
    let (header, set) = unit.split_first()?;
    if classify(*header) != Unit::ParameterSet {
        return None;
    }
    let mut bits = Bits::of_unit(set);
    let profile = bits.u(8)?;
    // Constraints and level, then the set's ID.
    bits.skip(2 * 8)?;
    bits.ue()?;
    let (chroma, depth) = if names_chroma(profile) { chroma_and_depth(&mut bits)? } else { (1, 8) };
    bits.ue()?;
    skip_picture_order(&mut bits)?;
    // Reference frames and gaps, then the size in macroblocks.
    bits.ue()?;
    bits.skip(1)?;
    let (width, height) = (bits.ue()?, bits.ue()?);
    let frames_only = bits.flag()?;
    bits.skip(if frames_only { 1 } else { 2 })?;
    let is_cropped = bits.flag()?;
    let crop = if is_cropped { [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?] } else { [0; 4] };
    let has_usability = bits.flag()?;
    let colour = if has_usability { Colour::read(&mut bits)? } else { Colour::default() };
    // A tick is a field's (E.2.1).
    let rate = has_usability.then(|| ticks(&mut bits, |_| Some(()))).flatten().map(|ticks| ticks / 2.0);
    // What is cropped is counted in chroma samples, of frames made of fields in pairs of lines (7.4.2.1.1).
    let fields = if frames_only { 1 } else { 2 };
    let across = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let down = if chroma == 1 { 2 * fields } else { fields };
    let side = |blocks: u32, lines: u32, cropped: [u32; 2], unit: u32| {
        let whole = blocks.checked_add(1)?.checked_mul(16 * lines)?;
        whole.checked_sub(cropped[0].checked_add(cropped[1])?.checked_mul(unit)?)
    };
    let width = side(width, 1, [crop[0], crop[1]], across).unwrap_or(0);
    let height = side(height, fields, [crop[2], crop[3]], down).unwrap_or(0);
    Some((Planes { chroma, depth, colour }, Shape { width, height, rate }))
}

/// Returns whether sets of this profile contain the chroma format; in all others it is 8-bit 4:2:0.
fn names_chroma(profile: u32) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn chroma_and_depth(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let chroma = bits.ue()?;
    // Planes coded like three monochrome pictures: decoders do not support them.
    let separate = chroma == 3 && bits.flag()?;
    let (luma, of_chroma) = (bits.ue()?, bits.ue()?);
    if chroma > 3 || separate || luma > 6 || (chroma != 0 && luma != of_chroma) {
        return None;
    }
    bits.skip(1)?;
    let has_scaling = bits.flag()?;
    if has_scaling {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            let is_present = bits.flag()?;
            if is_present {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some((chroma, luma + 8))
}

/// Skips the differences from one factor to the next; a next factor of 0 ends the list (7.3.2.1.1.1).
fn skip_scaling_list(bits: &mut Bits<'_>, len: u32) -> Option<()> {
    let mut factor = 8;
    for _ in 0..len {
        factor = (factor + bits.se()?).rem_euclid(256);
        if factor == 0 {
            break;
        }
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.ue()? {
        0 => bits.skip_golomb(1),
        1 => {
            bits.skip(1)?;
            bits.skip_golomb(2)?;
            match bits.ue()? {
                frames @ ..=MAX_ORDER_CYCLE => bits.skip_golomb(frames),
                _ => None,
            }
        }
        2 => Some(()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::RngExt;
    use proptest::test_runner::{RngAlgorithm, TestRng};
    use scuffle_h264::Sps;

    use super::*;

    /// What an independent parser makes of the same unit.
    fn by_scuffle(unit: &[u8]) -> Option<Planes> {
        let sps = Sps::parse_with_emulation_prevention(Cursor::new(unit)).ok()?;
        let (mut chroma, mut depth) = (1, 0);
        if let Some(ext) = &sps.ext {
            (chroma, depth) = (ext.chroma_format_idc, ext.bit_depth_luma_minus8);
            if ext.separate_color_plane_flag || (chroma != 0 && depth != ext.bit_depth_chroma_minus8) {
                return None;
            }
        }
        let colour = sps.color_config.as_ref().map_or(Colour::default(), |colour| Colour {
            full_range: Some(colour.video_full_range_flag),
            rgb: colour.matrix_coefficients == 0,
        });
        Some(Planes { chroma: chroma.into(), depth: u32::from(depth) + 8, colour })
    }

    #[test]
    fn an_independent_parser_reads_the_same() {
        const PROFILES: [u8; 16] = [66, 77, 88, 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
        let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut agreed = [0; 4];
        for index in 0..4000 {
            // The set's number and, where the profile has it, a chroma format. Then any bits are a set: with more ones
            // than zeros, the numbers are short and few of them out of range.
            let heads = [(0b1100_0000, 0x3F), (0b1010_0000, 0xF), (0b1011_0000, 0xF), (0b1001_0000, 3)];
            let (head, any) = heads[index / PROFILES.len() % 4];
            let mut random = || rng.random::<u8>() | rng.random::<u8>();
            let head = head | random() & any;
            let mut unit = vec![0x67, PROFILES[index % PROFILES.len()], 0, 30, head];
            unit.extend((0..150).map(|_| random()));
            if let Some(theirs) = by_scuffle(&unit) {
                assert_eq!(planes(&unit), Some(theirs), "{unit:02X?}");
                agreed[theirs.chroma as usize] += 1;
            }
        }
        assert!(agreed.iter().all(|sets| *sets > 20), "{agreed:?} of each chroma format");
    }

    #[test]
    fn a_cut_set_and_another_unit_tell_nothing() {
        let all_ones = [&[0x67, 100, 0, 30][..], &[0xFF; 60]].concat();
        let ends = (0..=all_ones.len()).find(|len| planes(&all_ones[..*len]).is_some()).expect("it is whole");
        // Of eight scaling lists and of the usability information, and the numbers and flags around them.
        assert_eq!(ends, 4 + (6 + 232 + 15 + 73_usize).div_ceil(8));
        assert_eq!(planes(&[&[0x68], &all_ones[1..]].concat()), None);
    }
}

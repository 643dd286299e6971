//! The sequence parameter set of H.265 (ITU-T H.265, 7.3.2.2.1), as far as the pixel format needs it.

use smallvec::SmallVec;

use super::bits::Bits;
use super::sps::{Colour, Planes, Shape, Unit, ticks};

/// Type of a sequence parameter set (table 7-1).
pub(super) const SPS: u8 = 33;
/// Maximum temporal sub-layers below the highest (`sps_max_sub_layers_minus1`, 7.4.3.2.1).
const MAX_LOWER_LAYERS: u32 = 6;
/// Maximum bits of a picture order count, minus 4 (`log2_max_pic_order_cnt_lsb_minus4`).
const MAX_ORDER_BITS: u32 = 12;
/// Maximum reference picture sets (`num_short_term_ref_pic_sets`).
const MAX_REFERENCE_SETS: u32 = 64;
/// Maximum pictures of one such set, the size of the decoded picture buffer (A.4.2).
const MAX_REFERENCES: u32 = 16;
/// Maximum distance in output order to a reference picture (`delta_poc_s0_minus1`, 7.4.8).
const MAX_DISTANCE: u32 = 1 << 15;
/// Maximum long-term reference pictures (`num_long_term_ref_pics_sps`).
const MAX_LONG_TERM: u32 = 32;

/// Classifies a NAL unit by the type in the first byte of its header (7.3.1.2).
pub(super) fn classify(header: u8) -> Unit {
    match header >> 1 & 0x3F {
        SPS => Unit::ParameterSet,
        0..=31 => Unit::Picture,
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
    let ([header, _], set) = unit.split_first_chunk()?;
    if classify(*header) != Unit::ParameterSet {
        return None;
    }
    let mut bits = Bits::of_unit(set);
    bits.skip(4)?;
    let lower_layers = bits.u(3)?;
    bits.skip(1)?;
    skip_profile_and_level(&mut bits, lower_layers)?;
    bits.ue()?;
    let format = bits.ue()?;
    // Planes coded like three monochrome pictures are decoded as one.
    let is_separate = format == 3 && bits.flag()?;
    let chroma = if is_separate { 0 } else { format };
    let (width, height) = (bits.ue()?, bits.ue()?);
    let is_cropped = bits.flag()?;
    let crop = if is_cropped { [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?] } else { [0; 4] };
    let (luma, of_chroma) = (bits.ue()?, bits.ue()?);
    if format > 3 || luma > 8 || (chroma != 0 && luma != of_chroma) {
        return None;
    }
    skip_coding_tools(&mut bits, lower_layers)?;
    let has_usability = bits.flag()?;
    let colour = if has_usability { Colour::read(&mut bits)? } else { Colour::default() };
    let rate = has_usability.then(|| ticks(&mut bits, skip_display)).flatten();
    // What is cropped is counted in chroma samples (7.4.3.2.1).
    let (across, down) = (if matches!(format, 1 | 2) { 2 } else { 1 }, if format == 1 { 2 } else { 1 });
    let side = |whole: u32, cropped: [u32; 2], unit: u32| {
        whole.checked_sub(cropped[0].checked_add(cropped[1])?.checked_mul(unit)?)
    };
    let width = side(width, [crop[0], crop[1]], across).unwrap_or(0);
    let height = side(height, [crop[2], crop[3]], down).unwrap_or(0);
    Some((Planes { chroma, depth: luma + 8, colour }, Shape { width, height, rate }))
}

/// Skips the flags on fields, and the window to be displayed (E.2.1).
fn skip_display(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(3)?;
    let has_window = bits.flag()?;
    bits.skip_golomb(if has_window { 4 } else { 0 })
}

/// Skips profile, tier and level, general and of the lower sub-layers (7.3.3).
fn skip_profile_and_level(bits: &mut Bits<'_>, lower_layers: u32) -> Option<()> {
    const PROFILE: u32 = 88;
    const LEVEL: u32 = 8;
    bits.skip(PROFILE + LEVEL)?;
    match lower_layers {
        0 => Some(()),
        1..=MAX_LOWER_LAYERS => {
            // Two flags for each of eight layers; flags of layers that do not exist are zero.
            let mut has = bits.u(2 * 8)?;
            for _ in 0..lower_layers {
                bits.skip((has >> 15 & 1) * PROFILE + (has >> 14 & 1) * LEVEL)?;
                has <<= 2;
            }
            Some(())
        }
        _ => None,
    }
}

/// Skips everything from the picture order count to the usability information.
fn skip_coding_tools(bits: &mut Bits<'_>, lower_layers: u32) -> Option<()> {
    let order_bits = bits.ue()?;
    if order_bits > MAX_ORDER_BITS {
        return None;
    }
    let every_layer = bits.flag()?;
    bits.skip_golomb(3 * if every_layer { lower_layers + 1 } else { 1 })?;
    // Block sizes and tree depths.
    bits.skip_golomb(6)?;
    let has_scaling = bits.flag()?;
    if has_scaling && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    // Asymmetric partitions and sample adaptive offset.
    bits.skip(2)?;
    let has_pcm = bits.flag()?;
    if has_pcm {
        bits.skip(2 * 4)?;
        bits.skip_golomb(2)?;
        bits.skip(1)?;
    }
    skip_reference_sets(bits)?;
    let has_long_term = bits.flag()?;
    if has_long_term {
        let pictures = bits.ue()?;
        if pictures > MAX_LONG_TERM {
            return None;
        }
        bits.skip(pictures * (order_bits + 4 + 1))?;
    }
    // Temporal motion prediction and smoothing of reference samples.
    bits.skip(2)
}

/// Skips the scaling lists of four sizes (7.3.4).
fn skip_scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4 {
        let lists = if size == 3 { 2 } else { 6 };
        for list in 0..lists {
            let is_coded = bits.flag()?;
            if is_coded {
                let has_first = size > 1;
                bits.skip_golomb(u32::from(has_first) + (1 << (4 + 2 * size)).min(64))?;
            } else if bits.ue()? > list {
                // It refers to a list before the first one.
                return None;
            }
        }
    }
    Some(())
}

fn skip_reference_sets(bits: &mut Bits<'_>) -> Option<()> {
    let count = bits.ue()?;
    if count > MAX_REFERENCE_SETS {
        return None;
    }
    let mut set = ReferenceSet::default();
    for index in 0..count {
        let by_last = index > 0 && bits.flag()?;
        set = if by_last { set.next(bits)? } else { ReferenceSet::read(bits)? };
    }
    Some(())
}

/// A short-term reference picture set (7.3.7): the distance of each picture from the current one in output order,
/// first those before it, then those after it, nearest first. It is kept because the next set may be predicted from
/// it.
#[derive(Default)]
struct ReferenceSet(SmallVec<[i32; MAX_REFERENCES as usize]>);

impl ReferenceSet {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let (before, behind) = (bits.ue()?, bits.ue()?);
        if before > MAX_REFERENCES || behind > MAX_REFERENCES - before {
            return None;
        }
        let mut pictures = SmallVec::new();
        for (count, sign) in [(before, -1), (behind, 1)] {
            let mut distance = 0;
            for _ in 0..count {
                distance += sign * read_step(bits)?;
                bits.skip(1)?;
                pictures.push(distance);
            }
        }
        Some(Self(pictures))
    }

    /// Predicts a set from this one, by which of this set's pictures, and whether its current picture, the new set
    /// keeps, and by how far all of them have moved (7-61 and 7-62).
    fn next(&self, bits: &mut Bits<'_>) -> Option<Self> {
        let is_back = bits.flag()?;
        let step = read_step(bits)?;
        let moved = if is_back { -step } else { step };
        let mut pictures = SmallVec::new();
        for distance in self.0.iter().chain(&[0]) {
            let is_used = bits.flag()?;
            let is_kept = is_used || bits.flag()?;
            if is_kept && distance + moved != 0 {
                pictures.push(distance + moved);
            }
        }
        if pictures.len() > MAX_REFERENCES as usize {
            return None;
        }
        pictures.sort_unstable_by_key(|distance: &i32| (*distance > 0, distance.abs()));
        Some(Self(pictures))
    }
}

/// Reads a distance between two pictures, at least 1.
fn read_step(bits: &mut Bits<'_>) -> Option<i32> {
    match bits.ue()? {
        distance @ ..MAX_DISTANCE => i32::try_from(distance + 1).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

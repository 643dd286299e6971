//! The sequence header of AV1 (AV1 Bitstream & Decoding Process Specification, 5.5), up to its matrix.

use super::bits::Bits;
use super::sps::IDENTITY_MATRIX;

/// Type of an open bitstream unit that is a sequence header (6.2.2).
const SEQUENCE_HEADER: u32 = 1;
/// Maximum bytes of a variable-length number (`leb128`, 4.10.5).
const MAX_LEB128: usize = 8;
/// Operating levels above this one have a tier (5.5.1).
const HIGHEST_WITHOUT_TIER: u32 = 7;

/// Returns whether the sequence header at the start of these bytes describes green, blue and red planes; `None` if
/// there is no sequence header, or it is damaged.
pub(super) fn is_rgb(units: &[u8]) -> Option<bool> {
    let mut bits = Bits::new(units);
    bits.skip(1)?;
    if bits.u(4)? != SEQUENCE_HEADER {
        return None;
    }
    let (has_extension, has_size) = (bits.flag()?, bits.flag()?);
    bits.skip(if has_extension { 1 + 8 } else { 1 })?;
    if has_size {
        skip_leb128(&mut bits)?;
    }
    let profile = bits.u(3)?;
    bits.skip(1)?;
    let is_reduced = bits.flag()?;
    if is_reduced {
        bits.skip(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    skip_dimensions_and_tools(&mut bits, is_reduced)?;
    matrix_is_identity(&mut bits, profile)
}

fn skip_leb128(bits: &mut Bits<'_>) -> Option<()> {
    for _ in 0..MAX_LEB128 {
        let goes_on = bits.flag()?;
        bits.skip(7)?;
        if !goes_on {
            return Some(());
        }
    }
    None
}

fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    let has_timing = bits.flag()?;
    if has_timing {
        bits.skip(2 * 32)?;
        let is_even = bits.flag()?;
        if is_even {
            bits.skip_uvlc()?;
        }
        let has_decoder_model = bits.flag()?;
        if has_decoder_model {
            delay_bits = Some(bits.u(5)? + 1);
            bits.skip(32 + 2 * 5)?;
        }
    }
    let has_display_delay = bits.flag()?;
    let points = bits.u(5)? + 1;
    for _ in 0..points {
        bits.skip(12)?;
        let has_tier = bits.u(5)? > HIGHEST_WITHOUT_TIER;
        bits.skip(u32::from(has_tier))?;
        if let Some(delay_bits) = delay_bits {
            let has_model = bits.flag()?;
            if has_model {
                bits.skip(2 * delay_bits + 1)?;
            }
        }
        if has_display_delay {
            let is_present = bits.flag()?;
            bits.skip(if is_present { 4 } else { 0 })?;
        }
    }
    Some(())
}

fn skip_dimensions_and_tools(bits: &mut Bits<'_>, is_reduced: bool) -> Option<()> {
    let (width_bits, height_bits) = (bits.u(4)? + 1, bits.u(4)? + 1);
    bits.skip(width_bits + height_bits)?;
    if !is_reduced {
        let has_frame_numbers = bits.flag()?;
        bits.skip(if has_frame_numbers { 4 + 3 } else { 0 })?;
    }
    // Superblock size and two intra prediction filters.
    bits.skip(3)?;
    if !is_reduced {
        skip_inter_tools(bits)?;
    }
    // Super-resolution, directional enhancement and restoration.
    bits.skip(3)
}

fn skip_inter_tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(4)?;
    let has_order_hint = bits.flag()?;
    bits.skip(if has_order_hint { 2 } else { 0 })?;
    // Whether each frame chooses its screen content tools, or else whether all frames have them; then the same for
    // integer motion vectors.
    let is_chosen = bits.flag()?;
    let may_be_screen = is_chosen || bits.flag()?;
    if may_be_screen {
        let is_chosen = bits.flag()?;
        bits.skip(u32::from(!is_chosen))?;
    }
    bits.skip(if has_order_hint { 3 } else { 0 })
}

/// Reads the color configuration (5.5.2).
fn matrix_is_identity(bits: &mut Bits<'_>, profile: u32) -> Option<bool> {
    let is_deep = bits.flag()?;
    bits.skip(u32::from(profile == 2 && is_deep))?;
    bits.skip(u32::from(profile != 1))?;
    let is_described = bits.flag()?;
    if !is_described {
        return Some(false);
    }
    // The primaries and the transfer characteristics.
    bits.skip(2 * 8)?;
    Some(bits.u(8)? == IDENTITY_MATRIX)
}

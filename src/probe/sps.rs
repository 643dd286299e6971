//! What the sequence parameter sets of H.264 and H.265 have in common.

use super::bits::Bits;

/// Value for an aspect ratio that is not in the table and follows explicitly (ITU-T H.264, table E-1).
const EXTENDED_SAR: u32 = 255;
/// Matrix value for green, blue and red planes (ITU-T H.273, table 4).
pub(super) const IDENTITY_MATRIX: u32 = 0;

/// The role of a NAL unit in the search for the sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    ParameterSet,
    /// A part of a picture: no parameter set of that picture comes after it.
    Picture,
    Other,
}

/// What a video's pictures are like, besides their planes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// In pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// Frames per second, if the usability information has them.
    pub(super) rate: Option<f64>,
}

/// Reads the timing in the usability information, up to which everything was read (ITU-T H.264, E.1.1; H.265, E.2.1):
/// the number of ticks per second. `between` skips what only one of the two has before it.
pub(super) fn ticks(bits: &mut Bits<'_>, between: fn(&mut Bits<'_>) -> Option<()>) -> Option<f64> {
    let has_chroma_location = bits.flag()?;
    if has_chroma_location {
        bits.skip_golomb(2)?;
    }
    between(bits)?;
    let has_timing = bits.flag()?;
    if !has_timing {
        return None;
    }
    let (units, scale) = (bits.u(32)?, bits.u(32)?);
    (units > 0 && scale > 0).then(|| f64::from(scale) / f64::from(units))
}

/// What the planes of a video's pictures contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planes {
    /// Chroma format: 0 for none, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4 (ITU-T H.264, table 6-1).
    pub(super) chroma: u32,
    /// Bits per sample.
    pub(super) depth: u32,
    pub(super) colour: Colour,
}

/// What the usability information says about the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Colour {
    /// Whether the samples use the full range; `None` if not specified.
    pub(super) full_range: Option<bool>,
    /// Whether the planes are green, blue and red.
    pub(super) rgb: bool,
}

impl Colour {
    /// Reads the usability information up to the color description (ITU-T H.264, E.1.1; H.265, E.2.1).
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let has_aspect_ratio = bits.flag()?;
        if has_aspect_ratio && bits.u(8)? == EXTENDED_SAR {
            bits.skip(2 * 16)?;
        }
        let has_overscan = bits.flag()?;
        if has_overscan {
            bits.skip(1)?;
        }
        let has_signal_type = bits.flag()?;
        if !has_signal_type {
            return Some(Self::default());
        }
        bits.skip(3)?;
        let full_range = Some(bits.flag()?);
        let has_description = bits.flag()?;
        if !has_description {
            return Some(Self { full_range, rgb: false });
        }
        // The primaries and the transfer characteristics.
        bits.skip(2 * 8)?;
        Some(Self { full_range, rgb: bits.u(8)? == IDENTITY_MATRIX })
    }
}

//! Formats without an EXIF block of their own: GIF, BMP and JPEG 2000.

use super::view::{Parse, View};
use crate::model::{Facts, Orientation};

/// The logical screen (GIF89a, 18).
pub(super) fn read_gif(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let [w0, w1, h0, h1] = view.array(6, "GIF header")?;
    facts.width = Some(u32::from(u16::from_le_bytes([w0, w1])));
    facts.height = Some(u32::from(u16::from_le_bytes([h0, h1])));
    facts.orientation = Orientation::Absent;
    Ok(())
}

/// The bitmap header: OS/2's has 16-bit dimensions, the others signed 32-bit ones, of which a negative height means
/// that the rows are stored from the top (Windows GDI, `BITMAPINFOHEADER`).
pub(super) fn read_bmp(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let header_len = u32::from_le_bytes(view.array(14, "BMP header")?);
    let (width, height) = match header_len {
        12 => {
            let [w0, w1, h0, h1] = view.array(18, "BMP header")?;
            (u32::from(u16::from_le_bytes([w0, w1])), u32::from(u16::from_le_bytes([h0, h1])))
        }
        _ => {
            let width = i32::from_le_bytes(view.array(18, "BMP header")?);
            let height = i32::from_le_bytes(view.array(22, "BMP header")?);
            (width.unsigned_abs(), height.unsigned_abs())
        }
    };
    (facts.width, facts.height) = (Some(width), Some(height));
    facts.orientation = Orientation::Absent;
    Ok(())
}

/// JPEG 2000 has no place for EXIF in its boxes (ISO/IEC 15444-1, annex I); some writers put it into a `uuid` box, which
/// is no part of the format.
pub(super) fn read_jp2(facts: &mut Facts) -> Parse<()> {
    facts.orientation = Orientation::Absent;
    Ok(())
}

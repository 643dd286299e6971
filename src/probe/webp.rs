//! WebP (RFC 9649, 2).

use super::tiff;
use super::view::{Parse, View, malformed};
use crate::model::{Facts, Orientation};

/// Chunks that are looked at: an animation has one a frame.
const MAX_CHUNKS: u32 = 16_384;

/// Walks the chunk headers to the first `EXIF`. Files are found in the wild whose `VP8X` flags or RIFF size do not
/// own up to an `EXIF` chunk that readers take all the same, so the walk goes to the end of the file.
pub(super) fn read(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let riff_len = u64::from(u32::from_le_bytes(view.array(4, "WebP file")?));
    // A file that is cut between two chunks shows it only here. The padding of the last chunk may be left out.
    if riff_len + 8 > view.size() + 1 {
        return Err(malformed("WebP file", 0, "is shorter than it says"));
    }
    let mut at = 12;
    let mut image_seen = false;
    for _ in 0..MAX_CHUNKS {
        // Up to seven bytes after the last chunk are padding, no chunk.
        if at + 8 > view.size() {
            return ended(image_seen, facts);
        }
        let header: [u8; 8] = view.array(at, "WebP chunk")?;
        let len = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
        let body = at + 8;
        // What is appended to a file need not be chunks.
        let is_appended = at >= riff_len + 8 && (header == [0; 8] || body + len > view.size());
        if is_appended {
            return ended(image_seen, facts);
        }
        if body + len > view.size() {
            return Err(malformed("WebP chunk", at, "runs past the end of the file"));
        }
        match &header[..4] {
            b"VP8X" => canvas(view, body, facts)?,
            b"VP8 " => {
                image_seen = true;
                lossy_size(view, body, facts)?;
            }
            b"VP8L" => {
                image_seen = true;
                lossless_size(view, body, facts)?;
            }
            b"ANMF" => image_seen = true,
            b"EXIF" => match tiff::exif_orientation(view, body, body + len)? {
                Orientation::Absent => {}
                found => {
                    facts.orientation = found;
                    return Ok(());
                }
            },
            _ => {}
        }
        at = body + len + (len & 1);
    }
    Err(malformed("WebP file", at, "has more chunks than any writer makes"))
}

/// After the last chunk, without an orientation.
fn ended(image_seen: bool, facts: &mut Facts) -> Parse<()> {
    if !image_seen {
        return Err(malformed("WebP file", 0, "has no image data"));
    }
    facts.orientation = Orientation::Absent;
    Ok(())
}

/// The canvas of an extended file (2.7).
fn canvas(view: View<'_>, body: u64, facts: &mut Facts) -> Parse<()> {
    let [_, _, _, _, w0, w1, w2, h0, h1, h2] = view.array(body, "WebP header")?;
    facts.width = Some(u32::from_le_bytes([w0, w1, w2, 0]) + 1);
    facts.height = Some(u32::from_le_bytes([h0, h1, h2, 0]) + 1);
    Ok(())
}

/// The key frame header of VP8 (RFC 6386, 9.1), unless the canvas is known.
fn lossy_size(view: View<'_>, body: u64, facts: &mut Facts) -> Parse<()> {
    if facts.width.is_none() {
        let [_, _, _, _, _, _, w0, w1, h0, h1] = view.array(body, "WebP image")?;
        facts.width = Some(u32::from(u16::from_le_bytes([w0, w1]) & 0x3FFF));
        facts.height = Some(u32::from(u16::from_le_bytes([h0, h1]) & 0x3FFF));
    }
    Ok(())
}

/// The header of VP8L (RFC 9649, 3.4), unless the canvas is known.
fn lossless_size(view: View<'_>, body: u64, facts: &mut Facts) -> Parse<()> {
    if facts.width.is_none() {
        let [_, b0, b1, b2, b3] = view.array(body, "WebP image")?;
        let bits = u32::from_le_bytes([b0, b1, b2, b3]);
        facts.width = Some((bits & 0x3FFF) + 1);
        facts.height = Some((bits >> 14 & 0x3FFF) + 1);
    }
    Ok(())
}

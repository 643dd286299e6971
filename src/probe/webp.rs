//! WebP (RFC 9649, 2).

use super::tiff;
use super::view::{Parse, View, malformed};
use super::walk::{Promise, Walk};
use crate::model::{Facts, Orientation};

/// Bytes at the end of an animation that are searched for an EXIF chunk: an announced one may contain a large
/// thumbnail, or be followed by XMP.
const TAILS: [u64; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// The bit of `VP8X` that announces EXIF (2.7.1).
const HAS_EXIF: u8 = 8;

/// Walks the chunk headers to the first `EXIF`. Some real files have `VP8X` flags or a RIFF size that do not cover an
/// `EXIF` chunk that readers accept anyway, so the walk goes to the end of the file. Only an animation's frames are
/// skipped: chunks after them are searched for from the end.
pub(super) fn read(view: View<'_>, walk: &mut Walk, facts: &mut Facts) -> Parse<()> {
    if walk.at == 0 {
        walk.end = riff_end(view)?;
        walk.begin(12);
    }
    let riff_end = walk.end;
    loop {
        let at = walk.at;
        // Up to seven bytes after the last chunk are padding, not a chunk.
        if at + 8 > view.size() {
            return ended(walk, facts);
        }
        let Chunk { kind, len } = Chunk::read(view, at)?;
        let body = at + 8;
        // Data appended to a file need not be chunks.
        let is_appended = at >= riff_end && ((kind, len) == ([0; 4], 0) || body + len > view.size());
        if is_appended {
            return ended(walk, facts);
        }
        if body + len > view.size() {
            return Err(malformed("WebP chunk", at, "runs past the end of the file"));
        }
        let next = body + len + (len & 1);
        match &kind {
            b"VP8X" => canvas(view, body, walk, facts)?,
            b"VP8 " => {
                walk.pictures += 1;
                lossy_size(view, body, facts)?;
            }
            b"VP8L" => {
                walk.pictures += 1;
                lossless_size(view, body, facts)?;
            }
            b"ANMF" => {
                walk.pictures += 1;
                if !walk.leapt && next < riff_end && view.known(next).len() < 8 {
                    let place = exif_at_the_end(view, walk, next)?;
                    walk.leapt = true;
                    match place {
                        Some(place) => {
                            walk.pass(place);
                            continue;
                        }
                        None if walk.promise == Promise::Nothing && is_whole_file(view, riff_end) => {
                            return ended(walk, facts);
                        }
                        None => {}
                    }
                }
            }
            b"EXIF" => match tiff::exif_orientation(view, body, body + len)? {
                Orientation::Absent => {}
                found => {
                    facts.orientation = found;
                    return Ok(());
                }
            },
            _ => {}
        }
        walk.pass(next);
    }
}

/// Returns where the file must end. If it is cut off between two chunks, only this shows it. The padding of the last
/// chunk may be missing.
fn riff_end(view: View<'_>) -> Parse<u64> {
    let end = u64::from(u32::from_le_bytes(view.array(4, "WebP file")?)) + 8;
    if end > view.size() + 1 {
        return Err(malformed("WebP file", 0, "is shorter than its header declares"));
    }
    Ok(end)
}

/// Reads the header of a chunk.
struct Chunk {
    kind: [u8; 4],
    len: u64,
}

impl Chunk {
    fn read(view: View<'_>, at: u64) -> Parse<Self> {
        let [k0, k1, k2, k3, length @ ..] = view.array::<8>(at, "WebP chunk")?;
        Ok(Self { kind: [k0, k1, k2, k3], len: u64::from(u32::from_le_bytes(length)) })
    }
}

/// Returns whether nothing is appended to the file.
fn is_whole_file(view: View<'_>, riff_end: u64) -> bool {
    riff_end.abs_diff(view.size()) <= 1
}

/// Returns where an EXIF chunk starts after the frames: it and the chunks after it must have lengths that lead to the
/// end of the file. Without an announcement, only a short end is searched: decoders ignore such a chunk. Also `None` if data is appended to the
/// file.
fn exif_at_the_end(view: View<'_>, walk: &Walk, from: u64) -> Parse<Option<u64>> {
    if !is_whole_file(view, walk.end) {
        return Ok(None);
    }
    let tails = if walk.promise == Promise::Exif { &TAILS[..] } else { &TAILS[..1] };
    for tail in tails {
        let start = (view.size().saturating_sub(*tail) & !1).max(from);
        let bytes = view.bytes(start, view.size() - start, "WebP file")?;
        match first_of_chain(bytes) {
            Chain::Exif(place) => return Ok(Some(start + place as u64)),
            // Without an announced chunk, nothing can come before the end of a frame.
            Chain::Frame => return Ok(None),
            Chain::Unknown if start == from => return Ok(None),
            Chain::Unknown => {}
        }
    }
    Ok(None)
}

/// How the chunks at the end of a file start, as far as they were followed.
enum Chain {
    /// An EXIF chunk at this offset.
    Exif(usize),
    /// A frame: there is no EXIF after the frames.
    Frame,
    /// Neither was found in the bytes.
    Unknown,
}

/// Follows the chunks backwards from the end of the file, `tail`: each chunk in the chain is preceded by one whose
/// length leads to it. Chunks start at even offsets (2.3), and so does the tail.
fn first_of_chain(tail: &[u8]) -> Chain {
    let mut next = tail.len();
    for at in (0..tail.len().saturating_sub(7)).step_by(2).rev() {
        let [k0, k1, k2, k3, l0, l1, l2, l3] = *tail[at..].first_chunk().unwrap_or(&[0; 8]);
        let len = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let end = at as u64 + 8 + len;
        // The padding of the last chunk may be missing.
        let leads_there = end + (len & 1) == next as u64 || (next == tail.len() && end == next as u64);
        if !leads_there || ![k0, k1, k2, k3].iter().all(|letter| matches!(letter, b' '..=b'~')) {
            continue;
        }
        match &[k0, k1, k2, k3] {
            b"EXIF" => return Chain::Exif(at),
            b"ANMF" => return Chain::Frame,
            _ => next = at,
        }
    }
    Chain::Unknown
}

/// Ends the walk after the last chunk, without an orientation.
fn ended(walk: &Walk, facts: &mut Facts) -> Parse<()> {
    if walk.pictures == 0 {
        return Err(malformed("WebP file", 0, "has no image data"));
    }
    facts.orientation = Orientation::Absent;
    Ok(())
}

/// Reads the canvas of an extended file, and whether it announces EXIF (2.7.1).
fn canvas(view: View<'_>, body: u64, walk: &mut Walk, facts: &mut Facts) -> Parse<()> {
    let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = view.array(body, "WebP header")?;
    if flags & HAS_EXIF != 0 {
        walk.promise = Promise::Exif;
    }
    facts.width = Some(u32::from_le_bytes([w0, w1, w2, 0]) + 1);
    facts.height = Some(u32::from_le_bytes([h0, h1, h2, 0]) + 1);
    Ok(())
}

/// Reads the key frame header of VP8 (RFC 6386, 9.1), unless the canvas is known.
fn lossy_size(view: View<'_>, body: u64, facts: &mut Facts) -> Parse<()> {
    if facts.width.is_none() {
        let [_, _, _, _, _, _, w0, w1, h0, h1] = view.array(body, "WebP image")?;
        facts.width = Some(u32::from(u16::from_le_bytes([w0, w1]) & 0x3FFF));
        facts.height = Some(u32::from(u16::from_le_bytes([h0, h1]) & 0x3FFF));
    }
    Ok(())
}

/// Reads the header of VP8L (RFC 9649, 3.4), unless the canvas is known.
fn lossless_size(view: View<'_>, body: u64, facts: &mut Facts) -> Parse<()> {
    if facts.width.is_none() {
        let [_, b0, b1, b2, b3] = view.array(body, "WebP image")?;
        let bits = u32::from_le_bytes([b0, b1, b2, b3]);
        facts.width = Some((bits & 0x3FFF) + 1);
        facts.height = Some((bits >> 14 & 0x3FFF) + 1);
    }
    Ok(())
}

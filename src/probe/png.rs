//! PNG (W3C PNG, third edition, 5 and 11).

use super::tiff;
use super::view::{Parse, Stop, View, malformed};
use super::walk::{Promise, Walk};
use crate::model::{Facts, Orientation};

/// Maximum offsets tried for the last chunk of image data; each may cost a read.
const MAX_STEPS_BACK: u64 = 2;
/// Bytes at the end of the file that are searched for a chain of chunks. Image data comes in chunks of 8 to 64 KiB,
/// one of which must be in the chain.
const TAILS: [u64; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// Limit on the bytes checksummed while searching for one chain, as a multiple of the bytes searched: in a valid
/// file, every byte is checksummed once at most.
const MAX_CHECKED: u64 = 4;
/// Chunks of an animation's first picture that are passed before the rest is skipped: if the picture is small, what
/// is between it and its frames is then seen.
const FIRST_PICTURE: u32 = 4;
/// Bytes left of an animation that are read at once, because an `eXIf` chunk between its frames has no other trace. In
/// longer ones, where only exiftool looks for it there, it is not found.
const SHORT_ANIMATION: u64 = 1 << 20;
/// Length of a chunk without its content.
const FRAME: u64 = 12;

/// Walks the chunk headers to `eXIf` or to `IEND`; `eXIf` may come after the image data (11.3.3.5), and a file has at
/// most one.
///
/// Image data can be long, so the walk skips it as soon as the known bytes end within it.
///
/// After an orientation, the walk continues to the end of the known bytes: the file may be cut off.
pub(super) fn read(view: View<'_>, walk: &mut Walk, facts: &mut Facts) -> Parse<()> {
    walk.begin(8);
    match to_the_end(view, walk, facts) {
        Err(Stop::Need { .. }) if facts.orientation != Orientation::NotRead => Ok(()),
        walked => walked,
    }
}

fn to_the_end(view: View<'_>, walk: &mut Walk, facts: &mut Facts) -> Parse<()> {
    loop {
        let at = walk.at;
        let Chunk { len, kind } = Chunk::read(view, at)?;
        let (body, end) = (at + 8, at + FRAME + len);
        if end > view.size() {
            return Err(malformed("PNG chunk", at, "runs past the end of the file"));
        }
        match &kind {
            b"IHDR" if walk.parts == 0 && len >= 8 => {
                let size: [u8; 8] = view.array(body, "PNG header")?;
                facts.width = Some(u32::from_be_bytes([size[0], size[1], size[2], size[3]]));
                facts.height = Some(u32::from_be_bytes([size[4], size[5], size[6], size[7]]));
            }
            _ if walk.parts == 0 => return Err(malformed("PNG header", at, "is not the first chunk")),
            b"eXIf" if facts.orientation == Orientation::NotRead => {
                facts.orientation = tiff::exif_orientation(view, body, body + len)?;
            }
            b"acTL" => walk.promise = Promise::Frames,
            b"iDOT" if len >= 28 => walk.promise = second_run(view, at)?,
            b"IEND" => {
                if facts.orientation == Orientation::NotRead {
                    facts.orientation = Orientation::Absent;
                }
                return Ok(());
            }
            b"IDAT" | b"fdAT" if !walk.leapt && facts.orientation == Orientation::NotRead => {
                let left = view.size() - end;
                let is_worth = is_worth_a_leap(view, walk, &kind, at, end);
                if is_worth && walk.promise == Promise::Frames && left <= SHORT_ANIMATION {
                    view.bytes(end, left, "PNG file")?;
                    walk.leapt = true;
                } else if is_worth {
                    let place = leap(view, walk, at, len)?;
                    walk.leapt = true;
                    if let Some(place) = place {
                        walk.pass(place);
                        continue;
                    }
                }
                walk.pictures += 1;
            }
            _ => {}
        }
        walk.pass(end);
    }
}

/// Reads the header of a chunk.
struct Chunk {
    len: u64,
    kind: [u8; 4],
}

impl Chunk {
    fn read(view: View<'_>, at: u64) -> Parse<Self> {
        let [l0, l1, l2, l3, kind @ ..] = view.array::<8>(at, "PNG chunk")?;
        Ok(Self { len: u64::from(u32::from_be_bytes([l0, l1, l2, l3])), kind })
    }
}

/// Returns where the second run of image data starts. Apple's programs write two runs, and the last of seven numbers
/// in `iDOT` is the distance from that chunk to the second run.
fn second_run(view: View<'_>, at: u64) -> Parse<Promise> {
    let distance = u32::from_be_bytes(view.array(at + 8 + 24, "PNG iDOT chunk")?);
    Ok(Promise::SecondRun(at + u64::from(distance)))
}

/// Returns whether the image data continues into unknown bytes, after the chunk from `at` to `end`, for longer than
/// another chunk of that length.
fn is_worth_a_leap(view: View<'_>, walk: &Walk, kind: &[u8; 4], at: u64, end: u64) -> bool {
    let is_far = view.size() - end > end - at && view.known(end).len() < 8;
    let is_frame = kind == b"fdAT" || walk.promise != Promise::Frames;
    is_far && (is_frame || walk.pictures >= FIRST_PICTURE)
}

/// Returns where the walk can continue after the chunk of image data at `at`, skipping those that follow it.
fn leap(view: View<'_>, walk: &Walk, at: u64, len: u64) -> Parse<Option<u64>> {
    let first = match walk.promise {
        Promise::SecondRun(second) if second > at && second < view.size() => second,
        _ => at,
    };
    if walk.promise != Promise::Frames
        && let Some(last) = last_of_its_size(view, first, len)?
    {
        return Ok(Some(last));
    }
    chain_at_the_end(view, at + FRAME + len)
}

/// Returns where the last chunk of image data starts, if all before it are as long as the one at `first`: image data
/// chunks are consecutive (5.6). Other chunks may follow the last one, so offsets before the last possible one are
/// tried too. `None` if no such chunk starts at any of them, or if there are too few chunks to skip.
fn last_of_its_size(view: View<'_>, first: u64, len: u64) -> Parse<Option<u64>> {
    let step = len + FRAME;
    // The last chunk has at least one byte.
    let behind = view.size().saturating_sub(first + FRAME + FRAME + 1);
    for back in 0..MAX_STEPS_BACK {
        let place = first + (behind / step).saturating_sub(back) * step;
        if place <= first + step {
            break;
        }
        let chunk = Chunk::read(view, place)?;
        if &chunk.kind == b"IDAT" && chunk.len <= len {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Returns where the last chunk of image data starts, found from the end of the file: it must be followed by chunks
/// with valid lengths and checksums up to an `IEND` at the end of the file. `None` if there is no such chain, or if
/// it would start before `from`.
fn chain_at_the_end(view: View<'_>, from: u64) -> Parse<Option<u64>> {
    for tail in TAILS {
        let start = view.size().saturating_sub(tail).max(from);
        let bytes = view.bytes(start, view.size() - start, "PNG file")?;
        if let Some(place) = last_picture(bytes) {
            return Ok(Some(start + place as u64));
        }
        if start == from {
            break;
        }
    }
    Ok(None)
}

/// Finds the last chunk of image data in the end of a file. The chain is followed backwards: each chunk in it is
/// preceded by one whose length leads to it and whose checksum is valid.
fn last_picture(tail: &[u8]) -> Option<usize> {
    let mut next = tail.len();
    let mut left = MAX_CHECKED * tail.len() as u64;
    for at in (0..=tail.len().checked_sub(FRAME as usize)?).rev() {
        let [l0, l1, l2, l3] = *tail[at..].first_chunk()?;
        let len = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
        if at as u64 + FRAME + len != next as u64 {
            continue;
        }
        left = left.checked_sub(len + 4)?;
        let (checked, checksum) = tail[at + 4..next].split_at(len as usize + 4);
        if crc32fast::hash(checked).to_be_bytes() != checksum {
            continue;
        }
        match &checked[..4] {
            b"IEND" if next == tail.len() => {}
            // Nothing belongs to the chain before its end is found.
            _ if next == tail.len() => continue,
            b"IDAT" | b"fdAT" => return Some(at),
            _ => {}
        }
        next = at;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Format;
    use crate::probe::view::Store;
    use bytes::Bytes;

    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat()
    }

    fn facts(chunks: &[Vec<u8>]) -> Result<Facts, Stop> {
        let file = [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat();
        let mut store = Store::new(file.len() as u64);
        store.insert(0, Bytes::from(file));
        let mut facts = Facts::of(Format::Png);
        read(store.view(), &mut Walk::default(), &mut facts).map(|()| facts)
    }

    const EXIF: &[u8] = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

    fn ihdr() -> Vec<u8> {
        chunk(b"IHDR", b"\0\0\0\x28\0\0\0\x1e\x08\x02\0\0\0")
    }

    #[test]
    fn exif_is_found_after_the_image_data() {
        let read =
            facts(&[ihdr(), chunk(b"IDAT", &[0; 99]), chunk(b"eXIf", EXIF), chunk(b"IEND", b"")]).unwrap();
        assert_eq!((read.orientation, read.width, read.height), (Orientation::Value(6), Some(40), Some(30)));
    }

    #[test]
    fn without_an_end_nothing_is_known() {
        let read = facts(&[ihdr(), chunk(b"IDAT", &[0; 99])]);
        assert!(matches!(read, Err(Stop::Malformed(_))), "{read:?}");
        let whole = facts(&[ihdr(), chunk(b"IDAT", &[0; 99]), chunk(b"IEND", b"")]).unwrap();
        assert_eq!(whole.orientation, Orientation::Absent);
    }
}

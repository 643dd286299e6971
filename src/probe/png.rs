//! PNG (W3C PNG, third edition, 5 and 11).

use super::tiff;
use super::view::{Parse, Stop, View, malformed};
use crate::model::{Facts, Orientation};

/// Chunks that are looked at. A PNG of 64 MB in 8 KiB `IDAT` chunks has 8,000 of them.
const MAX_CHUNKS: u32 = 65_536;

/// Places that are looked at for the last chunk of image data; each may cost a read.
const MAX_STEPS_BACK: u64 = 3;
/// Length of the chunk that ends every file.
const IEND_LEN: u64 = 12;

/// Walks the chunk headers to the first `eXIf` or to `IEND`; `eXIf` may lie after the image data (11.3.3.5).
///
/// Chunks of image data follow each other without any other between them (5.6), and writers make all but the last of
/// one size. So the walk leaps to where the last one must begin, if there is one there.
///
/// Behind an orientation the walk goes on as far as the bytes are there: the file may be cut.
pub(super) fn read(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    match walk(view, facts) {
        Err(Stop::Need { .. }) if facts.orientation != Orientation::NotRead => Ok(()),
        walked => walked,
    }
}

fn walk(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let mut at = 8;
    let mut leapt = false;
    for index in 0..MAX_CHUNKS {
        let header: [u8; 8] = view.array(at, "PNG chunk")?;
        let len = u64::from(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
        let (body, end) = (at + 8, at + 8 + len + 4);
        if end > view.size() {
            return Err(malformed("PNG chunk", at, "runs past the end of the file"));
        }
        match &header[4..] {
            b"IHDR" if index == 0 && len >= 8 => {
                let size: [u8; 8] = view.array(body, "PNG header")?;
                facts.width = Some(u32::from_be_bytes([size[0], size[1], size[2], size[3]]));
                facts.height = Some(u32::from_be_bytes([size[4], size[5], size[6], size[7]]));
            }
            _ if index == 0 => return Err(malformed("PNG header", at, "is not the first chunk")),
            b"eXIf" if facts.orientation == Orientation::NotRead => {
                match tiff::exif_orientation(view, body, body + len)? {
                    Orientation::Absent => {}
                    found => facts.orientation = found,
                }
            }
            b"IEND" => {
                if facts.orientation == Orientation::NotRead {
                    facts.orientation = Orientation::Absent;
                }
                return Ok(());
            }
            b"IDAT" if !leapt => {
                leapt = true;
                if let Some(last) = last_of_its_size(view, at, len)? {
                    at = last;
                    continue;
                }
            }
            _ => {}
        }
        at = end;
    }
    Err(malformed("PNG file", at, "has more chunks than any writer makes"))
}

/// Where the last chunk of image data begins when all before it are as long as the first one, which begins at `first`.
/// Other chunks may follow it, so some places before the last possible one are looked at too. `None` when none of them
/// begins such a chunk, or when there are too few to leap over.
fn last_of_its_size(view: View<'_>, first: u64, len: u64) -> Parse<Option<u64>> {
    let step = len + 12;
    // The last chunk has at least one byte.
    let behind = view.size().saturating_sub(first + IEND_LEN + 13);
    for back in 0..MAX_STEPS_BACK {
        let place = first + (behind / step).saturating_sub(back) * step;
        if place <= first + step {
            break;
        }
        let header: [u8; 8] = view.array(place, "PNG chunk")?;
        let place_len = u64::from(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
        if &header[4..] == b"IDAT" && place_len <= len {
            return Ok(Some(place));
        }
    }
    Ok(None)
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
        read(store.view(), &mut facts).map(|()| facts)
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

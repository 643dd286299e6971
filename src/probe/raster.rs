//! Formats that presync reads no EXIF from: GIF, BMP and JPEG 2000.

use super::bmff::{Bmff, Boxes};
use super::view::{Parse, View, malformed};
use crate::model::{Facts, Orientation};

/// Reads the logical screen and its color table (GIF89a, 18 and 19).
pub(super) fn read_gif(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let [w0, w1, h0, h1, flags, _, _] = view.array(6, "GIF header")?;
    let colours = if flags & 0x80 == 0 { 0 } else { 2u64 << (flags & 7) };
    if 13 + 3 * colours >= view.size() {
        return Err(malformed("GIF header", 0, "runs past the end of the file"));
    }
    facts.width = Some(u32::from(u16::from_le_bytes([w0, w1])));
    facts.height = Some(u32::from(u16::from_le_bytes([h0, h1])));
    facts.orientation = Orientation::Absent;
    Ok(())
}

/// Reads the bitmap header: OS/2's has 16-bit dimensions, the others signed 32-bit ones, where a negative height
/// means that rows are stored from the top (Windows GDI, `BITMAPINFOHEADER`).
pub(super) fn read_bmp(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let pixels = u64::from(u32::from_le_bytes(view.array(10, "BMP header")?));
    let header_len = u64::from(u32::from_le_bytes(view.array(14, "BMP header")?));
    if (14 + header_len).max(pixels) >= view.size() {
        return Err(malformed("BMP header", 0, "runs past the end of the file"));
    }
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

/// Reads whether the picture is there, and its dimensions. JPEG 2000 has no box for EXIF (ISO/IEC 15444-1, annex I);
/// some writers put it into a `uuid` box, which isn't part of the format.
pub(super) fn read_jp2(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    if view.array(0, "JPEG 2000 file")? == [0xFF, 0x4F, 0xFF, 0x51] {
        codestream_size(view, facts)?;
    } else {
        let mut boxes = Boxes::new(view, 0, view.size());
        loop {
            let Some(found) = boxes.next()? else {
                return Err(malformed("JPEG 2000 file", 0, "has no codestream (jp2c)"));
            };
            match &found.kind.0 {
                b"jp2h" => header_size(view, found, facts)?,
                // The picture, in one piece or in several elsewhere (I.5.4; ISO/IEC 15444-2, annex M).
                b"jp2c" | b"ftbl" => break,
                _ => {}
            }
        }
    }
    facts.orientation = Orientation::Absent;
    Ok(())
}

/// Reads the dimensions from the image header box (I.5.3.1).
fn header_size(view: View<'_>, jp2h: Bmff, facts: &mut Facts) -> Parse<()> {
    if let Some(header) = Boxes::inside(view, jp2h).find(b"ihdr")? {
        facts.height = Some(u32::from_be_bytes(header.field(view, header.body, "image header")?));
        facts.width = Some(u32::from_be_bytes(header.field(view, header.body + 4, "image header")?));
    }
    Ok(())
}

/// Reads the size of the reference grid without the image offset (A.5.1).
fn codestream_size(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let number = |at| Ok(u32::from_be_bytes(view.array(at, "JPEG 2000 header")?));
    facts.width = number(8)?.checked_sub(number(16)?);
    facts.height = number(12)?.checked_sub(number(20)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Format;
    use crate::probe::view::{Stop, Store};
    use bytes::Bytes;

    fn facts(read: fn(View<'_>, &mut Facts) -> Parse<()>, file: &[u8]) -> Parse<Facts> {
        let mut store = Store::new(file.len() as u64);
        store.insert(0, Bytes::copy_from_slice(file));
        let mut facts = Facts::of(Format::Unknown);
        read(store.view(), &mut facts).map(|()| facts)
    }

    /// Returns what `read` finds in a file of 40 × 30 pixels, and checks that every prefix up to `header` bytes is
    /// damaged.
    fn check(read: fn(View<'_>, &mut Facts) -> Parse<()>, file: &[u8], header: usize) {
        let whole = facts(read, file).unwrap();
        assert_eq!((whole.width, whole.height, whole.orientation), (Some(40), Some(30), Orientation::Absent));
        for len in 0..=header {
            assert!(matches!(facts(read, &file[..len]), Err(Stop::Malformed(_))), "{len} bytes");
        }
    }

    #[test]
    fn a_gif_has_its_colours_in_its_header() {
        let file = [&b"GIF89a\x28\0\x1e\0\x81\0\0"[..], &[0; 12], b"\x2c"].concat();
        check(read_gif, &file, 25);
    }

    #[test]
    fn a_bmp_has_its_pixels_where_it_says() {
        let file =
            [&b"BM"[..], &[0; 8], b"\x42\0\0\0\x28\0\0\0\x28\0\0\0\xe2\xff\xff\xff", &[0; 41]].concat();
        check(read_bmp, &file, 66);
    }

    #[test]
    fn a_jpeg_2000_file_has_a_picture() {
        let boxes = [
            &b"\0\0\0\x0cjP  \r\n\x87\n"[..],
            b"\0\0\0\x1ejp2h\0\0\0\x16ihdr\0\0\0\x1e\0\0\0\x28\0\x03\x07\x07\0\0",
            b"\0\0\0\0jp2c\xff\x4f",
        ];
        check(read_jp2, &boxes.concat(), 49);
        let codestream = b"\xff\x4f\xff\x51\0\x2f\0\0\0\0\0\x2a\0\0\0\x1e\0\0\0\x02\0\0\0\0";
        check(read_jp2, codestream, 23);
    }
}

//! Sound images: presync must read the orientation that `kamadak-exif` and `image` read, but for the known differences
//! below. The same file cut short must never be accepted with an incomplete header.

#![no_main]

use std::io::Cursor;

use exif::{In, Tag};
use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ImageDecoder, ImageResult};
use libfuzzer_sys::fuzz_target;
use presync_fuzz::accept::judged;
use presync_fuzz::model::{Facts, Format, Orientation, Verdict};
use presync_fuzz::photo::{File, Photo};
use presync_fuzz::tiff::FieldType;

/// Bytes of an image that presync reads first.
fn first_read(file: &File) -> usize {
    match file.name {
        "a.jpg" | "a.webp" => 16 << 10,
        _ => 4 << 10,
    }
}

/// What a parser says of the orientation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// There is a tag that cannot be read, or something in the way to it.
    Damaged,
    Absent,
    Value(i64),
}

/// Whether a file is one about which the peer's answer and presync's are known to differ like this.
type Known = fn(&File, Answer, Answer) -> bool;

fuzz_target!(|input: (Photo, u32)| {
    let (photo, cut) = input;
    let file = photo.file();
    let facts = judged(file.name, &file.bytes).facts;
    if facts.format == Format::Raw {
        // A TIFF with the marks of a camera's raw file, whose orientation is not read: no platform syncs it.
        return;
    }
    assert_eq!(facts.gap, None, "no header is too long: {facts:?}");
    let ours = match facts.orientation {
        Orientation::NotRead => Answer::Damaged,
        Orientation::Absent => Answer::Absent,
        Orientation::Value(value) => Answer::Value(value),
    };
    assert_eq!(facts.malformed.is_some(), ours == Answer::Damaged, "{facts:?}");

    let theirs = by_kamadak(&file.bytes);
    let known: [Known; 3] = [no_unsigned_integer, no_single_value, prefixed_block];
    assert!(
        theirs == ours || known.iter().any(|known| known(&file, theirs, ours)),
        "kamadak-exif: {theirs:?}, presync: {ours:?}, {photo:?}"
    );
    compare_with_image(&photo, &file, ours, &facts);
    check_cut(&file, cut as usize % (file.bytes.len() + 1));
});

fn by_kamadak(bytes: &[u8]) -> Answer {
    let read = exif::Reader::new().continue_on_error(true).read_from_container(&mut Cursor::new(bytes));
    match read.or_else(|error| error.distill_partial_result(|_| {})) {
        Ok(exif) => match exif.get_field(Tag::Orientation, In::PRIMARY) {
            Some(field) => {
                field.value.get_uint(0).map_or(Answer::Damaged, |value| Answer::Value(value.into()))
            }
            None => Answer::Absent,
        },
        Err(exif::Error::NotFound(_)) => Answer::Absent,
        Err(_) => Answer::Damaged,
    }
}

/// What was written into the file.
fn written(file: &File) -> Answer {
    match file.orientation {
        None => Answer::Absent,
        Some(field) if field.count() == 1 => field.integer().map_or(Answer::Damaged, Answer::Value),
        Some(_) => Answer::Damaged,
    }
}

/// A number that is no BYTE, SHORT or LONG. presync is right: every reader of TIFF 6.0, section 2, can tell the number,
/// and exiftool does. kamadak-exif gives integers of these three types only.
fn no_unsigned_integer(file: &File, theirs: Answer, ours: Answer) -> bool {
    let is_one = |kind| matches!(kind, FieldType::Byte | FieldType::Short | FieldType::Long);
    file.orientation.is_some_and(|field| !is_one(field.kind))
        && theirs == Answer::Damaged
        && ours == written(file)
}

/// More or fewer than one value. Open: the count must be 1 (Exif 3.0, 4.6.5.1.6). kamadak-exif takes the first of
/// several, `image` sees no tag, and presync sees one that it cannot read.
fn no_single_value(file: &File, theirs: Answer, ours: Answer) -> bool {
    file.orientation.is_some_and(|field| field.count() != 1)
        && theirs != Answer::Damaged
        && ours == Answer::Damaged
}

/// JPEG's `Exif\0\0` before the block of a PNG or WebP. presync is right: the formats name no such prefix (PNG, third
/// edition, 11.3.3.5; RFC 9649, 2.7.1.5), but writers put it there, and exiftool reads past it.
fn prefixed_block(file: &File, theirs: Answer, ours: Answer) -> bool {
    file.prefixed && matches!(theirs, Answer::Damaged | Answer::Absent) && ours == written(file)
}

/// `image` tells no absent tag, none that it cannot read, and none out of range from a 1.
fn compare_with_image(photo: &Photo, file: &File, ours: Answer, facts: &Facts) {
    fn read<D: ImageDecoder>(decoder: ImageResult<D>) -> ImageResult<(Answer, (u32, u32))> {
        let mut decoder = decoder?;
        let orientation = match decoder.orientation()?.to_exif() {
            1 => Answer::Absent,
            value => Answer::Value(value.into()),
        };
        Ok((orientation, decoder.dimensions()))
    }
    let bytes = Cursor::new(&file.bytes);
    let read = match file.name {
        "a.jpg" => read(JpegDecoder::new(bytes)),
        "a.png" => read(PngDecoder::new(bytes)),
        "a.webp" => read(WebPDecoder::new(bytes)),
        _ => return,
    };
    let (theirs, size) = match &read {
        Ok((orientation, size)) => (*orientation, Some(*size)),
        Err(_) => (Answer::Damaged, file.size),
    };
    let shown = match ours {
        Answer::Value(..=1 | 9..) => Answer::Absent,
        ours => ours,
    };
    let known: [Known; 5] = [no_short, no_single_value, prefixed_block, behind_the_data, app0_of_four_bytes];
    assert!(
        (theirs == shown && read.is_ok()) || known.iter().any(|known| known(file, theirs, ours)),
        "image: {read:?}, presync: {ours:?}, {photo:?}"
    );
    assert_eq!(file.size, size, "image");
    if facts.width.is_some() {
        assert_eq!(file.size, facts.width.zip(facts.height), "{facts:?}");
    }
}

/// A number that is no SHORT. presync is right, as with [`no_unsigned_integer`]: the type should be SHORT (Exif 3.0,
/// 4.6.5.1.6), but editors write others, and exiftool reads them. `image` takes a SHORT or nothing.
fn no_short(file: &File, theirs: Answer, ours: Answer) -> bool {
    file.orientation.is_some_and(|field| field.kind != FieldType::Short)
        && theirs == Answer::Absent
        && ours == written(file)
}

/// `eXIf` behind the image data of a PNG. presync is right: it may lie anywhere between `IHDR` and `IEND` but between
/// `IDAT` chunks (PNG, third edition, 5.6). `image` reads no further than to the first `IDAT`.
fn behind_the_data(file: &File, theirs: Answer, ours: Answer) -> bool {
    file.behind_data && theirs == Answer::Absent && ours == written(file)
}

/// An APP0 segment of four bytes in a JPEG. presync is right: its length says where it ends (ITU-T T.81, B.1.1.4).
/// `image` always takes five bytes of it, and with them the 0xFF of the next marker, so that it misses that segment.
fn app0_of_four_bytes(file: &File, _theirs: Answer, ours: Answer) -> bool {
    file.has_app0_of_four_bytes && ours == written(file)
}

/// The first `cut` bytes, accepted, hold the whole header. Of a file that takes more than the first read, presync
/// reads no further than its EXIF, which may have no orientation.
fn check_cut(file: &File, cut: usize) {
    let asset = judged(file.name, &file.bytes[..cut]);
    if asset.verdict != Verdict::Accept {
        return;
    }
    let settled = cut > first_read(file) && file.exif_end.is_some_and(|end| end <= cut);
    assert!(
        cut >= file.header_end || settled,
        "accepted when cut at {cut} of {}: {asset:?}",
        file.header_end
    );
}

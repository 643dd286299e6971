//! Sound TIFF structures, as files of their own or as EXIF blocks (TIFF 6.0, section 2; Exif 3.0, 4.6).

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::Fill;

/// Bytes that may lie between header and first directory, and bytes of a maker note. With [`MAX_FIELDS`] they keep a
/// block so short that it fits into a JPEG segment.
const MAX_GAP: usize = 8 << 10;
const MAX_MAKER_NOTE: usize = 4 << 10;
/// Fields on each side of the orientation.
const MAX_FIELDS: usize = 10;

const ORIENTATION: u16 = 0x0112;
const EXIF_IFD: u16 = 0x8769;
const GPS_IFD: u16 = 0x8825;
const MAKER_NOTE: u16 = 0x927C;

const SHORT: u16 = 3;
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;

/// A byte order, IFD0 somewhere in the block, and around it what readers might take for IFD0.
#[derive(Arbitrary, Debug)]
pub struct Tiff {
    big_endian: bool,
    gap: Fill,
    /// Values that need more room than their entry has lie in front of IFD0, else behind.
    values_first: bool,
    before: Vec<Field>,
    pub orientation: Option<Field>,
    after: Vec<Field>,
    camera: Option<Camera>,
    /// IFD1 with the orientation of the thumbnail.
    thumbnail: Option<u8>,
}

/// An Exif directory with an orientation where none belongs, and with a maker note.
#[derive(Arbitrary, Debug)]
struct Camera {
    orientation: u8,
    maker_note: Fill,
}

/// An entry of IFD0: `count` times the same value.
#[derive(Arbitrary, Debug)]
pub struct Field {
    tag: u16,
    pub kind: FieldType,
    count: u8,
    value: u8,
}

/// The types of TIFF 6.0, and IFD of its supplement 1.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    Byte = 1,
    Ascii,
    Short,
    Long,
    Rational,
    SignedByte,
    Undefined,
    SignedShort,
    SignedLong,
    SignedRational,
    Float,
    Double,
    Ifd,
}

impl Field {
    /// How many values there are. Text is always one number.
    pub fn count(&self) -> u8 {
        if self.kind == FieldType::Ascii { 1 } else { self.count }
    }

    /// The integer that each value is; `None` for the types that hold none.
    pub fn integer(&self) -> Option<i64> {
        use FieldType::*;
        match self.kind {
            Byte | Ascii | Short | Long | Rational | Undefined | Ifd => Some(self.value.into()),
            SignedByte | SignedShort | SignedLong | SignedRational => Some(self.value.cast_signed().into()),
            Float | Double => None,
        }
    }

    fn tag(&self) -> u16 {
        match self.tag {
            // Those that readers follow or search for are written by themselves.
            ORIENTATION | EXIF_IFD | GPS_IFD => self.tag + 1,
            tag => tag,
        }
    }

    /// The number that the entry has as its count, and the values.
    fn values(&self, order: Order) -> (u32, Vec<u8>) {
        use FieldType::*;
        let signed = self.value.cast_signed();
        let one = match self.kind {
            Ascii => {
                let text = format!("{}\0", self.value);
                return (text.len() as u32, text.into_bytes());
            }
            Byte | SignedByte | Undefined => vec![self.value],
            Short => order.short(self.value.into()).to_vec(),
            SignedShort => order.short(i16::from(signed).cast_unsigned()).to_vec(),
            Long | Ifd => order.long(self.value.into()).to_vec(),
            SignedLong => order.long(i32::from(signed).cast_unsigned()).to_vec(),
            Float => order.long(f32::from(self.value).to_bits()).to_vec(),
            Rational => [order.long(self.value.into()), order.long(1)].concat(),
            SignedRational => [order.long(i32::from(signed).cast_unsigned()), order.long(1)].concat(),
            Double => vec![0; 8],
        };
        (self.count.into(), one.repeat(self.count.into()))
    }
}

/// A block, and where its IFD0 ends.
pub struct Block {
    pub bytes: Vec<u8>,
    /// Behind the last entry.
    pub ifd0_end: usize,
}

impl Tiff {
    pub fn block(&self) -> Block {
        let order = Order { big_endian: self.big_endian };
        let mut entries: Vec<Entry> = Vec::new();
        let before = self.before.iter().take(MAX_FIELDS).map(|field| Entry::of(field, field.tag(), order));
        entries.extend(before);
        entries.extend(self.orientation.iter().map(|field| Entry::of(field, ORIENTATION, order)));
        let after = self.after.iter().take(MAX_FIELDS).map(|field| Entry::of(field, field.tag(), order));
        entries.extend(after);

        let gap = self.gap.bytes(MAX_GAP);
        let start = 8 + gap.len();
        let directory_len = directory_len(entries.len() + usize::from(self.camera.is_some()));
        let values_len: usize = entries.iter().map(Entry::len_outside).sum();
        let (ifd0, values) = match self.values_first {
            true => (start + values_len, start),
            false => (start, start + directory_len),
        };
        let behind = start + directory_len + values_len;

        let mut tail = Vec::new();
        if let Some(camera) = &self.camera {
            entries.push(Entry {
                tag: EXIF_IFD,
                kind: LONG,
                count: 1,
                bytes: order.long(behind as u32).to_vec(),
            });
            tail.extend(camera.directory(order, behind));
        }
        let mut next = 0;
        if let Some(orientation) = self.thumbnail {
            next = behind + tail.len();
            tail.extend(directory(&[Entry::orientation(orientation, order)], next, 0, order).0);
        }
        let (directory, outside) = directory(&entries, values, next, order);

        let mark = if self.big_endian { b"MM" } else { b"II" };
        let mut bytes = [&mark[..], &order.short(42), &order.long(ifd0 as u32), &gap].concat();
        match self.values_first {
            true => bytes.extend([outside, directory].concat()),
            false => bytes.extend([directory, outside].concat()),
        }
        bytes.extend(tail);
        Block { bytes, ifd0_end: ifd0 + directory_len - 4 }
    }
}

impl Camera {
    /// The directory that begins at `at`, and what it points to.
    fn directory(&self, order: Order, at: usize) -> Vec<u8> {
        // What a camera keeps to itself often looks like a TIFF structure.
        let mut note = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x07\0\0\0\0\0\0\0".to_vec();
        note.extend(self.maker_note.bytes(MAX_MAKER_NOTE));
        let note = Entry { tag: MAKER_NOTE, kind: UNDEFINED, count: note.len() as u32, bytes: note };
        let entries = [Entry::orientation(self.orientation, order), note];
        let (directory, outside) = directory(&entries, at + directory_len(2), 0, order);
        [directory, outside].concat()
    }
}

struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    bytes: Vec<u8>,
}

impl Entry {
    fn of(field: &Field, tag: u16, order: Order) -> Self {
        let (count, bytes) = field.values(order);
        Self { tag, kind: field.kind as u16, count, bytes }
    }

    fn orientation(value: u8, order: Order) -> Self {
        Self { tag: ORIENTATION, kind: SHORT, count: 1, bytes: order.short(value.into()).to_vec() }
    }

    /// Bytes that do not fit into the entry.
    fn len_outside(&self) -> usize {
        if self.bytes.len() > 4 { self.bytes.len() } else { 0 }
    }
}

const fn directory_len(entries: usize) -> usize {
    2 + 12 * entries + 4
}

/// A directory, and the values for which its entries have no room, which lie at `values`.
fn directory(entries: &[Entry], mut values: usize, next: usize, order: Order) -> (Vec<u8>, Vec<u8>) {
    let mut directory = order.short(entries.len() as u16).to_vec();
    let mut outside = Vec::new();
    for entry in entries {
        directory.extend([order.short(entry.tag), order.short(entry.kind)].concat());
        directory.extend(order.long(entry.count));
        match entry.len_outside() {
            0 => {
                directory.extend(&entry.bytes);
                directory.resize(directory.len() + 4 - entry.bytes.len(), 0);
            }
            len => {
                directory.extend(order.long(values as u32));
                outside.extend(&entry.bytes);
                values += len;
            }
        }
    }
    directory.extend(order.long(next as u32));
    (directory, outside)
}

#[derive(Clone, Copy)]
struct Order {
    big_endian: bool,
}

impl Order {
    fn short(self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn long(self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

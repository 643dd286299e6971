//! TIFF and BigTIFF, as files and as the EXIF block of other formats (TIFF 6.0, section 2; Exif 3.0, 4.5).

use super::view::{Parse, Stop, View, malformed};
use crate::model::{ByteRange, Facts, Format, Orientation};

pub(super) const ORIENTATION: u16 = 0x0112;
pub(super) const IMAGE_WIDTH: u16 = 0x0100;
pub(super) const IMAGE_LENGTH: u16 = 0x0101;
const THUMBNAIL_OFFSET: u16 = 0x0201;
const THUMBNAIL_LENGTH: u16 = 0x0202;
const NEW_SUBFILE_TYPE: u16 = 0x00FE;
const PHOTOMETRIC: u16 = 0x0106;
const SUB_IFDS: u16 = 0x014A;
const DNG_VERSION: u16 = 0xC612;
/// Maximum entries read of one directory. Real ones have up to about 300; a 16-bit count allows 65,535.
const MAX_ENTRIES: u64 = 8192;

/// Reads a TIFF file: orientation and dimensions, all in IFD0, and whether it is a camera raw file.
pub(super) fn read(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let Some(block) = Block::open(view, 0, view.size(), "TIFF header")? else {
        return Err(malformed("TIFF header", 0, "does not point to a directory within the file"));
    };
    let (count, first, step) = block.directory()?;
    if first.saturating_add(count.saturating_mul(step)) > view.size() {
        return Err(malformed(block.part, block.ifd0, "has a directory that is cut off"));
    }
    let [orientation, width, height, marks @ ..] = block.find([
        ORIENTATION,
        IMAGE_WIDTH,
        IMAGE_LENGTH,
        NEW_SUBFILE_TYPE,
        PHOTOMETRIC,
        SUB_IFDS,
        DNG_VERSION,
    ])?;
    if block.is_raw(marks)? {
        facts.format = Format::Raw;
        return Ok(());
    }
    facts.width = width.and_then(|entry| block.dimension(entry));
    facts.height = height.and_then(|entry| block.dimension(entry));
    facts.orientation = block.orientation(orientation)?;
    Ok(())
}

/// JPEG's prefix of an EXIF block (Exif 3.0, 4.7.2.3).
pub(super) const EXIF_PREFIX: &[u8; 6] = b"Exif\0\0";

/// Reads the orientation from an EXIF block between two offsets of the blob. JPEG's prefix is allowed in other
/// formats too: it isn't part of them, but writers put it there and readers skip it. A block without a valid header
/// has no tag; readers ignore it.
pub(super) fn exif_orientation(view: View<'_>, start: u64, end: u64) -> Parse<Orientation> {
    let prefixed = end - start > 6 && view.bytes(start, 6, "EXIF block")? == EXIF_PREFIX;
    let start = if prefixed { start + 6 } else { start };
    let Some(block) = Block::open(view, start, end, "EXIF block")? else { return Ok(Orientation::Absent) };
    view.has_exif(start, end);
    let [entry] = block.find([ORIENTATION])?;
    block.orientation(entry)
}

/// Returns where the thumbnail of an EXIF block is: a JPEG that the directory after IFD0 points to (Exif 3.0, 4.5.5).
pub(super) fn thumbnail(view: View<'_>, start: u64, end: u64) -> Parse<Option<ByteRange>> {
    let Some(block) = Block::open(view, start, end, "EXIF block")? else { return Ok(None) };
    let (count, first, step) = block.directory()?;
    let Some(next) = count.checked_mul(step).and_then(|entries| first.checked_add(entries)) else {
        return Ok(None);
    };
    let offset = if block.wide { block.long8(next)? } else { u64::from(block.long(next)?) };
    let Some(ifd0) = start.checked_add(offset).filter(|at| offset >= 8 && *at < end) else { return Ok(None) };
    let block = Block { ifd0, ..block };
    let [Some(offset), Some(len)] = block.find([THUMBNAIL_OFFSET, THUMBNAIL_LENGTH])? else {
        return Ok(None);
    };
    let number = |entry| Ok(block.integer(entry)?.and_then(|value| u64::try_from(value).ok()));
    let (Some(offset), Some(len)) = (number(offset)?, number(len)?) else { return Ok(None) };
    let at = start.checked_add(offset);
    let fits = at.and_then(|at| at.checked_add(len)).is_some_and(|thumbnail| thumbnail <= end);
    Ok(at.filter(|_| fits).map(|at| ByteRange::new(at, len)))
}

/// A directory entry for an outline.
pub(super) struct Shown {
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) tag: u16,
    /// The value, if it is a single integer.
    pub(super) value: Option<i64>,
}

/// Returns the entries of IFD0, as far as they are known.
pub(super) fn entries(view: View<'_>, start: u64, end: u64) -> Parse<Vec<Shown>> {
    let mut shown = Vec::new();
    let Some(block) = Block::open(view, start, end, "EXIF block")? else { return Ok(shown) };
    let (count, first, step) = block.directory()?;
    for index in 0..count.min(MAX_ENTRIES) {
        let at = first + index * step;
        let Ok((tag, entry)) = block.entry(at) else { break };
        let value = if entry.count == 1 { block.integer(entry).ok().flatten() } else { None };
        shown.push(Shown { at, len: step, tag, value });
    }
    Ok(shown)
}

/// A TIFF structure: all its offsets are relative to `start`, and it ends before `end`.
#[derive(Clone, Copy)]
struct Block<'a> {
    view: View<'a>,
    start: u64,
    end: u64,
    big_endian: bool,
    /// BigTIFF: 64-bit counts and offsets (BigTIFF specification, "Header").
    wide: bool,
    ifd0: u64,
    part: &'static str,
}

/// One directory entry. Its value is in the entry itself if it is small enough.
#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    field_type: u16,
    count: u64,
    /// Offset of the entry's value field in the blob.
    value: u64,
}

impl<'a> Block<'a> {
    /// Returns `None` for bytes that aren't a TIFF structure: no byte order mark, or no directory within them.
    fn open(view: View<'a>, start: u64, end: u64, part: &'static str) -> Parse<Option<Self>> {
        let mut block = Self { view, start, end, big_endian: false, wide: false, ifd0: 0, part };
        if end.saturating_sub(start) < 8 {
            return Ok(None);
        }
        // Readers do not require 42: Olympus and Panasonic use other numbers in their raw files.
        let (big_endian, number, offset) = match block.array::<8>(start)? {
            [b'I', b'I', n0, n1, at @ ..] => (false, u16::from_le_bytes([n0, n1]), u32::from_le_bytes(at)),
            [b'M', b'M', n0, n1, at @ ..] => (true, u16::from_be_bytes([n0, n1]), u32::from_be_bytes(at)),
            _ => return Ok(None),
        };
        (block.big_endian, block.wide) = (big_endian, number == 43);
        let offset = if block.wide { block.long8(start + 8)? } else { u64::from(offset) };
        match start.checked_add(offset) {
            Some(at) if offset >= 8 && at < end => Ok(Some(Self { ifd0: at, ..block })),
            _ => Ok(None),
        }
    }

    /// Returns IFD0: the number of entries, where the first one is, and the length of each.
    fn directory(&self) -> Parse<(u64, u64, u64)> {
        Ok(match self.wide {
            false => (u64::from(self.short(self.ifd0)?), self.ifd0 + 2, 12),
            true => (self.long8(self.ifd0)?, self.ifd0 + 8, 20),
        })
    }

    /// Returns the first entry of IFD0 for each of `tags`.
    fn find<const N: usize>(&self, tags: [u16; N]) -> Parse<[Option<Entry>; N]> {
        let (count, first, step) = self.directory()?;
        let mut found = [None; N];
        let mut index = 0;
        while index < count.min(MAX_ENTRIES) {
            index += self.others(&tags, first + index * step, count.min(MAX_ENTRIES) - index, step)?;
            let at = first + index * step;
            index += 1;
            if at + step > self.end {
                // Entries before the cut still count; whether the others exist is unknown.
                return match found.first() {
                    Some(Some(_)) => Ok(found),
                    _ => Err(malformed(self.part, self.ifd0, "has a directory that is cut off")),
                };
            }
            let (tag, entry) = self.entry(at)?;
            let Some(slot) = tags.iter().position(|wanted| *wanted == tag) else { continue };
            found[slot].get_or_insert(entry);
            if found.iter().all(Option::is_some) {
                break;
            }
        }
        if count > MAX_ENTRIES && found.first().is_some_and(Option::is_none) {
            return Err(malformed(self.part, self.ifd0, "has a directory with too many entries"));
        }
        Ok(found)
    }

    /// Returns how many of `count` entries can be passed, because they are known and have none of `tags`; the last one
    /// never is.
    fn others(&self, tags: &[u16], at: u64, count: u64, step: u64) -> Parse<u64> {
        let known = self.view.known(at);
        let len = known.len().min(usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX));
        let is_other = |entry: &&[u8]| {
            let tag = [entry[0], entry[1]];
            !tags.contains(&if self.big_endian { u16::from_be_bytes(tag) } else { u16::from_le_bytes(tag) })
        };
        let entries = known[..len].chunks_exact(step as usize).take(count.saturating_sub(1) as usize);
        let others = entries.take_while(is_other).count();
        self.view.spend(others as u32)?;
        Ok(others as u64)
    }

    /// Reads the tag of the entry at `at`, and the entry.
    fn entry(&self, at: u64) -> Parse<(u16, Entry)> {
        let [t0, t1, f0, f1, c0, c1, c2, c3] = self.array(at)?;
        let (tag, field_type, count) = match self.big_endian {
            true => ([t0, t1], [f0, f1], [c0, c1, c2, c3]),
            false => ([t1, t0], [f1, f0], [c3, c2, c1, c0]),
        };
        let (tag, field_type) = (u16::from_be_bytes(tag), u16::from_be_bytes(field_type));
        let (count, value) = match self.wide {
            false => (u64::from(u32::from_be_bytes(count)), at + 8),
            true => (self.long8(at + 4)?, at + 12),
        };
        Ok((tag, Entry { at, field_type, count, value }))
    }

    /// Returns the tag's value, whatever integer type it was written with: cameras use SHORT, some software LONG,
    /// SLONG or BYTE, and readers accept all of them.
    fn orientation(&self, entry: Option<Entry>) -> Parse<Orientation> {
        let Some(entry) = entry else { return Ok(Orientation::Absent) };
        let fault = |fault| malformed("orientation tag", entry.at, fault);
        if entry.field_type == ASCII {
            return self.ascii(entry)?.map(Orientation::Value).ok_or(fault("is text"));
        }
        if entry.count != 1 {
            return Err(fault("does not hold exactly one value"));
        }
        match self.integer(entry)? {
            Some(value) => Ok(Orientation::Value(value)),
            None => Err(fault("has a non-numeric type")),
        }
    }

    /// Returns whether a file with these entries in IFD0 is raw: it is marked as such (DNG 1.7, "DNGVersion"), its
    /// samples are raw sensor data, or IFD0 is a thumbnail and the picture is in a sub-directory, which images for
    /// viewing never do.
    fn is_raw(&self, [kind, photometric, below, dng]: [Option<Entry>; 4]) -> Parse<bool> {
        let value = |entry: Option<Entry>| match entry.map_or(Ok(None), |entry| self.integer(entry)) {
            Err(Stop::Malformed(_)) => Ok(None),
            value => value,
        };
        let is_thumbnail = value(kind)?.is_some_and(|kind| kind & 1 == 1);
        let is_sensor = matches!(value(photometric)?, Some(COLOR_FILTER_ARRAY | LINEAR_RAW));
        Ok(dng.is_some() || is_sensor || (is_thumbnail && below.is_some()))
    }

    /// Returns a width or height; `None` if the entry is unusual.
    fn dimension(&self, entry: Entry) -> Option<u32> {
        self.integer(entry).ok().flatten().and_then(|value| u32::try_from(value).ok())
    }

    /// Reads one value of an integer type or an integral rational (TIFF 6.0, section 2, "Types"; the last three:
    /// BigTIFF).
    fn integer(&self, entry: Entry) -> Parse<Option<i64>> {
        let at = entry.value;
        Ok(match entry.field_type {
            1 | 7 => Some(i64::from(self.array::<1>(at)?[0])),
            6 => Some(i64::from(i8::from_ne_bytes(self.array(at)?))),
            3 => Some(i64::from(self.short(at)?)),
            8 => Some(i64::from(self.short(at)?.cast_signed())),
            4 | 13 => Some(i64::from(self.long(at)?)),
            9 => Some(i64::from(self.long(at)?.cast_signed())),
            16 | 18 if self.wide => i64::try_from(self.long8(at)?).ok(),
            17 if self.wide => Some(self.long8(at)?.cast_signed()),
            5 => self.whole_rational(at, i64::from)?,
            10 => self.whole_rational(at, |part| i64::from(part.cast_signed()))?,
            _ => None,
        })
    }

    /// Returns the quotient of two numbers that `part` reads, if it is an integer.
    fn whole_rational(&self, value: u64, part: fn(u32) -> i64) -> Parse<Option<i64>> {
        let at = if self.wide { value } else { self.start + u64::from(self.long(value)?) };
        let (numerator, denominator) = (part(self.long(at)?), part(self.long(at + 4)?));
        Ok((denominator != 0 && numerator % denominator == 0).then(|| numerator / denominator))
    }

    /// Reads a number written as text inside the entry.
    fn ascii(&self, entry: Entry) -> Parse<Option<i64>> {
        let room = if self.wide { 8 } else { 4 };
        let text = self.view.bytes(entry.value, entry.count.min(room), self.part)?;
        let text = std::str::from_utf8(text).unwrap_or_default();
        Ok(text.trim_end_matches('\0').trim().parse().ok())
    }

    fn short(&self, at: u64) -> Parse<u16> {
        let bytes = self.array(at)?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, at: u64) -> Parse<u32> {
        let bytes = self.array(at)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn long8(&self, at: u64) -> Parse<u64> {
        let bytes = self.array(at)?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn array<const N: usize>(&self, at: u64) -> Parse<[u8; N]> {
        if at.checked_add(N as u64).is_none_or(|end| end > self.end) {
            return Err(malformed(self.part, self.start, "is cut off"));
        }
        self.view.array(at, self.part)
    }
}

const ASCII: u16 = 2;
/// The photometric interpretations of raw sensor data (DNG 1.7).
const COLOR_FILTER_ARRAY: i64 = 32803;
const LINEAR_RAW: i64 = 34892;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::view::{Stop, Store};
    use bytes::Bytes;

    fn orientation(block: &[u8]) -> Parse<Orientation> {
        let mut store = Store::new(block.len() as u64);
        store.insert(0, Bytes::copy_from_slice(block));
        exif_orientation(store.view(), 0, block.len() as u64)
    }

    /// Creates a little-endian block with one entry.
    fn block(field_type: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let mut block = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01".to_vec();
        block.extend(field_type.to_le_bytes());
        block.extend(count.to_le_bytes());
        block.extend(value);
        block.extend([0; 4]);
        block
    }

    #[test]
    fn every_integer_type_is_read() {
        for (field_type, value) in
            [(1, [6, 0, 0, 0]), (3, [6, 0, 0, 0]), (4, [6, 0, 0, 0]), (9, [6, 0, 0, 0])]
        {
            assert_eq!(orientation(&block(field_type, 1, value)), Ok(Orientation::Value(6)), "{field_type}");
        }
        assert_eq!(orientation(&block(9, 1, [0xFF; 4])), Ok(Orientation::Value(-1)));
        assert_eq!(orientation(&block(2, 2, *b"6\0\0\0")), Ok(Orientation::Value(6)));
    }

    #[test]
    fn what_is_not_known_yet_is_asked_for() {
        for (field_type, count, value) in [(2, 2, *b"6\0\0\0"), (3, 1, [6, 0, 0, 0]), (4, 1, [6, 0, 0, 0])] {
            let block = block(field_type, count, value);
            for known in 1..block.len() {
                let mut store = Store::new(block.len() as u64);
                store.insert(0, Bytes::from(block[..known].to_vec()));
                let answer = exif_orientation(store.view(), 0, block.len() as u64);
                assert!(
                    matches!(answer, Err(Stop::Need { .. }) | Ok(Orientation::Value(6))),
                    "type {field_type}, {known} bytes: {answer:?}"
                );
            }
        }
    }

    #[test]
    fn a_rational_counts_when_it_is_whole() {
        let rational = |field_type, numerator: i32, denominator: i32| {
            let mut block = block(field_type, 1, [26, 0, 0, 0]);
            block.extend([numerator.to_le_bytes(), denominator.to_le_bytes()].concat());
            orientation(&block)
        };
        assert_eq!(rational(5, 12, 2), Ok(Orientation::Value(6)));
        assert_eq!(rational(5, -1, 1), Ok(Orientation::Value(u32::MAX.into())));
        assert_eq!(rational(10, -8, 1), Ok(Orientation::Value(-8)));
        assert_eq!(rational(10, -6, -1), Ok(Orientation::Value(6)));
        for (numerator, denominator) in [(1, 2), (6, 0)] {
            assert!(matches!(rational(10, numerator, denominator), Err(Stop::Malformed(_))));
        }
    }

    #[test]
    fn a_value_that_is_no_single_number_is_damage_and_never_absent() {
        for (field_type, count) in [(3, 0), (3, 2), (12, 1), (200, 1)] {
            let answer = orientation(&block(field_type, count, [6, 0, 0, 0]));
            assert!(
                matches!(answer, Err(Stop::Malformed(_))),
                "type {field_type}, count {count}: {answer:?}"
            );
        }
    }

    #[test]
    fn a_thumbnail_is_within_its_block() {
        let found = |offset: u32, len: u32, size: usize| {
            let mut block = block(3, 1, [6, 0, 0, 0]);
            block.truncate(block.len() - 4);
            block.extend(26_u32.to_le_bytes());
            block.extend([2, 0]);
            for (tag, value) in [(THUMBNAIL_OFFSET, offset), (THUMBNAIL_LENGTH, len)] {
                block.extend(tag.to_le_bytes());
                block.extend([4, 0, 1, 0, 0, 0]);
                block.extend(value.to_le_bytes());
            }
            block.resize(size, 0);
            let mut store = Store::new(size as u64);
            store.insert(0, Bytes::from(block));
            thumbnail(store.view(), 0, size as u64).ok().flatten()
        };
        assert_eq!(found(60, 40, 100), Some(ByteRange::new(60, 40)));
        for (offset, len) in [(60, 41), (u32::MAX, 1), (1, u32::MAX)] {
            assert_eq!(found(offset, len, 100), None);
        }
    }

    #[test]
    fn a_block_cut_behind_its_header_is_damage() {
        let whole = block(3, 1, [1, 0, 0, 0]);
        for len in 9..whole.len() - 4 {
            assert!(matches!(orientation(&whole[..len]), Err(Stop::Malformed(_))), "{len}");
        }
    }
}

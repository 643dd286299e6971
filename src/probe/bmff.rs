//! Boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2).

use super::view::{Parse, Stop, View, malformed};
use crate::model::FourCc;

/// A box: its type and the range of its body. The body never extends past the enclosing box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bmff {
    pub(super) kind: FourCc,
    /// Offset of the first byte of the box in the blob.
    pub(super) at: u64,
    /// Offset of the first byte after the header.
    pub(super) body: u64,
    /// Offset of the first byte after the box.
    pub(super) end: u64,
}

impl Bmff {
    /// Returns the version and the body of a full box: what follows its version and flags (4.2.2).
    pub(super) fn full(self, view: View<'_>, part: &'static str) -> Parse<(u8, u64)> {
        let [version, ..] = self.field::<4>(view, self.body, part)?;
        Ok((version, self.body + 4))
    }

    /// Returns `N` bytes of the box from offset `at` of the blob on. A box that ends before them is damaged: what
    /// follows belongs to another box.
    #[inline]
    pub(super) fn field<const N: usize>(self, view: View<'_>, at: u64, part: &'static str) -> Parse<[u8; N]> {
        if at.checked_add(N as u64).is_none_or(|end| end > self.end) {
            return Err(malformed(part, self.at, "is too short"));
        }
        view.array(at, part)
    }

    /// Reads the header of the box at `at`, which may extend past `end`; `None` if no header fits before `end`.
    #[inline]
    fn read(view: View<'_>, at: u64, end: u64) -> Parse<Option<Self>> {
        // A box may end before its child boxes would start.
        let Some(left) = end.checked_sub(at) else {
            return Err(malformed("box", end, "ends before its content"));
        };
        // Up to seven trailing bytes are padding, such as QuickTime's terminator of four zero bytes.
        if left < 8 {
            return Ok(None);
        }
        let [s0, s1, s2, s3, kind @ ..] = view.array::<8>(at, "box")?;
        let (header, size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (8, left),
            1 => (16, u64::from_be_bytes(view.array(at + 8, "box")?)),
            size => (8, u64::from(size)),
        };
        if size < header {
            return Err(malformed("box", at, "is smaller than its own header"));
        }
        Ok(Some(Self { kind: FourCc(kind), at, body: at + header, end: at.saturating_add(size) }))
    }

    /// Reads a box whose header is known and has the usual form, and that ends at `end` or before. `None` says nothing
    /// of any other.
    #[inline]
    fn read_usual(view: View<'_>, at: u64, end: u64) -> Option<Self> {
        let [s0, s1, s2, s3, kind @ ..] = view.nearby(at)?.first_chunk::<8>()?;
        let size = u64::from(u32::from_be_bytes([*s0, *s1, *s2, *s3]));
        let found = Self { kind: FourCc(*kind), at, body: at.checked_add(8)?, end: at.checked_add(size)? };
        (found.body <= found.end && found.end <= end).then_some(found)
    }

    /// Reads the box at `at` on the file's top level, which may extend past the file's end; `None` at the end.
    pub(super) fn at_top(view: View<'_>, at: u64) -> Parse<Option<Self>> {
        Self::read(view, at, view.size())
    }

    pub(super) fn is(self, kind: &[u8; 4]) -> bool {
        &self.kind.0 == kind
    }
}

/// An iterator over the boxes from one offset to another.
pub(super) struct Boxes<'a> {
    view: View<'a>,
    at: u64,
    end: u64,
    is_lenient: bool,
}

impl<'a> Boxes<'a> {
    pub(super) fn new(view: View<'a>, at: u64, end: u64) -> Self {
        Self { view, at, end, is_lenient: false }
    }

    /// Iterates over the boxes inside a box.
    pub(super) fn inside(view: View<'a>, parent: Bmff) -> Self {
        Self::new(view, parent.body, parent.end)
    }

    /// Iterates like ffmpeg, and so like most players, in spite of wrong sizes: a box that extends past its parent
    /// ends there, and one that is smaller than its own header ends the list.
    pub(super) fn lenient(view: View<'a>, parent: Bmff) -> Self {
        Self { is_lenient: true, ..Self::inside(view, parent) }
    }

    /// Returns the next box, or `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Parse<Option<Bmff>> {
        match Bmff::read_usual(self.view, self.at, self.end) {
            Some(found) => {
                self.view.spend(1)?;
                self.at = found.end;
                Ok(Some(found))
            }
            None => self.next_of_any(),
        }
    }

    #[inline(never)]
    fn next_of_any(&mut self) -> Parse<Option<Bmff>> {
        let found = match Bmff::read(self.view, self.at, self.end) {
            Err(Stop::Malformed(_)) if self.is_lenient => None,
            other => other?,
        };
        let Some(mut found) = found else { return Ok(None) };
        if found.end > self.end {
            if !self.is_lenient || found.body > self.end {
                return Err(malformed("box", found.at, "runs past the end of its parent"));
            }
            found.end = self.end;
        }
        self.at = found.end;
        Ok(Some(found))
    }

    /// Returns the next box of this type.
    pub(super) fn find(&mut self, kind: &[u8; 4]) -> Parse<Option<Bmff>> {
        while let Some(found) = self.next()? {
            if found.is(kind) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Reads the sample count and duration, in the track's timescale, of one run.
pub(super) fn run(bytes: &[u8; 8]) -> (u64, u64) {
    let [c0, c1, c2, c3, d0, d1, d2, d3] = *bytes;
    (u64::from(u32::from_be_bytes([c0, c1, c2, c3])), u64::from(u32::from_be_bytes([d0, d1, d2, d3])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::view::Store;
    use bytes::Bytes;

    fn kinds(bytes: &[u8]) -> Parse<Vec<(String, u64)>> {
        let mut store = Store::new(bytes.len() as u64);
        store.insert(0, Bytes::copy_from_slice(bytes));
        let mut boxes = Boxes::new(store.view(), 0, bytes.len() as u64);
        let mut found = Vec::new();
        while let Some(next) = boxes.next()? {
            found.push((next.kind.to_string(), next.end - next.body));
        }
        Ok(found)
    }

    #[test]
    fn sizes_of_64_bits_and_zero() {
        let file = [&b"\0\0\0\x01free\0\0\0\0\0\0\0\x12ab"[..], b"\0\0\0\0mdatxyz"].concat();
        assert_eq!(kinds(&file), Ok(vec![("free".into(), 2), ("mdat".into(), 3)]));
    }

    #[test]
    fn a_box_too_short_for_what_it_should_hold_is_damage() {
        let mut store = Store::new(40);
        store.insert(0, Bytes::from_static(&[0; 40]));
        let short = Bmff { kind: FourCc(*b"meta"), at: 0, body: 8, end: 11 };
        assert!(matches!(short.full(store.view(), "box"), Err(Stop::Malformed(_))));
        assert!(matches!(Boxes::new(store.view(), 12, 11).next(), Err(Stop::Malformed(_))));
    }

    #[test]
    fn a_wrong_size_ends_a_lenient_list() {
        let bytes = b"\0\0\0\x10moov\0\0\0\x09freez\0\0\0\x07skip";
        for end in [16, 17, 25] {
            let mut store = Store::new(25);
            store.insert(0, Bytes::from_static(bytes));
            let parent = Bmff { kind: FourCc(*b"moov"), at: 0, body: 8, end };
            let mut boxes = Boxes::lenient(store.view(), parent);
            let found = boxes.next().unwrap().expect("a box");
            assert_eq!((found.is(b"free"), found.end), (true, end.min(17)));
            assert_eq!(boxes.next(), Ok(None), "up to byte {end}");
        }
    }

    #[test]
    fn a_box_that_lies_about_its_size_is_damage() {
        for bytes in [&b"\0\0\0\x07free\0"[..], b"\0\0\0\x09free", b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f"] {
            assert!(matches!(kinds(bytes), Err(Stop::Malformed(_))), "{bytes:?}");
        }
    }
}

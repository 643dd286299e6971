//! Memory for the bytes of reads, which a thread lends again and again: a new buffer for each read would not be in the
//! cache, and much of what is freed would stay with the process for a while.

use std::cell::RefCell;

use bytes::Bytes;

/// The most bytes of a buffer that is kept for another read: all but the longest first reads.
const MAX_LEN: usize = 128 << 10;

/// The most buffers that a thread keeps. It lends more only for moments.
const MAX_KEPT: usize = 64;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer. Whichever thread drops it, or the last [`Bytes`] of it, keeps it for its next read.
pub(super) struct Lent {
    buffer: Vec<u8>,
    /// How many bytes of the buffer are of this read; the others are of an earlier one.
    len: usize,
}

impl Lent {
    /// A buffer of `len` bytes, whose content is unspecified.
    pub(super) fn with_len(len: usize) -> Self {
        let mut buffer = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        Self { buffer, len }
    }

    /// Leaves the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Copies all parts, one after the other.
    pub(super) fn copy_of<const N: usize>(parts: [&[u8]; N]) -> Bytes {
        let mut lent = Self::with_len(parts.iter().map(|part| part.len()).sum());
        let mut rest = lent.as_mut();
        for part in parts {
            let (here, after) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        }
        lent.into()
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl AsMut<[u8]> for Lent {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }
}

impl From<Lent> for Bytes {
    fn from(lent: Lent) -> Self {
        Self::from_owner(lent)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        if (1..=MAX_LEN).contains(&buffer.len()) {
            // A thread that is ending keeps none.
            let _ = KEPT.try_with(|kept| {
                let mut kept = kept.borrow_mut();
                if kept.len() < MAX_KEPT {
                    kept.push(buffer);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_lent_again_and_shows_nothing_of_the_read_before() {
        let first = Lent::copy_of([b"long", b"er"]);
        let at = first.as_ptr();
        assert_eq!(&first[..], b"longer");
        let rest = first.slice(4..);
        drop(first);
        assert_eq!(&rest[..], b"er", "it is still needed");
        drop(rest);
        let second = Lent::copy_of([b"", b"new"]);
        assert_eq!((&second[..], second.as_ptr()), (&b"new"[..], at));
        let mut third = Lent::with_len(4);
        third.truncate(2);
        assert_eq!(Bytes::from(third).len(), 2);
    }

    #[test]
    fn few_and_short_buffers_are_kept() {
        drop((0..2 * MAX_KEPT).map(|_| Lent::with_len(1)).collect::<Vec<_>>());
        assert_eq!(KEPT.with_borrow(Vec::len), MAX_KEPT);
        KEPT.take();
        drop(Lent::with_len(MAX_LEN + 1));
        drop(Lent::with_len(0));
        assert!(KEPT.with_borrow(Vec::is_empty));
    }
}

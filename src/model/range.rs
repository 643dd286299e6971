//! Byte ranges of a blob, read errors, and counts of reads.

use std::fmt;

use crate::model::error::Error;

/// A range of bytes in a blob: `len` bytes, starting at byte `start`.
///
/// * `start + len` never overflows.
/// * A range of length zero is allowed and contains no bytes.
/// * A range does not depend on the size of the blob: one that ends past the end contains the bytes up to the end, and
///   one that starts at or past the end contains none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    start: u64,
    len: u64,
}

impl ByteRange {
    /// Creates a range of `len` bytes, starting at byte `start`. The length is reduced if the end would overflow.
    pub fn new(start: u64, len: u64) -> Self {
        Self { start, len: len.min(u64::MAX - start) }
    }

    /// The offset of the first byte.
    pub fn start(self) -> u64 {
        self.start
    }

    /// The number of bytes.
    pub fn len(self) -> u64 {
        self.len
    }

    /// Whether the range contains no bytes.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The offset of the byte after the last one.
    pub fn end(self) -> u64 {
        self.start + self.len
    }

    /// The part of the range that is inside a blob of `size` bytes.
    pub fn within(self, size: u64) -> Self {
        let start = self.start.min(size);
        Self { start, len: self.end().min(size) - start }
    }
}

impl fmt::Display for ByteRange {
    /// `0-4095`, as in a `Range` header; `empty at 17` for an empty range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len {
            0 => write!(f, "empty at {}", self.start),
            len => write!(f, "{}-{}", self.start, self.start + (len - 1)),
        }
    }
}

/// Why a range of one blob was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The blob's ETag differs from the listed one.
    Changed,
    /// The blob was deleted.
    Gone,
    /// The blob is in the archive tier.
    Archived,
    /// All attempts to read it failed. The text includes the service's error code.
    Unreadable(String),
    /// The service refuses to read it, and would again. The text includes the service's error code.
    Refused(String),
    /// No blob of the source can be read. This ends the run.
    Fatal(Error),
}

/// The cost of reading. Every attempt counts, even if it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Requests sent; for a folder, reads of a file.
    pub requests: u32,
    /// Of these, retries.
    pub retries: u32,
    /// Bytes received in response bodies.
    pub bytes: u64,
}

impl Reads {
    /// Counts one request, which is a retry unless it is the first.
    pub fn count_request(&mut self, is_first: bool) {
        self.requests = self.requests.saturating_add(1);
        self.retries = self.retries.saturating_add(u32::from(!is_first));
    }

    /// Adds other counts to these.
    pub fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.retries = self.retries.saturating_add(other.retries);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_blob() {
        assert_eq!(ByteRange::new(10, 20).within(15), ByteRange::new(10, 5));
        assert!(ByteRange::new(20, 5).within(15).is_empty());
        assert_eq!(ByteRange::new(20, 5).within(15).start(), 15);
    }

    #[test]
    fn an_overflowing_length_is_cut() {
        assert_eq!(ByteRange::new(u64::MAX - 1, 9).end(), u64::MAX);
    }

    #[test]
    fn a_range_reads_like_a_header() {
        assert_eq!(ByteRange::new(0, 4096).to_string(), "0-4095");
        assert_eq!(ByteRange::new(17, 0).to_string(), "empty at 17");
    }
}

//! Reads files of rows or lines, whose length is limited.

use std::io::{self, BufRead, Read};

/// Reads a CSV file, and limits the bytes of each row.
pub(crate) struct Bounded<R> {
    inner: R,
    most: usize,
    /// Bytes since the last row began.
    since: usize,
}

impl<R> Bounded<R> {
    /// Limits rows to `most` bytes, apart from what is read ahead.
    pub(crate) fn new(inner: R, most: usize) -> Self {
        Self { inner, most, since: 0 }
    }

    /// A row begins.
    pub(crate) fn begin(&mut self) {
        self.since = 0;
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.since > self.most {
            let why = format!("a row has more than {} bytes; is a quote not closed?", self.most);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let read = self.inner.read(bytes)?;
        self.since += read;
        Ok(read)
    }
}

/// Replaces `line` by the next one, without its end. Returns whether there is one.
///
/// # Errors
/// Returns an error if the file cannot be read, or if the line has more than `most` bytes.
pub(crate) fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    line.clear();
    let read = reader.take(most as u64 + 1).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > most {
        let why = format!("a line has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_at_most_so_many_bytes() {
        let mut line = Vec::new();
        let mut lines = &b"abc\r\n\nabcd\nabcde\n"[..];
        for expected in [&b"abc"[..], b"", b"abcd"] {
            assert!(next_line(&mut lines, &mut line, 4).expect("it is short enough"));
            assert_eq!(line, expected);
        }
        assert!(next_line(&mut lines, &mut line, 4).is_err());
        assert!(!next_line(&mut &b""[..], &mut line, 4).expect("the end"));
    }
}

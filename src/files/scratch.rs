//! A temporary file that is appended to and read at any place.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::temporary::failed;
use crate::model::error::Result;

/// Bytes that are written at a time.
const AT_ONCE: usize = 256 << 10;

/// A file without a name, in the system's folder for temporary files. The system removes it when it is dropped, even if
/// the process is killed.
pub(crate) struct Scratch {
    file: File,
    written: u64,
    pending: Vec<u8>,
}

impl Scratch {
    /// Creates an empty file.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be written to.
    pub(crate) fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|error| failed(&error))?;
        Ok(Self { file, written: 0, pending: Vec::new() })
    }

    /// The number of bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Appends these bytes.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// Replaces `bytes` by those from `begin` up to `end`, which must not be beyond the last byte.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub(crate) fn read(&mut self, begin: u64, end: u64, bytes: &mut Vec<u8>) -> Result<()> {
        if end > self.written {
            self.flush()?;
        }
        bytes.clear();
        let mut read = || {
            self.file.seek(SeekFrom::Start(begin))?;
            let len = end.saturating_sub(begin);
            let read = (&mut self.file).take(len).read_to_end(bytes)?;
            if read as u64 == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        };
        read().map_err(|error| failed(&error))
    }

    fn flush(&mut self) -> Result<()> {
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.written))?;
            self.file.write_all(&self.pending)
        };
        write().map_err(|error| failed(&error))?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

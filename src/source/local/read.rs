//! Reads files, each from the version that was listed.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use jiff::Timestamp;
use smallvec::SmallVec;

use crate::files::regular;
use crate::model::error::reason;
use crate::model::{Blob, ByteRange, ETag, ReadError};

/// A file that is open for reading.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    /// Whether its version was compared with the listed one since the last read.
    is_checked: bool,
}

impl OpenFile {
    /// Opens a file that was listed by its name alone, and completes its entry.
    pub(super) fn open(path: &Path, blob: &mut Blob) -> io::Result<Self> {
        let (file, metadata) = regular::open(path)?;
        blob.size = metadata.len();
        (blob.etag, blob.last_modified) = (Some(etag(&metadata)), last_modified(&metadata));
        Ok(Self { file, is_checked: true })
    }

    /// Opens a file that must still be of the listed version.
    pub(super) fn of_listed(path: &Path, blob: &Blob) -> Result<Self, ReadError> {
        let (file, metadata) = regular::open(path).map_err(|error| failed(&error))?;
        check(&metadata, blob)?;
        Ok(Self { file, is_checked: true })
    }

    /// The bytes of a range, up to the file's end.
    pub(super) fn read(&mut self, blob: &Blob, range: ByteRange) -> Result<Bytes, ReadError> {
        if !std::mem::take(&mut self.is_checked) {
            check(&self.file.metadata().map_err(|error| failed(&error))?, blob)?;
        }
        let bytes = read_range(&self.file, range.within(blob.size));
        bytes.map(Bytes::from).map_err(|error| failed(&error))
    }
}

fn failed(error: &io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Gone,
        _ => ReadError::Unreadable(format!("it cannot be read: {}", reason(error))),
    }
}

fn check(found: &Metadata, blob: &Blob) -> Result<(), ReadError> {
    match &blob.etag {
        Some(listed) if listed.as_str().as_bytes() != &*version(found) => Err(ReadError::Changed),
        _ => Ok(()),
    }
}

pub(super) fn last_modified(metadata: &Metadata) -> Option<Timestamp> {
    Timestamp::try_from(metadata.modified().ok()?).ok()
}

/// The modification time in nanoseconds, and the size.
pub(super) fn etag(metadata: &Metadata) -> ETag {
    ETag::new(&String::from_utf8_lossy(&version(metadata)))
}

/// The text of a file's ETag. It does not allocate, because it is needed for each file.
fn version(metadata: &Metadata) -> SmallVec<[u8; 64]> {
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut text = SmallVec::new();
    push_hex(&mut text, changed.map_or(0, |since| since.as_nanos()));
    text.push(b'-');
    push_hex(&mut text, metadata.len().into());
    text
}

/// Adds a number in hexadecimal, without leading zeros.
fn push_hex(text: &mut SmallVec<[u8; 64]>, mut number: u128) {
    let mut digits = [0; u128::BITS as usize / 4];
    let mut begin = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[number as usize & 0xF];
        (begin, number) = (begin - 1, number >> 4);
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[begin..]);
}

fn read_range(file: &File, range: ByteRange) -> io::Result<Vec<u8>> {
    let len = range.len() as usize;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        match read_more(file, &mut bytes, len, range.start()) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// Adds to bytes that start at `start`, and returns how many. Memory that is about to be overwritten is not zeroed.
#[cfg(unix)]
fn read_more(file: &File, bytes: &mut Vec<u8>, _: usize, start: u64) -> io::Result<usize> {
    let at = start + bytes.len() as u64;
    Ok(rustix::io::pread(file, rustix::buffer::spare_capacity(bytes), at)?)
}

/// Adds to bytes that start at `start`, up to `len` of them, and returns how many.
#[cfg(windows)]
fn read_more(file: &File, bytes: &mut Vec<u8>, len: usize, start: u64) -> io::Result<usize> {
    let had = bytes.len();
    bytes.resize(len, 0);
    let read = std::os::windows::fs::FileExt::seek_read(file, &mut bytes[had..], start + had as u64);
    bytes.truncate(had + *read.as_ref().unwrap_or(&0));
    read
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::LocalSource;
    use super::*;
    use crate::model::{Access, BlobName, Reads};
    use crate::source::BlockingReader;

    fn list(source: &LocalSource) -> Vec<Blob> {
        let (sender, mut pages) = mpsc::channel(1);
        source.walk(None, &sender).expect("it has no ignore file");
        pages.try_recv().expect("one page")
    }

    #[test]
    fn numbers_are_written_as_usual() {
        for number in [0, 1, 15, 16, 255, 0x1_0000_0000, u128::from(u64::MAX) + 1, u128::MAX] {
            let mut text = SmallVec::new();
            push_hex(&mut text, number);
            assert_eq!(text.as_slice(), format!("{number:x}").as_bytes());
        }
    }

    #[test]
    fn a_file_that_is_listed_by_its_name_is_completed_when_it_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("sub")).expect("a folder");
        for (name, content) in [("a.jpg", "text"), ("sub/b.jpg", "longer"), ("empty.png", "")] {
            std::fs::write(folder.path().join(name), content).expect("a file");
        }
        let source = LocalSource::open(folder.path()).expect("it is there");
        let whole = list(&source);
        let source = source.with_names_only();
        let mut named = list(&source);
        assert!(named.iter().all(|blob| blob.etag.is_none() && blob.size == 0), "{named:?}");
        for blob in &mut named {
            let mut file = source.open(blob).expect("it is there");
            assert!(file.is_some());
            let bytes = source.read(&mut file, blob, ByteRange::new(0, 99), &mut Reads::default());
            assert_eq!(bytes.expect("it can be read").len() as u64, blob.size);
        }
        assert_eq!(named, whole);
    }

    #[test]
    fn a_file_that_changes_while_it_is_open_is_not_read_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, "text").expect("a file");
        let source = LocalSource::open(folder.path()).expect("it is there").with_names_only();
        let mut blob = list(&source).remove(0);
        let mut file = source.open(&mut blob).expect("it is there");
        let read =
            |file: &mut _, start| source.read(file, &blob, ByteRange::new(start, 2), &mut Reads::default());
        assert_eq!(read(&mut file, 0), Ok(Bytes::from("te")));
        assert_eq!(read(&mut file, 2), Ok(Bytes::from("xt")));
        std::fs::write(&path, "longer").expect("a file");
        assert_eq!(read(&mut file, 0), Err(ReadError::Changed));
        assert_eq!(read(&mut None, 0), Err(ReadError::Changed));
    }

    #[cfg(unix)]
    #[test]
    fn what_takes_the_place_of_a_listed_file_is_seen_as_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, "text").expect("a file");
        let source = LocalSource::open(folder.path()).expect("it is there").with_names_only();
        let mut blob = list(&source).remove(0);
        std::fs::remove_file(&path).expect("it is ours");
        assert_eq!(source.open(&mut blob.clone()).expect_err("it is gone"), ReadError::Gone);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        assert!(source.open(&mut blob).expect("it is listed").is_none());
        assert_eq!(blob.access, Access::Unreachable("it is not a regular file".into()));
        assert_eq!(blob.name, BlobName::new("a.jpg"));
    }
}

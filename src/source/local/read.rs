//! Reads files, each from the version that was listed.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
use smallvec::SmallVec;

use crate::files::regular;
use crate::model::error::reason;
use crate::model::{Blob, ByteRange, ETag, ReadError};
use crate::source::lent::Lent;

/// A file that is open for reading.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    /// Whether its version was compared with the listed one since the last read.
    is_checked: bool,
}

impl OpenFile {
    /// Opens a file that was listed by its name alone, and completes its entry.
    pub(super) fn open(near: &mut Near, root: &Path, blob: &mut Blob) -> io::Result<Self> {
        let (file, version) = near.open(root, blob.name.as_str())?;
        version.complete(blob);
        Ok(Self { file, is_checked: true })
    }

    /// Opens a file that must still be of the listed version.
    pub(super) fn of_listed(near: &mut Near, root: &Path, blob: &Blob) -> Result<Self, ReadError> {
        let (file, version) = near.open(root, blob.name.as_str()).map_err(|error| failed(&error))?;
        version.check(blob)?;
        Ok(Self { file, is_checked: true })
    }

    /// The bytes of a range, up to the file's end.
    pub(super) fn read(&mut self, blob: &Blob, range: ByteRange) -> Result<Bytes, ReadError> {
        if !std::mem::take(&mut self.is_checked) {
            Version::of(&self.file).map_err(|error| failed(&error))?.check(blob)?;
        }
        read_range(&self.file, range.within(blob.size)).map_err(|error| failed(&error))
    }
}

/// The folder of the file that was opened last. Files in the same folder are opened from there, because the way to it
/// takes longer than they do.
#[derive(Debug, Default)]
pub struct Near {
    /// Its name, relative to the root.
    #[cfg(unix)]
    folder: String,
    /// Opened for the second file in it: for a single one, that would not pay off.
    #[cfg(unix)]
    handle: Option<std::os::fd::OwnedFd>,
    /// Whether there is one.
    #[cfg(unix)]
    is_known: bool,
}

#[cfg(unix)]
impl Near {
    /// Opens a regular file.
    fn open(&mut self, root: &Path, name: &str) -> io::Result<(File, Version)> {
        let (file, stat) = match self.enter(root, name) {
            Some((folder, name)) => regular::open_in(folder, name)?,
            None => regular::open_in(rustix::fs::CWD, &root.join(name))?,
        };
        Ok((file, Version::from(&stat)))
    }

    /// Completes the entry of a file that was listed by its name alone, without opening it.
    pub(super) fn complete(&mut self, root: &Path, blob: &mut Blob) -> io::Result<()> {
        let name = blob.name.as_str();
        let stat = match self.enter(root, name) {
            Some((folder, name)) => regular::look_up_in(folder, name)?,
            None => regular::look_up_in(rustix::fs::CWD, root.join(name))?,
        };
        Version::from(&stat).complete(blob);
        Ok(())
    }

    /// The folder of a file, if the last file is in it too and it can be opened, and the file's name in it.
    fn enter<'n>(&mut self, root: &Path, name: &'n str) -> Option<(std::os::fd::BorrowedFd<'_>, &'n str)> {
        use rustix::fs::OFlags;
        use std::os::fd::AsFd;
        let (folder, name) = name.rsplit_once('/').unwrap_or(("", name));
        if !self.is_known || self.folder != folder {
            self.folder.clear();
            self.folder.push_str(folder);
            (self.handle, self.is_known) = (None, true);
            return None;
        }
        if self.handle.is_none() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.handle = rustix::fs::open(root.join(folder), flags, rustix::fs::Mode::empty()).ok();
        }
        Some((self.handle.as_ref()?.as_fd(), name))
    }
}

#[cfg(not(unix))]
impl Near {
    /// Opens a regular file.
    fn open(&mut self, root: &Path, name: &str) -> io::Result<(File, Version)> {
        let (file, metadata) = regular::open(&root.join(name))?;
        Ok((file, Version::from(&metadata)))
    }

    /// Completes the entry of a file that was listed by its name alone.
    pub(super) fn complete(&mut self, root: &Path, blob: &mut Blob) -> io::Result<()> {
        let (_, version) = self.open(root, blob.name.as_str())?;
        version.complete(blob);
        Ok(())
    }
}

fn failed(error: &io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Gone,
        _ => ReadError::Unreadable(format!("it cannot be read: {}", reason(error))),
    }
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    size: u64,
    /// When it was last written, in seconds and nanoseconds since 1970.
    modified: Option<(i64, i32)>,
}

#[cfg(unix)]
impl From<&rustix::fs::Stat> for Version {
    fn from(stat: &rustix::fs::Stat) -> Self {
        Self { size: stat.st_size as u64, modified: Some((stat.st_mtime, stat.st_mtime_nsec as i32)) }
    }
}

impl From<&Metadata> for Version {
    fn from(metadata: &Metadata) -> Self {
        let parts = |since: Duration| (since.as_secs() as i64, since.subsec_nanos() as i32);
        let modified = metadata.modified().ok().map(|time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => parts(after),
            Err(before) => {
                let (seconds, nanoseconds) = parts(before.duration());
                (-seconds, -nanoseconds)
            }
        });
        Self { size: metadata.len(), modified }
    }
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        #[cfg(unix)]
        return Ok(Self::from(&rustix::fs::fstat(file)?));
        #[cfg(not(unix))]
        file.metadata().map(|metadata| Self::from(&metadata))
    }

    fn check(self, blob: &Blob) -> Result<(), ReadError> {
        match &blob.etag {
            Some(listed) if listed.as_str().as_bytes() != &*self.text() => Err(ReadError::Changed),
            _ => Ok(()),
        }
    }

    /// Completes the entry of a file.
    pub(super) fn complete(self, blob: &mut Blob) {
        blob.size = self.size;
        // The text is ASCII.
        blob.etag = Some(ETag::unquoted(std::str::from_utf8(&self.text()).unwrap_or_default()));
        blob.last_modified =
            self.modified.and_then(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).ok());
    }

    /// The text of the ETag: the modification time in nanoseconds, 0 if that is before 1970, and the size. It does not
    /// allocate, because it is needed for each file.
    fn text(self) -> SmallVec<[u8; 64]> {
        let nanoseconds = match self.modified {
            Some((seconds @ 0.., nanoseconds @ 0..)) => seconds as u128 * 1_000_000_000 + nanoseconds as u128,
            _ => 0,
        };
        let mut text = SmallVec::new();
        push_hex(&mut text, nanoseconds);
        text.push(b'-');
        push_hex(&mut text, self.size.into());
        text
    }
}

/// Adds a number in hexadecimal, without leading zeros.
fn push_hex(text: &mut SmallVec<[u8; 64]>, number: u128) {
    // Nearly every number fits into 64 bits, which are faster to shift.
    let low = number as u64;
    let digits = match number >> u64::BITS {
        0 => (u64::BITS - low.leading_zeros()).div_ceil(4).max(1),
        high => {
            push_hex(text, high);
            u64::BITS / 4
        }
    };
    for place in (0..digits).rev() {
        text.push(b"0123456789abcdef"[(low >> (4 * place)) as usize & 0xF]);
    }
}

fn read_range(file: &File, range: ByteRange) -> io::Result<Bytes> {
    let mut bytes = Lent::with_len(range.len() as usize);
    let (mut rest, mut len) = (bytes.as_mut(), 0);
    while !rest.is_empty() {
        match read_at(file, rest, range.start() + len as u64) {
            Ok(0) => break,
            Ok(read) => (rest, len) = (&mut rest[read..], len + read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(len);
    Ok(bytes.into())
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    Ok(rustix::io::pread(file, bytes, at)?)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, at)
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
        for (name, content) in
            [("a.jpg", "text"), ("empty.png", ""), ("sub/b.jpg", "longer"), ("sub/c.jpg", "b")]
        {
            std::fs::write(folder.path().join(name), content).expect("a file");
        }
        let source = LocalSource::open(folder.path()).expect("it is there");
        let whole = list(&source);
        let source = source.with_names_only();
        let mut named = list(&source);
        assert!(named.iter().all(|blob| blob.etag.is_none() && blob.size == 0), "{named:?}");
        let mut unread = named.clone();
        let near = &mut Near::default();
        for blob in &mut named {
            let mut file = source.open(near, blob, true).expect("it is there");
            assert!(file.is_some());
            let bytes = source.read(near, &mut file, blob, ByteRange::new(0, 99), &mut Reads::default());
            assert_eq!(bytes.expect("it can be read").len() as u64, blob.size);
        }
        for blob in &mut unread {
            assert!(source.open(near, blob, false).expect("it is there").is_none());
        }
        assert_eq!((&named, &unread), (&whole, &whole));
    }

    #[test]
    fn a_file_that_changes_while_it_is_open_is_not_read_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, "text").expect("a file");
        let source = LocalSource::open(folder.path()).expect("it is there").with_names_only();
        let mut blob = list(&source).remove(0);
        let mut file = source.open(&mut Near::default(), &mut blob, true).expect("it is there");
        let read = |file: &mut _, start| {
            let range = ByteRange::new(start, 2);
            source.read(&mut Near::default(), file, &blob, range, &mut Reads::default())
        };
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
        let blob = list(&source).remove(0);
        std::fs::remove_file(&path).expect("it is ours");
        let near = &mut Near::default();
        for is_read in [true, false] {
            let opened = source.open(near, &mut blob.clone(), is_read);
            assert_eq!(opened.expect_err("it is gone"), ReadError::Gone);
        }
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        for is_read in [true, false] {
            let mut blob = blob.clone();
            assert!(source.open(near, &mut blob, is_read).expect("it is listed").is_none());
            assert_eq!(blob.access, Access::Unreachable("it is not a regular file".into()));
            assert_eq!(blob.name, BlobName::new("a.jpg"));
        }
    }
}

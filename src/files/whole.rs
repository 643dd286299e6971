//! A file that is put in place only when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::own;
use crate::model::error::{Error, Result, reason};

/// What the names of unfinished files begin with; some random letters and digits follow.
const TEMPORARY: &str = ".presync-";
/// How many of them.
const RANDOM: usize = 6;

/// A file that is written under a temporary name. Until it is committed, an older file at its path stays as it is. If
/// it is dropped before that, nothing is left behind.
#[derive(Debug)]
pub(crate) struct WholeFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl WholeFile {
    /// Begins a file that will be at `path`, or at the target of a link at `path`.
    ///
    /// # Errors
    /// Returns an error if `path` is a folder, or if its folder cannot be written to.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let path = target(path)?;
        let file = temporary(folder_of(&path)).map_err(|error| not_writable(&path, &error))?;
        Ok(Self { file, path })
    }

    /// Begins a file that will be at `path`, a [`target`], and is in `folder` until then. Both must be on the same file
    /// system.
    ///
    /// # Errors
    /// Returns an error if `folder` cannot be written to.
    pub(crate) fn create_in(folder: &Path, path: &Path) -> Result<Self> {
        let file = temporary(folder).map_err(|error| not_writable(path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Lets the file be at another path, a [`target`] on the same file system.
    pub(crate) fn at(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// Another handle to write with, for a writer that must own its file.
    ///
    /// # Errors
    /// Returns an error if the system has no more handles.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.as_file().try_clone()
    }

    /// Syncs the file to disk and puts it in place, with the permissions of this user's file that it replaces.
    ///
    /// # Errors
    /// Returns an error if that fails; the old file is then still there.
    pub(crate) fn commit(self) -> Result<()> {
        let Self { file, path } = self;
        let failed =
            |error: io::Error| Error::new(format!("cannot write '{}': {}", path.display(), reason(&error)));
        // Someone else's file could have been put there to make this one writable for everybody.
        if let Some(before) =
            fs::symlink_metadata(&path).ok().filter(|there| there.is_file() && own::is_ours(there))
        {
            file.as_file().set_permissions(rights(&before)).map_err(failed)?;
        }
        // Before the rename: after a power loss, the path must hold the old or the new bytes, not an empty file.
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        // Makes the rename survive a power loss. Not every system supports this, and the file is in place either way.
        let _ = File::open(folder_of(&path)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The permissions of a file to replace, without those that make a program run as its owner.
fn rights(before: &fs::Metadata) -> fs::Permissions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::Permissions::from_mode(before.permissions().mode() & 0o777)
    }
    #[cfg(not(unix))]
    before.permissions()
}

/// Where a file at `path` will be: there, or at the target of a link.
///
/// # Errors
/// Returns an error if something other than a file is there, or if a link of another user leads there.
pub(crate) fn target(path: &Path) -> Result<PathBuf> {
    if path.as_os_str() == "-" {
        // Most programs take this name for stdout, so such a file would be hard to use.
        return Err(Error::new("'-' is not the name of a file")
            .with_hint("./- is, if you want a file with this name"));
    }
    own::check_links(path)?;
    if path.is_dir() {
        return Err(Error::new(format!("'{}' is a folder, not a file", path.display()))
            .with_hint("give the name of a file in it"));
    }
    if path.exists() && !path.is_file() {
        return Err(Error::new(format!("'{}' is a device or a pipe, not a file", path.display())));
    }
    Ok(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

/// Opens a device for characters or a named pipe at `path` for writing, and whatever is open already as one of
/// `/dev/fd`. `None` if `path` is that of a file, there or not. A pipe is waited for until it has a reader, as by a shell.
///
/// # Errors
/// Returns an error if a link of another user leads there, or if it cannot be opened.
pub(crate) fn stream(path: &Path) -> Result<Option<File>> {
    let is_open = ["/dev/fd", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder));
    if !is_open && !fs::metadata(path).is_ok_and(|there| is_stream(there.file_type())) {
        return Ok(None);
    }
    own::check_links(path)?;
    // What others wrote to an open file stays.
    let opened = fs::OpenOptions::new().append(true).open(path);
    let failed = |error| Error::new(format!("cannot write to '{}': {}", path.display(), reason(&error)));
    opened.map(Some).map_err(failed)
}

#[cfg(unix)]
fn is_stream(kind: fs::FileType) -> bool {
    kind.is_fifo() || kind.is_char_device()
}

#[cfg(not(unix))]
fn is_stream(kind: fs::FileType) -> bool {
    !kind.is_file() && !kind.is_dir()
}

/// The error for a folder in which the file at `path` cannot be created.
pub(crate) fn not_writable(path: &Path, error: &io::Error) -> Error {
    let folder = folder_of(path).display();
    Error::new(format!("cannot write to the folder '{folder}': {}", reason(error)))
        .with_hint("check that it exists and that you may write to it")
}

/// A temporary file that others may read if the umask allows it, like any new file.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).rand_bytes(RANDOM);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Whether an unfinished file may have this name.
pub(crate) fn is_unfinished(name: &str) -> bool {
    let random = name.strip_prefix(TEMPORARY);
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan");
        fs::write(&path, "old").expect("it is written");
        let mut file = WholeFile::create(&path).expect("it begins");
        file.write_all(b"half").expect("it is written");
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file stays");
        let mut file = WholeFile::create(&path).expect("it begins");
        file.write_all(b"new").expect("it is written");
        file.commit().expect("it takes its place");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "new");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_keeps_its_rights_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("plan"), folder.path().join("link"));
        fs::write(&path, "old").expect("it is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("rights");
        symlink(&path, &link).expect("a link");
        WholeFile::create(&link).and_then(WholeFile::commit).expect("it takes its place");
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read(&path).expect("it is there"), b"");
    }
}

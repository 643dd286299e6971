//! A file that takes its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::model::error::{Error, Result, reason};

/// A file that is being written beside the place that it will take. Until it is committed, what is at that place stays
/// as it is; when it is dropped before, nothing of it is left.
#[derive(Debug)]
pub struct WholeFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl WholeFile {
    /// Begins a file that will be at `path`, or where a link at `path` leads to.
    ///
    /// # Errors
    /// When `path` is a folder, or when nothing can be written to its folder.
    pub fn create(path: &Path) -> Result<Self> {
        let path = target(path)?;
        let file = temporary(folder_of(&path)).map_err(|error| not_writable(&path, &error))?;
        Ok(Self { file, path })
    }

    /// Begins a file that will be at `path`, a [`target`], and is in `folder`, of the same file system, until then.
    ///
    /// # Errors
    /// When nothing can be written to `folder`.
    pub fn create_in(folder: &Path, path: &Path) -> Result<Self> {
        let file = temporary(folder).map_err(|error| not_writable(path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Another handle to write with, for who keeps it to itself.
    ///
    /// # Errors
    /// When the system gives no more handles.
    pub fn writer(&self) -> io::Result<File> {
        self.file.as_file().try_clone()
    }

    /// Gives the file its name, with the rights of the one that it replaces, once its bytes are on the disk.
    ///
    /// # Errors
    /// When that fails; then the old file is still there.
    pub fn commit(self) -> Result<()> {
        let Self { file, path } = self;
        let failed =
            |error: io::Error| Error::new(format!("cannot write '{}': {}", path.display(), reason(&error)));
        if let Ok(metadata) = fs::metadata(&path) {
            file.as_file().set_permissions(metadata.permissions()).map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        // Makes the name outlast a loss of power. The file is there whether or not that works, and not every system can.
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

/// Where a file at `path` will be: where a link there leads to.
///
/// # Errors
/// When there is something that is no file.
pub fn target(path: &Path) -> Result<PathBuf> {
    if path.is_dir() {
        return Err(Error::new(format!("'{}' is a folder, not a file", path.display()))
            .with_hint("give the name of a file in it"));
    }
    if path.exists() && !path.is_file() {
        return Err(Error::new(format!("'{}' is a device or a pipe, not a file", path.display())));
    }
    Ok(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

/// The error for a folder in which the file at `path` cannot be made.
pub fn not_writable(path: &Path, error: &io::Error) -> Error {
    let folder = folder_of(path).display();
    Error::new(format!("cannot write to the folder '{folder}': {}", reason(error)))
        .with_hint("check that it exists and that you may write to it")
}

/// A temporary file that others may read as far as the umask lets them, as any new file.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
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

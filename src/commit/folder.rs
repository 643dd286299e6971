//! The folder of a commit, which takes its name only when it is whole.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use tempfile::TempDir;

use super::RECORD;
use crate::model::error::{Error, Result, reason};

/// The most bytes of a `commit.json` that are read: 1 MiB, a thousand times what presync writes.
const MAX_RECORD: u64 = 1 << 20;

/// What the name of a folder begins with until it takes its place.
const TEMPORARY: &str = ".presync-commit-";

/// A folder that is being filled next to its final place. Dropped before that, it leaves nothing behind; what a killed
/// process leaves, the next commit removes.
#[derive(Debug)]
pub struct CommitFolder {
    temporary: TempDir,
    path: PathBuf,
    /// Distinguishes it from one that was left behind.
    _lock: Option<File>,
}

/// Whether a folder got its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is there.
    Here,
    /// Something else is there, and stays.
    Taken,
}

impl CommitFolder {
    /// Begins the folder that will be at `path`.
    ///
    /// # Errors
    /// When nothing can be written next to that place.
    pub fn create(path: &Path) -> Result<Self> {
        let parent = parent(path);
        remove_abandoned(parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY);
        // As any new folder: the umask decides who else may read it.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        loop {
            let temporary = builder.tempdir_in(parent).map_err(|error| unwritable(parent, &error))?;
            let lock = match lock(temporary.path()) {
                Lock::Held(lock) => Some(lock),
                Lock::Unsupported => None,
                // Another process removed it as abandoned before it was locked.
                Lock::Lost => continue,
            };
            return Ok(Self { temporary, path: path.to_owned(), _lock: lock });
        }
    }

    /// Makes a file in it.
    ///
    /// # Errors
    /// When that fails.
    pub fn file(&self, name: &str) -> Result<File> {
        File::create(self.temporary.path().join(name)).map_err(|error| self.failed(&error))
    }

    /// Writes the last file of it, and brings everything to the disk.
    ///
    /// # Errors
    /// When that fails.
    pub fn finish(&self, record: &[u8]) -> Result<()> {
        let mut file = self.file(RECORD)?;
        // The record is the last file: a folder with one has all manifests.
        let mut write = || {
            file.write_all(record)?;
            file.sync_all()?;
            sync(self.temporary.path());
            Ok(())
        };
        write().map_err(|error: io::Error| self.failed(&error))
    }

    /// Gives it its name, unless something else is there.
    ///
    /// # Errors
    /// When that fails for another reason.
    pub fn keep(self) -> Result<Kept> {
        // One rename, so that nobody ever sees half a commit. It replaces an empty folder and fails on any other.
        match fs::rename(self.temporary.path(), &self.path) {
            Ok(()) => {
                sync(parent(&self.path));
                // It has moved: there is nothing left to remove.
                let _ = self.temporary.keep();
                Ok(Kept::Here)
            }
            Err(_) if self.path.symlink_metadata().is_ok() => Ok(Kept::Taken),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::new(format!("cannot write '{}': {}", self.path.display(), reason(error)))
    }
}

/// What a `commit.json` says that a later run must know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Committed {
    plan: PlanId,
    /// The workspace.
    pub workspace: String,
    /// When.
    pub committed_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct PlanId {
    id: String,
}

/// The commit of the plan with this id at `path`; `None` when nothing is there.
///
/// # Errors
/// When something else is there, or it cannot be read.
pub fn committed(path: &Path, plan: &str) -> Result<Option<Committed>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::new(format!("cannot look for '{}': {}", path.display(), reason(&error))));
        }
        Ok(_) => {}
    }
    let record = File::open(path.join(RECORD)).and_then(|file| {
        let mut text = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, MAX_RECORD), &mut text)?;
        Ok(text)
    });
    let record = record.ok().and_then(|text| serde_json::from_slice::<Committed>(&text).ok());
    record.filter(|committed| committed.plan.id == plan).map(Some).ok_or_else(|| taken(path))
}

/// The error for a place that something else has taken.
pub fn taken(path: &Path) -> Error {
    Error::new(format!("'{}' already exists and is not a commit of this plan", path.display()))
        .with_hint("choose another folder with --out DIR, or move it away")
}

fn unwritable(folder: &Path, error: &io::Error) -> Error {
    Error::new(format!("cannot write to the folder '{}': {}", folder.display(), reason(error))).with_hint(
        "check that it exists and that you may write to it, or choose another folder with --out DIR",
    )
}

/// The result of locking a folder.
enum Lock {
    Held(File),
    /// Another process holds it, or has removed the folder.
    Lost,
    /// The system or the file system cannot lock folders.
    Unsupported,
}

fn lock(folder: &Path) -> Lock {
    let file = match File::open(folder) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Lock::Lost,
        Err(_) => return Lock::Unsupported,
    };
    match file.try_lock() {
        Ok(()) => Lock::Held(file),
        Err(TryLockError::WouldBlock) => Lock::Lost,
        Err(TryLockError::Error(_)) => Lock::Unsupported,
    }
}

/// Removes what killed processes have left in a folder, if that is possible: their locks ended with them.
fn remove_abandoned(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY)) {
        if let Lock::Held(_lock) = lock(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Syncs the names in a folder, so that they survive a loss of power. Not every system can, and a commit is valid
/// without.
fn sync(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

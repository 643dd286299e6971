//! The folder of a commit, which gets its name only when it is complete.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use tempfile::TempDir;

use super::RECORD;
use crate::files::own;
use crate::model::error::{Error, Result, reason};

/// The most bytes read from a `commit.json`: 1 MiB, a thousand times what presync writes.
const MAX_RECORD: u64 = 1 << 20;

/// The prefix of the name of a folder until it is complete; some random letters and digits follow.
const TEMPORARY: &str = ".presync-commit-";
/// How many of them.
const RANDOM: usize = 6;
/// The files that such a folder may have.
const FILES: [&str; 4] = [RECORD, "accepted.jsonl", "accepted.txt", "rejected.csv"];

/// A folder that is being filled next to its final location. If it is dropped before it is complete, it is removed.
/// What a killed process leaves behind is removed by the next commit.
#[derive(Debug)]
pub struct CommitFolder {
    temporary: TempDir,
    path: PathBuf,
    /// Distinguishes it from a folder that was left behind.
    _lock: Option<File>,
}

/// The result of moving a folder to its final location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The folder is there.
    Here,
    /// Something else is there, and was not changed.
    Taken,
}

impl CommitFolder {
    /// Creates the folder that will be moved to `path`.
    ///
    /// # Errors
    /// Returns an error if the parent of `path` cannot be written, or if a link of another user leads there.
    pub fn create(path: &Path) -> Result<Self> {
        let parent = parent(path);
        own::check_links(parent)?;
        remove_abandoned(parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY).rand_bytes(RANDOM);
        // Use the permissions of any new folder: the umask decides who else may read it.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        loop {
            let temporary = builder.tempdir_in(parent).map_err(|error| unwritable(parent, &error))?;
            let lock = match lock(temporary.path()) {
                Lock::Held(lock) => Some(lock),
                Lock::Unsupported => None,
                // Another process removed it as abandoned before it was locked, so try again.
                Lock::Lost => continue,
            };
            return Ok(Self { temporary, path: path.to_owned(), _lock: lock });
        }
    }

    /// Creates a file in the folder.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn file(&self, name: &str) -> Result<File> {
        File::create_new(self.temporary.path().join(name)).map_err(|error| self.failed(&error))
    }

    /// Writes the last file of the folder, and syncs everything to disk.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
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

    /// Moves the folder to its final location, unless something else is there.
    ///
    /// # Errors
    /// Returns an error if that fails for another reason.
    pub fn keep(self) -> Result<Kept> {
        // A single rename, so that a partial commit is never visible. It replaces an empty folder and fails on any
        // other.
        match fs::rename(self.temporary.path(), &self.path) {
            Ok(()) => {
                sync(parent(&self.path));
                // The folder has been moved, so there is nothing left to remove.
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

/// The fields of a `commit.json` that a later run needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Committed {
    plan: PlanId,
    /// The workspace.
    pub workspace: String,
    /// When it was committed.
    pub committed_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct PlanId {
    id: String,
}

/// The commit of the plan with this id at `path`; `None` if there is nothing at `path`.
///
/// # Errors
/// Returns an error if something else is there, or if it cannot be read.
pub fn committed(path: &Path, plan: &str) -> Result<Option<Committed>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::new(format!("cannot access '{}': {}", path.display(), reason(&error))));
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

/// The error for a path where something else exists.
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
    /// Another process holds the lock, or has removed the folder.
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

/// Removes what killed processes have left in a folder, if possible. Their locks ended with them. A folder that has
/// anything else stays as it is.
fn remove_abandoned(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_temporary(&entry.file_name())) {
        let is_own = entry.metadata().is_ok_and(|metadata| metadata.is_dir() && own::is_ours(&metadata));
        if is_own && let Lock::Held(_lock) = lock(&entry.path()) {
            remove(&entry.path());
        }
    }
}

fn is_temporary(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY));
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Removes a folder with nothing but files of a commit.
fn remove(folder: &Path) {
    let is_file = |entry: &DirEntry| {
        let name = entry.file_name();
        FILES.iter().any(|file| name == *file) && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
    let Ok(entries) = entries else { return };
    if entries.iter().all(is_file) {
        entries.iter().for_each(|entry| _ = fs::remove_file(entry.path()));
        let _ = fs::remove_dir(folder);
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Syncs the names in a folder, so that they survive a power loss. Not every system supports this, and a commit is
/// valid without it.
fn sync(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

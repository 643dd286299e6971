//! Where fixed files go in a folder: each is put in place whole, and no original is lost.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::{TempDir, TempPath};

use crate::files::regular;
use crate::model::error::{Error, Result, reason};
use crate::model::{Blob, BlobName};
use crate::source::local::{WORK, is_work};

/// The file in such a folder that is locked while a run uses it.
const LOCK: &str = "lock";

/// What putting an asset in place did.
pub(super) enum Put {
    /// It is in place, and this many bytes were moved.
    New { bytes: u64 },
    /// An earlier run had already put it there.
    Already,
}

/// A folder that fixed files are written to.
pub(super) struct FolderPlace {
    /// Its path, without links.
    root: PathBuf,
    originals: Originals,
}

/// What happens to the originals.
pub(super) enum Originals {
    /// They are elsewhere and stay as they are.
    Untouched,
    /// They are kept beside the fixed files, with `.orig` added to their names.
    Beside,
    /// They are moved into this folder, under the same names.
    Folder(PathBuf),
}

impl FolderPlace {
    /// Opens the folder, and creates it if necessary.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub(super) fn open(root: &Path, originals: Originals) -> Result<Self> {
        let create = |folder: &Path| {
            fs::create_dir_all(folder).and_then(|()| fs::canonicalize(folder)).map_err(|error| {
                Error::new(format!("cannot create the folder '{}': {}", folder.display(), reason(&error)))
            })
        };
        let originals = match originals {
            Originals::Folder(folder) => Originals::Folder(create(&folder)?),
            other => other,
        };
        Ok(Self { root: create(root)?, originals })
    }

    /// The path of a name below `root`. Its folder exists, and is not reached through a link that leads elsewhere.
    fn path(root: &Path, name: &str) -> std::result::Result<PathBuf, String> {
        let relative = relative(name).ok_or("its name cannot be the name of a file in a folder")?;
        let path = root.join(relative);
        let failed = |error: io::Error| format!("its folder cannot be created: {}", reason(&error));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
            if !fs::canonicalize(folder).map_err(failed)?.starts_with(root) {
                return Err("its folder is a link that leads out of the folder".to_owned());
            }
        }
        match path.is_symlink() {
            true => Err("it is a link: fix the file that it leads to".to_owned()),
            false => Ok(path),
        }
    }

    /// The fixed file of this blob, if an earlier run has already put it in place.
    ///
    /// # Errors
    /// Returns why nothing may be written under that name.
    pub(super) fn has(&self, blob: &Blob, name: &BlobName) -> std::result::Result<Option<PathBuf>, String> {
        let path = Self::path(&self.root, name.as_str())?;
        if !self.is_new(blob, name) {
            return Ok(None);
        }
        match (fs::metadata(&path), blob.last_modified) {
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // A fixed copy has the time of its original.
            (Ok(metadata), Some(time)) if metadata.modified().ok() == Some(SystemTime::from(time)) => {
                Ok(Some(path))
            }
            _ => Err(format!("there is already another file '{}'", path.display())),
        }
    }

    /// Whether the fixed file does not take its original's place.
    fn is_new(&self, blob: &Blob, name: &BlobName) -> bool {
        matches!(self.originals, Originals::Untouched) || blob.name != *name
    }

    /// Moves the fixed file of a blob into place. It must be on the same file system.
    ///
    /// # Errors
    /// Returns why that failed; the original is then still there.
    pub(super) fn put(&self, blob: &Blob, name: &BlobName, file: &Path) -> std::result::Result<Put, String> {
        let failed = |error: io::Error| format!("it cannot be put in place: {}", reason(&error));
        let target = Self::path(&self.root, name.as_str())?;
        let bytes = fs::metadata(file).map_err(failed)?.len();
        let new = File::options().write(true).open(file).map_err(failed)?;
        if self.is_new(blob, name) {
            if let Some(time) = blob.last_modified {
                // A later run recognizes the copy by it. A file that takes its original's place must not have the same
                // time, or it would look unchanged.
                new.set_times(FileTimes::new().set_modified(SystemTime::from(time))).map_err(failed)?;
            }
            new.sync_all().map_err(failed)?;
            let file = TempPath::try_from_path(file).map_err(failed)?;
            file.persist_noclobber(&target).map_err(|error| failed(error.error))?;
            self.keep_original(blob, name)?;
        } else {
            let original = fs::metadata(&target).map_err(failed)?;
            own(&new, &original);
            new.set_permissions(original.permissions()).map_err(failed)?;
            new.sync_all().map_err(failed)?;
            // In this order: if the run dies in between, the original has two names, and none is lost.
            self.keep_original(blob, name)?;
            fs::rename(file, &target).map_err(failed)?;
        }
        Ok(Put::New { bytes })
    }

    /// Gives the original the name that it is kept under, and takes it from its own place if the fixed file has another
    /// name.
    pub(super) fn keep_original(&self, blob: &Blob, name: &BlobName) -> std::result::Result<(), String> {
        let failed = |error: io::Error| format!("its original cannot be kept: {}", reason(&error));
        let (root, kept) = match &self.originals {
            Originals::Untouched => return Ok(()),
            Originals::Beside => (&self.root, Self::path(&self.root, &format!("{}.orig", blob.name))?),
            Originals::Folder(folder) => (folder, Self::path(folder, blob.name.as_str())?),
        };
        let original = Self::path(&self.root, blob.name.as_str())?;
        match fs::hard_link(&original, &kept) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // An earlier run may have ended just here.
                if !is_same(&original, &kept).map_err(failed)? {
                    return Err(format!("there is already another file '{}'", kept.display()));
                }
            }
            // Another file system, or one without hard links.
            Err(_) => copy(&original, &kept, root).map_err(failed)?,
        }
        match blob.name == *name {
            true => Ok(()),
            false => fs::remove_file(&original).map_err(failed),
        }
    }
}

/// Checks that the source does not list what is written to `folder`: the next run would take it for more assets.
///
/// # Errors
/// Returns an error that names the option `option`.
pub(super) fn check_outside(folder: &Path, source: &Path, option: &str) -> Result<()> {
    // It need not exist yet; the folder that it will be in decides.
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let kept = absolute.ancestors().find_map(|folder| fs::canonicalize(folder).ok());
    match (kept, fs::canonicalize(source)) {
        (Some(kept), Ok(source)) if kept.starts_with(&source) => {
            let shown = folder.display();
            Err(Error::new(format!("{option} '{shown}' is in the source, which would list it, too"))
                .with_hint(format!("give {option} a folder outside of '{}'", source.display())))
        }
        _ => Ok(()),
    }
}

/// The path of a name in a folder; `None` if no file can have exactly this name: `a//b`, `./a`, `../a`, `trail/`.
pub(super) fn relative(name: &str) -> Option<&Path> {
    let path = Path::new(name);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let len = path.components().map(|part| part.as_os_str().len() + 1).sum::<usize>();
    (is_plain && len == name.len() + 1).then_some(path)
}

/// Gives a file the owner of the original, as far as this user may.
#[cfg(unix)]
fn own(file: &File, original: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::fchown(file, Some(original.uid()), Some(original.gid()));
}

#[cfg(not(unix))]
fn own(_: &File, _: &fs::Metadata) {}

/// Copies a file whole or not at all, with its time, into a folder below `root`.
fn copy(from: &Path, to: &Path, root: &Path) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(WORK).tempfile_in(root)?;
    // So that another run can tell it from that of a run that died.
    file.as_file().lock()?;
    let mut original = File::open(from)?;
    io::copy(&mut original, &mut file)?;
    let metadata = original.metadata()?;
    own(file.as_file(), &metadata);
    file.as_file().set_times(FileTimes::new().set_modified(metadata.modified()?))?;
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(to).map(drop).map_err(|error| error.error)
}

/// Whether two files have the same size and time, as two names or copies of one file do.
fn is_same(a: &Path, b: &Path) -> io::Result<bool> {
    let (a, b) = (fs::metadata(a)?, fs::metadata(b)?);
    Ok(a.len() == b.len() && a.modified()? == b.modified()?)
}

/// A folder for files that are being worked on, removed with everything in it. Those of runs that died are removed by
/// the next run.
pub(super) struct WorkFolder {
    folder: TempDir,
    /// Locked until this run ends.
    _lock: File,
}

impl WorkFolder {
    /// Creates it in `parent`, so that files can be moved from it at once.
    ///
    /// # Errors
    /// Returns an error if that fails.
    pub(super) fn create(parent: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(format!(
                "cannot create a temporary folder in '{}': {}",
                parent.display(),
                reason(&error)
            ))
        };
        remove_abandoned(parent);
        let folder = tempfile::Builder::new().prefix(WORK).tempdir_in(parent).map_err(failed)?;
        let lock = File::create_new(folder.path().join(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// How long a folder may be without its lock, which is created just after it.
const UNLOCKED: Duration = Duration::from_secs(60);

/// Removes what runs that died were working on. What cannot be removed stays.
pub(super) fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| is_work(&entry.file_name())) {
        let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
        let is_free = |lock: &Path| regular::open(lock).is_ok_and(|(lock, _)| lock.try_lock().is_ok());
        if metadata.is_file() && is_free(&path) {
            let _ = fs::remove_file(path);
        } else if metadata.is_dir() && is_free(&path.join(LOCK)) {
            let _ = fs::remove_dir_all(path);
        } else if metadata.is_dir()
            && metadata.modified().ok().and_then(|time| time.elapsed().ok()) > Some(UNLOCKED)
        {
            // Only if it is empty.
            let _ = fs::remove_dir(path);
        }
    }
}

//! What is in a folder and the folders below it, in the order in which a container lists the same names.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// The folders from the root to where the walk is. It enters no folder by itself.
pub(super) struct Walk {
    open: Vec<Folder>,
}

/// A folder that was entered.
struct Folder {
    path: PathBuf,
    /// What the names in it begin with: empty, or ending in `/`.
    prefix: String,
    /// Whether that is what they really begin with: a name that is not UTF-8 is converted lossily.
    is_exact: bool,
    metadata: Option<Metadata>,
    /// What is left of it, in reverse order.
    entries: Vec<(OsString, io::Result<Kind>)>,
}

/// What an entry is. Links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    LinkToFolder,
    /// A link to anything else.
    Link,
    /// Anything else, such as a pipe.
    Other,
}

/// What was found in a folder.
pub(super) struct Entry {
    pub(super) file_name: OsString,
    /// Its path relative to the root, with `/`.
    pub(super) name: String,
    pub(super) is_exact: bool,
    /// What it is; for a folder that cannot be read to its end, an error with the name of the folder.
    pub(super) kind: io::Result<Kind>,
}

impl Walk {
    pub(super) fn new(root: &Path) -> Self {
        let mut walk = Self { open: Vec::new() };
        walk.enter(root.to_owned(), String::new(), true, fs::metadata(root).ok());
        walk
    }

    /// Enters the folder that was found last. What is in it is found next; all names in it begin with `prefix`, which ends
    /// in `/`.
    pub(super) fn enter(
        &mut self,
        path: PathBuf,
        prefix: String,
        is_exact: bool,
        metadata: Option<Metadata>,
    ) {
        let mut entries = Vec::new();
        match fs::read_dir(&path) {
            Ok(read) => entries.extend(read.map(|entry| match entry {
                Ok(entry) => {
                    let kind = entry.file_type().and_then(|kind| Kind::of(kind, || entry.path()));
                    (entry.file_name(), kind)
                }
                Err(error) => (OsString::new(), Err(error)),
            })),
            Err(error) => entries.push((OsString::new(), Err(error))),
        }
        entries.sort_unstable_by(|left, right| in_name_order(right, left));
        self.open.push(Folder { path, prefix, is_exact, metadata, entries });
    }

    /// How many folders are above what was found last.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The path of what was found last.
    pub(super) fn path(&self, file_name: &OsStr) -> PathBuf {
        self.open.last().map_or_else(PathBuf::new, |folder| folder.path.join(file_name))
    }

    /// Whether a folder is one of those that the walk is in.
    pub(super) fn is_in(&self, path: &Path, metadata: Option<&Metadata>) -> bool {
        self.open.iter().any(|folder| is_same((&folder.path, folder.metadata.as_ref()), (path, metadata)))
    }
}

impl Iterator for Walk {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let folder = self.open.last_mut()?;
            let Some((file_name, kind)) = folder.entries.pop() else {
                self.open.pop();
                continue;
            };
            let (name, is_exact) = match file_name.to_str() {
                Some("") => (folder.prefix.trim_end_matches('/').to_owned(), folder.is_exact),
                Some(name) => ([&folder.prefix, name].concat(), folder.is_exact),
                None => ([&folder.prefix, &*file_name.to_string_lossy()].concat(), false),
            };
            return Some(Entry { file_name, name, is_exact, kind });
        }
    }
}

impl Kind {
    fn of(kind: FileType, path: impl Fn() -> PathBuf) -> io::Result<Self> {
        Ok(match () {
            () if kind.is_file() => Self::File,
            () if kind.is_dir() => Self::Folder,
            () if !kind.is_symlink() => Self::Other,
            () if fs::metadata(path())?.is_dir() => Self::LinkToFolder,
            () => Self::Link,
        })
    }
}

/// Compares names by their bytes, a folder's as if it ended in `/`.
fn in_name_order(left: &(OsString, io::Result<Kind>), right: &(OsString, io::Result<Kind>)) -> Ordering {
    let (first, second) = (left.0.as_encoded_bytes(), right.0.as_encoded_bytes());
    let common = first.len().min(second.len());
    first[..common].cmp(&second[..common]).then_with(|| {
        let slash =
            |kind: &io::Result<Kind>| matches!(kind, Ok(Kind::Folder | Kind::LinkToFolder)).then_some(b'/');
        let rest = |name: &[u8], kind| name.get(common).copied().or_else(|| slash(kind));
        rest(first, &left.1).cmp(&rest(second, &right.1))
    })
}

#[cfg(unix)]
fn is_same(left: (&Path, Option<&Metadata>), right: (&Path, Option<&Metadata>)) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    left.1.is_some() && left.1.map(identity) == right.1.map(identity)
}

#[cfg(not(unix))]
fn is_same(left: (&Path, Option<&Metadata>), right: (&Path, Option<&Metadata>)) -> bool {
    let (left, right) = (fs::canonicalize(left.0), fs::canonicalize(right.0));
    left.is_ok_and(|left| right.is_ok_and(|right| left == right))
}

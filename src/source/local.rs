//! A folder as a source: walked recursively, names relative to it with `/`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use walkdir::{DirEntry, WalkDir};

use super::listing::Excluded;
use super::{BlockingReader, Depth, Listing, Reader};
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Access, Blob, BlobName, ByteRange, Origin, ReadError, Reads};

mod endless;
mod ignore;
mod read;

use endless::Guard;
use ignore::Ignore;
use read::Version;
pub use read::{Near, OpenFile};

/// Files in one page of the listing.
const PAGE: usize = 1000;
/// Pages that may be walked ahead of the consumer.
const PAGES_AHEAD: usize = 2;

/// The beginning of the names of files and folders that `presync fix` works on, which six letters and digits follow.
pub(crate) const WORK: &str = ".presync-fix-";

/// Whether a name is one of those. They are not listed: a run that was killed may have left some.
pub(crate) fn is_work(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(WORK));
    rest.is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A folder. Its files are blobs whose ETag is the modification time and the size. Symbolic links are followed; one
/// that points to a parent folder is listed as unreachable, and so is anything else that cannot be walked to its end.
#[derive(Clone, Debug)]
pub struct LocalSource {
    root: PathBuf,
    prefix: String,
    depth: Depth,
    names_only: bool,
}

impl LocalSource {
    /// Opens a folder.
    ///
    /// # Errors
    /// Returns an error if the folder does not exist or cannot be listed.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let shown = root.display();
        if endless::is_of_the_kernel(&root) {
            return Err(Error::new(format!("'{shown}' shows the system's own state, not files"))
                .with_hint("give a folder with images and videos"));
        }
        match std::fs::read_dir(&root) {
            Ok(_) => Ok(Self { root, prefix: String::new(), depth: Depth::All, names_only: false }),
            Err(_) if root.is_file() => Err(Error::new(format!("'{shown}' is a file, not a folder"))
                .with_hint("give the folder that contains it")
                .because(Cause::Usage)),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                let error = Error::new(format!("there is no folder '{shown}'"));
                Err(error.with_hint(instead(&root)).because(Cause::NotFound))
            }
            Err(error) => Err(Error::new(format!("cannot list the folder '{shown}': {}", reason(&error)))
                .with_hint("check that you have permission to read it")
                .because(Cause::of_io(&error))),
        }
    }

    /// The folder's path, as given.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Lists only names that begin with `prefix`.
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Sets how far below the prefix the listing goes.
    pub fn with_depth(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }

    /// Lists files without their sizes and versions, for a run that opens each of them anyway: asking for these once is
    /// enough.
    pub fn with_names_only(self) -> Self {
        Self { names_only: true, ..self }
    }

    /// Describes the source for reports.
    pub fn origin(&self) -> Origin {
        Origin {
            provider: "folder".into(),
            location: self.root.display().to_string(),
            account: None,
            container: None,
            prefix: self.prefix.clone(),
            credential: None,
        }
    }

    /// Lists the files down to the depth, a page at a time. Must be called within a tokio runtime.
    pub fn list(&self) -> Listing {
        self.list_in_background(None)
    }

    /// Same as [`list`](Self::list), but without the names that a `.presyncignore` leaves out, which are counted.
    pub(crate) fn list_with_ignore_files(&self, excluded: &Excluded) -> Listing {
        self.list_in_background(Some(Ignore::new(Arc::clone(excluded))))
    }

    fn list_in_background(&self, ignore: Option<Ignore>) -> Listing {
        let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
        let source = self.clone();
        let walk = tokio::task::spawn_blocking(move || source.walk(ignore, &sender));
        stream::unfold((receiver, Some(walk)), |(mut pages, mut walk)| async {
            if let Some(page) = pages.recv().await {
                return Some((Ok(page), (pages, walk)));
            }
            // A walk that failed must not look like a short folder.
            match walk.take()?.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((Err(error), (pages, walk))),
                Err(error) => Some((
                    Err(Error::new(format!("listing the folder did not finish: {error}"))),
                    (pages, walk),
                )),
            }
        })
        .boxed()
    }

    /// Walks the folder and sends it page by page, until the end or until the receiver is dropped.
    ///
    /// # Errors
    /// Returns an error if an ignore file cannot be used.
    fn walk(&self, mut ignore: Option<Ignore>, pages: &mpsc::Sender<Vec<Blob>>) -> Result<()> {
        let walk = WalkDir::new(&self.root).follow_links(true).min_depth(1).sort_by(in_name_order);
        let mut walk = walk.into_iter().filter_entry(|entry| self.may_hold_names(entry));
        let mut page = Vec::new();
        let mut guard = Guard::default();
        if let Some(ignore) = &mut ignore {
            ignore.enter(&self.root, "")?;
        }
        while let Some(entry) = walk.next() {
            let not_entered = entry.as_ref().ok().and_then(|entry| {
                self.not_entered(entry).or_else(|| {
                    let why = guard.refuse(entry)?;
                    let name = BlobName::new(format!("{}/", self.name(entry.path()).0));
                    Some(named(name, Access::Unreachable(why.into())))
                })
            });
            if not_entered.is_some() {
                walk.skip_current_dir();
            }
            let folder = entry.as_ref().ok().filter(|entry| entry.file_type().is_dir());
            if let (Some(ignore), Some(folder), None) = (&mut ignore, folder, &not_entered) {
                ignore.enter(folder.path(), self.name(folder.path()).0.as_str())?;
            }
            let named = entry.as_ref().ok().filter(|_| self.names_only).and_then(|entry| self.named(entry));
            let Some(blob) = not_entered.or(named).or_else(|| self.blob(entry)) else { continue };
            if !blob.name.as_str().starts_with(&self.prefix) {
                continue;
            }
            if ignore.as_mut().is_some_and(|ignore| ignore.leaves_out(blob.name.as_str())) {
                continue;
            }
            page.push(blob);
            if page.len() == PAGE && pages.blocking_send(std::mem::take(&mut page)).is_err() {
                return Ok(());
            }
        }
        // The receiver is gone if the run has ended early.
        let _ = pages.blocking_send(page);
        Ok(())
    }

    /// Whether an entry may hold names with the prefix. A folder that cannot is not entered.
    fn may_hold_names(&self, entry: &DirEntry) -> bool {
        if entry.depth() > 0 && is_work(entry.file_name()) {
            return false;
        }
        if self.prefix.is_empty() || entry.depth() == 0 || !entry.file_type().is_dir() {
            return true;
        }
        let folder = format!("{}/", self.name(entry.path()).0);
        folder.starts_with(&self.prefix) || self.prefix.starts_with(&folder)
    }

    /// The blob for a folder that the listing does not descend into; `None` for any other folder, and for a file.
    fn not_entered(&self, entry: &DirEntry) -> Option<Blob> {
        if self.depth == Depth::All || !entry.file_type().is_dir() {
            return None;
        }
        let name = format!("{}/", self.name(entry.path()).0);
        // A folder no longer than the prefix leads to it, so it is entered.
        (name.len() > self.prefix.len()).then(|| Blob::not_entered(name))
    }

    /// The blob for a file by its name alone; `None` for anything else, and for a name that is not exact.
    fn named(&self, entry: &DirEntry) -> Option<Blob> {
        if !entry.file_type().is_file() || entry.path_is_symlink() {
            return None;
        }
        let (name, is_legal) = self.name(entry.path());
        is_legal.then(|| named(name, Access::Online))
    }

    /// The blob for a walked entry; `None` for a folder.
    fn blob(&self, entry: walkdir::Result<DirEntry>) -> Option<Blob> {
        let found = match entry {
            Ok(entry) if entry.file_type().is_dir() => return None,
            Ok(entry) => {
                let metadata = entry.metadata();
                (entry.into_path(), metadata)
            }
            Err(error) => (error.path().unwrap_or(&self.root).to_owned(), Err(error)),
        };
        let (path, metadata) = found;
        let (name, legal) = self.name(&path);
        let unreachable = |why: String| Access::Unreachable(why.into());
        let access = match &metadata {
            Ok(metadata) => match (legal, metadata.is_file()) {
                (false, _) => unreachable("its name is not UTF-8, so it cannot be a blob name".into()),
                (_, false) => unreachable("it is not a regular file".into()),
                _ => Access::Online,
            },
            Err(error) => match (error.loop_ancestor(), error.io_error()) {
                (Some(_), _) => unreachable("it is a link to a parent folder".into()),
                (_, Some(cause)) => unreachable(format!("it cannot be listed: {}", reason(cause))),
                _ => unreachable("it cannot be listed".into()),
            },
        };
        let mut blob = named(name, access);
        if let Ok(metadata) = metadata {
            Version::from(&metadata).complete(&mut blob);
        }
        Some(blob)
    }

    /// The blob name of a path under the root, and whether it is exact: a name that is not UTF-8 is converted lossily.
    fn name(&self, path: &Path) -> (BlobName, bool) {
        // The walk builds its paths by appending to the root, so the root can be cut off by its length.
        let root = self.root.as_os_str().as_encoded_bytes().len();
        let rest = path.as_os_str().as_encoded_bytes().get(root..).unwrap_or_default();
        let is_separator = |byte: &u8| std::path::is_separator(char::from(*byte));
        let rest = &rest[usize::from(rest.first().is_some_and(is_separator))..];
        let name = String::from_utf8_lossy(rest);
        let legal = matches!(name, Cow::Borrowed(_));
        match std::path::MAIN_SEPARATOR {
            '/' => (BlobName::new(name), legal),
            separator => (BlobName::new(name.replace(separator, "/")), legal),
        }
    }
}

/// A blob of which only the name is known.
fn named(name: BlobName, access: Access) -> Blob {
    Blob { name, size: 0, etag: None, last_modified: None, access, declared: Default::default() }
}

/// What to give instead of a folder that does not exist.
fn instead(root: &Path) -> String {
    let text = root.to_string_lossy();
    match text.rsplit_once('/').unwrap_or((".", &text)) {
        _ if text.starts_with('~') => {
            format!("a shell only replaces '~' without quotes; write $HOME{}", &text[1..])
        }
        (folder, names) if names.contains(['*', '?']) && !folder.contains(['*', '?']) => {
            format!("give the folder, and choose names in it: '{folder}' --include '{names}'")
        }
        _ => "give an existing folder, or a container as https://ACCOUNT.blob.core.windows.net/CONTAINER"
            .to_owned(),
    }
}

/// Compares names by their bytes, a folder's as if it ended in `/`, so that the walk has the same order as a container.
fn in_name_order(left: &DirEntry, right: &DirEntry) -> std::cmp::Ordering {
    let slash = |entry: &DirEntry| {
        // A link to a folder is walked as a folder.
        let is_folder = match entry.path_is_symlink() {
            true => std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir()),
            false => entry.file_type().is_dir(),
        };
        is_folder.then_some(b'/')
    };
    // Whole paths are compared: both are in the same folder, and extracting the file names would cost more.
    let (first, second) =
        (left.path().as_os_str().as_encoded_bytes(), right.path().as_os_str().as_encoded_bytes());
    let common = first.len().min(second.len());
    first[..common].cmp(&second[..common]).then_with(|| {
        let rest = |name: &[u8], entry| name.get(common).copied().or_else(|| slash(entry));
        rest(first, left).cmp(&rest(second, right))
    })
}

impl Reader for LocalSource {
    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        let (source, blob) = (self.clone(), blob.clone());
        let read = tokio::task::spawn_blocking(move || {
            let mut reads = Reads::default();
            let near = &mut Near::default();
            (BlockingReader::read(&source, near, &mut None, &blob, range, &mut reads), reads)
        });
        let (bytes, cost) =
            read.await.map_err(|error| ReadError::Unreadable(format!("the read did not finish: {error}")))?;
        reads.add(cost);
        bytes
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        BlockingReader::find(self, name)
    }

    fn blocking(&self) -> Option<Arc<dyn BlockingReader>> {
        Some(Arc::new(self.clone()))
    }
}

impl BlockingReader for LocalSource {
    fn open(
        &self,
        near: &mut Near,
        blob: &mut Blob,
        is_read: bool,
    ) -> std::result::Result<Option<OpenFile>, ReadError> {
        if blob.etag.is_some() || blob.access != Access::Online {
            return Ok(None);
        }
        let opened = match is_read {
            true => OpenFile::open(near, &self.root, blob).map(Some),
            false => near.complete(&self.root, blob).map(|()| None),
        };
        opened.or_else(|_| {
            // It is listed all the same, with the reason if it is not a file.
            *blob = BlockingReader::find(self, &blob.name)?.ok_or(ReadError::Gone)?;
            Ok(None)
        })
    }

    fn read(
        &self,
        near: &mut Near,
        file: &mut Option<OpenFile>,
        blob: &Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        if range.within(blob.size).is_empty() {
            return Ok(Bytes::new());
        }
        reads.requests += 1;
        let bytes = match file {
            Some(file) => file.read(blob, range)?,
            None => OpenFile::of_listed(near, &self.root, blob)
                .and_then(|opened| file.insert(opened).read(blob, range))?,
        };
        reads.bytes += bytes.len() as u64;
        Ok(bytes)
    }

    fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        let path = self.root.join(name.as_str());
        let walk = WalkDir::new(path).follow_links(true).max_depth(0);
        let is_there = |entry: &walkdir::Result<DirEntry>| {
            let cause = entry.as_ref().err().and_then(walkdir::Error::io_error);
            cause.is_none_or(|cause| cause.kind() != io::ErrorKind::NotFound)
        };
        Ok(walk.into_iter().next().filter(is_there).and_then(|entry| self.blob(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_in_the_order_of_whole_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["a b", "a-b/x", "a.jpg", "a/b/c", "a/b.jpg", "a0", "ab", "b"];
        // What a fix that was killed leaves is not listed; what only looks similar is.
        let left = [".presync-fix-aB3dE9/0/in.jpg", "a/.presync-fix-000000", ".presync-fix-more/x"];
        for name in names.iter().chain(&left) {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            std::fs::write(path, name).expect("a file");
        }
        let source = LocalSource::open(folder.path()).expect("it is there");
        let (sender, mut pages) = mpsc::channel(1);
        source.walk(None, &sender).expect("it has no ignore file");
        let page = pages.try_recv().expect("one page");
        let found: Vec<_> = page.iter().map(|blob| blob.name.as_str().to_owned()).collect();
        let mut sorted: Vec<_> = names.into_iter().chain([left[2]]).map(str::to_owned).collect();
        sorted.sort_unstable();
        assert_eq!(found, sorted);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_that_takes_a_files_place_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, "text").expect("a file");
        let source = LocalSource::open(folder.path()).expect("it is there");
        let blob = BlockingReader::find(&source, &BlobName::new("a.jpg")).expect("a look").expect("a blob");
        std::fs::remove_file(&path).expect("it is ours");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        let (near, range) = (&mut Near::default(), ByteRange::new(0, 4));
        let read = BlockingReader::read(&source, near, &mut None, &blob, range, &mut Reads::default());
        assert_eq!(read, Err(ReadError::Unreadable("it cannot be read: it is not a regular file".into())));
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_walked_or_named_is_listed_all_the_same() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("sub")).expect("a folder");
        std::os::unix::fs::symlink("..", folder.path().join("sub/up")).expect("a link");
        std::os::unix::fs::symlink("gone", folder.path().join("broken.jpg")).expect("a link");
        std::fs::write(folder.path().join(OsStr::from_bytes(b"\xFF.jpg")), "x").expect("a file");
        let source = LocalSource::open(folder.path()).expect("it is there");
        let (sender, mut pages) = mpsc::channel(1);
        source.walk(None, &sender).expect("it has no ignore file");
        let page = pages.try_recv().expect("one page");
        assert_eq!(page.len(), 3, "{page:?}");
        assert!(page.iter().all(|blob| matches!(blob.access, Access::Unreachable(_))), "{page:?}");
    }
}

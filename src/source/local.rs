//! A folder as a source: walked recursively, names relative to it with `/`.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::listing::Excluded;
use super::{BlockingReader, Depth, Listing, Reader};
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Access, Blob, BlobName, ByteRange, Origin, ReadError, Reads};

mod endless;
mod ignore;
mod read;
mod walk;

use endless::Guard;
use ignore::Ignore;
use read::Version;
pub use read::{Near, OpenFile};
use walk::{Entry, Kind, Walk};

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
        match fs::read_dir(&root) {
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
        let mut walk = Walk::new(&self.root);
        let mut page = Vec::new();
        let mut guard = Guard::default();
        if let Some(ignore) = &mut ignore {
            ignore.enter(&self.root, "")?;
        }
        while let Some(entry) = walk.next() {
            let Some(blob) = self.blob(entry, &mut walk, &mut guard, ignore.as_mut())? else { continue };
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

    /// The blob for an entry. Enters a folder, for which there is none, unless it is listed as one.
    fn blob(
        &self,
        entry: Entry,
        walk: &mut Walk,
        guard: &mut Guard,
        ignore: Option<&mut Ignore>,
    ) -> Result<Option<Blob>> {
        let Entry { file_name, name, is_exact, kind } = entry;
        let kind = match kind {
            Ok(kind) => kind,
            Err(error) => return Ok(Some(blob(name, is_exact, Err(error)))),
        };
        let path = || walk.path(&file_name);
        let is_left = is_work(&file_name);
        match kind {
            Kind::Folder | Kind::LinkToFolder => {}
            _ if is_left => return Ok(None),
            Kind::File if self.names_only && is_exact => {
                return Ok(Some(named(BlobName::new(name), Access::Online)));
            }
            Kind::File | Kind::Other => return Ok(Some(blob(name, is_exact, fs::symlink_metadata(path())))),
            Kind::Link => return Ok(Some(blob(name, is_exact, fs::metadata(path())))),
        }
        let (path, is_link) = (path(), kind == Kind::LinkToFolder);
        let metadata = fs::metadata(&path).ok();
        if is_link && walk.is_in(&path, metadata.as_ref()) {
            let why = Access::Unreachable("it is a link to a parent folder".into());
            return Ok(Some(named(BlobName::new(name), why)));
        }
        let folder = format!("{name}/");
        // A folder that can hold no names with the prefix is not entered.
        if is_left || !(folder.starts_with(&self.prefix) || self.prefix.starts_with(&folder)) {
            return Ok(None);
        }
        // A folder no longer than the prefix leads to it, so it is entered.
        if self.depth == Depth::Direct && folder.len() > self.prefix.len() {
            return Ok(Some(Blob::not_entered(folder)));
        }
        if let Some(why) = guard.refuse(&path, walk.depth(), metadata.as_ref(), is_link) {
            return Ok(Some(named(BlobName::new(folder), Access::Unreachable(why.into()))));
        }
        if let Some(ignore) = ignore {
            ignore.enter(&path, &name)?;
        }
        walk.enter(path, folder, is_exact, metadata);
        Ok(None)
    }
}

/// The blob for a file of this name. A name that is not exact cannot be that of a blob.
fn blob(name: String, is_exact: bool, metadata: io::Result<Metadata>) -> Blob {
    let unreachable = |why: String| Access::Unreachable(why.into());
    let access = match &metadata {
        Ok(_) if !is_exact => unreachable("its name is not UTF-8, so it cannot be a blob name".into()),
        Ok(metadata) if !metadata.is_file() => unreachable("it is not a regular file".into()),
        Ok(_) => Access::Online,
        Err(error) => unreachable(format!("it cannot be listed: {}", reason(error))),
    };
    let mut blob = named(BlobName::new(name), access);
    if let Ok(metadata) = metadata {
        Version::from(&metadata).complete(&mut blob);
    }
    blob
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
        Ok(match fs::metadata(self.root.join(name.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Ok(metadata) if metadata.is_dir() => None,
            metadata => Some(blob(name.as_str().to_owned(), true, metadata)),
        })
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
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, name).expect("a file");
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
        fs::write(&path, "text").expect("a file");
        let source = LocalSource::open(folder.path()).expect("it is there");
        let blob = BlockingReader::find(&source, &BlobName::new("a.jpg")).expect("a look").expect("a blob");
        fs::remove_file(&path).expect("it is ours");
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
        fs::create_dir(folder.path().join("sub")).expect("a folder");
        std::os::unix::fs::symlink("..", folder.path().join("sub/up")).expect("a link");
        std::os::unix::fs::symlink("gone", folder.path().join("broken.jpg")).expect("a link");
        fs::write(folder.path().join(OsStr::from_bytes(b"\xFF.jpg")), "x").expect("a file");
        let source = LocalSource::open(folder.path()).expect("it is there");
        let (sender, mut pages) = mpsc::channel(1);
        source.walk(None, &sender).expect("it has no ignore file");
        let page = pages.try_recv().expect("one page");
        assert_eq!(page.len(), 3, "{page:?}");
        assert!(page.iter().all(|blob| matches!(blob.access, Access::Unreachable(_))), "{page:?}");
    }
}

//! A folder of parts, put together in listing order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::part::{PartHeader, PartReader};
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, BlobName};

/// Parts of one plan: a task of a cluster writes one, and clusters run up to some ten thousand tasks a job.
const MAX_PARTS: usize = 100_000;
/// Folders of containers that an error names.
const MAX_NAMED: usize = 5;
/// Shards that are named when they are missing.
const MAX_MISSING: usize = 10;
/// What the job of a cluster leaves in its folder when it has come to its end.
const SUCCESS: &str = "_SUCCESS";

/// The parts of one plan.
///
/// * Each part is in listing order by itself, and is open only while names of its stretch come.
/// * No name is in two of them.
#[derive(Debug)]
pub struct PartFolder {
    path: PathBuf,
    /// With something that no name of the part is less than.
    parts: Vec<(Vec<u8>, PathBuf)>,
    /// What all parts say alike, with the earliest beginning and the latest end.
    pub header: PartHeader,
    /// Account and container, where folders tell them.
    pub container: Option<(String, String)>,
    /// Why the parts are not all of the plan.
    pub incomplete: Option<String>,
}

impl PartFolder {
    /// The folders below `path` that have the parts of a plan each, in the order of their names; `path` itself, if it has.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn find(path: &Path) -> Result<Vec<PathBuf>> {
        let mut folders = BTreeMap::new();
        collect(path, 0, &mut folders)?;
        Ok(folders.into_keys().collect())
    }

    /// Finds the parts in a folder: its own files, or those of the one container that it has a folder for.
    ///
    /// # Errors
    /// When there are none, when they are of several containers or of different runs, or when one of them says nothing
    /// of its run. Each of several containers has a [folder](Self::find) of its own.
    pub fn open(path: &Path) -> Result<Self> {
        let mut folders = BTreeMap::new();
        collect(path, 0, &mut folders)?;
        if folders.len() > 1 {
            return Err(several(path, &folders));
        }
        let Some((folder, files)) = folders.pop_first() else {
            return Err(Error::new(format!("there is no part of a plan in '{}'", path.display()))
                .with_hint("presync dry-run SOURCE --shard I/N --out DIR writes one"));
        };
        let mut header: Option<PartHeader> = None;
        let (mut parts, mut shards) = (Vec::new(), BTreeSet::new());
        for file in files {
            let part = PartReader::open(&file)?;
            let own = part.header()?.ok_or_else(|| nameless(&file))?;
            if let Some(shard) = own.shard
                && !shards.insert(shard.index)
            {
                return Err(Error::new(format!(
                    "'{}' is shard {}/{}, and so is another file beside it",
                    file.display(),
                    shard.index,
                    shard.of
                )));
            }
            let own = PartHeader { ended: own.ended.or_else(|| written(&file)), ..own };
            match &mut header {
                None => header = Some(own),
                Some(header) => match header.differs(&own) {
                    None => {
                        header.run.begun = header.run.begun.min(own.run.begun);
                        header.ended = header.ended.max(own.ended);
                    }
                    Some(field) => return Err(mixed(&file, field)),
                },
            }
            if !part.is_empty() {
                parts.push((part.least_name().unwrap_or_default(), file));
            }
        }
        let header = header.ok_or_else(|| nameless(path))?;
        let incomplete = missing(&header, &shards)
            .or_else(|| (header.shard.is_none() && !has_ended(&folder)).then(|| unfinished(path)));
        parts.sort();
        Ok(Self { path: path.to_owned(), parts, header, container: container(&folder), incomplete })
    }

    /// The assets of all parts in listing order.
    pub fn assets(&self) -> Merged {
        let mut waiting = self.parts.clone();
        waiting.reverse();
        Merged { path: self.path.clone(), waiting, open: BinaryHeap::new(), readers: Vec::new(), last: None }
    }
}

/// When a file was written.
fn written(file: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(file).ok()?.modified().ok()?).ok()
}

/// The Parquet files of a folder, and of the folders of containers in it.
fn collect(path: &Path, depth: usize, folders: &mut BTreeMap<PathBuf, Vec<PathBuf>>) -> Result<()> {
    let unreadable =
        |error: std::io::Error| Error::new(format!("cannot list '{}': {}", path.display(), reason(&error)));
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What begins like this is no data ("Parquet files", partition discovery, of Spark).
        if name.starts_with(['_', '.']) {
            continue;
        }
        if entry.is_dir() {
            let is_partition = name.starts_with("account=") || name.starts_with("container=");
            if is_partition && depth < 2 {
                collect(&entry, depth + 1, folders)?;
            }
        } else if entry.extension().is_some_and(|extension| extension == "parquet") {
            let files = folders.entry(path.to_owned()).or_default();
            files.push(entry);
            if files.len() > MAX_PARTS {
                return Err(Error::new(format!("'{}' has more than {MAX_PARTS} parts", path.display()))
                    .with_hint("write fewer of them"));
            }
        }
    }
    folders.values_mut().for_each(|files| files.sort());
    Ok(())
}

/// The account and the container that a folder is of, by the names of the folders on the way to it.
fn container(folder: &Path) -> Option<(String, String)> {
    let folder = fs::canonicalize(folder).ok()?;
    let value = |name: &str| {
        folder
            .iter()
            .rev()
            .find_map(|part| part.to_str()?.strip_prefix(name)?.strip_prefix('='))
            .map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    Some((value("account")?, value("container")?))
}

/// Whether the job that wrote the parts has ended; it says so in the folder that the containers' folders are in.
fn has_ended(folder: &Path) -> bool {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.ancestors().take(3).any(|folder| folder.join(SUCCESS).is_file())
}

fn unfinished(path: &Path) -> String {
    format!("the job that writes '{}' has not ended: there is no {SUCCESS}", path.display())
}

fn missing(header: &PartHeader, shards: &BTreeSet<u32>) -> Option<String> {
    let of = header.shard?.of;
    let mut missing = (0..of).filter(|index| !shards.contains(index));
    let named: Vec<_> = missing.by_ref().take(MAX_MISSING).map(|index| index.to_string()).collect();
    let more = missing.count();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| format!("of {of} shards these are missing: {}{more}", named.join(", ")))
}

fn several(path: &Path, folders: &BTreeMap<PathBuf, Vec<PathBuf>>) -> Error {
    let named: Vec<_> =
        folders.keys().take(MAX_NAMED).map(|folder| format!("'{}'", folder.display())).collect();
    let more = folders.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Error::new(format!("'{}' has the parts of {} plans", path.display(), folders.len()))
        .with_hint(format!("give one of them: {}{more}", named.join(", ")))
}

fn nameless(file: &Path) -> Error {
    Error::new(format!("'{}' does not say which run it is a part of", file.display())).with_hint(
        "write its header into the Parquet metadata, under presync.part: presync.part_header() makes it",
    )
}

fn mixed(file: &Path, field: &str) -> Error {
    Error::new(format!("'{}' is a part of another run: its {field} is another one", file.display()))
        .with_hint("give each run a folder of its own")
}

/// The assets of several parts, by name.
pub struct Merged {
    path: PathBuf,
    /// Parts that are not open yet, the last one first.
    waiting: Vec<(Vec<u8>, PathBuf)>,
    /// The next asset of each open part.
    open: BinaryHeap<Reverse<Next>>,
    readers: Vec<Option<PartReader>>,
    last: Option<BlobName>,
}

/// The next asset of a part.
struct Next {
    asset: Asset,
    part: usize,
}

impl Next {
    fn key(&self) -> (&str, usize) {
        (self.asset.blob.name.as_str(), self.part)
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Merged {
    fn next_asset(&mut self) -> Result<Option<Asset>> {
        while let Some(part) = self.waiting.pop_if(|(least, _)| {
            let next = self.open.peek().map(|Reverse(next)| next.asset.blob.name.as_str().as_bytes());
            next.is_none_or(|next| least.as_slice() <= next)
        }) {
            self.readers.push(Some(PartReader::open(&part.1)?));
            self.advance(self.readers.len() - 1)?;
        }
        let Some(Reverse(Next { asset, part })) = self.open.pop() else { return Ok(None) };
        self.advance(part)?;
        match self.last.as_ref().map(|last| last.cmp(&asset.blob.name)) {
            None | Some(std::cmp::Ordering::Less) => {}
            Some(order) => {
                let (folder, name) = (self.path.display(), asset.blob.name.as_str().escape_debug());
                return Err(match order {
                    std::cmp::Ordering::Equal => {
                        Error::new(format!("'{name}' is in the parts of '{folder}' twice"))
                            .with_hint("a run must get each blob once, and write into a folder of its own")
                    }
                    _ => Error::new(format!("'{name}' is out of order in a part of '{folder}'"))
                        .with_hint("parts are in the order of the names: sort them before they are written"),
                });
            }
        }
        self.last = Some(asset.blob.name.clone());
        Ok(Some(asset))
    }

    /// Takes the next asset of a part, which is closed after its last one.
    fn advance(&mut self, part: usize) -> Result<()> {
        let Some(reader) = self.readers.get_mut(part) else { return Ok(()) };
        match reader.as_mut().and_then(Iterator::next).transpose()? {
            Some(asset) => self.open.push(Reverse(Next { asset, part })),
            None => *reader = None,
        }
        Ok(())
    }
}

impl Iterator for Merged {
    type Item = Result<Asset>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_asset().transpose()
    }
}

//! A folder of parts, merged in listing order or by name.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::part::{PartHeader, PartReader};
use crate::files::runs;
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Asset, BlobName};

/// The most parts of a plan: each task of a cluster writes one, and clusters run up to some ten thousand tasks per job.
const MAX_PARTS: usize = 100_000;
/// The most folders of containers that an error names.
const MAX_NAMED: usize = 5;
/// The most missing shards that are named.
const MAX_MISSING: usize = 10;
/// The file that a cluster's job leaves in its folder when it is complete.
const SUCCESS: &str = "_SUCCESS";

/// The parts of one plan.
///
/// * The parts of shards are merged by their positions in the listing. If the container changed between two shards, these
///   are only approximate: neighbours may change places.
/// * Other parts are merged by name: no name is in two of them, and each is open only while names in its range are read.
#[derive(Debug)]
pub struct PartFolder {
    path: PathBuf,
    /// Whether all parts have positions.
    by_position: bool,
    /// Each part, with a lower bound for its names; empty if they are merged by position.
    parts: Vec<(Vec<u8>, PathBuf)>,
    /// The header that all parts share, with the earliest start and the latest end.
    pub header: PartHeader,
    /// Account and container, if the folder's path names them.
    pub container: Option<(String, String)>,
    /// Why parts of the plan are missing, if they are.
    pub incomplete: Option<String>,
}

impl PartFolder {
    /// The folders that hold the parts of a plan each, sorted by name: those in `path`, and `path` itself.
    ///
    /// # Errors
    /// Returns an error if a folder cannot be listed.
    pub fn find(path: &Path) -> Result<Vec<PathBuf>> {
        let mut folders = BTreeMap::new();
        collect(path, 0, &mut folders)?;
        Ok(folders.into_keys().collect())
    }

    /// Finds the parts in a folder: its own files, or those of the one container that it has a folder for.
    ///
    /// # Errors
    /// Returns an error if there are no parts, if they belong to several containers or to different runs, or if one of
    /// them does not name its run. For several containers, open each [folder](Self::find) separately.
    pub fn open(path: &Path) -> Result<Self> {
        let mut folders = BTreeMap::new();
        collect(path, 0, &mut folders)?;
        if folders.len() > 1 {
            return Err(several(path, &folders));
        }
        let Some((folder, files)) = folders.pop_first() else {
            return Err(Error::new(format!("there are no parts of a plan in '{}'", path.display()))
                .because(Cause::NotFound)
                .with_hint("presync dry-run SOURCE --shard I/N --out DIR writes one"));
        };
        let mut header: Option<PartHeader> = None;
        let (mut parts, mut shards, mut by_position) = (Vec::new(), BTreeSet::new(), true);
        for file in files {
            let part = PartReader::open(&file)?;
            let own = part.header()?.ok_or_else(|| nameless(&file))?;
            if let Some(shard) = own.shard
                && !shards.insert(shard.index)
            {
                return Err(Error::new(format!(
                    "'{}' is shard {}/{}, and so is another file in its folder",
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
                        // Each shard lists everything, and so counts all of them.
                        header.excluded = header.excluded.max(own.excluded);
                    }
                    Some(field) => return Err(mixed(&file, field)),
                },
            }
            if !part.is_empty() {
                by_position &= part.has_positions();
                parts.push((part.least_name().unwrap_or_default(), file));
            }
        }
        let header = header.ok_or_else(|| nameless(path))?;
        let incomplete = missing(&header, &shards)
            .or_else(|| (header.shard.is_none() && !has_ended(&folder)).then(|| unfinished(path)));
        if by_position {
            parts.iter_mut().for_each(|(least, _)| least.clear());
        }
        parts.sort();
        Ok(Self {
            path: path.to_owned(),
            by_position,
            parts,
            header,
            container: container(&folder),
            incomplete,
        })
    }

    /// The assets of all parts: in listing order, or in the byte order of their names if the parts have no positions.
    pub fn assets(&self) -> Merged {
        let Self { path, by_position, parts, .. } = self;
        let mut waiting = parts.clone();
        waiting.reverse();
        let (open, readers) = (BinaryHeap::new(), Vec::new());
        Merged { path: path.clone(), by_position: *by_position, waiting, open, readers, last: None }
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
        // Spark ignores such names, because they are not data ("Parquet files", partition discovery).
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
                    .with_hint("write fewer and larger parts"));
            }
        }
    }
    folders.values_mut().for_each(|files| files.sort());
    Ok(())
}

/// The account and the container of a folder, from the names of the folders in its path.
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

/// Whether the job that wrote the parts is complete: if so, there is a marker in the folder above the containers'
/// folders.
fn has_ended(folder: &Path) -> bool {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.ancestors().take(3).any(|folder| folder.join(SUCCESS).is_file())
}

fn unfinished(path: &Path) -> String {
    format!("the job that writes '{}' is not complete: there is no {SUCCESS}", path.display())
}

fn missing(header: &PartHeader, shards: &BTreeSet<u32>) -> Option<String> {
    let of = header.shard?.of;
    let mut missing = (0..of).filter(|index| !shards.contains(index));
    let named: Vec<_> = missing.by_ref().take(MAX_MISSING).map(|index| index.to_string()).collect();
    let more = missing.count();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| format!("of {of} shards, these are missing: {}{more}", named.join(", ")))
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
        "write the header from presync.part_header() into its Parquet metadata, under presync.part",
    )
}

fn mixed(file: &Path, field: &str) -> Error {
    Error::new(format!("'{}' is a part of another run: its {field} is different", file.display()))
        .with_hint("give each run a folder of its own")
}

/// The assets of several parts, by position or by name.
pub struct Merged {
    path: PathBuf,
    by_position: bool,
    /// Parts that are not open yet, the last one first.
    waiting: Vec<(Vec<u8>, PathBuf)>,
    /// The next asset of each open reader.
    open: BinaryHeap<Reverse<Next>>,
    /// The parts that are open; a part whose names are not sorted has several readers, of its sorted runs.
    readers: Vec<Option<Reader>>,
    last: Option<BlobName>,
}

/// Assets with their positions, in the order in which they are merged.
type Reader = Box<dyn Iterator<Item = Result<(u64, Asset)>> + Send>;

/// The next asset of a reader.
struct Next {
    /// The same for all if the parts are merged by name.
    position: u64,
    asset: Asset,
    reader: usize,
}

impl Next {
    /// Positions are equal if the container changed between two shards.
    fn key(&self) -> (u64, &str, usize) {
        (self.position, self.asset.blob.name.as_str(), self.reader)
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
        // A part must be open before any name past its lower bound is returned, or its own names would come too late.
        while let Some((_, path)) = self.waiting.pop_if(|(least, _)| {
            let next = self.open.peek().map(|Reverse(next)| next.asset.blob.name.as_str().as_bytes());
            next.is_none_or(|next| least.as_slice() <= next)
        }) {
            self.open(&path)?;
        }
        let Some(Reverse(Next { asset, reader, .. })) = self.open.pop() else { return Ok(None) };
        self.advance(reader)?;
        if self.last.as_ref() == Some(&asset.blob.name) {
            let (folder, name) = (self.path.display(), asset.blob.name.as_str().escape_debug());
            return Err(Error::new(format!("'{name}' appears twice in the parts of '{folder}'"))
                .with_hint("list each blob only once, and give each run a folder of its own"));
        }
        self.last = (!self.by_position).then(|| asset.blob.name.clone());
        Ok(Some(asset))
    }

    /// Opens a part.
    fn open(&mut self, path: &Path) -> Result<()> {
        let part = PartReader::open(path)?;
        let first = self.readers.len();
        if self.by_position {
            self.readers.push(Some(Box::new(part)));
        } else {
            let is_sorted = part.names_are_sorted()?;
            let assets = part.map(|placed| placed.map(|(_, asset)| asset));
            let reader = |assets: Box<dyn Iterator<Item = Result<Asset>> + Send>| -> Option<Reader> {
                Some(Box::new(assets.map(|asset| Ok((0, asset?)))))
            };
            match is_sorted {
                true => self.readers.push(reader(Box::new(assets))),
                false => {
                    self.readers.extend(runs::sort(assets)?.into_iter().map(|run| reader(Box::new(run))))
                }
            }
        }
        (first..self.readers.len()).try_for_each(|reader| self.advance(reader))
    }

    /// Reads the next asset of a reader, and closes it after its last one.
    fn advance(&mut self, reader: usize) -> Result<()> {
        let Some(assets) = self.readers.get_mut(reader) else { return Ok(()) };
        match assets.as_mut().and_then(Iterator::next).transpose()? {
            Some((position, asset)) => self.open.push(Reverse(Next { position, asset, reader })),
            None => *assets = None,
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

//! The results of a run so far, on disk, so that an interrupted run can be resumed.
//!
//! Next to the plan that is being written is a folder with parts: small plan files, each with the next assets in
//! listing order, each written atomically. A resumed run adds parts of its own, a new generation, with the assets that
//! earlier generations do not have.
//!
//! A folder of that name may be someone's own. So files are changed and removed only if all that is in the folder has
//! names that presync gives, and links are never followed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::columns::Use;
use crate::files::{own, whole};
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, Quota, Totals};
use crate::plan::{Budget, RunHeader, Sink, Summary};
use crate::plan_file::{Lookup, PlanReader, PlanWriter, Rows};

/// How often results are written to disk by default.
pub const EVERY: Duration = Duration::from_secs(3);
/// The most assets of a part, so that a fast run holds few of them in memory: half a row group.
const MAX_ROWS: u64 = 8 << 10;
/// How many times a run can be resumed: enough for any run that gets further each time.
const MAX_GENERATIONS: u32 = 64;

/// What the names of parts begin and end with; between them are the numbers of the generation and the part.
const PART: (&str, &str) = ("presync-", ".parquet");
/// The digits of these numbers.
const DIGITS: (usize, usize) = (4, 8);
/// The file that the run holds a lock of.
const LOCK: &str = "presync.lock";

/// The checkpoint of a run in progress. If dropped, it stays on disk.
pub struct Checkpoint {
    plan: PathBuf,
    folder: PathBuf,
    /// Held until the run ends: two runs must not write the same plan.
    _lock: File,
    header: RunHeader,
    every: Duration,
    generation: u32,
    next_part: u32,
    part: Option<Part>,
    /// The memory of the last part's rows.
    buffer: Rows,
    last: Instant,
}

struct Part {
    rows: PlanWriter,
    totals: Totals,
}

impl Checkpoint {
    /// Opens the checkpoint of the plan at `plan`; results are written to it at intervals of `every`. With `resume`,
    /// returns the assets of earlier runs with the same header, if there are any; otherwise, an older checkpoint is
    /// removed.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be written or another run is writing to it; with `resume`, also if the
    /// checkpoint is damaged or belongs to a run with another source or other rules.
    pub fn open(
        plan: &Path,
        header: RunHeader,
        every: Duration,
        resume: bool,
    ) -> Result<(Self, Option<Lookup<Asset>>)> {
        let plan = whole::target(plan)?;
        let folder = folder(&plan);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_folder(&folder)?,
            made => made.map_err(|error| whole::not_writable(&plan, &error))?,
        }
        // Once before the lock is put there, and once when nobody else can change it any more.
        entries(&folder)?;
        let lock = lock(&folder, &plan)?;
        let mut generations = BTreeMap::<u32, Vec<PathBuf>>::new();
        for (path, entry) in entries(&folder)? {
            match entry {
                Entry::Lock => {}
                Entry::Part(generation) if resume => generations.entry(generation).or_default().push(path),
                // An older checkpoint, or a file that was being written when its run was killed.
                Entry::Part(_) | Entry::Unfinished => {
                    fs::remove_file(&path).map_err(|error| failed(&folder, &error))?;
                }
            }
        }
        let generation = generations.last_key_value().map_or(0, |(newest, _)| newest + 1);
        if generation >= MAX_GENERATIONS {
            return Err(Error::new(format!("the run has already been resumed {MAX_GENERATIONS} times"))
                .with_hint("leave out --resume to start over"));
        }
        let mut parts = Vec::new();
        for mut generation in generations.into_values() {
            generation.sort();
            check(&generation, &header)?;
            parts.append(&mut generation);
        }
        let kept = (!parts.is_empty()).then(|| lookup(parts));
        let last = Instant::now();
        let (next_part, part, buffer) = (0, None, Rows::new(Use::Resuming, MAX_ROWS as usize));
        let checkpoint =
            Self { plan, folder, _lock: lock, header, every, generation, next_part, part, buffer, last };
        Ok((checkpoint, kept))
    }

    /// Begins the plan. It is in the checkpoint's folder until it is complete, so that a killed run leaves nothing
    /// behind elsewhere.
    ///
    /// # Errors
    /// Returns an error if the plan cannot be written.
    pub(crate) fn begin_plan(&self) -> Result<PlanWriter> {
        PlanWriter::create_in(&self.folder, &self.plan, self.header.clone())
    }

    /// Adds the next asset in listing order, as judged by the rules.
    ///
    /// # Errors
    /// Returns an error if a part cannot be written.
    pub fn add(&mut self, asset: &Asset) -> Result<()> {
        let part = match &mut self.part {
            Some(part) => part,
            None => {
                let name = part_name(self.generation, self.next_part);
                self.next_part += 1;
                let buffer = std::mem::take(&mut self.buffer);
                let rows = PlanWriter::part(&self.folder.join(name), self.header.clone(), buffer)?;
                self.part.insert(Part { rows, totals: Totals::default() })
            }
        };
        part.rows.settled(asset)?;
        part.totals.add(asset);
        match part.totals.listed >= MAX_ROWS || self.last.elapsed() >= self.every {
            true => self.keep(),
            false => Ok(()),
        }
    }

    /// Writes the assets that were added so far to disk.
    ///
    /// # Errors
    /// Returns an error if the part cannot be written.
    pub fn keep(&mut self) -> Result<()> {
        self.last = Instant::now();
        let Some(Part { rows, totals }) = self.part.take() else { return Ok(()) };
        let nothing = Budget::new(Quota::new(None, None)).summary();
        let incomplete = Some("it is a part of a run".to_owned());
        self.buffer = rows.end(&Summary { totals, incomplete, ..nothing }, Duration::ZERO)?;
        Ok(())
    }

    /// Removes the checkpoint, once the plan is in place. Files that cannot be removed do no harm.
    pub fn remove(mut self) {
        self.part = None;
        remove(&self.folder);
    }

    /// Keeps what was added so far, and returns whether there is anything to resume.
    ///
    /// # Errors
    /// Returns an error if the part cannot be written.
    pub fn leave(mut self) -> Result<bool> {
        self.keep()?;
        Ok(self.generation > 0 || self.next_part > 0)
    }
}

impl Drop for Checkpoint {
    /// Leaves no empty folder behind.
    fn drop(&mut self) {
        self.part = None;
        // The lock is the only file left.
        if fs::read_dir(&self.folder).is_ok_and(|entries| entries.count() == 1) {
            remove(&self.folder);
        }
    }
}

/// The folder of a plan's checkpoint, next to the plan.
fn folder(plan: &Path) -> PathBuf {
    let mut name = OsString::from(plan);
    name.push(".checkpoint");
    name.into()
}

/// What presync puts into the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Lock,
    /// A part of this generation.
    Part(u32),
    /// A file that was not finished.
    Unfinished,
}

impl Entry {
    /// `None` for a name that presync does not give.
    fn named(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?;
        if name == LOCK {
            return Some(Self::Lock);
        }
        if whole::is_unfinished(name) {
            return Some(Self::Unfinished);
        }
        let numbers = name.strip_prefix(PART.0)?.strip_suffix(PART.1)?;
        let (generation, part) = numbers.split_once('-')?;
        let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        let is_part = (generation.len(), part.len()) == DIGITS && is_number(generation) && is_number(part);
        is_part.then(|| generation.parse().ok().map(Self::Part))?
    }
}

fn part_name(generation: u32, part: u32) -> String {
    let ((begin, end), (of_generation, of_part)) = (PART, DIGITS);
    format!("{begin}{generation:0of_generation$}-{part:0of_part$}{end}")
}

/// Checks that a folder which was already there is a folder of this user.
fn check_folder(folder: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(folder).map_err(|error| failed(folder, &error))?;
    match () {
        () if !metadata.is_dir() => Err(foreign(format!("'{}' is not a folder", folder.display()))),
        () if !own::is_ours(&metadata) => {
            Err(foreign(format!("the folder '{}' belongs to another user", folder.display())))
        }
        () => Ok(()),
    }
}

/// What is in the folder.
///
/// # Errors
/// Returns an error if that is anything but files with names that presync gives.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, Entry)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        // The entry's own type: a link is not a file.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        match Entry::named(&entry.file_name()).filter(|_| is_file) {
            Some(known) => entries.push((entry.path(), known)),
            None => {
                let name = entry.file_name().to_string_lossy().escape_debug().to_string();
                return Err(foreign(format!(
                    "the folder '{}' has '{name}', which is not part of a checkpoint",
                    folder.display()
                )));
            }
        }
    }
    Ok(entries)
}

/// Removes the files that presync made, the lock last, and the folder if nothing else is in it.
fn remove(folder: &Path) {
    let mut entries = entries(folder).unwrap_or_default();
    entries.sort_by_key(|(_, entry)| *entry == Entry::Lock);
    entries.iter().for_each(|(path, _)| _ = fs::remove_file(path));
    let _ = fs::remove_dir(folder);
}

/// The error for a folder that presync did not make.
fn foreign(what: String) -> Error {
    Error::new(what).with_hint(
        "presync keeps what a run has done so far in that folder: move yours away, or use another name",
    )
}

/// Locks the checkpoint. The system releases the lock when the process ends, even if it is killed.
fn lock(folder: &Path, plan: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = own::lock_file(&path).map_err(|error| failed(folder, &error))?;
    let busy = || {
        Error::new(format!("another presync is writing the plan '{}'", plan.display()))
            .with_hint("wait until it is done, or give --plan another file")
    };
    match file.try_lock() {
        // Another run may have ended in the meantime, and removed the lock.
        Ok(()) if own::is_at(&file, &path) => Ok(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(busy()),
        Err(TryLockError::Error(error)) => Err(failed(folder, &error)),
    }
}

/// Checks that the parts come from a run with the same source and rules as this header.
fn check(parts: &[PathBuf], header: &RunHeader) -> Result<()> {
    let Some(first) = parts.first() else { return Ok(()) };
    let of_part = PlanReader::open(first)?.plan().header.clone();
    let what = match () {
        () if of_part.filter != header.filter => "choice of --include and --exclude",
        () if !of_part.lists_the_same(header) => "source",
        () if of_part.profile != header.profile => "profile",
        () if of_part.probe_version != header.probe_version => "version of presync",
        () if of_part.dimensions != header.dimensions => "choice of --dimensions",
        () => return Ok(()),
    };
    Err(Error::new(format!("the run to resume had another {what}"))
        .with_hint("run it as before, or leave out --resume to start over"))
}

/// Finds the assets of these parts, of which one is open at a time.
fn lookup(parts: Vec<PathBuf>) -> Lookup<Asset> {
    let (assets, names) = (parts.clone().into_iter(), parts.into_iter());
    Lookup::new(
        assets.flat_map(|path| each(&path, |part| part.only(Use::Resuming))),
        names.flat_map(|path| each(&path, |part| part.names())),
    )
}

/// Opens a part and reads what `of` gives, or just the error.
fn each<T, I>(path: &Path, of: fn(PlanReader) -> I) -> impl Iterator<Item = Result<T>> + Send + use<T, I>
where
    T: Send,
    I: Iterator<Item = Result<T>> + Send,
{
    let (items, error) = match PlanReader::open(path) {
        Ok(part) => (Some(of(part)), None),
        Err(error) => (None, Some(Err(error))),
    };
    items.into_iter().flatten().chain(error)
}

fn failed(folder: &Path, error: &io::Error) -> Error {
    Error::new(format!("cannot write the checkpoint '{}': {}", folder.display(), reason(error)))
        .with_hint("give --plan a file in a folder that you may write to")
}

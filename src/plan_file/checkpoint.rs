//! The results of a run so far, on disk, so that an interrupted run can be resumed.
//!
//! Next to the plan that is being written is a folder with parts: small plan files, each with the next assets in
//! listing order, each written atomically. A resumed run adds parts of its own, a new generation, with the assets that
//! earlier generations do not have.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::files::whole;
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, Quota, Totals};
use crate::plan::{Budget, RunHeader, Sink, Summary};
use crate::plan_file::{Lookup, PlanReader, PlanWriter};

/// How often results are written to disk by default.
pub const EVERY: Duration = Duration::from_secs(3);
/// The most assets of a part, so that a fast run holds few of them in memory: one row group.
const MAX_ROWS: u64 = 16 << 10;
/// How many times a run can be resumed: enough for any run that gets further each time.
const MAX_GENERATIONS: u32 = 64;

const EXTENSION: &str = "parquet";
const LOCK: &str = "lock";

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
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(whole::not_writable(&plan, &error));
            }
            _ => {}
        }
        let lock = lock(&folder, &plan)?;
        let mut generations = BTreeMap::<u32, Vec<PathBuf>>::new();
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, &error))? {
            let path = entry.map_err(|error| failed(&folder, &error))?.path();
            match generation(&path).filter(|_| resume) {
                Some(generation) => generations.entry(generation).or_default().push(path),
                None if path.file_name() == Some(LOCK.as_ref()) => {}
                // An older checkpoint, or a file that was being written when its run was killed.
                None => fs::remove_file(&path).map_err(|error| failed(&folder, &error))?,
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
        let (next_part, part) = (0, None);
        Ok((Self { plan, folder, _lock: lock, header, every, generation, next_part, part, last }, kept))
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
                let name = format!("{:04}-{:08}.{EXTENSION}", self.generation, self.next_part);
                self.next_part += 1;
                let rows = PlanWriter::create(&self.folder.join(name), self.header.clone())?;
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
        Box::new(rows).finish(&Summary { totals, incomplete, ..nothing }, Duration::ZERO)
    }

    /// Removes the checkpoint, once the plan is in place. Files that cannot be removed do no harm.
    pub fn remove(mut self) {
        self.part = None;
        let _ = fs::remove_dir_all(&self.folder);
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
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The folder of a plan's checkpoint, next to the plan.
fn folder(plan: &Path) -> PathBuf {
    let mut name = OsString::from(plan);
    name.push(".checkpoint");
    name.into()
}

/// Locks the checkpoint. The system releases the lock when the process ends, even if it is killed.
fn lock(folder: &Path, plan: &Path) -> Result<File> {
    let file = File::create(folder.join(LOCK)).map_err(|error| failed(folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(format!("another presync is writing the plan '{}'", plan.display()))
                .with_hint("wait until it is done, or give --plan another file"))
        }
        Err(TryLockError::Error(error)) => Err(failed(folder, &error)),
    }
}

/// The generation that a part belongs to; `None` for another file.
fn generation(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let (generation, part) = name.split_once('-')?;
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    (is_number(generation) && is_number(part)).then(|| generation.parse().ok())?
}

/// Checks that the parts come from a run with the same source and rules as this header.
fn check(parts: &[PathBuf], header: &RunHeader) -> Result<()> {
    let Some(first) = parts.first() else { return Ok(()) };
    let of_part = PlanReader::open(first)?.plan().header.clone();
    let what = match () {
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
        assets.flat_map(|path| each(&path, |part| part)),
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

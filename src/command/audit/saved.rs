//! The record of an audit in its folder, from which `presync report` renders it again.
//!
//! The plans hold nearly everything. The record has what they lack: which containers the last audit had, and which of
//! them failed.

use std::fs;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::files::regular;
use crate::files::whole::WholeFile;
use crate::model::error::{Error, Result, reason};
use crate::model::{Origin, QuotaKind};
use crate::plan::audit::{
    Audit, Container, ContainerOutcome, SharedBasename, SharedBasenames, Together, worst,
};
use crate::plan::{Folders, Sink, TopFolders};
use crate::plan_file::PlanReader;

/// The file in the audit's folder.
const FILE: &str = "audit.json";
/// The version of its format.
const FORMAT_VERSION: u32 = 1;
/// The most bytes of it that are read: 256 MiB, for the 100,000 containers that an account may have.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct SavedAudit {
    format_version: u32,
    containers: Vec<SavedContainer>,
    left_out: Vec<String>,
    duplicates: Vec<SavedDuplicates>,
    together: Vec<SavedTogether>,
    elapsed_s: f64,
}

#[derive(Serialize, Deserialize)]
struct SavedContainer {
    name: String,
    source: Origin,
    profile: String,
    project: Option<String>,
    within: Option<usize>,
    state: String,
    /// The message and the hint.
    error: Option<(String, Option<String>)>,
    notes: Vec<String>,
    /// Where its assets are, relative to the folder; for a complete container, the plan.
    rows: Option<PathBuf>,
    elapsed_s: f64,
}

#[derive(Serialize, Deserialize)]
struct SavedDuplicates {
    project: Option<String>,
    count: u64,
    one_of: u64,
    examples: Vec<(String, [usize; 2])>,
}

#[derive(Serialize, Deserialize)]
struct SavedTogether {
    kind: String,
    cost: u64,
    left: Option<u64>,
}

/// Writes the record into the audit's folder.
pub(super) fn save(out: &Path, audit: &Audit) -> Result<()> {
    let path = out.join(FILE);
    let saved = SavedAudit {
        format_version: FORMAT_VERSION,
        containers: audit.containers.iter().map(|container| SavedContainer::new(out, container)).collect(),
        left_out: audit.left_out.clone(),
        duplicates: audit.duplicates.iter().map(SavedDuplicates::new).collect(),
        together: audit
            .together
            .iter()
            .map(|Together { kind, cost, left }| SavedTogether {
                kind: kind.as_str().to_owned(),
                cost: *cost,
                left: *left,
            })
            .collect(),
        elapsed_s: audit.elapsed.as_secs_f64(),
    };
    let mut file = WholeFile::create(&path)?;
    let write = |file: &mut WholeFile| -> std::io::Result<()> {
        let mut out = BufWriter::new(file);
        serde_json::to_writer(&mut out, &saved)?;
        out.write_all(b"\n")?;
        out.flush()
    };
    write(&mut file)
        .map_err(|error| Error::new(format!("cannot write '{}': {}", path.display(), reason(&error))))?;
    file.commit()
}

/// Opens the audit whose folder this is; `None` if it has no record of one.
pub(in crate::command) fn open(folder: &Path) -> Result<Option<Audit>> {
    let path = folder.join(FILE);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let SavedAudit { format_version, containers, left_out, duplicates, together, elapsed_s } = read(&path)?;
    if format_version != FORMAT_VERSION {
        return Err(Error::new(format!("'{}' is of another version of presync", path.display()))
            .with_hint("run the audit again with this one"));
    }
    let count = containers.len();
    let mut worst = TopFolders::default();
    let mut opened = Vec::new();
    for (number, saved) in containers.into_iter().enumerate() {
        opened.push(saved.open(folder, number, count, &mut worst)?);
    }
    Ok(Some(Audit {
        containers: opened,
        left_out,
        worst,
        duplicates: duplicates.into_iter().map(SavedDuplicates::open).collect(),
        together: together.into_iter().filter_map(SavedTogether::open).collect(),
        elapsed: seconds(elapsed_s),
    }))
}

fn read(path: &Path) -> Result<SavedAudit> {
    let damaged = |why: &str| {
        Error::new(format!("'{}' is not the record of an audit: {why}", path.display()))
            .with_hint("run the audit again with the same --out")
    };
    let (file, _) = regular::open(path).map_err(|error| damaged(&reason(&error)))?;
    let limited = BufReader::new(file.take(MAX_BYTES));
    serde_json::from_reader(limited).map_err(|_| damaged("it cannot be read"))
}

impl SavedContainer {
    fn new(out: &Path, container: &Container) -> Self {
        let relative = |path: &PathBuf| path.strip_prefix(out).ok().map(Path::to_owned);
        let error = container.outcome.cause();
        Self {
            name: container.name.clone(),
            source: container.origin.clone(),
            profile: container.profile.clone(),
            project: container.project.clone(),
            within: container.within,
            state: container.outcome.as_str().to_owned(),
            error: error.map(|error| (error.message().to_owned(), error.hint().map(str::to_owned))),
            notes: container.notes.clone(),
            rows: container.rows.as_ref().and_then(relative),
            elapsed_s: container.elapsed.as_secs_f64(),
        }
    }

    /// Opens the plan, and adds up its worst folders.
    fn open(
        self,
        folder: &Path,
        number: usize,
        count: usize,
        worst_of_all: &mut TopFolders<crate::plan::audit::FolderCounts>,
    ) -> Result<Container> {
        let within = self.within.filter(|within| *within < count && *within != number);
        let rows = match self.rows {
            // The record may be someone else's: nothing outside of its folder is opened.
            Some(rows) if !rows.components().all(|part| matches!(part, Component::Normal(_))) => {
                return Err(Error::new(format!(
                    "the record of the audit names '{}', outside of its folder",
                    rows.display()
                )));
            }
            rows => rows.map(|rows| folder.join(rows)),
        };
        let plan = match &rows {
            None => None,
            Some(path) => {
                let mut reader = PlanReader::open(path)?;
                let plan = reader.plan().clone();
                let mut folders = Folders::new(number, &plan.header.origin.prefix);
                reader.try_for_each(|asset| folders.settled(&asset?))?;
                if within.is_none() {
                    worst_of_all.merge(worst(folders));
                }
                Some(plan)
            }
        };
        let (header, summary) = plan.map(|plan| (plan.header, plan.summary)).unzip();
        let error = self.error.map(|(message, hint)| {
            let error = Error::new(message);
            hint.map_or(error.clone(), |hint| error.with_hint(hint))
        });
        let [complete, _, _, stopped, not_done] = ContainerOutcome::STATES;
        let outcome = match (self.state, summary) {
            (state, Some(summary)) if state == complete && summary.incomplete.is_none() => {
                ContainerOutcome::Complete(summary)
            }
            (state, Some(summary)) if state == stopped => ContainerOutcome::Stopped(summary),
            (_, Some(summary)) => ContainerOutcome::Incomplete(
                summary,
                error.unwrap_or_else(|| Error::new("its plan is incomplete")),
            ),
            (state, None) if state == not_done => ContainerOutcome::NotDone,
            (_, None) => ContainerOutcome::Failed(error.unwrap_or_else(|| Error::new("its plan is missing"))),
        };
        Ok(Container {
            name: self.name,
            origin: self.source,
            profile: self.profile,
            header,
            project: self.project,
            within,
            plan: rows.clone().filter(|_| outcome.is_complete()),
            rows,
            outcome,
            notes: self.notes,
            elapsed: seconds(self.elapsed_s),
        })
    }
}

impl SavedDuplicates {
    fn new((project, found): &(Option<String>, SharedBasenames)) -> Self {
        let examples = found.examples.iter().map(|example| (example.basename.clone(), example.containers));
        Self {
            project: project.clone(),
            count: found.count,
            one_of: found.one_of,
            examples: examples.collect(),
        }
    }

    fn open(self) -> (Option<String>, SharedBasenames) {
        let Self { project, count, one_of, examples } = self;
        let examples =
            examples.into_iter().map(|(basename, containers)| SharedBasename { basename, containers });
        (project, SharedBasenames { count, one_of, examples: examples.collect() })
    }
}

impl SavedTogether {
    fn open(self) -> Option<Together> {
        let kind = QuotaKind::ALL.iter().copied().find(|kind| kind.as_str() == self.kind)?;
        Some(Together { kind, cost: self.cost, left: self.left })
    }
}

/// A duration; none if the number is not one.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

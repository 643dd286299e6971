//! What commands share: the input, one examination, the plan that is written, and the check of a baseline.

use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tempfile::TempDir;

use super::args::DisplayArgs;
use super::dry_run::args::FILES_AT_ONCE;
use super::host;
use super::interrupt::interrupted;
use super::target::Resolved;
use crate::examine::{Examination, Next};
use crate::files::temporary;
use crate::model::error::{Error, Result};
use crate::model::{Asset, Blob, ByteRange, Filter, Origin, Quota, ReadError, Totals};
use crate::plan::{RunHeader, Sink, Summary};
use crate::plan_file::PlanWriter;
use crate::plan_file::checkpoint::Checkpoint;
use crate::probe::{self, Want};
use crate::report::{ProgressBar, shown};
use crate::rules::{Content, Profile};
use crate::run::{self, End, Progress, Settings, Synced, Task};
use crate::source::any::AnySource;
use crate::source::azure;
use crate::source::inventory::{self, Tally};
use crate::source::listing::{self, Excluded};
use crate::source::location::Location;
use crate::source::{Listing, Reader};

/// The source to examine, and its listing.
pub(super) struct Input {
    pub source: AnySource,
    pub listing: Listing,
    pub excluded: Excluded,
    /// The counts of the inventory's rows, if one lists the source.
    pub tally: Option<Arc<Tally>>,
}

impl Input {
    /// Lists the source from the inventory, if one is given, or by itself.
    pub(super) fn open(source: AnySource, inventory: &[PathBuf], filter: &Filter) -> Result<Self> {
        if inventory.is_empty() {
            let (listing, excluded) = source.list_filtered(filter);
            return Ok(Self { source, listing, excluded, tally: None });
        }
        let (listing, tally) = inventory::list(&source.origin(), inventory.to_vec())?;
        let excluded = Excluded::default();
        let listing = listing::filtered(listing, filter, &excluded);
        Ok(Self { source, listing, excluded, tally: Some(tally) })
    }
}

/// A plan that is being written, and its checkpoint in case the run is killed.
pub(super) struct Planned {
    pub writer: PlanWriter,
    pub checkpoint: Checkpoint,
}

impl Planned {
    pub(super) fn begin(checkpoint: Checkpoint) -> Result<Self> {
        Ok(Self { writer: checkpoint.begin_plan()?, checkpoint })
    }

    /// Puts the plan of a complete run in place.
    pub(super) fn complete(self, summary: &Summary, elapsed: Duration) -> Result<()> {
        Box::new(self.writer).finish(summary, elapsed)?;
        // Only now: if the plan cannot be written, the run can still be resumed.
        self.checkpoint.remove();
        Ok(())
    }
}

impl Sink for Planned {
    fn judged(&mut self, asset: &Asset, is_kept: bool) -> Result<()> {
        // What took no read is known again at once: from the listing, or from the baseline.
        if is_kept || asset.reads.requests == 0 { Ok(()) } else { self.checkpoint.add(asset) }
    }

    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.writer.settled(asset)
    }
}

/// A plan of a source that was judged now. It is removed when this is dropped.
pub(super) struct JudgedNow {
    folder: TempDir,
    pub totals: Totals,
    pub is_stopped: bool,
}

impl JudgedNow {
    /// Judges a source, for a command that needs a plan and is given a source.
    ///
    /// # Errors
    /// Returns an error if the run cannot continue, or if the plan cannot be written.
    pub(super) async fn of(
        source: &AnySource,
        header: &RunHeader,
        (quota, synced): (Quota, Option<Synced>),
        (concurrency, want): (Option<usize>, Want),
        display: &DisplayArgs,
    ) -> Result<Self> {
        let folder = temporary::folder()?;
        let mut judged = Self { folder, totals: Totals::default(), is_stopped: false };
        let writer = PlanWriter::create(&judged.path(), header.clone())?;
        let at_once = match source {
            AnySource::Folder(_) => FILES_AT_ONCE,
            AnySource::Container(_) => azure::MAX_CONCURRENCY,
        };
        let settings = Settings { want, ..Settings::with_concurrency(concurrency.unwrap_or(at_once)) };
        let progress = Arc::new(Progress::default());
        host::watch(&progress);
        let bar = display.progress().map(|style| ProgressBar::show(style, Arc::clone(&progress)));
        let (listing, excluded) = source.clone().with_names_only().list_filtered(&header.filter);
        let profile = Arc::clone(&header.profile);
        let task = Task {
            excluded,
            progress,
            synced,
            ..Task::new(listing, Arc::new(source.clone()), profile, quota, settings)
        };
        let ended = run::run(task, writer, interrupted()).await?;
        drop(bar);
        if let End::Broken(error) = ended.end {
            return Err(error);
        }
        (judged.is_stopped, judged.totals) = (ended.end == End::Stopped, ended.summary.totals);
        Box::new(ended.sink).finish(&ended.summary, Duration::ZERO)?;
        Ok(judged)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("plan.parquet")
    }
}

/// The bytes of a range, or why they could not be read.
pub(super) type Answer = std::result::Result<Bytes, ReadError>;

/// Examines one blob, up to what is to be judged. `seen` is given each range that is asked for and the answer, and returns
/// the one to examine.
///
/// # Errors
/// Returns an error if no blob of the source can be read.
pub(super) async fn examined(
    source: &AnySource,
    blob: Blob,
    want: Want,
    mut seen: impl FnMut(ByteRange, Answer) -> Answer,
) -> Result<(Examination, Content)> {
    let (mut examination, mut next) = Examination::begin(blob, want, None);
    loop {
        next = match next {
            Next::Read(range) => {
                let (blob, reads) = examination.blob_and_reads();
                let answer = source.read(blob, range, reads).await;
                examination.bytes(seen(range, answer))?
            }
            Next::Find => {
                // A SAS for one blob may not list.
                let found = source.blob(&examination.blob().name).await.map_err(ReadError::Fatal);
                examination.found(found)?
            }
            Next::Judge(content) => return Ok((examination, content)),
        };
    }
}

/// Where the run's settings came from, as recorded in a plan so that they can be found again.
#[derive(Clone, Debug)]
pub(super) struct Provenance {
    connection: Option<String>,
    root: Option<String>,
    profile_from: String,
    workspace: Option<String>,
}

impl Provenance {
    pub(super) fn of(resolved: &Resolved, workspace: Option<&str>) -> Self {
        let root = match &resolved.location {
            Location::Folder(path) => {
                path::absolute(path).ok().and_then(|root| root.to_str().map(str::to_owned))
            }
            Location::Container(_) => None,
        };
        let profile_from = Profile::whole_name(&resolved.profile);
        let connection = resolved.name.clone();
        Self { connection, root, profile_from, workspace: workspace.map(str::to_owned) }
    }
}

impl Provenance {
    /// The header of a run over `origin` that begins now.
    pub(super) fn header(self, origin: Origin, profile: Arc<Profile>) -> RunHeader {
        let Self { connection, root, profile_from, workspace } = self;
        let header = RunHeader::new(origin, profile, Timestamp::now());
        RunHeader { connection, root, profile_from, workspace, probe_version: probe::VERSION, ..header }
    }
}

/// Checks that an earlier plan is for the same listing as this run.
pub(super) fn check_baseline(path: &Path, earlier: &RunHeader, now: &RunHeader) -> Result<()> {
    if earlier.lists_the_same(now) {
        return Ok(());
    }
    let listing = |header: &RunHeader| {
        let prefix = Some(&header.origin.prefix).filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map_or(String::new(), |prefix| format!(" with the prefix '{}'", shown(prefix)));
        let depth = if header.recursive { "" } else { ", without its folders" };
        let filter = Some(header.filter.to_string()).filter(|filter| !filter.is_empty());
        let filter = filter.map_or(String::new(), |filter| format!(", only names by '{}'", shown(&filter)));
        format!("{}{prefix}{depth}{filter}", shown(&header.origin.location))
    };
    let (earlier, now) = (listing(earlier), listing(now));
    Err(Error::new(format!("the baseline '{}' is for {earlier}, but this run is for {now}", path.display()))
        .with_hint("give --baseline a plan of the same source, listed with the same options"))
}

//! The audit of one container.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::targets::Target;
use crate::command::empty::{self, Nearby};
use crate::command::examine::{Planned, check_baseline};
use crate::command::{host, ledger};
use crate::files::own;
use crate::model::error::{Error, Result, reason};
use crate::model::{Admit, Filter};
use crate::plan::audit::{
    Container, ContainerBasenames, ContainerOutcome, FolderCounts, ProjectBasenames, worst,
};
use crate::plan::{Folders, RunHeader, Sink, Summary, TopFolders};
use crate::plan_file::PlanReader;
use crate::plan_file::checkpoint::Checkpoint;
use crate::report::ProgressBars;
use crate::run::{self, End, Ended, Known, Progress, Resources, Settings, Task};
use crate::source::Depth;
use crate::source::any::AnySource;
use crate::source::azure::{self, Session};
use crate::source::location::Environment;

/// What the containers of an audit share.
pub(super) struct Auditor {
    pub out: PathBuf,
    /// The ledger and the workspace, if one is given.
    pub ledger: Option<(PathBuf, String)>,
    pub environment: Environment,
    pub session: Arc<Session>,
    pub options: azure::Options,
    pub resources: Arc<Resources>,
    /// Those of the run of each container.
    pub settings: Settings,
    pub checkpoint_every: Duration,
    /// The folder of the audit to compare with, if it is another one.
    pub baseline: Option<PathBuf>,
    pub filter: Filter,
    pub admit: Admit,
    pub allow_empty: bool,
    pub worst: Mutex<TopFolders<FolderCounts>>,
    pub bars: Option<Arc<ProgressBars>>,
    pub stop: Shared<BoxFuture<'static, ()>>,
}

impl Auditor {
    /// Audits the container at position `number` in the report. `basenames` are those of its project.
    pub(super) async fn audit(
        &self,
        number: usize,
        target: Target,
        basenames: Option<Arc<Mutex<ProjectBasenames>>>,
    ) -> Container {
        let begun = Instant::now();
        let mut container = Container {
            name: target.name.clone(),
            origin: target.origin(),
            profile: target.profile_name.clone(),
            header: None,
            project: target.project.clone(),
            within: target.within,
            outcome: ContainerOutcome::NotDone,
            notes: target.notes.clone(),
            plan: None,
            rows: None,
            elapsed: Duration::ZERO,
        };
        if self.stop.clone().now_or_never().is_some() {
            return container;
        }
        let examined = self.examine(number, target, basenames, &mut container).await;
        container.outcome = examined.unwrap_or_else(ContainerOutcome::Failed);
        container.elapsed = begun.elapsed();
        container
    }

    async fn examine(
        &self,
        number: usize,
        target: Target,
        basenames: Option<Arc<Mutex<ProjectBasenames>>>,
        container: &mut Container,
    ) -> Result<ContainerOutcome> {
        let profile = target.profile?;
        container.profile.clone_from(&profile.name);
        let (session, environment) = (&self.session, &self.environment);
        let location = target.location.clone();
        let source = AnySource::open_in(session, target.location, target.auth, self.options, environment)?;
        let source = Arc::new(source);
        container.origin = source.origin();
        let path = self.out.join(target.place.path());
        make_folder(&path)?;

        let settings = self.settings;
        let mut is_fresh = false;
        loop {
            let progress = Arc::new(Progress::default());
            host::watch(&progress);
            let _line = self.bars.as_ref().map(|bars| bars.begin(&container.name, Arc::clone(&progress)));
            let header = RunHeader {
                recursive: self.options.depth == Depth::All,
                dimensions: settings.want.dimensions,
                admit: self.admit,
                filter: self.filter.clone(),
                ..target.provenance.clone().header(source.origin(), Arc::clone(&profile))
            };
            container.header = Some(header.clone());
            let baseline = self.baseline.as_ref().map(|folder| folder.join(target.place.path()));
            let baseline = baseline.as_deref().unwrap_or(&path);
            let (checkpoint, known) = self.begin(&path, baseline, header, is_fresh, &mut container.notes)?;
            let fault = known.fault();
            let project = basenames.clone();
            let tally = (
                Folders::new(number, &container.origin.prefix),
                project.map(|project| ContainerBasenames { project, container: number }),
            );
            let ledger = self.ledger.as_ref().map(|(path, workspace)| (path.as_path(), workspace.as_str()));
            let synced = ledger::on_platform(ledger, None, &target.scope)?.synced;
            // Earlier results are found by the version of each file.
            let listed = (*source).clone();
            let listed = if known.is_empty() { listed.with_names_only() } else { listed };
            let (listing, excluded) = listed.list_filtered(&self.filter);
            let task = Task {
                excluded,
                origin: Some(container.origin.clone()),
                known,
                synced,
                admit: self.admit,
                resources: Some(Arc::clone(&self.resources)),
                progress,
                ..Task::new(listing, Arc::clone(&source), Arc::clone(&profile), target.quota, settings)
            };
            let ended = self.attempt(&path, task, tally, checkpoint).await;
            // Before `ended`, which has the same error: the container can be audited without the earlier plan.
            if let Some(error) = fault.get() {
                container.notes.push(read_again(error));
                is_fresh = true;
                continue;
            }
            let (outcome, worst) = ended?;
            if target.within.is_none() {
                lock(&self.worst).merge(worst);
            }
            match &outcome {
                ContainerOutcome::Complete(summary) => {
                    if summary.totals.listed == 0 && !self.allow_empty {
                        let nearby = Nearby::new(
                            location,
                            target.auth,
                            self.options,
                            environment,
                            Arc::clone(session),
                        );
                        let (message, hint) = match summary.totals.excluded {
                            0 => nearby.said().await,
                            count => (empty::excluded(count), None),
                        };
                        container
                            .notes
                            .push(hint.map_or(message.clone(), |hint| format!("{message}; {hint}")));
                    }
                    container.rows = Some(path.clone());
                    container.plan = Some(path);
                }
                _ => container.rows = Some(incomplete(&path)).filter(|_| outcome.summary().is_some()),
            }
            return Ok(outcome);
        }
    }

    /// Opens what an earlier audit left: its plan, the baseline, and its checkpoint if it was interrupted. With
    /// `is_fresh`, both are ignored.
    fn begin(
        &self,
        path: &Path,
        baseline: &Path,
        header: RunHeader,
        is_fresh: bool,
        notes: &mut Vec<String>,
    ) -> Result<(Checkpoint, Known)> {
        let open = |resume| Checkpoint::open(path, header.clone(), self.checkpoint_every, resume);
        // An interrupted audit with other rules cannot be resumed: start over.
        let opened = if is_fresh { open(false) } else { open(true).or_else(|_| open(false)) };
        let (checkpoint, kept) = opened.map_err(|error| {
            Error::new(error.message()).with_hint(
                "check that you may write there, that no other audit is running, and that nothing else is in its folder",
            )
        })?;
        let mut known = Known::default().with_kept(kept);
        if baseline.exists() && !is_fresh {
            let earlier = PlanReader::open(baseline).and_then(|earlier| {
                check_baseline(baseline, &earlier.plan().header, &header)?;
                Ok(earlier)
            });
            match earlier {
                Ok(earlier) => {
                    let plan = earlier.plan().clone();
                    known = known.with_baseline(&plan, earlier.only_facts().lookup());
                }
                Err(error) => notes.push(read_again(&error)),
            }
        }
        Ok((checkpoint, known))
    }

    /// Examines the container, and puts its plan in place if the run is complete.
    async fn attempt(
        &self,
        path: &Path,
        task: Task<AnySource>,
        tally: Tally,
        checkpoint: Checkpoint,
    ) -> Result<(ContainerOutcome, TopFolders<FolderCounts>)> {
        let begun = Instant::now();
        let sink = (tally, Planned::begin(checkpoint)?);
        let ended = run::run(task, sink, self.stop.clone()).await?;
        let Ended { summary, sink: ((folders, _), plan), end } = ended;
        let (path, is_complete) = (path.to_owned(), end == End::Complete);
        let finish = move || {
            finish(&path, plan, &summary, is_complete, begun.elapsed())?;
            Ok(summary)
        };
        let summary = self.resources.write(finish).await?;
        let is_empty = summary.totals.listed == 0;
        let outcome = match end {
            End::Complete => ContainerOutcome::Complete(summary),
            End::Stopped if is_empty => ContainerOutcome::NotDone,
            End::Stopped => ContainerOutcome::Stopped(summary),
            End::Broken(error) if is_empty => ContainerOutcome::Failed(error),
            End::Broken(error) => ContainerOutcome::Incomplete(summary, error),
        };
        Ok((outcome, worst(folders)))
    }
}

/// Puts the plan of a complete run in place. That of any other is beside it, and the next audit resumes the run.
fn finish(path: &Path, plan: Planned, summary: &Summary, is_complete: bool, elapsed: Duration) -> Result<()> {
    if is_complete {
        plan.complete(summary, elapsed)?;
        // If there is one that cannot be removed, the record of the audit does not name it.
        let _ = fs::remove_file(incomplete(path));
        return Ok(());
    }
    let Planned { writer, checkpoint } = plan;
    if summary.totals.listed > 0 {
        // Not in place of the plan, where the next audit would take it for a complete one.
        Box::new(writer.at(&incomplete(path))?).finish(summary, elapsed)?;
    }
    checkpoint.leave()?;
    Ok(())
}

/// The sums that are kept while a container is audited.
type Tally = (Folders<FolderCounts>, Option<ContainerBasenames>);

/// Where the plan of an incomplete run is, beside that of the container. Queries over all plans do not see it.
fn incomplete(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".incomplete");
    name.into()
}

/// The note for a container whose earlier audit could not be used.
fn read_again(error: &Error) -> String {
    format!("{error}; everything was read again")
}

/// Creates the folder of the plan at `path`.
fn make_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    own::check_links(folder)?;
    fs::create_dir_all(folder).map_err(|error| {
        Error::new(format!("cannot create the folder '{}': {}", folder.display(), reason(&error)))
            .with_hint("give --out a folder that you may write to")
    })
}

/// Locks, even after a panic elsewhere: the sums are still valid.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

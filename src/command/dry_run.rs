//! `presync dry-run`: the pre-sync report.

use std::io::{self, IsTerminal};
use std::path::{self, Path};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::interrupt::interrupted;
use super::output::Output;
use super::target::Resolved;
use super::{ledger, say, say_rate};
use crate::checkpoint::Checkpoint;
use crate::config::DryRun;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::model::{Asset, Month, Quota};
use crate::plan::Summary;
use crate::plan_file::{self, PlanReader, PlanWriter};
use crate::probe::{self, Want};
use crate::progress::Progress;
use crate::report::{self, Format, Header, ProgressBar, Report, shown};
use crate::rules::Profile;
use crate::run::{self, End, Ended, Judged, Known, Settings, Sink, Task};
use crate::source::Depth;
use crate::source::any::AnySource;
use crate::source::azure;
use crate::source::location::{Environment, Location};

/// Files that are examined side by side when nothing else is asked for.
const FILES_AT_ONCE: usize = 64;

/// Writes the report and says how the run ended.
///
/// # Errors
/// When the run cannot start or cannot go on.
pub fn run(settings: &DryRun) -> Result<Exit> {
    let environment = Environment::of_process();
    let resolved = Resolved::source(&settings.target, &environment)?;
    let profile = Arc::new(resolved.profile(&settings.rules)?);
    let workspace = resolved.workspace(settings.workspace.as_deref());
    let ledger = ledger_quota(workspace, settings, &profile, &environment)?;
    let quota = resolved.quota(settings.image_quota, settings.frame_quota, ledger);
    let provenance = Provenance::of(&resolved, workspace);
    super::runtime()?.block_on(async {
        let options =
            azure::Options { depth: settings.depth, limits: settings.limits, ..azure::Options::default() };
        let source = AnySource::open(resolved.location, resolved.auth, options, &environment)?;
        let origin = source.origin();
        report_on(source, Header { origin, profile, admit: settings.admit }, provenance, quota, settings)
            .await
    })
}

/// What a plan says of where the run's settings came from, so that they can be found again.
struct Provenance {
    root: Option<String>,
    profile_from: String,
    workspace: Option<String>,
}

impl Provenance {
    fn of(resolved: &Resolved, workspace: Option<&str>) -> Self {
        let root = match &resolved.location {
            Location::Folder(path) => {
                path::absolute(path).ok().and_then(|root| root.to_str().map(str::to_owned))
            }
            Location::Container(_) => None,
        };
        let profile_from = match Profile::BUILT_IN.contains(&resolved.profile.as_str()) {
            true => resolved.profile.clone(),
            false => path::absolute(&resolved.profile)
                .map_or_else(|_| resolved.profile.clone(), |path| path.to_string_lossy().into_owned()),
        };
        Self { root, profile_from, workspace: workspace.map(str::to_owned) }
    }
}

/// What the workspace has left this month, if one is named.
fn ledger_quota(
    workspace: Option<&str>,
    settings: &DryRun,
    profile: &Profile,
    environment: &Environment,
) -> Result<Quota> {
    let Some(workspace) = workspace else {
        return match &settings.ledger {
            None => Ok(Quota::new(None, None)),
            Some(_) => Err(Error::new("--ledger is given, and no workspace whose quota it has")
                .hint("add --workspace NAME, or a workspace to the connection in presync.toml")),
        };
    };
    let path = ledger::path(settings.ledger.as_deref(), environment)?;
    let month = Month::of(Timestamp::now());
    if settings.verbose {
        say(&format!("quota of '{}' for {month} in '{}'", shown(workspace), path.display()));
    }
    ledger::quota(&path, workspace, month, profile)
}

async fn report_on(
    source: AnySource,
    header: Header,
    provenance: Provenance,
    quota: Quota,
    settings: &DryRun,
) -> Result<Exit> {
    let begun = Instant::now();
    let profile = Arc::clone(&header.profile);
    let of_plan = plan_header(&header, provenance, settings);
    let mut known = Known::default();
    if let Some(path) = &settings.baseline {
        let earlier = PlanReader::open(path)?;
        check_baseline(path, &earlier.plan().header, &of_plan)?;
        let plan = earlier.plan().clone();
        known = known.with_baseline(&plan, Box::new(earlier));
    }
    let plan = match plan_path(settings)? {
        Some(path) => {
            check_plan(path, settings)?;
            let (checkpoint, kept) =
                Checkpoint::open(path, of_plan, settings.checkpoint_every, settings.resume)?;
            if settings.resume && settings.verbose {
                let found = if kept.is_empty() { "there is no run to take up" } else { "taking up the run" };
                say(&format!("{found} of '{}'", path.display()));
            }
            known = known.with_kept(kept);
            Some(Planned { writer: checkpoint.begin_plan()?, checkpoint })
        }
        None => None,
    };
    let output = Output::of_report(settings.output.as_deref(), settings.format, settings.color)?;
    let credential = header.origin.credential.clone();
    let report = report::open(settings.format, header, output.writer(), output.width)?;
    let progress = Arc::new(Progress::default());
    let bar =
        (settings.progress && io::stderr().is_terminal()).then(|| ProgressBar::show(Arc::clone(&progress)));

    let at_once = match source {
        AnySource::Folder(_) => FILES_AT_ONCE,
        // The source itself says how many of them wait for an answer at a time.
        AnySource::Container(_) => azure::MAX_CONCURRENCY,
    };
    let mut pipeline = Settings::with_concurrency(settings.limits.concurrency.unwrap_or(at_once));
    pipeline.workers = settings.workers.unwrap_or(pipeline.workers);
    pipeline.queue = settings.queue.unwrap_or(pipeline.queue);
    if settings.dimensions {
        pipeline.want = Want::Dimensions;
    }
    if settings.verbose {
        if let Some(credential) = credential {
            say(&format!("credential: {credential}"));
        }
        let most = if settings.limits.concurrency.is_none() { "up to " } else { "" };
        say(&format!(
            "{most}{} blobs at a time, {} probe threads, a queue of {}",
            pipeline.concurrency, pipeline.workers, pipeline.queue
        ));
    }
    let stop = interrupted();
    let sink = Outcome { report, plan };
    let task = Task {
        source: Arc::new(source),
        profile,
        quota,
        admit: settings.admit,
        known,
        settings: pipeline,
        progress,
    };
    let ended = run::run(task, sink, stop).await;
    drop(bar);

    let Ended { summary, sink: Outcome { report, plan }, end } = ended?;
    let broken = match end {
        End::Broken(error) if summary.totals.listed == 0 => return Err(error),
        End::Broken(error) => Some(error),
        End::Complete | End::Stopped => None,
    };
    let elapsed = begun.elapsed();
    // Each is written whatever becomes of the other.
    let planned = match (plan, plan_path(settings)?) {
        (Some(plan), Some(path)) => plan.finish(path, &summary, elapsed),
        _ => Ok(()),
    };
    report.finish(&summary, elapsed).map_err(|error| report::output(&error))?;
    output.keep()?;
    planned?;
    // How long it took is no part of the report, which is the same every time.
    if settings.verbose || (settings.progress && io::stderr().is_terminal()) {
        say_rate(summary.totals.listed, elapsed);
        if summary.totals.retries > 0 {
            say(&format!("{} of {} requests repeated", summary.totals.retries, summary.totals.requests));
        }
    }
    match broken {
        Some(error) => Err(error),
        None => Ok(Exit::of(&summary, settings.exit_zero)),
    }
}

/// What becomes of the assets: a report, and a plan if one is asked for.
struct Outcome {
    report: Box<dyn Report>,
    plan: Option<Planned>,
}

/// A plan that is being written, and what is kept of it should the run be killed.
struct Planned {
    writer: PlanWriter,
    checkpoint: Checkpoint,
}

impl Sink for Outcome {
    fn judged(&mut self, judged: &Judged) -> Result<()> {
        match &mut self.plan {
            Some(plan) if !judged.is_kept => plan.checkpoint.add(&judged.asset),
            _ => Ok(()),
        }
    }

    fn asset(&mut self, asset: &Asset) -> Result<()> {
        Sink::asset(&mut self.report, asset)?;
        self.plan.as_mut().map_or(Ok(()), |plan| plan.writer.asset(asset))
    }
}

/// Where the plan goes: to `--plan`, or to `--output` when it is the report.
fn plan_path(settings: &DryRun) -> Result<Option<&Path>> {
    match (settings.format, &settings.plan) {
        (Format::Parquet, Some(_)) => Err(Error::new("--format parquet writes the plan, as --plan does")
            .hint("give --plan FILE alone, and a report goes with it")),
        (Format::Parquet, None) => Ok(settings.output.as_deref()),
        (_, plan) => Ok(plan.as_deref()),
    }
}

fn check_plan(path: &Path, settings: &DryRun) -> Result<()> {
    let same =
        |output: &Path| matches!((path::absolute(output), path::absolute(path)), (Ok(a), Ok(b)) if a == b);
    match settings.format != Format::Parquet && settings.output.as_deref().is_some_and(same) {
        true => Err(Error::new(format!("--output and --plan are the same file, '{}'", path.display()))),
        false => Ok(()),
    }
}

fn plan_header(header: &Header, provenance: Provenance, settings: &DryRun) -> plan_file::Header {
    let Provenance { root, profile_from, workspace } = provenance;
    plan_file::Header {
        origin: header.origin.clone(),
        root,
        profile: Arc::clone(&header.profile),
        profile_from,
        workspace,
        probe_version: probe::VERSION,
        recursive: settings.depth == Depth::All,
        dimensions: settings.dimensions,
        admit: settings.admit,
        begun: Timestamp::now(),
    }
}

/// Whether an earlier plan lists what this run lists.
fn check_baseline(path: &Path, earlier: &plan_file::Header, now: &plan_file::Header) -> Result<()> {
    if earlier.lists_the_same(now) {
        return Ok(());
    }
    let listing = |header: &plan_file::Header| {
        let prefix = Some(&header.origin.prefix).filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map_or(String::new(), |prefix| format!(" with the prefix '{}'", shown(prefix)));
        let depth = if header.recursive { "" } else { ", without its folders" };
        format!("{}{prefix}{depth}", shown(&header.origin.location))
    };
    let (earlier, now) = (listing(earlier), listing(now));
    Err(Error::new(format!("the baseline '{}' is of {earlier}, and this run is of {now}", path.display()))
        .hint("give --baseline a plan of the same source, listed the same way"))
}

impl Planned {
    /// Puts the plan in its place. One that is incomplete never takes the place of another file, and can be taken up.
    fn finish(self, path: &Path, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { writer, checkpoint } = self;
        if summary.incomplete.is_none() {
            writer.finish(summary.clone(), elapsed)?;
            checkpoint.remove();
            return Ok(());
        }
        let shown = path.display();
        match path.exists() {
            true => say(&format!("'{shown}' was left as it was, because this run is incomplete")),
            false => {
                writer.finish(summary.clone(), elapsed)?;
                say(&format!("the plan '{shown}' is incomplete, as this run is"));
            }
        }
        if checkpoint.leave()? {
            say("the same command with --resume goes on from here");
        }
        Ok(())
    }
}

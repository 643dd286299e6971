//! `presync dry-run`: the pre-sync report.

use std::io::{self, IsTerminal};
use std::path::{self, Path};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::examine::{Outcome, Planned, Provenance, check_baseline, plan_header};
use super::interrupt::interrupted;
use super::output::Output;
use super::parts;
use super::target::Resolved;
use super::{ledger, say, say_rate, shard};
use crate::checkpoint::Checkpoint;
use crate::config::{DryRun, Weigh};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::model::{Month, Quota};
use crate::plan::Summary;
use crate::probe::Want;
use crate::progress::Progress;
use crate::report::{self, Format, Header, ProgressBar, shown};
use crate::rules::Profile;
use crate::run::{self, End, Ended, Known, Settings, Task};
use crate::source::any::AnySource;
use crate::source::azure;
use crate::source::inventory::Tally;
use crate::source::location::Environment;

/// Files that are examined side by side when nothing else is asked for.
pub(super) const FILES_AT_ONCE: usize = 64;

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
        let mut source = AnySource::open(resolved.location, resolved.auth, options, &environment)?;
        if !settings.inventory.is_empty() {
            source = source.listed_from(settings.inventory.clone())?;
        }
        let header = Header { origin: source.origin(), profile, admit: settings.admit };
        match &settings.shard {
            Some((shard, out)) => {
                shard::run(source, header, provenance, quota, (*shard, out), settings).await
            }
            None => report_on(source, header, provenance, quota, settings).await,
        }
    })
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
    let of_plan = plan_header(&header, provenance, settings.depth, settings.dimensions);
    let mut known = Known::default();
    if let Some(path) = &settings.baseline {
        let earlier = parts::open(path, Weigh::default())?;
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
            Some(Planned::begin(checkpoint)?)
        }
        None => None,
    };
    let output = Output::of_report(settings.output.as_deref(), settings.format, settings.color)?;
    let credential = header.origin.credential.clone();
    let report = report::open(settings.format, header, output.writer(), output.width)?;
    let progress = Arc::new(Progress::default());
    let bar = super::is_live(settings.progress).then(|| ProgressBar::show(Arc::clone(&progress)));

    let pipeline = pipeline(&source, settings);
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
    let source = Arc::new(source);
    let sink = Outcome { sink: report, plan };
    let task = Task {
        source: Arc::clone(&source),
        profile,
        quota,
        admit: settings.admit,
        known,
        settings: pipeline,
        resources: None,
        progress,
    };
    let ended = run::run(task, sink, stop).await;
    drop(bar);

    let Ended { summary, sink: Outcome { sink: report, plan }, end } = ended?;
    let broken = match end {
        End::Broken(error) if summary.totals.listed == 0 => return Err(error),
        End::Broken(error) => Some(error),
        End::Complete | End::Stopped => None,
    };
    let elapsed = begun.elapsed();
    // Each is written whatever becomes of the other.
    let planned = match (plan, plan_path(settings)?) {
        (Some(plan), Some(path)) => finish_plan(plan, path, &summary, elapsed),
        _ => Ok(()),
    };
    report.finish(&summary, elapsed).map_err(|error| report::output(&error))?;
    output.keep()?;
    planned?;
    if let AnySource::Inventory(inventory) = &*source {
        say_tally(&inventory.tally(), settings.verbose);
    }
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

/// How the run goes about its work.
pub(super) fn pipeline(source: &AnySource, settings: &DryRun) -> Settings {
    let at_once = match source {
        AnySource::Folder(_) => FILES_AT_ONCE,
        // The source itself says how many of them wait for an answer at a time.
        AnySource::Container(_) | AnySource::Inventory(_) => azure::MAX_CONCURRENCY,
    };
    let mut pipeline = Settings::with_concurrency(settings.limits.concurrency.unwrap_or(at_once));
    pipeline.workers = settings.workers.unwrap_or(pipeline.workers);
    pipeline.queue = settings.queue.unwrap_or(pipeline.queue);
    pipeline.want =
        Want { dimensions: settings.dimensions, end: settings.check_end, max_reads: settings.max_reads };
    pipeline
}

/// What became of an inventory's rows.
pub(super) fn say_tally(tally: &Tally, verbose: bool) {
    let Tally { rows, elsewhere, hidden, twice, gone, changed } = tally;
    if verbose {
        say(&format!(
            "inventory: {rows} rows; left out {elsewhere} of other containers and prefixes, {hidden} that are snapshots, \
             old versions or deleted, {twice} with a newer row of the same name"
        ));
    }
    if gone + changed > 0 {
        say(&format!(
            "the inventory is older than the container: {gone} of its blobs are gone, {changed} have changed and were \
             judged as they are now"
        ));
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

/// Puts the plan in its place. One that is incomplete never takes the place of another file, and can be taken up.
fn finish_plan(plan: Planned, path: &Path, summary: &Summary, elapsed: Duration) -> Result<()> {
    if summary.incomplete.is_none() {
        return plan.complete(summary, elapsed);
    }
    let Planned { writer, checkpoint } = plan;
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

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
use crate::config::DryRun;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::model::{Asset, Month, Quota};
use crate::plan::Summary;
use crate::plan_file::{self, PlanWriter};
use crate::probe::{self, Want};
use crate::progress::Progress;
use crate::report::{self, Format, Header, ProgressBar, Report, shown};
use crate::rules::Profile;
use crate::run::{self, End, Ended, Settings, Sink};
use crate::source::Depth;
use crate::source::any::AnySource;
use crate::source::azure;
use crate::source::location::Environment;

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
    let ledger = ledger_quota(settings, &profile, &environment)?;
    let quota = resolved.quota(settings.image_quota, settings.frame_quota, ledger);
    super::runtime()?.block_on(async {
        let options =
            azure::Options { depth: settings.depth, limits: settings.limits, ..azure::Options::default() };
        let source = AnySource::open(resolved.location, resolved.auth, options, &environment)?;
        let origin = source.origin();
        report_on(source, Header { origin, profile }, quota, settings).await
    })
}

/// What the workspace has left this month, if one is named.
fn ledger_quota(settings: &DryRun, profile: &Profile, environment: &Environment) -> Result<Quota> {
    let Some(workspace) = &settings.workspace else { return Ok(Quota::new(None, None)) };
    let path = ledger::path(settings.ledger.as_deref(), environment)?;
    let month = Month::of(Timestamp::now());
    if settings.verbose {
        say(&format!("quota of '{}' for {month} in '{}'", shown(workspace), path.display()));
    }
    ledger::quota(&path, workspace, month, profile)
}

async fn report_on(source: AnySource, header: Header, quota: Quota, settings: &DryRun) -> Result<Exit> {
    let begun = Instant::now();
    let profile = Arc::clone(&header.profile);
    let plan = begin_plan(&header, settings)?;
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
    let ended = run::run(Arc::new(source), profile, quota, pipeline, progress, sink, stop).await;
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
        (Some(plan), Some(path)) => finish_plan(plan, path, &summary, elapsed),
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
    plan: Option<PlanWriter>,
}

impl Sink for Outcome {
    fn asset(&mut self, asset: &Asset) -> Result<()> {
        Sink::asset(&mut self.report, asset)?;
        self.plan.as_mut().map_or(Ok(()), |plan| plan.asset(asset))
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

fn begin_plan(header: &Header, settings: &DryRun) -> Result<Option<PlanWriter>> {
    let Some(path) = plan_path(settings)? else { return Ok(None) };
    let same =
        |output: &Path| matches!((path::absolute(output), path::absolute(path)), (Ok(a), Ok(b)) if a == b);
    if settings.format != Format::Parquet && settings.output.as_deref().is_some_and(same) {
        return Err(Error::new(format!("--output and --plan are the same file, '{}'", path.display())));
    }
    let header = plan_file::Header {
        origin: header.origin.clone(),
        profile: Arc::clone(&header.profile),
        probe_version: probe::VERSION,
        recursive: settings.depth == Depth::All,
        dimensions: settings.dimensions,
        begun: Timestamp::now(),
    };
    PlanWriter::create(path, header).map(Some)
}

/// Puts the plan in its place. One that is incomplete never takes the place of another file.
fn finish_plan(plan: PlanWriter, path: &Path, summary: &Summary, elapsed: Duration) -> Result<()> {
    let shown = path.display();
    let incomplete = summary.incomplete.is_some();
    if incomplete && path.exists() {
        say(&format!("'{shown}' was left as it was, because this run is incomplete"));
        return Ok(());
    }
    plan.finish(summary.clone(), elapsed)?;
    if incomplete {
        say(&format!("the plan '{shown}' is incomplete, as this run is"));
    }
    Ok(())
}

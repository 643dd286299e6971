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
use crate::report::{self, Header, ProgressBar, Report, shown};
use crate::rules::Profile;
use crate::run::{self, End, Ended, Judged, Known, Settings, Sink, Task};
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
    let profile = Arc::new(Profile::load(&resolved.profile)?);
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
    let mut known = Known::default();
    let plan = match &settings.plan {
        Some(path) => {
            check_plan(path, settings)?;
            let header = plan_header(&header, settings);
            let (checkpoint, kept) =
                Checkpoint::open(path, header, settings.checkpoint_every, settings.resume)?;
            if settings.resume && settings.verbose {
                let found = if kept.is_empty() { "there is no run to take up" } else { "taking up the run" };
                say(&format!("{found} of '{}'", path.display()));
            }
            known = known.with_kept(kept);
            Some(Planned { writer: checkpoint.begin_plan()?, checkpoint })
        }
        None => None,
    };
    if let Some(path) = &settings.baseline {
        let earlier = PlanReader::open(path)?;
        check_baseline(path, &earlier.plan().header, &plan_header(&header, settings))?;
        let plan = earlier.plan().clone();
        known = known.with_baseline(&plan, Box::new(earlier));
    }
    let output = Output::open(settings.output.as_deref(), settings.color)?;
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
    let task = Task { known, progress, ..Task::new(Arc::new(source), profile, quota, pipeline) };
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
    let planned = match (plan, &settings.plan) {
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

fn check_plan(path: &Path, settings: &DryRun) -> Result<()> {
    let same =
        |output: &Path| matches!((path::absolute(output), path::absolute(path)), (Ok(a), Ok(b)) if a == b);
    match settings.output.as_deref().is_some_and(same) {
        true => Err(Error::new(format!("--output and --plan are the same file, '{}'", path.display()))),
        false => Ok(()),
    }
}

fn plan_header(header: &Header, settings: &DryRun) -> plan_file::Header {
    plan_file::Header {
        origin: header.origin.clone(),
        profile: Arc::clone(&header.profile),
        probe_version: probe::VERSION,
        recursive: settings.depth == Depth::All,
        dimensions: settings.dimensions,
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

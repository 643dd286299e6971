//! `presync dry-run`: the pre-sync report.

use std::path::{self, Path};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::empty::{self, Nearby};
use super::examine::{Input, Planned, Provenance, check_baseline};
use super::exit::Exit;
use super::interrupt::interrupted;
use super::output::{Output, Spool};
use super::parts::{self, Weigh};
use super::target::Resolved;
use super::{host, ledger, say, say_rate, say_tally, shard};
use crate::model::Quota;
use crate::model::error::{Error, Result};
use crate::plan::{RunHeader, Sink, Summary};
use crate::plan_file::checkpoint::Checkpoint;
use crate::report::{self, Format, ProgressBar, number, shown};
use crate::rules::{self, Choice, Profile};
use crate::run::{self, End, Ended, Known, Progress, Synced, Task};
use crate::source::Depth;
use crate::source::any::AnySource;
use crate::source::azure::{self, Session};
use crate::source::location::{Environment, Location};

pub(crate) mod args;

use args::DryRunArgs;

/// Writes the report and returns how the run ended.
///
/// # Errors
/// Returns an error if the run cannot start or cannot continue.
pub(crate) fn run(args: &DryRunArgs) -> Result<Exit> {
    args.gate.check()?;
    let environment = Environment::of_process();
    let resolved = Resolved::source(args.target(), &environment)?;
    let mut profile = resolved.profile(&Choice::from(&args.rules))?;
    let workspace = resolved.workspace(args.workspace.as_deref());
    if let Some(workspace) = workspace {
        let path = ledger::path(args.ledger.as_deref(), &environment)?;
        profile = ledger::sharing(&path, workspace, profile, Timestamp::now())?;
    }
    let profile = Arc::new(profile);
    let ledger = ledger_quota(workspace, args, &profile, &environment)?;
    let quota = resolved.quota(&profile, args.limits(), ledger)?;
    let quota = rules::keeping(quota, args.reserve, &profile)?;
    let filter = args.names.filter()?;
    if matches!(resolved.location, Location::Folder(_)) && args.performance.limits_requests() {
        say(
            "warning: --max-requests-per-second and --max-bandwidth limit requests to an account, not a folder",
        );
    }
    let scope = resolved.location.scope(args.check.depth() == Depth::All, &filter);
    let path = ledger::path(args.ledger.as_deref(), &environment);
    let known = match workspace {
        Some(workspace) => Some((path?, workspace)),
        None => None,
    };
    let known = known.as_ref().map(|(path, workspace)| (path.as_path(), *workspace));
    let on_platform = ledger::on_platform(known, args.synced.as_deref(), &scope)?;
    let provenance = Provenance::of(&resolved, workspace);
    super::runtime()?.block_on(async {
        let options = azure::Options {
            depth: args.check.depth(),
            limits: args.performance.limits(),
            notice: if args.display.verbose { say } else { |_| {} },
            ..args.azure.options()
        };
        let session = Arc::new(Session::new(options.limits));
        let (location, auth) = (resolved.location, resolved.auth);
        let nearby = Nearby::new(location.clone(), auth, options, &environment, Arc::clone(&session));
        let source = AnySource::open_in(&session, location, auth, options, &environment)?;
        // Earlier results are found by the version of each file.
        let needs_versions = args.baseline.is_some() || args.resume;
        let source = if needs_versions { source } else { source.with_names_only() };
        let input = Input::open(source, &args.inventory, &filter)?;
        let header = RunHeader {
            recursive: args.check.depth() == Depth::All,
            filter,
            dimensions: args.check.dimensions,
            admit: args.check.admit,
            ..provenance.header(input.source.origin(), profile)
        };
        match args.share() {
            Some(share) => shard::run(input, header, quota, on_platform.synced, share, args).await,
            None => report_on(input, header, quota, on_platform.synced, &nearby, args).await,
        }
    })
}

/// What the workspace has left. Without a workspace, there are no limits.
fn ledger_quota(
    workspace: Option<&str>,
    args: &DryRunArgs,
    profile: &Profile,
    environment: &Environment,
) -> Result<Quota> {
    let Some(workspace) = workspace else {
        return match &args.ledger {
            None => Ok(Quota::new(None, None)),
            Some(_) => Err(Error::new("--ledger is given, but no workspace")
                .with_hint("add --workspace NAME, or set the connection's workspace in presync.toml")),
        };
    };
    let path = ledger::path(args.ledger.as_deref(), environment)?;
    let period = profile.quota.period.at(Timestamp::now());
    if args.display.verbose {
        say(&format!("quota of '{}' for {period} in '{}'", shown(workspace), path.display()));
    }
    ledger::quota(&path, workspace, period, profile)
}

async fn report_on(
    input: Input,
    header: RunHeader,
    quota: Quota,
    synced: Option<Synced>,
    nearby: &Nearby,
    args: &DryRunArgs,
) -> Result<Exit> {
    let begun = Instant::now();
    let profile = Arc::clone(&header.profile);
    let mut known = Known::default();
    if let Some(path) = &args.baseline {
        let earlier = parts::open(path, Weigh::default())?;
        check_baseline(path, &earlier.plan().header, &header)?;
        let plan = earlier.plan().clone();
        known = known.with_baseline(&plan, earlier.only_facts().lookup());
    }
    let spool = Spool::of(args.format, args.output.as_deref())?;
    let spooled = spool.as_ref().map(Spool::path);
    let place = match spooled.as_deref() {
        Some(path) => Some(path),
        None => plan_path(args)?,
    };
    let plan = match place {
        Some(path) => {
            check_plan(path, args)?;
            let (checkpoint, kept) =
                Checkpoint::open(path, header.clone(), args.performance.checkpoint_every(), args.resume)?;
            if args.resume && args.display.verbose {
                let found = if kept.is_none() { "there is no run to resume" } else { "resuming the run" };
                say(&format!("{found} for '{}'", path.display()));
            }
            known = known.with_kept(kept);
            Some(Planned::begin(checkpoint)?)
        }
        None => None,
    };
    let output = Output::of_report(args.output.as_deref(), args.format, args.display.color.choice())?;
    let origin = header.origin.clone();
    let credential = origin.credential.clone();
    let report = report::open(args.format, header, output.writer(), output.width)?;
    let progress = Arc::new(Progress::default());
    host::watch(&progress);
    let bar = args.display.progress().map(|style| ProgressBar::show(style, Arc::clone(&progress)));

    let Input { source, listing, excluded, tally } = input;
    let pipeline = args.pipeline(&source);
    if args.display.verbose {
        if let Some(credential) = credential {
            say(&format!("credential: {credential}"));
        }
        for line in source.passed_over() {
            say(&format!("  {line}"));
        }
        let most = if args.performance.limits.concurrency.is_none() { "up to " } else { "" };
        say(&format!(
            "{most}{} blobs at a time, {} probe threads, a queue of {}",
            pipeline.concurrency, pipeline.workers, pipeline.queue
        ));
    }
    let stop = interrupted();
    let task = Task {
        listing,
        excluded,
        origin: Some(origin),
        reader: Arc::new(source),
        profile,
        quota,
        admit: args.check.admit,
        known,
        synced,
        settings: pipeline,
        resources: None,
        progress: Arc::clone(&progress),
    };
    let ended = run::run(task, (report, plan), stop).await;
    drop(bar);

    let Ended { summary, sink: (report, plan), end } = ended?;
    let broken = match end {
        End::Broken(error) if summary.totals.listed == 0 => return Err(error),
        End::Broken(error) => Some(error),
        End::Complete if summary.totals.listed == 0 && !args.check.allow_empty => {
            return Err(match tally {
                None => nearby.error(summary.totals.excluded).await,
                Some(_) => empty::inventory(),
            });
        }
        End::Complete | End::Stopped => None,
    };
    let elapsed = begun.elapsed();
    // A plan that cannot be written must not cost the report, so its error is returned only afterwards.
    let planned = match (plan, place, &spool) {
        (Some(plan), _, Some(spool)) => {
            Box::new(plan.writer).finish(&summary, elapsed).and_then(|()| spool.send())
        }
        (Some(plan), Some(path), None) => finish_plan(plan, path, &summary, elapsed),
        _ => Ok(()),
    };
    report.finish(&summary, elapsed)?;
    output.keep()?;
    planned?;
    if let Some(tally) = tally {
        say_tally(&tally, &progress.snapshot(), args.display.verbose);
    }
    // The duration isn't part of the report, so that equal runs give equal reports.
    if args.display.shows_rate() {
        say_rate(summary.totals.listed, elapsed);
        if summary.totals.retries > 0 {
            let (retries, requests) = (number(summary.totals.retries), number(summary.totals.requests));
            say(&format!("{retries} of {requests} requests were retries"));
        }
    }
    match broken {
        Some(error) => Err(error),
        None => {
            if let Some(said) = args.gate.said(&(&summary).into()).filter(|_| !args.display.quiet) {
                say(&said);
            }
            Ok(Exit::of(&summary, &args.gate))
        }
    }
}

/// Where the plan goes: to `--plan`, or to `--output` if the plan is the report.
fn plan_path(args: &DryRunArgs) -> Result<Option<&Path>> {
    match (args.format, &args.plan) {
        (Format::Parquet, Some(_)) => Err(Error::new("--format parquet and --plan both write the plan")
            .with_hint("leave out --format parquet to get the plan and a report")),
        (Format::Parquet, None) => Ok(args.output.as_deref()),
        (_, plan) => Ok(plan.as_deref()),
    }
}

fn check_plan(path: &Path, args: &DryRunArgs) -> Result<()> {
    let same =
        |output: &Path| matches!((path::absolute(output), path::absolute(path)), (Ok(a), Ok(b)) if a == b);
    match args.format != Format::Parquet && args.output.as_deref().is_some_and(same) {
        true => Err(Error::new(format!("--output and --plan are the same file, '{}'", path.display()))),
        false => Ok(()),
    }
}

/// Puts the plan in place. An incomplete plan never replaces another file, and its run can be resumed.
fn finish_plan(plan: Planned, path: &Path, summary: &Summary, elapsed: Duration) -> Result<()> {
    if summary.incomplete.is_none() {
        return plan.complete(summary, elapsed);
    }
    let Planned { writer, checkpoint } = plan;
    let shown = path.display();
    match path.exists() {
        true => say(&format!("'{shown}' was not replaced, because this run is incomplete")),
        false => {
            Box::new(writer).finish(summary, elapsed)?;
            say(&format!("the plan '{shown}' is incomplete, because this run is"));
        }
    }
    if checkpoint.leave()? {
        say("run the same command with --resume to continue from here");
    }
    Ok(())
}

//! `presync audit`: many containers in one run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;

use super::interrupt::interrupted_saying;
use super::output::{Output, Spool};
use super::{ledger, say};
use crate::command::exit::Exit;
use crate::command::gate::{Counts, GateArgs};
use crate::files::own;
use crate::ledger::{Amounts, Balance};
use crate::model::QuotaKind;
use crate::model::error::{Error, Result, reason};
use crate::plan::audit::{
    self, Audit, Container, ContainerOutcome, ProjectBasenames, SharedBasenames, Together,
};
use crate::report::{self, Format, ProgressBars, shown};
use crate::rules::{GivenBy, Limits, Profile};
use crate::run::{Resources, Settings};
use crate::source::azure::{self, Session};
use crate::source::location::Environment;

mod args;
mod one;
mod place;
pub(super) mod saved;
mod targets;

pub(super) use args::AuditArgs;
use one::{Auditor, lock};
use targets::{Target, Targets};

/// How many containers are audited at a time. A huge container takes only one of these slots, and no larger a share of
/// the requests in flight than the others.
const CONTAINERS_AT_ONCE: usize = 16;

/// Audits every container, writes the summary and returns how the audit ended.
///
/// # Errors
/// Returns an error if the audit cannot start, for example because there is nothing to audit or the folder cannot be
/// written. A container that fails is part of the summary.
pub(super) fn run(args: &AuditArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    super::runtime()?.block_on(audit_sources(args, environment))
}

async fn audit_sources(args: &AuditArgs, environment: Environment) -> Result<Exit> {
    args.gate.check()?;
    let begun = Instant::now();
    let limits = args.performance.limits();
    let session = Arc::new(Session::new(limits));
    let Targets { mut targets, left_out } = targets::resolve(args, &environment, &session).await?;
    if let Some(workspace) = &args.workspace {
        share_quotas(&mut targets, &ledger::path(args.ledger.as_deref(), &environment)?, workspace)?;
    }
    let budget = match &args.workspace {
        Some(workspace) => Some(Budget::open(args, workspace, &targets, &environment)?),
        None => None,
    };
    let ledger = match &args.workspace {
        Some(workspace) => Some((ledger::path(args.ledger.as_deref(), &environment)?, workspace.clone())),
        None => None,
    };
    if let Some(baseline) = args.baseline.as_deref().filter(|baseline| !baseline.is_dir()) {
        return Err(Error::new(format!("the baseline '{}' is not a folder", baseline.display()))
            .with_hint("give the --out folder of another audit"));
    }
    make_out(&args.out)?;
    let output = Output::of_report(args.output.as_deref(), args.format, args.display.color.choice())?;

    let at_once = CONTAINERS_AT_ONCE.min(targets.len());
    let most = limits.concurrency.unwrap_or(azure::MAX_CONCURRENCY);
    let defaults = Settings::with_concurrency(most.div_ceil(at_once));
    // All containers together have the window of one.
    let window = defaults.window.div_ceil(at_once);
    let settings = Settings { want: args.check.want(), window, ..defaults };
    let workers = args.performance.workers.unwrap_or(defaults.workers);
    let bars = args.display.progress().map(|style| Arc::new(ProgressBars::show(style, targets.len())));
    let are_drawn = bars.as_ref().is_some_and(|bars| bars.are_drawn());
    let notice = if args.display.verbose && !are_drawn { say } else { |_: &str| {} };
    let auditor = Arc::new(Auditor {
        out: args.out.clone(),
        ledger,
        environment,
        session,
        options: azure::Options { limits, notice, depth: args.check.depth(), ..args.azure.options() },
        resources: Arc::new(Resources::new(workers, args.performance.queue.unwrap_or(defaults.queue))?),
        settings,
        checkpoint_every: args.performance.checkpoint_every(),
        baseline: args.baseline.clone(),
        filter: args.names.filter()?,
        admit: args.check.admit,
        allow_empty: args.check.allow_empty,
        worst: Mutex::default(),
        stop: interrupted_saying(speak(bars.clone())).boxed().shared(),
        bars,
    });
    let projects = projects(&targets, args.one_project);
    let profiles: Vec<_> = targets.iter().map(|target| target.profile.clone().ok()).collect();
    let containers = audit_all(&auditor, targets, &projects, at_once, args).await;
    let auditor = Arc::into_inner(auditor).ok_or_else(|| Error::new("a container is still being audited"))?;
    // The bars must be gone before the summary is printed in their place.
    drop((auditor.bars, auditor.stop));

    let together = match budget {
        Some(budget) => budget.together(&containers, &profiles)?,
        None => Vec::new(),
    };
    let audit = Audit {
        containers,
        left_out,
        worst: std::mem::take(&mut *lock(&auditor.worst)),
        duplicates: duplicates(projects),
        together,
        elapsed: begun.elapsed(),
    };
    saved::save(&args.out, &audit)?;
    show(&audit, args.format, args.output.as_deref(), output)?;
    end(&audit, &args.gate, args.check.allow_empty, args.display.quiet)
}

/// Writes the report of an audit.
pub(super) fn show(audit: &Audit, format: Format, path: Option<&Path>, output: Output) -> Result<()> {
    match (format, path) {
        (Format::Parquet, Some(path)) => match Spool::of(format, Some(path))? {
            Some(spool) => report::audit::table(audit, &spool.path()).and_then(|()| spool.send())?,
            None => report::audit::table(audit, path)?,
        },
        _ => report::audit::write(format, audit, output.writer(), output.width)?,
    }
    output.keep()
}

/// How an audit ends. If no container has a single blob, that is a mistake, unless `allow_empty`.
pub(super) fn end(audit: &Audit, gate: &GateArgs, allow_empty: bool, is_quiet: bool) -> Result<Exit> {
    let changes = audit.changes().unwrap_or_else(|| audit.all_new());
    let counts = Counts { totals: audit.totals(), warnings: audit.warnings(), changes: Some(&changes) };
    let exit = Exit::of_audit(audit, &counts, gate);
    if counts.totals.listed == 0 && audit.is_complete() && !allow_empty {
        return Err(Error::new("nothing was audited: no container has a blob")
            .with_hint("check the sources; --allow-empty accepts containers without blobs"));
    }
    if let Some(said) = gate.said(&counts).filter(|_| !is_quiet) {
        say(&said);
    }
    Ok(exit)
}

/// Lets images and frames share a quota in every profile, if the workspace has a limit for both together.
fn share_quotas(targets: &mut [Target], path: &Path, workspace: &str) -> Result<()> {
    let mut last: Option<(Arc<Profile>, Arc<Profile>)> = None;
    for target in targets {
        let Ok(profile) = &mut target.profile else { continue };
        // Most targets have the same profile, for which the ledger is read once.
        let shared = match &last {
            Some((of, shared)) if Arc::ptr_eq(of, profile) => Arc::clone(shared),
            _ => Arc::new(ledger::sharing(path, workspace, (**profile).clone(), Timestamp::now())?),
        };
        last = Some((Arc::clone(profile), Arc::clone(&shared)));
        target.quota = Limits::default().instead_of(target.quota, &shared, GivenBy::Options)?;
        *profile = shared;
    }
    Ok(())
}

/// Audits up to `at_once` containers at a time, and returns them in the order of the targets.
async fn audit_all(
    auditor: &Arc<Auditor>,
    targets: Vec<Target>,
    projects: &Projects,
    at_once: usize,
    args: &AuditArgs,
) -> Vec<Container> {
    let audit = |(number, target): (usize, Target)| {
        let basenames = projects.get(&project(&target, args.one_project)).map(Arc::clone);
        // A blob that two of them list has the same basename as itself.
        let basenames = basenames.filter(|_| target.within.is_none());
        let lost = lost(&target);
        let auditor = Arc::clone(auditor);
        // A task of its own: a panic is then the result of one container, not the end of the audit.
        let audited = tokio::spawn(async move { auditor.audit(number, target, basenames).await });
        async move { (number, audited.await.unwrap_or(lost)) }
    };
    let audited = stream::iter(targets.into_iter().enumerate()).map(audit).buffer_unordered(at_once);
    let audited = audited.inspect(|(_, container)| {
        if args.display.verbose {
            say_done(auditor, container);
        }
    });
    let mut containers: Vec<_> = audited.collect().await;
    containers.sort_by_key(|(number, _)| *number);
    containers.into_iter().map(|(_, container)| container).collect()
}

/// The result of a container whose audit panicked.
fn lost(target: &Target) -> Container {
    Container {
        name: target.name.clone(),
        origin: target.origin(),
        profile: target.profile_name.clone(),
        header: None,
        project: target.project.clone(),
        within: target.within,
        outcome: ContainerOutcome::Failed(Error::new(
            "its audit failed; this is a bug in presync, please report it",
        )),
        notes: Vec::new(),
        plan: None,
        rows: None,
        elapsed: Duration::ZERO,
    }
}

/// Prints one line for the log.
fn say_done(auditor: &Auditor, container: &Container) {
    let name = shown(&container.name);
    let line = match container.outcome.summary() {
        Some(summary) => {
            let totals = &summary.totals;
            let seconds = container.elapsed.as_secs_f64();
            format!(
                "{name}: {}, {} assets, {} rejected, {} unknown, {} requests, {seconds:.1} s",
                container.outcome.as_str(),
                totals.listed,
                totals.rejected,
                totals.unknown,
                totals.requests
            )
        }
        None => format!("{name}: {}", container.outcome.as_str()),
    };
    speak(auditor.bars.clone())(&line);
}

/// Returns a function that prints a line to stderr: above the bars, if there are any.
fn speak(bars: Option<Arc<ProgressBars>>) -> impl FnOnce(&str) {
    move |line| match bars {
        Some(bars) if bars.are_drawn() => bars.say(line),
        _ => say(line),
    }
}

/// Creates the audit's folder if needed.
fn make_out(out: &Path) -> Result<()> {
    let shown = out.display();
    if out.exists() && !out.is_dir() {
        return Err(Error::new(format!("'{shown}' is not a folder"))
            .with_hint("give --out a folder; it is created if needed"));
    }
    own::check_links(out)?;
    fs::create_dir_all(out).map_err(|error| {
        Error::new(format!("cannot create the folder '{shown}': {}", reason(&error)))
            .with_hint("give --out a folder that you may write to")
    })
}

/// The basenames of each project; without a name, those of all containers.
type Projects = BTreeMap<Option<String>, Arc<Mutex<ProjectBasenames>>>;

/// The projects that more than one container syncs into.
fn projects(targets: &[Target], one_project: bool) -> Projects {
    let mut sizes = BTreeMap::<_, usize>::new();
    let counting = targets.iter().filter(|target| target.within.is_none());
    for target in counting.filter(|target| one_project || target.project.is_some()) {
        *sizes.entry(project(target, one_project)).or_default() += 1;
    }
    sizes.into_iter().filter(|(_, size)| *size > 1).map(|(project, _)| (project, Arc::default())).collect()
}

fn project(target: &Target, one_project: bool) -> Option<String> {
    if one_project { None } else { target.project.clone() }
}

fn duplicates(projects: Projects) -> Vec<(Option<String>, SharedBasenames)> {
    let found = projects.into_iter().map(|(project, basenames)| {
        let basenames = std::mem::take(&mut *lock(&basenames));
        (project, basenames.finish())
    });
    found.collect()
}

/// What a workspace has left this month.
struct Budget {
    balances: BTreeMap<QuotaKind, Balance>,
}

impl Budget {
    /// Reads the ledger first, so that a typo in the workspace's name is reported before any container is read.
    fn open(
        args: &AuditArgs,
        workspace: &str,
        targets: &[Target],
        environment: &Environment,
    ) -> Result<Self> {
        let path = ledger::path(args.ledger.as_deref(), environment)?;
        let now = Timestamp::now();
        let mut balances = BTreeMap::new();
        let mut profiles: Vec<_> =
            targets.iter().filter_map(|target| target.profile.as_deref().ok()).collect();
        profiles.dedup_by_key(|profile| std::ptr::from_ref(*profile));
        for profile in profiles {
            balances.extend(ledger::balances(&path, workspace, profile.quota.period.at(now), profile)?);
        }
        Ok(Self { balances })
    }

    /// What all containers cost together, by kind.
    fn together(&self, containers: &[Container], profiles: &[Option<Arc<Profile>>]) -> Result<Vec<Together>> {
        let mut costs = Amounts::new();
        let counting = containers.iter().zip(profiles);
        for (container, profile) in counting.filter(|(container, _)| audit::counts(containers, container)) {
            if let (Some(summary), Some(profile)) = (container.outcome.summary(), profile) {
                for (kind, cost) in ledger::costs(profile, summary)? {
                    let sum = costs.entry(kind).or_default();
                    *sum = cost.saturating_add(*sum);
                }
            }
        }
        let together = costs.into_iter().map(|(kind, cost)| {
            let left = self.balances.get(&kind).and_then(Balance::left);
            Together { kind, cost, left }
        });
        Ok(together.collect())
    }
}

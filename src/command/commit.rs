//! `presync commit`: checks a plan again, reserves its quota and writes its manifests.
//!
//! Exit codes: a refused plan is a finding (1), like a rejected asset. The run did not fail (2), because everything was
//! checked; and it isn't incomplete (3), because assets that the plan could not judge are a reason to refuse it.
//!
//! The order of the steps ensures that a plan is committed only once, even if a process dies at any point:
//!
//! 1. The manifests are written into a temporary folder next to their destination. Nothing is committed yet.
//! 2. The ledger reserves the quota in one transaction. A plan has at most one reservation, so a later run finds it.
//! 3. The folder is moved into place as a whole.

use std::ffi::{OsStr, OsString};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use futures::TryStreamExt;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::args::{AzureArgs, DisplayArgs};
use super::exit::Exit;
use super::interrupt::interrupted;
use super::output::Output;
use super::parts::{self, Opened, Weigh};
use super::target::{Resolved, Target};
use super::values::{one_line, profile};
use super::{host, ledger, say, say_rate};
use crate::commit::{self, Commit, CommitFolder, CommitOutcome, Comparison, Kept, Manifests, Written};
use crate::ledger::{Amounts, Claim, KindShortage, Known, Ledger, Pending, Reservation, Reserve};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Blob, Filter, Period, Scope};
use crate::plan::RunHeader;
use crate::plan_file::Plan;
use crate::plan_file::synced::{self, Applied, Merge};
use crate::probe;
use crate::report::{self, ProgressBar, TextOrJson, shown};
use crate::rules::Profile;
use crate::run::Progress;
use crate::source::any::AnySource;
use crate::source::location::{Environment, Location};
use crate::source::{Depth, azure};

/// How many listing pages may wait to be compared.
const PAGES_AHEAD: usize = 2;

const EXIT_CODES: &str = "\
Exit codes:
  0  the plan is committed, now or earlier; with --dry-run, it would be
  1  the plan is refused, and the report says why; nothing was changed
  2  the run could not start or could not continue";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CommitArgs {
    /// A plan saved by presync dry-run --plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,

    /// The plan's own source, with a SAS or as @NAME [default: as the plan names it]
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<OsString>,

    /// Workspace of the ledger whose quota to reserve [default: the plan's, else the connection's]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub workspace: Option<String>,

    /// Path to the ledger [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,

    /// Refuse the plan if the rules of this profile are not the plan's: nexus, vi, or a TOML file [default: the plan's own,
    /// or presync's if the plan's is built in]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Folder for the manifests, which must not exist yet [default: the plan's name with -commit]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Check everything and report what would be done, without reserving or writing anything
    #[arg(long)]
    pub dry_run: bool,

    /// Leave out assets that could not be judged, instead of refusing the plan because of them
    #[arg(long)]
    pub allow_unknown: bool,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: TextOrJson,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    pub display: DisplayArgs,
}

/// Commits the plan, or reports why it is refused.
///
/// # Errors
/// Returns an error if the plan, its source or the ledger cannot be read, or if the manifests cannot be written.
pub(super) fn run(args: &CommitArgs) -> Result<Exit> {
    let (environment, begun) = (Environment::of_process(), Instant::now());
    let reader = parts::open(&args.plan, Weigh::default())?;
    let resolved = resolve(args.source.as_deref(), &args.azure, &reader.plan().header, &environment)?;
    let ledger = ledger::path(args.ledger.as_deref(), &environment)?;
    let mut commit = prepare(args, reader.plan(), &resolved, &ledger)?;
    let scope = resolved.location.scope(commit.plan.header.recursive, &commit.plan.header.filter);
    let outcome = match commit::committed(&commit.dir, &commit.plan.id)? {
        Some(before) if before.workspace != commit.workspace => {
            return Err(elsewhere(&before.workspace, commit.period, &commit.plan.id));
        }
        Some(before) => CommitOutcome::Before { at: before.committed_at },
        None => {
            let comparison = begin(args, &commit, &ledger)?;
            let examined = examine(args, &commit, resolved, &environment, reader, comparison)?;
            decide(&mut commit, &ledger, &scope, examined)?
        }
    };
    let output = Output::open(None, args.format, args.display.color.choice())?;
    report::commit::write(args.format, &commit, &outcome, output.writer(), output.width)
        .map_err(|error| report::output(&error))?;
    if let CommitOutcome::Committed(written) | CommitOutcome::WouldCommit(written) = &outcome {
        say_unlisted(written);
    }
    if args.display.verbose {
        say_rate(commit.plan.summary.totals.listed, begun.elapsed());
    }
    Ok(match outcome {
        CommitOutcome::Refused(_) => Exit::Findings,
        CommitOutcome::Committed(_) | CommitOutcome::WouldCommit(_) | CommitOutcome::Before { .. } => {
            Exit::Clean
        }
    })
}

/// Resolves the plan's source and its settings. A `--source` must be the plan's own.
pub(super) fn resolve(
    source: Option<&OsStr>,
    azure: &AzureArgs,
    header: &RunHeader,
    environment: &Environment,
) -> Result<Resolved> {
    let origin = &header.origin;
    let mut azure = azure.clone();
    let named = match (source, &header.root) {
        (Some(source), _) => source,
        (None, Some(root)) => root.as_ref(),
        (None, None) if origin.container.is_some() => {
            azure.account = azure.account.or_else(|| origin.account.clone());
            origin.location.as_ref()
        }
        (None, None) => {
            return Err(Error::new("the plan does not say where its folder is").with_hint("add --source DIR"));
        }
    };
    let resolved = Resolved::source(Target { source: named, azure: &azure, profile: None }, environment)?;
    let is_same = match (&resolved.location, &header.root) {
        (Location::Container(url), _) => url.to_string() == origin.location,
        (Location::Folder(path), Some(root)) => {
            path::absolute(path).is_ok_and(|path| path == Path::new(root))
        }
        (Location::Folder(path), None) => path.display().to_string() == origin.location,
    };
    if let Location::Container(url) = &resolved.location
        && source.is_none()
        && !url.is_trusted()
    {
        // A plan from someone else must not decide where a credential is sent.
        return Err(Error::new(format!("the plan is for '{url}', which isn't an Azure address"))
            .with_hint("if you trust it with your credential, pass it with --source"));
    }
    match is_same {
        true => Ok(resolved),
        false => {
            let (given, planned) = (&resolved.location, &origin.location);
            Err(Error::new(format!("the source is '{given}', but the plan is for '{}'", shown(planned)))
                .with_hint("--source must be the plan's own source; make a new plan for another one"))
        }
    }
}

/// Collects what to commit, where to, and against which budget.
fn prepare(args: &CommitArgs, plan: &Plan, resolved: &Resolved, ledger: &Path) -> Result<Commit> {
    let of_plan = plan.header.workspace.as_deref();
    let workspace = resolved.workspace(args.workspace.as_deref().or(of_plan)).ok_or_else(|| {
        Error::new("the plan has no workspace of the ledger, and none is given")
            .with_hint("add --workspace NAME; presync quota set --workspace NAME sets its limits")
    })?;
    let mut commit = Commit {
        workspace: workspace.to_owned(),
        period: plan.header.profile.quota.period.at(plan.header.begun),
        costs: ledger::costs(&plan.header.profile, &plan.summary)?,
        returned: Amounts::new(),
        was_reserved: false,
        left: Amounts::new(),
        dir: args.out.clone().unwrap_or_else(|| beside(&args.plan)),
        at: Timestamp::now(),
        plan_path: args.plan.clone(),
        plan: plan.clone(),
    };
    if let Some(held) = reserved(&commit, ledger)? {
        (commit.was_reserved, commit.costs, commit.returned) = (true, held.costs, held.returned);
    }
    Ok(commit)
}

/// `plan-commit` of `plan.parquet`.
fn beside(plan: &Path) -> PathBuf {
    let mut name = plan.file_stem().unwrap_or_default().to_owned();
    name.push("-commit");
    plan.with_file_name(name)
}

/// What an earlier run has already reserved for the plan.
fn reserved(commit: &Commit, ledger: &Path) -> Result<Option<Reservation>> {
    let Some(ledger) = Ledger::open_existing(ledger)? else { return Ok(None) };
    let held = ledger.held_by(&commit.plan.id)?;
    held.map(|held| check_own(&held, commit).map(|()| held)).transpose()
}

/// Checks that the reservation is in this workspace and period. Otherwise, the plan is already committed there.
fn check_own(held: &Reservation, commit: &Commit) -> Result<()> {
    match held.workspace == commit.workspace && held.period == commit.period {
        true => Ok(()),
        false => Err(elsewhere(&held.workspace, held.period, &held.plan)),
    }
}

fn elsewhere(workspace: &str, period: Period, plan: &str) -> Error {
    Error::new(format!("the plan is already committed to the workspace '{}' for {period}", shown(workspace)))
        .with_hint(format!("presync quota release {plan} releases what it reserved there"))
}

/// Begins the comparison with everything that needs no listing.
fn begin(args: &CommitArgs, commit: &Commit, ledger: &Path) -> Result<Comparison> {
    let RunHeader { profile_from, profile: planned, .. } = &commit.plan.header;
    let profile = match &args.profile {
        Some(name) => Profile::load(name)?,
        None if Profile::BUILT_IN.contains(&profile_from.as_str()) => Profile::load(profile_from)?,
        // A plan from someone else must not decide which file is read.
        None => planned.as_ref().clone(),
    };
    // The rule overrides of the command line are recorded only in the plan.
    let mut profile = Profile { overrides: planned.overrides.clone(), ..profile };
    // So is what the ledger or presync.toml said.
    profile.quota.shared = planned.quota.shared;
    let (plan, period) = (&commit.plan, commit.period_now());
    if !commit.was_reserved && commit.period == period {
        // So that a typo in the workspace is reported before anything is listed.
        ledger::balances(ledger, &commit.workspace, period, &plan.header.profile)?;
    }
    Ok(Comparison::new(plan, profile, probe::TRUSTED_SINCE, period, args.allow_unknown))
}

/// Compares the plan with what is on the platform: what its sync uses, and what is there afterwards, which goes to
/// `out`. Sets what is left of the budget and returns what it lacks now. This is only a forecast: another process may
/// reserve before this one does.
fn weigh(
    commit: &mut Commit,
    ledger: &Path,
    scope: &Scope,
    out: Option<&Path>,
) -> Result<(Applied, Vec<KindShortage>)> {
    let profile = Arc::clone(&commit.plan.header.profile);
    let counting = ledger::counting(&profile)?;
    let known = match Ledger::open_existing(ledger)? {
        Some(ledger) => ledger.known(&commit.workspace, scope)?,
        None => Known::default(),
    };
    let merge = Merge { scope, recounts: counting.recounts, out };
    let assets = parts::open(&commit.plan_path, Weigh::default())?;
    let applied = synced::apply(synced::rows_of(assets, scope), known.file.as_deref(), &merge)?;
    (commit.costs, commit.returned) = counting.amounts(&applied);
    let balances = ledger::balances(ledger, &commit.workspace, commit.period, &profile)?;
    let mut shortages = Vec::new();
    for (kind, needed) in &commit.costs {
        if let Some(left) = balances.get(kind).and_then(|balance| balance.left()) {
            commit.left.insert(*kind, left);
            if *needed > left {
                shortages.push(KindShortage { kind: *kind, needed: *needed, left });
            }
        }
    }
    Ok((applied, shortages))
}

/// The result of comparing the plan with a new listing.
struct Examined {
    comparison: Comparison,
    manifests: Manifests,
    /// Where the manifests are; `None` in a dry run.
    folder: Option<CommitFolder>,
}

/// Lists the source again, compares it with the plan, and writes the manifests as long as nothing blocks it.
fn examine(
    args: &CommitArgs,
    commit: &Commit,
    resolved: Resolved,
    environment: &Environment,
    reader: Opened,
    comparison: Comparison,
) -> Result<Examined> {
    let folder = if args.dry_run { None } else { Some(CommitFolder::create(&commit.dir)?) };
    let manifests = Manifests::create(folder.as_ref(), report::asset_record)?;
    let examined = Examined { comparison, manifests, folder };
    if commit.plan.summary.incomplete.is_some() {
        // Blobs that the plan's run did not reach would look as if they had been added.
        return Ok(examined);
    }
    let filter = commit.plan.header.filter.clone();
    let depth = if commit.plan.header.recursive { Depth::All } else { Depth::Direct };
    let progress = Arc::new(Progress::default());
    host::watch(&progress);
    super::runtime()?.block_on(async {
        let options = azure::Options { depth, ..args.azure.options() };
        let source = AnySource::open(resolved.location, resolved.auth, options, environment)?;
        let _bar =
            args.display.progress().map(|style| ProgressBar::show_listing(style, Arc::clone(&progress)));
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let comparing = tokio::task::spawn_blocking(move || examined.compare(pages, reader));
        let listed = tokio::select! {
            listed = list(&source, &filter, sender, &progress) => listed,
            () = interrupted() => {
                Err(Error::new("stopped: nothing was reserved or written").because(Cause::Interrupted))
            }
        };
        let compared = comparing.await;
        // Check the listing first: if it ended early, the comparison took the rest of the plan for removed.
        listed?;
        compared.map_err(|error| Error::new(format!("the comparison failed: {error}")))?
    })
}

/// Sends page after page until the listing ends or fails, or the receiver is gone.
async fn list(
    source: &AnySource,
    filter: &Filter,
    pages: mpsc::Sender<Vec<Blob>>,
    progress: &Progress,
) -> Result<()> {
    let (mut listing, _) = source.list_filtered(filter);
    while let Some(page) = listing.try_next().await? {
        progress.add_listed(page.len() as u64);
        if pages.send(page).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

impl Examined {
    /// Compares every blob of the listing with the plan, and finds out which assets are no longer listed.
    fn compare(mut self, mut pages: mpsc::Receiver<Vec<Blob>>, reader: Opened) -> Result<Self> {
        let mut planned = reader.lookup();
        while let Some(page) = pages.blocking_recv() {
            for blob in page {
                let asset = planned.find(&blob.name)?;
                if let Some(asset) = asset.as_ref().filter(|_| self.comparison.obstacles().is_empty()) {
                    self.manifests.take(asset)?;
                }
                self.comparison.listed(&blob, asset);
            }
        }
        planned.finish(|asset| self.comparison.removed(&asset))?;
        Ok(self)
    }
}

/// Refuses the plan, or reserves its quota and puts its manifests in place.
fn decide(commit: &mut Commit, path: &Path, scope: &Scope, examined: Examined) -> Result<CommitOutcome> {
    let Examined { mut comparison, manifests, folder } = examined;
    let is_blocked = !comparison.obstacles().is_empty();
    let Some(folder) = folder.filter(|_| !is_blocked) else {
        // An incomplete plan says little of what it needs, and one for another month takes from a budget that is over.
        let is_current = commit.plan.summary.incomplete.is_none() && commit.period == commit.period_now();
        if !commit.was_reserved && is_current {
            comparison.add_shortages(&weigh(commit, path, scope, None)?.1);
        }
        return Ok(match comparison.obstacles().is_empty() {
            true => CommitOutcome::WouldCommit(manifests.finish()?),
            false => CommitOutcome::Refused(comparison.into_obstacles()),
        });
    };
    let written = manifests.finish()?;
    if !commit.was_reserved
        && let Some(shortages) = reserve(commit, path, scope, &written, &folder)?
    {
        comparison.add_shortages(&shortages);
        return Ok(CommitOutcome::Refused(comparison.into_obstacles()));
    }
    if commit.was_reserved {
        finish(commit, &written, &folder)?;
    }
    // If this run dies here, the next one finds the reservation and completes the commit.
    match folder.keep()? {
        Kept::Here => Ok(CommitOutcome::Committed(written)),
        // Another process got there first. If it committed another plan, this plan keeps its reservation.
        Kept::Taken => match commit::committed(&commit.dir, &commit.plan.id)? {
            Some(before) => {
                commit.was_reserved = true;
                Ok(CommitOutcome::Before { at: before.committed_at })
            }
            None => Err(commit::taken(&commit.dir)),
        },
    }
}

/// Reserves the plan's quota, and returns what is missing of it, if something is.
fn reserve(
    commit: &mut Commit,
    path: &Path,
    scope: &Scope,
    written: &Written,
    folder: &CommitFolder,
) -> Result<Option<Vec<KindShortage>>> {
    let mut ledger = ledger::open(path)?;
    // From here on, what is on the platform stays as it is read.
    let _lock = ledger.lock_files()?;
    if let Some(held) = reserved(commit, path)? {
        // Another process got here first.
        (commit.costs, commit.returned) = (held.costs, held.returned);
        return finish(commit, written, folder).map(|()| None);
    }
    let (file, out) = ledger.new_file();
    let (applied, shortages) = weigh(commit, path, scope, Some(&out))?;
    let refused = |shortages| {
        let _ = std::fs::remove_file(&out);
        Ok(Some(shortages))
    };
    if !shortages.is_empty() {
        return refused(shortages);
    }
    // The manifests must be on disk before the reservation: a crash must not leave a reservation without manifests.
    finish(commit, written, folder)?;
    let counting = ledger::counting(&commit.plan.header.profile)?;
    let Applied { assets, cost, .. } = applied;
    let claim = Claim {
        plan: &commit.plan.id,
        workspace: &commit.workspace,
        period: commit.period,
        source: &commit.plan.header.origin.location,
        costs: commit.costs.clone(),
        returned: commit.returned.clone(),
        pending: Some(Pending { scope: scope.clone(), file, counting, assets, cost }),
    };
    match ledger.reserve(&claim, commit.at)? {
        Reserve::Reserved(_) => Ok(None),
        Reserve::AlreadyReserved(held) => {
            let _ = std::fs::remove_file(&out);
            check_own(&held, commit).map(|()| None)
        }
        Reserve::Refused(shortages) => refused(shortages),
    }
}

/// Writes the record of the commit and syncs the folder to disk.
fn finish(commit: &Commit, written: &Written, folder: &CommitFolder) -> Result<()> {
    let record = report::commit::record(commit, written).map_err(|error| report::output(&error))?;
    folder.finish(&record)
}

/// Reports the names that are missing from `accepted.txt`.
fn say_unlisted(written: &Written) {
    let Written { unlisted, unlisted_names, .. } = written;
    if *unlisted == 0 {
        return;
    }
    let mut names: Vec<_> = unlisted_names.iter().map(|name| format!("'{}'", shown(name))).collect();
    let more = unlisted - names.len() as u64;
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let names = names.join(", ");
    say(&format!(
        "accepted.txt leaves out names that AzCopy cannot read from a list: {names}; accepted.jsonl has all"
    ));
}

//! `presync commit`: checks a plan again, reserves its quota and writes its manifests.
//!
//! Exit codes: a plan that is refused is a finding about the plan (1), as a rejected asset is one about the container.
//! It is no failure of the run (2), which looked at everything and can say what is so; and nothing is left unjudged (3),
//! because what the plan could not judge is itself a reason to refuse it.
//!
//! The order of the steps makes a commit happen once, whenever a process dies:
//!
//! 1. The manifests are written into a folder beside their place. Until here nothing has happened.
//! 2. The ledger reserves, in one transaction. A plan has one reservation at most, so the next run finds this one.
//! 3. The folder takes its place, as a whole.

use std::ffi::OsString;
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
use super::values::one_line;
use super::{ledger, say, say_rate};
use crate::commit::{self, Commit, CommitFolder, CommitOutcome, Comparison, Kept, Manifests, Written};
use crate::ledger::{Amounts, Claim, KindShortage, Ledger, Reservation, Reserve};
use crate::model::error::{Error, Result};
use crate::model::{Blob, Month};
use crate::plan::{Earlier, RunHeader};
use crate::plan_file::Plan;
use crate::probe;
use crate::report::{self, ProgressBar, TextOrJson, shown};
use crate::rules::Profile;
use crate::run::Progress;
use crate::source::any::AnySource;
use crate::source::location::{Environment, Location};
use crate::source::{Depth, azure};

/// Listing pages that wait until they are compared.
const PAGES_AHEAD: usize = 2;

const EXIT_CODES: &str = "\
Exit codes:
  0  the plan is committed, now or before; with --dry-run, it would be
  1  the plan is refused, and the report says why; nothing was changed
  2  the run could not start or could not go on";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CommitArgs {
    /// A plan saved by presync dry-run --plan
    #[arg(value_name = "PLAN")]
    plan: PathBuf,

    /// The plan's own source, with a SAS or as @NAME [default: as the plan names it]
    #[arg(long, value_name = "SOURCE")]
    source: Option<OsString>,

    /// Workspace of the ledger whose quota to reserve [default: the plan's, else the connection's]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    workspace: Option<String>,

    /// Path to the ledger [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,

    /// Folder for the manifests, which must not exist yet [default: the plan's name with -commit]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Check everything and report what would be done, without reserving or writing anything
    #[arg(long)]
    dry_run: bool,

    /// Leave out assets that could not be judged, instead of refusing the plan because of them
    #[arg(long)]
    allow_unknown: bool,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJson,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    display: DisplayArgs,
}

/// Commits the plan, or says why not.
///
/// # Errors
/// When the plan, its source or the ledger cannot be read, or the manifests cannot be written.
pub(super) fn run(args: &CommitArgs) -> Result<Exit> {
    let (environment, begun) = (Environment::of_process(), Instant::now());
    let reader = parts::open(&args.plan, Weigh::default())?;
    let resolved = resolve(args, &reader.plan().header, &environment)?;
    let ledger = ledger::path(args.ledger.as_deref(), &environment)?;
    let mut commit = prepare(args, reader.plan(), &resolved, &ledger)?;
    let outcome = match commit::committed(&commit.dir, &commit.plan.id)? {
        Some(before) if before.workspace != commit.workspace => {
            return Err(elsewhere(&before.workspace, commit.month, &commit.plan.id));
        }
        Some(before) => CommitOutcome::Before { at: before.committed_at },
        None => {
            let comparison = begin(args, &mut commit, &ledger)?;
            let examined = examine(args, &commit, resolved, &environment, reader, comparison)?;
            decide(&mut commit, &ledger, examined)?
        }
    };
    let output = Output::open(None, args.display.color.choice())?;
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

/// The plan's source, and what goes with it. One that is named again must be the same.
fn resolve(args: &CommitArgs, header: &RunHeader, environment: &Environment) -> Result<Resolved> {
    let origin = &header.origin;
    let mut azure = args.azure.clone();
    let named = match (&args.source, &header.root) {
        (Some(source), _) => source.as_os_str(),
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
        && args.source.is_none()
        && !url.is_trusted()
    {
        // A plan from elsewhere must not choose who is sent a credential.
        return Err(Error::new(format!("the plan is of '{url}', which is no address of Azure's"))
            .with_hint("name it with --source, if it may be sent your credential"));
    }
    match is_same {
        true => Ok(resolved),
        false => {
            let (given, planned) = (&resolved.location, &origin.location);
            Err(Error::new(format!("the source is '{given}', and the plan is of '{}'", shown(planned)))
                .with_hint("--source names the plan's own source; another one needs a plan of its own"))
        }
    }
}

/// What is to be committed, where to, and against which budget.
fn prepare(args: &CommitArgs, plan: &Plan, resolved: &Resolved, ledger: &Path) -> Result<Commit> {
    let of_plan = plan.header.workspace.as_deref();
    let workspace = resolved.workspace(args.workspace.as_deref().or(of_plan)).ok_or_else(|| {
        Error::new("the plan was weighed against no workspace of the ledger, and none is named")
            .with_hint("add --workspace NAME; presync quota set --workspace NAME sets its limits")
    })?;
    let mut commit = Commit {
        workspace: workspace.to_owned(),
        month: Month::of(plan.header.begun),
        costs: ledger::costs(&plan.header.profile, &plan.summary.totals)?,
        was_reserved: false,
        left: Amounts::new(),
        dir: args.out.clone().unwrap_or_else(|| beside(&args.plan)),
        at: Timestamp::now(),
        plan_path: args.plan.clone(),
        plan: plan.clone(),
    };
    commit.was_reserved = is_reserved(&commit, ledger)?;
    Ok(commit)
}

/// `plan-commit` of `plan.parquet`.
fn beside(plan: &Path) -> PathBuf {
    let mut name = plan.file_stem().unwrap_or_default().to_owned();
    name.push("-commit");
    plan.with_file_name(name)
}

/// Whether an earlier run has reserved what this commit takes.
fn is_reserved(commit: &Commit, ledger: &Path) -> Result<bool> {
    let Some(ledger) = Ledger::open_existing(ledger)? else { return Ok(false) };
    match ledger.held_by(&commit.plan.id)? {
        Some(held) => check_own(&held, commit).map(|()| true),
        None => Ok(false),
    }
}

/// A plan that holds a reservation of another workspace or month is committed there.
fn check_own(held: &Reservation, commit: &Commit) -> Result<()> {
    match held.workspace == commit.workspace && held.month == commit.month {
        true => Ok(()),
        false => Err(elsewhere(&held.workspace, held.month, &held.plan)),
    }
}

fn elsewhere(workspace: &str, month: Month, plan: &str) -> Error {
    Error::new(format!("the plan is committed to the workspace '{}' for {month} already", shown(workspace)))
        .with_hint(format!("presync quota release {plan} gives back what it reserved there"))
}

/// Compares the plan with what can be known without a listing.
fn begin(args: &CommitArgs, commit: &mut Commit, ledger: &Path) -> Result<Comparison> {
    let RunHeader { profile_from, profile: planned, .. } = &commit.plan.header;
    let profile = Profile::load(profile_from).map_err(|error| {
        Error::new(error.message().to_owned())
            .with_hint("the plan was judged by it: put it back, or make a plan with another profile")
    })?;
    // What the command line changed about the rules is said nowhere else.
    let profile = Profile { overrides: planned.overrides.clone(), ..profile };
    let month = Month::of(commit.at);
    let mut comparison =
        Comparison::new(&commit.plan, profile, probe::TRUSTED_SINCE, month, args.allow_unknown);
    if !commit.was_reserved && month == commit.month {
        comparison.add_shortages(&weigh(commit, ledger)?);
    }
    Ok(comparison)
}

/// What the budget lacks, as it is now. Another process may still be faster.
fn weigh(commit: &mut Commit, ledger: &Path) -> Result<Vec<KindShortage>> {
    let profile = &commit.plan.header.profile;
    let balances = ledger::balances(ledger, &commit.workspace, commit.month, profile)?;
    let mut shortages = Vec::new();
    for (kind, needed) in &commit.costs {
        if let Some(left) = balances.get(kind).and_then(|balance| balance.left()) {
            commit.left.insert(*kind, left);
            if *needed > left {
                shortages.push(KindShortage { kind: *kind, needed: *needed, left });
            }
        }
    }
    Ok(shortages)
}

/// What comparing the plan with a new listing led to.
struct Examined {
    comparison: Comparison,
    manifests: Manifests,
    /// Where the manifests are; nowhere in a dry run.
    folder: Option<CommitFolder>,
}

/// Lists the source again, compares it with the plan, and writes the manifests while nothing blocks it.
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
        // What the plan's run did not reach would look as if it had been added.
        return Ok(examined);
    }
    let depth = if commit.plan.header.recursive { Depth::All } else { Depth::Direct };
    let progress = Arc::new(Progress::default());
    super::runtime()?.block_on(async {
        let options = azure::Options { depth, ..azure::Options::default() };
        let source = AnySource::open(resolved.location, resolved.auth, options, environment)?;
        let _bar =
            super::is_live(args.display.progress()).then(|| ProgressBar::show_listing(Arc::clone(&progress)));
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let comparing = tokio::task::spawn_blocking(move || examined.compare(pages, reader));
        let listed = tokio::select! {
            listed = list(&source, sender, &progress) => listed,
            () = interrupted() => Err(Error::new("stopped: nothing was reserved, and nothing was written")),
        };
        let compared = comparing.await;
        // A listing that ended early has compared nothing.
        listed?;
        compared.map_err(|error| Error::new(format!("the comparison did not end: {error}")))?
    })
}

/// Hands over page after page, until the end, an error, or until nobody takes them.
async fn list(source: &AnySource, pages: mpsc::Sender<Vec<Blob>>, progress: &Progress) -> Result<()> {
    let mut listing = source.list();
    while let Some(page) = listing.try_next().await? {
        progress.add_listed(page.len() as u64);
        if pages.send(page).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

impl Examined {
    /// Goes through the listing and the plan side by side, both to their ends.
    fn compare(mut self, mut pages: mpsc::Receiver<Vec<Blob>>, reader: Opened) -> Result<Self> {
        let mut planned = Earlier::new(reader);
        while let Some(page) = pages.blocking_recv() {
            for blob in page {
                let asset = planned.take(&blob.name, |asset| self.comparison.removed(&asset))?;
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

/// Refuses the plan, or does what it asks for.
fn decide(commit: &mut Commit, ledger: &Path, examined: Examined) -> Result<CommitOutcome> {
    let Examined { mut comparison, manifests, folder } = examined;
    if !comparison.obstacles().is_empty() {
        return Ok(CommitOutcome::Refused(comparison.into_obstacles()));
    }
    let written = manifests.finish()?;
    let Some(folder) = folder else { return Ok(CommitOutcome::WouldCommit(written)) };
    let record = report::commit::record(commit, &written).map_err(|error| report::output(&error))?;
    // On the disk before the reservation: a crash must not leave a reservation whose manifests are lost.
    folder.finish(&record)?;

    let claim = Claim {
        plan: &commit.plan.id,
        workspace: &commit.workspace,
        month: commit.month,
        source: &commit.plan.header.origin.location,
        costs: commit.costs.clone(),
    };
    // From here on, a run that dies is completed by the next one, which finds this reservation.
    match ledger::open(ledger)?.reserve(&claim, commit.at)? {
        Reserve::Reserved(_) => {}
        Reserve::AlreadyReserved(held) => check_own(&held, commit)?,
        Reserve::Refused(shortages) => {
            comparison.add_shortages(&shortages);
            return Ok(CommitOutcome::Refused(comparison.into_obstacles()));
        }
    }
    match folder.keep()? {
        Kept::Here => Ok(CommitOutcome::Committed(written)),
        // Another process was faster. If it has committed another plan, this one keeps its reservation.
        Kept::Taken => match commit::committed(&commit.dir, &commit.plan.id)? {
            Some(before) => {
                commit.was_reserved = true;
                Ok(CommitOutcome::Before { at: before.committed_at })
            }
            None => Err(commit::taken(&commit.dir)),
        },
    }
}

/// Says which names are missing where somebody may rely on them.
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
        "accepted.txt leaves out what AzCopy cannot read from a list: {names}; accepted.jsonl has all"
    ));
}

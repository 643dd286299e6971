//! `presync reconcile`: compares a plan with what the platform lists.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::args::ColorArgs;
use super::exit::Exit;
use super::output::Output;
use super::parts::{self, Weigh};
use super::{ledger, say};
use crate::ledger::Ledger;
use crate::matching::Comparison;
use crate::matching::reconcile::Reconciler;
use crate::model::Scope;
use crate::model::error::{Error, Result};
use crate::plan_file::Plan;
use crate::report::comparison::{ComparisonFormat, ComparisonReport};
use crate::report::quota;
use crate::source::location::Environment;

const AFTER_HELP: &str = "\
ASSETS has the platform's own names, with or without folders: a name per line, CSV, JSON or JSON lines, as
the platform or its SDK lists them. Error codes in it, such as EBADMIME, are read too.

Exit codes:
  0  the platform has what the plan accepts, and nothing else
  1  something differs
  2  the plan or the list could not be read
  3  incomplete: the plan has assets that could not be judged, and that are not in the list";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ReconcileArgs {
    /// A plan saved by presync dry-run --plan, or a folder of parts
    #[arg(value_name = "PLAN")]
    plan: PathBuf,

    /// Files with the names that the platform lists; - is stdin
    #[arg(value_name = "ASSETS", required = true)]
    assets: Vec<PathBuf>,

    /// Column or field with the names [default: filename, name, path and the like]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,

    /// Record in the ledger that what the list has of the plan is synced: what it cost becomes used
    #[arg(long)]
    confirm: bool,

    /// With --confirm, what is set as used includes this sync already, so nothing is added to it
    #[arg(long, requires = "confirm")]
    already_used: bool,

    /// Path to the ledger [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE", requires = "confirm")]
    ledger: Option<PathBuf>,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ComparisonFormat,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Exit with 0 instead of 1 if something differs
    #[arg(long)]
    exit_zero: bool,

    #[command(flatten)]
    color: ColorArgs,
}

/// Writes the report and returns whether something differs.
///
/// # Errors
/// Returns an error if the plan or a list cannot be read, or if the report or the ledger cannot be written.
pub(super) fn run(args: &ReconcileArgs) -> Result<Exit> {
    let output = Output::of_report(args.output.as_deref(), args.format.into(), args.color.choice())?;
    let mut fill = |reconciler: &mut Reconciler| {
        args.assets.iter().try_for_each(|path| reconciler.read(path, args.column.as_deref()))?;
        match reconciler.listed() {
            0 => Err(Error::new("the list has no names, so there is nothing to compare")
                .with_hint("check that the sync has ended, and export the list again")),
            _ => Ok(()),
        }
    };
    let reconciled = reconcile(&args.plan, &mut fill, args.format, output.writer(), output.width)?;
    output.keep()?;
    if args.confirm {
        confirm(args, &reconciled)?;
    }
    Ok(Exit::of_comparison(&reconciled.comparison, args.exit_zero))
}

/// A plan that was compared with what is on the platform.
pub(crate) struct Reconciled {
    plan: Plan,
    reconciler: Reconciler,
    comparison: Comparison,
}

/// Writes a report of what `fill` adds, compared with the plan at `path`.
pub(crate) fn reconcile(
    path: &Path,
    fill: &mut dyn FnMut(&mut Reconciler) -> Result<()>,
    format: ComparisonFormat,
    out: Box<dyn Write + Send>,
    width: usize,
) -> Result<Reconciled> {
    let opened = parts::open(path, Weigh::default())?;
    let plan = opened.plan().clone();
    let mut reconciler = Reconciler::new(&plan.header, opened)?;
    fill(&mut reconciler)?;
    let mut report = ComparisonReport::new(format, plan.header.clone(), "assets", out, width);
    let assets = parts::open(path, Weigh::default())?;
    let mut comparison = reconciler.compare(assets, &mut |record| report.record(record))?;
    if let Some(why) = &plan.summary.incomplete {
        comparison.is_complete = false;
        let note = "What it does not have counts as not planned";
        comparison.notes.push(format!("The plan is incomplete: {why}. {note}."));
    }
    report.finish(&comparison)?;
    Ok(Reconciled { plan, reconciler, comparison })
}

/// Records what is there of the plan.
fn confirm(args: &ReconcileArgs, reconciled: &Reconciled) -> Result<()> {
    let Reconciled { plan, reconciler, .. } = reconciled;
    let path = ledger::path(args.ledger.as_deref(), &Environment::of_process())?;
    let mut ledger = Ledger::open_existing(&path)?.ok_or_else(|| {
        Error::new(format!("there is no ledger '{}'", path.display()))
            .with_hint("presync commit reserves a plan's quota in the ledger")
    })?;
    let (scope, now) = (ledger::scope_of(&plan.header)?, Timestamp::now());
    let name = |whole: &str| match scope.container == Scope::FOLDERS {
        true => whole.strip_prefix(&scope.prefix).unwrap_or(whole).to_owned(),
        false => whole.to_owned(),
    };
    ledger.narrow(&plan.id, &mut |whole| reconciler.has(&name(whole)), now)?;
    for held in ledger.confirm(std::slice::from_ref(&plan.id), args.already_used, now)? {
        let costs = if held.costs.is_empty() { "nothing".to_owned() } else { quota::amounts(&held.costs) };
        let used = if args.already_used { "was used before" } else { "is used now" };
        say(&format!("confirmed {}: {costs} of {} for {} {used}", held.plan, held.workspace, held.period));
    }
    Ok(())
}

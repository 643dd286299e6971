//! `presync quota`: shows and changes the ledger.

use std::io::Write;
use std::path::Path;

use anstream::ColorChoice;
use jiff::Timestamp;

use super::exit::Exit;
use super::output::{Output, stdout};
use super::parts::{self, Weigh};
use super::target::{Resolved, Target};
use super::{ledger, say};
use crate::ledger::{Ledger, Release, Reservation};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Filter, Month, Period, QuotaKind};
use crate::report::quota::{self, Statement, Workspace};
use crate::report::runner::Syntax;
use crate::report::{self, shown};
use crate::source::location::Environment;

pub(super) mod args;

pub(super) use args::QuotaArgs;
use args::{ConfirmArgs, ForgetArgs, PlansArgs, QuotaCommand, ReleaseArgs, SetArgs, ShowArgs, SyncedArgs};

/// Shows or changes the ledger.
///
/// # Errors
/// Returns an error if the ledger cannot be read or written, or if the plan to release has no reservation.
pub(super) fn run(args: &QuotaArgs) -> Result<Exit> {
    let (environment, now) = (Environment::of_process(), Timestamp::now());
    match &args.command {
        None => show(&args.show, &environment, now),
        Some(QuotaCommand::Show(args)) => show(args, &environment, now),
        Some(QuotaCommand::Set(args)) => set(args, &environment, now),
        Some(QuotaCommand::Confirm(args)) => confirm(args, &environment, now),
        Some(QuotaCommand::Release(args)) => release(args, &environment, now),
        Some(QuotaCommand::Synced(args)) => synced(args, &environment, now),
        Some(QuotaCommand::Forget(args)) => forget(args, &environment),
    }?;
    Ok(Exit::Clean)
}

fn show(args: &ShowArgs, environment: &Environment, now: Timestamp) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let month = args.month.unwrap_or(Month::of(now));
    let only = args.workspace.as_deref();
    let mut statement = Statement { ledger: &path, month, workspaces: Vec::new(), history: None };
    if let Some(ledger) = Ledger::open_existing(&path)? {
        let mut names = ledger.workspaces(Period::Month(month))?;
        names.extend(ledger.workspaces(Period::Stock)?);
        names.sort();
        names.dedup();
        names.retain(|name| only.is_none_or(|only| only == name));
        for name in names {
            let (of_month, stock) = (Period::Month(month), Period::Stock);
            let mut reservations = ledger.reservations(&name, of_month)?;
            reservations.extend(ledger.reservations(&name, stock)?);
            statement.workspaces.push(Workspace {
                balances: ledger.balances(&name, of_month)?,
                stock: ledger.balances(&name, stock)?,
                reservations,
                synced: ledger.synced(&name)?,
                name,
            });
        }
        if args.history {
            let mut history = ledger.history(only, Some(Period::Month(month)))?;
            history.extend(ledger.history(only, Some(Period::Stock))?);
            history.sort_by_key(|change| change.time);
            statement.history = Some(history);
        }
    } else if args.history {
        statement.history = Some(Vec::new());
    }
    let output = Output::open(None, args.format, args.color.choice())?;
    quota::write(args.format, &statement, output.writer(), output.width)
        .map_err(|error| report::output(&error))
}

fn set(args: &SetArgs, environment: &Environment, now: Timestamp) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let mut ledger = ledger::open(&path)?;
    let workspace = shown(&args.workspace);
    let mut lines = Vec::new();
    let mut waiting = 0;
    for kind in QuotaKind::ALL {
        let period = args.period(kind, now);
        let limits: Vec<_> = args.limits().into_iter().filter(|(of, _)| *of == kind).collect();
        let used: Vec<_> = args.used().into_iter().filter(|(of, _)| *of == kind).collect();
        let changes = ledger.set(&args.workspace, period, &limits, &used, now)?;
        lines
            .extend(changes.iter().map(|change| format!("{workspace}, {period}, {}", quota::change(change))));
        if !used.is_empty() {
            let reserved = ledger.reservations(&args.workspace, period)?;
            waiting = waiting.max(reserved.iter().filter(|held| held.costs.contains_key(&kind)).count());
        }
    }
    if lines.is_empty() {
        lines.push("nothing to change".to_owned());
    }
    if waiting > 0 {
        let plans = if waiting == 1 { "1 plan is".to_owned() } else { format!("{waiting} plans are") };
        say(&format!(
            "{plans} reserved besides; if what is used includes them, run: presync quota confirm --already-used --all"
        ));
    }
    say_result(lines)
}

/// The plans that the arguments name.
fn plans(args: &PlansArgs, ledger: &Ledger, path: &Path) -> Result<Vec<String>> {
    if args.all {
        let active = ledger.active(args.workspace.as_deref())?;
        return Ok(active.into_iter().map(|held| held.plan).collect());
    }
    let mut plans = Vec::new();
    for begin in &args.plans {
        let mut found = ledger.plans(begin)?;
        match found.len() {
            0 => return Err(no_reservation(begin, path)),
            1 => plans.append(&mut found),
            _ => {
                let (shown, listed) = (begin.escape_debug(), found.join("\n  "));
                return Err(Error::new(format!("several plans begin with '{shown}'"))
                    .with_hint(format!("give more of the id of one of these:\n  {listed}")));
            }
        }
    }
    Ok(plans)
}

fn no_reservation(plan: &str, path: &Path) -> Error {
    let (path, plan) = (path.display(), plan.escape_debug());
    Error::new(format!("the ledger '{path}' has no reservation for the plan '{plan}'"))
        .because(Cause::NotFound)
        .with_hint("presync quota show lists the plans with one; use --month for another month")
}

fn confirm(args: &ConfirmArgs, environment: &Environment, now: Timestamp) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let ledger = Ledger::open_existing(&path)?;
    let Some(mut ledger) = ledger else {
        return match args.plans.plans.first() {
            Some(plan) => Err(no_reservation(plan, &path)),
            None => say_result(["nothing is reserved".to_owned()]),
        };
    };
    let plans = plans(&args.plans, &ledger, &path)?;
    let confirmed = ledger.confirm(&plans, args.already_used, now)?;
    let line = |held: &Reservation| {
        let (workspace, period, plan) = (shown(&held.workspace), held.period, shown(&held.plan));
        let costs = if held.costs.is_empty() { "nothing".to_owned() } else { quota::amounts(&held.costs) };
        let used = if args.already_used { "was used before" } else { "is used now" };
        format!("confirmed {plan}: {costs} of {workspace} for {period} {used}")
    };
    match confirmed.is_empty() {
        true => say_result(["nothing is reserved".to_owned()]),
        false => say_result(confirmed.iter().map(line)),
    }
}

fn release(args: &ReleaseArgs, environment: &Environment, now: Timestamp) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let Some(mut ledger) = Ledger::open_existing(&path)? else {
        return match args.plans.plans.first() {
            Some(plan) => Err(no_reservation(plan, &path)),
            None => say_result(["nothing is reserved".to_owned()]),
        };
    };
    let plans = plans(&args.plans, &ledger, &path)?;
    let mut lines = Vec::new();
    // The last one first: what is left of the others need not be worked out again and again.
    for plan in plans.iter().rev() {
        lines.push(match ledger.release(plan, now)? {
            Release::Released(held) => {
                let (workspace, period) = (shown(&held.workspace), held.period);
                let costs =
                    if held.costs.is_empty() { "nothing".to_owned() } else { quota::amounts(&held.costs) };
                format!("released {costs} of {workspace} for {period}")
            }
            Release::ReleasedBefore(_) => "already released".to_owned(),
            Release::Unknown => return Err(no_reservation(plan, &path)),
        });
    }
    match lines.is_empty() {
        true => say_result(["nothing is reserved".to_owned()]),
        false => say_result(lines),
    }
}

fn synced(args: &SyncedArgs, environment: &Environment, now: Timestamp) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let opened = parts::open(&args.plan, Weigh::default())?;
    let plan = opened.plan().clone();
    let workspace = args.workspace.as_deref().or(plan.header.workspace.as_deref()).unwrap_or("default");
    let scope = ledger::scope_of(&plan.header)?;
    let recorded = ledger::open(&path)?.record(workspace, &plan, &scope, opened, now)?;
    let (assets, source) = (recorded.assets, shown(&recorded.source));
    say_result([format!("{assets} assets of {source} are known to be synced into {}", shown(workspace))])
}

fn forget(args: &ForgetArgs, environment: &Environment) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let target = Target { source: &args.source, azure: &args.azure, profile: None };
    let resolved = Resolved::source(target, environment)?;
    let workspace = resolved.workspace(args.workspace.as_deref()).unwrap_or("default");
    let scope = resolved.location.scope(true, &Filter::default());
    let forgotten = match Ledger::open_existing(&path)? {
        Some(mut ledger) => ledger.forget(workspace, &scope)?,
        None => Vec::new(),
    };
    match forgotten.is_empty() {
        true => say_result(["nothing was known to be synced".to_owned()]),
        false => say_result(
            forgotten
                .iter()
                .map(|synced| format!("forgot {} assets of {}", synced.assets, shown(&synced.source))),
        ),
    }
}

/// Prints lines to stdout.
fn say_result(lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut out = stdout(Syntax::Text, ColorChoice::Auto);
    let print = || lines.into_iter().try_for_each(|line| writeln!(out, "{line}"));
    print().map_err(|error| report::output(&error))
}

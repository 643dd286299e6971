//! `presync quota`: shows and changes a month's quota in the ledger.

use std::io::Write;

use anstream::ColorChoice;
use jiff::Timestamp;

use super::exit::Exit;
use super::ledger;
use super::output::{Output, stdout};
use crate::ledger::{Ledger, Release};
use crate::model::Month;
use crate::model::error::{Error, Result};
use crate::report::quota::{self, Statement, Workspace};
use crate::report::runner::Syntax;
use crate::report::{self, shown};
use crate::source::location::Environment;

mod args;

pub(super) use args::QuotaArgs;
use args::{QuotaCommand, ReleaseArgs, SetArgs, ShowArgs};

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
        Some(QuotaCommand::Release(args)) => release(args, &environment, now),
    }?;
    Ok(Exit::Clean)
}

fn show(args: &ShowArgs, environment: &Environment, now: Timestamp) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let month = args.month.unwrap_or(Month::of(now));
    let only = args.workspace.as_deref();
    let mut statement = Statement { ledger: &path, month, workspaces: Vec::new(), history: None };
    if let Some(ledger) = Ledger::open_existing(&path)? {
        let mut names = ledger.workspaces(month)?;
        names.retain(|name| only.is_none_or(|only| only == name));
        for name in names {
            let balances = ledger.balances(&name, month)?;
            let reservations = ledger.reservations(&name, month)?;
            statement.workspaces.push(Workspace { name, balances, reservations });
        }
        if args.history {
            statement.history = Some(ledger.history(only, Some(month))?);
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
    let month = args.month.unwrap_or(Month::of(now));
    let mut ledger = ledger::open(&path)?;
    let changes = ledger.set(&args.workspace, month, &args.limits(), &args.used(), now)?;
    match changes.is_empty() {
        true => say_result(["nothing to change".to_owned()]),
        false => {
            let workspace = shown(&args.workspace);
            say_result(
                changes.iter().map(|change| format!("{workspace}, {month}, {}", quota::change(change))),
            )
        }
    }
}

fn release(args: &ReleaseArgs, environment: &Environment, now: Timestamp) -> Result<()> {
    let path = ledger::path(args.ledger.ledger.as_deref(), environment)?;
    let plan = &args.plan;
    let released = match Ledger::open_existing(&path)? {
        Some(mut ledger) => ledger.release(plan, now)?,
        None => Release::Unknown,
    };
    let line = match released {
        Release::Released(held) => {
            let (costs, workspace, month) = (quota::amounts(&held.costs), shown(&held.workspace), held.month);
            format!("released {costs} of {workspace} for {month}")
        }
        Release::ReleasedBefore(_) => "already released".to_owned(),
        Release::Unknown => {
            let (path, plan) = (path.display(), plan.escape_debug());
            return Err(Error::new(format!("the ledger '{path}' has no reservation for the plan '{plan}'"))
                .with_hint("presync quota show lists the plans with one; use --month for another month"));
        }
    };
    say_result([line])
}

/// Prints lines to stdout.
fn say_result(lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut out = stdout(Syntax::Text, ColorChoice::Auto);
    let print = || lines.into_iter().try_for_each(|line| writeln!(out, "{line}"));
    print().map_err(|error| report::output(&error))
}

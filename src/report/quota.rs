//! The report of `presync quota`.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anstyle::Style;
use jiff::Timestamp;
use serde::Serialize;

use super::TextOrJson;
use super::layout::{self, MAX_WIDTH, MIN_WIDTH, counted, number, shown};
use super::next;
use super::record::{FORMAT_VERSION, ToolRecord};
use super::style::{BOLD, DIM, ERROR, GOOD};
use crate::ledger::{Amounts, Balance, Change, Reservation, SyncedSource};
use crate::model::{Cost, Month, QuotaKind};

/// The contents of a ledger for a month.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// The ledger's file.
    pub ledger: &'a Path,
    /// The month.
    pub month: Month,
    /// The workspaces, by name.
    pub workspaces: Vec<Workspace>,
    /// Every change, oldest first, if requested.
    pub history: Option<Vec<Change>>,
}

/// The contents of a ledger for a workspace and month.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its name.
    pub name: String,
    /// The balance of each kind of quota in the month.
    pub balances: BTreeMap<QuotaKind, Balance>,
    /// The balance of each kind of quota that is not renewed.
    pub stock: BTreeMap<QuotaKind, Balance>,
    /// The active reservations, oldest first.
    pub reservations: Vec<Reservation>,
    /// What is known to be synced of each source.
    pub synced: Vec<SyncedSource>,
}

/// Writes the report to `out`. `width` is the maximum number of columns for text.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub fn write(format: TextOrJson, statement: &Statement<'_>, out: impl Write, width: usize) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match format {
        TextOrJson::Text => text(&mut out, statement, width.clamp(MIN_WIDTH, MAX_WIDTH))?,
        TextOrJson::Json => {
            serde_json::to_writer_pretty(
                crate::report::Visible::json(&mut out),
                &QuotaDocument::new(statement),
            )?;
            writeln!(out)?;
        }
    }
    out.flush()
}

/// `1,204 images, 90 frames`.
pub(crate) fn amounts(amounts: &Amounts) -> String {
    let amounts = amounts.iter().map(|(kind, amount)| format!("{} {}", number(*amount), kind.unit()));
    amounts.collect::<Vec<_>>().join(", ")
}

/// `images: limit none → 5,000`.
pub fn change(change: &Change) -> String {
    let (subject, unit) = (change.subject.as_str(), change.kind.unit());
    let amount = |amount: Option<u64>| amount.map_or_else(|| "none".to_owned(), number);
    format!("{unit}: {subject} {} → {}", amount(change.before), amount(change.after))
}

/// `2026-11-22 10:00:00`, in UTC.
fn time(time: Timestamp) -> impl std::fmt::Display {
    time.strftime("%Y-%m-%d %H:%M:%S")
}

fn text(out: &mut impl Write, statement: &Statement<'_>, width: usize) -> io::Result<()> {
    let Statement { ledger, month, workspaces, history } = statement;
    let ledger = shown(&ledger.to_string_lossy());
    writeln!(out, "{BOLD}presync quota{BOLD:#} {DIM}{}{DIM:#}\n", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  {DIM}{:<10}{DIM:#}  {ledger}", "ledger")?;
    writeln!(out, "  {DIM}{:<10}{DIM:#}  {month}", "month")?;
    if workspaces.is_empty() {
        writeln!(out, "\nNo quota is recorded; {DIM}set one with presync quota set --images N{DIM:#}")?;
    }
    for Workspace { name, balances, stock, reservations, synced } in workspaces {
        writeln!(out, "\n{BOLD}{}{BOLD:#}", shown(name))?;
        for (kind, balance) in balances {
            balance_line(out, *kind, balance, "", width)?;
        }
        for (kind, balance) in stock {
            balance_line(out, *kind, balance, " (stock)", width)?;
        }
        for Reservation { plan, source, costs, reserved_at, .. } in reservations {
            // Never cut the plan's id, because users copy it.
            let costs = if costs.is_empty() { "nothing more".to_owned() } else { amounts(costs) };
            write!(out, "  {:<10}  ", "reserved")?;
            let text = format!("{costs}  by plan {}", shown(plan));
            layout::hanging_words(out, 14, Style::new(), &text, width)?;
            writeln!(out, "  {:<10}  {DIM}{} {}{DIM:#}", "", time(*reserved_at), shown(source))?;
        }
        for one in synced {
            let overlapping = synced.iter().any(|other| other != one && other.scope.overlaps(&one.scope));
            let note = if overlapping { "; overlaps another source, and each asset counts once" } else { "" };
            let assets = counted(one.assets, "asset", "assets");
            write!(out, "  {:<10}  ", "synced")?;
            layout::hanging(out, 14, Style::new(), &format!("{assets}{note}"), width)?;
            writeln!(out, "  {:<10}  {DIM}{} {}{DIM:#}", "", time(one.confirmed_at), shown(&one.source))?;
        }
    }
    let steps = next_steps(workspaces);
    if !steps.is_empty() {
        writeln!(out)?;
        next::write(out, &steps, width)?;
    }
    let Some(history) = history else { return Ok(()) };
    writeln!(out, "\n{BOLD}History{BOLD:#}")?;
    for entry in history {
        let plan = entry.plan.as_ref().map(|plan| format!("  by plan {}", shown(plan)));
        write!(out, "  {DIM}{}{DIM:#}  ", time(entry.time))?;
        let text =
            format!("{}  {}{}", shown(&entry.workspace), change(entry), plan.as_deref().unwrap_or_default());
        layout::hanging_words(out, 23, Style::new(), &text, width)?;
    }
    Ok(())
}

/// What to do next, as labels and texts with commands.
fn next_steps(workspaces: &[Workspace]) -> Vec<(&'static str, String)> {
    let mut steps = Vec::new();
    if let Some(Reservation { plan, .. }) =
        workspaces.iter().find_map(|workspace| workspace.reservations.first())
    {
        let plan = layout::quoted(plan);
        steps.push((
            "confirm",
            format!("after the sync, presync quota confirm {plan}; if there was none, presync quota release {plan}"),
        ));
    }
    let is_spent = |balance: &Balance| balance.left() == Some(0);
    let spent =
        |workspace: &&Workspace| workspace.balances.values().chain(workspace.stock.values()).any(is_spent);
    if let Some(workspace) = workspaces.iter().find(spent) {
        let name = layout::quoted(&workspace.name);
        steps.push((
            "quota",
            format!("nothing is left; to set another limit, presync quota set --workspace {name}"),
        ));
    }
    if let (true, Some(workspace)) = (steps.is_empty(), workspaces.first()) {
        let name = layout::quoted(&workspace.name);
        steps.push((
            "check",
            format!("presync dry-run SOURCE --workspace {name} compares a source with what is left"),
        ));
    }
    steps
}

/// Writes `images      ████░░░░  1,204 of 5,000 images, 1,000 of them reserved; 3,796 left`.
fn balance_line(
    out: &mut impl Write,
    kind: QuotaKind,
    balance: &Balance,
    note: &str,
    width: usize,
) -> io::Result<()> {
    let (unit, taken) = (kind.unit(), balance.gauge().used());
    let reserved = match balance.reserved {
        0 => String::new(),
        reserved => format!(", {} of them reserved", number(reserved)),
    };
    let used = number(taken);
    let (Some(limit), Some(left)) = (balance.limit, balance.left()) else {
        write!(out, "  {unit:<10}  ")?;
        let text = format!("{used} {unit}{reserved}; no limit{note}");
        return layout::hanging(out, 14, Style::new(), &text, width);
    };
    let style = if left > 0 { GOOD } else { ERROR };
    let bar = layout::gauge(taken, limit, style);
    let used = format!("{used} of {} {unit}{reserved};", number(limit));
    let verdict = format!("{} left{note}", number(left));
    layout::gauge_row(out, unit, &bar, &used, (style, &verdict), width)
}

#[derive(Serialize)]
struct QuotaDocument<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    ledger: String,
    month: String,
    workspaces: Vec<WorkspaceRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<ChangeRecord<'a>>>,
}

#[derive(Serialize)]
struct WorkspaceRecord<'a> {
    name: &'a str,
    quota: BTreeMap<&'static str, BalanceRecord>,
    /// Quota that is not renewed; absent if there is none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stock: BTreeMap<&'static str, BalanceRecord>,
    reservations: Vec<ReservationRecord<'a>>,
    synced: Vec<SyncedRecord<'a>>,
}

/// What is known to be synced of a source.
#[derive(Serialize)]
struct SyncedRecord<'a> {
    source: &'a str,
    plan: &'a str,
    confirmed_at: Timestamp,
    assets: u64,
    cost: Cost,
}

#[derive(Serialize)]
struct BalanceRecord {
    limit: Option<u64>,
    used: u64,
    reserved: u64,
    left: Option<u64>,
}

#[derive(Serialize)]
struct ReservationRecord<'a> {
    plan: &'a str,
    source: &'a str,
    reserved_at: Timestamp,
    costs: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct ChangeRecord<'a> {
    time: Timestamp,
    workspace: &'a str,
    month: String,
    kind: &'static str,
    subject: &'static str,
    plan: Option<&'a str>,
    before: Option<u64>,
    after: Option<u64>,
}

impl<'a> QuotaDocument<'a> {
    fn new(statement: &'a Statement<'a>) -> Self {
        let history = statement.history.as_ref();
        Self {
            format_version: FORMAT_VERSION,
            tool: ToolRecord::this(),
            ledger: statement.ledger.to_string_lossy().into_owned(),
            month: statement.month.to_string(),
            workspaces: statement.workspaces.iter().map(WorkspaceRecord::new).collect(),
            history: history.map(|changes| changes.iter().map(ChangeRecord::new).collect()),
        }
    }
}

impl<'a> WorkspaceRecord<'a> {
    fn new(workspace: &'a Workspace) -> Self {
        let records = |balances: &BTreeMap<QuotaKind, Balance>| {
            let balances = balances.iter();
            balances.map(|(kind, balance)| (kind.as_str(), BalanceRecord::new(balance))).collect()
        };
        let synced = workspace.synced.iter().map(|synced| SyncedRecord {
            source: &synced.source,
            plan: &synced.plan,
            confirmed_at: synced.confirmed_at,
            assets: synced.assets,
            cost: synced.cost,
        });
        Self {
            name: &workspace.name,
            quota: records(&workspace.balances),
            stock: records(&workspace.stock),
            reservations: workspace.reservations.iter().map(ReservationRecord::new).collect(),
            synced: synced.collect(),
        }
    }
}

impl BalanceRecord {
    fn new(balance: &Balance) -> Self {
        let Balance { limit, used, reserved } = *balance;
        Self { limit, used, reserved, left: balance.left() }
    }
}

impl<'a> ReservationRecord<'a> {
    fn new(reservation: &'a Reservation) -> Self {
        let costs = reservation.costs.iter();
        Self {
            plan: &reservation.plan,
            source: &reservation.source,
            reserved_at: reservation.reserved_at,
            costs: costs.map(|(kind, cost)| (kind.as_str(), *cost)).collect(),
        }
    }
}

impl<'a> ChangeRecord<'a> {
    fn new(change: &'a Change) -> Self {
        Self {
            time: change.time,
            workspace: &change.workspace,
            month: change.period.to_string(),
            kind: change.kind.as_str(),
            subject: change.subject.as_str(),
            plan: change.plan.as_deref(),
            before: change.before,
            after: change.after,
        }
    }
}

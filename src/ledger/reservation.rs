//! Reservations: quota set aside for plans until they have been synced.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::history::{Change, Subject, record};
use super::limits::balances;
use super::pending::Pending;
use super::{Amounts, Ledger};
use crate::model::error::Result;
use crate::model::{Period, QuotaKind};

/// A request to reserve quota for a plan.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The plan's id. A plan has at most one reservation at a time.
    pub plan: &'a str,
    /// The workspace.
    pub workspace: &'a str,
    /// The period whose budget it takes from.
    pub period: Period,
    /// The source of the plan's assets, without any secrets.
    pub source: &'a str,
    /// What it takes.
    pub costs: Amounts,
    /// What it gives back of a stock, beyond what it takes.
    pub returned: Amounts,
    /// What will be on the platform after its sync, if that is known.
    pub pending: Option<Pending>,
}

/// A reservation of a plan, active or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its number in the ledger.
    pub id: i64,
    /// The plan's id.
    pub plan: String,
    /// The workspace.
    pub workspace: String,
    /// The period whose budget it takes from.
    pub period: Period,
    /// The source of the plan's assets.
    pub source: String,
    /// What it takes.
    pub costs: Amounts,
    /// What it gives back of a stock, beyond what it takes.
    pub returned: Amounts,
    /// When it was reserved.
    pub reserved_at: Timestamp,
    /// When it was released or confirmed; `None` while it is active.
    pub released_at: Option<Timestamp>,
    /// What will be on the platform after its sync, if that is known.
    pub pending: Option<Pending>,
}

/// What is missing of one kind of quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindShortage {
    /// The kind.
    pub kind: QuotaKind,
    /// What the plan needs.
    pub needed: u64,
    /// What is left.
    pub left: u64,
}

/// The result of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Everything is reserved now.
    Reserved(Reservation),
    /// The plan already holds this reservation, possibly for another workspace or period. Nothing was changed.
    AlreadyReserved(Reservation),
    /// These kinds do not have enough left, so nothing was reserved. Never empty.
    Refused(Vec<KindShortage>),
}

/// The result of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The reservation was released.
    Released(Reservation),
    /// It had already been released or confirmed. Nothing was changed.
    ReleasedBefore(Reservation),
    /// No plan with this id has ever had a reservation.
    Unknown,
}

impl Ledger {
    /// Reserves everything that a plan claims, or nothing. A kind without a limit never runs out.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be written, or the sum of reservations does not fit an `i64`.
    pub fn reserve(&mut self, claim: &Claim<'_>, now: Timestamp) -> Result<Reserve> {
        self.write(|connection| {
            // Check this first: a run that died after reserving is repeated, and must find its own reservation instead
            // of counting it as used by others.
            if let Some(held) = held_by(connection, claim.plan)? {
                return Ok(Reserve::AlreadyReserved(held));
            }
            let balances = balances(connection, claim.workspace, claim.period)?;
            let balance = |kind: QuotaKind| balances.get(&kind).copied().unwrap_or_default();
            let shortages = claim.costs.iter().filter_map(|(kind, needed)| {
                let left = balance(*kind).left().filter(|left| needed > left)?;
                Some(KindShortage { kind: *kind, needed: *needed, left })
            });
            let shortages: Vec<_> = shortages.collect();
            // Check all kinds before the first row is written: a plan reserves everything or nothing.
            if !shortages.is_empty() {
                return Ok(Reserve::Refused(shortages));
            }
            let reservation = insert(connection, claim, now)?;
            record_costs(connection, &reservation, now, |kind, cost| {
                let before = balance(kind).reserved;
                (before, before.saturating_add(cost))
            })?;
            Ok(Reserve::Reserved(reservation))
        })
    }

    /// The active reservation of a plan, if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub(crate) fn held_by(&self, plan: &str) -> Result<Option<Reservation>> {
        self.read(|connection| held_by(connection, plan))
    }

    /// The active reservations of a workspace and period, oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn reservations(&self, workspace: &str, period: Period) -> Result<Vec<Reservation>> {
        let select =
            format!("{RESERVATION} WHERE workspace = ?1 AND month = ?2 AND released_at IS NULL ORDER BY id");
        self.read(|connection| {
            let mut statement = connection.prepare(&select)?;
            let found = statement.query_map((workspace, period), reservation)?;
            found.map(|found| with_costs(connection, found?)).collect()
        })
    }

    /// The active reservations of a workspace or all, oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn active(&self, workspace: Option<&str>) -> Result<Vec<Reservation>> {
        self.read(|connection| active(connection, workspace))
    }

    /// The plans with a reservation, active or not, whose ids begin with `begin`. If one of them is `begin` itself, or
    /// if some are active, only those.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn plans(&self, begin: &str) -> Result<Vec<String>> {
        const PLANS: &str = "SELECT plan, min(released_at IS NOT NULL) FROM reservation \
                             WHERE substr(plan, 1, length(?1)) = ?1 GROUP BY plan ORDER BY 2, plan";
        self.read(|connection| {
            let mut statement = connection.prepare(PLANS)?;
            let found = statement.query_map([begin], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let found: Vec<(String, bool)> = found.collect::<rusqlite::Result<_>>()?;
            let (exact, is_over) = match found.first() {
                None => return Ok(Vec::new()),
                Some((_, is_over)) => (found.iter().find(|(plan, _)| plan == begin), *is_over),
            };
            Ok(match exact {
                Some((plan, _)) => vec![plan.clone()],
                None => {
                    let kept = found.iter().filter(|(_, over)| *over == is_over);
                    kept.map(|(plan, _)| plan.clone()).collect()
                }
            })
        })
    }
}

const RESERVATION: &str = "SELECT id, plan, workspace, month, source, reserved_at, released_at, \
                           container, prefix, recursive, file, counting, assets, images, frames, filter FROM reservation";

fn held_by(connection: &Connection, plan: &str) -> rusqlite::Result<Option<Reservation>> {
    Ok(latest(connection, plan)?.filter(|held| held.released_at.is_none()))
}

/// The latest reservation of a plan, which is the only one that can be active.
pub(super) fn latest(connection: &Connection, plan: &str) -> rusqlite::Result<Option<Reservation>> {
    let select = format!("{RESERVATION} WHERE plan = ?1 ORDER BY id DESC LIMIT 1");
    let found = connection.query_row(&select, [plan], reservation).optional()?;
    found.map(|found| with_costs(connection, found)).transpose()
}

/// The active reservations of a workspace or all, oldest first.
pub(super) fn active(connection: &Connection, workspace: Option<&str>) -> rusqlite::Result<Vec<Reservation>> {
    let select =
        format!("{RESERVATION} WHERE workspace = ifnull(?1, workspace) AND released_at IS NULL ORDER BY id");
    let mut statement = connection.prepare(&select)?;
    let found = statement.query_map([workspace], reservation)?;
    found.map(|found| with_costs(connection, found?)).collect()
}

/// A row without its costs.
fn reservation(row: &Row<'_>) -> rusqlite::Result<Reservation> {
    Ok(Reservation {
        id: row.get(0)?,
        plan: row.get(1)?,
        workspace: row.get(2)?,
        period: row.get(3)?,
        source: row.get(4)?,
        costs: Amounts::new(),
        returned: Amounts::new(),
        reserved_at: row.get(5)?,
        released_at: row.get(6)?,
        pending: Pending::of_row(row, 7)?,
    })
}

fn with_costs(connection: &Connection, reservation: Reservation) -> rusqlite::Result<Reservation> {
    let mut statement =
        connection.prepare("SELECT kind, amount, returned FROM reserved WHERE reservation = ?1")?;
    let (mut costs, mut returned) = (Amounts::new(), Amounts::new());
    let mut rows = statement.query([reservation.id])?;
    while let Some(row) = rows.next()? {
        costs.insert(row.get(0)?, row.get(1)?);
        if let Some(back) = row.get::<_, Option<u64>>(2)?.filter(|back| *back > 0) {
            returned.insert(row.get(0)?, back);
        }
    }
    Ok(Reservation { costs, returned, ..reservation })
}

fn insert(connection: &Connection, claim: &Claim<'_>, now: Timestamp) -> rusqlite::Result<Reservation> {
    let Claim { plan, workspace, period, source, costs, returned, pending } = claim;
    connection.execute(
        "INSERT INTO reservation (plan, workspace, month, source, reserved_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (plan, workspace, period, source, now),
    )?;
    let id = connection.last_insert_rowid();
    if let Some(pending) = pending {
        pending.put(connection, id)?;
    }
    put_amounts(connection, id, costs, returned)?;
    Ok(Reservation {
        id,
        plan: (*plan).to_owned(),
        workspace: (*workspace).to_owned(),
        period: *period,
        source: (*source).to_owned(),
        costs: costs.clone(),
        returned: returned.clone(),
        reserved_at: now,
        released_at: None,
        pending: pending.clone(),
    })
}

/// Replaces what a reservation takes and gives back.
pub(super) fn put_amounts(
    connection: &Connection,
    id: i64,
    costs: &Amounts,
    returned: &Amounts,
) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM reserved WHERE reservation = ?1", [id])?;
    let mut statement = connection
        .prepare("INSERT INTO reserved (reservation, kind, amount, returned) VALUES (?1, ?2, ?3, ?4)")?;
    for kind in QuotaKind::ALL {
        let (cost, back) = (costs.get(&kind), returned.get(&kind));
        if cost.is_some() || back.is_some() {
            let amount = |amount: Option<&u64>| amount.copied().unwrap_or(0);
            statement.execute((id, kind, amount(cost), amount(back)))?;
        }
    }
    Ok(())
}

/// Ends an active reservation, and records it.
pub(super) fn end(connection: &Connection, held: &Reservation, now: Timestamp) -> rusqlite::Result<()> {
    let balances = balances(connection, &held.workspace, held.period)?;
    connection.execute("UPDATE reservation SET released_at = ?2 WHERE id = ?1", (held.id, now))?;
    record_costs(connection, held, now, |kind, cost| {
        let before = balances.get(&kind).map_or(0, |balance| balance.reserved);
        (before, before.saturating_sub(cost))
    })
}

/// Records how a reservation or its end changes the reserved sum of each kind.
fn record_costs(
    connection: &Connection,
    reservation: &Reservation,
    time: Timestamp,
    before_and_after: impl Fn(QuotaKind, u64) -> (u64, u64),
) -> rusqlite::Result<()> {
    for (kind, cost) in &reservation.costs {
        let (before, after) = before_and_after(*kind, *cost);
        record_reserved(connection, reservation, time, *kind, (before, after))?;
    }
    Ok(())
}

/// Records a change of the reserved sum of a kind.
pub(super) fn record_reserved(
    connection: &Connection,
    reservation: &Reservation,
    time: Timestamp,
    kind: QuotaKind,
    (before, after): (u64, u64),
) -> rusqlite::Result<()> {
    let change = Change {
        time,
        workspace: reservation.workspace.clone(),
        period: reservation.period,
        kind,
        subject: Subject::Reserved,
        plan: Some(reservation.plan.clone()),
        before: Some(before),
        after: Some(after),
    };
    record(connection, &change)
}

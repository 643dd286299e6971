//! Reservations: quota set aside for plans until the platform shows it as used.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::history::{Change, Subject, record};
use super::limits::balances;
use super::{Amounts, Ledger};
use crate::model::error::Result;
use crate::model::{Month, QuotaKind};

/// A request to reserve quota for a plan.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The plan's id. A plan has at most one reservation at a time.
    pub plan: &'a str,
    /// The workspace.
    pub workspace: &'a str,
    /// The month whose budget it takes from.
    pub month: Month,
    /// The source of the plan's assets, without any secrets.
    pub source: &'a str,
    /// What it takes.
    pub costs: Amounts,
}

/// A reservation of a plan, active or released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its number in the ledger.
    pub id: i64,
    /// The plan's id.
    pub plan: String,
    /// The workspace.
    pub workspace: String,
    /// The month whose budget it takes from.
    pub month: Month,
    /// The source of the plan's assets.
    pub source: String,
    /// What it takes.
    pub costs: Amounts,
    /// When it was reserved.
    pub reserved_at: Timestamp,
    /// When it was released; `None` while it is active.
    pub released_at: Option<Timestamp>,
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
    /// The plan already holds this reservation, possibly for another workspace or month. Nothing was changed.
    AlreadyReserved(Reservation),
    /// These kinds do not have enough left, so nothing was reserved. Never empty.
    Refused(Vec<KindShortage>),
}

/// The result of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The reservation was released.
    Released(Reservation),
    /// It had already been released. Nothing was changed.
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
            let balances = balances(connection, claim.workspace, claim.month)?;
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

    /// Releases the reservation of a plan, because it will not be synced or the platform now shows it as used.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be written.
    pub fn release(&mut self, plan: &str, now: Timestamp) -> Result<Release> {
        self.write(|connection| {
            // Read in the same transaction as the update, so that it cannot be released twice.
            let Some(held) = latest(connection, plan)? else { return Ok(Release::Unknown) };
            if held.released_at.is_some() {
                return Ok(Release::ReleasedBefore(held));
            }
            let balances = balances(connection, &held.workspace, held.month)?;
            connection.execute("UPDATE reservation SET released_at = ?2 WHERE id = ?1", (held.id, now))?;
            record_costs(connection, &held, now, |kind, cost| {
                let before = balances.get(&kind).map_or(0, |balance| balance.reserved);
                (before, before.saturating_sub(cost))
            })?;
            Ok(Release::Released(Reservation { released_at: Some(now), ..held }))
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

    /// The active reservations of a workspace and month, oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn reservations(&self, workspace: &str, month: Month) -> Result<Vec<Reservation>> {
        let select =
            format!("{RESERVATION} WHERE workspace = ?1 AND month = ?2 AND released_at IS NULL ORDER BY id");
        self.read(|connection| {
            let mut statement = connection.prepare(&select)?;
            let found = statement.query_map((workspace, month), reservation)?;
            found.map(|found| with_costs(connection, found?)).collect()
        })
    }
}

const RESERVATION: &str =
    "SELECT id, plan, workspace, month, source, reserved_at, released_at FROM reservation";

fn held_by(connection: &Connection, plan: &str) -> rusqlite::Result<Option<Reservation>> {
    Ok(latest(connection, plan)?.filter(|held| held.released_at.is_none()))
}

/// The latest reservation of a plan, which is the only one that can be active.
fn latest(connection: &Connection, plan: &str) -> rusqlite::Result<Option<Reservation>> {
    let select = format!("{RESERVATION} WHERE plan = ?1 ORDER BY id DESC LIMIT 1");
    let found = connection.query_row(&select, [plan], reservation).optional()?;
    found.map(|found| with_costs(connection, found)).transpose()
}

fn reservation(row: &Row<'_>) -> rusqlite::Result<Reservation> {
    Ok(Reservation {
        id: row.get(0)?,
        plan: row.get(1)?,
        workspace: row.get(2)?,
        month: row.get(3)?,
        source: row.get(4)?,
        reserved_at: row.get(5)?,
        released_at: row.get(6)?,
        costs: Amounts::new(),
    })
}

fn with_costs(connection: &Connection, reservation: Reservation) -> rusqlite::Result<Reservation> {
    let mut statement = connection.prepare("SELECT kind, amount FROM reserved WHERE reservation = ?1")?;
    let costs = statement.query_map([reservation.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Reservation { costs: costs.collect::<rusqlite::Result<_>>()?, ..reservation })
}

fn insert(connection: &Connection, claim: &Claim<'_>, now: Timestamp) -> rusqlite::Result<Reservation> {
    let Claim { plan, workspace, month, source, costs } = claim;
    connection.execute(
        "INSERT INTO reservation (plan, workspace, month, source, reserved_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (plan, workspace, month, source, now),
    )?;
    let id = connection.last_insert_rowid();
    let mut statement =
        connection.prepare("INSERT INTO reserved (reservation, kind, amount) VALUES (?1, ?2, ?3)")?;
    for (kind, cost) in costs {
        statement.execute((id, kind, cost))?;
    }
    Ok(Reservation {
        id,
        plan: (*plan).to_owned(),
        workspace: (*workspace).to_owned(),
        month: *month,
        source: (*source).to_owned(),
        costs: costs.clone(),
        reserved_at: now,
        released_at: None,
    })
}

/// Records how a reservation or its release changes the reserved sum of each kind.
fn record_costs(
    connection: &Connection,
    reservation: &Reservation,
    time: Timestamp,
    before_and_after: impl Fn(QuotaKind, u64) -> (u64, u64),
) -> rusqlite::Result<()> {
    for (kind, cost) in &reservation.costs {
        let (before, after) = before_and_after(*kind, *cost);
        let change = Change {
            time,
            workspace: reservation.workspace.clone(),
            month: reservation.month,
            kind: *kind,
            subject: Subject::Reserved,
            plan: Some(reservation.plan.clone()),
            before: Some(before),
            after: Some(after),
        };
        record(connection, &change)?;
    }
    Ok(())
}

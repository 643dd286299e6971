//! Reservations: what plans take of a budget before the platform shows it as used.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::history::{Change, Subject, record};
use super::limits::balances;
use super::{Amounts, Ledger};
use crate::model::error::Result;
use crate::model::{Month, QuotaKind};

/// What a plan asks for.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The plan's id. A plan has at most one reservation at a time.
    pub plan: &'a str,
    /// The workspace.
    pub workspace: &'a str,
    /// The month whose budget it takes from.
    pub month: Month,
    /// The source of the plan's assets, without any secret.
    pub source: &'a str,
    /// What it takes.
    pub costs: Amounts,
}

/// What a plan holds, or held.
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
    /// Since when.
    pub reserved_at: Timestamp,
    /// Until when; `None` while it holds.
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
    /// All of it is reserved now.
    Reserved(Reservation),
    /// The plan holds this already, perhaps of another workspace or month; nothing was changed.
    AlreadyReserved(Reservation),
    /// These kinds have too little left, so nothing was reserved. Never empty.
    Refused(Vec<KindShortage>),
}

/// The result of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// What the plan held is free again.
    Released(Reservation),
    /// It was released before; nothing was changed.
    ReleasedBefore(Reservation),
    /// No plan of this id ever had a reservation.
    Unknown,
}

impl Ledger {
    /// Reserves all that a plan asks for, or nothing. A kind without a limit never runs out.
    ///
    /// # Errors
    ///
    /// The ledger cannot be written, or the sum of what is reserved is larger than an `i64` holds.
    pub fn reserve(&mut self, claim: &Claim<'_>, now: Timestamp) -> Result<Reserve> {
        self.write(|connection| {
            // First, because a run that died after this step is repeated, and must find its own reservation instead of
            // counting it against itself.
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
            // All kinds before the first row is written: a plan reserves everything or nothing.
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

    /// Releases what a plan holds: because it will not be synced, or because the platform shows it as used.
    ///
    /// # Errors
    ///
    /// The ledger cannot be written.
    pub fn release(&mut self, plan: &str, now: Timestamp) -> Result<Release> {
        self.write(|connection| {
            // Read in the same transaction as the update, so that two releases cannot both give it back.
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

    /// What a plan holds, if it holds anything.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub fn held_by(&self, plan: &str) -> Result<Option<Reservation>> {
        self.read(|connection| held_by(connection, plan))
    }

    /// The reservations that hold in a workspace and month, oldest first.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
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

/// The plan's last reservation, which is the only one that may hold.
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

/// Records what a reservation or its release does to the sum of what is reserved, for each kind.
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

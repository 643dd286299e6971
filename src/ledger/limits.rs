//! Limits and use, as stated by the user.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Connection;

use super::history::{Change, Subject, record};
use super::{Balance, Ledger};
use crate::model::error::Result;
use crate::model::{Period, QuotaKind};

impl Ledger {
    /// Sets limits, where `None` is no limit, and what the platform shows as used. Returns the changes, which may
    /// be none.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be written, or a number does not fit an `i64`.
    pub fn set(
        &mut self,
        workspace: &str,
        period: Period,
        limits: &[(QuotaKind, Option<u64>)],
        used: &[(QuotaKind, u64)],
        now: Timestamp,
    ) -> Result<Vec<Change>> {
        let limits = limits.iter().map(|(kind, limit)| (*kind, Subject::Limit, *limit));
        let used = used.iter().map(|(kind, used)| (*kind, Subject::Used, Some(*used)));
        self.write(|connection| {
            let mut changes = Vec::new();
            for (kind, subject, after) in limits.chain(used) {
                let balance = balances(connection, workspace, period)?.remove(&kind).unwrap_or_default();
                let before = match subject {
                    Subject::Limit => balance.limit,
                    _ => Some(balance.used),
                };
                if before == after {
                    continue;
                }
                put(connection, (workspace, period, kind), subject, after)?;
                let workspace = workspace.to_owned();
                let change =
                    Change { time: now, workspace, period, kind, subject, plan: None, before, after };
                record(connection, &change)?;
                changes.push(change);
            }
            Ok(changes)
        })
    }

    /// The balances of a workspace in a period, by kind. Kinds without any record are absent.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn balances(&self, workspace: &str, period: Period) -> Result<BTreeMap<QuotaKind, Balance>> {
        self.read(|connection| balances(connection, workspace, period))
    }

    /// The workspaces with any record in a period, by name.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn workspaces(&self, period: Period) -> Result<Vec<String>> {
        const WORKSPACES: &str = "SELECT workspace FROM quota WHERE month = ?1 \
                                  UNION SELECT workspace FROM reservation WHERE month = ?1 ORDER BY workspace";
        self.read(|connection| {
            connection.prepare(WORKSPACES)?.query_map([period], |row| row.get(0))?.collect()
        })
    }
}

pub(super) fn put(
    connection: &Connection,
    (workspace, period, kind): (&str, Period, QuotaKind),
    subject: Subject,
    value: Option<u64>,
) -> rusqlite::Result<()> {
    let put = match subject {
        Subject::Limit => {
            "INSERT INTO quota (workspace, month, kind, allowed, used) VALUES (?1, ?2, ?3, ?4, 0) \
             ON CONFLICT DO UPDATE SET allowed = excluded.allowed"
        }
        _ => {
            "INSERT INTO quota (workspace, month, kind, used) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET used = excluded.used"
        }
    };
    connection.execute(put, (workspace, period, kind, value)).map(drop)
}

/// The same as [`Ledger::balances`], within a transaction.
pub(super) fn balances(
    connection: &Connection,
    workspace: &str,
    period: Period,
) -> rusqlite::Result<BTreeMap<QuotaKind, Balance>> {
    let mut balances: BTreeMap<QuotaKind, Balance> = BTreeMap::new();
    let mut limits =
        connection.prepare("SELECT kind, allowed, used FROM quota WHERE workspace = ?1 AND month = ?2")?;
    let mut rows = limits.query((workspace, period))?;
    while let Some(row) = rows.next()? {
        balances.insert(row.get(0)?, Balance { limit: row.get(1)?, used: row.get(2)?, reserved: 0 });
    }
    // Added up here, because SQLite's `sum()` fails on overflow.
    let mut reserved = connection.prepare(
        "SELECT kind, amount FROM reserved JOIN reservation ON reservation.id = reserved.reservation \
         WHERE workspace = ?1 AND month = ?2 AND released_at IS NULL",
    )?;
    let mut rows = reserved.query((workspace, period))?;
    while let Some(row) = rows.next()? {
        let balance = balances.entry(row.get(0)?).or_default();
        balance.reserved = balance.reserved.saturating_add(row.get(1)?);
    }
    balances.retain(|_, balance| *balance != Balance::default());
    Ok(balances)
}

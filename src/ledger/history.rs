//! The table of changes: every change adds a row, and rows are never removed.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql};

use super::Ledger;
use super::sql::parsed;
use crate::model::error::Result;
use crate::model::{Period, QuotaKind};

/// The number that a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The limit.
    Limit,
    /// What the platform shows as used.
    Used,
    /// The sum of what is reserved.
    Reserved,
}

impl Subject {
    const ALL: [Self; 3] = [Self::Limit, Self::Used, Self::Reserved];

    /// `limit`, `used` or `reserved`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Used => "used",
            Self::Reserved => "reserved",
        }
    }
}

/// A change of one number. A reservation or release has one for each kind of quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub time: Timestamp,
    /// The workspace.
    pub workspace: String,
    /// The month, or the stock.
    pub period: Period,
    /// The kind of quota.
    pub kind: QuotaKind,
    /// Which number.
    pub subject: Subject,
    /// The plan that changed it; `None` for the user.
    pub plan: Option<String>,
    /// The number before; `None` for no limit.
    pub before: Option<u64>,
    /// The number after; `None` for no limit.
    pub after: Option<u64>,
}

impl Ledger {
    /// Every change, oldest first, of one workspace or all, in one period or all.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn history(&self, workspace: Option<&str>, period: Option<Period>) -> Result<Vec<Change>> {
        const CHANGES: &str = "SELECT time, workspace, month, kind, subject, plan, before, after FROM change \
                               WHERE workspace = ifnull(?1, workspace) AND month = ifnull(?2, month) ORDER BY id";
        self.read(|connection| connection.prepare(CHANGES)?.query_map((workspace, period), change)?.collect())
    }
}

/// Adds a change.
pub(super) fn record(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let Change { time, workspace, period, kind, subject, plan, before, after } = change;
    connection.execute(
        "INSERT INTO change (time, workspace, month, kind, subject, plan, before, after) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (time, workspace, period, kind, subject, plan, before, after),
    )?;
    Ok(())
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        time: row.get(0)?,
        workspace: row.get(1)?,
        period: row.get(2)?,
        kind: row.get(3)?,
        subject: row.get(4)?,
        plan: row.get(5)?,
        before: row.get(6)?,
        after: row.get(7)?,
    })
}

impl ToSql for Subject {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Subject {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parsed(value, |text| Self::ALL.into_iter().find(|subject| subject.as_str() == text))
    }
}

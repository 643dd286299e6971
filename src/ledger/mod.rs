//! The ledger: what a workspace of the platform may use of its quota in a month, what it used, and what plans reserve.
//!
//! One SQLite file, which any number of processes may use at a time. What changes it is one transaction that takes the
//! file's only write lock before it reads, so that two processes can never spend the same budget, and a process that
//! dies leaves no half-made change. Nothing here reads the clock: the time is an argument.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::model::error::{Error, Result};
use crate::model::{Gauge, QuotaKind};

mod failure;
mod file;
mod history;
mod limits;
mod reservation;
mod sql;
#[cfg(test)]
mod tests;

pub use file::default_path;
pub use history::{Change, Subject};
pub use reservation::{Claim, KindShortage, Release, Reservation, Reserve};

/// What one kind of quota amounts to in a month. By default nothing is recorded: no limit and no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// The month's limit; `None` for none.
    pub limit: Option<u64>,
    /// What the platform shows as used, as the user stated it.
    pub used: u64,
    /// What plans have reserved and not released.
    pub reserved: u64,
}

impl Balance {
    /// What is left, `None` without a limit. More used and reserved than allowed leaves 0.
    pub fn left(&self) -> Option<u64> {
        self.gauge().left()
    }

    /// The gauge of a run that may use what is left.
    pub fn gauge(&self) -> Gauge {
        Gauge::new(self.limit, self.used.saturating_add(self.reserved))
    }
}

/// An amount for each kind of quota that is meant.
pub type Amounts = BTreeMap<QuotaKind, u64>;

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
}

impl Ledger {
    /// Opens the ledger at `path`, and creates it if there is no such file. Its folder must exist.
    ///
    /// # Errors
    ///
    /// The file isn't a ledger, is damaged, or was written by a newer presync; or it cannot be created, opened or read.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(ledger) = Self::open_existing(path)? {
            return Ok(ledger);
        }
        file::create(path)?;
        Self::open_existing(path)?.ok_or_else(|| {
            Error::new(format!("the ledger '{}' was removed while it was opened", path.display()))
        })
    }

    /// Opens the ledger at `path`, if there is such a file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_existing(path: &Path) -> Result<Option<Self>> {
        let connection = file::connect(path)?;
        Ok(connection.map(|connection| Self { path: path.to_owned(), connection }))
    }

    /// Changes the ledger in one transaction.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let change = || {
            // Immediate takes the write lock before the first read. With a deferred one, two processes could read the
            // same balance and both spend it.
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        change().map_err(|error| failure::explain(&self.path, &error))
    }

    /// Reads one state of the ledger, even if other processes change it meanwhile.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let read = || {
            // Without a transaction, each statement would see a state of its own.
            let transaction = self.connection.unchecked_transaction()?;
            work(&transaction)
        };
        read().map_err(|error| failure::explain(&self.path, &error))
    }
}

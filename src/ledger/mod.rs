//! The ledger: the quota of each workspace on the platform, what is used of it, what plans have reserved, and what has
//! been synced already.
//!
//! It is one SQLite file, with a folder of files beside it for what has been synced, which any number of processes can use at the same time. Every change is one transaction that
//! takes the file's only write lock before it reads, so that two processes can never spend the same budget, and a
//! process that dies leaves no partial change. Nothing here reads the clock: the time is an argument.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::model::error::{Error, Result};
use crate::model::{Gauge, QuotaKind};

mod confirm;
mod failure;
mod file;
mod history;
mod limits;
mod pending;
mod platform;
mod reservation;
mod sql;
#[cfg(test)]
mod tests;

pub use file::default_path;
pub use history::{Change, Subject};
pub use pending::{Counting, Pending};
pub use platform::{FilesLock, Known, SyncedSource};
pub use reservation::{Claim, KindShortage, Release, Reservation, Reserve};

/// The balance of one kind of quota in a period. The default is no limit and no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// The limit; `None` for no limit.
    pub limit: Option<u64>,
    /// What the platform shows as used, as the user stated it.
    pub used: u64,
    /// What plans have reserved and not yet released.
    pub reserved: u64,
}

impl Balance {
    /// What is left; `None` without a limit, and 0 if more is used and reserved than the limit allows.
    pub fn left(&self) -> Option<u64> {
        self.gauge().left()
    }

    /// The gauge for a run that can use what is left.
    pub fn gauge(&self) -> Gauge {
        Gauge::new(self.limit, self.used.saturating_add(self.reserved))
    }
}

/// An amount for each relevant kind of quota.
pub type Amounts = BTreeMap<QuotaKind, u64>;

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
}

impl Ledger {
    /// Opens the ledger at `path`, or creates it if it does not exist. Its folder must exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the file isn't a ledger, is damaged, or was written by a newer presync, or if it cannot be
    /// created, opened or read.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(ledger) = Self::open_existing(path)? {
            return Ok(ledger);
        }
        file::create(path)?;
        Self::open_existing(path)?.ok_or_else(|| {
            Error::new(format!("the ledger '{}' was removed while it was being opened", path.display()))
        })
    }

    /// Opens the ledger at `path`, if it exists.
    ///
    /// # Errors
    ///
    /// The same as for [`open`](Self::open).
    pub(crate) fn open_existing(path: &Path) -> Result<Option<Self>> {
        let connection = file::connect(path)?;
        Ok(connection.map(|connection| Self { path: path.to_owned(), connection }))
    }

    /// Changes the ledger in one transaction.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let change = || {
            // An immediate transaction takes the write lock before the first read. With a deferred one, two processes
            // could read the same balance and both spend it.
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
            // Without a transaction, each statement could see a different state.
            let transaction = self.connection.unchecked_transaction()?;
            work(&transaction)
        };
        read().map_err(|error| failure::explain(&self.path, &error))
    }
}

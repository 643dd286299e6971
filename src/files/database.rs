//! A database in a temporary file, for what is sorted or looked up in bounded memory.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::temporary;
use crate::model::error::{Error, Result};

/// Memory for a database, in KiB; the rest is in a temporary file that is deleted with it.
const CACHE_KIB: u32 = 16 << 10;

/// Opens an empty database, runs `create` and begins a transaction.
///
/// # Errors
/// Returns an error if the temporary file cannot be written.
pub(crate) fn temporary(create: &str) -> rusqlite::Result<Connection> {
    // SQLite opens a temporary file for an empty name. It need not survive a crash: no journal, no sync.
    let database = Connection::open("")?;
    database.pragma_update(None, "journal_mode", "off")?;
    database.pragma_update(None, "synchronous", "off")?;
    database.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    // Otherwise a statement is compiled again whenever a value is bound on which the best plan may depend.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    database.execute_batch(create)?;
    database.execute_batch("begin")?;
    Ok(database)
}

/// The result of an operation on a temporary database. `what` says what cannot be done, such as `the inventory cannot be
/// sorted`.
///
/// # Errors
/// Returns an error that names the folder if it is full.
pub(crate) fn checked<T>(what: &str, done: rusqlite::Result<T>) -> Result<T> {
    done.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => temporary::full_of_sqlite(),
        _ => Error::new(format!("{what}: {error}"))
            .with_hint("rows are kept in the temporary folder (TMPDIR): check that it has enough space"),
    })
}

//! SQLite's errors, with hints.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::model::error::Error;

/// The hint for a file that cannot be used as it is.
pub(super) const AWAY: &str = "name another file with --ledger, or move this one away";

/// Explains an SQLite error for the ledger at `path`. SQLite has rolled back the failed change.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    let shown = path.display();
    let Some(code) = error.sqlite_error_code() else {
        return match error {
            // The tables hold something that presync never writes.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => damaged(path),
            rusqlite::Error::ToSqlConversionFailure(..) => Error::new(format!(
                "a sum is larger than the ledger '{shown}' can hold"
            ))
            .with_hint("nothing was changed; release unneeded reservations: presync quota release --help"),
            error => Error::new(format!("the ledger '{shown}' failed: {error}")),
        };
    };
    match code {
        ErrorCode::NotADatabase => Error::new(format!("'{shown}' isn't a ledger")).with_hint(AWAY),
        ErrorCode::DatabaseCorrupt => damaged(path),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::new(format!("the ledger '{shown}' is in use by another process")).with_hint("try again")
        }
        ErrorCode::ReadOnly => Error::new(format!("the ledger '{shown}' cannot be written"))
            .with_hint("check that you may write to the file and to its folder"),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            Error::new(format!("the ledger '{shown}' cannot be opened"))
                .with_hint("check that you may read the file and write to its folder")
        }
        ErrorCode::DiskFull => Error::new(format!("the disk with the ledger '{shown}' is full"))
            .with_hint("free some space and try again; nothing was changed"),
        ErrorCode::SystemIoFailure => {
            Error::new(format!("the disk with the ledger '{shown}' failed: {error}"))
                .with_hint("check the disk and its quota; nothing was changed")
        }
        _ => Error::new(format!("the ledger '{shown}' failed: {error}")),
    }
}

/// The error for a file that was a ledger.
pub(super) fn damaged(path: &Path) -> Error {
    Error::new(format!("the ledger '{}' is damaged", path.display())).with_hint(
        "restore it from a backup, or move it away and set the limits again: presync quota set --help",
    )
}

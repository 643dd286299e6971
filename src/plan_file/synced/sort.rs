//! Sorts rows on disk.

use rusqlite::{Connection, Row, params};

use super::{SyncedRow, SyncedRows, row};
use crate::model::error::{Error, Result};
use crate::plan_file::signed;

/// Memory for the database, in KiB; the rest is in a temporary file that is deleted with it.
const CACHE_KIB: i64 = 16 << 10;
/// Rows that are read back at a time.
const BATCH: i64 = 4 << 10;

const CREATE: &str = "create table rows (name blob primary key, etag text, images integer not null,
    frames integer not null, own integer not null) without rowid";
/// A listing has each name once; of a plan that does not, the first one counts.
const INSERT: &str = "insert or ignore into rows values (?, ?, ?, ?, ?)";
const SELECT: &str = "select name, etag, images, frames, own from rows where name > ? order by name limit ?";

/// Sorts rows by the bytes of their names.
///
/// # Errors
/// Returns an error if a row cannot be read, or the temporary folder not be written to.
pub(super) fn sorted(rows: SyncedRows) -> Result<SyncedRows> {
    let database = open().map_err(|error| failed(&error))?;
    for row in rows {
        let SyncedRow { asset, is_own } = row?;
        let insert = || {
            let (images, frames) = (signed(asset.cost.images), signed(asset.cost.frames));
            let etag = asset.etag.as_ref().map(|etag| etag.as_str());
            let mut insert = database.prepare_cached(INSERT)?;
            insert.execute(params![asset.name.as_str().as_bytes(), etag, images, frames, is_own])
        };
        insert().map_err(|error| failed(&error))?;
    }
    let mut last = Some(Vec::new());
    let batches = std::iter::from_fn(move || {
        let rows = batch(&database, &last.take()?);
        if let Ok(rows) = &rows {
            last = rows.last().map(|row| row.asset.name.as_str().as_bytes().to_owned());
        }
        Some(rows.map_err(|error| failed(&error)))
    });
    Ok(Box::new(batches.flat_map(|rows| match rows {
        Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })))
}

fn open() -> rusqlite::Result<Connection> {
    // SQLite opens a temporary file for an empty name. It need not survive a crash: no journal, no sync.
    let database = Connection::open("")?;
    database.pragma_update(None, "journal_mode", "off")?;
    database.pragma_update(None, "synchronous", "off")?;
    database.pragma_update(None, "cache_size", -CACHE_KIB)?;
    database.execute_batch(CREATE)?;
    database.execute_batch("begin")?;
    Ok(database)
}

fn batch(database: &Connection, after: &[u8]) -> rusqlite::Result<Vec<SyncedRow>> {
    let read = |found: &Row<'_>| -> rusqlite::Result<SyncedRow> {
        let (name, etag): (Vec<u8>, Option<String>) = (found.get(0)?, found.get(1)?);
        let name = String::from_utf8_lossy(&name);
        Ok(row(&name, etag.as_deref(), found.get(2)?, found.get(3)?, found.get(4)?))
    };
    database.prepare_cached(SELECT)?.query_map(params![after, BATCH], read)?.collect()
}

fn failed(error: &rusqlite::Error) -> Error {
    Error::new(format!("the plan's assets cannot be sorted: {error}"))
        .with_hint("they are sorted in the temporary folder (TMPDIR): check that it has enough space")
}

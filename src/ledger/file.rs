//! The ledger's file: its location, its creation, and the checks before it is used.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::failure::{self, AWAY, damaged};
use crate::model::error::{Error, Result, reason};

/// The version of the tables below, in SQLite's `user_version`. It grows with every change that an older presync would
/// misread.
const SCHEMA_VERSION: i64 = 3;
/// `psyn` in ASCII, in SQLite's `application_id`: distinguishes a ledger from another program's database.
pub(super) const APPLICATION_ID: i64 = 0x7073_796e;
/// How long to wait for another process. Transactions take milliseconds, but the disk may be busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The first version of the tables. Amounts are 0 or more, and times are UTC in RFC 3339 format. A month looks like
/// `2026-11`, or is `stock` for a quota that is not renewed.
pub(super) const FIRST_SCHEMA: &str = "
    CREATE TABLE quota (
        workspace TEXT NOT NULL,
        month TEXT NOT NULL,
        kind TEXT NOT NULL,
        allowed INTEGER CHECK (allowed >= 0), -- NULL: no limit
        used INTEGER NOT NULL CHECK (used >= 0),
        PRIMARY KEY (workspace, month, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE reservation (
        id INTEGER PRIMARY KEY,
        plan TEXT NOT NULL,
        workspace TEXT NOT NULL,
        month TEXT NOT NULL,
        source TEXT NOT NULL,
        reserved_at TEXT NOT NULL,
        released_at TEXT -- NULL: it holds
    ) STRICT;
    CREATE UNIQUE INDEX plan_reserves_once ON reservation (plan) WHERE released_at IS NULL;
    CREATE TABLE reserved (
        reservation INTEGER NOT NULL REFERENCES reservation,
        kind TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        PRIMARY KEY (reservation, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE change (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time TEXT NOT NULL,
        workspace TEXT NOT NULL,
        month TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL, -- limit, used or reserved
        plan TEXT, -- NULL: the user
        before INTEGER,
        after INTEGER
    ) STRICT;
    CREATE TRIGGER change_stays BEFORE UPDATE ON change BEGIN SELECT RAISE(ABORT, 'a change stays'); END;
    CREATE TRIGGER change_is_kept BEFORE DELETE ON change BEGIN SELECT RAISE(ABORT, 'a change is kept'); END;
";

/// What the second version adds: what has been synced. A plan that was reserved in the first version brings nothing that
/// is known. Data rows were counted by month, but they are a stock: the latest month's limit and use are those of it.
const SECOND_SCHEMA: &str = "
    ALTER TABLE reservation ADD COLUMN confirmed_at TEXT; -- NULL: released, or it holds
    ALTER TABLE reservation ADD COLUMN container TEXT; -- NULL: it is not known what the plan brings
    ALTER TABLE reservation ADD COLUMN prefix TEXT;
    ALTER TABLE reservation ADD COLUMN recursive INTEGER;
    ALTER TABLE reservation ADD COLUMN file TEXT; -- what is on the platform after its sync
    ALTER TABLE reservation ADD COLUMN counting TEXT;
    ALTER TABLE reservation ADD COLUMN assets INTEGER;
    ALTER TABLE reservation ADD COLUMN images INTEGER;
    ALTER TABLE reservation ADD COLUMN frames INTEGER;
    ALTER TABLE reserved ADD COLUMN returned INTEGER NOT NULL DEFAULT 0 CHECK (returned >= 0);
    CREATE TABLE platform (
        workspace TEXT NOT NULL,
        container TEXT NOT NULL,
        file TEXT NOT NULL, -- what has been synced of it
        PRIMARY KEY (workspace, container)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE source (
        workspace TEXT NOT NULL,
        container TEXT NOT NULL,
        prefix TEXT NOT NULL,
        recursive INTEGER NOT NULL,
        source TEXT NOT NULL,
        plan TEXT NOT NULL,
        confirmed_at TEXT NOT NULL,
        assets INTEGER NOT NULL,
        images INTEGER NOT NULL,
        frames INTEGER NOT NULL,
        PRIMARY KEY (workspace, container, prefix, recursive)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO quota (workspace, month, kind, allowed, used)
        SELECT workspace, 'stock', kind, allowed, used FROM quota AS latest WHERE kind = 'data-rows' AND month =
            (SELECT max(month) FROM quota WHERE workspace = latest.workspace AND kind = 'data-rows');
    INSERT INTO change (time, workspace, month, kind, subject, before, after)
        SELECT ifnull((SELECT max(time) FROM change), '1970-01-01T00:00:00Z'), workspace, month, kind, 'limit',
            NULL, allowed FROM quota WHERE month = 'stock';
    INSERT INTO change (time, workspace, month, kind, subject, before, after)
        SELECT ifnull((SELECT max(time) FROM change), '1970-01-01T00:00:00Z'), workspace, month, kind, 'used',
            0, used FROM quota WHERE month = 'stock';
    UPDATE reservation SET month = 'stock' WHERE released_at IS NULL
        AND id IN (SELECT reservation FROM reserved WHERE kind = 'data-rows');
    DELETE FROM quota WHERE kind = 'data-rows' AND month <> 'stock';
";

/// What the third version adds: which names a source lists, as JSON; empty for all.
const THIRD_SCHEMA: &str = "
    ALTER TABLE reservation ADD COLUMN filter TEXT NOT NULL DEFAULT '';
    CREATE TABLE filtered_source (
        workspace TEXT NOT NULL,
        container TEXT NOT NULL,
        prefix TEXT NOT NULL,
        recursive INTEGER NOT NULL,
        filter TEXT NOT NULL,
        source TEXT NOT NULL,
        plan TEXT NOT NULL,
        confirmed_at TEXT NOT NULL,
        assets INTEGER NOT NULL,
        images INTEGER NOT NULL,
        frames INTEGER NOT NULL,
        PRIMARY KEY (workspace, container, prefix, recursive, filter)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO filtered_source
        SELECT workspace, container, prefix, recursive, '', source, plan, confirmed_at, assets, images, frames
        FROM source;
    DROP TABLE source;
    ALTER TABLE filtered_source RENAME TO source;
";

/// Where the ledger is by default: `presync/ledger.sqlite3` in the user's data folder, which is
/// `$XDG_DATA_HOME` or `~/.local/share`, on Windows `%APPDATA%`.
///
/// # Errors
///
/// Returns an error if the user has no home folder.
pub fn default_path() -> Result<PathBuf> {
    let folders = etcetera::choose_base_strategy().map_err(|_| {
        Error::new("no home folder found for the ledger")
            .with_hint("name its file with --ledger FILE or PRESYNC_LEDGER")
    })?;
    Ok(folders.data_dir().join("presync").join("ledger.sqlite3"))
}

/// Creates an empty ledger. It gets its name only when it is complete, and never replaces a file: if another process is
/// first, its ledger stays.
pub(super) fn create(path: &Path) -> Result<()> {
    let failed = |error: &io::Error| {
        Error::new(format!("cannot create the ledger '{}': {}", path.display(), reason(error))).with_hint(
            "check that its folder exists and that you may write to it, or name another file with --ledger",
        )
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Use the permissions of any new file: the umask decides who else may read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).map_err(|error| failed(&error))?;
    fill(file.path()).map_err(|error| failure::explain(path, &error))?;
    // The first transaction syncs the folder.
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(failed(&error.error)),
        _ => Ok(()),
    }
}

fn fill(path: &Path) -> rusqlite::Result<()> {
    let connection = configured(path)?;
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(FIRST_SCHEMA)?;
    transaction.execute_batch(SECOND_SCHEMA)?;
    transaction.execute_batch(THIRD_SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// Connects to the ledger and checks it; `None` if there is no such file.
pub(super) fn connect(path: &Path) -> Result<Option<Connection>> {
    let cannot_open = |error: &io::Error| {
        Error::new(format!("cannot open the ledger '{}': {}", path.display(), reason(error)))
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot_open(&error)),
    };
    check_file(path, &metadata)?;
    // SQLite gives some relative names, such as `:memory:`, a special meaning.
    let absolute = std::path::absolute(path).map_err(|error| cannot_open(&error))?;
    let failed = |error: rusqlite::Error| failure::explain(path, &error);
    let mut connection = configured(&absolute).map_err(failed)?;
    let version = check_version(path, &connection)?;
    let sound: String =
        connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(failed)?;
    match sound.as_str() {
        "ok" if version < SCHEMA_VERSION => upgrade(&mut connection).map_err(failed)?,
        "ok" => {}
        _ => return Err(damaged(path)),
    }
    Ok(Some(connection))
}

/// Brings the tables of an older presync up to date.
fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been first.
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 1 {
        transaction.execute_batch(SECOND_SCHEMA)?;
    }
    if version < SCHEMA_VERSION {
        transaction.execute_batch(THIRD_SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

fn check_file(path: &Path, metadata: &Metadata) -> Result<()> {
    let shown = path.display();
    match (metadata.is_file(), metadata.len()) {
        (false, _) => Err(Error::new(format!("'{shown}' is not a file")).with_hint("name the ledger's file")),
        // A ledger gets its name after its content, so an empty file is a damaged ledger.
        (true, 0) => Err(Error::new(format!("the ledger '{shown}' is empty")).with_hint(AWAY)),
        _ => Ok(()),
    }
}

/// The version of the tables.
fn check_version(path: &Path, connection: &Connection) -> Result<i64> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let versions = number("application_id").and_then(|id| Ok((id, number("user_version")?)));
    let shown = path.display();
    match versions.map_err(|error| failure::explain(path, &error))? {
        (APPLICATION_ID, version @ 1..=SCHEMA_VERSION) => Ok(version),
        (APPLICATION_ID, newer) if newer > SCHEMA_VERSION => {
            Err(Error::new(format!("the ledger '{shown}' was written by a newer presync (format {newer})"))
                .with_hint("update presync, or name another file with --ledger"))
        }
        _ => Err(Error::new(format!("'{shown}' is a database, but not a ledger")).with_hint(AWAY)),
    }
}

/// Opens a connection that can write, if the file and its folder allow it: even a reader must be able to roll back what
/// a killed process left behind.
///
/// The journal mode is SQLite's default, in which the journal is deleted at the end of a transaction: the ledger is
/// then a single file that can be copied and read anywhere. A write-ahead log needs two more files and does not work
/// over a network.
fn configured(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Committed changes must survive a power loss. FULL syncs the file; EXTRA also syncs the folder, because otherwise
    // the deleted journal could reappear and roll them back ("PRAGMA synchronous").
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    // macOS leaves synced data in the drive's cache without this; elsewhere it does nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    Ok(connection)
}

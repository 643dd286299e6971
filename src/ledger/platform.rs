//! What is on the platform: what has been synced of each container, and what reserved plans will bring.
//!
//! For each workspace and container there is a chain of states: first what has been synced, then, for each reserved plan
//! in the order of the commits, what will be there after its sync. Each state is a file of its own in the folder beside
//! the ledger, and its row in the ledger names it. A file is written before the transaction that names it, and removed
//! after the one that no longer does, so a process that dies leaves the old state or the new one, and at most a file
//! that nothing names. Whatever writes files holds the folder's lock, and removes such files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Ledger;
use super::pending::{filter, filter_text};
use super::reservation::{Reservation, active};
use crate::files::{own, whole};
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, Cost, Scope};
use crate::plan_file::Plan;
use crate::plan_file::synced::{Merge, apply, rows_of};

/// What is known to be on the platform of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedSource {
    /// The source, without any secrets.
    pub source: String,
    /// What it lists.
    pub scope: Scope,
    /// The plan that was synced last.
    pub plan: String,
    /// When that was confirmed.
    pub confirmed_at: Timestamp,
    /// Assets on the platform, after that sync.
    pub assets: u64,
    /// What these cost.
    pub cost: Cost,
}

/// What a run compares with: what has been synced, and what reserved plans will bring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The file; `None` if nothing is known.
    pub file: Option<PathBuf>,
    /// The sources through which it came there.
    pub sources: Vec<String>,
}

/// The lock on the folder of files, released when it is dropped.
pub struct FilesLock {
    _file: File,
}

impl Ledger {
    /// The folder with the files of what is on the platform.
    pub fn folder(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".synced");
        name.into()
    }

    /// Waits until no other process writes files, and keeps others from it.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created or locked.
    pub fn lock_files(&self) -> Result<FilesLock> {
        let folder = self.folder();
        let failed = |error: std::io::Error| {
            Error::new(format!("cannot write to the folder '{}': {}", folder.display(), reason(&error)))
                .with_hint("check that you may write to the ledger's folder")
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let file = own::lock_file(&folder.join("lock")).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(FilesLock { _file: file })
    }

    /// A name for a new file, which no other file has or had.
    pub fn new_file(&self) -> (String, PathBuf) {
        let name = format!("{:016x}{:016x}.parquet", fastrand::u64(..), fastrand::u64(..));
        let path = self.folder().join(&name);
        (name, path)
    }

    /// What is on the platform of a container, according to what is confirmed and reserved. `scope` selects the sources
    /// that are named.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn known(&self, workspace: &str, scope: &Scope) -> Result<Known> {
        let (synced, pending, confirmed) = self.read(|connection| {
            let pending = chain(connection, workspace, &scope.container)?;
            let confirmed = confirmed_file(connection, workspace, &scope.container)?;
            Ok((sources(connection, workspace)?, pending, confirmed))
        })?;
        let last = pending.last().and_then(|held| Some(held.pending.as_ref()?.file.clone()));
        let file = last.or(confirmed).map(|name| self.folder().join(name));
        let overlapping = synced.into_iter().filter(|synced| synced.scope.overlaps(scope));
        let mut names: BTreeSet<_> = overlapping.map(|synced| synced.source).collect();
        let pending = pending.into_iter();
        let pending = pending.filter(|held| held.pending.as_ref().is_some_and(|p| p.scope.overlaps(scope)));
        names.extend(pending.map(|held| held.source));
        Ok(Known { file, sources: names.into_iter().collect() })
    }

    /// The sources of a workspace of which something is known to be synced, by container and prefix.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger cannot be read.
    pub fn synced(&self, workspace: &str) -> Result<Vec<SyncedSource>> {
        self.read(|connection| sources(connection, workspace))
    }

    /// Records that what a plan accepts is on the platform, without using any quota.
    ///
    /// # Errors
    ///
    /// Returns an error if a plan of the container is reserved, or if the ledger or a file cannot be read or written.
    pub(crate) fn record(
        &mut self,
        workspace: &str,
        plan: &Plan,
        scope: &Scope,
        assets: impl Iterator<Item = Result<Asset>>,
        now: Timestamp,
    ) -> Result<SyncedSource> {
        let _lock = self.lock_files()?;
        let base = self.unreserved(workspace, scope)?.map(|name| self.folder().join(name));
        let (file, out) = self.new_file();
        let merge = Merge { scope, recounts: false, out: Some(&out) };
        let applied = apply(rows_of(assets, scope), base.as_deref(), &merge)?;
        let synced = SyncedSource {
            source: plan.header.origin.location.clone(),
            scope: scope.clone(),
            plan: plan.id.clone(),
            confirmed_at: now,
            assets: applied.assets,
            cost: applied.cost,
        };
        self.write(|connection| {
            put_source(connection, workspace, &synced)?;
            put_confirmed(connection, workspace, &scope.container, &file)
        })?;
        self.clean();
        Ok(synced)
    }

    /// What has been synced of the container, of which no plan may be reserved.
    fn unreserved(&self, workspace: &str, scope: &Scope) -> Result<Option<String>> {
        let (chain, confirmed) = self.states(workspace, &scope.container)?;
        match chain.first() {
            None => Ok(confirmed),
            Some(held) => Err(Error::new(format!("the plan {} of this container is reserved", held.plan))
                .with_hint("confirm or release it first: presync quota confirm --help")),
        }
    }

    /// Forgets what is known to be synced of a source.
    ///
    /// # Errors
    ///
    /// Returns an error if a plan of the source is reserved, or if the ledger or a file cannot be read or written.
    pub fn forget(&mut self, workspace: &str, scope: &Scope) -> Result<Vec<SyncedSource>> {
        let _lock = self.lock_files()?;
        let file = self.unreserved(workspace, scope)?;
        let forgotten = self.synced(workspace)?.into_iter().filter(|synced| synced.scope.is_within(scope));
        let forgotten: Vec<_> = forgotten.collect();
        // Nothing of the container stays without a prefix: a file that cannot be read is forgotten, too.
        let kept = match file.filter(|_| !scope.prefix.is_empty()) {
            None => None,
            Some(file) => {
                let (name, path) = self.new_file();
                let merge = Merge { scope, recounts: false, out: Some(&path) };
                apply(std::iter::empty(), Some(&self.folder().join(file)), &merge)?;
                Some(name)
            }
        };
        self.write(|connection| {
            let delete = "DELETE FROM source WHERE workspace = ?1 AND container = ?2 AND prefix = ?3 AND recursive = ?4 \
                          AND filter = ?5";
            for SyncedSource { scope: Scope { container, prefix, recursive, filter }, .. } in &forgotten {
                connection.execute(delete, (workspace, container, prefix, recursive, filter_text(filter)))?;
            }
            match &kept {
                Some(name) => put_confirmed(connection, workspace, &scope.container, name),
                None => {
                    let delete = "DELETE FROM platform WHERE workspace = ?1 AND container = ?2";
                    connection.execute(delete, (workspace, &scope.container)).map(drop)
                }
            }
        })?;
        self.clean();
        Ok(forgotten)
    }

    /// The reserved plans of a container, and the file of what has been synced of it.
    pub(super) fn states(
        &self,
        workspace: &str,
        container: &str,
    ) -> Result<(Vec<Reservation>, Option<String>)> {
        self.read(|connection| {
            let confirmed = confirmed_file(connection, workspace, container)?;
            Ok((chain(connection, workspace, container)?, confirmed))
        })
    }

    /// Removes presync's files that no row names. The lock must be held. What cannot be removed now, the next one removes.
    pub(super) fn clean(&self) {
        let named = self.read(|connection| {
            const NAMED: &str = "SELECT file FROM platform UNION \
                                 SELECT file FROM reservation WHERE released_at IS NULL AND file IS NOT NULL";
            connection.prepare(NAMED)?.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        });
        let Ok(named): Result<BTreeSet<String>> = named else { return };
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && is_name(&name) && !named.contains(&name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Whether presync gives files such a name: that of a [new file](Ledger::new_file), or of one that was not finished.
/// Anything else in the folder is someone's own.
fn is_name(name: &str) -> bool {
    let number = name.strip_suffix(".parquet");
    let is_new = number.is_some_and(|number| {
        number.len() == 32 && number.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    });
    is_new || whole::is_unfinished(name)
}

/// Replaces what is known of a source.
pub(super) fn put_source(
    connection: &Connection,
    workspace: &str,
    synced: &SyncedSource,
) -> rusqlite::Result<()> {
    let SyncedSource { source, scope, plan, confirmed_at, assets, cost } = synced;
    let Scope { container, prefix, recursive, filter } = scope;
    connection
        .execute(
            "INSERT OR REPLACE INTO source \
             (workspace, container, prefix, recursive, filter, source, plan, confirmed_at, assets, images, frames) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            (
                workspace,
                container,
                prefix,
                recursive,
                filter_text(filter),
                source,
                plan,
                confirmed_at,
                assets,
                cost.images,
                cost.frames,
            ),
        )
        .map(drop)
}

/// Names the file of what has been synced of a container.
pub(super) fn put_confirmed(
    connection: &Connection,
    workspace: &str,
    container: &str,
    file: &str,
) -> rusqlite::Result<()> {
    let put = "INSERT OR REPLACE INTO platform (workspace, container, file) VALUES (?1, ?2, ?3)";
    connection.execute(put, (workspace, container, file)).map(drop)
}

/// The reserved plans of a container, in the order of their commits.
fn chain(connection: &Connection, workspace: &str, container: &str) -> rusqlite::Result<Vec<Reservation>> {
    let mut chain = active(connection, Some(workspace))?;
    chain.retain(|held| held.pending.as_ref().is_some_and(|pending| pending.scope.container == container));
    Ok(chain)
}

fn confirmed_file(
    connection: &Connection,
    workspace: &str,
    container: &str,
) -> rusqlite::Result<Option<String>> {
    let select = "SELECT file FROM platform WHERE workspace = ?1 AND container = ?2";
    connection.query_row(select, (workspace, container), |row| row.get(0)).optional()
}

fn sources(connection: &Connection, workspace: &str) -> rusqlite::Result<Vec<SyncedSource>> {
    const SOURCES: &str = "SELECT source, container, prefix, recursive, plan, confirmed_at, assets, images, frames, \
                           filter FROM source WHERE workspace = ?1 ORDER BY container, prefix, recursive, filter";
    let source = |row: &Row<'_>| {
        Ok(SyncedSource {
            source: row.get(0)?,
            scope: Scope {
                container: row.get(1)?,
                prefix: row.get(2)?,
                recursive: row.get(3)?,
                filter: filter(&row.get::<_, String>(9)?)?,
            },
            plan: row.get(4)?,
            confirmed_at: row.get(5)?,
            assets: row.get(6)?,
            cost: Cost { images: row.get(7)?, frames: row.get(8)? },
        })
    };
    connection.prepare(SOURCES)?.query_map([workspace], source)?.collect()
}

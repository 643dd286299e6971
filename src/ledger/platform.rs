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

use super::limits::{balances, put};
use super::reservation::{active, end, put_amounts, record_reserved};
use super::{Amounts, Change, Ledger, Reservation, Subject, history};
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, Cost, QuotaKind, Scope};
use crate::plan_file::Plan;
use crate::plan_file::synced::{Applied, Merge, SyncedFile, SyncedRow, apply, rows_of};

/// What will be on the platform after the sync of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What the plan lists.
    pub scope: Scope,
    /// The file, in the folder beside the ledger.
    pub file: String,
    /// How the plan's cost for images and for frames is counted.
    pub counting: Counting,
    /// Assets in its scope.
    pub assets: u64,
    /// What these cost.
    pub cost: Cost,
}

/// How a profile counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    /// The kind of quota that images use.
    pub images: QuotaKind,
    /// The kind of quota that videos use.
    pub frames: QuotaKind,
    /// Whether a changed asset costs its whole cost again.
    pub recounts: bool,
    /// Whether the quota is a stock, of which what is gone gives something back.
    pub is_stock: bool,
}

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

/// A state of a reserved plan, on top of another one than before.
pub(super) struct Rebuilt {
    held: Reservation,
    pending: Pending,
    costs: Amounts,
    returned: Amounts,
}

impl Counting {
    /// What a sync takes, and what it gives back beyond that.
    pub fn amounts(&self, applied: &Applied) -> (Amounts, Amounts) {
        let (mut costs, mut returned) = (Amounts::new(), Amounts::new());
        for (kind, charge, back) in [
            (self.images, applied.charge.images, applied.returned.images),
            (self.frames, applied.charge.frames, applied.returned.frames),
        ] {
            for (sum, more) in [(&mut costs, charge), (&mut returned, if self.is_stock { back } else { 0 })] {
                let sum = sum.entry(kind).or_default();
                *sum = more.saturating_add(*sum);
            }
        }
        for (kind, cost) in &mut costs {
            let back = returned.entry(*kind).or_default();
            (*cost, *back) = (cost.saturating_sub(*back), back.saturating_sub(*cost));
        }
        costs.retain(|_, cost| *cost > 0);
        returned.retain(|_, back| *back > 0);
        (costs, returned)
    }
}

impl Pending {
    pub(super) fn of_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Self>> {
        let Some(container) = row.get(first)? else { return Ok(None) };
        let counting: String = row.get(first + 4)?;
        Ok(Some(Self {
            scope: Scope { container, prefix: row.get(first + 1)?, recursive: row.get(first + 2)? },
            file: row.get(first + 3)?,
            counting: Counting::parse(&counting).ok_or(rusqlite::Error::InvalidQuery)?,
            assets: row.get(first + 5)?,
            cost: Cost { images: row.get(first + 6)?, frames: row.get(first + 7)? },
        }))
    }

    pub(super) fn put(&self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        let Self { scope: Scope { container, prefix, recursive }, file, counting, assets, cost } = self;
        let put = "UPDATE reservation SET container = ?2, prefix = ?3, recursive = ?4, file = ?5, counting = ?6, \
                   assets = ?7, images = ?8, frames = ?9 WHERE id = ?1";
        let counting = counting.text();
        let (images, frames) = (cost.images, cost.frames);
        connection
            .execute(put, (id, container, prefix, recursive, file, counting, assets, images, frames))
            .map(drop)
    }
}

impl Counting {
    /// `images frames`, and `recounts` and `stock` where that is so.
    fn text(&self) -> String {
        let mut text = format!("{} {}", self.images.as_str(), self.frames.as_str());
        for (name, is_so) in [(" recounts", self.recounts), (" stock", self.is_stock)] {
            text += if is_so { name } else { "" };
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut kind = || {
            let word = words.next()?;
            QuotaKind::ALL.into_iter().find(|kind| kind.as_str() == word)
        };
        let (images, frames) = (kind()?, kind()?);
        let rest: Vec<_> = words.collect();
        Some(Self { images, frames, recounts: rest.contains(&"recounts"), is_stock: rest.contains(&"stock") })
    }
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
        let file = File::create(folder.join("lock")).map_err(failed)?;
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

    /// Confirms that plans have been synced: what they reserved becomes used, unless `is_counted`, and what they accept
    /// is on the platform. Earlier plans whose sources lie within theirs are confirmed too, because the later sync
    /// includes them. Returns all of these, oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if a plan has no active reservation, if an earlier plan overlaps one of them but is not within
    /// it, or if the ledger or a file cannot be read or written.
    pub fn confirm(&mut self, plans: &[String], is_counted: bool, now: Timestamp) -> Result<Vec<Reservation>> {
        let all = self.active(None)?;
        let has_files = all.iter().any(|held| held.pending.is_some() && plans.contains(&held.plan));
        let _lock = has_files.then(|| self.lock_files()).transpose()?;
        // Read again: another process may have been here before the lock.
        let all = self.active(None)?;
        let confirmed = with_earlier(&all, plans)?;
        let mut states = Vec::new();
        for (workspace, container) in containers(&confirmed) {
            states.push(self.confirmed_state(&workspace, &container, &confirmed)?);
        }
        self.write(|connection| {
            for held in &confirmed {
                confirm_one(connection, held, is_counted, now)?;
            }
            for State { workspace, container, file, rebuilt } in &states {
                put_confirmed(connection, workspace, container, file)?;
                put_rebuilt(connection, rebuilt, now)?;
            }
            Ok(())
        })?;
        if has_files {
            self.clean();
        }
        Ok(confirmed)
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
            let delete = "DELETE FROM source WHERE workspace = ?1 AND container = ?2 AND prefix = ?3 AND recursive = ?4";
            for SyncedSource { scope: Scope { container, prefix, recursive }, .. } in &forgotten {
                connection.execute(delete, (workspace, container, prefix, recursive))?;
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

    /// The states of the plans after `held` in its chain, as if `held` had never been reserved.
    pub(super) fn rebuild_without(&self, held: &Reservation) -> Result<Vec<Rebuilt>> {
        let Some(pending) = &held.pending else { return Ok(Vec::new()) };
        let (chain, confirmed) = self.states(&held.workspace, &pending.scope.container)?;
        let (before, after): (Vec<_>, Vec<_>) = chain
            .into_iter()
            .filter(|other| other.id != held.id)
            .partition(|other| other.id < held.id);
        let base = before.last().and_then(|held| Some(held.pending.as_ref()?.file.clone())).or(confirmed);
        self.rebuild(base, after)
    }

    fn states(&self, workspace: &str, container: &str) -> Result<(Vec<Reservation>, Option<String>)> {
        self.read(|connection| {
            let confirmed = confirmed_file(connection, workspace, container)?;
            Ok((chain(connection, workspace, container)?, confirmed))
        })
    }

    /// What is on the platform once these plans are confirmed, and the states of the others on top of it.
    fn confirmed_state(&self, workspace: &str, container: &str, confirmed: &[Reservation]) -> Result<State> {
        let (chain, base) = self.states(workspace, container)?;
        let is_confirmed = |held: &Reservation| confirmed.iter().any(|confirmed| confirmed.id == held.id);
        let first: Vec<_> = chain.iter().take_while(|held| is_confirmed(held)).cloned().collect();
        let (later, others): (Vec<_>, Vec<_>) =
            chain.into_iter().skip(first.len()).partition(|held| is_confirmed(held));
        let file_of = |held: &Reservation| held.pending.as_ref().map(|pending| pending.file.clone());
        let mut file = first.last().and_then(file_of).or(base);
        let mut rebuilt = Vec::new();
        // As a rule, nothing is left to do: the file of the last plan is that of the new state.
        if !later.is_empty() {
            file = self.rebuild(file, later)?.pop().map(|rebuilt| rebuilt.pending.file);
            rebuilt = self.rebuild(file.clone(), others)?;
        }
        let file = file.ok_or_else(|| Error::new("a confirmed plan has no file"))?;
        Ok(State { workspace: workspace.to_owned(), container: container.to_owned(), file, rebuilt })
    }

    /// Applies plans on top of `base`, one after the other.
    fn rebuild(&self, mut base: Option<String>, plans: Vec<Reservation>) -> Result<Vec<Rebuilt>> {
        let mut rebuilt = Vec::new();
        for held in plans {
            let Some(pending) = held.pending.clone() else { continue };
            let (name, path) = self.new_file();
            let of_plan = |row: &Result<SyncedRow>| {
                row.as_ref().map_or(true, |row| pending.scope.has(row.asset.name.as_str()))
            };
            let rows = SyncedFile::open(&self.folder().join(&pending.file))?.rows().filter(of_plan);
            let below = base.map(|name| self.folder().join(name));
            let merge = Merge { scope: &pending.scope, recounts: pending.counting.recounts, out: Some(&path) };
            let applied = apply(rows, below.as_deref(), &merge)?;
            let (costs, returned) = pending.counting.amounts(&applied);
            let pending =
                Pending { file: name.clone(), assets: applied.assets, cost: applied.cost, ..pending };
            rebuilt.push(Rebuilt { held, pending, costs, returned });
            base = Some(name);
        }
        Ok(rebuilt)
    }

    /// Removes the files that no row names. The lock must be held. What cannot be removed now, the next one removes.
    pub(super) fn clean(&self) {
        let named = self.read(|connection| {
            const NAMED: &str = "SELECT file FROM platform UNION \
                                 SELECT file FROM reservation WHERE released_at IS NULL AND file IS NOT NULL";
            connection.prepare(NAMED)?.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        });
        let Ok(named): Result<BTreeSet<String>> = named else { return };
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "lock" && !named.contains(&name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// What is on the platform of a container after plans are confirmed.
struct State {
    workspace: String,
    container: String,
    file: String,
    rebuilt: Vec<Rebuilt>,
}

/// The reservations of these plans, and the earlier ones that their syncs include.
fn with_earlier(all: &[Reservation], plans: &[String]) -> Result<Vec<Reservation>> {
    for plan in plans {
        if !all.iter().any(|held| held.plan == *plan) {
            return Err(Error::new(format!("the plan {plan} has no active reservation"))
                .with_hint("presync quota show lists the plans with one"));
        }
    }
    let mut confirmed: BTreeSet<i64> =
        all.iter().filter(|held| plans.contains(&held.plan)).map(|held| held.id).collect();
    // From the last to the first: what a later sync includes, includes others in turn.
    for earlier in all.iter().rev().filter(|held| !plans.contains(&held.plan)) {
        let Some(own) = &earlier.pending else { continue };
        let mut later = all.iter().filter(|held| {
            held.id > earlier.id && held.workspace == earlier.workspace && confirmed.contains(&held.id)
        });
        let overlapping = later.find_map(|held| {
            let scope = &held.pending.as_ref()?.scope;
            own.scope.overlaps(scope).then_some((held, own.scope.is_within(scope)))
        });
        match overlapping {
            None => {}
            Some((_, true)) => _ = confirmed.insert(earlier.id),
            Some((held, false)) => {
                return Err(Error::new(format!(
                    "the plan {} overlaps {}, which was committed before it and is not confirmed",
                    held.plan, earlier.plan
                ))
                .with_hint("confirm both, or release the one that has not been synced"));
            }
        }
    }
    Ok(all.iter().filter(|held| confirmed.contains(&held.id)).cloned().collect())
}

fn containers(confirmed: &[Reservation]) -> BTreeSet<(String, String)> {
    let container = |held: &Reservation| {
        Some((held.workspace.clone(), held.pending.as_ref()?.scope.container.clone()))
    };
    confirmed.iter().filter_map(container).collect()
}

/// Ends a reservation whose plan has been synced.
fn confirm_one(
    connection: &Connection,
    held: &Reservation,
    is_counted: bool,
    now: Timestamp,
) -> rusqlite::Result<()> {
    end(connection, held, now)?;
    connection.execute("UPDATE reservation SET confirmed_at = ?2 WHERE id = ?1", (held.id, now))?;
    if !is_counted {
        let before = balances(connection, &held.workspace, held.period)?;
        for kind in QuotaKind::ALL {
            let amount = |amounts: &Amounts| amounts.get(&kind).copied().unwrap_or(0);
            let used = before.get(&kind).map_or(0, |balance| balance.used);
            let after = used.saturating_add(amount(&held.costs)).saturating_sub(amount(&held.returned));
            if after == used {
                continue;
            }
            put(connection, (&held.workspace, held.period, kind), Subject::Used, Some(after))?;
            let change = Change {
                time: now,
                workspace: held.workspace.clone(),
                period: held.period,
                kind,
                subject: Subject::Used,
                plan: Some(held.plan.clone()),
                before: Some(used),
                after: Some(after),
            };
            history::record(connection, &change)?;
        }
    }
    let Some(pending) = &held.pending else { return Ok(()) };
    let synced = SyncedSource {
        source: held.source.clone(),
        scope: pending.scope.clone(),
        plan: held.plan.clone(),
        confirmed_at: now,
        assets: pending.assets,
        cost: pending.cost,
    };
    put_source(connection, &held.workspace, &synced)
}

fn put_source(connection: &Connection, workspace: &str, synced: &SyncedSource) -> rusqlite::Result<()> {
    let SyncedSource { source, scope, plan, confirmed_at, assets, cost } = synced;
    let Scope { container, prefix, recursive } = scope;
    connection
        .execute(
            "INSERT OR REPLACE INTO source \
             (workspace, container, prefix, recursive, source, plan, confirmed_at, assets, images, frames) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            (
                workspace,
                container,
                prefix,
                recursive,
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

/// Names the new states of reserved plans, and what they take now.
pub(super) fn put_rebuilt(
    connection: &Connection,
    rebuilt: &[Rebuilt],
    now: Timestamp,
) -> rusqlite::Result<()> {
    for Rebuilt { held, pending, costs, returned } in rebuilt {
        let before = balances(connection, &held.workspace, held.period)?;
        put_amounts(connection, held.id, costs, returned)?;
        pending.put(connection, held.id)?;
        let after = balances(connection, &held.workspace, held.period)?;
        for kind in QuotaKind::ALL {
            let of = |balances: &std::collections::BTreeMap<QuotaKind, super::Balance>| {
                balances.get(&kind).map_or(0, |balance| balance.reserved)
            };
            if of(&before) != of(&after) {
                record_reserved(connection, held, now, kind, (of(&before), of(&after)))?;
            }
        }
    }
    Ok(())
}

fn put_confirmed(
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
    const SOURCES: &str = "SELECT source, container, prefix, recursive, plan, confirmed_at, assets, images, frames \
                           FROM source WHERE workspace = ?1 ORDER BY container, prefix, recursive";
    let source = |row: &Row<'_>| {
        Ok(SyncedSource {
            source: row.get(0)?,
            scope: Scope { container: row.get(1)?, prefix: row.get(2)?, recursive: row.get(3)? },
            plan: row.get(4)?,
            confirmed_at: row.get(5)?,
            assets: row.get(6)?,
            cost: Cost { images: row.get(7)?, frames: row.get(8)? },
        })
    };
    connection.prepare(SOURCES)?.query_map([workspace], source)?.collect()
}

//! Confirms that plans have been synced, or releases them because they have not.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::Connection;

use super::history::{self, Change, Subject};
use super::limits::{balances, put};
use super::pending::Pending;
use super::platform::{SyncedSource, put_confirmed, put_source};
use super::reservation::{Release, Reservation, end, latest, put_amounts, record_reserved};
use super::{Amounts, Balance, Ledger};
use crate::model::QuotaKind;
use crate::model::error::{Error, Result};
use crate::plan_file::synced::{Merge, SyncedFile, SyncedRow, apply};

/// A state of a reserved plan, on top of another one than before.
struct Rebuilt {
    held: Reservation,
    pending: Pending,
    costs: Amounts,
    returned: Amounts,
}

impl Ledger {
    /// Confirms that plans have been synced: what they reserved becomes used, unless `is_counted`, and what they accept
    /// is on the platform. Earlier plans whose sources lie within theirs are confirmed too, because the later sync
    /// includes them. Returns all of these, oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if a plan has no active reservation, if an earlier plan overlaps one of them but is not within
    /// it, or if the ledger or a file cannot be read or written.
    pub fn confirm(
        &mut self,
        plans: &[String],
        is_counted: bool,
        now: Timestamp,
    ) -> Result<Vec<Reservation>> {
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

    /// Releases the reservation of a plan, because it has not been synced. What it would have brought to the platform
    /// is forgotten, and later reservations of the same container take over what they need of it.
    ///
    /// # Errors
    ///
    /// Returns an error if the ledger or a file of what is synced cannot be read or written.
    pub fn release(&mut self, plan: &str, now: Timestamp) -> Result<Release> {
        let has_file = self.held_by(plan)?.is_some_and(|held| held.pending.is_some());
        let _lock = has_file.then(|| self.lock_files()).transpose()?;
        // Read again: another process may have been here before the lock.
        let rebuilt = match self.held_by(plan)? {
            Some(held) => self.rebuild_without(&held)?,
            None => Vec::new(),
        };
        let released = self.write(|connection| {
            // Read in the same transaction as the update, so that it cannot be released twice.
            let Some(held) = latest(connection, plan)? else { return Ok(Release::Unknown) };
            if held.released_at.is_some() {
                return Ok(Release::ReleasedBefore(held));
            }
            end(connection, &held, now)?;
            put_rebuilt(connection, &rebuilt, now)?;
            Ok(Release::Released(Reservation { released_at: Some(now), ..held }))
        })?;
        if has_file {
            self.clean();
        }
        Ok(released)
    }

    /// Takes out of a reserved plan what its sync did not bring: of its assets, only those will be on the platform of which
    /// `is_there` says so, by their whole names. What the plan and later ones of the container take changes accordingly.
    ///
    /// # Errors
    ///
    /// Returns an error if the plan has no active reservation, or if the ledger or a file cannot be read or written.
    pub fn narrow(&mut self, plan: &str, is_there: IsThere<'_>, now: Timestamp) -> Result<()> {
        let reserved = |ledger: &Self| ledger.held_by(plan)?.ok_or_else(|| not_reserved(plan));
        // A reservation of an older presync does not say what it brings.
        if reserved(self)?.pending.is_none() {
            return Ok(());
        }
        let _lock = self.lock_files()?;
        // Read again: another process may have been here before the lock.
        let held = reserved(self)?;
        let Some(pending) = &held.pending else { return Ok(()) };
        let (chain, confirmed) = self.states(&held.workspace, &pending.scope.container)?;
        let (before, from): (Vec<_>, Vec<_>) = chain.into_iter().partition(|other| other.id < held.id);
        let base = before.last().and_then(|held| Some(held.pending.as_ref()?.file.clone())).or(confirmed);
        let rebuilt = self.rebuild(base, from, Some((held.id, is_there)))?;
        self.write(|connection| put_rebuilt(connection, &rebuilt, now))?;
        self.clean();
        Ok(())
    }

    /// The states of the plans after `held` in its chain, as if `held` had never been reserved.
    fn rebuild_without(&self, held: &Reservation) -> Result<Vec<Rebuilt>> {
        let Some(pending) = &held.pending else { return Ok(Vec::new()) };
        let (chain, confirmed) = self.states(&held.workspace, &pending.scope.container)?;
        let (before, after): (Vec<_>, Vec<_>) =
            chain.into_iter().filter(|other| other.id != held.id).partition(|other| other.id < held.id);
        let base = before.last().and_then(|held| Some(held.pending.as_ref()?.file.clone())).or(confirmed);
        self.rebuild(base, after, None)
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
            file = self.rebuild(file, later, None)?.pop().map(|rebuilt| rebuilt.pending.file);
            rebuilt = self.rebuild(file.clone(), others, None)?;
        }
        let file = file.ok_or_else(|| Error::new("a confirmed plan has no file"))?;
        Ok(State { workspace: workspace.to_owned(), container: container.to_owned(), file, rebuilt })
    }

    /// Applies plans on top of `base`, one after the other. Of the reservation in `only`, only what is there.
    fn rebuild(
        &self,
        mut base: Option<String>,
        plans: Vec<Reservation>,
        mut only: Option<(i64, IsThere<'_>)>,
    ) -> Result<Vec<Rebuilt>> {
        let mut rebuilt = Vec::new();
        for held in plans {
            let Some(pending) = held.pending.clone() else { continue };
            let (name, path) = self.new_file();
            let of_plan = |row: &Result<SyncedRow>| {
                row.as_ref().map_or(true, |row| pending.scope.has(row.asset.name.as_str()))
            };
            let rows = SyncedFile::open(&self.folder().join(&pending.file))?.rows().filter(of_plan);
            let mut only = only.as_mut().filter(|(id, _)| *id == held.id);
            let rows = rows.filter_map(|row| match (row, &mut only) {
                (Ok(row), Some((_, is_there))) => match is_there(row.asset.name.as_str()) {
                    Ok(is_there) => is_there.then_some(Ok(row)),
                    Err(error) => Some(Err(error)),
                },
                (row, _) => Some(row),
            });
            let below = base.map(|name| self.folder().join(name));
            let merge =
                Merge { scope: &pending.scope, recounts: pending.counting.recounts, out: Some(&path) };
            let applied = apply(rows, below.as_deref(), &merge)?;
            let (costs, returned) = pending.counting.amounts(&applied);
            let pending =
                Pending { file: name.clone(), assets: applied.assets, cost: applied.cost, ..pending };
            rebuilt.push(Rebuilt { held, pending, costs, returned });
            base = Some(name);
        }
        Ok(rebuilt)
    }
}

/// What is on the platform of a container after plans are confirmed.
struct State {
    workspace: String,
    container: String,
    file: String,
    rebuilt: Vec<Rebuilt>,
}

/// Says whether an asset is on the platform, by its whole name.
type IsThere<'a> = &'a mut dyn FnMut(&str) -> Result<bool>;

fn not_reserved(plan: &str) -> Error {
    Error::new(format!("the plan {plan} has no active reservation"))
        .with_hint("presync commit reserves its quota; presync quota show lists the plans with a reservation")
}

/// The reservations of these plans, and the earlier ones that their syncs include.
fn with_earlier(all: &[Reservation], plans: &[String]) -> Result<Vec<Reservation>> {
    for plan in plans {
        if !all.iter().any(|held| held.plan == *plan) {
            return Err(not_reserved(plan));
        }
    }
    let mut confirmed: BTreeSet<i64> =
        all.iter().filter(|held| plans.contains(&held.plan)).map(|held| held.id).collect();
    // From the last to the first: what a later sync includes, includes others in turn.
    for earlier in all.iter().rev().filter(|held| !plans.contains(&held.plan)) {
        let Some(own) = &earlier.pending else { continue };
        let later: Vec<_> = all
            .iter()
            .filter(|held| held.id > earlier.id && held.workspace == earlier.workspace)
            .filter(|held| confirmed.contains(&held.id))
            .filter_map(|held| Some((held, &held.pending.as_ref()?.scope)))
            .filter(|(_, scope)| own.scope.overlaps(scope))
            .collect();
        match later.first() {
            None => {}
            Some(_) if later.iter().any(|(_, scope)| own.scope.is_within(scope)) => {
                confirmed.insert(earlier.id);
            }
            Some((held, _)) => {
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
    let container =
        |held: &Reservation| Some((held.workspace.clone(), held.pending.as_ref()?.scope.container.clone()));
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

/// Names the new states of reserved plans, and what they take now.
fn put_rebuilt(connection: &Connection, rebuilt: &[Rebuilt], now: Timestamp) -> rusqlite::Result<()> {
    for Rebuilt { held, pending, costs, returned } in rebuilt {
        let before = balances(connection, &held.workspace, held.period)?;
        put_amounts(connection, held.id, costs, returned)?;
        pending.put(connection, held.id)?;
        let after = balances(connection, &held.workspace, held.period)?;
        for kind in QuotaKind::ALL {
            let of = |balances: &BTreeMap<QuotaKind, Balance>| {
                balances.get(&kind).map_or(0, |balance| balance.reserved)
            };
            if of(&before) != of(&after) {
                record_reserved(connection, held, now, kind, (of(&before), of(&after)))?;
            }
        }
    }
    Ok(())
}

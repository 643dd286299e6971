//! Whether the platform took what the plan says.

mod codes;
mod entries;
mod patterns;
mod result;

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::assets::{Assets, Found, checked};
use super::placed::{END, Placed};
use super::spelling::{basename, difference, path_of, without_query};
use super::summary::{Comparison, Record};
use crate::model::error::{Error, Result};
use crate::model::{Asset, Verdict};
use crate::plan::RunHeader;
use entries::Entry;
use result::Tally;

/// The most different error codes that are counted; the platform has a dozen.
const MAX_CODES: usize = 100;
/// `there` has the assets that are on the platform, or that it refused; `state` is 1 for one of several that a name means.
/// `shared` has names that several assets have, and `stranger` those of none.
const CREATE: &str =
    "create table there (asset integer primary key, name text not null, error text, frames integer,
    state integer not null);
    create table shared (id integer primary key, name text not null, count integer not null);
    create table stranger (id integer primary key, name text not null, error text)";

/// An asset as the platform lists it.
pub(super) struct There {
    pub name: String,
    pub error: Option<String>,
    pub frames: Option<u64>,
    pub is_ambiguous: bool,
}

/// Reads a list, for the fuzz target. Returns how many names it has.
///
/// # Errors
/// Returns why it cannot be read.
#[cfg(feature = "fuzz")]
pub fn read_names(path: &Path) -> std::result::Result<u64, String> {
    let mut names = 0;
    entries::read(path, None, &mut |_| names += 1).map_err(|fault| fault.text())?;
    Ok(names)
}

/// Compares what the platform lists with a plan.
pub struct Reconciler {
    assets: Assets,
    header: RunHeader,
    files: Vec<String>,
    listed: u64,
    /// How often each error code is there.
    codes: BTreeMap<String, u64>,
    /// Names of more than one asset of which fewer are listed than there are.
    ambiguous: u64,
}

impl Reconciler {
    /// Begins with the assets of a plan.
    ///
    /// # Errors
    /// Returns an error if the plan cannot be read, or if a temporary file cannot be written.
    pub fn new(header: &RunHeader, plan: impl Iterator<Item = Result<Asset>>) -> Result<Self> {
        let mut assets = Assets::new(header, CREATE)?;
        assets.read(plan)?;
        let header = header.clone();
        Ok(Self { assets, header, files: Vec::new(), listed: 0, codes: BTreeMap::new(), ambiguous: 0 })
    }

    /// Adds the names in a file; `-` is stdin. `column` is the column or field that has them.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or if a temporary file cannot be written.
    pub fn read(&mut self, path: &Path, column: Option<&str>) -> Result<()> {
        let shown = path.display().to_string();
        let mut added = Ok(());
        let read = entries::read(path, column, &mut |entry| {
            if added.is_ok() {
                added = self.add_entry(&entry);
            }
        });
        added?;
        self.files.push(shown.clone());
        read.map_err(|fault| {
            Error::new(format!("cannot read the list '{shown}': {}", fault.text())).with_hint(
                "a list has a name per line, or is CSV, JSON or JSON lines; --column names the column or field",
            )
        })
    }

    /// The number of names so far.
    pub fn listed(&self) -> u64 {
        self.listed
    }

    /// Adds a name, and the platform's error code if it refused the asset.
    ///
    /// # Errors
    /// Returns an error if a temporary file cannot be written.
    pub fn add(&mut self, name: &str, error: Option<&str>) -> Result<()> {
        self.add_entry(&Entry { name, error, frames: None })
    }

    fn add_entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        let entry = &Entry { name: without_query(entry.name), ..entry.clone() };
        self.listed += 1;
        if let Some(code) = entry.error
            && (self.codes.len() < MAX_CODES || self.codes.contains_key(code))
        {
            *self.codes.entry(code.to_owned()).or_default() += 1;
        }
        let mut found = self.assets.with_path(entry.name)?;
        let is_asset = |found: &Found| found.verdict != Verdict::Skip;
        if found.iter().any(is_asset) {
            found.retain(is_asset);
        }
        // What is there already is there.
        let error = entry.error.filter(|code| !codes::is_there(code));
        checked(match found.as_slice() {
            [] => self.add_stranger(entry.name, error),
            [asset] => self.add_there(asset.id, entry, error, 0),
            [..] if error.is_some() => Ok(()),
            [..] => self.add_shared(entry.name),
        })
    }

    fn add_stranger(&self, name: &str, error: Option<&str>) -> rusqlite::Result<()> {
        let mut insert =
            self.assets.database.prepare_cached("insert into stranger (name, error) values (?, ?)")?;
        insert.execute((name, error)).map(drop)
    }

    /// Of several entries for an asset, one without an error counts: it was refused at first.
    fn add_there(
        &self,
        asset: i64,
        entry: &Entry<'_>,
        error: Option<&str>,
        state: i64,
    ) -> rusqlite::Result<()> {
        const ADD: &str = "insert into there values (?, ?, ?, ?, ?) on conflict (asset) do update set
            error = case when excluded.error is null then null else error end,
            frames = ifnull(excluded.frames, frames), state = min(state, excluded.state)";
        let frames = entry.frames.and_then(|frames| i64::try_from(frames).ok());
        let mut insert = self.assets.database.prepare_cached(ADD)?;
        insert.execute(params![asset, entry.name, error, frames, state]).map(drop)
    }

    fn add_shared(&self, name: &str) -> rusqlite::Result<()> {
        const ADD: &str =
            "insert into shared values (?, ?, 1) on conflict (id) do update set count = count + 1";
        let id = self.assets.hash(name);
        self.assets.database.prepare_cached(ADD)?.execute((id, name)).map(drop)
    }

    /// Decides which assets a name means that several have: if it is listed as often as there are assets, or accepted
    /// ones, it means these. Otherwise it is not known which.
    fn settle_shared(&mut self) -> Result<()> {
        let mut last = i64::MIN;
        loop {
            let next = || {
                let select = "select id, name, count from shared where id > ? order by id limit 1";
                let mut select = self.assets.database.prepare_cached(select)?;
                let row = select.query_row([last], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                row.optional()
            };
            let Some((id, name, count)): Option<(i64, String, usize)> = checked(next())? else { break };
            last = id;
            let mut found = self.assets.all_with_path(&name)?;
            found.retain(|found| found.verdict != Verdict::Skip);
            let accepted = found.iter().filter(|found| found.verdict == Verdict::Accept).count();
            let is_known = count >= found.len() || count == accepted;
            if count == accepted {
                found.retain(|found| found.verdict == Verdict::Accept);
            }
            self.ambiguous += u64::from(!is_known);
            let entry = Entry { name: &name, ..Entry::default() };
            for asset in &found {
                checked(self.add_there(asset.id, &entry, None, i64::from(!is_known)))?;
            }
        }
        checked(self.assets.database.execute_batch("delete from shared"))
    }

    /// Compares the list with the plan, which is read again. `record` gets each asset of the plan that is an image or a video,
    /// in its order, and then each name that is not in the plan.
    ///
    /// # Errors
    /// Returns an error if the plan or a temporary file cannot be read.
    pub fn compare(
        &mut self,
        plan: impl Iterator<Item = Result<Asset>>,
        record: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<Comparison> {
        self.settle_shared()?;
        let mut tally = Tally::new(&self.header.profile);
        let mut plan = Placed::new(plan);
        let select = "select asset, name, error, frames, state from there order by asset";
        let mut select = checked(self.assets.database.prepare(select))?;
        let mut rows = checked(select.query([]))?;
        while let Some(row) = checked(rows.next())? {
            let read = || {
                let (name, error, frames) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, There { name, error, frames, is_ambiguous: row.get::<_, i64>(4)? == 1 }))
            };
            let (place, there) = checked(read())?;
            if let Some(asset) = plan.go_to(place, |_, asset| tally.asset(asset, None, record))? {
                tally.asset(asset, Some(&there), record)?;
                plan.skip();
            }
        }
        plan.go_to(END, |_, asset| tally.asset(asset, None, record))?;
        self.strangers(&mut tally, record)?;
        Ok(tally.finish(self))
    }

    fn strangers(&self, tally: &mut Tally<'_>, record: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        let mut select =
            checked(self.assets.database.prepare("select name, error from stranger order by id"))?;
        let mut rows = checked(select.query([]))?;
        while let Some(row) = checked(rows.next())? {
            let (name, error): (String, Option<String>) = (checked(row.get(0))?, checked(row.get(1))?);
            let path = path_of(&name);
            let base = basename(&path);
            let near = self.assets.near(base)?;
            let near = near.iter().find(|near| near.verdict == Verdict::Accept).or(near.first());
            let near = near.map(|near| (near.name.as_str(), difference(base, near.basename())));
            tally.stranger(&name, error.as_deref(), near, record)?;
        }
        Ok(())
    }

    /// Whether the list has the asset with this name, as the plan names it.
    ///
    /// # Errors
    /// Returns an error if a temporary file cannot be read.
    pub fn has(&self, name: &str) -> Result<bool> {
        let Some(asset) = self.assets.named(name)? else { return Ok(false) };
        let select = "select 1 from there where asset = ? and error is null and state = 0";
        let find = || {
            let mut select = self.assets.database.prepare_cached(select)?;
            select.query_row([asset.id], |_| Ok(())).optional()
        };
        Ok(checked(find())?.is_some())
    }
}

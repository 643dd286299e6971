//! The names of a plan's assets, in a temporary database.

use std::hash::{BuildHasher, RandomState};

use rusqlite::{Connection, params, params_from_iter};

use super::spelling::{basename, folded, path_of, split};
use crate::files::database;
use crate::model::error::Result;
use crate::model::{Asset, Verdict};
use crate::plan::RunHeader;

/// The most folders of a path that are left out at its beginning to find an asset: those that a blob name can have.
const MAX_FOLDERS: usize = 254;

/// Names are found by hashes with a random key, so that nobody can choose names that collide. What is found is compared.
const CREATE: &str =
    "create table asset (id integer primary key, name text not null, verdict integer not null,
    whole integer not null, stem integer not null, near integer not null, base integer not null)";
/// A basename is its stem and more, so that one index finds all of them, next to each other.
const INDEX: &str =
    "create index by_whole on asset (whole); create index by_name on asset (stem, near, base)";

/// An asset of the plan, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its place in the listing.
    pub id: i64,
    pub name: String,
    pub verdict: Verdict,
}

impl Found {
    pub(super) fn basename(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// The assets of a plan, by name.
pub(super) struct Assets {
    pub(super) database: Connection,
    hasher: RandomState,
    prefix: String,
    /// What a path may have in front of an asset's name: the container, or the folder.
    places: Vec<String>,
    count: i64,
}

impl Assets {
    /// No assets yet, of a run. `more` creates further tables.
    pub(super) fn new(header: &RunHeader, more: &str) -> Result<Self> {
        let database = checked(database::temporary(&format!("{CREATE};{more}")))?;
        let origin = &header.origin;
        let places = match &origin.container {
            Some(container) => vec![format!("{container}/")],
            None => {
                let folders = header.root.iter().chain([&origin.location]);
                folders
                    .map(|folder| format!("{}/", folder.replace('\\', "/").trim_end_matches('/')))
                    .collect()
            }
        };
        Ok(Self { database, hasher: RandomState::new(), prefix: origin.prefix.clone(), places, count: 0 })
    }

    /// Adds all assets of a plan, which are numbered from 0 in their order.
    pub(super) fn read(&mut self, plan: impl Iterator<Item = Result<Asset>>) -> Result<()> {
        for asset in plan {
            let asset = asset?;
            checked(self.add(&asset))?;
            self.count += 1;
        }
        checked(self.database.execute_batch(INDEX))
    }

    fn add(&self, asset: &Asset) -> rusqlite::Result<()> {
        let name = asset.blob.name.as_str();
        let verdict = Verdict::ALL.iter().position(|verdict| *verdict == asset.verdict);
        let [stem, near, base] = self.keys(basename(name));
        let mut insert = self.database.prepare_cached("insert into asset values (?, ?, ?, ?, ?, ?, ?)")?;
        let verdict = verdict.unwrap_or_default();
        insert.execute(params![self.count, name, verdict, self.hash(name), stem, near, base]).map(drop)
    }

    /// What a basename is found by: its stem without case, all of it without case, and as it is.
    fn keys(&self, basename: &str) -> [i64; 3] {
        let near = folded(basename);
        [self.hash(split(&near).0), self.hash(&near), self.hash(basename)]
    }

    /// Names with the same number are next to each other in the index. `is_stem` says that the basename has no extension.
    pub(super) fn stem_key(&self, basename: &str, is_stem: bool) -> i64 {
        let near = folded(basename);
        self.hash(if is_stem { &near } else { split(&near).0 })
    }

    /// The hash of a name, as SQLite holds numbers.
    pub(super) fn hash(&self, text: &str) -> i64 {
        self.hasher.hash_one(text).cast_signed()
    }

    /// The number of assets.
    pub(super) fn len(&self) -> i64 {
        self.count
    }

    /// The asset with this whole name.
    pub(super) fn named(&self, name: &str) -> Result<Option<Found>> {
        let found = self.select(BY_WHOLE, &[self.hash(name)], |found| found.name == name)?;
        Ok(found.into_iter().next())
    }

    /// The assets with this basename, up to 1,000.
    pub(super) fn with_basename(&self, basename: &str) -> Result<Vec<Found>> {
        self.select(BY_BASE, &self.keys(basename), |found| found.basename() == basename)
    }

    /// The assets whose basenames differ from this one only in case or composition, or else also in the extension.
    pub(super) fn near(&self, basename: &str) -> Result<Vec<Found>> {
        let near = folded(basename);
        let [stem, key, _] = self.keys(basename);
        let found = self.select(BY_NEAR, &[stem, key], |found| folded(found.basename()) == near)?;
        if !found.is_empty() {
            return Ok(found);
        }
        // A name without an extension is also the stem of one that has it.
        for stem in [split(&near).0, &near] {
            let is_so = |found: &Found| split(&folded(found.basename())).0 == stem;
            let found = self.select(BY_STEM, &[self.hash(stem)], is_so)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// The assets whose basenames without extension are this stem.
    pub(super) fn with_stem(&self, stem: &str) -> Result<Vec<Found>> {
        let key = self.hash(&folded(stem));
        self.select(BY_STEM, &[key], |found| split(found.basename()).0 == stem)
    }

    /// The assets that this path may mean: the one with this whole name, also below the source's prefix or with the
    /// container, a host or folders in front; otherwise those whose names end in it.
    pub(super) fn with_path(&self, path: &str) -> Result<Vec<Found>> {
        self.found_by_path(path, BY_BASE)
    }

    /// The same without a limit, for what is asked once per name.
    pub(super) fn all_with_path(&self, path: &str) -> Result<Vec<Found>> {
        self.found_by_path(path, ALL_BY_BASE)
    }

    fn found_by_path(&self, path: &str, by_base: &str) -> Result<Vec<Found>> {
        let path = path_of(path).replace('\\', "/");
        let within = self.places.iter().filter_map(|place| path.strip_prefix(place.as_str()));
        for name in within.chain([path.as_str()]) {
            for whole in [name, &format!("{}{name}", self.prefix)] {
                if let Some(found) = self.named(whole)? {
                    return Ok(vec![found]);
                }
            }
        }
        for (at, _) in path.match_indices('/').take(MAX_FOLDERS) {
            let rest = &path[at + 1..];
            // A basename alone says nothing about where the asset is.
            if rest.contains('/')
                && let Some(found) = self.named(rest)?
            {
                return Ok(vec![found]);
            }
        }
        let base = basename(&path);
        let mut found = self.select(by_base, &self.keys(base), |found| found.basename() == base)?;
        found.retain(|found| !path.contains('/') || found.name.ends_with(&format!("/{path}")));
        Ok(found)
    }

    fn select(&self, sql: &str, keys: &[i64], is_so: impl Fn(&Found) -> bool) -> Result<Vec<Found>> {
        let select = || {
            let mut select = self.database.prepare_cached(sql)?;
            let found = select.query_map(params_from_iter(keys), |row| {
                let verdict = Verdict::ALL.get(row.get::<_, usize>(2)?).copied();
                Ok(Found { id: row.get(0)?, name: row.get(1)?, verdict: verdict.unwrap_or(Verdict::Unknown) })
            })?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut found = checked(select())?;
        found.retain(is_so);
        Ok(found)
    }
}

// Of one name, 1,000 assets at most are compared. The limit is not a parameter: SQLite compiles a statement again
// whenever a limit is bound.
const BY_WHOLE: &str = "select id, name, verdict from asset where whole = ? order by id limit 1000";
const BY_BASE: &str =
    "select id, name, verdict from asset where stem = ? and near = ? and base = ? order by id limit 1000";
const ALL_BY_BASE: &str =
    "select id, name, verdict from asset where stem = ? and near = ? and base = ? order by id";
const BY_NEAR: &str =
    "select id, name, verdict from asset where stem = ? and near = ? order by id limit 1000";
const BY_STEM: &str = "select id, name, verdict from asset where stem = ? order by id limit 1000";

/// The result of an operation on the database.
pub(super) fn checked<T>(done: rusqlite::Result<T>) -> Result<T> {
    database::checked("names cannot be compared", done)
}

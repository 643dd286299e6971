//! The names of a plan's assets, in a temporary database.

use std::hash::{BuildHasher, RandomState};

use percent_encoding::percent_decode_str;
use rusqlite::{Connection, params};

use super::spelling::{basename, folded, split};
use crate::files::database;
use crate::model::error::Result;
use crate::model::{Asset, Verdict};
use crate::plan::RunHeader;

/// The most assets listed for one basename: each is compared, and a longer list would not be read.
pub(super) const MAX_ALIKE: usize = 1_000;
/// The most folders of a path that are left out at its beginning to find an asset: those that a blob name can have.
const MAX_FOLDERS: usize = 254;

/// Names are found by hashes with a random key, so that nobody can choose names that collide. What is found is compared.
const CREATE: &str =
    "create table asset (id integer primary key, name text not null, verdict integer not null,
    whole integer not null, base integer not null, near integer not null, stem integer not null)";
const INDEX: &str = "create index by_whole on asset (whole); create index by_base on asset (base);
    create index by_near on asset (near); create index by_stem on asset (stem)";

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
        let base = folded(basename(name));
        let verdict = Verdict::ALL.iter().position(|verdict| *verdict == asset.verdict);
        let mut insert = self.database.prepare_cached("insert into asset values (?, ?, ?, ?, ?, ?, ?)")?;
        insert
            .execute(params![
                self.count,
                name,
                verdict.unwrap_or_default(),
                self.hash(name),
                self.hash(asset.blob.name.basename()),
                self.hash(&base),
                self.hash(split(&base).0),
            ])
            .map(drop)
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
        Ok(self.select("whole", name, MAX_ALIKE, |found| found.name == name)?.into_iter().next())
    }

    /// The assets with this basename, up to [`MAX_ALIKE`].
    pub(super) fn with_basename(&self, basename: &str) -> Result<Vec<Found>> {
        self.select("base", basename, MAX_ALIKE, |found| found.basename() == basename)
    }

    /// The assets whose basenames differ from this one only in case or composition, or else also in the extension.
    pub(super) fn near(&self, basename: &str) -> Result<Vec<Found>> {
        let near = folded(basename);
        let found = self.select("near", &near, MAX_ALIKE, |found| folded(found.basename()) == near)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let stem = split(&near).0;
        let mut found =
            self.select("stem", stem, MAX_ALIKE, |found| split(&folded(found.basename())).0 == stem)?;
        // A name without an extension is also the stem of one that has it.
        if found.is_empty() {
            found =
                self.select("stem", &near, MAX_ALIKE, |found| split(&folded(found.basename())).0 == near)?;
        }
        Ok(found)
    }

    /// The assets whose basenames without extension are this stem.
    pub(super) fn with_stem(&self, stem: &str) -> Result<Vec<Found>> {
        self.select("stem", &folded(stem), MAX_ALIKE, |found| split(found.basename()).0 == stem)
    }

    /// The assets that this path may mean: the one with this whole name, also below the source's prefix or with the
    /// container, a host or folders in front; otherwise those whose names end in it.
    pub(super) fn with_path(&self, path: &str) -> Result<Vec<Found>> {
        self.up_to_with_path(path, MAX_ALIKE)
    }

    /// The same without a limit, for what is asked once per name.
    pub(super) fn all_with_path(&self, path: &str) -> Result<Vec<Found>> {
        self.up_to_with_path(path, usize::MAX)
    }

    fn up_to_with_path(&self, path: &str, most: usize) -> Result<Vec<Found>> {
        let mut path = path.replace('\\', "/");
        if let Some((_, address)) = path.split_once("://") {
            // Of a URL, what follows the host, up to a query.
            let address = address.split(['?', '#']).next().unwrap_or_default();
            let address = address.split_once('/').map_or(address, |(_, rest)| rest);
            path = percent_decode_str(address).decode_utf8_lossy().into_owned();
        }
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
        let mut found = self.select("base", base, most, |found| found.basename() == base)?;
        found.retain(|found| !path.contains('/') || found.name.ends_with(&format!("/{path}")));
        Ok(found)
    }

    fn select(
        &self,
        column: &str,
        text: &str,
        most: usize,
        is_so: impl Fn(&Found) -> bool,
    ) -> Result<Vec<Found>> {
        let select = || {
            let sql = format!("select id, name, verdict from asset where {column} = ? order by id limit ?");
            let mut select = self.database.prepare_cached(&sql)?;
            let found = select.query_map(
                params![self.hash(text), i64::try_from(most).unwrap_or(i64::MAX)],
                |row| {
                    let verdict = Verdict::ALL.get(row.get::<_, usize>(2)?).copied();
                    Ok(Found {
                        id: row.get(0)?,
                        name: row.get(1)?,
                        verdict: verdict.unwrap_or(Verdict::Unknown),
                    })
                },
            )?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut found = checked(select())?;
        found.retain(is_so);
        Ok(found)
    }
}

/// The result of an operation on the database.
pub(super) fn checked<T>(done: rusqlite::Result<T>) -> Result<T> {
    database::checked("names cannot be compared", done)
}

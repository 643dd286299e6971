//! The references of all label files, in a temporary database: each name and size once.
//!
//! Rows are only appended and sorted, so that millions of them take no random access: a table of that size does not fit
//! the cache.

use rusqlite::{Row, params};

use super::reference::Reference;
use crate::matching::assets::{Assets, checked};
use crate::matching::spelling::{basename, path_of, without_query};
use crate::model::error::Result;

/// `stem` is what assets are found by, and `place` the order of the files and inside them.
pub(super) const CREATE: &str =
    "create table reference (place integer primary key, name text not null, is_stem integer not null,
    width integer, height integer, first integer, last integer, count integer not null, file integer not null,
    line integer, stem integer not null);
    create table file (id integer primary key, path text not null);
    create table outcome (place integer not null, name text not null, is_stem integer not null, width integer,
    height integer, first integer, last integer, count integer not null, file integer not null, line integer,
    asset integer not null, fate integer not null, alike integer not null)";

/// A reference as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub place: i64,
    pub name: String,
    pub is_stem: bool,
    pub width: Option<u64>,
    pub height: Option<u64>,
    pub frames: Option<(u64, u64)>,
    /// How often it is referred to.
    pub count: u64,
    pub file: i64,
    pub line: Option<u64>,
}

const COLUMNS: &str = "place, name, is_stem, width, height, first, last, count, file, line";

impl Kept {
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (first, last): (Option<u64>, Option<u64>) = (row.get(5)?, row.get(6)?);
        Ok(Self {
            place: row.get(0)?,
            name: row.get(1)?,
            is_stem: row.get(2)?,
            width: row.get(3)?,
            height: row.get(4)?,
            frames: first.zip(last),
            count: row.get(7)?,
            file: row.get(8)?,
            line: row.get(9)?,
        })
    }

    /// Inserts its columns, in the order of [`COLUMNS`], and then these.
    fn insert<const N: usize>(&self, assets: &Assets, sql: &str, more: [i64; N]) -> Result<()> {
        let insert = || {
            let mut insert = assets.database.prepare_cached(sql)?;
            let (first, last) = self.frames.unzip();
            let Self { place, name, is_stem, width, height, count, file, line, .. } = self;
            let columns = params![place, name, is_stem, width, height, first, last, count, file, line];
            let more = more.iter().map(|number| number as &dyn rusqlite::ToSql);
            let all: Vec<_> = columns.iter().copied().chain(more).collect();
            insert.execute(&*all)
        };
        checked(insert()).map(drop)
    }

    /// Adds another one if it is the same but for its place and its frames. Returns it otherwise.
    fn merge(&mut self, other: Self) -> Option<Self> {
        let what = |kept: &Self| (kept.is_stem, kept.width, kept.height, kept.frames.is_some());
        if self.name != other.name || what(self) != what(&other) {
            return Some(other);
        }
        self.count = self.count.saturating_add(other.count);
        if let (Some((first, last)), Some((other_first, other_last))) = (&mut self.frames, other.frames) {
            (*first, *last) = (other_first.min(*first), other_last.max(*last));
        }
        None
    }
}

/// Keeps the references of a file. Those that follow each other and are the same, such as rows of boxes, are one row.
pub(super) struct Keeper<'a> {
    assets: &'a Assets,
    file: i64,
    last: Option<Kept>,
}

impl<'a> Keeper<'a> {
    /// Begins with a file.
    pub(super) fn of_file(assets: &'a Assets, path: &str) -> Result<Self> {
        let insert = || {
            assets.database.prepare_cached("insert into file (path) values (?)")?.execute([path])?;
            Ok(assets.database.last_insert_rowid())
        };
        Ok(Self { assets, file: checked(insert())?, last: None })
    }

    /// Keeps a reference. `place` is its number, in the order of the files.
    pub(super) fn add(&mut self, place: i64, found: &Reference<'_>) -> Result<()> {
        // Numbers in files are hostile: what SQLite cannot hold is not the size of a picture.
        let small = |number: &u64| i64::try_from(*number).is_ok();
        let Reference { name, is_stem, width, height, frames, count, line } = *found;
        let other = Kept {
            place,
            name: without_query(name).to_owned(),
            is_stem,
            width: width.filter(small),
            height: height.filter(small),
            frames: frames.filter(|(first, last)| small(first) && small(last)),
            count,
            file: self.file,
            line: line.filter(small),
        };
        let other = match &mut self.last {
            Some(last) => last.merge(other),
            None => Some(other),
        };
        if let Some(other) = other {
            self.keep()?;
            self.last = Some(other);
        }
        Ok(())
    }

    /// Keeps the last one.
    pub(super) fn keep(&mut self) -> Result<()> {
        const ADD: &str = "insert into reference values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let Some(last) = self.last.take() else { return Ok(()) };
        let stem = self.assets.stem_key(basename(&path_of(&last.name)), last.is_stem);
        last.insert(self.assets, ADD, [stem])
    }
}

/// Calls `take` with each reference once. Those that find the same assets by their basenames follow each other.
pub(super) fn each(assets: &Assets, mut take: impl FnMut(Kept) -> Result<()>) -> Result<()> {
    let sql = format!(
        "select {COLUMNS} from reference order by stem, name, is_stem, width, height, first is null, place"
    );
    let mut select = checked(assets.database.prepare(&sql))?;
    let mut rows = checked(select.query([]))?;
    let mut last: Option<Kept> = None;
    while let Some(row) = checked(rows.next())? {
        let other = checked(Kept::of_row(row))?;
        let other = match &mut last {
            Some(last) => last.merge(other),
            None => Some(other),
        };
        if let Some(done) = other.and_then(|other| last.replace(other)) {
            take(done)?;
        }
    }
    last.map_or(Ok(()), take)
}

/// Notes what becomes of a reference, and which asset that is about.
pub(super) fn settle(assets: &Assets, kept: &Kept, asset: i64, fate: i64, alike: usize) -> Result<()> {
    const ADD: &str = "insert into outcome values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    kept.insert(assets, ADD, [asset, fate, i64::try_from(alike).unwrap_or(i64::MAX)])
}

/// A reference with the asset that it is about, what becomes of it, and how many assets it may mean.
pub(super) struct Settled {
    pub asset: i64,
    pub fate: usize,
    pub alike: u64,
    pub kept: Kept,
    /// The path of the label file.
    pub path: String,
}

/// Calls `take` with each settled reference, in the order of the assets.
pub(super) fn each_settled(assets: &Assets, mut take: impl FnMut(Settled) -> Result<()>) -> Result<()> {
    let sql = format!(
        "select {COLUMNS}, asset, fate, alike, (select path from file where id = file)
         from outcome order by asset, place"
    );
    let mut select = checked(assets.database.prepare(&sql))?;
    let mut rows = checked(select.query([]))?;
    while let Some(row) = checked(rows.next())? {
        let settled = || {
            Ok(Settled {
                kept: Kept::of_row(row)?,
                asset: row.get(10)?,
                fate: row.get(11)?,
                alike: row.get(12)?,
                path: row.get(13)?,
            })
        };
        take(checked(settled())?)?;
    }
    Ok(())
}

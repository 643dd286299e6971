//! The references of all label files, in a temporary database: each name and size once.

use rusqlite::{Row, params};

use super::reference::Reference;
use crate::matching::assets::{Assets, checked};
use crate::model::error::Result;

/// `id` is a hash of what makes a reference another one, and `place` their order.
pub(super) const CREATE: &str = "create table reference (id integer primary key, place integer not null,
    name text not null, is_stem integer not null, width integer, height integer, first integer, last integer,
    count integer not null, file integer not null, line integer);
    create table file (id integer primary key, path text not null);
    create table outcome (asset integer not null, place integer not null, reference integer not null,
        fate integer not null, alike integer not null, primary key (asset, place)) without rowid";

/// A reference as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub id: i64,
    pub place: i64,
    pub name: String,
    pub is_stem: bool,
    pub width: Option<u64>,
    pub height: Option<u64>,
    pub frames: Option<(u64, u64)>,
    /// How often it is referred to.
    pub count: u64,
    pub file: String,
    pub line: Option<u64>,
}

const COLUMNS: &str =
    "reference.id, reference.place, name, is_stem, width, height, first, last, count, path, line";

impl Kept {
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (first, last): (Option<u64>, Option<u64>) = (row.get(6)?, row.get(7)?);
        Ok(Self {
            id: row.get(0)?,
            place: row.get(1)?,
            name: row.get(2)?,
            is_stem: row.get(3)?,
            width: row.get(4)?,
            height: row.get(5)?,
            frames: first.zip(last),
            count: row.get(8)?,
            file: row.get(9)?,
            line: row.get(10)?,
        })
    }
}

/// Names a file that is read now. Returns its number.
pub(super) fn add_file(assets: &Assets, path: &str) -> Result<i64> {
    let insert = || {
        assets.database.prepare_cached("insert into file (path) values (?)")?.execute([path])?;
        Ok(assets.database.last_insert_rowid())
    };
    checked(insert())
}

/// Keeps a reference, or adds to the one that is there.
pub(super) fn add(assets: &Assets, file: i64, place: i64, found: &Reference<'_>) -> Result<()> {
    const ADD: &str =
        "insert into reference values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set
        count = count + excluded.count, first = min(first, excluded.first), last = max(last, excluded.last)";
    let Reference { name, is_stem, width, height, frames, count, line } = found;
    // Numbers in files are hostile: what no picture has is no size.
    let small = |number: &u64| i64::try_from(*number).ok();
    let (width, height) = (width.as_ref().and_then(small), height.as_ref().and_then(small));
    let id = assets.hash(&format!("{is_stem} {width:?} {height:?} {} {name}", frames.is_some()));
    let (first, last) = frames.unzip();
    let add = || {
        assets.database.prepare_cached(ADD)?.execute(params![
            id,
            place,
            name,
            is_stem,
            width,
            height,
            first.as_ref().and_then(small),
            last.as_ref().and_then(small),
            small(count),
            file,
            line.as_ref().and_then(small)
        ])
    };
    checked(add()).map(drop)
}

/// Calls `take` with each reference, in no particular order.
pub(super) fn each(assets: &Assets, mut take: impl FnMut(Kept) -> Result<()>) -> Result<()> {
    let sql = format!("select {COLUMNS} from reference join file on file.id = reference.file");
    let mut select = checked(assets.database.prepare(&sql))?;
    let mut rows = checked(select.query([]))?;
    while let Some(row) = checked(rows.next())? {
        take(checked(Kept::of_row(row))?)?;
    }
    Ok(())
}

/// Notes what becomes of a reference, and which asset that is about.
pub(super) fn settle(assets: &Assets, kept: &Kept, asset: i64, fate: i64, alike: usize) -> Result<()> {
    let insert = || {
        let mut insert = assets.database.prepare_cached("insert into outcome values (?, ?, ?, ?, ?)")?;
        insert.execute(params![asset, kept.place, kept.id, fate, alike])
    };
    checked(insert()).map(drop)
}

/// A reference with the asset that it is about, what becomes of it, and how many assets it may mean.
pub(super) struct Settled {
    pub asset: i64,
    pub fate: usize,
    pub alike: u64,
    pub kept: Kept,
}

/// Calls `take` with each settled reference, in the order of the assets.
pub(super) fn each_settled(assets: &Assets, mut take: impl FnMut(Settled) -> Result<()>) -> Result<()> {
    let sql = format!(
        "select {COLUMNS}, asset, fate, alike from outcome join reference on reference.id = outcome.reference
         join file on file.id = reference.file order by asset, outcome.place"
    );
    let mut select = checked(assets.database.prepare(&sql))?;
    let mut rows = checked(select.query([]))?;
    while let Some(row) = checked(rows.next())? {
        let settled = || {
            Ok(Settled {
                kept: Kept::of_row(row)?,
                asset: row.get(11)?,
                fate: row.get(12)?,
                alike: row.get(13)?,
            })
        };
        take(checked(settled())?)?;
    }
    Ok(())
}

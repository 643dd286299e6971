//! Sorts rows into the order of a listing: a report may have several files, and none guarantees an order.
//!
//! Only reports of accounts with a hierarchical namespace have directories ("Azure Storage blob inventory",
//! `hdi_isfolder`), and these accounts list folder by folder. Others list by bytes.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::files::database;
use crate::model::error::Result;
use crate::model::{Access, Blob, BlobName, Declared, ETag};

/// Blobs per page.
const PAGE: usize = 1_000;

const CREATE: &str =
    "create table blobs (name blob not null, path blob not null, size integer not null, etag text,
    last_modified integer, access text not null, access_reason text not null,
    content_type text, content_encoding text)";
const INSERT: &str = "insert into blobs values (?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Of several rows with the same name, the newest comes first.
const BY_BYTES: &str = "select name, size, etag, last_modified, access, access_reason,
    content_type, content_encoding from blobs
    order by name, last_modified desc";
const BY_FOLDER: &str = "select name, size, etag, last_modified, access, access_reason,
    content_type, content_encoding from blobs
    order by path, last_modified desc";

/// Sorts blobs on disk: folder by folder if there are directories, or else by the bytes of their names.
pub(super) struct Sorted {
    database: Connection,
    has_directories: bool,
}

impl Sorted {
    pub(super) fn new() -> Result<Self> {
        let database = checked(database::temporary(CREATE))?;
        Ok(Self { database, has_directories: false })
    }

    pub(super) fn add(&mut self, blob: &Blob) -> Result<()> {
        let why = match &blob.access {
            Access::Unreachable(why) => why,
            _ => "",
        };
        self.has_directories |= blob.access == Access::Directory;
        let add = || {
            let mut insert = self.database.prepare_cached(INSERT)?;
            insert.execute(params![
                blob.name.as_str().as_bytes(),
                path(&blob.name),
                i64::try_from(blob.size).unwrap_or(i64::MAX),
                blob.etag.as_ref().map(|etag| etag.as_str()),
                blob.last_modified.map(Timestamp::as_microsecond),
                blob.access.as_str(),
                why,
                blob.declared.content_type,
                blob.declared.content_encoding,
            ])
        };
        checked(add()).map(drop)
    }

    /// Passes pages to `take` until it returns false. Returns how many rows were left out because a newer one has the
    /// same name.
    pub(super) fn pages(self, take: &mut dyn FnMut(Vec<Blob>) -> bool) -> Result<u64> {
        let mut pages = || {
            let query = if self.has_directories { BY_FOLDER } else { BY_BYTES };
            let mut select = self.database.prepare(query)?;
            let mut rows = select.query([])?;
            let (mut page, mut twice) = (Vec::new(), 0);
            let mut last: Option<BlobName> = None;
            while let Some(row) = rows.next()? {
                let blob = blob(row)?;
                if last.as_ref() == Some(&blob.name) {
                    twice += 1;
                    continue;
                }
                last = Some(blob.name.clone());
                page.push(blob);
                if page.len() == PAGE && !take(std::mem::take(&mut page)) {
                    return Ok(twice);
                }
            }
            take(page);
            Ok(twice)
        };
        checked(pages())
    }
}

/// The name as bytes that sort folder by folder: `/` is the least of them.
fn path(name: &BlobName) -> Vec<u8> {
    let mut path = Vec::new();
    for byte in name.as_str().bytes() {
        match byte {
            b'/' => path.push(0),
            // Such names are rare, but must stay different from each other and after `/`.
            0 | 1 => path.extend([1, byte + 1]),
            byte => path.push(byte),
        }
    }
    path
}

fn blob(row: &Row<'_>) -> rusqlite::Result<Blob> {
    let name: Vec<u8> = row.get(0)?;
    let (access, why): (String, String) = (row.get(4)?, row.get(5)?);
    let microseconds: Option<i64> = row.get(3)?;
    let (content_type, encoding): (Option<String>, Option<String>) = (row.get(6)?, row.get(7)?);
    Ok(Blob {
        name: BlobName::new(String::from_utf8_lossy(&name)),
        size: row.get::<_, i64>(1)?.unsigned_abs(),
        etag: row.get::<_, Option<String>>(2)?.as_deref().map(ETag::unquoted),
        last_modified: microseconds.and_then(|time| Timestamp::from_microsecond(time).ok()),
        access: Access::named(&access, &why).unwrap_or(Access::Online),
        declared: Declared::new(content_type.as_deref(), encoding.as_deref()),
    })
}

fn checked<T>(done: rusqlite::Result<T>) -> Result<T> {
    database::checked("the inventory cannot be sorted", done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in the order in which they come, and how many were left out.
    fn sorted(blobs: impl IntoIterator<Item = Blob>) -> (Vec<Blob>, u64) {
        let mut sorted = Sorted::new().expect("a database");
        blobs.into_iter().for_each(|blob| sorted.add(&blob).expect("it is kept"));
        let mut blobs = Vec::new();
        let twice = sorted.pages(&mut |page| {
            blobs.extend(page);
            true
        });
        (blobs, twice.expect("they are sorted"))
    }

    fn names(blobs: &[Blob]) -> Vec<&str> {
        blobs.iter().map(|blob| blob.name.as_str()).collect()
    }

    #[test]
    fn blobs_come_in_the_order_of_their_bytes_and_each_name_once() {
        let blobs = [("é", 1), ("b", 2), ("a/", 3), ("b", 9), ("a\0b", 4), ("z", 5), ("a", 6), ("b", 1)];
        let (blobs, twice) = sorted(blobs.map(|(name, second)| {
            let last_modified = Timestamp::from_second(second).ok();
            let declared = Declared::new(Some("image/x"), None);
            Blob { last_modified, declared, ..Blob::not_entered(name) }
        }));
        assert_eq!((names(&blobs), twice), (vec!["a", "a\0b", "a/", "b", "z", "é"], 2));
        assert_eq!(blobs[3].last_modified, Timestamp::from_second(9).ok());
        assert_eq!(blobs[3].access, Access::NotEntered);
        assert_eq!(blobs[3].declared, Declared::new(Some("image/x"), None));
    }

    #[test]
    fn blobs_come_folder_by_folder_if_there_are_directories() {
        let files = ["a-b/2", "a\0b", "a\u{1}b", "a/3", "a b", "a/b/1", "a-b"].map(Blob::not_entered);
        let directory = Blob { access: Access::Directory, ..Blob::not_entered("a") };
        let (blobs, _) = sorted(files.into_iter().chain([directory]));
        assert_eq!(names(&blobs), ["a", "a/3", "a/b/1", "a\0b", "a\u{1}b", "a b", "a-b", "a-b/2"]);
    }
}

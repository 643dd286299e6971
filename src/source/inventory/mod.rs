//! Lists a container from Azure Blob Inventory reports instead of asking the service.
//!
//! A report is up to a day old when it arrives ("Azure Storage blob inventory"), so a blob in it may have been deleted
//! or changed since. Reading the blob reveals this: a deleted one is skipped, and a changed one is looked up in the
//! service and judged as it is now.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::Listing;
use crate::model::error::{Cause, Error, Result};
use crate::model::{Blob, Origin};

mod manifest;
mod md5;
mod report;
mod row;
mod sorted;

use report::Report;
use row::{LeftOut, Scope};
use sorted::Sorted;

/// Pages that may be ready ahead of the consumer.
const PAGES_AHEAD: usize = 2;

/// Counts of the reports' rows so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rows read.
    pub rows: AtomicU64,
    /// Of these, rows of other containers or without the prefix.
    pub elsewhere: AtomicU64,
    /// Of these, rows whose names do not begin with a container.
    pub nameless: AtomicU64,
    /// Of these, snapshots, versions that are not the current one, and deleted blobs.
    pub hidden: AtomicU64,
    /// Of these, rows whose name also appears in a newer row.
    pub twice: AtomicU64,
}

/// Lists the blobs under a container's prefix from the reports in `files`: CSV or Parquet files, or manifests, which
/// name such files in their own folder. Also returns counts of the rows. Must be called within a tokio runtime.
///
/// # Errors
/// Returns an error if the origin is not a container, or if one of the files does not exist.
pub fn list(origin: &Origin, files: Vec<PathBuf>) -> Result<(Listing, Arc<Tally>)> {
    if origin.container.is_none() {
        return Err(Error::new("an inventory lists a container, but the source is not a container")
            .because(Cause::Usage)
            .with_hint("give the container that it lists: https://ACCOUNT.blob.core.windows.net/CONTAINER"));
    }
    for file in &files {
        if !file.is_file() {
            return Err(Error::new(format!("there is no inventory report '{}'", file.display()))
                .because(Cause::NotFound)
                .with_hint("give the manifest, or the CSV and Parquet files of a report"));
        }
    }
    let tally = Arc::new(Tally::default());
    let (sender, pages) = mpsc::channel(PAGES_AHEAD);
    let (scope, counts) = (Scope::new(origin), Arc::clone(&tally));
    // The task ends when the listing is dropped, so its handle is not needed.
    drop(tokio::task::spawn_blocking(move || {
        if let Err(error) = send_pages(&files, &scope, &counts, &sender) {
            let _ = sender.blocking_send(Err(error));
        }
    }));
    let pages = stream::unfold(pages, |mut pages| async { pages.recv().await.map(|page| (page, pages)) });
    Ok((pages.boxed(), tally))
}

/// Sorts the rows of all reports into the order of a listing, and sends them page by page.
fn send_pages(
    files: &[PathBuf],
    scope: &Scope,
    tally: &Tally,
    pages: &mpsc::Sender<Result<Vec<Blob>>>,
) -> Result<()> {
    let mut sorted = Sorted::new()?;
    // Nothing can be sent before all rows are read: the first name of the listing may be in the last row.
    for Inventory { files, stated } in inventories(files, scope)? {
        let before = tally.rows.load(Ordering::Relaxed);
        for path in files {
            Report::open(&path)?.each(&mut |row| {
                if pages.is_closed() {
                    return Err(Error::new("the run ended early"));
                }
                count(&tally.rows);
                match row.blob(scope) {
                    Ok(blob) => sorted.add(&blob)?,
                    Err(LeftOut::Elsewhere) => count(&tally.elsewhere),
                    Err(LeftOut::Nameless) => count(&tally.nameless),
                    Err(LeftOut::Hidden) => count(&tally.hidden),
                    Err(LeftOut::Broken(why)) => return Err(Error::new(why)),
                }
                Ok(())
            })?;
        }
        let rows = tally.rows.load(Ordering::Relaxed) - before;
        if let Some((manifest, stated)) = stated.filter(|(_, stated)| *stated != rows) {
            let why = format!("its files have {rows} rows, but its objectCount is {stated}");
            return Err(broken(&manifest, &why).with_hint("copy all files of the report again"));
        }
    }
    if scope.is_elsewhere() {
        return Err(scope.not_met());
    }
    let twice = sorted.pages(&mut |page| pages.blocking_send(Ok(page)).is_ok())?;
    tally.twice.store(twice, Ordering::Relaxed);
    Ok(())
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Files with rows, and what their manifest says about them.
struct Inventory {
    files: Vec<PathBuf>,
    /// The manifest, and how many rows it says that they have.
    stated: Option<(PathBuf, u64)>,
}

/// The inventories: each file that is given, or those that it names as a manifest.
fn inventories(files: &[PathBuf], scope: &Scope) -> Result<Vec<Inventory>> {
    let inventory = |file: &PathBuf| {
        Ok(match manifest::read(file)? {
            Some(manifest) => Inventory {
                files: manifest.files(file, scope)?,
                stated: manifest.object_count().map(|count| (file.clone(), count)),
            },
            None => Inventory { files: vec![file.clone()], stated: None },
        })
    };
    files.iter().map(inventory).collect()
}

/// An error about a file of a report.
fn broken(path: &Path, why: &str) -> Error {
    Error::new(format!("the inventory report '{}' cannot be used: {why}", path.display()))
}

//! A container that is listed from a report of Azure Blob Inventory, instead of by the service.
//!
//! A report is up to a day old when it arrives ("Azure Storage blob inventory"): a row may be of a blob that is gone or
//! has changed since. Each is read all the same, which shows it: one that is gone is skipped as deleted, and one that
//! changed is looked up in the service and judged as it is now.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, stream};
use tokio::sync::mpsc;

use super::azure::AzureSource;
use super::{ReadError, Source};
use crate::error::{Error, Result};
use crate::model::{Blob, BlobName, ByteRange, Origin, Reads};

mod manifest;
mod report;
mod row;
mod sorted;

use report::Report;
use row::{LeftOut, Scope};
use sorted::Sorted;

/// Pages that wait until they are taken.
const PAGES_AHEAD: usize = 2;

/// A container, and the reports that list it.
#[derive(Debug)]
pub struct Inventory {
    container: AzureSource,
    files: Arc<[PathBuf]>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    rows: AtomicU64,
    elsewhere: AtomicU64,
    hidden: AtomicU64,
    twice: AtomicU64,
    gone: AtomicU64,
    changed: AtomicU64,
}

/// What became of the rows of the reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that were read.
    pub rows: u64,
    /// Of these, of other containers or without the prefix.
    pub elsewhere: u64,
    /// Of these, snapshots, versions that are not the current one, and deleted blobs.
    pub hidden: u64,
    /// Of these, of a name that another, newer row has too.
    pub twice: u64,
    /// Blobs that were gone when they were read.
    pub gone: u64,
    /// Blobs that had changed when they were read, and were judged as they were then.
    pub changed: u64,
}

impl Inventory {
    /// The blobs of `container`'s container and prefix, as the reports in `files` have them: CSV or Parquet, or manifests,
    /// which name such files that lie beside them. Nothing is read yet.
    ///
    /// # Errors
    /// When one of the files is not there.
    pub fn new(container: AzureSource, files: Vec<PathBuf>) -> Result<Self> {
        for file in &files {
            if !file.is_file() {
                return Err(Error::new(format!("there is no inventory report '{}'", file.display()))
                    .hint("give the manifest, or the CSV and Parquet files of a report"));
            }
        }
        Ok(Self { container, files: files.into(), counts: Arc::default() })
    }

    /// What a report says of the source.
    pub fn origin(&self) -> Origin {
        self.container.origin()
    }

    /// What became of the rows so far.
    pub fn tally(&self) -> Tally {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { rows, elsewhere, hidden, twice, gone, changed } = &*self.counts;
        Tally {
            rows: of(rows),
            elsewhere: of(elsewhere),
            hidden: of(hidden),
            twice: of(twice),
            gone: of(gone),
            changed: of(changed),
        }
    }
}

impl Counts {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Brings the rows of all reports into the order of a listing and hands over page after page.
fn list(
    files: &[PathBuf],
    scope: &Scope,
    counts: &Counts,
    pages: &mpsc::Sender<Result<Vec<Blob>>>,
) -> Result<()> {
    let mut sorted = Sorted::new()?;
    for path in reports(files, scope)? {
        Report::open(&path)?.each(&mut |row| {
            if pages.is_closed() {
                return Err(Error::new("the run ended early"));
            }
            Counts::add(&counts.rows);
            match row.blob(scope) {
                Ok(blob) => sorted.add(&blob)?,
                Err(LeftOut::Elsewhere) => Counts::add(&counts.elsewhere),
                Err(LeftOut::Hidden) => Counts::add(&counts.hidden),
                Err(LeftOut::Broken(why)) => return Err(Error::new(why)),
            }
            Ok(())
        })?;
    }
    if scope.is_elsewhere() {
        return Err(scope.not_met());
    }
    let twice = sorted.pages(&mut |page| pages.blocking_send(Ok(page)).is_ok())?;
    counts.twice.store(twice, Ordering::Relaxed);
    Ok(())
}

/// The files with rows: what is given, and what manifests name.
fn reports(files: &[PathBuf], scope: &Scope) -> Result<Vec<PathBuf>> {
    let mut reports = Vec::new();
    for file in files {
        match manifest::read(file)? {
            Some(manifest) => reports.extend(manifest.files(file, scope)?),
            None => reports.push(file.clone()),
        }
    }
    Ok(reports)
}

/// An error about a file of a report.
fn broken(path: &Path, why: &str) -> Error {
    Error::new(format!("the inventory report '{}' cannot be used: {why}", path.display()))
}

impl Source for Inventory {
    fn list(&self) -> impl Stream<Item = Result<Vec<Blob>>> + Send {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let (files, counts) = (Arc::clone(&self.files), Arc::clone(&self.counts));
        let scope = Scope::new(&self.container.origin());
        // It ends when nobody takes its pages any more.
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = list(&files, &scope, &counts, &sender) {
                let _ = sender.blocking_send(Err(error));
            }
        }));
        stream::unfold(pages, |mut pages| async { pages.recv().await.map(|page| (page, pages)) })
    }

    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        let bytes = self.container.read(blob, range, reads).await;
        if bytes == Err(ReadError::Gone) {
            Counts::add(&self.counts.gone);
        }
        bytes
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        let found = self.container.find(name).await?;
        Counts::add(if found.is_some() { &self.counts.changed } else { &self.counts.gone });
        Ok(found)
    }
}

//! Reads a plan, a row group at a time.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::digest::Digest;
use super::metadata::{self, Refused};
use super::rows::{Fault, Rows};
use super::{FORMAT_VERSION, GROUP_ROWS, Plan};
use crate::error::{Error, Result, reason};
use crate::model::Asset;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1 << 10;
/// Bytes of the file's footer, which is held whole: 64 MiB, what a plan of 100 million assets takes twice over.
const MAX_FOOTER: u64 = 64 << 20;
/// Values of one column in one row group, with those in lists: twice what this presync writes when every video has as
/// many tracks as it reads.
const MAX_GROUP_VALUES: usize = 128 * GROUP_ROWS;

/// The bytes that a Parquet file begins and ends with.
const MAGIC: [u8; 4] = *b"PAR1";
/// Its last bytes: the footer's length and the magic.
const TAIL: u64 = 8;

/// A plan that is being read: its assets in listing order.
///
/// * After an error nothing follows.
/// * The end is an error when the assets are not those that the plan was identified by.
/// * A row group is held at a time, and each column of it has at most two million values. What a page says of its own
///   length is bounded by Parquet alone, at 2 GiB.
pub struct PlanReader {
    shown: String,
    file: File,
    /// The same file by its pages; it parses the footer, so there is one for all row groups.
    pages: SerializedFileReader<File>,
    metadata: ArrowReaderMetadata,
    plan: Plan,
    digest: Digest,
    next_group: usize,
    batches: Option<ParquetRecordBatchReader>,
    rows: Option<Rows>,
    next_row: usize,
    read: u64,
    ended: bool,
}

impl PlanReader {
    /// Opens the plan at `path` and reads all but the assets.
    ///
    /// # Errors
    /// When there is none, when it is damaged, or when a newer presync wrote it in another format.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let unreadable =
            |error: io::Error| Error::new(format!("cannot read the plan '{shown}': {}", reason(&error)));
        if path.is_dir() {
            return Err(Error::new(format!("'{shown}' is a folder, not a plan")));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        check_ends(&mut file).map_err(unreadable)?.map_err(|foreign| match foreign {
            Ends::Foreign => no_plan(&shown, "it is no Parquet file"),
            Ends::Cut => damaged(&shown, "it is cut short"),
        })?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata =
            guarded(|| ArrowReaderMetadata::load(&file, options)).map_err(|fault| damaged(&shown, &fault))?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let plan = metadata::plan(pairs.map_or(&[], Vec::as_slice)).map_err(|refused| match refused {
            Refused::Foreign => no_plan(&shown, "it is a Parquet file of something else"),
            Refused::Version(version) => Error::new(format!(
                "the plan '{shown}' has the format version {version}, this presync reads {FORMAT_VERSION}"
            ))
            .hint("use the version of presync that wrote it, or write it anew with this one"),
            Refused::Key(key) => damaged(&shown, &format!("its {key} cannot be read")),
        })?;
        let pages = file.try_clone().map_err(unreadable)?;
        let pages = guarded(|| SerializedFileReader::new(pages)).map_err(|fault| damaged(&shown, &fault))?;
        let digest = Digest::new(&plan.header.origin);
        Ok(Self {
            shown,
            file,
            pages,
            metadata,
            plan,
            digest,
            next_group: 0,
            batches: None,
            rows: None,
            next_row: 0,
            read: 0,
            ended: false,
        })
    }

    /// Everything besides the assets.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn next_asset(&mut self) -> std::result::Result<Option<Asset>, Fault> {
        loop {
            if let Some(rows) = self.rows.as_ref().filter(|rows| self.next_row < rows.len()) {
                let asset = rows.asset(self.next_row)?;
                self.next_row += 1;
                self.read += 1;
                self.digest.add(&asset);
                return Ok(Some(asset));
            }
            (self.rows, self.next_row) = (None, 0);
            if let Some(batches) = &mut self.batches {
                match guarded(|| batches.next().transpose())? {
                    Some(batch) => self.rows = Some(Rows::new(batch)?),
                    None => self.batches = None,
                }
            } else if self.next_group < self.metadata.metadata().num_row_groups() {
                self.batches = Some(self.open_group(self.next_group)?);
                self.next_group += 1;
            } else {
                self.check_end()?;
                return Ok(None);
            }
        }
    }

    fn open_group(&self, group: usize) -> std::result::Result<ParquetRecordBatchReader, Fault> {
        guarded(|| check_group(&self.pages, group))?;
        let file = self.file.try_clone().map_err(|error| reason(&error))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        guarded(|| builder.with_row_groups(vec![group]).with_batch_size(BATCH_ROWS).build())
    }

    fn check_end(&self) -> std::result::Result<(), Fault> {
        let (listed, read) = (self.plan.summary.totals.listed, self.read);
        if read != listed {
            return Err(format!("it has {read} assets where {listed} should be"));
        }
        match self.digest.clone().finish() == self.plan.id {
            true => Ok(()),
            false => Err("its assets are not those that it was written with".to_owned()),
        }
    }
}

impl Iterator for PlanReader {
    type Item = Result<Asset>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_asset().map_err(|fault| damaged(&self.shown, &fault)).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What is wrong with a file's first and last bytes.
enum Ends {
    Foreign,
    Cut,
}

/// Looks at the first and the last bytes, and at the footer's length.
fn check_ends(file: &mut File) -> io::Result<std::result::Result<(), Ends>> {
    let len = file.metadata()?.len();
    let mut magic = [0; 4];
    if len < MAGIC.len() as u64 {
        return Ok(Err(if len == 0 { Ends::Cut } else { Ends::Foreign }));
    }
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Ok(Err(Ends::Foreign));
    }
    let Some(tail) = len.checked_sub(TAIL) else { return Ok(Err(Ends::Cut)) };
    let mut footer = [0; 4];
    file.seek(SeekFrom::Start(tail))?;
    file.read_exact(&mut footer)?;
    file.read_exact(&mut magic)?;
    let footer = u64::from(u32::from_le_bytes(footer));
    Ok(if magic != MAGIC || footer > MAX_FOOTER.min(tail) { Err(Ends::Cut) } else { Ok(()) })
}

/// Counts the values of a row group's columns by the headers of their pages, before memory is taken for them: a few
/// bytes can stand for billions.
fn check_group(file: &SerializedFileReader<File>, group: usize) -> std::result::Result<(), ParquetError> {
    let group = file.get_row_group(group)?;
    for column in 0..group.num_columns() {
        let mut pages = group.get_column_page_reader(column)?;
        let mut values = 0usize;
        while let Some(page) = pages.peek_next_page()? {
            values = values
                .saturating_add(page.num_levels.unwrap_or(0))
                .saturating_add(page.num_rows.unwrap_or(0));
            if values > MAX_GROUP_VALUES {
                return Err(ParquetError::General("it has more values than a plan may have".to_owned()));
            }
            pages.skip_next_page()?;
        }
    }
    Ok(())
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread decodes a plan. What panics then is caught and becomes an error, so nobody need be told.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// Calls the decoder, which may panic on damaged bytes.
fn guarded<T, E: std::fmt::Display>(
    decode: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, Fault> {
    DECODING.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    match decoded {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(_) => Err("it cannot be decoded".to_owned()),
    }
}

fn damaged(path: &str, fault: &str) -> Error {
    Error::new(format!("the plan '{path}' is damaged: {fault}"))
        .hint("write it anew: presync dry-run SOURCE --plan FILE")
}

fn no_plan(path: &str, why: &str) -> Error {
    Error::new(format!("'{path}' is no plan: {why}")).hint("presync dry-run SOURCE --plan FILE writes one")
}

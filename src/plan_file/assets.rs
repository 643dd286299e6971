//! The assets of a Parquet file, a batch of rows at a time.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;

use super::GROUP_ROWS;
use super::rows::{Fault, Rows};
use crate::error::reason;
use crate::model::Asset;
use crate::parquet_file::{self, Refused, guarded};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1 << 10;
/// Values of a column for each row of it, with those in lists: as many as a video has whose tracks are as many as
/// presync reads.
const VALUES_A_ROW: usize = 128;

/// The rows of a file, in its order.
///
/// * After an error nothing follows.
/// * A row group is open at a time, and each column of it has at most 128 values a row. What a page says of its own
///   length is bounded by Parquet alone, at 2 GiB.
pub(super) struct Assets {
    file: File,
    /// The same file by its pages; it parses the footer, so there is one for all row groups.
    pages: SerializedFileReader<File>,
    metadata: ArrowReaderMetadata,
    max_rows: usize,
    next_group: usize,
    batches: Option<ParquetRecordBatchReader>,
    rows: Option<Rows>,
    next_row: usize,
    read: u64,
}

impl Assets {
    /// Opens the file at `path`, no row group of which may have more rows than `max_rows`.
    pub(super) fn open(path: &Path, max_rows: usize) -> Result<Self, Refused> {
        let mut file = File::open(path).map_err(Refused::Unreadable)?;
        let metadata = parquet_file::footer(&mut file)?;
        let pages = file.try_clone().map_err(Refused::Unreadable)?;
        let pages = guarded(|| SerializedFileReader::new(pages)).map_err(Refused::Damaged)?;
        Ok(Self {
            file,
            pages,
            metadata,
            max_rows,
            next_group: 0,
            batches: None,
            rows: None,
            next_row: 0,
            read: 0,
        })
    }

    /// The file's key-value metadata.
    pub(super) fn pairs(&self) -> &[KeyValue] {
        parquet_file::pairs(&self.metadata)
    }

    /// Rows that came so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Rows of the file, as its footer says.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Something that no name of the file is less than; `None` when it does not tell.
    pub(super) fn least_name(&self) -> Option<Vec<u8>> {
        let least = |group: &parquet::file::metadata::RowGroupMetaData| {
            let mut columns = group.columns().iter();
            let name = columns.find(|column| column.column_path().string() == "name")?;
            match name.statistics()? {
                Statistics::ByteArray(values) => values.min_opt().map(|least| least.data().to_vec()),
                _ => None,
            }
        };
        let groups: Option<Vec<_>> = self.metadata.metadata().row_groups().iter().map(least).collect();
        groups?.into_iter().min()
    }

    pub(super) fn next(&mut self) -> Result<Option<Asset>, Fault> {
        loop {
            if let Some(rows) = self.rows.as_ref().filter(|rows| self.next_row < rows.len()) {
                let asset = rows.asset(self.next_row)?;
                self.next_row += 1;
                self.read += 1;
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
                return Ok(None);
            }
        }
    }

    fn open_group(&self, group: usize) -> Result<ParquetRecordBatchReader, Fault> {
        guarded(|| check_group(&self.pages, group, self.max_rows))?;
        let file = self.file.try_clone().map_err(|error| reason(&error))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        guarded(|| builder.with_row_groups(vec![group]).with_batch_size(BATCH_ROWS).build())
    }
}

/// Counts the values of a row group's columns by the headers of their pages, before memory is taken for them: a few
/// bytes can stand for billions.
fn check_group(file: &SerializedFileReader<File>, group: usize, max_rows: usize) -> Result<(), ParquetError> {
    let too_many = |what| Err(ParquetError::General(format!("it has more {what} than a plan may have")));
    let group = file.get_row_group(group)?;
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(usize::MAX);
    if rows > max_rows {
        return too_many("rows in one group");
    }
    let max_values = VALUES_A_ROW * rows.max(GROUP_ROWS);
    for column in 0..group.num_columns() {
        let mut pages = group.get_column_page_reader(column)?;
        let mut values = 0usize;
        while let Some(page) = pages.peek_next_page()? {
            let of_page = page.num_levels.unwrap_or(0).saturating_add(page.num_rows.unwrap_or(0));
            values = values.saturating_add(of_page);
            if values > max_values || of_page > VALUES_A_ROW * GROUP_ROWS {
                return too_many("values");
            }
            pages.skip_next_page()?;
        }
    }
    Ok(())
}

//! The assets of a Parquet file, a batch of rows at a time.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::statistics::Statistics;

use super::GROUP_ROWS;
use super::names::Names;
use super::rows::GroupRows;
use crate::files::parquet_file::{self, Fault, Refused, guarded};
use crate::model::Asset;

/// Rows that are decoded at a time.
pub(super) const BATCH_ROWS: usize = 1 << 10;
/// The most values of a column per row, including those in lists: enough for a video with as many tracks as presync
/// reads.
const VALUES_A_ROW: usize = 128;

/// The rows of a file, in its order.
///
/// * Nothing follows after an error.
/// * One row group is open at a time, and each of its columns has at most 128 values per row. The length that a page
///   states is bounded only by Parquet, at 2 GiB.
pub(super) struct Assets {
    file: Arc<SerializedFileReader<File>>,
    max_rows: usize,
    next_group: usize,
    rows: Option<GroupRows>,
    read: u64,
}

impl Assets {
    /// Opens the file at `path`, no row group of which may have more rows than `max_rows`.
    pub(super) fn open(path: &Path, max_rows: usize) -> Result<Self, Refused> {
        let file = Arc::new(parquet_file::open(File::open(path).map_err(Refused::Unreadable)?)?);
        Ok(Self { file, max_rows, next_group: 0, rows: None, read: 0 })
    }

    /// The file's key-value metadata.
    pub(super) fn pairs(&self) -> &[KeyValue] {
        parquet_file::pairs(&self.file)
    }

    /// The names of all rows.
    pub(super) fn names(&self) -> Names {
        Names::new(Arc::clone(&self.file), self.max_rows)
    }

    /// Rows read so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Rows of the file, according to its footer.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// A lower bound for the names in the file; `None` if its statistics have none.
    pub(super) fn least_name(&self) -> Option<Vec<u8>> {
        let least = |group: &parquet::file::metadata::RowGroupMetaData| {
            let mut columns = group.columns().iter();
            let name = columns.find(|column| column.column_path().string() == "name")?;
            match name.statistics()? {
                Statistics::ByteArray(values) => values.min_opt().map(|least| least.data().to_vec()),
                _ => None,
            }
        };
        let groups: Option<Vec<_>> = self.file.metadata().row_groups().iter().map(least).collect();
        groups?.into_iter().min()
    }

    pub(super) fn next(&mut self) -> Result<Option<Asset>, Fault> {
        loop {
            let Some(rows) = &mut self.rows else {
                if self.next_group == self.file.metadata().num_row_groups() {
                    return Ok(None);
                }
                self.rows = Some(self.open_group(self.next_group)?);
                self.next_group += 1;
                continue;
            };
            if rows.left() == 0 {
                rows.decode(BATCH_ROWS)?;
            }
            if rows.left() > 0 {
                self.read += 1;
                return rows.next_asset().map(Some);
            }
            self.rows = None;
        }
    }

    fn open_group(&self, group: usize) -> Result<GroupRows, Fault> {
        let group = guarded(|| self.file.get_row_group(group))?;
        guarded(|| check_group(&*group, 0..group.num_columns(), self.max_rows))?;
        GroupRows::open(&*group)
    }
}

/// Counts the values of some of a row group's columns from their page headers, before memory is allocated for them: a
/// few bytes can stand for billions of values.
pub(super) fn check_group(
    group: &dyn RowGroupReader,
    columns: Range<usize>,
    max_rows: usize,
) -> Result<(), ParquetError> {
    let too_many = |what| Err(ParquetError::General(format!("it has more {what} than a plan may have")));
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(usize::MAX);
    if rows > max_rows {
        return too_many("rows in one group");
    }
    let max_values = VALUES_A_ROW * rows.max(GROUP_ROWS);
    for column in columns {
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

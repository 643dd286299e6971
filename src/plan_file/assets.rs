//! The assets of a Parquet file, a batch of rows at a time.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;

use super::columns::Use;
use super::names::Names;
use super::rows::{GroupRows, check_group, position_leaf};
use crate::files::pages::Limits;
use crate::files::parquet_file::{self, Fault, Refused, guarded};
use crate::files::regular;
use crate::files::seal::{self, Seal};
use crate::model::Asset;

/// The rows of a file, in its order.
///
/// * Nothing follows after an error.
/// * One row group is open at a time, and its pages keep to the [`Limits`].
pub(super) struct Assets {
    file: Arc<SerializedFileReader<File>>,
    seal: Seal,
    limits: Limits,
    max_rows: usize,
    used: Use,
    /// Rows of the open group that are decoded at a time.
    batch: usize,
    next_group: usize,
    rows: Option<GroupRows>,
    read: u64,
}

impl Assets {
    /// Opens the file at `path`, no row group of which may have more rows than `max_rows`.
    pub(super) fn open(path: &Path, max_rows: usize) -> Result<Self, Refused> {
        let mut handle = regular::open(path).map_err(Refused::Unreadable)?.0;
        let file = Arc::new(parquet_file::open(handle.try_clone().map_err(Refused::Unreadable)?)?);
        let seal = seal::check(&mut handle).map_err(Refused::Unreadable)?;
        let rows = file.metadata().file_metadata().num_rows();
        let limits = Limits::of(handle, rows).map_err(Refused::Damaged)?;
        let used = Use::Assets;
        Ok(Self { file, seal, limits, max_rows, used, batch: 0, next_group: 0, rows: None, read: 0 })
    }

    /// Reads only the columns with this use from now on; the rest of each asset is blank.
    pub(super) fn only(self, used: Use) -> Self {
        Self { used, ..self }
    }

    /// Whether the file is as presync wrote it.
    pub(super) fn seal(&self) -> Seal {
        self.seal
    }

    /// The file's key-value metadata.
    pub(super) fn pairs(&self) -> &[KeyValue] {
        parquet_file::pairs(&self.file)
    }

    /// The names of all rows.
    pub(super) fn names(&self) -> Names {
        Names::new(Arc::clone(&self.file), self.limits.again(), self.max_rows)
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

    /// Whether each row has its position in the listing.
    pub(super) fn has_positions(&self) -> bool {
        position_leaf(self.file.metadata().file_metadata().schema_descr()).is_some()
    }

    /// The next asset and its position, 0 if the file has none.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Asset)>, Fault> {
        loop {
            let Some(rows) = &mut self.rows else {
                if self.next_group == self.file.metadata().num_row_groups() {
                    return Ok(None);
                }
                self.rows = Some(self.open_group(self.next_group)?);
                self.next_group += 1;
                continue;
            };
            if let Some(row) = rows.next() {
                self.read += 1;
                return Ok(Some(row));
            }
            rows.decode(self.batch)?;
            if rows.is_empty() {
                self.rows = None;
            }
        }
    }

    fn open_group(&mut self, group: usize) -> Result<GroupRows, Fault> {
        let opened = guarded(|| self.file.get_row_group(group))?;
        let (rows, leaves) = GroupRows::open(&*opened, self.used)?;
        let metadata = self.file.metadata().row_group(group);
        self.batch = check_group(&mut self.limits, metadata, leaves, self.max_rows)?;
        Ok(rows)
    }
}

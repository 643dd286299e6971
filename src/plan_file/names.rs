//! Reads only the names of a file's assets, which is much faster than reading the assets.

use std::fs::File;
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};

use super::rows::{check_group, name_leaf};
use crate::files::leaf::{LeafReader, Value};
use crate::files::pages::Limits;
use crate::files::parquet_file::{Fault, guarded};
use crate::model::BlobName;

/// The names of a file's rows, in its order. Nothing follows after an error.
pub(super) struct Names {
    file: Arc<SerializedFileReader<File>>,
    limits: Limits,
    max_rows: usize,
    next_group: usize,
    group: Option<LeafReader>,
    /// Rows of the open group that are decoded at a time.
    batch: usize,
    /// Rows that are decoded but not taken yet.
    left: usize,
}

impl Names {
    pub(super) fn new(file: Arc<SerializedFileReader<File>>, limits: Limits, max_rows: usize) -> Self {
        Self { file, limits, max_rows, next_group: 0, group: None, batch: 0, left: 0 }
    }

    fn next_name(&mut self) -> Result<Option<BlobName>, Fault> {
        loop {
            let Some(group) = &mut self.group else {
                if self.next_group == self.file.metadata().num_row_groups() {
                    return Ok(None);
                }
                self.group = Some(self.open_group()?);
                self.next_group += 1;
                continue;
            };
            if self.left == 0 {
                self.left = guarded(|| group.decode(self.batch))?;
            }
            if self.left > 0 {
                self.left -= 1;
                return next(group).map(Some);
            }
            self.group = None;
        }
    }

    fn open_group(&mut self) -> Result<LeafReader, Fault> {
        let group = guarded(|| self.file.get_row_group(self.next_group))?;
        let leaf = name_leaf(group.metadata().schema_descr())?;
        let metadata = self.file.metadata().row_group(self.next_group);
        self.batch = check_group(&mut self.limits, metadata, [leaf], self.max_rows)?;
        guarded(|| LeafReader::open(&*group, leaf))
    }
}

impl Iterator for Names {
    type Item = Result<BlobName, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_name();
        if next.is_err() {
            (self.group, self.next_group) = (None, self.file.metadata().num_row_groups());
        }
        next.transpose()
    }
}

fn next(group: &mut LeafReader) -> Result<BlobName, Fault> {
    let mut name = Err("its column 'name' has gaps".to_owned());
    group.next_row(|_, value| {
        if let Some(Value::Bytes(bytes)) = value {
            let text = std::str::from_utf8(bytes).map_err(|_| "its column 'name' is not UTF-8".to_owned());
            name = text.map(BlobName::new);
        }
        Ok(())
    })?;
    name
}

//! Writes a plan during the run.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::buffer::Rows;
use super::digest::Digest;
use super::{GROUP_ROWS, Plan, TOOL, columns, metadata, signed};
use crate::files::whole::WholeFile;
use crate::files::{seal, temporary};
use crate::model::Asset;
use crate::model::error::{Error, Result, reason};
use crate::plan::{RunHeader, Sink, Summary};

/// Bytes of text at which a row group ends, even if it has fewer rows: 16 MiB, which is enough for names of a thousand
/// bytes.
const GROUP_BYTES: usize = 16 << 20;

/// Bytes at which a page of a column ends: 64 KiB.
const PAGE_BYTES: usize = 64 << 10;

/// A plan that is being written. Its file does not appear before [`finish`](Sink::finish). If it is dropped before
/// that, nothing is left behind.
pub struct PlanWriter {
    header: RunHeader,
    digest: Digest,
    rows: RowWriter,
}

impl PlanWriter {
    /// Begins the plan that will be at `path`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn create(path: &Path, header: RunHeader) -> Result<Self> {
        Self::new(WholeFile::create(path)?, path, header)
    }

    /// Begins the plan that will be at `path` and is in `folder` until then, like [`WholeFile::create_in`].
    ///
    /// # Errors
    /// Returns an error if the file cannot be created in `folder`.
    pub(crate) fn create_in(folder: &Path, path: &Path, header: RunHeader) -> Result<Self> {
        Self::new(WholeFile::create_in(folder, path)?, path, header)
    }

    fn new(file: WholeFile, path: &Path, header: RunHeader) -> Result<Self> {
        Ok(Self { digest: Digest::new(&header.origin), header, rows: RowWriter::new(file, path, false)? })
    }
}

impl Sink for PlanWriter {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.digest.add(asset);
        self.rows.asset(asset, 0)
    }

    /// Finishes the plan and puts it in place of an older one. On an error, the older one is still there.
    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { header, digest, rows } = *self;
        let ended = header.begun.checked_add(elapsed).unwrap_or(Timestamp::MAX);
        let plan =
            Plan { tool: TOOL.to_owned(), header, summary: summary.clone(), ended, id: digest.finish() };
        let pairs = metadata::pairs(&plan).map_err(|error| rows.failed(io::Error::from(error).into()))?;
        rows.finish(pairs)
    }
}

/// Rows that are being written into a file, one row group at a time.
pub(super) struct RowWriter {
    rows: Rows,
    /// The positions of the rows, if the file has a column for them.
    positions: Option<Vec<i64>>,
    groups: SerializedFileWriter<File>,
    file: WholeFile,
    shown: String,
}

impl RowWriter {
    pub(super) fn new(file: WholeFile, path: &Path, has_positions: bool) -> Result<Self> {
        let shown = path.display().to_string();
        let groups = || {
            let schema = columns::schema(has_positions)?.into();
            SerializedFileWriter::new(file.writer()?, schema, properties()?.into())
        };
        let groups = groups().map_err(|error| failed(&shown, error))?;
        Ok(Self { rows: Rows::default(), positions: has_positions.then(Vec::new), groups, file, shown })
    }

    /// Adds an asset and its position, which is ignored if the file has no column for it.
    pub(super) fn asset(&mut self, asset: &Asset, position: u64) -> Result<()> {
        self.rows.add(asset);
        if let Some(positions) = &mut self.positions {
            positions.push(signed(position));
        }
        let is_full = self.rows.len() == GROUP_ROWS || self.rows.bytes() >= GROUP_BYTES;
        if is_full { self.write_group() } else { Ok(()) }
    }

    /// Finishes the file with these pairs and puts it in place.
    pub(super) fn finish(mut self, pairs: Vec<KeyValue>) -> Result<()> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        let Self { mut groups, file, shown, .. } = self;
        pairs.into_iter().chain([seal::blank()]).for_each(|pair| groups.append_key_value_metadata(pair));
        groups.finish().map_err(|error| failed(&shown, error))?;
        let sealed = file.writer().and_then(|mut file| seal::seal(&mut file));
        sealed.map_err(|error| failed(&shown, error.into()))?;
        file.commit()
    }

    fn write_group(&mut self) -> Result<()> {
        let positions = self.positions.as_mut().map(std::mem::take);
        let written = self.groups.next_row_group().and_then(|group| self.rows.write(positions, group));
        written.map_err(|error| failed(&self.shown, error))
    }

    fn failed(&self, error: ParquetError) -> Error {
        failed(&self.shown, error)
    }
}

fn properties() -> std::result::Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_created_by(TOOL.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        // Smaller pages than usual: how many rows are decoded at a time depends on the longest one.
        .set_data_page_size_limit(PAGE_BYTES)
        // Names are usually sorted, so most begin like the one before.
        .set_column_encoding(ColumnPath::from("name"), Encoding::DELTA_BYTE_ARRAY)
        .set_column_dictionary_enabled(ColumnPath::from("name"), false)
        // No two ETags are the same, so a dictionary would not help.
        .set_column_dictionary_enabled(ColumnPath::from("etag"), false)
        .build())
}

fn failed(path: &str, error: ParquetError) -> Error {
    let why = match &error {
        ParquetError::External(cause) => match cause.downcast_ref::<io::Error>() {
            Some(error) if temporary::holds(Path::new(path)) => return temporary::failed(error),
            Some(error) => reason(error),
            None => cause.to_string(),
        },
        other => other.to_string(),
    };
    Error::new(format!("cannot write the plan '{path}': {why}"))
}

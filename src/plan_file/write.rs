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

use super::buffer::{Rows, Values};
use super::columns::{Extra, Use};
use super::digest::Digest;
use super::{FORMAT_VERSION, GROUP_ROWS, Plan, TOOL, columns, metadata, signed};
use crate::files::whole::{self, WholeFile};
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
    /// `None` for a file that this presync reads back as it is.
    digest: Option<Digest>,
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

    /// Begins a part of a plan that will be at `path`: without an ID, which costs something for each asset, and with the
    /// columns of these rows, which are empty.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub(super) fn part(path: &Path, header: RunHeader, rows: Rows) -> Result<Self> {
        let rows = RowWriter::with(WholeFile::create(path)?, path, Extra::None, rows)?;
        Ok(Self { header, digest: None, rows })
    }

    /// Finishes the file and puts it in place. Returns the memory of its rows, for another file.
    pub(super) fn end(self, summary: &Summary, elapsed: Duration) -> Result<Rows> {
        let Self { header, digest, rows } = self;
        let ended = header.begun.checked_add(elapsed).unwrap_or(Timestamp::MAX);
        let id = digest.map(Digest::finish).unwrap_or_default();
        let plan = Plan { tool: TOOL.to_owned(), header, summary: summary.clone(), ended, id };
        let pairs = metadata::pairs(&plan).map_err(|error| rows.failed(io::Error::from(error).into()))?;
        rows.finish(pairs)
    }

    /// Lets the plan be at another path on the same file system.
    ///
    /// # Errors
    /// Returns an error if something other than a file is there.
    pub(crate) fn at(self, path: &Path) -> Result<Self> {
        let Self { header, digest, rows } = self;
        let file = rows.file.at(whole::target(path)?);
        Ok(Self { header, digest, rows: RowWriter { file, shown: path.display().to_string(), ..rows } })
    }

    fn new(file: WholeFile, path: &Path, header: RunHeader) -> Result<Self> {
        Ok(Self {
            digest: Some(Digest::new(&header.origin)),
            header,
            rows: RowWriter::new(file, path, Extra::None)?,
        })
    }
}

impl Sink for PlanWriter {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        if let Some(digest) = &mut self.digest {
            digest.add(asset);
        }
        self.rows.asset(asset, 0)
    }

    /// Finishes the plan and puts it in place of an older one. On an error, the older one is still there.
    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        self.end(summary, elapsed).map(drop)
    }
}

/// Rows that are being written into a file, one row group at a time.
pub(super) struct RowWriter {
    rows: Rows,
    /// The values of the column that the file has besides those of an asset.
    extra: Values,
    groups: SerializedFileWriter<File>,
    file: WholeFile,
    shown: String,
}

impl RowWriter {
    pub(super) fn new(file: WholeFile, path: &Path, extra: Extra) -> Result<Self> {
        Self::with(file, path, extra, Rows::new(Use::default(), GROUP_ROWS))
    }

    fn with(file: WholeFile, path: &Path, extra: Extra, rows: Rows) -> Result<Self> {
        let shown = path.display().to_string();
        let groups = || {
            let schema = columns::schema(extra, rows.used())?.into();
            SerializedFileWriter::new(file.writer()?, schema, properties()?.into())
        };
        let groups = groups().map_err(|error| failed(&shown, error))?;
        Ok(Self { rows, extra: values(extra), groups, file, shown })
    }

    /// Adds an asset and its position, which is ignored if the file has no column for it.
    pub(super) fn asset(&mut self, asset: &Asset, position: u64) -> Result<()> {
        if let Values::Int(positions) = &mut self.extra {
            positions.push(signed(position));
        }
        self.row(asset)
    }

    fn row(&mut self, asset: &Asset) -> Result<()> {
        self.rows.add(asset);
        let is_full = self.rows.len() == GROUP_ROWS || self.rows.bytes() >= GROUP_BYTES;
        if is_full { self.write_group() } else { Ok(()) }
    }

    /// Finishes the file with these pairs and puts it in place. Returns the memory of its rows.
    pub(super) fn finish(mut self, pairs: Vec<KeyValue>) -> Result<Rows> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        let Self { rows, mut groups, file, shown, .. } = self;
        pairs.into_iter().chain([seal::blank()]).for_each(|pair| groups.append_key_value_metadata(pair));
        groups.finish().map_err(|error| failed(&shown, error))?;
        let sealed = file.writer().and_then(|mut file| seal::seal(&mut file));
        sealed.map_err(|error| failed(&shown, error.into()))?;
        file.commit().map(|()| rows)
    }

    fn write_group(&mut self) -> Result<()> {
        let empty = match &self.extra {
            Values::Text(..) => values(Extra::Container),
            Values::Int(_) => values(Extra::Position),
            _ => Values::None,
        };
        let extra = std::mem::replace(&mut self.extra, empty);
        let written = self.groups.next_row_group().and_then(|group| self.rows.write(extra, group));
        written.map_err(|error| failed(&self.shown, error))
    }

    fn failed(&self, error: ParquetError) -> Error {
        failed(&self.shown, error)
    }
}

/// No values of this column yet.
fn values(extra: Extra) -> Values {
    match extra {
        Extra::None => Values::None,
        Extra::Position => Values::Int(Vec::new()),
        Extra::Container => Values::Text(Vec::new(), Vec::new()),
    }
}

/// Writes the assets of several containers into one Parquet file, which isn't a plan.
pub struct TableWriter(RowWriter);

impl TableWriter {
    /// Begins the table that will be at `path`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        RowWriter::new(WholeFile::create(path)?, path, Extra::Container).map(Self)
    }

    /// Adds an asset of a container.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn add(&mut self, container: &str, asset: &Asset) -> Result<()> {
        if let Values::Text(bytes, ends) = &mut self.0.extra {
            bytes.extend_from_slice(container.as_bytes());
            ends.push(bytes.len());
        }
        self.0.row(asset)
    }

    /// Finishes the table and puts it in place.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn finish(self, is_complete: bool) -> Result<()> {
        let pairs =
            [("presync.audit", FORMAT_VERSION.to_owned()), ("presync.complete", is_complete.to_string())];
        let pairs = pairs.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value));
        self.0.finish(pairs.collect()).map(drop)
    }
}

fn properties() -> std::result::Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_created_by(TOOL.to_owned())
        // The fastest: a higher level takes twice the time and memory, and saves a twentieth of the file.
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        // The least name is what parts are merged by. Each group has all kinds of values in other columns.
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from("name"), EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        // Smaller pages than usual: how many rows are decoded at a time depends on the longest one.
        .set_data_page_size_limit(PAGE_BYTES)
        // Names are usually sorted, so most begin like the one before.
        .set_column_encoding(ColumnPath::from("name"), Encoding::DELTA_BYTE_ARRAY)
        .set_column_dictionary_enabled(ColumnPath::from("name"), false)
        // No two ETags are the same, so a dictionary would not help.
        .set_column_dictionary_enabled(ColumnPath::from("etag"), false);
    // Numbers that differ in nearly every row, or are nearly always the same: both are cheaper without a dictionary.
    for column in
        ["size", "last_modified", "last_modified_ns", "cost_images", "reads_requests", "reads_retries"]
    {
        let column = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    Ok(properties.build())
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

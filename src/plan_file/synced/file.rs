//! The file: rows in the order of a listing, as Parquet.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result as Encoded};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::{SyncedRow, damaged, not_read, not_written, row};
use crate::files::leaf::{LeafReader, Value};
use crate::files::lookup::Record;
use crate::files::parquet_file::{self, Fault, Refused, guarded};
use crate::files::whole::WholeFile;
use crate::model::Cost;
use crate::model::error::Result;
use crate::plan_file::{GROUP_ROWS, Lookup, TOOL, signed};

/// Bytes of names and ETags at which a row group ends, even if it has fewer rows: 16 MiB, as for plans.
const GROUP_BYTES: usize = 16 << 20;
/// The key that makes a Parquet file one of these, with the version of the format.
const FORMAT_KEY: &str = "presync.synced.format_version";
const FORMAT_VERSION: &str = "1.0";
/// The key of the checksum of all rows, in the form of [`Record`], one after the other: Parquet's pages have none.
const CHECKSUM_KEY: &str = "presync.synced.crc32";
const SCHEMA: &str = "message synced { required binary name (STRING); optional binary etag (STRING); \
                      required int64 images; required int64 frames; required boolean own; }";
const COLUMNS: usize = 5;

/// Writes a file, which does not appear before it is finished.
pub struct SyncedWriter {
    path: PathBuf,
    file: WholeFile,
    groups: SerializedFileWriter<File>,
    rows: Columns,
    checksum: Checksum,
}

/// A checksum over rows.
#[derive(Default)]
struct Checksum {
    crc: crc32fast::Hasher,
    bytes: Vec<u8>,
}

impl Checksum {
    fn add(&mut self, row: &SyncedRow) {
        self.bytes.clear();
        row.encode(&mut self.bytes);
        self.crc.update(&self.bytes);
    }
}

/// The rows of a group, column by column.
#[derive(Default)]
struct Columns {
    bytes: usize,
    names: Vec<ByteArray>,
    etags: Vec<ByteArray>,
    has_etag: Vec<i16>,
    images: Vec<i64>,
    frames: Vec<i64>,
    own: Vec<bool>,
}

impl SyncedWriter {
    /// Begins the file that will be at `path`.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let file = WholeFile::create(path)?;
        let open = || -> Encoded<_> {
            SerializedFileWriter::new(
                file.writer()?,
                Arc::new(parse_message_type(SCHEMA)?),
                properties()?.into(),
            )
        };
        let groups = open().map_err(|error| not_written(path, &error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            groups,
            rows: Columns::default(),
            checksum: Checksum::default(),
        })
    }

    /// Adds the next row.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn add(&mut self, row: &SyncedRow) -> Result<()> {
        self.rows.add(row);
        self.checksum.add(row);
        match self.rows.names.len() == GROUP_ROWS || self.rows.bytes >= GROUP_BYTES {
            true => self.write_group(),
            false => Ok(()),
        }
    }

    /// Puts the file in place.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn finish(mut self) -> Result<()> {
        if !self.rows.names.is_empty() {
            self.write_group()?;
        }
        let Self { path, file, mut groups, checksum, .. } = self;
        let checksum = checksum.crc.finalize().to_string();
        for (key, value) in [(FORMAT_KEY, FORMAT_VERSION.to_owned()), (CHECKSUM_KEY, checksum)] {
            groups.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        groups.finish().map_err(|error| not_written(&path, &error.to_string()))?;
        file.commit()
    }

    fn write_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let written = self.groups.next_row_group().and_then(|group| rows.write(group));
        written.map_err(|error| not_written(&self.path, &error.to_string()))
    }
}

impl Columns {
    fn add(&mut self, SyncedRow { asset, is_own }: &SyncedRow) {
        let (name, etag) = (asset.name.as_str(), asset.etag.as_ref().map(|etag| etag.as_str()));
        self.bytes += name.len() + etag.map_or(0, str::len);
        self.names.push(name.into());
        self.etags.extend(etag.map(ByteArray::from));
        self.has_etag.push(etag.is_some().into());
        self.images.push(signed(asset.cost.images));
        self.frames.push(signed(asset.cost.frames));
        self.own.push(*is_own);
    }

    fn write(self, mut group: SerializedRowGroupWriter<'_, File>) -> Encoded<()> {
        fn column<T: DataType>(
            group: &mut SerializedRowGroupWriter<'_, File>,
            values: &[T::T],
            definition: Option<&[i16]>,
        ) -> Encoded<()> {
            let column = group.next_column()?;
            let mut column = column.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
            column.typed::<T>().write_batch(values, definition, None)?;
            column.close()
        }
        column::<ByteArrayType>(&mut group, &self.names, None)?;
        column::<ByteArrayType>(&mut group, &self.etags, Some(&self.has_etag))?;
        column::<Int64Type>(&mut group, &self.images, None)?;
        column::<Int64Type>(&mut group, &self.frames, None)?;
        column::<BoolType>(&mut group, &self.own, None)?;
        group.close().map(drop)
    }
}

fn properties() -> Encoded<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by(TOOL.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    for column in ["name", "etag"] {
        let path = ColumnPath::from(column);
        properties = properties.set_column_dictionary_enabled(path, false);
    }
    Ok(properties.set_column_encoding(ColumnPath::from("name"), Encoding::DELTA_BYTE_ARRAY).build())
}

/// A file that is being read. Once open, it can be read even if it is removed meanwhile.
pub struct SyncedFile {
    path: PathBuf,
    file: Arc<SerializedFileReader<File>>,
}

impl SyncedFile {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Returns an error if it cannot be read, or if presync did not write it.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| not_read(path, &error))?;
        let file = parquet_file::open(file).map_err(|refused| match refused {
            Refused::Unreadable(error) => not_read(path, &error),
            refused => damaged(path, &refused.why()),
        })?;
        let file = Self { path: path.to_owned(), file: Arc::new(file) };
        match file.pair(FORMAT_KEY).and_then(|version| version.split('.').next()) {
            Some("1") => Ok(file),
            Some(_) => Err(damaged(path, "a newer presync wrote it")),
            None => Err(damaged(path, "it is a file of another kind")),
        }
    }

    /// All rows. The end is an error if they are not those that were written.
    pub fn rows(self) -> impl Iterator<Item = Result<SyncedRow>> + Send {
        let groups = self.file.metadata().num_row_groups();
        let stated = self.pair(CHECKSUM_KEY).map(str::to_owned);
        let path = self.path.clone();
        let (mut checksum, mut failed) = (Some(Checksum::default()), false);
        let rows = (0..groups).flat_map(move |group| match self.group(group) {
            Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(fault) => vec![Err(damaged(&self.path, &fault))],
        });
        let rows = rows.map(Some).chain(std::iter::once(None));
        let rows = rows.filter_map(move |row| match row {
            Some(row) => {
                if let (Ok(row), Some(checksum)) = (&row, &mut checksum) {
                    checksum.add(row);
                }
                Some(row)
            }
            None => {
                let found = checksum.take()?.crc.finalize().to_string();
                (stated.as_ref() != Some(&found))
                    .then(|| Err(damaged(&path, "its rows do not match their checksum")))
            }
        });
        rows.take_while(move |row| !std::mem::replace(&mut failed, row.is_err()))
    }

    /// Finds rows by name.
    pub fn lookup(self) -> Lookup<SyncedRow> {
        let other = Self { path: self.path.clone(), file: Arc::clone(&self.file) };
        Lookup::new(self.rows(), other.rows().map(|row| row.map(|row| row.asset.name)))
    }

    fn pair(&self, key: &str) -> Option<&str> {
        parquet_file::pairs(&self.file).iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    fn group(&self, group: usize) -> std::result::Result<Vec<SyncedRow>, Fault> {
        let reader = guarded(|| self.file.get_row_group(group))?;
        let metadata = reader.metadata();
        let is_plausible = usize::try_from(metadata.num_rows()).is_ok_and(|rows| rows <= GROUP_ROWS);
        if !is_plausible || metadata.num_columns() != COLUMNS {
            return Err("a row group has an unexpected shape".to_owned());
        }
        let mut leaves = Vec::with_capacity(COLUMNS);
        for leaf in 0..COLUMNS {
            let mut leaf = guarded(|| LeafReader::open(&*reader, leaf))?;
            let rows = guarded(|| leaf.decode(GROUP_ROWS))?;
            leaves.push((leaf, rows));
        }
        let len = leaves[0].1;
        if leaves.iter().any(|(_, rows)| *rows != len) {
            return Err("its columns have different numbers of rows".to_owned());
        }
        (0..len).map(|_| next_row(&mut leaves)).collect()
    }
}

/// Takes the next value of each column.
fn next_row(leaves: &mut [(LeafReader, usize)]) -> std::result::Result<SyncedRow, Fault> {
    let (mut name, mut etag, mut costs, mut is_own) = (None, None, [0, 0], false);
    for (column, (leaf, _)) in leaves.iter_mut().enumerate() {
        leaf.next_row(|_, value| {
            match (column, value) {
                (0, Some(Value::Bytes(bytes))) => name = Some(utf8(bytes)?),
                (1, Some(Value::Bytes(bytes))) => etag = Some(utf8(bytes)?),
                (1, None) => {}
                (2 | 3, Some(Value::Int(cost))) => costs[column - 2] = u64::try_from(cost).unwrap_or(0),
                (4, Some(Value::Bool(own))) => is_own = own,
                _ => return Err("a column has values of another type".to_owned()),
            }
            Ok(())
        })?;
    }
    let name = name.ok_or_else(|| "a name is missing".to_owned())?;
    let [images, frames] = costs;
    Ok(row(&name, etag.as_deref(), Cost { images, frames }, is_own))
}

fn utf8(bytes: &[u8]) -> std::result::Result<String, Fault> {
    String::from_utf8(bytes.to_owned()).map_err(|_| "a text is not UTF-8".to_owned())
}

//! The files of a report: CSV or Parquet.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader};
use std::ops::Range;
use std::path::Path;

use csv::StringRecord;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, TimestampType, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::broken;
use super::row::{Column, Row};
use crate::files::bounded::Bounded;
use crate::files::leaf::{LeafReader, Value};
use crate::files::pages::Limits;
use crate::files::parquet_file::{self, Fault, Refused, guarded};
use crate::files::regular;
use crate::model::error::{Error, Result, reason};

/// The most rows of a Parquet file that are decoded at a time.
const BATCH_ROWS: usize = 1 << 10;
/// The most bytes that a column's values in these rows may have as text: 8 MiB, twice what the longest names have.
const MAX_TEXT: usize = 8 << 20;
/// The most bytes of a CSV row: names have up to 1,024 characters, metadata and tags 10 KiB, and both may be escaped.
const MAX_ROW: usize = 1 << 20;
/// The byte order mark.
const BOM: &str = "\u{feff}";

/// The positions of the columns that are read, in the order of [`Column::ALL`].
type Places = [Option<usize>; Column::ALL.len()];

/// An open file of a report.
pub(super) enum Report<'p> {
    Csv { path: &'p Path, reader: csv::Reader<Bounded<BufReader<File>>>, places: Places },
    Parquet { path: &'p Path, file: SerializedFileReader<File>, limits: Limits, places: Places },
}

impl<'p> Report<'p> {
    /// Opens a file and finds its columns.
    pub(super) fn open(path: &'p Path) -> Result<Self> {
        let unreadable = |error: io::Error| broken(path, &reason(&error));
        let (mut file, metadata) = regular::open(path).map_err(unreadable)?;
        if metadata.len() == 0 {
            return Err(broken(path, "it is empty"));
        }
        match parquet_file::open(file.try_clone().map_err(unreadable)?) {
            Ok(file) => {
                let schema = file.metadata().file_metadata().schema_descr_ptr();
                // A column is found by the first part of its path. A group has more parts, but no column that is read
                // is a group.
                let places =
                    places(path, schema.columns().iter().map(|leaf| leaf.path().parts()[0].as_str()))?;
                let rows = file.metadata().file_metadata().num_rows();
                let handle = File::open(path).map_err(unreadable)?;
                let limits = Limits::of(handle, rows).map_err(|fault| broken(path, &fault))?;
                return Ok(Self::Parquet { path, file, limits, places });
            }
            Err(Refused::Foreign) => {}
            Err(refused) => return Err(broken(path, &refused.why())),
        }
        io::Seek::rewind(&mut file).map_err(unreadable)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(false)
            .from_reader(Bounded::new(BufReader::new(file), MAX_ROW));
        let mut header = StringRecord::new();
        if !reader.read_record(&mut header).map_err(|error| broken(path, &csv_fault(&error)))? {
            return Err(broken(path, "it is empty"));
        }
        let places = places(path, header.iter().map(|name| name.trim_start_matches(BOM)))?;
        Ok(Self::Csv { path, reader, places })
    }

    /// Calls `take` with each row.
    pub(super) fn each(self, take: &mut dyn FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        match self {
            Self::Csv { path, reader, places } => each_line(path, reader, places, take),
            Self::Parquet { path, file, limits, places } => each_row(path, &file, limits, places, take),
        }
    }
}

fn places<'n>(path: &Path, names: impl Iterator<Item = &'n str>) -> Result<Places> {
    let names: Vec<&str> = names.collect();
    let place = |column: Column| names.iter().position(|name| name.eq_ignore_ascii_case(column.as_str()));
    let places = Column::ALL.map(place);
    match Column::NEEDED.into_iter().find(|needed| places[*needed as usize].is_none()) {
        None => Ok(places),
        Some(missing) => Err(broken(path, &format!("it has no column '{}'", missing.as_str()))
            .with_hint("add it to the schema fields of the inventory rule, and use the next report")),
    }
}

fn each_line(
    path: &Path,
    mut reader: csv::Reader<Bounded<BufReader<File>>>,
    places: Places,
    take: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut record = StringRecord::new();
    loop {
        reader.get_mut().begin();
        match reader.read_record(&mut record) {
            Ok(true) => {
                let place = record.position().map_or(0, csv::Position::line);
                let fields = places.map(|place| record.get(place?));
                take(Row { fields, place }).map_err(|error| within(path, error))?;
            }
            Ok(false) => return Ok(()),
            Err(error) => return Err(broken(path, &csv_fault(&error))),
        }
    }
}

fn each_row(
    path: &Path,
    file: &SerializedFileReader<File>,
    mut limits: Limits,
    places: Places,
    take: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<()> {
    let wrong = |fault: Fault| broken(path, &fault);
    let schema = file.metadata().file_metadata().schema_descr();
    let types = places.map(|place| place.and_then(|leaf| schema.columns().get(leaf)));
    let mut row_number = 0;
    for group in 0..file.num_row_groups() {
        let metadata = file.metadata().row_group(group);
        let batch =
            guarded(|| limits.check(metadata, places.into_iter().flatten(), BATCH_ROWS)).map_err(wrong)?;
        let group = guarded(|| file.get_row_group(group)).map_err(wrong)?;
        let mut leaves = [const { None }; Column::ALL.len()];
        for (leaf, place) in leaves.iter_mut().zip(places) {
            *leaf =
                place.map(|place| guarded(|| LeafReader::open(&*group, place))).transpose().map_err(wrong)?;
        }
        loop {
            let mut texts = [const { Texts::new() }; Column::ALL.len()];
            let mut rows = 0;
            for ((texts, leaf), of) in texts.iter_mut().zip(&mut leaves).zip(types) {
                if let (Some(leaf), Some(of)) = (leaf, of) {
                    rows = guarded(|| leaf.decode(batch)).map_err(wrong)?;
                    (0..rows).try_for_each(|_| texts.take(leaf, of)).map_err(wrong)?;
                }
            }
            if rows == 0 {
                break;
            }
            for row in 0..rows {
                row_number += 1;
                let fields = std::array::from_fn(|column| texts[column].get(row));
                take(Row { fields, place: row_number }).map_err(|error| within(path, error))?;
            }
        }
    }
    Ok(())
}

/// Values of a column of any type, as text.
struct Texts {
    all: String,
    /// Where each value is; `None` for one that is missing.
    ranges: Vec<Option<Range<usize>>>,
}

impl Texts {
    const fn new() -> Self {
        Self { all: String::new(), ranges: Vec::new() }
    }

    /// Appends the next value of a column; a time as milliseconds since 1970.
    fn take(&mut self, leaf: &mut LeafReader, of: &ColumnDescriptor) -> std::result::Result<(), Fault> {
        let begin = self.all.len();
        let is_list = leaf.row_len() != Some(1);
        let mut is_there = false;
        leaf.next_row(|_, value| {
            let Some(value) = value else { return Ok(()) };
            is_there = true;
            let written = match value {
                Value::Bytes(bytes) => {
                    if self.all.len() + bytes.len() > MAX_TEXT {
                        return Err(format!("its column '{}' has longer texts than a report has", of.name()));
                    }
                    let text = std::str::from_utf8(bytes);
                    self.all.push_str(text.map_err(|_| format!("its column '{}' is not UTF-8", of.name()))?);
                    Ok(())
                }
                Value::Int(number) => write!(self.all, "{}", meant(number, of)),
                Value::Bool(flag) => write!(self.all, "{flag}"),
                Value::Real(number) => write!(self.all, "{number}"),
            };
            written.map_err(|error| error.to_string())
        })?;
        if is_list {
            return Err(format!("its column '{}' contains lists", of.path()));
        }
        self.ranges.push(is_there.then_some(begin..self.all.len()));
        Ok(())
    }

    fn get(&self, row: usize) -> Option<&str> {
        self.all.get(self.ranges.get(row)?.clone()?)
    }
}

/// Converts an integer of a column: a time of any unit to milliseconds since 1970; any other number is unchanged.
fn meant(number: i64, of: &ColumnDescriptor) -> i128 {
    let number = i128::from(number);
    if of.physical_type() == Physical::INT96 {
        return number / 1_000;
    }
    match (of.logical_type_ref(), of.converted_type()) {
        (Some(LogicalType::Timestamp(TimestampType { unit: TimeUnit::NANOS, .. })), _) => number / 1_000_000,
        (Some(LogicalType::Timestamp(TimestampType { unit: TimeUnit::MICROS, .. })), _)
        | (_, ConvertedType::TIMESTAMP_MICROS) => number / 1_000,
        (_, ConvertedType::UINT_64) => i128::from(number as u64),
        _ => number,
    }
}

/// Adds the file to an error about a row.
fn within(path: &Path, error: Error) -> Error {
    match error.hint() {
        Some(_) => error,
        None => broken(path, error.message()),
    }
}

fn csv_fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => error.to_string(),
        csv::ErrorKind::Io(error) => reason(error),
        _ => error.to_string(),
    }
}

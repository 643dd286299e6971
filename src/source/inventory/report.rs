//! The files of a report: CSV or Parquet.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use csv::StringRecord;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use super::broken;
use super::row::{Column, Row};
use crate::error::{Error, Result, reason};
use crate::parquet_file::{self, Refused, guarded};

/// Rows of a Parquet file that are decoded at a time.
const BATCH_ROWS: usize = 1 << 12;
/// Bytes of one row of a CSV file: names have up to 1,024 characters, metadata and tags 10 KiB, and both may be escaped.
const MAX_ROW: usize = 1 << 20;
/// What a byte order mark is in UTF-8.
const BOM: &str = "\u{feff}";

/// Where the columns that count are, in the order of [`Column::ALL`].
type Places = [Option<usize>; Column::ALL.len()];

/// A file of a report that is open.
pub(super) enum Report<'p> {
    Csv { path: &'p Path, reader: csv::Reader<Bounded<BufReader<File>>>, places: Places },
    Parquet { path: &'p Path, file: File, footer: ArrowReaderMetadata, places: Places },
}

impl<'p> Report<'p> {
    /// Opens a file and finds its columns.
    pub(super) fn open(path: &'p Path) -> Result<Self> {
        let unreadable = |error: io::Error| broken(path, &reason(&error));
        let mut file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.len() == 0 {
            return Err(broken(path, "it is empty"));
        }
        match parquet_file::footer(&mut file) {
            Ok(footer) => {
                let schema = Arc::clone(footer.schema());
                let names = schema.fields().iter().map(|field| field.name().as_str());
                let places = places(path, names)?;
                return Ok(Self::Parquet { path, file, footer, places });
            }
            Err(Refused::Foreign) => {}
            Err(refused) => return Err(broken(path, &refused.why())),
        }
        io::Seek::rewind(&mut file).map_err(unreadable)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(false)
            .from_reader(Bounded { inner: BufReader::new(file), since: 0 });
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
            Self::Parquet { path, file, footer, places } => each_row(path, file, footer, places, take),
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
            .hint("add it to the schema fields of the inventory's rule, and give the next report")),
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
        reader.get_mut().since = 0;
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
    file: File,
    footer: ArrowReaderMetadata,
    places: Places,
    take: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<()> {
    let wrong = |fault: String| broken(path, &fault);
    let mut names: Places = [None; Column::ALL.len()];
    let wanted = ProjectionMask::roots(footer.parquet_schema(), places.iter().flatten().copied());
    let build = || {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer);
        builder.with_projection(wanted).with_batch_size(BATCH_ROWS).build()
    };
    let mut batches = guarded(build).map_err(wrong)?;
    // What is left out before a column moves it to the front.
    let mut kept: Vec<usize> = places.iter().flatten().copied().collect();
    kept.sort_unstable();
    for (name, place) in names.iter_mut().zip(places) {
        *name = place.and_then(|place| kept.iter().position(|kept| *kept == place));
    }
    let mut place = 0;
    while let Some(batch) = guarded(|| batches.next().transpose()).map_err(wrong)? {
        let columns = guarded(|| texts(&batch, names)).map_err(wrong)?;
        for row in 0..batch.num_rows() {
            place += 1;
            let text = |at: usize| {
                let column = columns[at].as_ref().filter(|column| column.is_valid(row))?;
                Some(column.value(row))
            };
            take(Row { fields: std::array::from_fn(text), place }).map_err(|error| within(path, error))?;
        }
    }
    Ok(())
}

/// The columns as text, whatever types they have.
fn texts(
    batch: &RecordBatch,
    places: Places,
) -> std::result::Result<[Option<StringArray>; Column::ALL.len()], String> {
    let mut columns = [const { None }; Column::ALL.len()];
    for (column, place) in columns.iter_mut().zip(places) {
        let Some(place) = place else { continue };
        *column = text(batch.column(place)).map_err(|error| error.to_string())?;
    }
    Ok(columns)
}

/// A column as text; times as milliseconds since 1970.
fn text(column: &ArrayRef) -> std::result::Result<Option<StringArray>, ArrowError> {
    let mut column = Arc::clone(column);
    if let DataType::Timestamp(_, zone) = column.data_type() {
        // Whatever the zone, the number counts from 1970 in UTC.
        let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, zone.clone());
        column = cast(&cast(&column, &milliseconds)?, &DataType::Int64)?;
    }
    Ok(cast(&column, &DataType::Utf8)?.as_any().downcast_ref::<StringArray>().cloned())
}

/// An error about a row, with the file that it is in.
fn within(path: &Path, error: Error) -> Error {
    match error.way_out() {
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

/// Bytes of a CSV file, of which no row may have too many.
pub(super) struct Bounded<R> {
    inner: R,
    /// Bytes since the last row began.
    since: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.since > MAX_ROW {
            let why = format!("a row has more than {MAX_ROW} bytes; is a quote left open?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let read = self.inner.read(bytes)?;
        self.since += read;
        Ok(read)
    }
}

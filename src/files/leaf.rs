//! The values of a Parquet column, a row at a time.
//!
//! Parquet flattens nested columns: each value comes with a definition level, which says how much of its path is
//! there, and a repetition level, which is 0 where a row begins (Parquet, "Nested Encoding"). Lists may be one deep.

use parquet::basic::Repetition;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::{ColumnDescriptor, Type};

use super::pages::Checked;
use super::parquet_file::Fault;

/// A value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// `BOOLEAN`.
    Bool(bool),
    /// `INT32` and `INT64`; of `INT96` the microseconds since 1970, UTC.
    Int(i64),
    /// `FLOAT` and `DOUBLE`.
    Real(f64),
    /// `BYTE_ARRAY` and `FIXED_LEN_BYTE_ARRAY`.
    Bytes(&'a [u8]),
}

/// Reads the rows of a leaf column of a row group.
pub(crate) struct LeafReader {
    store: Box<dyn Store>,
    levels: Levels,
    /// The definition levels of the decoded rows; empty if no value can be missing.
    definition: Vec<i16>,
    /// The repetition levels of the decoded rows; empty outside lists.
    repetition: Vec<i16>,
    decoded: usize,
    next_level: usize,
    next_value: usize,
}

/// The definition level from which on each part of a column's path is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Levels {
    list: i16,
    element: i16,
    value: i16,
}

impl LeafReader {
    /// Opens the leaf at this index of a row group.
    ///
    /// # Errors
    /// Returns an error if the file doesn't have the leaf, or if it is in a list of lists.
    pub(crate) fn open(group: &dyn RowGroupReader, leaf: usize) -> Result<Self> {
        let schema = group.metadata().schema_descr();
        let column = schema.columns().get(leaf).ok_or_else(|| general("it has fewer columns".to_owned()))?;
        if column.max_rep_level() > 1 {
            return Err(general(format!("its column '{}' has lists of lists", column.path())));
        }
        let pages = Checked::new(
            group.get_column_page_reader(leaf)?,
            column.max_rep_level() > 0,
            column.max_def_level() > 0,
        );
        Ok(Self {
            store: store(get_column_reader(schema.column(leaf), Box::new(pages))),
            levels: levels(schema.root_schema(), column),
            definition: Vec::new(),
            repetition: Vec::new(),
            decoded: 0,
            next_level: 0,
            next_value: 0,
        })
    }

    /// Decodes up to `rows` more rows, which replace the previous ones, and returns how many there were.
    ///
    /// # Errors
    /// Returns an error if the bytes are damaged.
    pub(crate) fn decode(&mut self, rows: usize) -> Result<usize> {
        self.definition.clear();
        self.repetition.clear();
        (self.next_level, self.next_value) = (0, 0);
        let (rows, levels) = self.store.fill(rows, &mut self.definition, &mut self.repetition)?;
        self.decoded = levels;
        Ok(rows)
    }

    /// How many elements the next row's list has; `None` if there is no list. Always 1 outside lists.
    pub(crate) fn row_len(&self) -> Option<usize> {
        match self.level(self.next_level) {
            level if level < self.levels.list => None,
            level if level < self.levels.element => Some(0),
            _ => Some(self.end_of_row() - self.next_level),
        }
    }

    /// Calls `take` with each value of the decoded rows: its row, its element in the row's list, and the value. Values that
    /// are missing are left out.
    ///
    /// # Errors
    /// Returns the first error of `take`.
    pub(crate) fn each<'a>(
        &'a self,
        mut take: impl FnMut(usize, usize, Value<'a>) -> std::result::Result<(), Fault>,
    ) -> std::result::Result<(), Fault> {
        let values = self.store.len();
        if values == self.decoded && self.repetition.is_empty() {
            return (0..values).try_for_each(|row| take(row, 0, self.store.get(row)));
        }
        let (mut row, mut element, mut next) = (0, 0, 0);
        for level in 0..self.decoded {
            if next == values {
                break;
            }
            match self.repetition.get(level) {
                Some(1) => element += 1,
                _ => (row, element) = (row + usize::from(level > 0), 0),
            }
            if self.level(level) >= self.levels.value {
                take(row, element, self.store.get(next))?;
                next += 1;
            }
        }
        Ok(())
    }

    /// Whether the value of any element is missing in the decoded rows.
    pub(crate) fn has_gaps(&self) -> bool {
        let is_gap = |level: &i16| (self.levels.element..self.levels.value).contains(level);
        self.store.len() < self.decoded && self.definition.iter().any(is_gap)
    }

    /// Puts the number of elements of each decoded row's list into `lens`; `None` stands for no list. Always 1 outside lists.
    ///
    /// # Errors
    /// Returns an error if elements have no list.
    pub(crate) fn lens(&self, lens: &mut Vec<Option<usize>>) -> std::result::Result<(), Fault> {
        lens.clear();
        // Most lists are not there, or empty.
        let are_zero = |levels: &[i16]| levels.iter().all(|level| *level == 0);
        if self.levels.element > 0 && are_zero(&self.definition) && are_zero(&self.repetition) {
            lens.resize(self.decoded, (self.levels.list == 0).then_some(0));
            return Ok(());
        }
        for level in 0..self.decoded {
            match (self.repetition.get(level), lens.last_mut()) {
                (Some(1), Some(Some(len @ 1..))) => *len += 1,
                (Some(1), _) => return Err("it has elements without a list".to_owned()),
                _ => lens.push(match self.level(level) {
                    level if level < self.levels.list => None,
                    level => Some((level >= self.levels.element).into()),
                }),
            }
        }
        Ok(())
    }

    /// Calls `take` with the elements of the next row, which must already be decoded, and moves on.
    /// An element whose value is missing is `None`.
    ///
    /// # Errors
    /// Returns the first error of `take`.
    pub(crate) fn next_row(
        &mut self,
        mut take: impl FnMut(usize, Option<Value<'_>>) -> std::result::Result<(), Fault>,
    ) -> std::result::Result<(), Fault> {
        if self.repetition.is_empty() {
            // Outside lists, where most columns are, a row is a level.
            let (at, is_there) = (self.next_value, self.level(self.next_level) >= self.levels.value);
            self.next_level += 1;
            self.next_value += usize::from(is_there);
            return take(0, is_there.then(|| self.store.get(at)));
        }
        let end = self.end_of_row();
        if self.row_len().is_some_and(|len| len > 0) {
            for (element, level) in (self.next_level..end).enumerate() {
                let is_there = self.level(level) >= self.levels.value;
                take(element, is_there.then(|| self.store.get(self.next_value)))?;
                self.next_value += usize::from(is_there);
            }
        }
        self.next_level = end;
        Ok(())
    }

    fn level(&self, at: usize) -> i16 {
        self.definition.get(at).copied().unwrap_or(self.levels.value)
    }

    fn end_of_row(&self) -> usize {
        if self.repetition.is_empty() {
            return (self.next_level + 1).min(self.decoded);
        }
        let rest = self.repetition.get(self.next_level + 1..).unwrap_or_default();
        self.next_level + 1 + rest.iter().position(|level| *level == 0).unwrap_or(rest.len())
    }
}

/// Walks down the column's path: each optional or repeated part adds a level.
fn levels(root: &Type, column: &ColumnDescriptor) -> Levels {
    let mut levels = Levels { list: 0, element: 0, value: column.max_def_level() };
    let (mut group, mut level) = (root, 0);
    for name in column.path().parts() {
        let Some(part) = group.is_group().then(|| group.get_fields()) else { break };
        let Some(part) = part.iter().find(|part| part.name() == name) else { break };
        match part.get_basic_info().has_repetition().then(|| part.get_basic_info().repetition()) {
            Some(Repetition::OPTIONAL) => level += 1,
            Some(Repetition::REPEATED) => {
                levels.list = level;
                level += 1;
                levels.element = level;
            }
            Some(Repetition::REQUIRED) | None => {}
        }
        group = part;
    }
    levels
}

/// The values of some rows of a column, whatever their type.
trait Store: Send {
    /// Decodes up to `rows` rows; returns how many rows and how many levels there were.
    fn fill(
        &mut self,
        rows: usize,
        definition: &mut Vec<i16>,
        repetition: &mut Vec<i16>,
    ) -> Result<(usize, usize)>;

    /// The number of values that were decoded.
    fn len(&self) -> usize;

    fn get(&self, at: usize) -> Value<'_>;
}

struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

impl<T: DataType> Store for Typed<T>
where
    T::T: Stored,
{
    fn fill(
        &mut self,
        rows: usize,
        definition: &mut Vec<i16>,
        repetition: &mut Vec<i16>,
    ) -> Result<(usize, usize)> {
        self.values.clear();
        let read = self.reader.read_records(rows, Some(definition), Some(repetition), &mut self.values);
        read.map(|(rows, _, levels)| (rows, levels))
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn get(&self, at: usize) -> Value<'_> {
        self.values[at].value()
    }
}

fn store(reader: ColumnReader) -> Box<dyn Store> {
    fn of<T: DataType>(reader: ColumnReaderImpl<T>) -> Box<dyn Store>
    where
        T::T: Stored,
    {
        Box::new(Typed::<T> { reader, values: Vec::new() })
    }
    match reader {
        ColumnReader::BoolColumnReader(reader) => of::<BoolType>(reader),
        ColumnReader::Int32ColumnReader(reader) => of::<Int32Type>(reader),
        ColumnReader::Int64ColumnReader(reader) => of::<Int64Type>(reader),
        ColumnReader::Int96ColumnReader(reader) => of::<Int96Type>(reader),
        ColumnReader::FloatColumnReader(reader) => of::<FloatType>(reader),
        ColumnReader::DoubleColumnReader(reader) => of::<DoubleType>(reader),
        ColumnReader::ByteArrayColumnReader(reader) => of::<ByteArrayType>(reader),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => of::<FixedLenByteArrayType>(reader),
    }
}

trait Stored {
    fn value(&self) -> Value<'_>;
}

impl Stored for bool {
    fn value(&self) -> Value<'_> {
        Value::Bool(*self)
    }
}

impl Stored for i32 {
    fn value(&self) -> Value<'_> {
        Value::Int((*self).into())
    }
}

impl Stored for i64 {
    fn value(&self) -> Value<'_> {
        Value::Int(*self)
    }
}

impl Stored for Int96 {
    fn value(&self) -> Value<'_> {
        Value::Int(self.to_micros())
    }
}

impl Stored for f32 {
    fn value(&self) -> Value<'_> {
        Value::Real((*self).into())
    }
}

impl Stored for f64 {
    fn value(&self) -> Value<'_> {
        Value::Real(*self)
    }
}

impl Stored for ByteArray {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self.data())
    }
}

impl Stored for FixedLenByteArray {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self.data())
    }
}

fn general(why: String) -> ParquetError {
    ParquetError::General(why)
}

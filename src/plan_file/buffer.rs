//! Rows of a plan in memory, column by column.

use bytes::Bytes;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};

use super::columns::{COLUMNS, Cells, Field, Leaf, Use};
use crate::model::Asset;

/// Texts that are handed to the encoder at a time, each of which takes 32 bytes then.
const TEXTS_AT_ONCE: usize = 1 << 10;

/// Rows, one for each asset. By default, they have all columns.
#[derive(Debug, Default)]
pub struct Rows {
    len: usize,
    used: Use,
    /// How many rows to allocate memory for at once: what grows leaves its former memory with the allocator.
    capacity: usize,
    leaves: Vec<LeafRows>,
    /// The levels of a leaf without any values: one for each row, all 0.
    no_levels: Vec<i16>,
}

/// The values of the rows in a leaf column.
///
/// Most columns have no value in most rows. So levels end at the last row with a value; the levels of later rows are 0,
/// which stands for a missing value or list, or for an empty list where the list is required.
#[derive(Debug, Default)]
pub(crate) struct LeafRows {
    has_gaps: bool,
    has_lists: bool,
    /// The rows that have levels.
    rows: usize,
    /// Definition levels: how much of the column's path each value has. Empty where nothing can be missing.
    pub(crate) definition: Vec<i16>,
    /// Repetition levels: 0 where a row begins. Empty outside lists.
    pub(crate) repetition: Vec<i16>,
    pub(crate) values: Values,
}

/// The values that are present.
#[derive(Debug, Default)]
pub(crate) enum Values {
    #[default]
    None,
    /// All texts, concatenated, and where each of them ends.
    Text(Vec<u8>, Vec<usize>),
    Int(Vec<i64>),
    Short(Vec<i32>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
}

impl Rows {
    /// No rows yet of the columns that have this use, with memory for `capacity` of them.
    pub(super) fn new(used: Use, capacity: usize) -> Self {
        Self { used, capacity, ..Self::default() }
    }

    /// What their columns are used for.
    pub(super) fn used(&self) -> Use {
        self.used
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all texts, which are nearly all of the memory that the rows take.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |leaf: &LeafRows| match &leaf.values {
            Values::Text(bytes, _) => bytes.len(),
            _ => 0,
        };
        self.leaves.iter().map(bytes).sum()
    }

    /// Adds an asset as the next row.
    pub fn add(&mut self, asset: &Asset) {
        if self.leaves.is_empty() {
            self.leaves = leaves(self.used);
        }
        let (row, used, capacity) = (self.len, self.used, self.capacity);
        self.len += 1;
        let mut leaves = self.leaves.iter_mut();
        for column in COLUMNS.iter().filter(|column| column.used >= used) {
            match &column.cells {
                Cells::One(leaf) => {
                    if let Some(rows) = leaves.next()
                        && rows.values.push(leaf, asset, 0, capacity)
                    {
                        rows.add_level(row);
                    }
                }
                Cells::List(list) => {
                    let fields = list.fields.iter().filter(|field| field.used >= used).zip(leaves.by_ref());
                    match (list.len)(asset) {
                        None => fields.for_each(drop),
                        Some(0) if column.required => fields.for_each(drop),
                        Some(len) => {
                            let empty = i16::from(!column.required);
                            fields.for_each(|(field, rows)| rows.add_list(row, len, empty, field, asset));
                        }
                    }
                }
            }
        }
    }

    /// The values in each leaf column, in the order of [`COLUMNS`] and their fields; empty if there are no rows. Rows have
    /// levels if they were [filled](Self::filled).
    #[cfg(feature = "python")]
    pub(crate) fn leaves(&self) -> &[LeafRows] {
        &self.leaves
    }

    /// Gives all rows levels in every leaf column.
    #[cfg(feature = "python")]
    pub(crate) fn filled(mut self) -> Self {
        self.leaves.iter_mut().for_each(|rows| rows.fill(self.len));
        self
    }

    /// Writes the rows as a row group, with the values of one more column if there are any, and clears them. Their
    /// memory is kept for the next group: the allocator holds on to what is freed, so memory that is allocated for each
    /// group is in the process several times.
    pub(super) fn write<W: std::io::Write + Send>(
        &mut self,
        extra: Values,
        mut group: SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let mut extra = match extra {
            Values::None => None,
            values => Some(LeafRows { values, ..LeafRows::default() }),
        };
        let len = std::mem::take(&mut self.len);
        self.no_levels.resize(len.max(self.no_levels.len()), 0);
        for rows in self.leaves.iter_mut().chain(&mut extra) {
            let column = group.next_column()?;
            let fewer = || ParquetError::General("the schema has fewer columns".to_owned());
            rows.write(len, &self.no_levels[..len], column.ok_or_else(fewer)?)?;
        }
        group.close().map(drop)
    }
}

/// The leaf columns that have this use, without rows.
fn leaves(used: Use) -> Vec<LeafRows> {
    let of = |leaf: &Leaf, has_gaps: bool, has_lists: bool| LeafRows {
        has_gaps,
        has_lists,
        values: Values::of(leaf),
        ..LeafRows::default()
    };
    let mut leaves = Vec::new();
    for column in COLUMNS.iter().filter(|column| column.used >= used) {
        match &column.cells {
            Cells::One(leaf) => leaves.push(of(leaf, !column.required, false)),
            Cells::List(list) => {
                let fields = list.fields.iter().filter(|field| field.used >= used);
                leaves.extend(fields.map(|field| of(&field.leaf, true, true)));
            }
        }
    }
    leaves
}

impl LeafRows {
    /// Adds the level of a value.
    fn add_level(&mut self, row: usize) {
        if self.has_gaps {
            self.fill(row);
            self.definition.push(1);
            self.rows = row + 1;
        }
    }

    /// Adds a list of this length; `empty` is the level of an empty one.
    fn add_list(&mut self, row: usize, len: usize, empty: i16, field: &Field, asset: &Asset) {
        self.fill(row);
        for element in 0..len {
            let is_there = self.values.push(&field.leaf, asset, element, 0);
            self.definition.push(empty + 1 + i16::from(is_there && !field.required));
            self.repetition.push((element > 0).into());
        }
        if len == 0 {
            self.definition.push(empty);
            self.repetition.push(0);
        }
        self.rows = row + 1;
    }

    /// Adds levels for rows without values until there are `rows`.
    fn fill(&mut self, rows: usize) {
        let fill = |levels: &mut Vec<i16>| levels.resize(levels.len() + rows - self.rows, 0);
        if self.has_gaps {
            fill(&mut self.definition);
        }
        if self.has_lists {
            fill(&mut self.repetition);
        }
        self.rows = rows;
    }

    /// Writes the values of `len` rows, and clears them.
    fn write(&mut self, len: usize, no_levels: &[i16], mut column: SerializedColumnWriter<'_>) -> Result<()> {
        let is_blank = self.rows == 0;
        if !is_blank {
            self.fill(len);
        }
        let Self { definition, repetition, values, .. } = self;
        let levels = |levels| if is_blank { no_levels } else { levels };
        let has = self.has_gaps.then(|| levels(definition));
        let begins = self.has_lists.then(|| levels(repetition));
        fn write<T: DataType>(
            column: &mut SerializedColumnWriter<'_>,
            values: &[T::T],
            definition: Option<&[i16]>,
            repetition: Option<&[i16]>,
        ) -> Result<()> {
            column.typed::<T>().write_batch(values, definition, repetition).map(drop)
        }
        let mut whole = Bytes::new();
        match values {
            Values::None => {}
            Values::Text(bytes, ends) => {
                whole = Bytes::from(std::mem::take(bytes));
                write_texts(column.typed(), &whole, ends, has, begins)?;
            }
            Values::Int(values) => write::<Int64Type>(&mut column, values, has, begins)?,
            Values::Short(values) => write::<Int32Type>(&mut column, values, has, begins)?,
            Values::Real(values) => write::<DoubleType>(&mut column, values, has, begins)?,
            Values::Flag(values) => write::<BoolType>(&mut column, values, has, begins)?,
        }
        column.close()?;
        definition.clear();
        repetition.clear();
        values.clear(whole);
        self.rows = 0;
        Ok(())
    }
}

/// Writes texts, a few at a time, and whole lists of them.
fn write_texts(
    column: &mut ColumnWriterImpl<'_, ByteArrayType>,
    bytes: &Bytes,
    ends: &[usize],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> Result<()> {
    let value = column.get_descriptor().max_def_level();
    let levels = definition.map_or(ends.len(), <[i16]>::len);
    let mut texts = Vec::with_capacity(TEXTS_AT_ONCE);
    let mut ends = ends.iter();
    let (mut begin, mut text) = (0, 0);
    while begin < levels {
        let goes_on =
            |level| repetition.is_some_and(|levels| levels.get(level).is_some_and(|level| *level > 0));
        let mut end = levels.min(begin + TEXTS_AT_ONCE);
        while goes_on(end) {
            end += 1;
        }
        let definition = definition.map(|levels| &levels[begin..end]);
        let is_there = |levels: &[i16]| levels.iter().filter(|level| **level == value).count();
        for end in ends.by_ref().take(definition.map_or(end - begin, is_there)) {
            texts.push(ByteArray::from(bytes.slice(text..*end)));
            text = *end;
        }
        column.write_batch(&texts, definition, repetition.map(|levels| &levels[begin..end]))?;
        texts.clear();
        begin = end;
    }
    Ok(())
}

impl Values {
    /// Removes all values, and takes back the memory of texts that were written.
    fn clear(&mut self, written: Bytes) {
        match self {
            Self::None => {}
            Self::Text(bytes, ends) => {
                *bytes = written.into();
                bytes.clear();
                ends.clear();
            }
            Self::Int(values) => values.clear(),
            Self::Short(values) => values.clear(),
            Self::Real(values) => values.clear(),
            Self::Flag(values) => values.clear(),
        }
    }

    fn of(leaf: &Leaf) -> Self {
        match leaf {
            Leaf::Text(..) => Self::Text(Vec::new(), Vec::new()),
            Leaf::Int(..) | Leaf::Time(..) => Self::Int(Vec::new()),
            Leaf::Short(..) => Self::Short(Vec::new()),
            Leaf::Real(..) => Self::Real(Vec::new()),
            Leaf::Flag(..) => Self::Flag(Vec::new()),
        }
    }

    /// Adds the asset's value and returns whether there is one. Before the first one, memory for `capacity` values is
    /// allocated.
    fn push(&mut self, leaf: &Leaf, asset: &Asset, element: usize, capacity: usize) -> bool {
        fn push<T>(values: &mut Vec<T>, value: Option<T>, capacity: usize) -> bool {
            let Some(value) = value else { return false };
            if values.is_empty() {
                values.reserve(capacity);
            }
            values.push(value);
            true
        }
        match (leaf, self) {
            (Leaf::Text(get, _), Self::Text(bytes, ends)) => {
                let text = get(asset, element);
                text.is_some_and(|text| {
                    bytes.extend_from_slice(text.as_bytes());
                    push(ends, Some(bytes.len()), capacity)
                })
            }
            (Leaf::Int(get, _) | Leaf::Time(get, _), Self::Int(values)) => {
                push(values, get(asset, element), capacity)
            }
            // The values of such a column fit into 32 bits; a rotation has 16.
            (Leaf::Short(get, _), Self::Short(values)) => {
                push(values, get(asset, element).map(|value| value as i32), capacity)
            }
            (Leaf::Real(get, _), Self::Real(values)) => push(values, get(asset, element), capacity),
            (Leaf::Flag(get, _), Self::Flag(values)) => push(values, get(asset, element), capacity),
            _ => false,
        }
    }
}

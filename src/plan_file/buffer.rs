//! Rows of a plan in memory, column by column.

use bytes::Bytes;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};

use super::columns::{COLUMNS, Cells, Leaf, List};
use crate::model::Asset;

/// Rows, one for each asset.
#[derive(Debug, Default)]
pub struct Rows {
    len: usize,
    leaves: Vec<LeafRows>,
}

/// The values of the rows in a leaf column.
#[derive(Debug, Default)]
pub(crate) struct LeafRows {
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
            self.leaves =
                leaves().map(|leaf| LeafRows { values: Values::of(leaf), ..LeafRows::default() }).collect();
        }
        self.len += 1;
        let mut rows = self.leaves.iter_mut();
        for column in COLUMNS {
            match &column.cells {
                Cells::One(leaf) => {
                    if let Some(rows) = rows.next() {
                        rows.add_cell(leaf, asset, column.required);
                    }
                }
                Cells::List(list) => {
                    for (field, rows) in list.fields.iter().zip(&mut rows) {
                        rows.add_list(list, &field.leaf, asset, column.required, field.required);
                    }
                }
            }
        }
    }

    /// The values in each leaf column, in the order of [`COLUMNS`] and their fields; empty if there are no rows.
    #[cfg(feature = "python")]
    pub(crate) fn leaves(&self) -> &[LeafRows] {
        &self.leaves
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
        self.len = 0;
        for rows in self.leaves.iter_mut().chain(&mut extra) {
            let column = group.next_column()?;
            rows.write(
                column.ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))?,
            )?;
        }
        group.close().map(drop)
    }
}

/// The leaf columns.
fn leaves() -> impl Iterator<Item = &'static Leaf> {
    COLUMNS.iter().flat_map(|column| -> Box<dyn Iterator<Item = &Leaf>> {
        match &column.cells {
            Cells::One(leaf) => Box::new(std::iter::once(leaf)),
            Cells::List(list) => Box::new(list.fields.iter().map(|field| &field.leaf)),
        }
    })
}

impl LeafRows {
    fn add_cell(&mut self, leaf: &Leaf, asset: &Asset, required: bool) {
        let is_there = self.values.push(leaf, asset, 0);
        if !required {
            self.definition.push(is_there.into());
        }
    }

    fn add_list(&mut self, list: &List, leaf: &Leaf, asset: &Asset, list_required: bool, required: bool) {
        let empty = i16::from(!list_required);
        let len = (list.len)(asset);
        for element in 0..len.unwrap_or(0) {
            let is_there = self.values.push(leaf, asset, element);
            self.definition.push(empty + 1 + i16::from(is_there && !required));
            self.repetition.push((element > 0).into());
        }
        if len.is_none_or(|len| len == 0) {
            self.definition.push(if len.is_none() { 0 } else { empty });
            self.repetition.push(0);
        }
    }

    /// Writes the values and clears them.
    fn write(&mut self, mut column: SerializedColumnWriter<'_>) -> Result<()> {
        let Self { definition, repetition, values } = self;
        fn levels(levels: &[i16]) -> Option<&[i16]> {
            Some(levels).filter(|levels| !levels.is_empty())
        }
        let (has, begins) = (levels(definition), levels(repetition));
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
                write::<ByteArrayType>(&mut column, &texts(&whole, ends), has, begins)?;
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
        Ok(())
    }
}

/// Each text as a slice of the same bytes.
fn texts(bytes: &Bytes, ends: &[usize]) -> Vec<ByteArray> {
    let starts = std::iter::once(&0).chain(ends);
    starts.zip(ends).map(|(start, end)| ByteArray::from(bytes.slice(start..end))).collect()
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

    /// Adds the asset's value and returns whether there is one.
    fn push(&mut self, leaf: &Leaf, asset: &Asset, element: usize) -> bool {
        match (leaf, self) {
            (Leaf::Text(get, _), Self::Text(bytes, ends)) => {
                let text = get(asset, element);
                text.inspect(|text| {
                    bytes.extend_from_slice(text.as_bytes());
                    ends.push(bytes.len());
                })
                .is_some()
            }
            (Leaf::Int(get, _) | Leaf::Time(get, _), Self::Int(values)) => {
                get(asset, element).map(|value| values.push(value)).is_some()
            }
            // The values of such a column fit into 32 bits; a rotation has 16.
            (Leaf::Short(get, _), Self::Short(values)) => {
                get(asset, element).map(|value| values.push(value as i32)).is_some()
            }
            (Leaf::Real(get, _), Self::Real(values)) => {
                get(asset, element).map(|value| values.push(value)).is_some()
            }
            (Leaf::Flag(get, _), Self::Flag(values)) => {
                get(asset, element).map(|value| values.push(value)).is_some()
            }
            _ => false,
        }
    }
}

//! Rows of a plan as Arrow.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, TimeUnit};

use crate::plan_file::{COLUMNS, Cells, Column, Leaf, LeafRows, List, Rows, Values};

/// The columns of a plan.
pub(super) fn schema() -> Schema {
    let field = |column: &Column| {
        let data_type = match &column.cells {
            Cells::One(leaf) => data_type(leaf),
            Cells::List(list) => DataType::List(Arc::new(Field::new("element", element_type(list), false))),
        };
        Field::new(column.name, data_type, !column.required)
    };
    Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>())
}

fn data_type(leaf: &Leaf) -> DataType {
    match leaf {
        Leaf::Text(..) => DataType::Utf8,
        Leaf::Int(..) => DataType::Int64,
        Leaf::Short(..) => DataType::Int32,
        Leaf::Time(..) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Leaf::Real(..) => DataType::Float64,
        Leaf::Flag(..) => DataType::Boolean,
    }
}

/// The type of a list's element: a struct, or the type of its only field if that has no name.
fn element_type(list: &List) -> DataType {
    match list.fields {
        [field] if field.name.is_empty() => data_type(&field.leaf),
        _ => DataType::Struct(fields(list)),
    }
}

fn fields(list: &List) -> Fields {
    list.fields.iter().map(|field| Field::new(field.name, data_type(&field.leaf), !field.required)).collect()
}

/// Converts rows, of which there must be at least one, to a batch with these columns.
///
/// # Errors
/// Returns an error if the rows do not form a batch, which would be a bug.
pub(super) fn batch(rows: &Rows) -> Result<RecordBatch, ArrowError> {
    let mut leaves = rows.leaves().iter();
    let mut arrays = Vec::new();
    for column in COLUMNS {
        arrays.push(match &column.cells {
            Cells::One(leaf) => {
                let cells = leaves.next().ok_or_else(incomplete)?;
                let present = cells.definition.iter().map(|level| *level > 0);
                array(leaf, &cells.values, (!column.required).then(|| present.collect()))?
            }
            Cells::List(list) => {
                let cells: Vec<_> = leaves.by_ref().take(list.fields.len()).collect();
                lists(list, &cells, column.required)?
            }
        });
    }
    RecordBatch::try_new(Arc::new(schema()), arrays)
}

fn incomplete() -> ArrowError {
    ArrowError::SchemaError("a column is missing".to_owned())
}

/// A column of lists. The definition levels are, in ascending order: no list, an empty list, an element without a
/// value, and an element with a value.
fn lists(list: &List, cells: &[&LeafRows], required: bool) -> Result<ArrayRef, ArrowError> {
    let empty = i16::from(!required);
    let Some(first) = cells.first() else { return Err(incomplete()) };
    let (mut lengths, mut is_there) = (Vec::new(), Vec::new());
    for (definition, repetition) in first.definition.iter().zip(&first.repetition) {
        if *repetition == 0 {
            lengths.push(0);
            is_there.push(required || *definition > 0);
        }
        if let Some(length) = lengths.last_mut() {
            *length += usize::from(*definition > empty);
        }
    }
    let field_array = |(field, cells): (&crate::plan_file::Field, &&LeafRows)| {
        let of_elements = cells.definition.iter().filter(|level| **level > empty);
        let present = of_elements.map(|level| *level > empty + 1);
        array(&field.leaf, &cells.values, (!field.required).then(|| present.collect()))
    };
    let arrays: Vec<_> = list.fields.iter().zip(cells).map(field_array).collect::<Result<_, _>>()?;
    let elements: ArrayRef = match element_type(list) {
        DataType::Struct(fields) => Arc::new(StructArray::try_new(fields, arrays, None)?),
        _ => arrays.into_iter().next().ok_or_else(incomplete)?,
    };
    let field = Field::new("element", elements.data_type().clone(), false);
    let nulls = (!required).then(|| NullBuffer::from(is_there));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(Arc::new(field), offsets, elements, nulls)?))
}

/// An array of the values, with nulls for the missing ones: `present` shows which are there; `None` if all are.
fn array(leaf: &Leaf, values: &Values, present: Option<Vec<bool>>) -> Result<ArrayRef, ArrowError> {
    let present = present.as_deref();
    let nulls = present.map(|present| NullBuffer::from(present.to_vec()));
    Ok(match values {
        Values::None => return Err(incomplete()),
        Values::Text(bytes, ends) => {
            let lengths = spread(&lengths(ends), present);
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(StringArray::try_new(offsets, Buffer::from_slice_ref(bytes), nulls)?)
        }
        Values::Int(values) => {
            let values = ScalarBuffer::from(spread(values, present));
            match leaf {
                Leaf::Time(..) => {
                    Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?.with_timezone("UTC"))
                }
                _ => Arc::new(Int64Array::try_new(values, nulls)?),
            }
        }
        Values::Short(values) => Arc::new(Int32Array::try_new(spread(values, present).into(), nulls)?),
        Values::Real(values) => Arc::new(Float64Array::try_new(spread(values, present).into(), nulls)?),
        Values::Flag(values) => {
            Arc::new(BooleanArray::new(BooleanBuffer::from(spread(values, present)), nulls))
        }
    })
}

fn lengths(ends: &[usize]) -> Vec<usize> {
    let starts = std::iter::once(&0).chain(ends);
    starts.zip(ends).map(|(start, end)| end - start).collect()
}

/// Puts a default in place of each missing value.
fn spread<T: Copy + Default>(values: &[T], present: Option<&[bool]>) -> Vec<T> {
    let mut values = values.iter().copied();
    match present {
        None => values.collect(),
        Some(present) => present
            .iter()
            .map(|is_there| is_there.then(|| values.next()).flatten().unwrap_or_default())
            .collect(),
    }
}

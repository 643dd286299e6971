//! Turns columns back into assets.

use std::collections::VecDeque;

use parquet::basic::Type as Physical;
use parquet::errors::Result as Decoded;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::columns::{COLUMNS, Cells, Column, Field, Leaf, List, POSITION, Use};
use super::fields::blank;
use crate::files::leaf::{LeafReader, Value};
use crate::files::pages::Limits;
use crate::files::parquet_file::{Fault, guarded};
use crate::model::Asset;

/// Rows that are decoded at a time, at most: so few that all of them may have [`MAX_ROW_TEXT`].
pub(super) const BATCH_ROWS: usize = 1 << 7;
/// The most bytes of text in a row: 256 KiB, for a name of 4 KiB in every message and fix of many findings.
const MAX_ROW_TEXT: usize = 256 << 10;

/// The rows of a row group, some of which are decoded. Columns with other names are ignored, and those that are not
/// required may be missing, because plans of earlier versions do not have all of them.
pub(super) struct GroupRows {
    /// The leaves of each of [`COLUMNS`]; `None` for one that is missing or not used.
    columns: Vec<Vec<Option<LeafReader>>>,
    /// The positions of the rows, if the file has them.
    positions: Option<LeafReader>,
    /// Rows that are decoded but not taken yet, each with its position, 0 if the file has none.
    rows: VecDeque<(u64, Asset)>,
    buffers: Buffers,
}

/// Of each row that is being decoded.
#[derive(Default)]
struct Buffers {
    /// Bytes of text that it may still have.
    text_left: Vec<usize>,
    /// The lengths of its lists in a column, and in another leaf of it.
    lens: Vec<Option<usize>>,
    other_lens: Vec<Option<usize>>,
}

impl GroupRows {
    /// Opens the columns of a row group that have this use. Also returns the indices of their leaves. Nothing is decoded
    /// yet.
    pub(super) fn open(group: &dyn RowGroupReader, used: Use) -> Result<(Self, Vec<usize>), Fault> {
        let schema = group.metadata().schema_descr();
        let mut columns = Vec::with_capacity(COLUMNS.len());
        let mut all = Vec::new();
        for column in COLUMNS {
            let leaves: Vec<Option<usize>> = match &column.cells {
                Cells::One(leaf) => {
                    let is_used = column.used >= used;
                    vec![find(schema, column, ("", column.required && is_used), leaf)?.filter(|_| is_used)]
                }
                Cells::List(list) => {
                    let find = |field: &Field| {
                        let is_used = field.used >= used;
                        let required = field.required && column.required && is_used;
                        let found = find(schema, column, (field.name, required), &field.leaf)?;
                        Ok(found.filter(|_| is_used))
                    };
                    list.fields.iter().map(find).collect::<Result<_, Fault>>()?
                }
            };
            all.extend(leaves.iter().flatten());
            let open = || {
                let open = |leaf: Option<usize>| leaf.map(|leaf| LeafReader::open(group, leaf)).transpose();
                leaves.into_iter().map(open).collect::<Decoded<_>>()
            };
            columns.push(guarded(open)?);
        }
        let position = position_leaf(schema);
        let positions = position.map(|leaf| guarded(|| LeafReader::open(group, leaf))).transpose()?;
        all.extend(position);
        Ok((Self { columns, positions, rows: VecDeque::new(), buffers: Buffers::default() }, all))
    }

    /// The next row that is decoded and not taken yet: the asset, and its position, 0 if the file has none.
    pub(super) fn next(&mut self) -> Option<(u64, Asset)> {
        self.rows.pop_front()
    }

    /// Whether all decoded rows are taken.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Decodes up to `rows` more rows, column by column, once all rows are taken; at the end of the group, there are none.
    pub(super) fn decode(&mut self, rows: usize) -> Result<(), Fault> {
        let mut least_and_most = (rows, 0);
        for leaf in self.columns.iter_mut().flatten().flatten().chain(&mut self.positions) {
            let decoded = guarded(|| leaf.decode(rows))?;
            least_and_most = (least_and_most.0.min(decoded), least_and_most.1.max(decoded));
        }
        let (rows, most) = least_and_most;
        if rows != most {
            return Err(uneven());
        }
        let Self { columns, positions, rows: decoded, buffers } = self;
        decoded.clear();
        decoded.resize_with(rows, || (0, blank()));
        buffers.text_left.clear();
        buffers.text_left.resize(rows, MAX_ROW_TEXT);
        let decoded = decoded.make_contiguous();
        if let Some(positions) = positions {
            set_positions(decoded, positions)?;
        }
        for (column, leaves) in COLUMNS.iter().zip(columns) {
            match &column.cells {
                Cells::One(leaf) => {
                    for cells in leaves.iter().flatten() {
                        set(decoded, buffers, cells, column, (column.required, leaf))?;
                    }
                }
                Cells::List(list) => set_list(decoded, buffers, leaves, column, list)?,
            }
        }
        Ok(())
    }
}

fn set_positions(rows: &mut [(u64, Asset)], positions: &LeafReader) -> Result<(), Fault> {
    let gaps = || format!("its column '{POSITION}' has a row without a position");
    if positions.has_gaps() {
        return Err(gaps());
    }
    positions.each(|row, _, value| {
        let Value::Int(value) = value else { return Err(gaps()) };
        rows.get_mut(row).ok_or_else(uneven)?.0 = u64::try_from(value).map_err(|_| gaps())?;
        Ok(())
    })
}

/// Sets the assets' values of a column of lists.
fn set_list(
    rows: &mut [(u64, Asset)],
    buffers: &mut Buffers,
    leaves: &[Option<LeafReader>],
    column: &Column,
    list: &List,
) -> Result<(), Fault> {
    let mut is_first = true;
    for (field, cells) in list.fields.iter().zip(leaves) {
        let Some(cells) = cells else { continue };
        if is_first {
            cells.lens(&mut buffers.lens)?;
            for ((_, asset), len) in rows.iter_mut().zip(&buffers.lens) {
                match len {
                    Some(len) => (list.make)(asset, *len),
                    None if column.required => return Err(gaps(column)),
                    None => {}
                }
            }
        } else {
            cells.lens(&mut buffers.other_lens)?;
        }
        if buffers.lens.len() != rows.len() || (!is_first && buffers.lens != buffers.other_lens) {
            return Err(format!("its column '{}' has uneven lists", column.name));
        }
        is_first = false;
        set(rows, buffers, cells, column, (field.required, &field.leaf))?;
    }
    Ok(())
}

/// Sets the assets' values of a leaf column.
fn set(
    rows: &mut [(u64, Asset)],
    buffers: &mut Buffers,
    cells: &LeafReader,
    column: &Column,
    (required, leaf): (bool, &Leaf),
) -> Result<(), Fault> {
    if required && cells.has_gaps() {
        return Err(gaps(column));
    }
    let mut last = "";
    cells.each(|row, element, value| {
        let ((_, asset), left) = rows.get_mut(row).zip(buffers.text_left.get_mut(row)).ok_or_else(uneven)?;
        match (leaf, value) {
            (Leaf::Text(_, set), Value::Bytes(bytes)) => {
                *left = left
                    .checked_sub(bytes.len())
                    .ok_or_else(|| format!("it has a row with more than {MAX_ROW_TEXT} bytes of text"))?;
                // Values of a dictionary are at the same place, so they need not be checked again.
                if !std::ptr::eq(bytes, last.as_bytes()) {
                    last = std::str::from_utf8(bytes)
                        .map_err(|_| format!("its column '{}' is not UTF-8", column.name))?;
                }
                set(asset, element, last)
            }
            (Leaf::Int(_, set) | Leaf::Short(_, set) | Leaf::Time(_, set), Value::Int(value)) => {
                set(asset, element, value)
            }
            (Leaf::Real(_, set), Value::Real(value)) => set(asset, element, value),
            (Leaf::Flag(_, set), Value::Bool(value)) => set(asset, element, value),
            _ => Err(format!("its column '{}' has values of another type", column.name)),
        }
    })
}

fn uneven() -> Fault {
    "its columns have different numbers of rows".to_owned()
}

fn gaps(column: &Column) -> Fault {
    format!("its column '{}' has gaps", column.name)
}

/// The leaf of the column of positions, if there is one.
pub(super) fn position_leaf(schema: &SchemaDescriptor) -> Option<usize> {
    let is_it = |leaf: &ColumnDescriptor| {
        leaf.path().parts() == [POSITION]
            && leaf.physical_type() == Physical::INT64
            && leaf.max_rep_level() == 0
    };
    schema.columns().iter().position(|leaf| is_it(leaf))
}

/// The leaf of the column of names.
pub(super) fn name_leaf(schema: &SchemaDescriptor) -> Result<usize, Fault> {
    let column = COLUMNS.iter().find(|column| column.name == "name");
    let found = match column.map(|column| (column, &column.cells)) {
        Some((column, Cells::One(leaf))) => find(schema, column, ("", true), leaf)?,
        _ => None,
    };
    found.ok_or_else(|| "it has no column 'name'".to_owned())
}

/// The leaf of a column, or of a list's element, that has values of this type; `None` if it is missing and need not be
/// there.
fn find(
    schema: &SchemaDescriptor,
    column: &Column,
    (field, required): (&str, bool),
    leaf: &Leaf,
) -> Result<Option<usize>, Fault> {
    let is_it = |path: &[String]| match (path, field) {
        ([name], "") => name == column.name,
        // The element and the group around it have several names (Parquet, LogicalTypes.md, "Lists").
        ([name, _, _], "") => name == column.name,
        ([name, _, _, last], field) => name == column.name && last == field,
        _ => false,
    };
    let columns = schema.columns();
    let found = columns.iter().position(|leaf| is_it(leaf.path().parts()));
    let Some(found) = found else {
        return if required { Err(format!("it has no column '{}'", column.name)) } else { Ok(None) };
    };
    match is_of(&columns[found], leaf) {
        true => Ok(Some(found)),
        false => Err(format!("its column '{}' has the type {}", column.name, columns[found].physical_type())),
    }
}

/// Whether a column has values of this type. Spark writes times as 96 bits.
fn is_of(column: &ColumnDescriptor, leaf: &Leaf) -> bool {
    let physical = column.physical_type();
    match leaf {
        Leaf::Text(..) => physical == Physical::BYTE_ARRAY,
        Leaf::Int(..) => physical == Physical::INT64,
        Leaf::Short(..) => physical == Physical::INT32,
        Leaf::Time(..) => matches!(physical, Physical::INT64 | Physical::INT96),
        Leaf::Real(..) => physical == Physical::DOUBLE,
        Leaf::Flag(..) => physical == Physical::BOOLEAN,
    }
}

/// Checks these columns of a row group before memory is allocated for them. Returns how many rows to decode at a time.
pub(super) fn check_group(
    limits: &mut Limits,
    group: &RowGroupMetaData,
    leaves: impl IntoIterator<Item = usize>,
    max_rows: usize,
) -> Result<usize, Fault> {
    let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
    if rows > max_rows {
        return Err("it has more rows in one group than a plan may have".to_owned());
    }
    guarded(|| limits.check(group, leaves, BATCH_ROWS))
}

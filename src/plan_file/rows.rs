//! Turns columns back into assets.

use parquet::basic::Type as Physical;
use parquet::errors::Result as Decoded;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::columns::{COLUMNS, Cells, Column, Field, Leaf, POSITION};
use super::fields::blank;
use crate::files::leaf::{LeafReader, Value};
use crate::files::pages::Limits;
use crate::files::parquet_file::{Fault, guarded};
use crate::model::Asset;

/// Rows that are decoded at a time, at most.
pub(super) const BATCH_ROWS: usize = 1 << 10;
/// The most bytes of text in a row: 256 KiB, for a name of 4 KiB in every message and fix of many findings.
const MAX_ROW_TEXT: usize = 256 << 10;

/// The rows of a row group, some of which are decoded. Columns with other names are ignored, and those that are not
/// required may be missing, because plans of earlier versions do not have all of them.
pub(super) struct GroupRows {
    /// The leaves of each of [`COLUMNS`]; `None` for one that is missing.
    columns: Vec<Vec<Option<LeafReader>>>,
    /// The positions of the rows, if the file has them.
    positions: Option<LeafReader>,
    left: usize,
}

impl GroupRows {
    /// Opens a row group. Also returns the indices of the leaves that are read. Nothing is decoded yet.
    pub(super) fn open(group: &dyn RowGroupReader) -> Result<(Self, Vec<usize>), Fault> {
        let schema = group.metadata().schema_descr();
        let mut columns = Vec::with_capacity(COLUMNS.len());
        let mut all = Vec::new();
        for column in COLUMNS {
            let leaves: Vec<Option<usize>> = match &column.cells {
                Cells::One(leaf) => vec![find(schema, column, ("", column.required), leaf)?],
                Cells::List(list) => {
                    let required = |field: &Field| field.required && column.required;
                    let find =
                        |field: &Field| find(schema, column, (field.name, required(field)), &field.leaf);
                    list.fields.iter().map(find).collect::<Result<_, _>>()?
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
        Ok((Self { columns, positions, left: 0 }, all))
    }

    /// Rows that are decoded but not taken yet.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Decodes up to `rows` more rows; at the end of the group, there are none.
    pub(super) fn decode(&mut self, rows: usize) -> Result<(), Fault> {
        let mut least_and_most = (rows, 0);
        for leaf in self.columns.iter_mut().flatten().flatten().chain(&mut self.positions) {
            let decoded = guarded(|| leaf.decode(rows))?;
            least_and_most = (least_and_most.0.min(decoded), least_and_most.1.max(decoded));
        }
        if least_and_most.0 != least_and_most.1 {
            return Err("its columns have different numbers of rows".to_owned());
        }
        self.left = least_and_most.0;
        Ok(())
    }

    /// The asset in the next row, of which one must be [left](Self::left), and its position, 0 if the file has none.
    pub(super) fn next_asset(&mut self) -> Result<(u64, Asset), Fault> {
        let mut asset = blank();
        let mut text_left = MAX_ROW_TEXT;
        let mut position = 0;
        if let Some(positions) = &mut self.positions {
            positions.next_row(|_, value| {
                let value =
                    value.and_then(|value| if let Value::Int(value) = value { Some(value) } else { None });
                let value = value.and_then(|value| u64::try_from(value).ok());
                position =
                    value.ok_or_else(|| format!("its column '{POSITION}' has a row without a position"))?;
                Ok(())
            })?;
        }
        for (column, leaves) in COLUMNS.iter().zip(&mut self.columns) {
            match &column.cells {
                Cells::One(leaf) => {
                    for cells in leaves.iter_mut().flatten() {
                        set(&mut asset, &mut text_left, cells, column, column.required, leaf)?;
                    }
                }
                Cells::List(list) => {
                    let len = leaves.iter().flatten().next().and_then(LeafReader::row_len);
                    match len {
                        Some(len) => (list.make)(&mut asset, len),
                        None if column.required => return Err(gaps(column)),
                        None => {}
                    }
                    for (field, cells) in list.fields.iter().zip(leaves) {
                        let Some(cells) = cells else { continue };
                        if cells.row_len() != len {
                            return Err(format!("its column '{}' has uneven lists", column.name));
                        }
                        if len.unwrap_or(0) == 0 {
                            cells.pass_empty();
                            continue;
                        }
                        set(&mut asset, &mut text_left, cells, column, field.required, &field.leaf)?;
                    }
                }
            }
        }
        self.left -= 1;
        Ok((position, asset))
    }
}

/// Sets the asset's values from the next row of a leaf column.
fn set(
    asset: &mut Asset,
    text_left: &mut usize,
    cells: &mut LeafReader,
    column: &Column,
    required: bool,
    leaf: &Leaf,
) -> Result<(), Fault> {
    cells.next_row(|element, value| match (leaf, value) {
        (_, None) if required => Err(gaps(column)),
        (_, None) => Ok(()),
        (Leaf::Text(_, set), Some(Value::Bytes(bytes))) => {
            let left = text_left.checked_sub(bytes.len());
            *text_left =
                left.ok_or_else(|| format!("it has a row with more than {MAX_ROW_TEXT} bytes of text"))?;
            let text = std::str::from_utf8(bytes);
            set(asset, element, text.map_err(|_| format!("its column '{}' is not UTF-8", column.name))?)
        }
        (Leaf::Int(_, set) | Leaf::Short(_, set) | Leaf::Time(_, set), Some(Value::Int(value))) => {
            set(asset, element, value)
        }
        (Leaf::Real(_, set), Some(Value::Real(value))) => set(asset, element, value),
        (Leaf::Flag(_, set), Some(Value::Bool(value))) => set(asset, element, value),
        _ => Err(format!("its column '{}' has values of another type", column.name)),
    })
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

//! An asset as bytes in a temporary file: the values of all columns, one after the other.

use super::columns::{COLUMNS, Cells, Leaf};
use super::fields::blank;
use crate::files::lookup::Record;
use crate::model::Asset;

impl Record for Asset {
    fn name(&self) -> &str {
        self.blob.name.as_str()
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        for column in COLUMNS {
            match &column.cells {
                Cells::One(leaf) => put(leaf, self, 0, bytes),
                Cells::List(list) => {
                    let len = (list.len)(self);
                    // No list is 0, and an empty one is 1.
                    put_number(len.map_or(0, |len| len as u64 + 1), bytes);
                    for field in list.fields {
                        (0..len.unwrap_or(0)).for_each(|element| put(&field.leaf, self, element, bytes));
                    }
                }
            }
        }
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut asset = blank();
        for column in COLUMNS {
            match &column.cells {
                Cells::One(leaf) => get(leaf, &mut asset, 0, &mut bytes)?,
                Cells::List(list) => {
                    let Some(len) = number(&mut bytes)?.checked_sub(1) else { continue };
                    // Each element has at least a byte.
                    let len = usize::try_from(len).ok().filter(|len| *len <= bytes.len())?;
                    (list.make)(&mut asset, len);
                    for field in list.fields {
                        (0..len).try_for_each(|element| get(&field.leaf, &mut asset, element, &mut bytes))?;
                    }
                }
            }
        }
        bytes.is_empty().then_some(asset)
    }
}

/// Appends a byte that says whether there is a value, and the value.
fn put(leaf: &Leaf, asset: &Asset, element: usize, bytes: &mut Vec<u8>) {
    let begin = bytes.len();
    bytes.push(1);
    let is_there = match leaf {
        Leaf::Text(get, _) => get(asset, element).map(|text| {
            put_number(text.len() as u64, bytes);
            bytes.extend_from_slice(text.as_bytes());
        }),
        Leaf::Int(get, _) | Leaf::Short(get, _) | Leaf::Time(get, _) => {
            get(asset, element).map(|value| bytes.extend_from_slice(&value.to_le_bytes()))
        }
        Leaf::Real(get, _) => {
            get(asset, element).map(|value| bytes.extend_from_slice(&value.to_bits().to_le_bytes()))
        }
        Leaf::Flag(get, _) => get(asset, element).map(|value| bytes.push(value.into())),
    };
    bytes[begin] = is_there.is_some().into();
}

fn put_number(number: u64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// Sets the next value; `None` if the bytes are not those of a value.
fn get(leaf: &Leaf, asset: &mut Asset, element: usize, bytes: &mut &[u8]) -> Option<()> {
    if take(bytes)? == [0] {
        return Some(());
    }
    let set = match leaf {
        Leaf::Text(_, set) => {
            let len = usize::try_from(number(bytes)?).ok()?;
            let (text, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            set(asset, element, std::str::from_utf8(text).ok()?)
        }
        Leaf::Int(_, set) | Leaf::Short(_, set) | Leaf::Time(_, set) => {
            set(asset, element, i64::from_le_bytes(take(bytes)?))
        }
        Leaf::Real(_, set) => set(asset, element, f64::from_bits(number(bytes)?)),
        Leaf::Flag(_, set) => set(asset, element, take(bytes)? == [1]),
    };
    set.ok()
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

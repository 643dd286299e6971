//! `presync explain` as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::document;
use super::record::{AssetRecord, FORMAT_VERSION, SourceRecord, ToolRecord};
use crate::model::{Asset, ByteRange, Origin};
use crate::probe::Node;

#[derive(Serialize)]
struct ExplainDocument<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    source: SourceRecord<'a>,
    profile: &'a str,
    asset: AssetRecord<'a>,
    /// The ranges that were read, in that order.
    ranges: Vec<RangeRecord>,
    structure: Vec<NodeRecord<'a>>,
    exif: Vec<TagRecord<'a>>,
}

/// Bytes of the asset.
#[derive(Serialize)]
struct RangeRecord {
    offset: u64,
    length: u64,
}

/// A part of the asset; `depth` says which part it is in.
#[derive(Serialize)]
struct NodeRecord<'a> {
    depth: u8,
    offset: u64,
    length: u64,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
}

#[derive(Serialize)]
struct TagRecord<'a> {
    tag: &'a str,
    value: &'a str,
}

/// Writes everything about one asset: the ranges that were read, its structure and its EXIF tags, and the record that
/// other reports have.
///
/// # Errors
/// Returns an error if it cannot be written.
pub(crate) fn explain(
    out: &mut dyn Write,
    origin: &Origin,
    profile: &str,
    asset: &Asset,
    (ranges, outline, tags): (&[ByteRange], &[Node], &[(String, String)]),
) -> io::Result<()> {
    let range = |range: &ByteRange| RangeRecord { offset: range.start(), length: range.len() };
    let structure = outline.iter().map(|Node { depth, at, len, name, note }| NodeRecord {
        depth: *depth,
        offset: *at,
        length: *len,
        name,
        note,
    });
    let explained = ExplainDocument {
        format_version: FORMAT_VERSION,
        tool: ToolRecord::this(),
        source: SourceRecord::new(origin),
        profile,
        asset: AssetRecord::new(asset),
        ranges: ranges.iter().map(range).collect(),
        structure: structure.collect(),
        exif: tags.iter().map(|(tag, value)| TagRecord { tag, value }).collect(),
    };
    document(&explained, out)
}

//! A plan in a file: every asset of a run with its facts and verdict, as Parquet.
//!
//! A row is an asset, in listing order; the columns have the names of the JSON records, with `cost` and `reads`
//! flattened. Everything about the run as a whole, including its times, is in the file's key-value metadata, under keys
//! that begin with `presync.`: the same container and the same limits give the same rows. Memory does not grow with the
//! number of assets, neither when writing a plan nor when reading it.
//!
//! Only types that Spark has are used, so that Spark can write the files that are read here.

mod assets;
mod buffer;
pub mod checkpoint;
mod columns;
mod digest;
mod fields;
mod folder;
mod metadata;
mod names;
mod part;
mod read;
mod record;
mod rows;
mod spool;
pub mod synced;
mod write;

use jiff::Timestamp;

use crate::model::error::Error;
use crate::plan::{RunHeader, Summary};

pub use crate::files::lookup::{Lookup, Record};
pub use buffer::Rows;
#[cfg(feature = "python")]
pub(crate) use buffer::{LeafRows, Values};
#[cfg(feature = "python")]
pub(crate) use columns::{COLUMNS, Cells, Column, Field, Leaf, List};
pub use folder::{Merged, PartFolder};
pub use part::{PART_KEY, PartHeader, PartReader, PartWriter, ShardOf, container_url};
pub use read::PlanReader;
pub use spool::Spool;
pub use write::{PlanWriter, TableWriter};

/// The version of the format: the major number changes when a column or a key is removed or changes its meaning.
const FORMAT_VERSION: &str = "1.0";
/// The tool that writes the file.
const TOOL: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
/// Rows of a row group, the unit that is held in memory, here and by query engines.
const GROUP_ROWS: usize = 8 << 10;

/// A number as columns hold it: signed, because Spark reads an unsigned one as a decimal. Only a hostile file has
/// larger numbers, so they are capped.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Everything in a plan besides its assets.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Which presync wrote it, such as `presync 0.1.0`.
    pub tool: String,
    /// What was known before the first asset.
    pub header: RunHeader,
    /// The totals of the assets. An incomplete plan holds the first part of the listing.
    pub summary: Summary,
    /// When the run ended.
    pub ended: Timestamp,
    /// Identifies the plan's content: a hash over the source, and over the names, ETags, verdicts and costs of all
    /// assets, as 64 hexadecimal digits. Times do not change it.
    pub id: String,
}

/// The error for a file of another format version than this presync reads.
fn other_version(path: &str, version: &str) -> Error {
    Error::new(format!(
        "the plan '{path}' has format version {version}, but this presync reads {FORMAT_VERSION}"
    ))
    .with_hint("use the version of presync that wrote it, or write it again with this one")
}

#[cfg(test)]
mod tests;

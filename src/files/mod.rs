//! Files on this machine: atomic writes, opening without waiting, temporary files, lookups on disk, cells of
//! spreadsheets, links of others, and Parquet files that may be damaged or hostile.

pub(crate) mod bounded;
pub(crate) mod cell;
pub(crate) mod database;
pub(crate) mod leaf;
pub(crate) mod lookup;
mod name_index;
pub(crate) mod own;
pub(crate) mod pages;
pub(crate) mod parquet_file;
pub(crate) mod regular;
pub(crate) mod runs;
mod scratch;
pub(crate) mod seal;
pub(crate) mod temporary;
pub(crate) mod whole;

//! Files on this machine: atomic writes, temporary files, cells of spreadsheets, links of others, and Parquet files that
//! may be damaged or hostile.

pub(crate) mod cell;
pub(crate) mod leaf;
pub(crate) mod own;
pub(crate) mod pages;
pub(crate) mod parquet_file;
pub(crate) mod scratch;
pub(crate) mod seal;
pub(crate) mod whole;

//! Files on this machine: atomic writes, lookups on disk, and Parquet files that may be damaged or hostile.

pub(crate) mod leaf;
pub(crate) mod lookup;
mod name_index;
pub(crate) mod parquet_file;
pub(crate) mod runs;
mod scratch;
pub(crate) mod whole;

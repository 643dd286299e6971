//! Files on this machine: atomic writes, and Parquet files that may be damaged or hostile.

pub(crate) mod leaf;
pub(crate) mod parquet_file;
pub(crate) mod whole;

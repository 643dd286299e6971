//! Files on this machine: atomic writes, opening without waiting, and Parquet files that may be damaged or hostile.

pub(crate) mod leaf;
pub(crate) mod parquet_file;
pub(crate) mod regular;
pub(crate) mod whole;

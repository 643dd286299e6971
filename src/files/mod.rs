//! Files on this machine: atomic writes, and Parquet files that may be damaged or hostile.

pub mod leaf;
pub mod parquet_file;
pub mod whole;

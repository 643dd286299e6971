//! Files on this machine: written whole or not at all, and Parquet files from anywhere.

pub mod leaf;
pub mod parquet_file;
pub mod whole;

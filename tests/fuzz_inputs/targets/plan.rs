//! Any bytes as a plan, and as a part of one: assets, or an error.
//!
//! The digest of the input is made right first: otherwise nothing behind it would ever be read.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use presync::plan_file::{PartReader, PlanReader};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// The digest's key in the footer, with the type and the length of its value.
const KEY: &[u8] = b"presync.digest\x18\x40";

fn sealed(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let found = bytes.windows(KEY.len()).rposition(|window| window == KEY).map(|at| at + KEY.len());
    if let Some(at) = found.filter(|at| at + 64 <= bytes.len()) {
        bytes[at..at + 64].fill(b'0');
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        bytes[at..at + 64].copy_from_slice(digest.as_bytes());
    }
    bytes
}

fuzz_target!(|input: &[u8]| {
    let path = FOLDER.path().join("plan.parquet");
    fs::write(&path, sealed(input)).expect("it can be written");
    if let Ok(plan) = PlanReader::open(&path) {
        let _ = plan.collect::<Result<Vec<_>, _>>();
    }
    if let Ok(part) = PartReader::open(&path) {
        let _ = part.header();
        let _ = part.collect::<Result<Vec<_>, _>>();
    }
});

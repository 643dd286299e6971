//! An index of names on disk: which rows of a table have a name.

use std::hash::{BuildHasher, RandomState};

use super::scratch::Scratch;
use crate::model::BlobName;
use crate::model::error::Result;

/// Names that are sorted in memory at a time, in 16 MiB. Looking up a name reads once for each such run.
const RUN: usize = 1 << 20;
/// About how many entries are read to look up a name.
const BUCKET: usize = 64;
/// The bytes of an entry: the hash of a name, and the row's number within its run.
const ENTRY: u64 = 12;

/// For each row, the hash of its name, in runs that are sorted by hash.
///
/// The hash has a random key, so nobody can choose names that collide. Two names may still have the same hash: the
/// caller compares the row's name.
pub(super) struct NameIndex {
    hasher: RandomState,
    entries: Scratch,
    runs: Vec<Run>,
    len: u64,
    bytes: Vec<u8>,
}

struct Run {
    first_row: u64,
    /// Where the entries of each bucket begin, in entries from the beginning of the run, and the end of the last one. A
    /// bucket has the hashes that begin with the same bits.
    begins: Vec<u32>,
    bits: u32,
}

impl NameIndex {
    /// Indexes the names of a table, in the order of its rows.
    ///
    /// # Errors
    /// Returns an error if a name cannot be read, or if the index cannot be written.
    pub(super) fn new(names: &mut dyn Iterator<Item = Result<BlobName>>) -> Result<Self> {
        let (hasher, entries) = (RandomState::new(), Scratch::new()?);
        let mut index = Self { hasher, entries, runs: Vec::new(), len: 0, bytes: Vec::new() };
        let mut hashes = Vec::new();
        for (row, name) in (0..).zip(names) {
            hashes.push((index.hasher.hash_one(name?), (row % RUN) as u32));
            if hashes.len() == RUN {
                index.add(&mut hashes)?;
            }
        }
        index.add(&mut hashes)?;
        Ok(index)
    }

    /// The number of names.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The rows that may have this name, in their order.
    ///
    /// # Errors
    /// Returns an error if the index cannot be read.
    pub(super) fn find(&mut self, name: &BlobName) -> Result<Vec<u64>> {
        let hash = self.hasher.hash_one(name);
        let mut rows = Vec::new();
        for run in &self.runs {
            let bucket = bucket(hash, run.bits);
            let place = |bucket: usize| {
                let entry = run.begins.get(bucket).copied().unwrap_or_default();
                (run.first_row + u64::from(entry)) * ENTRY
            };
            self.entries.read(place(bucket), place(bucket + 1), &mut self.bytes)?;
            for entry in self.bytes.chunks_exact(ENTRY as usize) {
                let (of_entry, row) = entry.split_at(8);
                if of_entry == hash.to_le_bytes() {
                    let row = row.first_chunk().map_or(0, |row| u32::from_le_bytes(*row));
                    rows.push(run.first_row + u64::from(row));
                }
            }
        }
        Ok(rows)
    }

    /// Writes a run, and clears it.
    fn add(&mut self, hashes: &mut Vec<(u64, u32)>) -> Result<()> {
        hashes.sort_unstable();
        let bits = (hashes.len() / BUCKET).max(1).ilog2();
        let mut begins = vec![0; (1 << bits) + 1];
        for (hash, row) in &*hashes {
            begins[bucket(*hash, bits) + 1] += 1;
            self.entries.append(&hash.to_le_bytes())?;
            self.entries.append(&row.to_le_bytes())?;
        }
        let mut begin = 0;
        for count in &mut begins {
            begin += *count;
            *count = begin;
        }
        self.runs.push(Run { first_row: self.len, begins, bits });
        self.len += hashes.len() as u64;
        hashes.clear();
        Ok(())
    }
}

/// The first bits of a hash.
fn bucket(hash: u64, bits: u32) -> usize {
    hash.checked_shr(u64::BITS - bits).unwrap_or(0) as usize
}

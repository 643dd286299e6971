//! Looks up what is on the platform, in the order of a listing.

use std::collections::VecDeque;
use std::path::Path;

use super::{SyncedFile, SyncedRow};
use crate::model::error::Result;
use crate::model::{BlobName, Cost, Gone, OnPlatform, Scope};
use crate::plan::MAX_NAMED;

/// Row groups that are held: enough for a listing that goes back and forth between a few folders.
const HELD_GROUPS: usize = 16;

/// Finds assets by name, in any order.
///
/// * At most 16 row groups of 4,096 rows are in memory, and a bit for each row: 1.25 MB for 10 million.
/// * A name that is near the last one costs a comparison or two; any other one may cost decoding a row group.
pub struct SyncedLookup {
    file: SyncedFile,
    /// The number of the first row of each row group that has been decoded so far.
    held: VecDeque<Held>,
    found: Vec<Vec<u64>>,
}

struct Held {
    group: usize,
    rows: Vec<SyncedRow>,
    /// Where the next name is expected.
    next: usize,
}

impl SyncedLookup {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = SyncedFile::open(path)?;
        let found = vec![Vec::new(); file.firsts.len()];
        Ok(Self { file, held: VecDeque::new(), found })
    }

    /// Finds an asset by its whole name.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn find(&mut self, name: &str) -> Result<Option<&OnPlatform>> {
        let after = self.file.firsts.partition_point(|first| first.as_str() <= name);
        let Some(group) = after.checked_sub(1) else { return Ok(None) };
        let held = self.hold(group)?;
        let is_next = held.rows.get(held.next).is_some_and(|row| row.asset.name.as_str() == name);
        let at = match is_next {
            true => held.next,
            false => match held.rows.binary_search_by(|row| row.asset.name.as_str().cmp(name)) {
                Ok(at) => at,
                Err(_) => return Ok(None),
            },
        };
        held.next = at + 1;
        let found = &mut self.found[group];
        if found.len() <= at / 64 {
            found.resize(at / 64 + 1, 0);
        }
        found[at / 64] |= 1 << (at % 64);
        Ok(self.held.back().and_then(|held| held.rows.get(at)).map(|row| &row.asset))
    }

    /// What is in the scope, but was never found.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn finish(self, scope: &Scope) -> Result<Gone> {
        let mut gone = Gone { count: 0, names: Vec::<BlobName>::new(), cost: Cost::default() };
        for (group, found) in self.found.iter().enumerate() {
            for (at, row) in self.file.group(group)?.into_iter().enumerate() {
                let was_found = found.get(at / 64).is_some_and(|bits| bits >> (at % 64) & 1 == 1);
                if was_found || !scope.has(row.asset.name.as_str()) {
                    continue;
                }
                gone.count += 1;
                gone.cost.add(row.asset.cost);
                if gone.names.len() < MAX_NAMED {
                    gone.names.push(row.asset.name);
                }
            }
        }
        Ok(gone)
    }

    /// Holds a row group, as the last one.
    fn hold(&mut self, group: usize) -> Result<&mut Held> {
        let last = self.held.len().wrapping_sub(1);
        match self.held.iter().rposition(|held| held.group == group) {
            Some(at) if at == last => {}
            Some(at) => self.held.swap(at, last),
            None => {
                if self.held.len() == HELD_GROUPS {
                    self.held.pop_front();
                }
                self.held.push_back(Held { group, rows: self.file.group(group)?, next: 0 });
            }
        }
        let last = self.held.len() - 1;
        Ok(&mut self.held[last])
    }
}

//! Finds rows by name, in whatever order the names come.
//!
//! A plan has its rows in the order in which a service listed them, and a new listing may have another order: that of
//! an inventory, that of an account with a hierarchical namespace, or none. So neither is assumed to be sorted.

use std::iter::Peekable;

use super::name_index::NameIndex;
use super::scratch::Scratch;
use crate::model::BlobName;
use crate::model::error::{Error, Result};

/// A new block of parked rows begins after this many rows: each block has an entry of 24 bytes in memory, and looking
/// up a row reads a block.
const BLOCK_ROWS: usize = 32;
/// A new block also begins after this many bytes.
const BLOCK_BYTES: u64 = 64 << 10;
/// The bytes in front of a parked row: its number and its length.
const ROW_HEADER: usize = 16;

/// A row that can be found by its name, and written to a temporary file.
pub trait Record: Sized {
    /// The name of the row.
    fn name(&self) -> &str;

    /// Appends the row as bytes.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Reads back the bytes of a row; `None` if they are damaged.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// The rows of a table, each of which can be taken once by its name.
///
/// * Names may be asked for in any order. The cheapest is that of the rows: then each row is read once and nothing
///   else happens.
/// * At the first name that is not that of the next row, all names are indexed on disk. A row that is read before it is
///   asked for is parked in a temporary file.
/// * Memory is a few MB for 10 million rows; the temporary files have 12 bytes a row, and the parked rows.
/// * If several rows have the same name, each one is found once.
///
/// To compare a listing with a table, [`find`](Self::find) each listed name, which gives the table's row or shows that it
/// has none, and then [`finish`](Self::finish), which gives the rows that were not listed. The rows can be anything that
/// implements [`Record`].
pub struct Lookup<R> {
    rows: Peekable<Box<dyn Iterator<Item = Result<R>> + Send>>,
    /// The number of the row that `rows` returns next.
    next: u64,
    names: Names,
    parked: Parked,
    found: u64,
}

enum Names {
    Listed(Box<dyn Iterator<Item = Result<BlobName>> + Send>),
    Indexed(NameIndex),
}

impl<R: Record> Lookup<R> {
    /// Looks up `rows`. `names` are their names, in the same order; they are not read unless they are needed.
    pub fn new(
        rows: impl Iterator<Item = Result<R>> + Send + 'static,
        names: impl Iterator<Item = Result<BlobName>> + Send + 'static,
    ) -> Self {
        let rows: Box<dyn Iterator<Item = Result<R>> + Send> = Box::new(rows);
        let names = Names::Listed(Box::new(names));
        Self { rows: rows.peekable(), next: 0, names, parked: Parked::default(), found: 0 }
    }

    /// Takes a row with this name, if there is one that has not been taken yet.
    ///
    /// # Errors
    /// Returns an error if the rows cannot be read, or if a temporary file cannot be written.
    pub fn find(&mut self, name: &BlobName) -> Result<Option<R>> {
        let is_due = |row: &Result<R>| row.as_ref().map_or(true, |row| row.name() == name.as_str());
        let found = match self.rows.next_if(is_due) {
            Some(row) => {
                self.next += 1;
                Some(row?)
            }
            None => self.find_elsewhere(name)?,
        };
        self.found += u64::from(found.is_some());
        Ok(found)
    }

    fn find_elsewhere(&mut self, name: &BlobName) -> Result<Option<R>> {
        let index = match &mut self.names {
            Names::Indexed(index) => index,
            Names::Listed(names) => {
                self.names = Names::Indexed(NameIndex::new(names)?);
                return self.find_elsewhere(name);
            }
        };
        if self.found == index.len() {
            return Ok(None);
        }
        for row in index.find(name)? {
            while self.next < row {
                self.park_next()?;
            }
            if self.next == row {
                match self.rows.next_if(|row| row.as_ref().is_ok_and(|row| row.name() == name.as_str())) {
                    Some(row) => {
                        self.next += 1;
                        return row.map(Some);
                    }
                    // Another name with the same hash.
                    None => self.park_next()?,
                }
            } else if let Some(row) = self.parked.take(row, name)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Passes all rows that were not found to `lost`, in the order of the rows.
    ///
    /// # Errors
    /// Returns an error if the rows cannot be read.
    pub fn finish(mut self, mut lost: impl FnMut(R)) -> Result<()> {
        self.parked.each_left(&mut lost)?;
        for row in self.rows {
            lost(row?);
        }
        Ok(())
    }

    fn park_next(&mut self) -> Result<()> {
        let row = self.rows.next().ok_or_else(|| Error::new("a table has more names than rows"))?;
        self.parked.add(self.next, &row?)?;
        self.next += 1;
        Ok(())
    }
}

/// Rows that were read but not asked for yet, on disk.
#[derive(Default)]
struct Parked {
    file: Option<Scratch>,
    /// The number of the first row of each block, and where it begins.
    blocks: Vec<(u64, u64)>,
    /// The rows of the last block.
    in_last: usize,
    /// By row, whether it was taken from here.
    taken: Vec<u64>,
    /// The block that was read last, and its bytes.
    open: Option<usize>,
    bytes: Vec<u8>,
    row: Vec<u8>,
}

impl Parked {
    fn add<R: Record>(&mut self, number: u64, row: &R) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Scratch::new()?),
        };
        self.row.clear();
        self.row.resize(ROW_HEADER, 0);
        row.encode(&mut self.row);
        let len = (self.row.len() - ROW_HEADER) as u64;
        self.row[..8].copy_from_slice(&number.to_le_bytes());
        self.row[8..ROW_HEADER].copy_from_slice(&len.to_le_bytes());
        let is_full = |begin: u64| self.in_last == BLOCK_ROWS || file.len() - begin >= BLOCK_BYTES;
        if self.blocks.last().is_none_or(|(_, begin)| is_full(*begin)) {
            self.blocks.push((number, file.len()));
            self.in_last = 0;
        }
        if self.open == Some(self.blocks.len() - 1) {
            self.open = None;
        }
        self.in_last += 1;
        file.append(&self.row)
    }

    /// Takes this row, if it is here and has this name.
    fn take<R: Record>(&mut self, number: u64, name: &BlobName) -> Result<Option<R>> {
        let Some(block) = self.blocks.partition_point(|(first, _)| *first <= number).checked_sub(1) else {
            return Ok(None);
        };
        if self.is_taken(number) {
            return Ok(None);
        }
        self.open(block)?;
        let Some((_, bytes)) = rows(&self.bytes).find(|(found, _)| *found == number) else { return Ok(None) };
        let row = R::decode(bytes).ok_or_else(damaged)?;
        if row.name() != name.as_str() {
            return Ok(None);
        }
        self.set_taken(number);
        Ok(Some(row))
    }

    /// Passes all rows that were not taken to `left`.
    fn each_left<R: Record>(&mut self, left: &mut impl FnMut(R)) -> Result<()> {
        for block in 0..self.blocks.len() {
            self.open(block)?;
            for (number, bytes) in rows(&self.bytes) {
                if !self.is_taken(number) {
                    left(R::decode(bytes).ok_or_else(damaged)?);
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, block: usize) -> Result<()> {
        let (Some(file), false) = (&mut self.file, self.open == Some(block)) else { return Ok(()) };
        let begin = |block: usize| self.blocks.get(block).map(|(_, begin)| *begin);
        let end = begin(block + 1).unwrap_or(file.len());
        file.read(begin(block).unwrap_or(end), end, &mut self.bytes)?;
        self.open = Some(block);
        Ok(())
    }

    fn is_taken(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.taken.get(word));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    fn set_taken(&mut self, number: u64) {
        let word = usize::try_from(number / 64).unwrap_or(usize::MAX);
        if self.taken.len() <= word {
            self.taken.resize(word + 1, 0);
        }
        self.taken[word] |= 1 << (number % 64);
    }
}

/// The rows of a block: the number and the bytes of each.
fn rows(mut block: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (number, rest) = block.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (row, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        block = rest;
        Some((u64::from_le_bytes(*number), row))
    })
}

/// The error for a temporary file that does not have the bytes that were written to it.
pub(super) fn damaged() -> Error {
    Error::new("a temporary file was changed by another program")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Named(String, u64);

    impl Record for Named {
        fn name(&self) -> &str {
            &self.0
        }

        fn encode(&self, bytes: &mut Vec<u8>) {
            bytes.extend_from_slice(&self.1.to_le_bytes());
            bytes.extend_from_slice(self.0.as_bytes());
        }

        fn decode(bytes: &[u8]) -> Option<Self> {
            let (number, name) = bytes.split_first_chunk()?;
            Some(Self(String::from_utf8(name.to_vec()).ok()?, u64::from_le_bytes(*number)))
        }
    }

    /// Rows with these names, numbered.
    fn table(names: &[String]) -> Vec<Named> {
        (0..).zip(names).map(|(number, name)| Named(name.clone(), number)).collect()
    }

    fn lookup(rows: Vec<Named>) -> Lookup<Named> {
        let names: Vec<_> = rows.iter().map(|row| Ok(BlobName::new(row.0.as_str()))).collect();
        Lookup::new(rows.into_iter().map(Ok), names.into_iter())
    }

    /// The numbers of the rows found for each name, and of those that are left.
    fn find(rows: &[Named], asked: &[String]) -> (Vec<Option<u64>>, Vec<u64>) {
        let mut lookup = lookup(rows.to_vec());
        let mut take = |name: &String| {
            let found = lookup.find(&BlobName::new(name.as_str())).expect("it can be read");
            found.map(|found| {
                assert_eq!(found.0, *name);
                found.1
            })
        };
        let found = asked.iter().map(&mut take).collect();
        let mut left = Vec::new();
        lookup.finish(|row| left.push(row.1)).expect("it can be read");
        (found, left)
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("cam{}/{number:05}.jpg", number % 7)).collect()
    }

    #[test]
    fn rows_are_found_in_any_order() {
        let rows = table(&names(3_000));
        for seed in 0..4 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut asked: Vec<usize> = (0..rows.len()).collect();
            match seed {
                0 => {}
                1 => asked.reverse(),
                2 => asked.sort_by(|a, b| rows[*a].0.cmp(&rows[*b].0)),
                _ => random.shuffle(&mut asked),
            }
            // Every tenth is not asked for, and after every ninth comes one that the table doesn't have.
            asked.retain(|number| number % 10 != 0);
            let (mut names, mut expected) = (Vec::new(), Vec::new());
            for number in asked {
                names.push(rows[number].0.clone());
                expected.push(Some(number as u64));
                if number % 9 == 0 {
                    names.push(format!("new/{number}"));
                    expected.push(None);
                }
            }
            let (found, left) = find(&rows, &names);
            assert_eq!(found, expected, "seed {seed}");
            assert_eq!(left, (0..300).map(|number| number * 10).collect::<Vec<_>>(), "seed {seed}");
        }
    }

    #[test]
    fn each_row_is_found_once_also_if_names_are_equal() {
        let rows = table(&["b", "a", "c", "a", "a"].map(str::to_owned));
        let asked = ["c", "a", "a", "x", "a", "a", "c"].map(str::to_owned);
        let (mut found, left) = find(&rows, &asked);
        assert!(found[3].is_none() && found[5].is_none() && found[6].is_none(), "{found:?}");
        found.sort();
        assert_eq!((&found[3..], left), ([1, 2, 3, 4].map(Some).as_slice(), vec![0]));
    }

    #[test]
    fn the_same_order_needs_no_index() {
        let rows = table(&names(10));
        let names = std::iter::from_fn(|| panic!("the names are not needed"));
        let mut lookup = Lookup::new(rows.clone().into_iter().map(Ok), names);
        for row in &rows[..8] {
            assert_eq!(lookup.find(&BlobName::new(row.0.as_str())), Ok(Some(row.clone())));
        }
        let mut left = Vec::new();
        lookup.finish(|row| left.push(row.1)).expect("it can be read");
        assert_eq!(left, [8, 9]);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error() {
        let rows = [Ok(Named("a".to_owned(), 0)), Err(Error::new("damaged"))];
        let names = ["a", "b"].map(|name| Ok(BlobName::new(name)));
        let mut lookup = Lookup::new(rows.into_iter(), names.into_iter());
        assert!(lookup.find(&BlobName::new("a")).is_ok_and(|row| row.is_some()));
        assert!(lookup.find(&BlobName::new("b")).is_err());
    }
}

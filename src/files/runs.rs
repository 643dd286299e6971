//! Sorts rows by name, on disk.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::lookup::{Record, damaged};
use super::scratch::Scratch;
use crate::model::error::Result;

/// Rows that are sorted in memory at a time.
const RUN_ROWS: usize = 16 << 10;
/// Bytes of a run that are read at a time: 10 million rows are 611 runs, all of which are read together.
const AT_ONCE: u64 = 16 << 10;

/// Rows that are sorted by the bytes of their names, read from a temporary file. Equal names stay in their order.
pub(crate) struct Run<R> {
    file: Arc<Mutex<Scratch>>,
    next: u64,
    end: u64,
    /// What was read but not decoded yet.
    bytes: Vec<u8>,
    rows: PhantomData<fn() -> R>,
}

/// Sorts the rows into runs, which together have all rows.
///
/// # Errors
/// Returns an error if the rows cannot be read, or if they cannot be written to a temporary file.
pub(crate) fn sort<R: Record>(mut rows: impl Iterator<Item = Result<R>>) -> Result<Vec<Run<R>>> {
    let (mut file, mut bytes, mut ends) = (Scratch::new()?, Vec::new(), Vec::new());
    loop {
        let mut run = rows.by_ref().take(RUN_ROWS).collect::<Result<Vec<_>>>()?;
        if run.is_empty() {
            break;
        }
        run.sort_by(|left, right| left.name().cmp(right.name()));
        for row in run {
            bytes.clear();
            row.encode(&mut bytes);
            file.append(&(bytes.len() as u64).to_le_bytes())?;
            file.append(&bytes)?;
        }
        ends.push(file.len());
    }
    let file = Arc::new(Mutex::new(file));
    let mut next = 0;
    let run = |end| {
        let begin = std::mem::replace(&mut next, end);
        Run { file: Arc::clone(&file), next: begin, end, bytes: Vec::new(), rows: PhantomData }
    };
    Ok(ends.into_iter().map(run).collect())
}

impl<R: Record> Run<R> {
    fn next_row(&mut self) -> Result<Option<R>> {
        let mut more = Vec::new();
        loop {
            if let Some((len, rest)) = self.bytes.split_first_chunk()
                && let Ok(len) = usize::try_from(u64::from_le_bytes(*len))
                && let Some(row) = rest.get(..len)
            {
                let row = R::decode(row).ok_or_else(damaged)?;
                self.bytes.drain(..size_of::<u64>() + len);
                return Ok(Some(row));
            }
            if self.next == self.end {
                return if self.bytes.is_empty() { Ok(None) } else { Err(damaged()) };
            }
            let end = self.end.min(self.next + AT_ONCE);
            // A panic elsewhere leaves the file as it is.
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.read(self.next, end, &mut more)?;
            self.next = end;
            self.bytes.append(&mut more);
        }
    }
}

impl<R: Record> Iterator for Run<R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

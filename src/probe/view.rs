//! The known bytes of a blob.

use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::model::{ByteRange, Gap, Malformed};

/// Maximum steps of work on one blob, over all its reads: 20 to 80 ms, by how busy the machine is. A step is an access
/// to the blob's bytes, or about as much work without one: [`SCANNED`] bytes searched or copied, [`RECEIVED`] bytes
/// read. Ten hours in one-second fragments take about half of it.
pub(super) const MAX_STEPS: u32 = 2 << 20;
/// Bytes that are searched or copied in the time of one step.
const SCANNED: u64 = 64;
/// Bytes that are received in the time of one step.
const RECEIVED: u64 = 512;

/// Why a parser stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It needs these bytes, at least one of which is not known yet. They are within the blob.
    Need { at: u64, len: u64 },
    /// It needs these bytes for the walk over the boxes at a file's top level, which may take more reads than a
    /// header. `dense`: the boxes are short enough that one read covers several.
    Hop { at: u64, len: u64, dense: bool },
    /// It needs these bytes for a fact that only the `Want` asks for. If no reads are left, the probe ends without
    /// the fact.
    Wish { at: u64, len: u64 },
    /// The header is damaged.
    Malformed(Damage),
    /// The header may be valid, but presync cannot read it.
    Gap(Gap),
}

/// [`Malformed`] in static strings: a stop is copied on its way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) part: &'static str,
    pub(super) fault: &'static str,
    pub(super) offset: u64,
}

impl From<Damage> for Malformed {
    fn from(Damage { part, fault, offset }: Damage) -> Self {
        Self { part: part.into(), fault: fault.into(), offset }
    }
}

/// The result of a parser.
pub(super) type Parse<T> = Result<T, Stop>;

/// The known bytes of one blob: runs in order, which neither overlap nor touch.
#[derive(Debug)]
pub(super) struct Store {
    size: u64,
    /// Usually one run, which needs no allocation.
    runs: SmallVec<[Run; 2]>,
    /// Bytes received so far, including those dropped since.
    received: u64,
    /// Remaining steps of work.
    steps_left: Cell<u32>,
    /// Where the EXIF block that a parser read is: its beginning and end.
    exif: Cell<Option<(u64, u64)>>,
}

#[derive(Debug)]
struct Run {
    start: u64,
    bytes: Bytes,
}

impl Run {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl Store {
    pub(super) fn new(size: u64) -> Self {
        let steps_left = Cell::new(MAX_STEPS);
        Self { size, runs: SmallVec::new(), received: 0, steps_left, exif: Cell::new(None) }
    }

    /// Returns the steps of work spent so far, at most [`MAX_STEPS`].
    pub(super) fn steps(&self) -> u32 {
        MAX_STEPS - self.steps_left.get()
    }

    /// Counts steps; if none are left, the next access to the bytes fails.
    fn charge(&self, steps: u64) {
        let left = u64::from(self.steps_left.get()).saturating_sub(steps);
        self.steps_left.set(left as u32);
    }

    /// Sets the blob's end, if it turned out to be earlier than listed.
    pub(super) fn end_at(&mut self, size: u64) {
        self.size = self.size.min(size);
        self.forget(self.size, u64::MAX);
    }

    /// Returns the blob's size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns where the EXIF block is that was read last.
    pub(super) fn exif(&self) -> Option<(u64, u64)> {
        self.exif.get()
    }

    /// Returns the number of bytes held, over all runs.
    pub(super) fn held(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes.len() as u64).sum()
    }

    /// Adds bytes that were not known before, and merges them with adjacent runs.
    pub(super) fn insert(&mut self, start: u64, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.received += bytes.len() as u64;
        self.charge(bytes.len() as u64 / RECEIVED);
        let at = self.runs.partition_point(|run| run.start < start);
        self.runs.insert(at, Run { start, bytes });
        if self.runs.get(at + 1).is_some_and(|next| next.start == self.runs[at].end()) {
            self.join(at);
        }
        if at > 0 && self.runs[at - 1].end() == start {
            self.join(at - 1);
        }
    }

    fn join(&mut self, at: usize) {
        let next = self.runs.remove(at + 1);
        self.charge((self.runs[at].bytes.len() + next.bytes.len()) as u64 / SCANNED);
        let run = &mut self.runs[at];
        let mut joined = BytesMut::with_capacity(run.bytes.len() + next.bytes.len());
        joined.extend_from_slice(&run.bytes);
        joined.extend_from_slice(&next.bytes);
        run.bytes = joined.freeze();
    }

    /// Returns the next range to read toward `len` bytes from `at` on. It starts at the first unknown byte, is at
    /// least `usual` long where the blob and the known runs leave room, and contains no known byte.
    pub(super) fn missing(&self, at: u64, len: u64, usual: u64) -> ByteRange {
        let start = self.run_at(at).map_or(at, Run::end);
        let next = self.runs.iter().map(|run| run.start).find(|run| *run > start).unwrap_or(self.size);
        let needed = at.saturating_add(len).saturating_sub(start);
        ByteRange::new(start, needed.max(usual).min(next - start.min(next))).within(self.size)
    }

    /// Drops the bytes of a range that no parser will access again.
    pub(super) fn forget(&mut self, from: u64, to: u64) {
        let mut copied = 0;
        let kept = self.runs.drain(..).flat_map(|run| {
            if from >= to || run.end() <= from || run.start >= to {
                return [Some(run), None];
            }
            // Copy, because a slice would keep the whole buffer in memory.
            let mut part = |start: u64, end: u64| {
                let bytes = &run.bytes[(start - run.start) as usize..(end - run.start) as usize];
                copied += bytes.len() as u64;
                (start < end).then(|| Run { start, bytes: Bytes::copy_from_slice(bytes) })
            };
            [part(run.start, from.max(run.start)), part(to.min(run.end()), run.end())]
        });
        self.runs = kept.flatten().collect();
        self.charge(copied / SCANNED);
    }

    /// Returns the run that contains this byte.
    fn run_at(&self, at: u64) -> Option<&Run> {
        let after = self.runs.partition_point(|run| run.start <= at);
        self.runs[..after].last().filter(|run| at < run.end())
    }

    /// Returns the bytes from `at` on, up to `len` and to the end of the known run.
    pub(super) fn known(&self, at: u64, len: u64) -> &[u8] {
        let Some(run) = self.run_at(at) else { return &[] };
        let bytes = &run.bytes[(at - run.start) as usize..];
        &bytes[..usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len())]
    }

    /// Returns a view of the known bytes. Most accesses to it should be near `at`: others are slower.
    pub(super) fn view_near(&self, at: u64) -> View<'_> {
        let (start, run) = self.run_at(at).map_or((0, &[][..]), |run| (run.start, &run.bytes[..]));
        View { store: self, start, run }
    }

    pub(super) fn view(&self) -> View<'_> {
        self.view_near(0)
    }
}

/// Read access to the known bytes. A parser that reads unknown bytes is stopped with the missing range. Reading past
/// the blob's end is reported as a truncated file.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    store: &'a Store,
    /// The run that most accesses are in, and its first byte. The bytes of others are found more slowly.
    start: u64,
    run: &'a [u8],
}

impl<'a> View<'a> {
    /// Returns the same view, for accesses near `at`.
    pub(super) fn near(self, at: u64) -> Self {
        self.store.view_near(at)
    }

    /// Returns the bytes from `at` to the end of the known run, if most accesses are in it. Known bytes never reach past
    /// the blob's end.
    #[inline]
    pub(super) fn nearby(self, at: u64) -> Option<&'a [u8]> {
        self.run.get(usize::try_from(at.checked_sub(self.start)?).ok()?..)
    }

    /// Notes where an EXIF block begins and ends.
    pub(super) fn has_exif(self, start: u64, end: u64) {
        self.store.exif.set(Some((start, end)));
    }

    /// Returns the blob's size in bytes.
    pub(super) fn size(self) -> u64 {
        self.store.size
    }

    /// Returns whether all bytes of the blob are or were known.
    #[inline]
    pub(super) fn is_whole(self) -> bool {
        self.store.received == self.store.size
    }

    /// Counts steps of work, and stops a parser that exceeds the limit per blob.
    #[inline]
    pub(super) fn spend(self, steps: u32) -> Parse<()> {
        match self.store.steps_left.get().checked_sub(steps) {
            Some(left) => {
                self.store.steps_left.set(left);
                Ok(())
            }
            None => Err(Stop::Gap(Gap::TooMuchWork)),
        }
    }

    /// Counts the work of searching this many bytes.
    pub(super) fn spend_on(self, bytes: usize) -> Parse<()> {
        self.spend(u32::try_from(bytes as u64 / SCANNED).unwrap_or(u32::MAX))
    }

    /// Returns `len` bytes from `at` on; `part` is the part reported as damaged if the blob ends before them.
    #[inline]
    pub(super) fn bytes(self, at: u64, len: u64, part: &'static str) -> Parse<&'a [u8]> {
        // Long ones are searched.
        self.spend(1 + (len / SCANNED).min(u64::from(MAX_STEPS)) as u32)?;
        let nearby = self.nearby(at).zip(usize::try_from(len).ok());
        match nearby.and_then(|(bytes, len)| bytes.get(..len)) {
            Some(found) => Ok(found),
            None => self.bytes_anywhere(at, len, part),
        }
    }

    #[cold]
    fn bytes_anywhere(self, at: u64, len: u64, part: &'static str) -> Parse<&'a [u8]> {
        match at.checked_add(len) {
            Some(end) if end <= self.store.size => {}
            _ => return Err(malformed(part, at, "runs past the end of the file")),
        }
        match self.store.run_at(at) {
            Some(run) if at + len <= run.end() => {
                let offset = (at - run.start) as usize;
                Ok(&run.bytes[offset..offset + len as usize])
            }
            _ if len == 0 => Ok(&[]),
            _ => Err(Stop::Need { at, len }),
        }
    }

    /// Returns the first `len` bytes, or all of a shorter blob.
    pub(super) fn head(self, len: u64) -> Parse<&'a [u8]> {
        self.bytes(0, len.min(self.store.size), "file")
    }

    /// Returns the bytes from `at` to the end of the known run.
    #[inline]
    pub(super) fn known(self, at: u64) -> &'a [u8] {
        match self.nearby(at) {
            Some(bytes) if !bytes.is_empty() => bytes,
            _ => self.store.known(at, u64::MAX),
        }
    }

    /// Returns `N` bytes from `at` on.
    #[inline]
    pub(super) fn array<const N: usize>(self, at: u64, part: &'static str) -> Parse<[u8; N]> {
        let bytes = self.bytes(at, N as u64, part)?;
        bytes.try_into().map_err(|_| malformed(part, at, "is too short"))
    }
}

/// Creates a stop because of damage.
#[cold]
pub(super) fn malformed(part: &'static str, offset: u64, fault: &'static str) -> Stop {
    Stop::Malformed(Damage { part, fault, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(size: u64, runs: &[(u64, &'static [u8])]) -> Store {
        let mut store = Store::new(size);
        for (start, bytes) in runs {
            store.insert(*start, Bytes::from_static(bytes));
        }
        store
    }

    #[test]
    fn touching_runs_become_one() {
        let store = store(20, &[(0, b"abcd"), (8, b"ijkl"), (4, b"efgh")]);
        assert_eq!(store.runs.len(), 1);
        assert_eq!(store.view().bytes(2, 8, "x"), Ok(&b"cdefghij"[..]));
    }

    #[test]
    fn what_is_forgotten_is_neither_held_nor_known() {
        let mut store = store(100, &[(0, b"abcdefgh"), (20, b"uvwxyz")]);
        store.forget(3, 22);
        assert_eq!((store.held(), store.known(0, 9), store.known(22, 9)), (7, &b"abc"[..], &b"wxyz"[..]));
        store.forget(0, 100);
        assert_eq!((store.held(), store.runs.len()), (0, 0));
    }

    #[test]
    fn work_is_bounded() {
        let store = store(4, &[(0, b"abcd")]);
        let steps = (0u64..).take_while(|_| store.view().bytes(0, 4, "x").is_ok()).count();
        assert_eq!(steps, MAX_STEPS as usize);
        assert_eq!(store.view().bytes(0, 4, "x"), Err(Stop::Gap(Gap::TooMuchWork)));
    }

    #[test]
    fn an_ask_begins_at_the_first_unknown_byte_and_ends_before_a_known_one() {
        let store = store(100, &[(0, b"abcd"), (8, b"ijkl")]);
        assert_eq!(store.missing(2, 4, 1), ByteRange::new(4, 2));
        assert_eq!(store.missing(2, 4, 50), ByteRange::new(4, 4), "byte 8 is known");
        assert_eq!(store.missing(30, 4, 50), ByteRange::new(30, 50));
        assert_eq!(store.missing(90, 4, 50), ByteRange::new(90, 10), "the blob ends");
    }

    #[test]
    fn reaching_past_the_end_is_damage_and_not_an_ask() {
        let store = store(6, &[(0, b"abcd")]);
        assert_eq!(store.view().bytes(3, 3, "box"), Err(Stop::Need { at: 3, len: 3 }));
        assert_eq!(
            store.view().bytes(3, 4, "box"),
            Err(malformed("box", 3, "runs past the end of the file"))
        );
        assert_eq!(
            store.view().bytes(u64::MAX, 2, "box"),
            Err(malformed("box", u64::MAX, "runs past the end of the file"))
        );
    }
}

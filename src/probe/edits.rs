//! Counts which of a track's frames its edit list presents (ISO/IEC 14496-12, 8.6.1.3 and 8.6.6).

use super::bmff::{Bmff, run};
use super::view::{Parse, Stop, View};
use crate::model::Gap;

/// Maximum edits read per track. Editors write one or two.
const MAX_EDITS: u64 = 512;
/// Runs of the composition table that are read one by one. Usually the first few show that all frames are presented.
const FEW_COMPOSITION_RUNS: u64 = 64;
/// Maximum runs of the composition table: 1 MiB, more than an hour of reordered frames.
const MAX_COMPOSITION_RUNS: u64 = 131_072;
/// Steps of work that counting frames by their time takes.
const COUNTING: u32 = 8;
const TABLE: &str = "composition offset table";

/// Maximum number of frames by which a frame may be presented earlier than it is stored: no codec reorders more
/// (ITU-T H.264, A.3.1).
const MAX_REORDERED: i128 = 16;

/// The edits of a track that present something (8.6.6): start and end in the track's timescale. A 64-bit length in
/// the movie's timescale can take 96 bits in the track's. An edit of zero length presents nothing: it stands for the
/// rest only in fragmented files, where frames are not counted by edits.
pub(super) struct Edits(Vec<(i128, i128)>);

impl Edits {
    /// Reads an edit list; `None` if it does not show what is presented.
    pub(super) fn read(
        view: View<'_>,
        list: Bmff,
        movie_timescale: u32,
        timescale: u32,
    ) -> Parse<Option<Self>> {
        let (version, body) = list.full(view, "edit list")?;
        let entries = u64::from(u32::from_be_bytes(list.field(view, body, "edit list")?));
        let step = if version == 1 { 20 } else { 12 };
        let entries = entries.min((list.end - body - 4) / step);
        if entries == 0 || movie_timescale == 0 {
            return Ok(None);
        }
        if entries > MAX_EDITS {
            return Err(Stop::Gap(Gap::Frames));
        }
        let rows = view.bytes(body + 4, entries * step, "edit list")?;
        view.spend(entries as u32)?;
        let mut edits = Vec::new();
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        for row in rows.chunks_exact(step as usize) {
            let (duration, start) = match version {
                1 => (number(&row[..8]), number(&row[8..16]).cast_signed()),
                _ => (number(&row[..4]), i64::from((number(&row[4..8]) as u32).cast_signed())),
            };
            // An empty edit presents nothing for its duration.
            if start >= 0 {
                let length = u128::from(duration) * u128::from(timescale);
                let length = length.div_ceil(u128::from(movie_timescale)) as i128;
                edits.push((i128::from(start), i128::from(start) + length));
            }
        }
        Ok(Some(Self(edits)))
    }

    /// Returns the total length of all edits.
    pub(super) fn length(&self) -> u64 {
        let length: i128 = self.0.iter().map(|(start, end)| end - start).sum();
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

/// Counts the frames whose presentation starts within an edit; `None` if that would take more of the composition
/// table than is read.
pub(super) fn presented(
    view: View<'_>,
    edits: &Edits,
    times: &[[u8; 8]],
    composition: Option<Bmff>,
) -> Parse<Option<u64>> {
    let length = |times: &[[u8; 8]]| -> i128 {
        times.iter().map(run).map(|(count, duration)| i128::from(count) * i128::from(duration)).sum()
    };
    let whole = length(times);
    let last = times.last().map_or(0, |last| i128::from(run(last).1));
    let mut samples = Samples::new(view, times, composition)?;
    let mut open = edits.0.clone();
    let (mut frames, mut time, mut passed, mut earliest) = (0u64, 0i128, 0u64, i128::MAX);
    let total: u64 = times.iter().map(|bytes| run(bytes).0).sum();
    while let Some((count, duration, offset)) = samples.next()? {
        view.spend(open.len() as u32)?;
        // No later frame is presented before this time.
        let from = time - samples.slack;
        open.retain(|(start, end)| {
            // Frames are presented one by one from the earliest, as long as the table lists them.
            let shows_the_rest = *start <= from && earliest <= from && *end > earliest + whole - last;
            if shows_the_rest {
                frames = frames.saturating_add(total - passed);
            }
            from < *end && !shows_the_rest
        });
        if open.is_empty() {
            break;
        }
        if samples.are_too_many() {
            // Frames presented more than once must be counted; frames left out need not be.
            return match i128::from(edits.length()) > whole + last {
                true => Err(Stop::Gap(Gap::Frames)),
                false => Ok(None),
            };
        }
        let shown = time + offset;
        let length = i128::from(count) * i128::from(duration);
        for (start, end) in open.iter().filter(|(start, end)| shown < *end && *start <= shown + length) {
            view.spend(COUNTING)?;
            frames = frames.saturating_add(frames_between(shown, count, duration, *start, *end));
        }
        earliest = earliest.min(shown);
        time += length;
        passed += count;
    }
    Ok(Some(frames))
}

/// Counts the frames of a run starting at `time` whose presentation starts at or after `start` and before `end`, in
/// the track's timescale.
fn frames_between(time: i128, count: u64, duration: u64, start: i128, end: i128) -> u64 {
    let (count, duration) = (i128::from(count), i128::from(duration));
    let before = |limit: i128| match duration {
        0 if time < limit => count,
        0 => 0,
        _ => ((limit - time).max(0) + duration - 1).div_euclid(duration).min(count),
    };
    u64::try_from(before(end) - before(start)).unwrap_or(0)
}

/// The samples of a track in storage order, in runs of equal duration and composition offset.
struct Samples<'a> {
    view: View<'a>,
    times: std::slice::Iter<'a, [u8; 8]>,
    /// Remaining samples of the current run, and their duration.
    time: (u64, u64),
    /// The table of composition offsets: where its next entry is, how many are left, and how many were read.
    next: u64,
    left: u64,
    taken: u64,
    offset: (u64, i128),
    /// The longest duration of a sample.
    longest: i128,
    /// How far before its decoding time a frame may be presented.
    slack: i128,
}

impl<'a> Samples<'a> {
    fn new(view: View<'a>, times: &'a [[u8; 8]], composition: Option<Bmff>) -> Parse<Self> {
        let longest = i128::from(times.iter().map(|bytes| run(bytes).1).max().unwrap_or(0));
        let (mut slack, mut next, mut left) = (0, 0, 0);
        if let Some(ctts) = composition {
            let (version, body) = ctts.full(view, TABLE)?;
            left =
                u64::from(u32::from_be_bytes(ctts.field(view, body, TABLE)?)).min((ctts.end - body - 4) / 8);
            next = body + 4;
            // Only version 1 has signed offsets, but some writers use signed offsets in version 0 too.
            slack = if version == 0 { 0 } else { MAX_REORDERED * longest };
        }
        let (time, offset) = ((0, 0), (0, 0));
        Ok(Self { view, times: times.iter(), time, next, left, taken: 0, offset, longest, slack })
    }

    /// Returns whether the rest of the composition table is too long to read.
    fn are_too_many(&self) -> bool {
        self.taken >= FEW_COMPOSITION_RUNS && self.taken + self.left > MAX_COMPOSITION_RUNS
    }

    /// Reads the next entry of the composition table: sample count and offset.
    fn entry(&mut self) -> Parse<(u64, i128)> {
        if self.left == 0 {
            return Ok((u64::MAX, 0));
        }
        if self.taken == FEW_COMPOSITION_RUNS {
            // Request the whole rest in one read.
            self.view.bytes(self.next, self.left * 8, TABLE)?;
        }
        let entry = self.view.array::<8>(self.next, TABLE)?;
        (self.next, self.left, self.taken) = (self.next + 8, self.left - 1, self.taken + 1);
        let [.., o0, o1, o2, o3] = entry;
        let offset = i128::from(i32::from_be_bytes([o0, o1, o2, o3]));
        if offset < 0 {
            self.slack = MAX_REORDERED * self.longest;
        }
        Ok((run(&entry).0, offset))
    }

    /// Returns count, duration and composition offset of the next run.
    fn next(&mut self) -> Parse<Option<(u64, u64, i128)>> {
        while self.time.0 == 0 {
            match self.times.next() {
                Some(bytes) => self.time = run(bytes),
                None => return Ok(None),
            }
        }
        while self.offset.0 == 0 {
            self.offset = self.entry()?;
        }
        let count = self.time.0.min(self.offset.0);
        self.time.0 -= count;
        self.offset.0 -= count;
        Ok(Some((count, self.time.1, self.offset.1)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::probe::bmff::Boxes;
    use crate::probe::view::Store;

    pub(in crate::probe) fn runs(list: &[(u32, u32)]) -> Vec<[u8; 8]> {
        let bytes = |(count, duration): &(u32, u32)| {
            let (count, duration) = (count.to_be_bytes(), duration.to_be_bytes());
            [count[0], count[1], count[2], count[3], duration[0], duration[1], duration[2], duration[3]]
        };
        list.iter().map(bytes).collect()
    }

    /// Frames that these edits show, with a composition table of this version, if it is read no further than `known`.
    fn shown(
        edits: &[(i128, i128)],
        times: &[(u32, u32)],
        offsets: &[(u32, i32)],
        version: u8,
    ) -> (Option<u64>, u64) {
        let offsets: Vec<_> =
            offsets.iter().map(|(count, offset)| (*count, offset.cast_unsigned())).collect();
        let count = (offsets.len() as u32).to_be_bytes();
        let body = [&[version, 0, 0, 0][..], &count, runs(&offsets).as_flattened()].concat();
        let ctts = [&(body.len() as u32 + 8).to_be_bytes()[..], b"ctts", &body].concat();
        let size = ctts.len() as u64;
        let (times, edits) = (runs(times), Edits(edits.to_vec()));
        // As much of the table is given as is asked for.
        for known in (16..=size).step_by(8) {
            let mut store = Store::new(size);
            store.insert(0, Bytes::copy_from_slice(&ctts[..known as usize]));
            let view = store.view();
            let found = Boxes::new(view, 0, size).next().unwrap().filter(|_| !offsets.is_empty());
            match presented(view, &edits, &times, found) {
                Err(Stop::Need { .. }) => {}
                other => return (other.unwrap(), (known - 16) / 8),
            }
        }
        panic!("it asks for more than there is");
    }

    #[test]
    fn frames_are_counted_by_the_time_they_begin() {
        let even = [(90, 512)];
        let count = |times: &[(u32, u32)], start, end| shown(&[(start, end)], times, &[], 0).0;
        assert_eq!(count(&even, 0, 90 * 512), Some(90));
        assert_eq!(count(&even, 15 * 512, 90 * 512), Some(75));
        assert_eq!(count(&even, 0, 89 * 512 + 1), Some(90), "an end that was rounded down");
        assert_eq!(count(&even, 0, 0), Some(0), "no length");
        let uneven = [(10, 100), (5, 0), (10, 50)];
        assert_eq!(count(&uneven, 500, 1100), Some(5 + 5 + 2));
    }

    #[test]
    fn reordered_frames_are_counted_by_the_table_as_far_as_it_is_needed() {
        // A picture, then two that are shown before the next: as with closed groups of pictures, and as with open ones.
        let closed = [&[(1, 512)][..], &[(1, 1536), (2, 0)].repeat(8)].concat();
        let open = [&[(1, 1536), (2, 0)].repeat(8)[..], &[(1, 512)]].concat();
        let times = [(25, 512)];
        assert_eq!(shown(&[(512, 512 + 25 * 512)], &times, &closed, 0), (Some(25), 2));
        assert_eq!(
            shown(&[(512, 512 + 25 * 512)], &times, &open, 0),
            (Some(25), 3),
            "the first is not shown first"
        );
        assert_eq!(shown(&[(1536, 1536 + 25 * 512)], &times, &open, 0).0, Some(23), "two are left out");
        assert_eq!(shown(&[(512, 512 + 10 * 512)], &times, &open, 0).0, Some(10));
        let signed: Vec<_> = open.iter().map(|(count, offset)| (*count, offset - 512)).collect();
        assert_eq!(shown(&[(0, 25 * 512)], &times, &signed, 1).0, Some(25));
        assert_eq!(shown(&[(0, 10 * 512)], &times, &signed, 1).0, Some(10));
        // Of times that differ, each frame has its own.
        let uneven = [(10, 100), (5, 50), (10, 100)];
        assert_eq!(shown(&[(100, 2350)], &uneven, &[(25, 100)], 0), (Some(25), 1));
        assert_eq!(shown(&[(100, 1250)], &uneven, &[(25, 100)], 0).0, Some(13));
    }

    #[test]
    fn what_is_shown_twice_counts_twice() {
        let offsets = [&[(1, 512)][..], &[(1, 1536), (2, 0)].repeat(8)].concat();
        let whole = (512, 512 + 25 * 512);
        assert_eq!(shown(&[whole, whole, (512, 512 + 5 * 512)], &[(25, 512)], &offsets, 0).0, Some(55));
    }

    #[test]
    fn edits_may_be_longer_than_63_bits_can_tell() {
        let (start, duration) = (1000_u32, u64::from(u32::MAX));
        let list = [
            &b"\0\0\0\x24elst\x01\0\0\0\0\0\0\x01"[..],
            &duration.to_be_bytes(),
            &[0; 4],
            &start.to_be_bytes(),
            &[0, 1, 0, 0],
        ];
        let list = list.concat();
        let mut store = Store::new(list.len() as u64);
        store.insert(0, Bytes::from(list));
        let view = store.view();
        let elst = Boxes::new(view, 0, view.size()).next().unwrap().unwrap();
        let edits = Edits::read(view, elst, 1, u32::MAX).unwrap().unwrap();
        assert_eq!(edits.length(), duration * duration);
    }
}

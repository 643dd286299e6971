//! Frames in the fragments of a video file (ISO/IEC 14496-12, 8.8).
//!
//! Every fragment's header must be read, because it alone says how many samples the fragment has. It mostly takes one
//! read: a `moof` begins where the `mdat` before it ends, and one read takes in the whole header up to the next `mdat`.
//! A map of the file (`sidx`, `mfra`) shows beforehand when that would be more reads than one blob may cost. It is
//! believed in nothing else.

use super::bmff::{Bmff, Boxes};
use super::view::{Parse, Stop, View};
use super::{JUMP, LONGEST_FOLLOW_UP, MAX_FRAGMENT_ASKS};
use crate::model::{Gap, Video};

/// Bytes of headers between the media data of two fragments that are asked for at once. Real ones take 0.2 KiB, at
/// p99 4.5.
const MAX_HEADERS: u64 = 16 << 10;
/// Fragments, each too long to be read together with another, after which the map at the file's end is looked for. Of
/// so many, its two reads are few.
const MAP_AFTER: u32 = 32;
/// Entries of a map that are looked at: an hour in fragments of two seconds has 1,800.
const MAX_MAP_ENTRIES: u64 = 2048;

const MAP: &str = "random access map";

/// Adds the frames of the fragments behind a movie header to those of its own sample table. The walk takes the
/// fragments' headers and none of their samples. Until it is through, no count is known.
pub(super) fn count(view: View<'_>, movie: Bmff, track: u32, video: &mut Video) -> Parse<()> {
    let Some(first) = video.tracks.first_mut() else { return Ok(()) };
    let own = first.frames.take().unwrap_or(0);
    (first.frames_presented, first.duration_s) = (None, None);
    let mut walk = Walk { begin: movie.end, headers: 0, dense: false, distant: 0 };
    let counted = walk.frames(view, track).map_err(|stop| match stop {
        Stop::Need { at, len } => walk.ask(view, at, len),
        other => other,
    })?;
    first.frames = Some(own.saturating_add(counted));
    Ok(())
}

/// Where the walk is, and what the fragment before was like.
struct Walk {
    /// Where the headers of the fragment begin.
    begin: u64,
    /// Bytes that the headers of the one before took, up to its samples.
    headers: u64,
    /// Whether the one before was no longer than a read is anyway.
    dense: bool,
    /// Fragments so long that no read takes in two of them.
    distant: u32,
}

impl Walk {
    fn frames(&mut self, view: View<'_>, track: u32) -> Parse<u64> {
        let mut boxes = Boxes::new(view, self.begin, view.size());
        let mut frames: u64 = 0;
        while let Some(found) = boxes.next()? {
            match &found.kind.0 {
                b"moof" => frames = frames.saturating_add(frames_in_fragment(view, found, track)?),
                b"mdat" => {
                    self.leap(found);
                    let wants_map = self.distant == MAP_AFTER && may_be_too_many(view);
                    if wants_map && believed(random_access_shows_too_many(view))? {
                        return Err(Stop::Gap(Gap::TooManyFragments));
                    }
                }
                b"sidx" if may_be_too_many(view) && believed(index_shows_too_many(view, found))? => {
                    return Err(Stop::Gap(Gap::TooManyFragments));
                }
                _ => {}
            }
        }
        Ok(frames)
    }

    /// Goes to the fragment behind these samples.
    fn leap(&mut self, mdat: Bmff) {
        let len = mdat.end - self.begin;
        self.headers = (mdat.body - self.begin).min(MAX_HEADERS);
        self.dense = len <= JUMP;
        self.distant += u32::from(len > LONGEST_FOLLOW_UP);
        self.begin = mdat.end;
    }

    /// The read that brings the missing bytes, and with them the headers of a fragment like the one before.
    fn ask(&self, view: View<'_>, at: u64, len: u64) -> Stop {
        let headers = (self.begin + self.headers).min(view.size()).saturating_sub(at);
        Stop::NeedFragment { at, len: len.max(headers), dense: self.dense }
    }
}

/// The samples of one fragment that belong to the track.
fn frames_in_fragment(view: View<'_>, moof: Bmff, track: u32) -> Parse<u64> {
    let mut boxes = Boxes::inside(view, moof);
    let mut frames: u64 = 0;
    while let Some(found) = boxes.next()? {
        if found.is(b"traf") {
            frames = frames.saturating_add(frames_in_track_fragment(view, found, track)?);
        }
    }
    Ok(frames)
}

/// The samples of a track fragment's runs, if it belongs to the track (8.8.7 and 8.8.8).
fn frames_in_track_fragment(view: View<'_>, traf: Bmff, track: u32) -> Parse<u64> {
    let mut boxes = Boxes::inside(view, traf);
    let mut frames: u64 = 0;
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"tfhd" => {
                let (_, body) = found.full(view, "track fragment header")?;
                if u32::from_be_bytes(found.field(view, body, "track fragment header")?) != track {
                    return Ok(0);
                }
            }
            b"trun" => {
                let (_, body) = found.full(view, "track run")?;
                frames += u64::from(u32::from_be_bytes(found.field(view, body, "track run")?));
            }
            _ => {}
        }
    }
    Ok(frames)
}

/// What a map shows. A damaged one shows nothing; it is no part of what is counted.
fn believed(shows_too_many: Parse<bool>) -> Parse<bool> {
    match shows_too_many {
        Err(Stop::Malformed(_)) => Ok(false),
        other => other,
    }
}

/// Whether the file is so long that a map of it may show too many fragments.
fn may_be_too_many(view: View<'_>) -> bool {
    view.size() / LONGEST_FOLLOW_UP > u64::from(MAX_FRAGMENT_ASKS)
}

/// Whether these lengths, of which those count that no read takes in together with another, are more than may be read.
fn too_many(lengths: impl Iterator<Item = u64>) -> bool {
    lengths.filter(|len| *len > LONGEST_FOLLOW_UP).count() > MAX_FRAGMENT_ASKS as usize
}

/// Whether a segment index (8.16.3), which says how long the fragments behind it are, names too many. One that names
/// more bytes than there are is of another file.
fn index_shows_too_many(view: View<'_>, sidx: Bmff) -> Parse<bool> {
    const PART: &str = "segment index";
    let (version, body) = sidx.full(view, PART)?;
    let at = body + if version == 0 { 18 } else { 26 };
    let count = u64::from(u16::from_be_bytes(sidx.field(view, at, PART)?));
    if count <= u64::from(MAX_FRAGMENT_ASKS) || at + 2 + count * 12 > sidx.end {
        return Ok(false);
    }
    let entries = view.bytes(at + 2, count.min(MAX_MAP_ENTRIES) * 12, PART)?;
    // The first bit says that the entry leads to another index.
    let lengths = entries
        .as_chunks::<12>()
        .0
        .iter()
        .map(|[l0, l1, l2, l3, ..]| u64::from(u32::from_be_bytes([*l0, *l1, *l2, *l3]) & 0x7FFF_FFFF));
    Ok(sidx.end + lengths.clone().sum::<u64>() <= view.size() && too_many(lengths))
}

/// Whether the random access map at the end of the file (8.8.9 to 8.8.11), which says where fragments begin, names too
/// many. Its last box, `mfro`, ends in the map's length.
fn random_access_shows_too_many(view: View<'_>) -> Parse<bool> {
    let size = view.size();
    let [.., m, f, r, o, _, _, _, _, l0, l1, l2, l3] =
        view.bytes(size.saturating_sub(JUMP), JUMP.min(size), MAP)?
    else {
        return Ok(false);
    };
    let len = u64::from(u32::from_be_bytes([*l0, *l1, *l2, *l3]));
    if &[*m, *f, *r, *o] != b"mfro" || len > size {
        return Ok(false);
    }
    let Some(map) = Boxes::new(view, size - len, size).next()?.filter(|map| map.is(b"mfra")) else {
        return Ok(false);
    };
    let mut boxes = Boxes::inside(view, map);
    while let Some(table) = boxes.find(b"tfra")? {
        if table_shows_too_many(view, table, map.at)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one track's table of a random access map names too many fragments in front of the map, which begins at `end`.
fn table_shows_too_many(view: View<'_>, tfra: Bmff, end: u64) -> Parse<bool> {
    let (version, body) = tfra.full(view, MAP)?;
    let [.., sizes] = tfra.field::<8>(view, body, MAP)?;
    let count = u64::from(u32::from_be_bytes(tfra.field(view, body + 8, MAP)?));
    // A time and an offset of the same size, and three numbers of one to four bytes each.
    let offset_len = if version == 1 { 8 } else { 4 };
    let step = 2 * offset_len + u64::from((sizes >> 4 & 3) + (sizes >> 2 & 3) + (sizes & 3)) + 3;
    if count <= u64::from(MAX_FRAGMENT_ASKS) || body + 12 + count * step > tfra.end {
        return Ok(false);
    }
    let entries = view.bytes(body + 12, count.min(MAX_MAP_ENTRIES) * step, MAP)?;
    let offsets = entries.chunks_exact(step as usize).map(|entry| {
        let offset = &entry[offset_len as usize..2 * offset_len as usize];
        offset.iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte))
    });
    let mut last = 0;
    Ok(too_many(offsets.filter(|at| *at < end).chain([end]).map(|at| {
        let len = at.saturating_sub(last);
        last = last.max(at);
        len
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Gap};
    use crate::probe::{Probe, Step};
    use bytes::Bytes;

    /// Frames of the movie header's own sample table.
    const OWN: u64 = 30;

    /// The head of a fragmented file: `ftyp`, and a `moov` that announces fragments.
    fn head() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo/videos/from-ffmpeg.mp4");
        let file = std::fs::read(path).expect("the demo container is there");
        let at = file.windows(4).position(|kind| kind == b"moov").expect("it has a header") - 4;
        let len = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        let moov = [&file[at + 8..at + len], &boxed(b"mvex", b"")].concat();
        [boxed(b"ftyp", b"mp42\0\0\0\0mp42isom"), boxed(b"moov", &moov)].concat()
    }

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
    }

    /// A fragment of this many samples, with a `moof` that is `padding` bytes longer than it must be.
    fn fragment(samples: u32, padding: usize, mdat: usize) -> Vec<u8> {
        let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
        let trun = boxed(b"trun", &[&[0; 4][..], &samples.to_be_bytes()].concat());
        let traf = boxed(b"traf", &[tfhd, trun, boxed(b"free", &vec![0; padding])].concat());
        [boxed(b"moof", &traf), boxed(b"mdat", &vec![0; mdat])].concat()
    }

    fn sidx(lengths: impl ExactSizeIterator<Item = u32>) -> Vec<u8> {
        let mut body = vec![0; 22];
        body.extend((lengths.len() as u16).to_be_bytes());
        lengths.for_each(|len| body.extend([&len.to_be_bytes()[..], &[0; 8]].concat()));
        boxed(b"sidx", &body)
    }

    /// A map of version 1 with numbers of one byte.
    fn mfra(offsets: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
        let mut body = vec![1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        body.extend((offsets.len() as u32).to_be_bytes());
        offsets.for_each(|at| body.extend([&[0; 8], &at.to_be_bytes()[..], &[1; 3]].concat()));
        let tfra = boxed(b"tfra", &body);
        let len = tfra.len() as u32 + 24;
        boxed(b"mfra", &[tfra, boxed(b"mfro", &[[0; 4], len.to_be_bytes()].concat())].concat())
    }

    /// The facts, and the length of each read.
    fn probed(file: &[u8]) -> (Facts, Vec<u64>) {
        let (mut probe, mut step) = Probe::new(file.len() as u64, Some("mp4"));
        let mut reads = Vec::new();
        loop {
            match step {
                Step::Done(facts) => return (facts, reads),
                Step::Need(range) => {
                    reads.push(range.len());
                    step = probe
                        .step(Bytes::copy_from_slice(&file[range.start() as usize..range.end() as usize]));
                }
            }
        }
    }

    fn frames(facts: &Facts) -> Option<u64> {
        facts.video.as_ref().and_then(|video| video.tracks.first()?.frames)
    }

    #[test]
    fn a_fragment_takes_one_read_and_none_of_its_samples() {
        for padding in [0, 9000] {
            let file = [head(), fragment(7, padding, 200_000).repeat(20)].concat();
            let (facts, reads) = probed(&file);
            assert_eq!(frames(&facts), Some(OWN + 140));
            // The first read holds the first fragment's header, or where it begins.
            assert!(reads.len() <= 21, "{reads:?}");
            assert!(reads.iter().all(|len| *len <= MAX_HEADERS), "{reads:?}");
        }
    }

    #[test]
    fn short_fragments_are_read_together() {
        let file = [head(), fragment(1, 0, 60).repeat(10_000)].concat();
        let (facts, reads) = probed(&file);
        assert_eq!(frames(&facts), Some(OWN + 10_000));
        assert!(reads.len() < 16, "{reads:?}");
    }

    #[test]
    fn a_map_of_too_many_fragments_spares_the_walk() {
        let one = fragment(1, 0, LONGEST_FOLLOW_UP as usize);
        let many = one.repeat(MAX_FRAGMENT_ASKS as usize + 1);
        let lengths = || (0..=MAX_FRAGMENT_ASKS).map(|_| one.len() as u32).collect::<Vec<_>>().into_iter();
        let with_index = [head(), sidx(lengths()), many.clone()].concat();
        let offsets: Vec<u64> =
            (0..=MAX_FRAGMENT_ASKS).map(|i| (head().len() + one.len() * i as usize) as u64).collect();
        let with_map = [head(), many, mfra(offsets.into_iter())].concat();
        for (file, most) in [(with_index, 3), (with_map, MAP_AFTER as usize + 4)] {
            let (facts, reads) = probed(&file);
            assert_eq!((facts.gap, frames(&facts)), (Some(Gap::TooManyFragments), None));
            assert!(reads.len() <= most, "{reads:?}");
        }
    }

    #[test]
    fn a_map_that_lies_changes_no_count() {
        // So long a file that the maps are looked at.
        let one = fragment(3, 0, 2 << 20);
        let fragments = one.repeat(MAP_AFTER as usize + 8);
        let right = Some(OWN + 3 * (u64::from(MAP_AFTER) + 8));
        for (lie, count) in
            [(0, 600), (300, 600), (LONGEST_FOLLOW_UP as u32 + 1, 600), (u32::MAX, 600), (1, 3)]
        {
            let index = sidx(vec![lie; count].into_iter());
            let map = mfra((0..count as u64).map(|i| u64::from(lie) * i).collect::<Vec<_>>().into_iter());
            for file in [[&head()[..], &index, &fragments].concat(), [&head()[..], &fragments, &map].concat()]
            {
                let (facts, _) = probed(&file);
                let given_up = facts.gap == Some(Gap::TooManyFragments);
                assert_eq!(frames(&facts), right.filter(|_| !given_up), "{count} × {lie}");
                // Only a lie that the file has room for is believed.
                assert_eq!(given_up, lie == LONGEST_FOLLOW_UP as u32 + 1, "{count} × {lie}");
            }
        }
    }
}

//! Frames in the fragments of a video file (ISO/IEC 14496-12, 8.8).
//!
//! Every fragment's header must be read, because it alone says how many samples the fragment has. It mostly takes one
//! read: a `moof` begins where the `mdat` before it ends, and one read takes in the whole header up to the next `mdat`.
//! A map of the file (`sidx`, `mfra`) that agrees with the first fragments shows beforehand when that would be more reads
//! than one blob may cost. It is believed in nothing else.

use super::JUMP;
use super::bmff::{Bmff, Boxes};
use super::sample::Sample;
use super::view::{Parse, Stop, View, malformed};
use crate::model::{Gap, VideoTrack};

/// Bytes of headers between the media data of two fragments that are asked for at once. Real ones take 0.2 KiB, at
/// p99 4.5.
const MAX_HEADERS: u64 = 16 << 10;
/// Length in bytes of fragments that are read as a whole, many at a time: so many bytes cost less than a read. A file of
/// only a few is not worth them.
const DENSE: u64 = 32 << 10;
const MANY: u32 = 16;
/// Fragments, each too long to be read together with another, after which the map is looked for. Of so many, its two
/// reads are few.
const MAP_AFTER: usize = 32;
/// Entries of a map that are compared with the first fragments, and of which most must agree.
const MAP_ENTRIES: u64 = 2 * MAP_AFTER as u64;

/// The walk over the fragments' headers, which takes none of their samples but those that show a pixel format.
#[derive(Debug)]
pub(super) struct Fragments {
    /// Where the next box begins.
    pub(super) at: u64,
    /// Where a box ends that reaches past the end of the file.
    pub(super) cut: Option<u64>,
    /// How many fragments there are, if a map shows that they are more than may be read.
    pub(super) mapped: Option<u64>,
    /// Reads that the walk may take.
    max_reads: u64,
    /// The number of the track that is counted, and its frames so far.
    track: u32,
    frames: u64,
    /// Where the headers of the fragment begin.
    begin: u64,
    /// Bytes that the headers of the one before took, up to its samples.
    headers: u64,
    /// Whether the one before was so short that a read takes in several.
    dense: bool,
    /// Where the `moof` boxes of the first fragments begin that are too long for that.
    distant: Vec<u64>,
    moof: u64,
    /// Fragments that were passed.
    passed: u32,
    index: Option<Bmff>,
    /// Tracks whose pixel format their first sample shows: place, number, and what a sample is.
    samples: Vec<(usize, u32, Sample)>,
}

impl Fragments {
    /// The fragments behind a movie header, whose frames are counted to those of its own sample table. Until the walk is
    /// through, no count is known.
    pub(super) fn behind(
        movie: Bmff,
        track: u32,
        samples: Vec<(usize, u32, Sample)>,
        first: &mut VideoTrack,
        max_reads: u64,
    ) -> Self {
        let frames = first.frames.take().unwrap_or(0);
        (first.frames_presented, first.duration_s, first.variable_frame_rate) = (None, None, None);
        Self {
            at: movie.end,
            cut: None,
            mapped: None,
            max_reads,
            track,
            frames,
            begin: movie.end,
            headers: 0,
            dense: false,
            distant: Vec::new(),
            moof: movie.end,
            passed: 0,
            index: None,
            samples,
        }
    }

    /// Goes on as far as the known bytes reach.
    pub(super) fn count(&mut self, view: View<'_>, tracks: &mut [VideoTrack]) -> Parse<()> {
        self.walk(view, tracks).map_err(|stop| match stop {
            Stop::Need { at, len } => self.ask(view, at, len),
            other => other,
        })?;
        if let Some(first) = tracks.first_mut() {
            first.frames = Some(self.frames);
        }
        Ok(())
    }

    fn walk(&mut self, view: View<'_>, tracks: &mut [VideoTrack]) -> Parse<()> {
        while let Some(found) = Bmff::at_top(view, self.at)? {
            if found.end > view.size() {
                let is_data = found.is(b"mdat") || (found.is(b"moof") && self.frames > 0);
                if !is_data {
                    return Err(malformed("box", found.at, "is larger than what it lies in"));
                }
                // What a recorder wrote before it lost its power; of samples that are cut off, the header tells.
                self.cut = Some(found.end);
            }
            match &found.kind.0 {
                b"moof" if self.cut.is_none() => {
                    self.look_at_samples(view, found, tracks)?;
                    let frames = frames_in_fragment(view, found, self.track)?;
                    self.frames = self.frames.saturating_add(frames);
                    self.moof = found.at;
                }
                b"mdat" => self.leap(view, found)?,
                b"sidx" => self.index = self.index.or(Some(found)),
                _ => {}
            }
            self.at = found.end;
            if self.cut.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Goes to the fragment behind these samples, or gives up where a map shows that there are too many.
    fn leap(&mut self, view: View<'_>, mdat: Bmff) -> Parse<()> {
        let len = mdat.end - self.begin;
        if len > DENSE && self.distant.len() < MAP_AFTER {
            self.distant.push(self.moof);
            if self.distant.len() == MAP_AFTER && view.size() / len > self.max_reads {
                let mapped = match self.count_by_map(view) {
                    // The map is asked for when this fragment is passed again.
                    Err(stop @ Stop::Need { .. }) => {
                        self.distant.pop();
                        return Err(stop);
                    }
                    // A damaged map shows nothing; it is no part of what is counted.
                    Err(Stop::Malformed(_)) => None,
                    other => other?,
                };
                self.mapped = mapped.filter(|mapped| *mapped > self.max_reads);
                if self.mapped.is_some() {
                    return Err(Stop::Gap(Gap::TooManyFragments));
                }
            }
        }
        self.passed += 1;
        self.dense = len <= JUMP || (len <= DENSE && self.passed >= MANY);
        self.headers = (mdat.body - self.begin).min(MAX_HEADERS);
        self.begin = mdat.end;
        Ok(())
    }

    /// The read that brings the missing bytes, and with them the headers of a fragment like the one before.
    fn ask(&self, view: View<'_>, at: u64, len: u64) -> Stop {
        let headers = (self.begin + self.headers).min(view.size()).saturating_sub(at);
        Stop::Hop { at, len: len.max(headers), dense: self.dense }
    }

    /// Looks at the first samples of tracks whose pixel format nothing before has shown.
    fn look_at_samples(&mut self, view: View<'_>, moof: Bmff, tracks: &mut [VideoTrack]) -> Parse<()> {
        while let Some((place, id, sample)) = self.samples.last().copied()
            && let Some(at) = first_sample(view, moof, id)?
        {
            // What has been passed is not read again.
            let shown = if at < moof.at { None } else { sample.shown(view, at)? };
            if let Some(track) = tracks.get_mut(place) {
                track.pixel_format = shown.map(Into::into);
            }
            self.samples.pop();
        }
        Ok(())
    }

    /// How many fragments a map names, if most of its first entries are the fragments that were passed.
    fn count_by_map(&self, view: View<'_>) -> Parse<Option<u64>> {
        // What has been passed is not read again.
        if let Some(index) = self.index.filter(|index| !view.known(index.at).is_empty())
            && let Some(count) = self.agreed(segment_index(view, index)?)
        {
            return Ok(Some(count));
        }
        Ok(self.agreed(random_access_map(view)?))
    }

    fn agreed(&self, map: Option<Map>) -> Option<u64> {
        let map = map?;
        let found = map.first.iter().filter(|at| self.distant.contains(at)).count();
        (found > MAP_AFTER / 2 && map.first.is_sorted_by(|before, after| before < after)).then_some(map.count)
    }
}

/// What a map says: how many fragments there are, and where the first of them begin.
struct Map {
    count: u64,
    first: Vec<u64>,
}

/// Where the first sample of a track's first run in a fragment lies (8.8.7 and 8.8.8).
fn first_sample(view: View<'_>, moof: Bmff, track: u32) -> Parse<Option<u64>> {
    let mut boxes = Boxes::inside(view, moof);
    while let Some(traf) = boxes.find(b"traf")? {
        let Some(header) = Boxes::inside(view, traf).find(b"tfhd")? else { continue };
        let (_, body) = header.full(view, "track fragment header")?;
        if u32::from_be_bytes(header.field(view, body, "track fragment header")?) != track {
            continue;
        }
        let has_base = flags(view, header)? & 1 != 0;
        let base = match has_base {
            true => u64::from_be_bytes(header.field(view, body + 4, "track fragment header")?),
            false => moof.at,
        };
        let Some(run) = Boxes::inside(view, traf).find(b"trun")? else { continue };
        let (_, body) = run.full(view, "track run")?;
        let offset = match flags(view, run)? & 1 != 0 {
            true => i32::from_be_bytes(run.field(view, body + 4, "track run")?),
            false => 0,
        };
        return Ok(base.checked_add_signed(offset.into()));
    }
    Ok(None)
}

/// The flags of a full box (4.2.2).
fn flags(view: View<'_>, found: Bmff) -> Parse<u32> {
    Ok(u32::from_be_bytes(found.field(view, found.body, "box")?) & 0xFF_FFFF)
}

/// The samples of one fragment that belong to the track.
fn frames_in_fragment(view: View<'_>, moof: Bmff, track: u32) -> Parse<u64> {
    let mut boxes = Boxes::inside(view, moof);
    let mut frames: u64 = 0;
    while let Some(traf) = boxes.find(b"traf")? {
        frames = frames.saturating_add(frames_in_track_fragment(view, traf, track)?);
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

/// A segment index (8.16.3), which says how long the fragments behind it are. One that leads to others names no
/// fragments.
fn segment_index(view: View<'_>, sidx: Bmff) -> Parse<Option<Map>> {
    const PART: &str = "segment index";
    let (version, body) = sidx.full(view, PART)?;
    let (at, first) = match version {
        0 => (body + 18, u64::from(u32::from_be_bytes(sidx.field(view, body + 12, PART)?))),
        _ => (body + 26, u64::from_be_bytes(sidx.field(view, body + 16, PART)?)),
    };
    let count = u64::from(u16::from_be_bytes(sidx.field(view, at, PART)?));
    if at + 2 + count * 12 > sidx.end {
        return Ok(None);
    }
    let entries = view.bytes(at + 2, count.min(MAP_ENTRIES) * 12, PART)?.as_chunks::<12>().0;
    let mut next = sidx.end.saturating_add(first);
    let first = entries.iter().map(|[l0, l1, l2, l3, ..]| {
        let at = next;
        next = next.saturating_add(u64::from(u32::from_be_bytes([*l0, *l1, *l2, *l3]) & 0x7FFF_FFFF));
        at
    });
    Ok(Some(Map { count, first: first.collect() }))
}

/// The random access map at the end of the file (8.8.9 to 8.8.11), which says where fragments begin. Its last box,
/// `mfro`, ends in the map's length.
fn random_access_map(view: View<'_>) -> Parse<Option<Map>> {
    const PART: &str = "random access map";
    let size = view.size();
    let [.., m, f, r, o, _, _, _, _, l0, l1, l2, l3] =
        view.bytes(size.saturating_sub(JUMP), JUMP.min(size), PART)?
    else {
        return Ok(None);
    };
    let len = u64::from(u32::from_be_bytes([*l0, *l1, *l2, *l3]));
    if &[*m, *f, *r, *o] != b"mfro" || len > size {
        return Ok(None);
    }
    let Some(map) = Boxes::new(view, size - len, size).next()?.filter(|map| map.is(b"mfra")) else {
        return Ok(None);
    };
    let Some(table) = Boxes::inside(view, map).find(b"tfra")? else { return Ok(None) };
    let (version, body) = table.full(view, PART)?;
    let [.., sizes] = table.field::<8>(view, body, PART)?;
    let count = u64::from(u32::from_be_bytes(table.field(view, body + 8, PART)?));
    // A time and an offset of the same size, and three numbers of one to four bytes each.
    let offset_len = if version == 1 { 8 } else { 4 };
    let step = 2 * offset_len + u64::from((sizes >> 4 & 3) + (sizes >> 2 & 3) + (sizes & 3)) + 3;
    if body + 12 + count * step > table.end {
        return Ok(None);
    }
    let entries = view.bytes(body + 12, count.min(MAP_ENTRIES) * step, PART)?;
    let first = entries.chunks_exact(step as usize).map(|entry| {
        let offset = &entry[offset_len as usize..2 * offset_len as usize];
        offset.iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte))
    });
    Ok(Some(Map { count, first: first.collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Gap};
    use crate::probe::{MAX_READS, Probe, Step, Want};
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
        probed_within(MAX_READS, file)
    }

    fn probed_within(max_reads: u32, file: &[u8]) -> (Facts, Vec<u64>) {
        probed_from(max_reads, file.len() as u64, |from, to| file[from as usize..to as usize].to_vec())
    }

    fn probed_from(max_reads: u32, size: u64, read: impl Fn(u64, u64) -> Vec<u8>) -> (Facts, Vec<u64>) {
        let want = Want { max_reads, ..Want::default() };
        let (mut probe, mut step) = Probe::wanting(want, size, Some("mp4"));
        let mut reads = Vec::new();
        loop {
            assert!(probe.held() < 1 << 20, "{} bytes are held", probe.held());
            match step {
                Step::Done(facts) => return (facts, reads),
                Step::Need(range) => {
                    reads.push(range.len());
                    step = probe.step(Bytes::from(read(range.start(), range.end())));
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
        assert!(reads.len() < 12, "{reads:?}");
    }

    /// Two hours and some of a recorder that writes a fragment each second, at 1 Mbit/s: `fragments` times the same, of
    /// which only the first bytes are not zero.
    fn recording(fragments: u64) -> (u64, impl Fn(u64, u64) -> Vec<u8>) {
        let (head, one) = (head(), fragment(30, 0, 125_000));
        let size = head.len() as u64 + one.len() as u64 * fragments;
        let read = move |from: u64, to: u64| {
            let byte = |at: u64| match at.checked_sub(head.len() as u64) {
                None => head[at as usize],
                Some(at) => one[at as usize % one.len()],
            };
            (from..to).map(byte).collect()
        };
        (size, read)
    }

    #[test]
    fn an_hour_in_fragments_of_a_second_comes_to_its_count() {
        let (size, read) = recording(3600);
        let (facts, reads) = probed_from(MAX_READS, size, read);
        assert_eq!((facts.gap, frames(&facts)), (None, Some(OWN + 3600 * 30)));
        assert!(reads.len() <= 3600 && reads.iter().sum::<u64>() <= 3600 * JUMP, "{} reads", reads.len());
    }

    #[test]
    fn a_recording_that_is_too_long_tells_what_its_count_takes() {
        let (size, read) = recording(3600);
        let (facts, reads) = probed_from(100, size, &read);
        assert_eq!((facts.gap, frames(&facts), reads.len()), (Some(Gap::TooManyFragments), None, 101));
        let cost = facts.gap_cost.expect("it is told");
        assert!((3500..3700).contains(&cost.reads) && cost.bytes == cost.reads * JUMP, "{cost:?}");
        let (facts, reads) = probed_from(cost.reads as u32, size, read);
        assert_eq!((facts.gap, frames(&facts)), (None, Some(OWN + 3600 * 30)));
        assert!(reads.len() as u64 <= cost.reads + 1);
    }

    #[test]
    fn a_fragment_that_is_cut_off_is_told_and_one_whose_header_is_not_counts() {
        let whole = [head(), fragment(7, 0, 200_000).repeat(3)].concat();
        let one = fragment(7, 0, 200_000).len();
        for (cut, counted) in [(1000, 21), (one - 20, 14), (one - 4, 14)] {
            let (facts, _) = probed(&whole[..whole.len() - cut]);
            assert_eq!((frames(&facts), &facts.malformed), (Some(OWN + counted), &None), "{cut} bytes less");
            assert_eq!(facts.truncated.is_some(), cut < one - 8, "{cut} bytes less");
        }
        assert_eq!(probed(&whole).0.truncated, None);
    }

    /// Reads that a walk may take in these tests, and a file of more fragments than that, each at this offset.
    const FEW: u32 = 64;
    fn many() -> (Vec<u8>, Vec<u64>) {
        let one = fragment(1, 0, DENSE as usize);
        let offsets = (0..=u64::from(FEW)).map(|at| (head().len() + one.len() * at as usize) as u64);
        (one.repeat(FEW as usize + 1), offsets.collect())
    }

    #[test]
    fn a_map_of_too_many_fragments_spares_the_walk() {
        let (many, offsets) = many();
        let lengths: Vec<_> = offsets.iter().map(|_| (many.len() / offsets.len()) as u32).collect();
        let index = sidx(lengths.into_iter());
        let with_map = [head(), many.clone(), mfra(offsets.into_iter())].concat();
        let with_index = [head(), index, many].concat();
        for file in [with_index, with_map] {
            let (facts, reads) = probed_within(FEW, &file);
            assert_eq!((facts.gap, frames(&facts)), (Some(Gap::TooManyFragments), None));
            assert_eq!(facts.gap_cost.map(|cost| cost.reads), Some(u64::from(FEW) + 1));
            assert!(reads.len() <= MAP_AFTER + 4, "{reads:?}");
            assert_eq!(frames(&probed_within(FEW + 4, &file).0), Some(OWN + u64::from(FEW) + 1));
        }
    }

    #[test]
    fn a_map_that_disagrees_is_not_believed() {
        let (many, offsets) = many();
        for lie in [0, 1, DENSE as u32, u32::MAX] {
            let index = sidx(vec![lie; 600].into_iter());
            let map = mfra((0..600).map(|at| u64::from(lie) * at).collect::<Vec<_>>().into_iter());
            let late = mfra(offsets.iter().map(|at| at + 8).collect::<Vec<_>>().into_iter());
            let files = [
                [&head()[..], &index, &many].concat(),
                [&head()[..], &many, &map].concat(),
                [&head()[..], &many, &late].concat(),
            ];
            for file in files {
                let (facts, reads) = probed_within(FEW, &file);
                // It gives up only when no reads are left.
                assert_eq!(facts.gap, Some(Gap::TooManyFragments));
                assert_eq!(reads.len(), FEW as usize + 1);
            }
        }
    }

    #[test]
    fn a_first_sample_in_a_fragment_shows_the_pixel_format() {
        // A baseline set of 4:2:0, behind its length, where the description has none.
        let sample =
            [&[0, 0, 0, 10][..], &[0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xF6, 0x80, 0x6D]].concat();
        let mut head = head();
        let at = head.windows(4).position(|kind| kind == b"avcC").expect("a configuration");
        head[at + 4 + 5] &= 0xE0;
        // No samples of its own.
        let stco = head.windows(4).position(|kind| kind == b"stco").expect("a table");
        head[stco + 8..stco + 12].fill(0);
        let traf = |offset: u32| {
            let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
            let trun = boxed(b"trun", &[&[0, 0, 0, 1, 0, 0, 0, 1][..], &offset.to_be_bytes()].concat());
            boxed(b"moof", &boxed(b"traf", &[tfhd, trun].concat()))
        };
        let moof = traf(traf(0).len() as u32 + 8);
        let file = [head, moof, boxed(b"mdat", &sample)].concat();
        let (facts, _) = probed(&file);
        let video = facts.video.expect("a video");
        assert_eq!(video.tracks[0].pixel_format.as_deref(), Some("yuv420p"));
    }
}

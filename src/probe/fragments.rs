//! Counts frames in the fragments of a video file (ISO/IEC 14496-12, 8.8).
//!
//! Every fragment's header must be read, because nothing else shows how many samples the fragment has. This usually
//! takes one read: a `moof` starts where the `mdat` before it ends, and one read covers the whole header up to the
//! next `mdat`. An index in the file (`sidx`, `mfra`) that agrees with the first fragments shows beforehand whether
//! that would exceed the read limit per blob. It is used for nothing else.

use super::JUMP;
use super::bmff::{Bmff, Boxes};
use super::sample::Sample;
use super::view::{Parse, Stop, View, malformed};
use crate::model::{Gap, VideoTrack};

/// Bytes of headers between the media data of two fragments that are requested at once. Real ones take 0.2 KiB, 4.5
/// KiB at p99.
const MAX_HEADERS: u64 = 16 << 10;
/// Length in bytes of fragments that are read as a whole, many at a time, because that many bytes cost less than a
/// read. This does not pay off for a file with only a few.
const DENSE: u64 = 32 << 10;
const MANY: u32 = 16;
/// Number of fragments, each too long to share a read with another, after which the index is read. By then its two
/// reads are comparatively few.
const MAP_AFTER: usize = 32;
/// Index entries that are compared with the first fragments; most must agree.
const MAP_ENTRIES: u64 = 2 * MAP_AFTER as u64;
/// Bytes of a segment index up to its last such entry (8.16.3).
const MAX_INDEX: u64 = 64 + 12 * MAP_ENTRIES;

/// The walk over the fragments' headers. It reads samples only where they show a pixel format.
#[derive(Debug)]
pub(super) struct Fragments {
    /// Where the next box starts.
    pub(super) at: u64,
    /// Where a box ends that extends past the end of the file.
    pub(super) cut: Option<u64>,
    /// The number of fragments, if an index shows that there are more than may be read.
    pub(super) mapped: Option<u64>,
    /// Maximum reads of the walk.
    max_reads: u64,
    /// The ID of the track that is counted, and its frames so far.
    track: u32,
    frames: u64,
    /// Where the headers of the fragment start.
    begin: u64,
    /// Length in bytes of the headers of the fragment before, up to its samples.
    headers: u64,
    /// Whether the fragment before was short enough that one read covers several.
    dense: bool,
    /// Where the `moof` boxes of the first fragments start that are too long for that.
    distant: Vec<u64>,
    moof: u64,
    /// The fragment header that is being counted.
    header: Option<Header>,
    /// Number of fragments passed.
    passed: u32,
    index: Option<Bmff>,
    /// Tracks whose pixel format their first sample shows: index, ID, and kind of sample.
    samples: Vec<(usize, u32, Sample)>,
}

impl Fragments {
    /// Creates the walk over the fragments after a movie header, whose frames are added to those of its own sample
    /// table. Until the walk has finished, the count is unknown.
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
            header: None,
            passed: 0,
            index: None,
            samples,
        }
    }

    /// Returns where the first byte is that the walk still needs, besides the index.
    pub(super) fn reached(&self) -> u64 {
        match &self.header {
            // Samples are looked for in the whole header, once it has been counted.
            Some(header) if self.samples.is_empty() => header.at,
            _ => self.at,
        }
    }

    /// Returns where the part of the index is that may still be compared with the fragments.
    pub(super) fn index(&self) -> Option<(u64, u64)> {
        let index = self.index.filter(|_| self.distant.len() < MAP_AFTER)?;
        Some((index.at, index.end.min(index.at + MAX_INDEX)))
    }

    /// Continues as far as the known bytes allow.
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
                    return Err(malformed("box", found.at, "runs past the end of the file"));
                }
                // The recorder lost power here. The header still shows the number of samples, even if they are cut
                // off.
                self.cut = Some(found.end);
            }
            match &found.kind.0 {
                b"moof" if self.cut.is_none() => {
                    let track = self.track;
                    self.header.get_or_insert_with(|| Header::begin(found, track)).count(view)?;
                    self.look_at_samples(view, found, tracks)?;
                    let frames = self.header.take().map_or(0, |header| header.frames);
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

    /// Moves on to the fragment after these samples, or gives up if an index shows that there are too many.
    fn leap(&mut self, view: View<'_>, mdat: Bmff) -> Parse<()> {
        let len = mdat.end - self.begin;
        if len > DENSE && self.distant.len() < MAP_AFTER {
            self.distant.push(self.moof);
            if self.distant.len() == MAP_AFTER && view.size() / len > self.max_reads {
                let mapped = match self.count_by_map(view) {
                    // The index is requested again when this fragment is passed again.
                    Err(stop @ Stop::Need { .. }) => {
                        self.distant.pop();
                        return Err(stop);
                    }
                    // A damaged index is ignored; the count does not depend on it.
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

    /// Requests the missing bytes together with the headers of a fragment like the last one.
    fn ask(&self, view: View<'_>, at: u64, len: u64) -> Stop {
        let headers = (self.begin + self.headers).min(view.size()).saturating_sub(at);
        Stop::Hop { at, len: len.max(headers), dense: self.dense }
    }

    /// Reads the first samples of tracks whose pixel format is still unknown.
    fn look_at_samples(&mut self, view: View<'_>, moof: Bmff, tracks: &mut [VideoTrack]) -> Parse<()> {
        while let Some((place, id, sample)) = self.samples.last().copied()
            && let Some(at) = first_sample(view, moof, id)?
        {
            // Bytes that were passed are not read again.
            let shown = if at < moof.at { None } else { sample.shown(view, at)? };
            if let Some(track) = tracks.get_mut(place) {
                track.pixel_format = shown.map(Into::into);
            }
            self.samples.pop();
        }
        Ok(())
    }

    /// Returns the number of fragments in an index, if most of its first entries match the fragments passed.
    fn count_by_map(&self, view: View<'_>) -> Parse<Option<u64>> {
        // Bytes that were passed are not read again.
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

/// The content of an index: the number of fragments, and where the first of them start.
struct Map {
    count: u64,
    first: Vec<u64>,
}

/// Returns where the first sample of a track's first run in a fragment is (8.8.7 and 8.8.8).
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

/// Reads the flags of a full box (4.2.2).
fn flags(view: View<'_>, found: Bmff) -> Parse<u32> {
    Ok(u32::from_be_bytes(found.field(view, found.body, "box")?) & 0xFF_FFFF)
}

/// The count of a track's samples in one fragment's header (8.8.4), as far as it is known.
#[derive(Debug)]
struct Header {
    track: u32,
    moof: Bmff,
    /// The track fragment that is being read, and its samples so far, if it belongs to the track.
    traf: Option<(Bmff, u64)>,
    /// Where the next box starts.
    at: u64,
    frames: u64,
}

impl Header {
    fn begin(moof: Bmff, track: u32) -> Self {
        Self { track, moof, traf: None, at: moof.body, frames: 0 }
    }

    /// Continues as far as the known bytes allow.
    fn count(&mut self, view: View<'_>) -> Parse<()> {
        loop {
            let parent = self.traf.map_or(self.moof, |(traf, _)| traf);
            let Some(found) = Boxes::new(view, self.at, parent.end).next()? else {
                let Some((traf, frames)) = self.traf.take() else { return Ok(()) };
                self.frames = self.frames.saturating_add(frames);
                self.at = traf.end;
                continue;
            };
            match (&mut self.traf, &found.kind.0) {
                (None, b"traf") => {
                    (self.traf, self.at) = (Some((found, 0)), found.body);
                    continue;
                }
                (Some((traf, _)), b"tfhd") => {
                    let (_, body) = found.full(view, "track fragment header")?;
                    let track = u32::from_be_bytes(found.field(view, body, "track fragment header")?);
                    if track != self.track {
                        self.at = traf.end;
                        self.traf = None;
                        continue;
                    }
                }
                (Some((_, frames)), b"trun") => {
                    let (_, body) = found.full(view, "track run")?;
                    let samples = u32::from_be_bytes(found.field(view, body, "track run")?);
                    *frames = frames.saturating_add(samples.into());
                }
                _ => {}
            }
            self.at = found.end;
        }
    }
}

/// Reads a segment index (8.16.3), which lists the lengths of the fragments after it. An index that refers to other
/// indexes lists no fragments.
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

/// Reads the random access index at the end of the file (8.8.9 to 8.8.11), which lists where fragments start. Its
/// last box, `mfro`, ends in the index's length.
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
mod tests;

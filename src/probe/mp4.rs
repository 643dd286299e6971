//! MP4, QuickTime and 3GPP: brands, video tracks, frames (ISO/IEC 14496-12).

use super::bmff::{Bmff, Boxes};
use super::sample::Sample;
use super::view::{Parse, Stop, View, malformed};
use super::{codec, fragments};
use crate::model::{Facts, FourCc, Gap, Video, VideoTrack};

/// Compatible brands that are kept; real files name up to some twelve.
const MAX_BRANDS: u64 = 64;
/// Runs of the time-to-sample table that are added up: 4 KiB. A table that is longer belongs to a variable frame
/// rate, and then the sample size table's count is taken, which needs no table.
const MAX_TIME_RUNS: u64 = 512;
/// Edits of a track that are looked at. Editors write one or two.
const MAX_EDITS: u64 = 64;
/// Chapter tracks that are remembered.
const MAX_CHAPTER_TRACKS: usize = 64;
/// Video tracks that are kept. Multi-camera files have up to nine.
const MAX_VIDEO_TRACKS: usize = 64;

/// Walks the top level to the first `ftyp` and the first `moov`, wherever they are, and reads them.
pub(super) fn read(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let video = facts.video.insert(Box::default());
    let mut boxes = Boxes::new(view, 0, view.size());
    let mut movie = None;
    let mut brand_seen = false;
    while movie.is_none() || !brand_seen {
        match boxes.next() {
            Ok(Some(found)) if found.is(b"ftyp") && !brand_seen => {
                brand_seen = true;
                brands(view, found, video)?;
            }
            Ok(Some(found)) if found.is(b"moov") && movie.is_none() => movie = Some(found),
            Ok(Some(_)) => {}
            Ok(None) => break,
            // A file whose movie header is found is judged by it, whatever damage follows.
            Err(Stop::Malformed(_)) if movie.is_some() => break,
            Err(stop) => return Err(stop),
        }
    }
    let Some(movie) = movie else {
        return Err(malformed("file", 0, "has no movie header (moov)"));
    };
    let read = read_movie(view, movie, video);
    if let Some(first) = video.tracks.first() {
        (facts.width, facts.height) = (first.width, first.height);
    }
    match read? {
        Some(first) => fragments::count(view, movie, first, video),
        None => Ok(()),
    }
}

/// The major and compatible brands (4.3).
fn brands(view: View<'_>, ftyp: Bmff, video: &mut Video) -> Parse<()> {
    if ftyp.end - ftyp.body < 8 {
        return Err(malformed("file type box", ftyp.at, "is too short for a brand"));
    }
    video.major_brand = Some(FourCc(ftyp.field(view, ftyp.body, "file type box")?));
    let len = (ftyp.end - ftyp.body - 8).min(MAX_BRANDS * 4);
    let list = view.bytes(ftyp.body + 8, len, "file type box")?;
    video.compatible_brands = list.as_chunks().0.iter().map(|brand| FourCc(*brand)).collect();
    Ok(())
}

/// What a track says before it is known whether it counts.
struct Track {
    id: u32,
    video: VideoTrack,
}

/// Reads a movie header; for a fragmented file it gives back the number of the first video track.
fn read_movie(view: View<'_>, movie: Bmff, video: &mut Video) -> Parse<Option<u32>> {
    // Edits are measured in its units. It should be the first box, but need not be (6.2.3).
    let timescale = match Boxes::inside(view, movie).find(b"mvhd")? {
        Some(header) => clock(view, header, "movie header")?.0,
        None => 0,
    };
    let mut boxes = Boxes::inside(view, movie);
    let mut fragmented = false;
    let mut chapters: Vec<u32> = Vec::new();
    let mut tracks: Vec<Track> = Vec::new();
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"cmov" => return Err(Stop::Gap(Gap::CompressedHeader)),
            b"mvex" => fragmented = true,
            b"trak" if tracks.len() < MAX_VIDEO_TRACKS => {
                tracks.extend(read_track(view, found, timescale, &mut chapters)?);
            }
            _ => {}
        }
    }
    // A video track that another one names as its chapters holds their pictures: ffprobe calls it an attached picture.
    tracks.retain(|track| !chapters.contains(&track.id));
    let first = tracks.first().map(|track| track.id).filter(|_| fragmented);
    video.tracks = tracks.into_iter().map(|track| track.video).collect();
    Ok(first)
}

/// Reads a video track; `None` for a track of another kind.
fn read_track(
    view: View<'_>,
    trak: Bmff,
    movie_timescale: u32,
    chapters: &mut Vec<u32>,
) -> Parse<Option<Track>> {
    let (mut id, mut edits, mut media) = (0, None, None);
    let mut boxes = Boxes::inside(view, trak);
    // What counts lies in front of the media box, or right behind it.
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"tkhd" => id = track_id(view, found)?,
            b"edts" => edits = Boxes::inside(view, found).find(b"elst")?,
            b"tref" => read_chapters(view, found, chapters)?,
            b"mdia" => media = Some(found),
            _ => {}
        }
    }
    let Some(media) = media else {
        return Err(malformed("track", trak.at, "has no media box (mdia)"));
    };
    let Some((timescale, duration, information)) = read_media(view, media)? else { return Ok(None) };
    let table = Boxes::inside(view, information).find(b"stbl")?;
    let Some(table) = table else {
        return Err(malformed("track", trak.at, "has no sample table (stbl)"));
    };
    let edits = match edits {
        Some(list) => Edits::read(view, list, movie_timescale, timescale)?,
        None => None,
    };
    let mut video = read_samples(view, table, edits.as_ref())?;
    let duration = match (&edits, duration) {
        (Some(edits), Some(duration)) => Some(edits.length().min(duration)),
        (_, duration) => duration,
    };
    video.duration_s = match (timescale, duration) {
        (0, _) | (_, None | Some(0)) => None,
        (timescale, Some(duration)) => Some(duration as f64 / f64::from(timescale)),
    };
    Ok(Some(Track { id, video }))
}

/// The track's number (8.3.2).
fn track_id(view: View<'_>, tkhd: Bmff) -> Parse<u32> {
    let (version, body) = tkhd.full(view, "track header")?;
    let at = if version == 1 { body + 16 } else { body + 8 };
    Ok(u32::from_be_bytes(tkhd.field(view, at, "track header")?))
}

/// The tracks that a track names as its chapters (QuickTime File Format, "Chapter lists").
fn read_chapters(view: View<'_>, tref: Bmff, chapters: &mut Vec<u32>) -> Parse<()> {
    if let Some(list) = Boxes::inside(view, tref).find(b"chap")? {
        let len = (list.end - list.body).min(4 * MAX_CHAPTER_TRACKS as u64);
        let ids = view.bytes(list.body, len, "track reference")?;
        let room = MAX_CHAPTER_TRACKS.saturating_sub(chapters.len());
        chapters.extend(ids.as_chunks().0.iter().take(room).map(|id| u32::from_be_bytes(*id)));
    }
    Ok(())
}

/// Timescale and duration of a movie or media header (8.2.2, 8.4.2); all ones in the duration mean unknown.
fn clock(view: View<'_>, header: Bmff, part: &'static str) -> Parse<(u32, Option<u64>)> {
    let (version, body) = header.full(view, part)?;
    Ok(if version == 1 {
        let timescale = u32::from_be_bytes(header.field(view, body + 16, part)?);
        let duration = u64::from_be_bytes(header.field(view, body + 20, part)?);
        (timescale, (duration != u64::MAX).then_some(duration))
    } else {
        let timescale = u32::from_be_bytes(header.field(view, body + 8, part)?);
        let duration = u32::from_be_bytes(header.field(view, body + 12, part)?);
        (timescale, (duration != u32::MAX).then_some(u64::from(duration)))
    })
}

/// Timescale, duration and `minf` of a media box of video; `None` for any other. The handler says what it is (8.4.3);
/// where it is none of those that readers know, the video media header does (12.1.2).
fn read_media(view: View<'_>, media: Bmff) -> Parse<Option<(u32, Option<u64>, Bmff)>> {
    let mut boxes = Boxes::inside(view, media);
    let (mut timing, mut is_video, mut information) = (None, None, None);
    while is_video.is_none() || timing.is_none() || information.is_none() {
        let Some(found) = boxes.next()? else { break };
        match &found.kind.0 {
            b"mdhd" => timing = Some(clock(view, found, "media header")?),
            b"hdlr" => match &found.field(view, found.full(view, "handler")?.1 + 4, "handler")? {
                b"vide" => is_video = Some(true),
                b"soun" | b"text" | b"sbtl" | b"subt" | b"hint" | b"meta" | b"tmcd" => return Ok(None),
                _ => is_video = Some(false),
            },
            b"minf" => information = Some(found),
            _ => {}
        }
    }
    let (timescale, duration) = timing.unwrap_or((0, None));
    match (is_video, information) {
        (Some(true), Some(information)) => Ok(Some((timescale, duration, information))),
        (Some(true), None) => Err(malformed("media box", media.at, "has no media information (minf)")),
        (_, Some(information)) => {
            let header = Boxes::inside(view, information).find(b"vmhd")?;
            Ok(header.map(|_| (timescale, duration, information)))
        }
        (_, None) => Ok(None),
    }
}

/// Reads what a sample table says of codec and frames.
fn read_samples(view: View<'_>, table: Bmff, edits: Option<&Edits>) -> Parse<VideoTrack> {
    let mut boxes = Boxes::inside(view, table);
    let mut track = VideoTrack::default();
    let (mut described, mut sample, mut times, mut shift, mut count, mut chunks) =
        (false, None, None::<Times<'_>>, None, None, None);
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"stsd" => {
                sample = codec::read(view, found, &mut track)?;
                described = true;
            }
            b"stts" => times = Times::read(view, found)?,
            b"ctts" => shift = Some(first_offset(view, found)?),
            // The count is at the same place in both forms of the table (8.7.3).
            b"stsz" | b"stz2" => {
                let at = found.full(view, "sample size table")?.1 + 4;
                count = Some(u64::from(u32::from_be_bytes(found.field(view, at, "sample size table")?)));
            }
            b"stco" | b"co64" => chunks = Some(found),
            _ => {}
        }
        // The rest of the table is where the bytes are, and mostly none of it is needed.
        let counted = times.as_ref().is_some_and(|times| match times.runs {
            Some(_) => edits.is_none() || shift.is_some(),
            None => count.is_some(),
        });
        if described && counted && (chunks.is_some() || sample.is_none()) {
            break;
        }
    }
    check_promises(view, table)?;
    if let (Some(sample), Some(chunks)) = (sample, chunks) {
        track.pixel_format = in_first_sample(view, chunks, sample)?.map(Into::into);
    }
    if !described {
        return Err(malformed("sample table", table.at, "has no sample descriptions (stsd)"));
    }
    let times =
        times.ok_or_else(|| malformed("sample table", table.at, "has no time-to-sample table (stts)"))?;
    match times.runs {
        Some(runs) => {
            track.frames = Some(frames_in(runs));
            track.frames_presented = match edits {
                Some(edits) => Some(edits.presented(runs, shift.unwrap_or(0))),
                None => track.frames,
            };
            // Frames of uneven length that are shown in another order than stored begin at times that only the whole
            // composition table would tell.
            if shift.is_some() && runs.len() > 1 && track.frames_presented != track.frames {
                track.frames_presented = None;
            }
        }
        None => track.frames = count,
    }
    if track.frames.is_none() {
        return Err(Stop::Gap(Gap::Frames));
    }
    Ok(track)
}

/// Refuses tables that promise more than there is, as far as they have been read anyway: most files have the long ones at
/// the end, where nothing else is needed.
fn check_promises(view: View<'_>, table: Bmff) -> Parse<()> {
    let mut boxes = Boxes::inside(view, table);
    while let Ok(Some(found)) = boxes.next() {
        match check_promise(view, found) {
            Err(Stop::Need { .. }) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Refuses a table with more entries than the file has room for. ffprobe does so too, and takes one that is merely longer
/// than its box; only the sample-to-chunk table makes no sense to it then.
fn check_promise(view: View<'_>, found: Bmff) -> Parse<()> {
    const PART: &str = "sample table";
    // Behind version and flags: the number of entries and they themselves (8.6.1, 8.6.2, 8.7.4, 8.7.5).
    let (at, entry_len, end) = match &found.kind.0 {
        b"ctts" | b"co64" => (found.body + 4, 8, view.size()),
        b"stco" | b"stss" => (found.body + 4, 4, view.size()),
        b"stsc" => (found.body + 4, 12, found.end),
        // Sizes are listed only where they are not all the same (8.7.3.2).
        b"stsz" => match found.field(view, found.body + 4, PART)? {
            [0, 0, 0, 0] => (found.body + 8, 4, view.size()),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let count = u64::from(u32::from_be_bytes(found.field(view, at, PART)?));
    match at + 4 + count * entry_len <= end {
        true => Ok(()),
        false => Err(malformed(PART, found.at, "has more entries than there is room for")),
    }
}

/// The pixel format that the first sample shows, which lies where the first chunk begins (8.7.5).
fn in_first_sample(view: View<'_>, chunks: Bmff, sample: Sample) -> Parse<Option<&'static str>> {
    let (_, body) = chunks.full(view, "chunk offset table")?;
    if u32::from_be_bytes(chunks.field(view, body, "chunk offset table")?) == 0 {
        return Ok(None);
    }
    let at = match chunks.is(b"co64") {
        true => u64::from_be_bytes(chunks.field(view, body + 4, "chunk offset table")?),
        false => u64::from(u32::from_be_bytes(chunks.field(view, body + 4, "chunk offset table")?)),
    };
    match sample.pixel_format(view, at) {
        // A sample that is damaged shows nothing; the header says all the rest.
        Err(Stop::Malformed(_)) => Ok(None),
        other => other,
    }
}

/// The time-to-sample table (8.6.1.2): runs of (count, duration), `None` when it is too long to be read.
struct Times<'a> {
    runs: Option<&'a [[u8; 8]]>,
}

impl<'a> Times<'a> {
    fn read(view: View<'a>, stts: Bmff) -> Parse<Option<Self>> {
        let (_, body) = stts.full(view, "time-to-sample table")?;
        let entries = u64::from(u32::from_be_bytes(stts.field(view, body, "time-to-sample table")?));
        if body + 4 + entries * 8 > stts.end {
            return Err(malformed("time-to-sample table", stts.at, "has fewer entries than it says"));
        }
        let runs = match entries <= MAX_TIME_RUNS {
            true => Some(view.bytes(body + 4, entries * 8, "time-to-sample table")?.as_chunks().0),
            false => None,
        };
        Ok(Some(Self { runs }))
    }
}

/// Samples and duration, in units of the track's timescale, of one run.
fn run(bytes: &[u8; 8]) -> (u64, u64) {
    let [c0, c1, c2, c3, d0, d1, d2, d3] = *bytes;
    (u64::from(u32::from_be_bytes([c0, c1, c2, c3])), u64::from(u32::from_be_bytes([d0, d1, d2, d3])))
}

fn frames_in(runs: &[[u8; 8]]) -> u64 {
    runs.iter().map(|bytes| run(bytes).0).sum()
}

/// The composition offset of the first sample (8.6.1.3): by so much are all frames shown later than decoded.
fn first_offset(view: View<'_>, ctts: Bmff) -> Parse<i64> {
    let (_, body) = ctts.full(view, "composition offset table")?;
    if ctts.end - body < 12 {
        return Ok(0);
    }
    Ok(i64::from(i32::from_be_bytes(ctts.field(view, body + 8, "composition offset table")?)))
}

/// The edits of a track that show something (8.6.6): start and end, in units of the track's timescale. A length of 64
/// bits in units of the movie's timescale can take 96 in those.
struct Edits(Vec<(i128, i128)>);

impl Edits {
    /// Reads an edit list; `None` for one that does not tell what is presented.
    fn read(view: View<'_>, list: Bmff, movie_timescale: u32, timescale: u32) -> Parse<Option<Self>> {
        let (version, body) = list.full(view, "edit list")?;
        let entries = u64::from(u32::from_be_bytes(list.field(view, body, "edit list")?));
        let step = if version == 1 { 20 } else { 12 };
        if entries == 0 || entries > MAX_EDITS || movie_timescale == 0 || body + 4 + entries * step > list.end
        {
            return Ok(None);
        }
        let mut edits = Vec::new();
        for index in 0..entries {
            let at = body + 4 + index * step;
            let (duration, start) = match version {
                1 => {
                    let start = i64::from_be_bytes(list.field(view, at + 8, "edit list")?);
                    (u64::from_be_bytes(list.field(view, at, "edit list")?), start)
                }
                _ => {
                    let start = i32::from_be_bytes(list.field(view, at + 4, "edit list")?);
                    (u64::from(u32::from_be_bytes(list.field(view, at, "edit list")?)), i64::from(start))
                }
            };
            match (start, duration) {
                // An empty edit shows nothing for a while.
                (..0, _) => {}
                // An edit without a length shows the rest, as fragmented files have it.
                (_, 0) => return Ok(None),
                _ => {
                    let length = u128::from(duration) * u128::from(timescale);
                    let length = length.div_ceil(u128::from(movie_timescale)) as i128;
                    edits.push((i128::from(start), i128::from(start) + length));
                }
            }
        }
        Ok(Some(Self(edits)))
    }

    /// Frames whose presentation begins in an edit, when the first one is shown `shift` after it is decoded.
    fn presented(&self, runs: &[[u8; 8]], shift: i64) -> u64 {
        let frames = self.0.iter().map(|(start, end)| frames_between(runs, shift, *start, *end));
        frames.fold(0, u64::saturating_add)
    }

    /// How long all edits take together.
    fn length(&self) -> u64 {
        let length: i128 = self.0.iter().map(|(start, end)| end - start).sum();
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

/// Frames of which the presentation begins from `start` on and before `end`, in units of the track's timescale.
fn frames_between(runs: &[[u8; 8]], shift: i64, start: i128, end: i128) -> u64 {
    let mut time = i128::from(shift);
    let mut frames = 0;
    for bytes in runs {
        let (count, duration) = run(bytes);
        let (count, duration) = (i128::from(count), i128::from(duration));
        let before = |limit: i128| match duration {
            0 if time < limit => count,
            0 => 0,
            _ => ((limit - time).max(0) + duration - 1).div_euclid(duration).min(count),
        };
        frames += before(end) - before(start);
        time += count * duration;
    }
    u64::try_from(frames).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::view::Store;
    use bytes::Bytes;

    fn runs(list: &[(u32, u32)]) -> Vec<[u8; 8]> {
        let bytes = |(count, duration): &(u32, u32)| {
            let (count, duration) = (count.to_be_bytes(), duration.to_be_bytes());
            [count[0], count[1], count[2], count[3], duration[0], duration[1], duration[2], duration[3]]
        };
        list.iter().map(bytes).collect()
    }

    #[test]
    fn frames_are_counted_by_the_time_they_begin() {
        let even = runs(&[(90, 512)]);
        assert_eq!(frames_between(&even, 0, 0, 90 * 512), 90);
        assert_eq!(frames_between(&even, 0, 15 * 512, 90 * 512), 75);
        assert_eq!(frames_between(&even, 1024, 1024, 1024 + 90 * 512), 90, "shifted by reordering");
        assert_eq!(frames_between(&even, 0, 0, 89 * 512 + 1), 90, "an end that was rounded down");
        let uneven = runs(&[(10, 100), (5, 0), (10, 50)]);
        assert_eq!(frames_between(&uneven, 0, 500, 1100), 5 + 5 + 2);
        assert_eq!(frames_in(&uneven), 25);
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

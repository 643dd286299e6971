//! The movie header: the video tracks and their properties (ISO/IEC 14496-12, 8.2 to 8.5).

use smallvec::SmallVec;

use super::bmff::{Bmff, Boxes};
use super::codec;
use super::edits::Edits;
use super::sample::Sample;
use super::table;
use super::view::{Parse, Stop, View, malformed};
use crate::model::{Gap, Mirror, VideoTrack};

/// Maximum chapter tracks remembered.
const MAX_CHAPTER_TRACKS: usize = 64;
/// Maximum video tracks kept. Multi-camera files have up to nine.
const MAX_VIDEO_TRACKS: usize = 64;
/// Maximum sample descriptions that ffmpeg accepts.
const MAX_DESCRIPTIONS: u64 = 1024;

/// The content of a movie header.
pub(super) struct Movie {
    pub(super) tracks: SmallVec<[VideoTrack; 1]>,
    /// The rotation of the first track in degrees counterclockwise, and its mirroring.
    pub(super) rotation: Option<u16>,
    pub(super) mirror: Option<Mirror>,
    /// The ID of the first video track, if the file continues in fragments.
    pub(super) fragmented: Option<u32>,
    /// Tracks whose pixel format only a sample in a fragment would show: index in `tracks`, ID, and kind of sample.
    pub(super) samples: Vec<(usize, u32, Sample)>,
}

/// The content of a track before it is known whether it counts.
struct Track {
    id: u32,
    matrix: Option<[i32; 4]>,
    /// Set for a track that has no samples of its own to show its pixel format.
    sample: Option<Sample>,
    video: VideoTrack,
}

/// Reads a movie header.
pub(super) fn read_movie(view: View<'_>, movie: Bmff) -> Parse<Movie> {
    // Edits use its timescale. It should be the first box, but need not be (6.2.3).
    let (timescale, matrix) = match Boxes::lenient(view, movie).find(b"mvhd")? {
        Some(header) => {
            let (version, body) = header.full(view, "movie header")?;
            (
                clock(view, header, "movie header")?.0,
                matrix(view, header, body + if version == 1 { 44 } else { 32 })?,
            )
        }
        None => (0, None),
    };
    let mut boxes = Boxes::lenient(view, movie);
    let mut is_fragmented = false;
    let mut chapters: Vec<u32> = Vec::new();
    let mut tracks: SmallVec<[Track; 1]> = SmallVec::new();
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"cmov" => return Err(Stop::Gap(Gap::CompressedHeader)),
            b"mvex" => is_fragmented = true,
            b"trak" if tracks.len() < MAX_VIDEO_TRACKS => {
                tracks.extend(read_track(view, found, timescale, &mut chapters)?);
            }
            _ => {}
        }
    }
    // A video track that another track references as its chapters contains chapter images: ffprobe calls it an
    // attached picture.
    tracks.retain(|track| !chapters.contains(&track.id));
    let first = tracks.first();
    let (rotation, mirror) = first.map_or((None, None), |first| turn(first.matrix, matrix));
    let fragmented = first.map(|first| first.id).filter(|_| is_fragmented);
    let samples = tracks.iter().enumerate();
    let samples = samples.filter_map(|(index, track)| Some((index, track.id, track.sample?))).collect();
    let tracks = tracks.into_iter().map(|track| track.video).collect();
    Ok(Movie { tracks, rotation, mirror, fragmented, samples })
}

/// Reads a video track; `None` for a track of another kind and for one without media, which players ignore.
fn read_track(
    view: View<'_>,
    trak: Bmff,
    movie_timescale: u32,
    chapters: &mut Vec<u32>,
) -> Parse<Option<Track>> {
    let (mut id, mut turned, mut edits, mut media) = (0, None, None, None);
    let mut boxes = Boxes::lenient(view, trak);
    // The relevant boxes come before the media box, or directly after it.
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"tkhd" => {
                let (version, body) = found.full(view, "track header")?;
                let wide = if version == 1 { 12 } else { 0 };
                let at = if version == 1 { body + 16 } else { body + 8 };
                id = u32::from_be_bytes(found.field(view, at, "track header")?);
                turned = matrix(view, found, body + 36 + wide)?;
            }
            b"edts" => edits = Boxes::lenient(view, found).find(b"elst")?,
            b"tref" => read_chapters(view, found, chapters)?,
            b"mdia" => media = Some(found),
            _ => {}
        }
    }
    let Some(media) = media else { return Ok(None) };
    let Some(Media { timescale, duration, table }) = read_media(view, media)? else { return Ok(None) };
    let edits = match edits {
        Some(list) => Edits::read(view, list, movie_timescale, timescale)?,
        None => None,
    };
    let (mut video, sample) = table::read(view, table, edits.as_ref(), duration)?;
    let duration = match (&edits, duration) {
        (Some(edits), Some(duration)) => Some(edits.length().min(duration)),
        (_, duration) => duration,
    };
    video.duration_s = match (timescale, duration) {
        (0, _) | (_, None | Some(0)) => None,
        (timescale, Some(duration)) => Some(duration as f64 / f64::from(timescale)),
    };
    Ok(Some(Track { id, matrix: turned, sample, video }))
}

/// Returns the tracks that a track references as its chapters (QuickTime File Format, "Chapter lists").
fn read_chapters(view: View<'_>, tref: Bmff, chapters: &mut Vec<u32>) -> Parse<()> {
    if let Some(list) = Boxes::lenient(view, tref).find(b"chap")? {
        let len = (list.end - list.body).min(4 * MAX_CHAPTER_TRACKS as u64);
        let ids = view.bytes(list.body, len, "track reference")?;
        let room = MAX_CHAPTER_TRACKS.saturating_sub(chapters.len());
        chapters.extend(ids.as_chunks().0.iter().take(room).map(|id| u32::from_be_bytes(*id)));
    }
    Ok(())
}

/// Reads timescale and duration from a movie or media header (8.2.2, 8.4.2); a duration of all ones means unknown.
fn clock(view: View<'_>, header: Bmff, part: &'static str) -> Parse<(u32, Option<u64>)> {
    // Two times of change come first. With version 1, they and the duration have 64 bits.
    let [version, _, _, _, _, _, _, _, _, _, _, _, t0, t1, t2, t3, d0, d1, d2, d3] =
        header.field::<20>(view, header.body, part)?;
    if version == 1 {
        let timescale = u32::from_be_bytes(header.field(view, header.body + 20, part)?);
        let duration = u64::from_be_bytes(header.field(view, header.body + 24, part)?);
        return Ok((timescale, (duration != u64::MAX).then_some(duration)));
    }
    let (timescale, duration) = (u32::from_be_bytes([t0, t1, t2, t3]), u32::from_be_bytes([d0, d1, d2, d3]));
    Ok((timescale, (duration != u32::MAX).then_some(u64::from(duration))))
}

/// Reads the rotation and scaling of a matrix (6.2.2) as a, b, c and d of x' = ax + cy, y' = bx + dy; `None` if the
/// header is too short for one.
fn matrix(view: View<'_>, header: Bmff, at: u64) -> Parse<Option<[i32; 4]>> {
    if at + 20 > header.end {
        return Ok(None);
    }
    let rows: [u8; 20] = header.field(view, at, "matrix")?;
    let number = |at: usize| i32::from_be_bytes([rows[at], rows[at + 1], rows[at + 2], rows[at + 3]]);
    Ok(Some([number(0), number(4), number(12), number(16)]))
}

/// Returns how the matrices of a track and of the movie together turn the picture: degrees counterclockwise, and
/// mirroring.
fn turn(track: Option<[i32; 4]>, movie: Option<[i32; 4]>) -> (Option<u16>, Option<Mirror>) {
    let identity = [1 << 16, 0, 0, 1 << 16];
    let [a, b, c, d] = track.unwrap_or(identity).map(f64::from);
    let [e, f, g, h] = movie.unwrap_or(identity).map(f64::from);
    let [a, b, c, d] = [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
    let determinant = a * d - b * c;
    if determinant == 0.0 {
        return (None, None);
    }
    // A mirrored picture is treated as rotated first, then flipped horizontally.
    let is_mirrored = determinant < 0.0;
    let (x, y) = if is_mirrored { (-a, b) } else { (a, b) };
    // The y axis points down, so the angle is clockwise.
    let clockwise = y.atan2(x).to_degrees().round() as i32;
    let clockwise = if is_mirrored { -clockwise } else { clockwise };
    match (is_mirrored, (-clockwise).rem_euclid(360) as u16) {
        (false, 0) => (None, None),
        (false, degrees) => (Some(degrees), None),
        (true, 0) => (None, Some(Mirror::Vertical)),
        (true, 180) => (None, Some(Mirror::Horizontal)),
        (true, degrees) => (Some(degrees), Some(Mirror::Vertical)),
    }
}

/// The media box of a video track.
struct Media {
    timescale: u32,
    duration: Option<u64>,
    table: Bmff,
}

/// Returns the handler type of a media box (8.4.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handler {
    Video,
    Sound,
    Other,
}

/// Reads a media box; `None` if it isn't video. Like ffmpeg, it treats every track with a video sample entry as
/// video, except for audio tracks.
fn read_media(view: View<'_>, media: Bmff) -> Parse<Option<Media>> {
    let mut boxes = Boxes::lenient(view, media);
    let (mut timing, mut handler, mut information) = (None, None, None);
    while handler.is_none() || timing.is_none() || information.is_none() {
        let Some(found) = boxes.next()? else { break };
        match &found.kind.0 {
            b"mdhd" => timing = Some(clock(view, found, "media header")?),
            b"hdlr" => {
                // After version and flags, and four bytes of zeros.
                let [_, _, _, _, _, _, _, _, kind @ ..] = found.field::<12>(view, found.body, "handler")?;
                handler = Some(match &kind {
                    b"vide" => Handler::Video,
                    b"soun" => Handler::Sound,
                    _ => Handler::Other,
                });
            }
            b"minf" => information = Some(found),
            _ => {}
        }
    }
    let is_video = handler == Some(Handler::Video);
    let missing = |what| match is_video {
        true => Err(malformed("media box", media.at, what)),
        false => Ok(None),
    };
    let Some(information) = information else { return missing("has no media information (minf)") };
    let Some(table) = Boxes::lenient(view, information).find(b"stbl")? else {
        return missing("has no sample table (stbl)");
    };
    let Some(descriptions) = Boxes::lenient(view, table).find(b"stsd")? else {
        return missing("has no sample descriptions (stsd)");
    };
    let first = first_description(view, descriptions)?;
    let (timescale, duration) = timing.unwrap_or((0, None));
    let media = Media { timescale, duration, table };
    let is_video =
        is_video || (handler != Some(Handler::Sound) && first.is_some_and(|kind| codec::is_video(&kind)));
    if !is_video {
        table::check_promises(view, table)?;
    }
    Ok(is_video.then_some(media))
}

/// Returns the type of the first sample description. ffmpeg and browsers reject the whole file if the number of
/// descriptions is impossible, whatever kind the track is.
fn first_description(view: View<'_>, stsd: Bmff) -> Parse<Option<[u8; 4]>> {
    const PART: &str = "sample descriptions";
    // The count comes after version and flags, and the entry's size before its type.
    let [_, _, _, _, c0, c1, c2, c3] = stsd.field::<8>(view, stsd.body, PART)?;
    let count = u64::from(u32::from_be_bytes([c0, c1, c2, c3]));
    if count == 0 {
        return Err(malformed(PART, stsd.at, "have no entries"));
    }
    if count > MAX_DESCRIPTIONS || count > (stsd.end - stsd.body) / 8 {
        return Err(malformed(PART, stsd.at, "have too many entries"));
    }
    Ok(Some(stsd.field(view, stsd.body + 12, PART)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_turn_and_mirror() {
        const ONE: i32 = 1 << 16;
        let turned = |a, b, c, d| turn(Some([a, b, c, d].map(|sign: i32| sign * ONE)), None);
        assert_eq!(turned(1, 0, 0, 1), (None, None));
        assert_eq!(
            turned(0, 1, -1, 0),
            (Some(270), None),
            "a quarter clockwise, as phones held upright write it"
        );
        assert_eq!(turned(-1, 0, 0, -1), (Some(180), None));
        assert_eq!(turned(0, -1, 1, 0), (Some(90), None));
        assert_eq!(turned(-1, 0, 0, 1), (None, Some(Mirror::Vertical)));
        assert_eq!(turned(1, 0, 0, -1), (None, Some(Mirror::Horizontal)));
        assert_eq!(turned(0, 0, 0, 0), (None, None));
        let quarter = Some([0, ONE, -ONE, 0]);
        assert_eq!(turn(quarter, quarter), (Some(180), None), "the movie's turns it once more");
    }
}

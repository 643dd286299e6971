//! Matroska and WebM (RFC 9559; EBML: RFC 8794).

use std::borrow::Cow;

use super::{Found, PICTURES, at, codecs, ratio, usual_rate, wished};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View, malformed};

const PART: &str = "Matroska element";
/// Elements (RFC 9559, 5.1).
const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114D_9B74;
const SEEK: u32 = 0x4DBB;
const SEEK_ID: u32 = 0x53AB;
const SEEK_POSITION: u32 = 0x53AC;
const INFO: u32 = 0x1549_A966;
const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
const DURATION: u32 = 0x4489;
const WRITING_APP: u32 = 0x5741;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_UID: u32 = 0x73C5;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63A2;
const DEFAULT_DURATION: u32 = 0x23_E383;
const VIDEO: u32 = 0xE0;
const PIXEL_WIDTH: u32 = 0xB0;
const PIXEL_HEIGHT: u32 = 0xBA;
const CONTENT_ENCRYPTION: u32 = 0x5035;
const CONTENT_ENCODINGS: u32 = 0x6D80;
const CONTENT_ENCODING: u32 = 0x6240;
const TAGS: u32 = 0x1254_C367;
const TAG: u32 = 0x7373;
const TARGETS: u32 = 0x63C0;
const TAG_TRACK_UID: u32 = 0x63C5;
const SIMPLE_TAG: u32 = 0x67C8;
const TAG_NAME: u32 = 0x45A3;
const TAG_STRING: u32 = 0x4487;
const CLUSTER: u32 = 0x1F43_B675;
const TIMESTAMP: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const EBML_HEADER: u32 = 0x1A45_DFA3;

/// Maximum bytes compared of a text: names of tags, codecs and programs are shorter.
const MAX_TEXT: u64 = 256;
const NANOSECONDS: f64 = 1e9;

/// Reads what comes before the first cluster, and the tags, which may be at the end of the file.
///
/// Frames are exact where the muxer wrote its statistics (`NUMBER_OF_FRAMES`), and no other program has written the
/// file since. Otherwise the duration and the default duration of a frame give a bound; without the latter, the times of
/// the first frames show it.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    let segment = segment(view)?;
    found.end = Some(segment.stated_end).filter(|end| *end > view.size());
    let mut movie = Movie { scale: 1_000_000, ..Movie::default() };
    let mut has_tags = false;
    let mut elements = Elements { view, at: segment.body, end: segment.end };
    // If the file ends here, what was found is all there is.
    let mut cluster = None;
    while let Some(element) = elements.next()?.filter(|_| cluster.is_none()) {
        match element.id {
            CLUSTER => cluster = Some(element),
            SEEK_HEAD => movie.tags_at = seek(view, element)?.map(|at| segment.body.saturating_add(at)),
            INFO => movie.information(view, element)?,
            TRACKS => movie.tracks(view, element)?,
            TAGS => {
                has_tags = true;
                movie.tags(view, element)?;
            }
            _ => {}
        }
        movie.tell(found);
    }
    // Tags behind the tracks are in place; others are where the header says.
    if let Some(at) = movie.tags_at.filter(|_| !has_tags && found.track.is_some()) {
        let mut elements = Elements { view, at, end: segment.end };
        if let Some(tags) = wished(elements.next())?.filter(|tags| tags.id == TAGS) {
            wished(movie.tags(view, tags))?;
        }
        movie.tell(found);
    }
    if let Some(cluster) = cluster.filter(|_| movie.lacks_rate()) {
        movie.show_rate(view, cluster)?;
        movie.tell(found);
    }
    Ok(())
}

/// Returns the segment, the second element of a file.
fn segment(view: View<'_>) -> Parse<Element> {
    let mut elements = Elements { view, at: 0, end: view.size() };
    while let Some(element) = elements.next()? {
        match element.id {
            SEGMENT => return Ok(element),
            EBML_HEADER => {}
            _ => break,
        }
    }
    Err(malformed("Matroska file", 0, "has no segment"))
}

/// An element: its ID, and the range of its content. An unknown size reaches to the end of its parent (RFC 8794, 6.2).
#[derive(Clone, Copy)]
struct Element {
    id: u32,
    body: u64,
    /// Where it ends, and where it would end if its parent were long enough.
    end: u64,
    stated_end: u64,
}

/// Consecutive elements.
struct Elements<'a> {
    view: View<'a>,
    at: u64,
    end: u64,
}

impl<'a> Elements<'a> {
    fn inside(view: View<'a>, parent: Element) -> Self {
        Self { view, at: parent.body, end: parent.end }
    }

    fn next(&mut self) -> Parse<Option<Element>> {
        let at = self.at;
        if at >= self.end {
            return Ok(None);
        }
        let (id, id_len) = self.number(at, 4)?;
        let (size, size_len) = self.number(at + id_len, 8)?;
        let body = at + id_len + size_len;
        let ones = (1u64 << (7 * size_len)) - 1;
        // Without the bit that shows its own length, a size of all ones is unknown.
        let stated_end = match size & ones {
            size if size == ones => self.end,
            size => body.saturating_add(size),
        };
        let end = stated_end.min(self.end).max(body);
        self.at = end;
        Ok(Some(Element { id: id as u32, body, end, stated_end }))
    }

    /// Reads a number with the bit that shows its length, and returns that length (RFC 8794, 4).
    fn number(&self, at: u64, longest: u64) -> Parse<(u64, u64)> {
        let [first] = self.view.array(at, PART)?;
        let len = u64::from(first.leading_zeros()) + 1;
        if len > longest {
            return Err(malformed(PART, at, "has an invalid length"));
        }
        let bytes = self.view.bytes(at, len, PART)?;
        Ok((bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), len))
    }
}

fn unsigned(view: View<'_>, element: Element) -> Parse<u64> {
    let bytes = view.bytes(element.body, (element.end - element.body).min(8), PART)?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn text(view: View<'_>, element: Element) -> Parse<&[u8]> {
    let text = view.bytes(element.body, (element.end - element.body).min(MAX_TEXT), PART)?;
    Ok(text.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// Returns where the tags are, from the start of the segment's content (5.1.1).
fn seek(view: View<'_>, head: Element) -> Parse<Option<u64>> {
    let mut seeks = Elements::inside(view, head);
    while let Some(seek) = seeks.next()? {
        if seek.id != SEEK {
            continue;
        }
        let (mut id, mut position) = (0, None);
        let mut parts = Elements::inside(view, seek);
        while let Some(part) = parts.next()? {
            match part.id {
                SEEK_ID => id = unsigned(view, part)?,
                SEEK_POSITION => position = Some(unsigned(view, part)?),
                _ => {}
            }
        }
        if id == u64::from(TAGS) {
            return Ok(position);
        }
    }
    Ok(None)
}

/// What was read of a segment.
#[derive(Default)]
struct Movie<'a> {
    /// Nanoseconds of a unit of the duration.
    scale: u64,
    duration: Option<f64>,
    writing_app: &'a [u8],
    tags_at: Option<u64>,
    /// The first video track, its identifier, and its number in blocks.
    track: Option<(VideoTrack, u64)>,
    number: u64,
    /// What the tags say about it: frames, and seconds.
    frames: Option<u64>,
    seconds: Option<f64>,
}

impl<'a> Movie<'a> {
    /// Reads `Info` (5.1.2).
    fn information(&mut self, view: View<'a>, info: Element) -> Parse<()> {
        let mut parts = Elements::inside(view, info);
        while let Some(part) = parts.next()? {
            match part.id {
                TIMESTAMP_SCALE => self.scale = unsigned(view, part)?,
                DURATION => {
                    self.duration = match part.end - part.body {
                        4 => Some(f64::from(f32::from_be_bytes(view.array(part.body, PART)?))),
                        8 => Some(f64::from_be_bytes(view.array(part.body, PART)?)),
                        _ => None,
                    }
                }
                WRITING_APP => self.writing_app = text(view, part)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the first video track (5.1.4).
    fn tracks(&mut self, view: View<'a>, tracks: Element) -> Parse<()> {
        let mut entries = Elements::inside(view, tracks);
        while let Some(entry) = entries.next()?.filter(|_| self.track.is_none()) {
            if entry.id == TRACK_ENTRY {
                if let Some((track, uid, number)) = video_track(view, entry)? {
                    (self.track, self.number) = (Some((track, uid)), number);
                }
            }
        }
        Ok(())
    }

    /// Reads the statistics of the track (5.1.8). mkvmerge's are valid as long as the program that they name is the one
    /// that wrote the file: others copy the tags with the streams.
    fn tags(&mut self, view: View<'a>, tags: Element) -> Parse<()> {
        let uid = self.track.as_ref().map(|(_, uid)| *uid);
        let mut all = Elements::inside(view, tags);
        while let Some(tag) = all.next()? {
            let (mut target, mut frames, mut seconds, mut app) = (None, None, None, None);
            if tag.id != TAG {
                continue;
            }
            let mut parts = Elements::inside(view, tag);
            while let Some(part) = parts.next()? {
                match part.id {
                    TARGETS => {
                        let mut targets = Elements::inside(view, part);
                        while let Some(found) = targets.next()? {
                            if found.id == TAG_TRACK_UID {
                                target = Some(unsigned(view, found)?);
                            }
                        }
                    }
                    SIMPLE_TAG => {
                        let (name, value) = simple_tag(view, part)?;
                        match name {
                            b"NUMBER_OF_FRAMES" => frames = parsed(value),
                            b"DURATION" => seconds = clock(value),
                            b"_STATISTICS_WRITING_APP" => app = Some(value),
                            _ => {}
                        }
                    }
                    _ => {}
                }
            }
            if target.is_some() && target == uid {
                self.seconds = seconds.or(self.seconds);
                self.frames = frames.filter(|_| app == Some(self.writing_app)).or(self.frames);
            }
        }
        Ok(())
    }

    /// Whether there is a duration, and neither a count of frames nor a frame rate.
    fn lacks_rate(&self) -> bool {
        let track = self.track.as_ref().map(|(track, _)| track);
        self.frames.is_none()
            && self.duration.is_some()
            && track.is_some_and(|track| track.frame_rate.is_none())
    }

    /// Takes the frame rate that the times of the first blocks show (10.1, 10.2).
    fn show_rate(&mut self, view: View<'a>, cluster: Element) -> Parse<()> {
        let end = cluster.end.min(cluster.body + PICTURES);
        wished(view.bytes(cluster.body, end - cluster.body, PART))?;
        let mut parts = Elements { view, at: cluster.body, end };
        let (mut start, mut times) = (0, Vec::new());
        // The last one may be cut.
        while let Ok(Some(part)) = parts.next() {
            let block = match part.id {
                TIMESTAMP => {
                    start = unsigned(view, part)?;
                    continue;
                }
                BLOCK_GROUP => match Elements::inside(view, part).next() {
                    Ok(Some(block)) if block.id == BLOCK => block,
                    _ => continue,
                },
                SIMPLE_BLOCK => part,
                _ => continue,
            };
            // The track's number, of one byte as in nearly all files, then the distance from the cluster's time.
            if let Some([number, high, low]) =
                at(view.known(block.body), 0).filter(|_| block.end >= block.body + 3)
                && u64::from(number) == 0x80 | self.number
            {
                times.extend(start.checked_add_signed(i16::from_be_bytes([high, low]).into()));
            }
        }
        let rate =
            usual_rate(times.into_iter(), 1).and_then(|rate| ratio(rate * NANOSECONDS, self.scale as f64));
        if let Some((track, _)) = &mut self.track {
            track.frame_rate = rate;
        }
        Ok(())
    }

    fn tell(&self, found: &mut Found) {
        let Some((track, _)) = &self.track else { return };
        let all = self.duration.and_then(|duration| ratio(duration * self.scale as f64, NANOSECONDS));
        let duration_s = self.seconds.or(all);
        found.track = Some(VideoTrack { frames: self.frames, duration_s, ..track.clone() });
    }
}

/// Reads a track; `None` if it isn't video.
fn video_track(view: View<'_>, entry: Element) -> Parse<Option<(VideoTrack, u64, u64)>> {
    let (mut track, mut uid, mut number, mut is_video) = (VideoTrack::default(), 0, 0, false);
    let (mut id, mut private) = (&[][..], None);
    let mut parts = Elements::inside(view, entry);
    while let Some(part) = parts.next()? {
        match part.id {
            TRACK_TYPE => is_video = unsigned(view, part)? == 1,
            TRACK_NUMBER => number = unsigned(view, part)?,
            TRACK_UID => uid = unsigned(view, part)?,
            CODEC_ID => id = text(view, part)?,
            CODEC_PRIVATE => private = Some(part),
            DEFAULT_DURATION => track.frame_rate = ratio(NANOSECONDS, unsigned(view, part)? as f64),
            VIDEO => {
                let mut parts = Elements::inside(view, part);
                while let Some(part) = parts.next()? {
                    match part.id {
                        PIXEL_WIDTH => track.width = u32::try_from(unsigned(view, part)?).ok(),
                        PIXEL_HEIGHT => track.height = u32::try_from(unsigned(view, part)?).ok(),
                        _ => {}
                    }
                }
            }
            CONTENT_ENCODINGS => track.encrypted = is_encrypted(view, part)?,
            _ => {}
        }
    }
    // A codec of Video for Windows is named in the bitmap header (RFC 9559, 27).
    let private = match private.filter(|_| id == b"V_MS/VFW/FOURCC") {
        Some(private) => view.bytes(private.body, (private.end - private.body).min(20), PART)?,
        None => &[],
    };
    track.codec = Some(match at(private, 16) {
        Some(code) => codecs::of_four_bytes(code),
        None => codec(id),
    });
    Ok(is_video.then_some((track, uid, number)))
}

fn is_encrypted(view: View<'_>, encodings: Element) -> Parse<bool> {
    let mut all = Elements::inside(view, encodings);
    while let Some(encoding) = all.next()? {
        if encoding.id != CONTENT_ENCODING {
            continue;
        }
        let mut parts = Elements::inside(view, encoding);
        while let Some(part) = parts.next()? {
            if part.id == CONTENT_ENCRYPTION {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Returns the name and the text of a tag.
fn simple_tag<'a>(view: View<'a>, tag: Element) -> Parse<(&'a [u8], &'a [u8])> {
    let (mut name, mut value): (&[u8], &[u8]) = (b"", b"");
    let mut parts = Elements::inside(view, tag);
    while let Some(part) = parts.next()? {
        match part.id {
            TAG_NAME => name = text(view, part)?,
            TAG_STRING => value = text(view, part)?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn parsed<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Reads a time such as `01:02:03.500000000`, in seconds.
fn clock(text: &[u8]) -> Option<f64> {
    let mut parts = text.splitn(3, |byte| *byte == b':').map(parsed::<f64>);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let time = 3600.0 * hours + 60.0 * minutes + seconds;
    (time.is_finite() && time > 0.0).then_some(time)
}

/// Returns the codec as ffprobe names it (RFC 9559, 27; Matroska, "Codec Mappings"), or its identifier.
fn codec(id: &[u8]) -> Cow<'static, str> {
    let name = match id {
        b"V_VP8" => "vp8",
        b"V_VP9" => "vp9",
        b"V_AV1" => "av1",
        b"V_MPEG4/ISO/AVC" => "h264",
        b"V_MPEGH/ISO/HEVC" => "hevc",
        b"V_MPEGI/ISO/VVC" => "vvc",
        b"V_MPEG4/ISO/SP" | b"V_MPEG4/ISO/ASP" | b"V_MPEG4/ISO/AP" => "mpeg4",
        b"V_MPEG4/MS/V3" => "msmpeg4v3",
        b"V_MPEG1" => "mpeg1video",
        b"V_MPEG2" => "mpeg2video",
        b"V_MJPEG" => "mjpeg",
        b"V_THEORA" => "theora",
        b"V_PRORES" => "prores",
        b"V_FFV1" => "ffv1",
        b"V_UNCOMPRESSED" => "rawvideo",
        b"V_DIRAC" => "dirac",
        b"V_SNOW" => "snow",
        b"V_REAL/RV10" => "rv10",
        b"V_REAL/RV20" => "rv20",
        b"V_REAL/RV30" => "rv30",
        b"V_REAL/RV40" => "rv40",
        _ => return id.escape_ascii().to_string().into(),
    };
    name.into()
}

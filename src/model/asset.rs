//! Facts about a blob's content, and the asset: a blob with its facts, findings and verdict.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

use super::{Blob, Code, Codes, Cost, Finding, Format, Kind, Reads, Standing, Verdict};

/// What the bytes of a blob show, without any policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The content's format.
    pub format: Format,
    /// Width in pixels, where the bytes read for the verdict show it.
    pub width: Option<u32>,
    /// Height in pixels, where the bytes read for the verdict show it.
    pub height: Option<u32>,
    /// The EXIF orientation.
    pub orientation: Orientation,
    /// Rotation in degrees counterclockwise at which the picture is shown, besides EXIF: 90, 180 or 270 in HEIF and
    /// AVIF (`irot`, ISO/IEC 23008-12, 6.5.10), 1 to 359 in a video (its track's matrix, ISO/IEC 14496-12, 8.3.2).
    pub rotation: Option<u16>,
    /// The axis across which the picture is shown mirrored (`imir`, 6.5.12; or the track's matrix).
    pub mirror: Option<Mirror>,
    /// What the headers of a video show; of containers other than MP4 and its relatives, only on request.
    pub video: Option<Box<Video>>,
    /// Why the header cannot be read completely.
    pub malformed: Option<Malformed>,
    /// The least size in bytes that the file would have if its data were complete. Set only if that is more than the
    /// blob's size and the bytes read for the verdict show it.
    pub truncated: Option<u64>,
    /// What presync could not determine, although the header may be valid.
    pub gap: Option<Gap>,
    /// What it would cost to fill the gap.
    pub gap_cost: Option<GapCost>,
    /// The JPEG inside the EXIF block that previews an image, if it was asked for and the bytes that were read hold it.
    /// Only for people: it may show anything.
    pub thumbnail: Option<Box<[u8]>>,
}

impl Facts {
    /// Creates facts with only a format.
    pub fn of(format: Format) -> Self {
        Self {
            format,
            width: None,
            height: None,
            orientation: Orientation::NotRead,
            rotation: None,
            mirror: None,
            video: None,
            malformed: None,
            truncated: None,
            gap: None,
            gap_cost: None,
            thumbnail: None,
        }
    }

    /// Returns whether the content is an image, a video or neither.
    pub fn kind(&self) -> Kind {
        self.format.kind()
    }
}

/// The value of tag 0x0112 in IFD0 of an image's own EXIF (Exif 3.0, 4.6.5.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// The bytes that were read do not show it.
    NotRead,
    /// There is no such tag.
    Absent,
    /// The tag has this value, which may be outside 1 to 8.
    Value(i64),
}

impl Orientation {
    /// Returns the value, if there is a tag.
    pub fn value(self) -> Option<i64> {
        match self {
            Self::Value(value) => Some(value),
            Self::NotRead | Self::Absent => None,
        }
    }
}

/// An axis across which a picture is shown mirrored (ISO/IEC 23008-12, 6.5.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// Left and right are swapped.
    Vertical,
    /// Top and bottom are swapped.
    Horizontal,
}

impl Mirror {
    /// Both axes.
    pub const ALL: &[Self] = &[Self::Vertical, Self::Horizontal];

    /// `vertical` or `horizontal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vertical => "vertical",
            Self::Horizontal => "horizontal",
        }
    }
}

/// Four bytes that name a brand, a box or a codec. Printed as text, with other bytes escaped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl FromStr for FourCc {
    type Err = NoFourCc;

    /// Parses the output of [`Display`](fmt::Display).
    fn from_str(text: &str) -> Result<Self, NoFourCc> {
        let mut letters = text.bytes();
        let mut code = [0; 4];
        for byte in &mut code {
            *byte = unescaped(&mut letters).ok_or(NoFourCc)?;
        }
        match letters.next() {
            None => Ok(Self(code)),
            Some(_) => Err(NoFourCc),
        }
    }
}

/// The error for text that isn't a four-character code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFourCc;

/// Reads the next byte of text escaped by [`escape_ascii`](u8::escape_ascii).
fn unescaped(letters: &mut std::str::Bytes<'_>) -> Option<u8> {
    let hex = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
    match letters.next()? {
        b'\\' => match letters.next()? {
            b't' => Some(b'\t'),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            escaped @ (b'\'' | b'"' | b'\\') => Some(escaped),
            b'x' => Some(hex(letters.next()?)? << 4 | hex(letters.next()?)?),
            _ => None,
        },
        byte => Some(byte),
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

/// Number of compatible brands stored without an allocation. Real files have one to five, some streaming files up to
/// twelve.
const USUAL_BRANDS: usize = 8;

/// What a video says about itself. The brands and the sections are those of ISO base media files (ISO/IEC 14496-12).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Video {
    /// The first `ftyp` box's major brand; `None` without such a box (4.3).
    pub major_brand: Option<FourCc>,
    /// The compatible brands, in the order of the box.
    pub compatible_brands: SmallVec<[FourCc; USUAL_BRANDS]>,
    /// The video tracks except attached pictures, in file order.
    pub tracks: SmallVec<[VideoTrack; 1]>,
}

/// One video track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoTrack {
    /// The codec as ffprobe names it (`codec_name`), or the sample entry's four bytes.
    pub codec: Option<Cow<'static, str>>,
    /// The pixel format as ffprobe names it (`pix_fmt`).
    pub pixel_format: Option<Cow<'static, str>>,
    /// Width in pixels, from the sample entry (12.1.3).
    pub width: Option<u32>,
    /// Height in pixels, from the sample entry.
    pub height: Option<u32>,
    /// Number of frames that the headers state: in MP4, samples in the sample table, which is ffprobe's `nb_frames`. The
    /// guide says for each container whether that is exact.
    pub frames: Option<u64>,
    /// The most frames that there can be, if `frames` is unknown: those of the whole duration at the frame rate, rounded
    /// up.
    pub frames_at_most: Option<u64>,
    /// Frames per second that the headers of containers other than MP4 state.
    pub frame_rate: Option<f64>,
    /// Number of samples that the edit list presents.
    pub frames_presented: Option<u64>,
    /// Duration in seconds that the edit list presents.
    pub duration_s: Option<f64>,
    /// Whether frames, except for the last one, are shown for different lengths of time, by more than rounding to the
    /// timescale explains; `None` if the time-to-sample table does not show it (8.6.1.2).
    pub variable_frame_rate: Option<bool>,
    /// Whether the samples are encrypted (8.12).
    pub encrypted: bool,
}

impl VideoTrack {
    /// The frames to budget: the larger one of the counts, or if there is none, the most frames that there can be.
    pub fn most_frames(&self) -> Option<u64> {
        self.frames.max(self.frames_presented).or(self.frames_at_most)
    }
}

/// Why a header cannot be read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The part that is damaged, such as `PNG chunk`.
    pub part: Cow<'static, str>,
    /// What is wrong with it, such as `runs past the end of the file`.
    pub fault: Cow<'static, str>,
    /// The offset of the part in bytes from the start of the blob.
    pub offset: u64,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} at byte {} {}", self.part, super::number(self.offset), self.fault)
    }
}

/// What presync could not determine, although the header may be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The frames are in more fragments than presync reads per blob.
    TooManyFragments,
    /// The track's sample table does not show the number of frames.
    Frames,
    /// The movie header is compressed (`cmov`).
    CompressedHeader,
    /// The header needs more reads than presync allows per blob.
    TooManyReads,
    /// The header needs more bytes than presync reads per blob.
    TooManyBytes,
    /// The EXIF block is stored in a way that presync does not support.
    ExifStorage,
    /// The header needs more parsing steps than presync allows per blob.
    TooMuchWork,
}

/// What it would cost to fill a gap, estimated from the bytes read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapCost {
    /// Number of reads.
    pub reads: u64,
    /// Bytes that the reads would return.
    pub bytes: u64,
}

impl Gap {
    /// Every gap, in the order of the declaration.
    pub const ALL: &[Self] = &[
        Self::TooManyFragments,
        Self::Frames,
        Self::CompressedHeader,
        Self::TooManyReads,
        Self::TooManyBytes,
        Self::ExifStorage,
        Self::TooMuchWork,
    ];

    /// Returns the short name used in plans, such as `too-many-fragments`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooManyFragments => "too-many-fragments",
            Self::Frames => "frames",
            Self::CompressedHeader => "compressed-header",
            Self::TooManyReads => "too-many-reads",
            Self::TooManyBytes => "too-many-bytes",
            Self::ExifStorage => "exif-storage",
            Self::TooMuchWork => "too-much-work",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyFragments => "the frames are in more fragments than presync reads per blob",
            Self::Frames => "the sample table does not show the number of frames",
            Self::CompressedHeader => "the movie header is compressed",
            Self::TooManyReads => "the header needs more reads than presync allows per blob",
            Self::TooManyBytes => "the header needs more bytes than presync reads per blob",
            Self::ExifStorage => "the EXIF block is stored in a way that presync does not support",
            Self::TooMuchWork => "the header needs more parsing steps than presync allows per blob",
        })
    }
}

/// Why a listed blob isn't an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The blob is a folder marker.
    FolderMarker,
    /// The entry is a folder that the listing did not descend into.
    NotEntered,
    /// The extension belongs to files that accompany media but aren't media.
    Sidecar,
    /// The extension belongs to projects of 3D volumes or RGBD images, which take other files than images and videos.
    Volume,
    /// The content is neither an image nor a video, and the name does not suggest either.
    NoMedia,
    /// The blob was deleted after it was listed.
    Gone,
}

impl Skip {
    /// Every reason, in the order of the declaration.
    pub const ALL: &[Self] =
        &[Self::FolderMarker, Self::NotEntered, Self::Sidecar, Self::Volume, Self::NoMedia, Self::Gone];

    /// Returns the reason as shown in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FolderMarker => "folder marker",
            Self::NotEntered => "folder that was not entered",
            Self::Sidecar => "sidecar file by its extension",
            Self::Volume => "file of a 3D or RGBD project by its extension",
            Self::NoMedia => "neither image nor video",
            Self::Gone => "deleted since it was listed",
        }
    }
}

/// One listed blob with its facts, findings and verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// The blob as it was listed.
    pub blob: Blob,
    /// The kind of its content or, if that was not read, the kind that its name suggests.
    pub kind: Kind,
    /// What its bytes show.
    pub facts: Facts,
    /// The decision on it.
    pub verdict: Verdict,
    /// What it is counted as by the quota if it is accepted.
    pub cost: Cost,
    /// How it compares with what is on the platform; `None` if that is not known.
    pub synced: Option<Standing>,
    /// What the baseline found on it, nothing if it does not have it; `None` without a baseline.
    pub earlier: Option<Codes>,
    /// What the rules found.
    pub findings: Vec<Finding>,
    /// Why it is skipped, if it is.
    pub skipped: Option<Skip>,
    /// The reads that it took.
    pub reads: Reads,
}

impl Asset {
    /// The images and the frames that it counts as, whatever they cost. A video has the larger one of its frame counts,
    /// or the most frames that it can have.
    pub fn counts(&self) -> (u64, u64) {
        let track = self.facts.video.as_deref().and_then(|video| video.tracks.first());
        match self.kind {
            Kind::Image => (1, 0),
            Kind::Video => (0, track.and_then(VideoTrack::most_frames).unwrap_or(0)),
            Kind::Other => (0, 0),
        }
    }

    /// Whether the baseline does not have the finding of this rule; `None` without a baseline.
    pub fn is_new(&self, code: Code) -> Option<bool> {
        self.earlier.map(|earlier| !earlier.contains(code))
    }

    /// The rules whose findings the baseline has and this asset no longer has. Where an asset could not be judged,
    /// nothing is known to be fixed.
    pub fn fixed(&self) -> Codes {
        match self.verdict {
            Verdict::Unknown => Codes::default(),
            _ => self.earlier.unwrap_or_default().without(self.codes()),
        }
    }

    /// The rules with a finding.
    pub fn codes(&self) -> Codes {
        self.findings.iter().map(|finding| finding.code).collect()
    }

    /// What a sync of it uses of the quota: nothing if it is on the platform already.
    pub fn charge(&self) -> Cost {
        self.synced.map_or(self.cost, |standing| standing.charge)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn four_bytes_come_back_from_their_text(code: [u8; 4]) {
            prop_assert_eq!(FourCc(code).to_string().parse(), Ok(FourCc(code)));
        }
    }

    #[test]
    fn other_text_names_no_four_bytes() {
        for text in ["", "mp4", "mp421", "\\", "mp4\\", "mp4\\q", "mp4\\x1", "mp4\\xg0", "mp4é"] {
            assert_eq!(text.parse::<FourCc>(), Err(NoFourCc), "{text}");
        }
    }
}

//! Facts about a blob's content, and the asset: a blob with its facts and what was decided.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

use super::{Blob, Cost, Finding, Format, Kind, Reads, Verdict};

/// What the bytes of a blob say, without any policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The content's format.
    pub format: Format,
    /// Width in pixels, where the bytes that the verdict needed show it.
    pub width: Option<u32>,
    /// Height in pixels, likewise.
    pub height: Option<u32>,
    /// The EXIF orientation.
    pub orientation: Orientation,
    /// By how many degrees anticlockwise the picture is shown turned, besides EXIF: in HEIF and AVIF 90, 180 or 270
    /// (`irot`, ISO/IEC 23008-12, 6.5.10), in a video 1 to 359 (its track's matrix, ISO/IEC 14496-12, 8.3.2).
    pub rotation: Option<u16>,
    /// Across which axis the picture is shown mirrored (`imir`, 6.5.12; or the track's matrix).
    pub mirror: Option<Mirror>,
    /// What an ISO base media file says about its video.
    pub video: Option<Box<Video>>,
    /// Why the header cannot be followed to its end.
    pub malformed: Option<Malformed>,
    /// Where the file would end at least if its data were all there, in bytes; only where that is behind the blob's end and the
    /// bytes that the verdict needed show it.
    pub truncated: Option<u64>,
    /// What presync could not find out although the header may be sound.
    pub gap: Option<Gap>,
    /// What it would take to find it out nevertheless.
    pub gap_cost: Option<GapCost>,
}

impl Facts {
    /// Nothing but a format.
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
        }
    }

    /// Whether the content is an image, a video or neither.
    pub fn kind(&self) -> Kind {
        self.format.kind()
    }
}

/// The value of tag 0x0112 in IFD0 of an image's own EXIF (Exif 3.0, 4.6.5.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// The bytes that were read do not tell.
    NotRead,
    /// There is no such tag.
    Absent,
    /// There is one with this value, also when it is not one of 1 to 8.
    Value(i64),
}

impl Orientation {
    /// The value, if there is a tag.
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

    /// Takes what [`Display`](fmt::Display) gives.
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

/// A text that names no four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFourCc;

/// The next byte of a text that [`escape_ascii`](u8::escape_ascii) has made.
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

/// Compatible brands that take no allocation. Real files name one to five, and some that stream up to twelve.
const USUAL_BRANDS: usize = 8;

/// What an ISO base media file says about itself (ISO/IEC 14496-12).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Video {
    /// The first `ftyp` box's major brand; `None` without such a box (4.3).
    pub major_brand: Option<FourCc>,
    /// The compatible brands in the order of the box.
    pub compatible_brands: SmallVec<[FourCc; USUAL_BRANDS]>,
    /// The video tracks that are no attached picture, in the order of the file.
    pub tracks: SmallVec<[VideoTrack; 1]>,
}

/// One video track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoTrack {
    /// The codec as ffprobe names it (`codec_name`), or the sample entry's four bytes.
    pub codec: Option<Cow<'static, str>>,
    /// The pixel format as ffprobe names it (`pix_fmt`).
    pub pixel_format: Option<Cow<'static, str>>,
    /// Width in pixels, of the sample entry (12.1.3).
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Samples that the sample table names: ffprobe's `nb_frames`.
    pub frames: Option<u64>,
    /// Samples that the edit list presents.
    pub frames_presented: Option<u64>,
    /// Length in seconds, of what the edit list presents.
    pub duration_s: Option<f64>,
    /// Whether frames are shown for unequal times, the last one aside, by more than what rounding to the timescale makes
    /// of a constant rate; `None` where the time-to-sample table does not show it (8.6.1.2).
    pub variable_frame_rate: Option<bool>,
    /// Whether the samples are encrypted (8.12).
    pub encrypted: bool,
}

/// Why a header cannot be followed to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The part that is damaged, such as `PNG chunk`.
    pub part: Cow<'static, str>,
    /// What is wrong with it, such as `runs past the end of the file`.
    pub fault: Cow<'static, str>,
    /// Where the part begins, in bytes from the start of the blob.
    pub offset: u64,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} at byte {} {}", self.part, self.offset, self.fault)
    }
}

/// What presync could not find out, although the header may be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The frames lie in more fragments than one blob may cost reads.
    TooManyFragments,
    /// The track has a sample table that does not tell the number of frames.
    Frames,
    /// The movie header is compressed (`cmov`).
    CompressedHeader,
    /// More reads than one blob may cost.
    TooManyReads,
    /// More bytes than one blob may cost.
    TooManyBytes,
    /// The EXIF block is stored in a way that is not read.
    ExifStorage,
    /// More work than one blob may cost.
    TooMuchWork,
}

/// What it would take to fill a gap, as far as what was read shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapCost {
    /// Reads of the blob.
    pub reads: u64,
    /// Bytes that they would bring.
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

    /// The short name that plans use, such as `too-many-fragments`.
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
            Self::TooManyFragments => "the frames lie in more fragments than one blob may cost reads",
            Self::Frames => "the sample table does not show the number of frames",
            Self::CompressedHeader => "the movie header is compressed",
            Self::TooManyReads => "the header takes more reads than one blob may cost",
            Self::TooManyBytes => "the header takes more bytes than one blob may cost",
            Self::ExifStorage => "the EXIF block is stored in a way that presync does not read",
            Self::TooMuchWork => "the header takes more work than one blob may cost",
        })
    }
}

/// Why a listed blob is no asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It stands for a folder.
    FolderMarker,
    /// It stands for a folder that the listing did not go into.
    NotEntered,
    /// Its extension is one of files that lie beside media and are none.
    Sidecar,
    /// Its content is neither an image nor a video, and its name promises neither.
    NoMedia,
    /// It was deleted after it was listed.
    Gone,
}

impl Skip {
    /// Every reason, in the order of the declaration.
    pub const ALL: &[Self] =
        &[Self::FolderMarker, Self::NotEntered, Self::Sidecar, Self::NoMedia, Self::Gone];

    /// The reason as reports give it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FolderMarker => "folder marker",
            Self::NotEntered => "folder that was not entered",
            Self::Sidecar => "sidecar file by its extension",
            Self::NoMedia => "neither image nor video",
            Self::Gone => "deleted since it was listed",
        }
    }
}

/// One listed blob, with everything that was found out and decided about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// The blob as it was listed.
    pub blob: Blob,
    /// What its content is; when that was not read, what its name promises.
    pub kind: Kind,
    /// What its bytes say.
    pub facts: Facts,
    /// What will become of it.
    pub verdict: Verdict,
    /// What it uses of the quota if it is accepted.
    pub cost: Cost,
    /// What the rules have to say.
    pub findings: Vec<Finding>,
    /// Why it is skipped.
    pub skipped: Option<Skip>,
    /// What reading it cost.
    pub reads: Reads,
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

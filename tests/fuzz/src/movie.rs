//! Sound MP4 files, with the boxes of every level in any order (ISO/IEC 14496-12). Only their samples are made up:
//! the tables name more of them than `mdat` holds.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::Fill;
use crate::boxes::{Style, Writer, longs, table};

const MAX_TRACKS: usize = 4;
const MAX_DESCRIPTIONS: usize = 3;
/// Edits of a track, and tracks that one names as its chapters.
const MAX_REFERENCES: usize = 8;
/// Runs of the time-to-sample table as they are given, and times that they are repeated: presync does not read tables
/// of more than 512.
const MAX_RUNS: usize = 8;
const MAX_REPEATS: usize = 128;
/// Samples whose sizes are listed one by one.
const MAX_LISTED: u64 = 1 << 10;
/// Bytes of the media data, and of a box that no reader knows.
const MAX_FILL: usize = 8 << 10;

#[derive(Arbitrary, Debug)]
pub struct Movie {
    brand: Brand,
    style: Style,
    version_1: bool,
    timescale: u32,
    tracks: Vec<Track>,
    user_data: Option<Fill>,
    media: Fill,
    /// The media data has the size 0, which means up to the end of the file, if it is the last box.
    open_end: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Brand {
    Mp42,
    Isom,
    QuickTime,
    ThreeGp,
}

#[derive(Arbitrary, Debug)]
pub struct Track {
    kind: Kind,
    version_1: bool,
    timescale: u32,
    /// In units of the timescale; all ones are "unknown" (8.4.2.3).
    duration: u64,
    descriptions: Vec<Description>,
    runs: Vec<(u16, u16)>,
    repeats: u8,
    /// Composition offsets (8.6.1.3), for so many samples each.
    offsets: Option<Vec<(u16, i16)>>,
    sizes: Sizes,
    wide_offsets: bool,
    edits: Option<Vec<Edit>>,
    /// Tracks that hold this one's chapters.
    chapters: Vec<u8>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Video,
    Audio,
    Text,
    Metadata,
}

#[derive(Arbitrary, Debug)]
struct Description {
    codec: Codec,
    width: u16,
    height: u16,
    /// A `pasp` box beside the configuration.
    aspect: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Avc1,
    Avc3,
    Vp9,
    Hevc,
}

/// The form of the sample size table (8.7.3).
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Sizes {
    Uniform,
    Listed,
    Compact,
}

#[derive(Arbitrary, Debug)]
struct Edit {
    is_empty: bool,
    duration: u32,
    start: u32,
}

/// A file and where its movie header ends.
pub struct File {
    pub bytes: Vec<u8>,
    pub header_end: usize,
    /// The last box is the media data, with the size 0.
    pub is_open: bool,
    /// For each track, whether its handler lies behind its media information.
    pub handler_behind: Vec<bool>,
}

impl Movie {
    pub fn file(&self) -> File {
        // The chunk offsets take the same room whatever they are.
        let media_at = self.write(0).1;
        self.write(media_at).0
    }

    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().take(MAX_TRACKS)
    }

    /// Whether a track names the track of this number as its chapters.
    pub fn has_chapters(&self, number: usize) -> bool {
        self.tracks().any(|track| track.chapters(self).any(|chapter| chapter == number))
    }

    pub fn timescale(&self) -> u32 {
        self.timescale.max(1)
    }

    /// The file, and where its media data begins.
    fn write(&self, media_at: usize) -> (File, usize) {
        let mut writer = Writer::new(&self.style);
        let brand = match self.brand {
            Brand::Mp42 => b"mp42",
            Brand::Isom => b"isom",
            Brand::QuickTime => b"qt  ",
            Brand::ThreeGp => b"3gp5",
        };
        let mut bytes = writer.boxed(b"ftyp", &[&brand[..], &[0; 4], b"mp42", b"isom"].concat());
        let mut handler_behind = Vec::new();
        let moov = self.movie_header(&mut writer, media_at, &mut handler_behind);
        let samples = self.media.bytes(MAX_FILL);
        let media = writer.boxed(b"mdat", &samples);
        let order = writer.order(2);
        let free = writer.free();
        let (mut header_end, mut found_at, mut is_open) = (0, 0, false);
        for (index, next) in order.iter().enumerate() {
            if *next == 0 {
                bytes.extend(&moov);
                header_end = bytes.len();
                bytes.extend(&free);
                continue;
            }
            is_open = self.open_end && index == 1;
            match is_open {
                true => bytes.extend([&[0; 4][..], b"mdat", &samples].concat()),
                false => bytes.extend(&media),
            }
            found_at = bytes.len() - samples.len();
        }
        (File { bytes, header_end, is_open, handler_behind }, found_at)
    }

    fn movie_header(&self, writer: &mut Writer, media_at: usize, handler_behind: &mut Vec<bool>) -> Vec<u8> {
        let times = clock(self.version_1, self.timescale(), 0);
        let mut boxes = vec![writer.full(b"mvhd", self.version_1.into(), &[&times[..], &[0; 80]].concat())];
        for (index, track) in self.tracks().enumerate() {
            let (trak, is_behind) = track.write(writer, index as u32 + 1, self, media_at);
            boxes.push(trak);
            handler_behind.push(is_behind);
        }
        if let Some(fill) = &self.user_data {
            let unknown = writer.boxed(b"prvt", &fill.bytes(MAX_FILL));
            boxes.push(writer.boxed(b"udta", &unknown));
        }
        writer.container(b"moov", boxes)
    }
}

/// Creation and modification time, timescale and duration, as movie and media header have them (8.2.2, 8.4.2).
fn clock(version_1: bool, timescale: u32, duration: u64) -> Vec<u8> {
    match version_1 {
        true => [&[0; 16][..], &timescale.to_be_bytes(), &duration.to_be_bytes()].concat(),
        false => [&[0; 8][..], &timescale.to_be_bytes(), &(duration as u32).to_be_bytes()].concat(),
    }
}

impl Track {
    pub fn is_video(&self) -> bool {
        self.kind == Kind::Video
    }

    /// Whether the first description is of HEVC.
    pub fn is_hevc(&self) -> bool {
        self.descriptions.first().is_some_and(|description| description.codec == Codec::Hevc)
    }

    /// Numbers of the edits that show nothing, and of all.
    pub fn empty_edits(&self) -> (usize, usize) {
        (self.edits().filter(|edit| edit.is_empty).count(), self.edits().count())
    }

    /// Length in seconds of what is presented: that of all edits that show something, each rounded up to a unit of the
    /// timescale, and never more than the media's. `None` if it is not known, or nothing.
    pub fn presented(&self, movie: &Movie) -> Option<f64> {
        let duration = self.duration()?;
        let units = |edit: &Edit| {
            let units = u128::from(edit.duration()) * u128::from(self.timescale());
            units.div_ceil(movie.timescale().into())
        };
        let length = match self.edits().count() {
            1.. => self.edits().filter(|edit| !edit.is_empty).map(units).sum::<u128>().min(duration.into()),
            0 => duration.into(),
        };
        (length > 0).then(|| length as u64 as f64 / f64::from(self.timescale()))
    }

    /// Whether the time-to-sample table is so long that presync does not read it, and an edit list may show some of it
    /// twice.
    pub fn leaves_frames_open(&self) -> bool {
        self.edits().count() > 0 && self.runs.len().min(MAX_RUNS) * (usize::from(self.repeats) % MAX_REPEATS + 1) > 512
    }

    fn timescale(&self) -> u32 {
        self.timescale.max(1)
    }

    fn duration(&self) -> Option<u64> {
        match self.version_1 {
            true => Some(self.duration).filter(|duration| *duration != u64::MAX),
            false => Some(self.duration as u32).filter(|duration| *duration != u32::MAX).map(u64::from),
        }
    }

    fn edits(&self) -> impl Iterator<Item = &Edit> {
        self.edits.iter().flatten().take(MAX_REFERENCES)
    }

    fn chapters(&self, movie: &Movie) -> impl Iterator<Item = usize> {
        let tracks = movie.tracks().count();
        self.chapters.iter().take(MAX_REFERENCES).map(move |chapter| usize::from(*chapter) % tracks)
    }

    /// The track's box, and whether its handler lies behind its media information.
    fn write(&self, writer: &mut Writer, number: u32, movie: &Movie, media_at: usize) -> (Vec<u8>, bool) {
        let head = match self.version_1 {
            true => [&[0; 16][..], &number.to_be_bytes(), &[0; 12]].concat(),
            false => [&[0; 8][..], &number.to_be_bytes(), &[0; 8]].concat(),
        };
        let header = [&head[..], &[0; 60]].concat();
        let mut boxes = vec![writer.full(b"tkhd", self.version_1.into(), &header)];
        if !self.chapters.is_empty() {
            let ids = self.chapters(movie).flat_map(|chapter| (chapter as u32 + 1).to_be_bytes());
            let chapters = writer.boxed(b"chap", &ids.collect::<Vec<_>>());
            boxes.push(writer.boxed(b"tref", &chapters));
        }
        if self.edits.is_some() {
            let list = self.edit_list(writer);
            boxes.push(writer.boxed(b"edts", &list));
        }

        let clock = [&clock(self.version_1, self.timescale(), self.duration)[..], &[0; 4]].concat();
        let handler = match self.kind {
            Kind::Video => b"vide",
            Kind::Audio => b"soun",
            Kind::Text => b"text",
            Kind::Metadata => b"meta",
        };
        let media = [
            writer.full(b"mdhd", self.version_1.into(), &clock),
            writer.full(b"hdlr", 0, &[&[0; 4][..], handler, &[0; 13]].concat()),
            self.information(writer, media_at),
        ];
        let order = writer.order(3);
        let is_behind = order.iter().find(|index| **index > 0) == Some(&2);
        let media: Vec<&[u8]> = order.iter().map(|index| &media[*index][..]).collect();
        boxes.push(writer.boxed(b"mdia", &media.concat()));
        (writer.container(b"trak", boxes), is_behind)
    }

    fn edit_list(&self, writer: &mut Writer) -> Vec<u8> {
        let mut list = (self.edits().count() as u32).to_be_bytes().to_vec();
        for edit in self.edits() {
            let start = if edit.is_empty { -1 } else { (edit.start >> 1).cast_signed() };
            match self.version_1 {
                true => list.extend(
                    [u64::from(edit.duration()).to_be_bytes(), i64::from(start).to_be_bytes()].concat(),
                ),
                false => list.extend([edit.duration().to_be_bytes(), start.to_be_bytes()].concat()),
            }
            list.extend([0, 1, 0, 0]);
        }
        writer.full(b"elst", self.version_1.into(), &list)
    }

    fn information(&self, writer: &mut Writer, media_at: usize) -> Vec<u8> {
        let header = match self.kind {
            Kind::Video => writer.full(b"vmhd", 0, &[0; 8]),
            Kind::Audio => writer.full(b"smhd", 0, &[0; 4]),
            Kind::Text | Kind::Metadata => writer.full(b"nmhd", 0, &[]),
        };
        let location = writer.full(b"url ", 0, &[]);
        let reference = writer.full(b"dref", 0, &[&[0, 0, 0, 1][..], &location].concat());
        let reference = writer.boxed(b"dinf", &reference);
        let table = self.sample_table(writer, media_at);
        writer.container(b"minf", vec![header, reference, table])
    }

    fn sample_table(&self, writer: &mut Writer, media_at: usize) -> Vec<u8> {
        let runs = self.runs.iter().take(MAX_RUNS).map(|(count, delta)| [*count, *delta].map(u32::from));
        let runs = runs.collect::<Vec<_>>().repeat(usize::from(self.repeats) % MAX_REPEATS + 1);
        let samples: u32 = runs.iter().map(|[count, _]| count).sum();
        let chunks = usize::from(samples > 0);
        let mut boxes = vec![
            self.descriptions(writer),
            writer.full(b"stts", 0, &table(&runs)),
            writer.full(b"stsc", 0, &table(&[[1, samples, 1]][..chunks])),
        ];
        boxes.push(match self.wide_offsets {
            true => writer.full(b"co64", 0, &table(&[[0, media_at as u32]][..chunks])),
            false => writer.full(b"stco", 0, &table(&[[media_at as u32]][..chunks])),
        });
        let sizes = match self.sizes {
            Sizes::Listed if u64::from(samples) <= MAX_LISTED => {
                let sizes = [&[0, samples][..], &vec![1; samples as usize]].concat();
                writer.full(b"stsz", 0, &longs(&sizes))
            }
            Sizes::Compact if u64::from(samples) <= MAX_LISTED => {
                writer.full(b"stz2", 0, &[&longs(&[8, samples])[..], &vec![1; samples as usize]].concat())
            }
            _ => writer.full(b"stsz", 0, &longs(&[1, samples])),
        };
        boxes.push(sizes);
        if let Some(offsets) = &self.offsets {
            let offsets = composition(offsets, samples, self.version_1);
            boxes.push(writer.full(b"ctts", self.version_1.into(), &table(&offsets)));
        }
        writer.container(b"stbl", boxes)
    }

    fn descriptions(&self, writer: &mut Writer) -> Vec<u8> {
        let default = [Description { codec: Codec::Avc1, width: 16, height: 16, aspect: false }];
        let list = if self.descriptions.is_empty() { &default } else { &self.descriptions[..] };
        let list = &list[..list.len().min(MAX_DESCRIPTIONS)];
        let entries: Vec<u8> = match self.kind {
            Kind::Video => list.iter().flat_map(|description| description.write(writer)).collect(),
            // An entry of sound (12.2.3) is longer than one of text or metadata.
            _ => writer.boxed(b"sowt", &[&[0; 7][..], &[1], &[0; 20]].concat()),
        };
        let count = if self.is_video() { list.len() as u32 } else { 1 };
        writer.full(b"stsd", 0, &[&count.to_be_bytes()[..], &entries].concat())
    }
}

/// Composition offsets for so many samples; those of version 0 are not negative.
fn composition(offsets: &[(u16, i16)], samples: u32, signed: bool) -> Vec<[u32; 2]> {
    let mut left = samples;
    let mut runs = Vec::new();
    for (count, offset) in offsets.iter().take(MAX_RUNS) {
        let count = u32::from(*count).min(left);
        left -= count;
        let offset = if signed { i32::from(*offset) } else { i32::from(offset.saturating_abs()) };
        runs.push([count, offset.cast_unsigned()]);
    }
    if left > 0 {
        runs.push([left, 0]);
    }
    runs
}

impl Edit {
    /// An edit without a length belongs to fragmented files (8.6.6.1).
    fn duration(&self) -> u32 {
        self.duration.max(1)
    }
}

impl Description {
    fn write(&self, writer: &mut Writer) -> Vec<u8> {
        let (kind, configuration) = match self.codec {
            Codec::Avc1 => (b"avc1", writer.boxed(b"avcC", AVCC)),
            Codec::Avc3 => (b"avc3", writer.boxed(b"avcC", AVCC)),
            Codec::Vp9 => (b"vp09", writer.boxed(b"vpcC", VPCC)),
            Codec::Hevc => (b"hvc1", writer.boxed(b"hvcC", &[&[1][..], &[0; 22]].concat())),
        };
        let mut boxes = vec![configuration];
        if self.aspect {
            boxes.push(writer.boxed(b"pasp", &[0, 0, 0, 1, 0, 0, 0, 1]));
        }
        let size = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        let head = [&[0; 7][..], &[1], &[0; 16], &size, &[0; 50]].concat();
        let boxes = writer.arranged(&boxes);
        writer.boxed(kind, &[head, boxes].concat())
    }
}

/// A decoder configuration (ISO/IEC 14496-15, 5.3.3.1) with a parameter set of 4:2:0, 8 bits, 16 by 16 pixels.
const AVCC: &[u8] =
    &[1, 66, 0, 30, 0xFF, 0xE1, 0, 6, 0x67, 66, 0, 30, 0xDA, 0x79, 1, 0, 4, 0x68, 0xCE, 0x3C, 0x80];
/// Profile 0, level 1, 8 bits, 4:2:0 ("VP Codec ISO Media File Format Binding", "VP Codec Configuration Box").
const VPCC: &[u8] = &[1, 0, 0, 0, 0, 10, 0x82, 1, 1, 1, 0, 0];

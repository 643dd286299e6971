//! A file of the demo container with some edits: whatever is accepted must be known in full.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use presync_fuzz::accept::judged;

use std::sync::LazyLock;

macro_rules! files {
    ($($name:literal)*) => {
        [$(($name, include_bytes!(concat!("../../../fixtures/demo/", $name)) as &[u8]),)*]
    };
}

/// A file, and where the names of its parts lie in it.
struct Original {
    name: &'static str,
    bytes: &'static [u8],
    parts: Vec<usize>,
}

/// Looked for once: an input that looked for them itself would run a hundred times as long.
static ORIGINALS: LazyLock<Vec<Original>> = LazyLock::new(|| {
    let parts = |bytes: &[u8]| {
        let names = bytes.windows(4).enumerate();
        names
            .filter(|(_, name)| PARTS.iter().any(|part| part.as_slice() == *name))
            .map(|(at, _)| at)
            .collect()
    };
    FILES.iter().map(|(name, bytes)| Original { name, bytes, parts: parts(bytes) }).collect()
});

fn chosen(index: u8) -> &'static Original {
    &ORIGINALS[usize::from(index) % FILES.len()]
}

/// One file or more of every format that is read, most of them accepted as they are.
const FILES: [(&str, &[u8]); 25] = files! {
    "cam1/0001.jpg" "cam2/0103.jpg" "phones/IMG_1001.jpg" "phones/IMG_1003.jpg" "phones/IMG_1004.heic"
    "phones/IMG_1005.avif" "phones/IMG_1006.webp" "phones/IMG_1007.webp" "phones/IMG_1008.webp"
    "phones/IMG_1012.png" "phones/clip.3gp" "phones/scan.tiff" "drone/mosaic.png" "drone/mosaic-exif.png"
    "drone/field-map.tif" "drone/heatmap.gif" "drone/elevation.bmp" "videos/yard.mp4" "videos/crossing-c.mp4"
    "videos/10-bit.mp4" "videos/full-range.mp4" "videos/trimmed.mp4" "videos/mpeg4-part2.mp4"
    "videos/audio-only.mp4" "videos/iphone.mov"
};

/// Names of parts near which an edit does something.
const PARTS: [&[u8; 4]; 40] = [
    b"Exif", b"EXIF", b"eXIf", b"II*\0", b"MM\0*", b"IHDR", b"IDAT", b"IEND", b"VP8X", b"VP8 ", b"ftyp",
    b"moov", b"mvhd", b"trak", b"tkhd", b"tref", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf",
    b"stbl", b"stsd", b"avc1", b"avcC", b"colr", b"stts", b"ctts", b"stsz", b"stco", b"mdat", b"meta",
    b"pitm", b"iinf", b"infe", b"iloc", b"iref", b"iprp", b"ipma",
];

#[derive(Arbitrary, Debug)]
struct Input {
    file: u8,
    /// The file whose name it gets, where that is another one.
    name: Option<u8>,
    edits: Vec<Edit>,
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Truncate(Place),
    Overwrite(Place, Text),
    Insert(Place, Text),
    Remove(Place, u16),
    /// Part of a file, put in or put over what is there.
    Splice {
        to: Place,
        file: u8,
        from: Place,
        len: u16,
        over: bool,
    },
}

/// What is written.
#[derive(Arbitrary, Debug)]
enum Text {
    Byte(u8),
    Short(u16),
    Long(u32),
    VeryLong(u64),
    Part(u8),
    Bytes([u8; 12]),
    Same(u8, u16),
}

#[derive(Arbitrary, Debug)]
enum Place {
    Head(u8),
    Tail(u8),
    Any(u16),
    /// This far from where the original has the name of a part.
    Part(u8, i8),
}

impl Place {
    /// An offset in a file that was made from an original, or the file's length.
    fn within(&self, file: &[u8], original: &Original) -> usize {
        let at = match *self {
            Self::Head(at) => usize::from(at),
            Self::Tail(back) => file.len().saturating_sub(usize::from(back)),
            Self::Any(at) => usize::from(at),
            Self::Part(index, distance) => {
                let part = usize::from(index) % original.parts.len().max(1);
                let part = original.parts.get(part).copied().unwrap_or(0);
                part.saturating_add_signed(isize::from(distance))
            }
        };
        at.min(file.len())
    }
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Byte(byte) => vec![byte],
            Self::Short(number) => number.to_be_bytes().to_vec(),
            Self::Long(number) => number.to_be_bytes().to_vec(),
            Self::VeryLong(number) => number.to_be_bytes().to_vec(),
            Self::Part(index) => PARTS[usize::from(index) % PARTS.len()].to_vec(),
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Same(byte, times) => vec![byte; usize::from(times)],
        }
    }
}

impl Edit {
    fn apply(&self, file: &mut Vec<u8>, original: &Original) {
        match self {
            Self::Truncate(place) => file.truncate(place.within(file, original)),
            Self::Overwrite(place, text) => {
                let at = place.within(file, original);
                put_over(file, at, &text.bytes());
            }
            Self::Insert(place, text) => {
                let at = place.within(file, original);
                put_in(file, at, &text.bytes());
            }
            Self::Remove(place, len) => {
                let start = place.within(file, original);
                file.drain(start..file.len().min(start + usize::from(*len)));
            }
            Self::Splice { to, file: other, from, len, over } => {
                let other = chosen(*other);
                let start = from.within(other.bytes, other);
                let part = &other.bytes[start..other.bytes.len().min(start + usize::from(*len))];
                let at = to.within(file, original);
                match over {
                    true => put_over(file, at, part),
                    false => put_in(file, at, part),
                }
            }
        }
    }
}

fn put_over(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..].iter_mut().zip(bytes).for_each(|(old, new)| *old = *new);
}

fn put_in(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    file.splice(at..at, bytes.iter().copied());
}

fuzz_target!(|input: Input| {
    let file = chosen(input.file);
    let name = input.name.map_or(file.name, |name| chosen(name).name);
    let mut bytes = file.bytes.to_vec();
    input.edits.iter().take(16).for_each(|edit| edit.apply(&mut bytes, file));

    judged(name, &bytes);
});

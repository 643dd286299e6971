//! Sound image files: JPEG, PNG, WebP and TIFF, each with one EXIF block or none.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::Fill;
use crate::tiff::{Field, Tiff};

/// Segments or chunks of one kind.
const MAX_PARTS: usize = 8;
/// Times that a chunk of image data is repeated: enough for presync to leap over them.
const MAX_REPEATS: u8 = 16;
/// Bytes of a chunk or of a scan.
const MAX_CHUNK: usize = 8 << 10;
/// Bytes that a JPEG segment may hold besides its name (ITU-T T.81, B.1.1.4).
const MAX_SEGMENT: usize = 65_000;

#[derive(Arbitrary, Debug)]
pub enum Photo {
    Jpeg(Jpeg),
    Png(Png),
    Webp(Webp),
    Tiff(Tiff, Fill),
}

#[derive(Arbitrary, Debug)]
pub struct Jpeg {
    segments: Vec<Segment>,
    /// The number of the segment before which it lies.
    exif: Option<(u8, Tiff)>,
    frame: u8,
    size: (u16, u16),
    /// Fill bytes before each marker (B.1.1.2).
    fill: bool,
    scan: Fill,
    /// A second picture with an orientation of its own behind the first, as in multi-picture files.
    second: Option<u8>,
}

#[derive(Arbitrary, Debug)]
enum Segment {
    App(u8, Fill),
    Xmp(Fill),
    Icc(Fill),
    MultiPicture(Fill),
    Comment(Fill),
}

#[derive(Arbitrary, Debug)]
pub struct Png {
    size: (u16, u16),
    before: Vec<Fill>,
    exif: Option<(Place, Block)>,
    /// Chunks of image data, each so many times.
    data: Vec<(Fill, u8)>,
    after: Vec<Fill>,
}

/// Where in a file with image data.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Behind,
}

/// An EXIF block, which may have the prefix that belongs to JPEG alone.
#[derive(Arbitrary, Debug)]
struct Block {
    prefixed: bool,
    tiff: Tiff,
}

impl Block {
    fn bytes(&self) -> Vec<u8> {
        let prefix: &[u8] = if self.prefixed { EXIF_PREFIX } else { b"" };
        [prefix, &self.tiff.block().bytes].concat()
    }
}

#[derive(Arbitrary, Debug)]
pub struct Webp {
    lossless: bool,
    size: (u16, u16),
    data: Fill,
    /// Without it, the simple format (RFC 9649, 2.5 and 2.6), which has no place for EXIF.
    extended: Option<Extended>,
}

#[derive(Arbitrary, Debug)]
struct Extended {
    icc: Option<Fill>,
    before: Vec<Fill>,
    exif: Option<Block>,
    xmp: Option<Fill>,
    after: Vec<Fill>,
}

const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// A file and what was put into it.
#[derive(Default)]
pub struct File<'a> {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// The field that holds the orientation.
    pub orientation: Option<&'a Field>,
    pub size: Option<(u32, u32)>,
    /// The EXIF block begins with JPEG's prefix, in a format that has none.
    pub prefixed: bool,
    /// The EXIF block of a PNG lies behind the image data.
    pub behind_data: bool,
    pub has_app0_of_four_bytes: bool,
    /// Behind the part that holds the EXIF block.
    pub exif_end: Option<usize>,
    /// From this length on, a cut file has its whole header.
    pub header_end: usize,
}

impl Photo {
    pub fn file(&self) -> File<'_> {
        match self {
            Self::Jpeg(jpeg) => jpeg.file(),
            Self::Png(png) => png.file(),
            Self::Webp(webp) => webp.file(),
            Self::Tiff(tiff, rest) => {
                let block = tiff.block();
                File {
                    name: "a.tif",
                    bytes: [block.bytes, rest.bytes(MAX_CHUNK)].concat(),
                    orientation: tiff.orientation.as_ref(),
                    header_end: block.ifd0_end,
                    ..File::default()
                }
            }
        }
    }
}

impl Jpeg {
    fn file(&self) -> File<'_> {
        let size = (self.size.0.max(1), self.size.1.max(1));
        let (width, height) = (size.0.to_be_bytes(), size.1.to_be_bytes());
        let frame = [8, height[0], height[1], width[0], width[1], 1, 1, 0x11, 0];
        let exif = self.exif.as_ref().map(|(at, tiff)| (*at, exif_segment(&tiff.block().bytes)));

        let mut segments: Vec<_> = self.segments.iter().take(MAX_PARTS).map(Segment::bytes).collect();
        segments.insert(usize::from(self.frame) % (segments.len() + 1), segment(0xC0, &frame));
        let exif_at = exif.map(|(at, exif)| {
            let at = usize::from(at) % (segments.len() + 1);
            segments.insert(at, exif);
            at
        });
        let has_app0_of_four_bytes = segments.iter().any(|segment| segment.starts_with(&[0xFF, 0xE0, 0, 6]));
        let mut bytes = vec![0xFF, 0xD8];
        let mut exif_end = None;
        for (index, segment) in segments.iter().enumerate() {
            bytes.extend([0xFF, 0xFF].iter().take(if self.fill { 2 } else { 0 }));
            bytes.extend(segment);
            if exif_at == Some(index) {
                exif_end = Some(bytes.len());
            }
        }
        let scan = segment(0xDA, &[1, 1, 0, 0, 63, 0]);
        // Behind the marker of the first scan there is nothing that counts.
        let header_end = bytes.len() + 2;
        bytes.extend(scan);
        let data = self.scan.bytes(MAX_CHUNK);
        // In a scan, a zero follows each 0xFF that begins no marker (B.1.1.5).
        bytes.extend(data.iter().flat_map(|byte| [Some(*byte), (*byte == 0xFF).then_some(0)]).flatten());
        bytes.extend([0xFF, 0xD9]);
        if let Some(orientation) = self.second {
            let block =
                [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation], &[0; 7]].concat();
            bytes.extend([&[0xFF, 0xD8][..], &exif_segment(&block), &[0xFF, 0xD9]].concat());
        }
        File {
            name: "a.jpg",
            bytes,
            orientation: self.exif.as_ref().and_then(|(_, tiff)| tiff.orientation.as_ref()),
            size: Some((size.0.into(), size.1.into())),
            has_app0_of_four_bytes,
            exif_end,
            header_end,
            ..File::default()
        }
    }
}

impl Segment {
    fn bytes(&self) -> Vec<u8> {
        let named =
            |marker, name: &[u8], fill: &Fill| segment(marker, &[name, &fill.bytes(MAX_SEGMENT)].concat());
        match self {
            Self::App(number, fill) => named(0xE0 + number % 16, b"", fill),
            Self::Xmp(fill) => named(0xE1, b"http://ns.adobe.com/xap/1.0/\0", fill),
            Self::Icc(fill) => named(0xE2, b"ICC_PROFILE\0\x01\x01", fill),
            Self::MultiPicture(fill) => named(0xE2, b"MPF\0", fill),
            Self::Comment(fill) => named(0xFE, b"", fill),
        }
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat()
}

fn exif_segment(block: &[u8]) -> Vec<u8> {
    segment(0xE1, &[EXIF_PREFIX, block].concat())
}

impl Png {
    fn file(&self) -> File<'_> {
        let size = (u32::from(self.size.0.max(1)), u32::from(self.size.1.max(1)));
        let header = [&size.0.to_be_bytes()[..], &size.1.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
        let mut bytes = [&b"\x89PNG\r\n\x1a\n"[..], &png_chunk(b"IHDR", &header)].concat();
        let others = |fills: &[Fill]| {
            let chunks = fills.iter().take(MAX_PARTS).map(|fill| png_chunk(b"prVt", &fill.bytes(MAX_CHUNK)));
            chunks.collect::<Vec<_>>().concat()
        };
        let mut exif_end = None;
        let mut exif = |bytes: &mut Vec<u8>, here| {
            if let Some((place, block)) = &self.exif
                && *place == here
            {
                bytes.extend(png_chunk(b"eXIf", &block.bytes()));
                exif_end = Some(bytes.len());
            }
        };
        bytes.extend(others(&self.before));
        exif(&mut bytes, Place::Before);
        for (fill, times) in self.data.iter().take(MAX_PARTS) {
            let chunk = png_chunk(b"IDAT", &fill.bytes(MAX_CHUNK));
            bytes.extend(chunk.repeat((times % MAX_REPEATS).into()));
        }
        bytes.extend(png_chunk(b"IDAT", b"the last one"));
        bytes.extend(others(&self.after));
        exif(&mut bytes, Place::Behind);
        bytes.extend(png_chunk(b"IEND", b""));
        File {
            name: "a.png",
            header_end: bytes.len(),
            bytes,
            orientation: self.exif.as_ref().and_then(|(_, block)| block.tiff.orientation.as_ref()),
            size: Some(size),
            prefixed: self.exif.as_ref().is_some_and(|(_, block)| block.prefixed),
            behind_data: self.exif.as_ref().is_some_and(|(place, _)| *place == Place::Behind),
            exif_end,
            ..File::default()
        }
    }
}

/// Length, type, data, and the checksum of the latter two (W3C PNG, third edition, 5.3).
fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let summed = [kind, data].concat();
    let sum = crc32fast::hash(&summed).to_be_bytes();
    [&(data.len() as u32).to_be_bytes()[..], &summed, &sum].concat()
}

impl Webp {
    fn file(&self) -> File<'_> {
        // A key frame has 14 bits for each (RFC 6386, 9.1), and a zero is no size.
        let size = ((self.size.0 & 0x3FFF).max(1), (self.size.1 & 0x3FFF).max(1));
        let mut chunks = Vec::new();
        let mut exif_end = None;
        match &self.extended {
            None => chunks.extend(self.image(size)),
            Some(extended) => {
                chunks.extend(extended.header(size));
                chunks.extend(riff_chunks(b"ICCP", &extended.icc));
                chunks.extend(riff_chunks(b"prvt", &extended.before));
                chunks.extend(self.image(size));
                if let Some(block) = &extended.exif {
                    chunks.extend(riff_chunk(b"EXIF", &block.bytes()));
                    exif_end = Some(12 + chunks.len());
                }
                chunks.extend(riff_chunks(b"XMP ", &extended.xmp));
                chunks.extend(riff_chunks(b"prvt", &extended.after));
            }
        }
        let bytes = [&b"RIFF"[..], &(chunks.len() as u32 + 4).to_le_bytes(), b"WEBP", &chunks].concat();
        let block = self.extended.as_ref().and_then(|extended| extended.exif.as_ref());
        File {
            name: "a.webp",
            // The last byte may be padding, without which readers do.
            header_end: bytes.len() - 1,
            bytes,
            orientation: block.and_then(|block| block.tiff.orientation.as_ref()),
            size: Some((size.0.into(), size.1.into())),
            prefixed: block.is_some_and(|block| block.prefixed),
            exif_end,
            ..File::default()
        }
    }

    fn image(&self, (width, height): (u16, u16)) -> Vec<u8> {
        let data = self.data.bytes(MAX_CHUNK);
        if self.lossless {
            // A signature, 14 bits each of width and height less one, alpha, three bits of version (RFC 9649, 3.4).
            let bits = u32::from(width - 1) | u32::from(height - 1) << 14;
            return riff_chunk(b"VP8L", &[&[0x2F][..], &bits.to_le_bytes(), &data].concat());
        }
        // A frame tag, the start code, and 14 bits each (RFC 6386, 9.1).
        let head = [&b"\0\0\0\x9d\x01\x2a"[..], &width.to_le_bytes(), &height.to_le_bytes()].concat();
        riff_chunk(b"VP8 ", &[head, data].concat())
    }
}

impl Extended {
    /// The `VP8X` chunk, whose flags own up to what is there (RFC 9649, 2.7).
    fn header(&self, (width, height): (u16, u16)) -> Vec<u8> {
        let flag = |is_there, bit: u8| if is_there { bit } else { 0 };
        let flags =
            flag(self.icc.is_some(), 0x20) | flag(self.exif.is_some(), 0x08) | flag(self.xmp.is_some(), 0x04);
        let [w0, w1] = (width - 1).to_le_bytes();
        let [h0, h1] = (height - 1).to_le_bytes();
        riff_chunk(b"VP8X", &[flags, 0, 0, 0, w0, w1, 0, h0, h1, 0])
    }
}

fn riff_chunks<'a>(kind: &[u8; 4], fills: impl IntoIterator<Item = &'a Fill>) -> Vec<u8> {
    let chunks = fills.into_iter().take(MAX_PARTS).map(|fill| riff_chunk(kind, &fill.bytes(MAX_CHUNK)));
    chunks.collect::<Vec<_>>().concat()
}

/// Type, length, data, and a byte of padding behind an odd length (RFC 9649, 2.3).
fn riff_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if data.len() % 2 == 1 { &[0] } else { &[] };
    [&kind[..], &(data.len() as u32).to_le_bytes(), data, padding].concat()
}

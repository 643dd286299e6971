//! What a blob's content is, from as few of its bytes as possible, without doing any I/O.
//!
//! A [`Probe`] names a range, is given its bytes, and either names the next range or is done. The parsers behind it
//! are straight-line functions over a [`View`](view::View) of the bytes known so far: one that reaches for bytes that
//! are not known yet stops with the range it needs, and runs again once they are there: a header from its start, because
//! that costs nanoseconds where a round trip costs milliseconds, and a walk over the parts of a file, which may take
//! thousands of reads, from the part that it had come to.

mod av1;
mod bits;
mod bmff;
mod codec;
mod edits;
mod ffv1;
mod fragments;
mod h264;
mod h265;
mod heif;
mod jpeg;
mod mezzanine;
mod mp4;
mod outline;
mod pixel_names;
mod pixels;
mod png;
mod raster;
mod sample;
mod sniff;
mod sps;
mod table;
mod tiff;
mod track;
mod view;
mod walk;
mod webp;

use bytes::{Bytes, BytesMut};

use crate::model::{ByteRange, Facts, Format, Gap, GapCost};
pub use outline::Node;
use view::{Parse, Stop, Store, View};
use walk::Walk;

/// Raised when the probe finds more than before: what an older one could not tell is then read again.
pub const VERSION: u32 = 2;
/// The oldest version whose facts still hold. Raised to [`VERSION`] when a wrong answer is mended.
pub const TRUSTED_SINCE: u32 = 2;
/// Reads that a header may cost. A sound one takes one to three; the cap ends a chain of offsets made to be endless.
pub const MAX_ASKS: u32 = 24;
/// Reads that the walk over the segments or chunks of an image may cost. 128 MiB of JPEG segments of full length before
/// the picture take as many.
pub const MAX_WALK_ASKS: u32 = 2048;
/// Bytes of one blob that such a walk may read: 16 MiB, twice what all those reads take together, and more than the
/// private chunks of a drawing program's PNG.
pub const MAX_WALK_BYTES: u64 = 16 << 20;
/// Bytes of one blob that are held at a time: 4 MiB, several times what the largest EXIF block and the sample
/// descriptions of a long film take together.
pub const MAX_HELD: u64 = 4 << 20;
/// Bytes that are held before those are dropped which a walk over the parts of a file has passed. They are kept up to
/// there for a person to look at.
const MAX_PASSED: u64 = 256 << 10;
/// Reads that the walk over the boxes of one video may cost besides. An hour in fragments of one second takes 3,600.
pub const MAX_READS: u32 = 8192;
/// Length of a read elsewhere in the blob, in bytes.
const JUMP: u64 = 4 << 10;
/// Reads of a walk over the parts of an image after which it reads more at a time where the parts are short.
const PATIENCE: u32 = 8;
/// Gap between two such reads, in bytes, up to which the second goes on with the first.
const SHORT_PART: u64 = 1 << 10;
/// Length of a read where the parts are longer, in bytes, and the gap up to which it pays: four parts a read.
const STRETCH: u64 = 64 << 10;
const STRETCH_GAP: u64 = 16 << 10;
/// Length of a read that goes on where the last one ended, in bytes, by how often that happened in a row: a header that
/// reached past one read often reaches past two.
const FOLLOW_UP: [u64; 4] = [16 << 10, 32 << 10, 64 << 10, 128 << 10];
/// Length of such a read on the walk over the boxes of a video, once it has read the ones before, in bytes.
const LONG_WALK: u64 = 512 << 10;

/// What a probe wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// These bytes: inside the blob, never empty, never bytes that were given before.
    Need(ByteRange),
    /// Nothing more.
    Done(Facts),
}

/// Which facts are worth a read besides those that the rules need. Others are given if the same bytes show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Width and height.
    pub dimensions: bool,
    /// Whether a JPEG file ends where its picture does.
    pub end: bool,
    /// Most reads to walk over the boxes of one video.
    pub max_reads: u32,
}

impl Default for Want {
    fn default() -> Self {
        Self { dimensions: false, end: false, max_reads: MAX_READS }
    }
}

/// The examination of one blob.
///
/// * The facts depend on the blob's bytes, its size, its extension and the wish alone, not on how the bytes were cut.
/// * At most [`MAX_ASKS`] ranges are asked for, [`MAX_WALK_ASKS`] and [`MAX_WALK_BYTES`] where the parts of an image are
///   walked, [`MAX_READS`] more on the walk over a video's boxes, and at most [`MAX_HELD`] bytes are held; a blob that
///   needs more ends with a [`Gap`].
/// * The work of its parsers is bounded, whatever the blob holds.
#[derive(Debug)]
pub struct Probe {
    store: Store,
    want: Want,
    /// How far the walk over the segments or chunks of an image has come.
    parts: Walk,
    /// What is known so far.
    facts: Facts,
    asked: ByteRange,
    /// The part of `asked` that has arrived, when it came in more than one piece.
    partial: BytesMut,
    asks: u32,
    /// Bytes asked for so far.
    read: u64,
    /// Asks in a row that went on with the one before.
    in_a_row: usize,
    /// Asks on the walk over a video's boxes, and bytes of them.
    hops: u32,
    hopped: u64,
    walk: Option<Box<mp4::Walk>>,
}

impl Probe {
    /// A probe of a blob of `size` bytes that wants what the rules need, and the first range it asks for. `extension`
    /// decides only how much is read first. An empty blob needs no bytes and has the format `unknown`.
    pub fn new(size: u64, extension: Option<&str>) -> (Self, Step) {
        Self::wanting(Want::default(), size, extension)
    }

    /// Likewise, with a wish.
    pub(crate) fn wanting(want: Want, size: u64, extension: Option<&str>) -> (Self, Step) {
        Self::beginning(first_read(extension), want, size)
    }

    /// Likewise, with a first read of `first` bytes, at least one and at most 1 MiB, whatever the name promises.
    pub fn beginning(first: u64, want: Want, size: u64) -> (Self, Step) {
        let asked = ByteRange::new(0, first.clamp(1, LONGEST_FIRST_READ)).within(size);
        let probe = Self {
            store: Store::new(size),
            want,
            parts: Walk::default(),
            facts: Facts::of(Format::Unknown),
            asked,
            partial: BytesMut::new(),
            asks: 1,
            read: asked.len(),
            in_a_row: 0,
            hops: 0,
            hopped: 0,
            walk: None,
        };
        let step = if asked.is_empty() { Step::Done(Facts::of(Format::Unknown)) } else { Step::Need(asked) };
        (probe, step)
    }

    /// Takes the bytes that begin where the asked range begins. Fewer bytes than asked for lead to an ask for the
    /// rest; none at all mean that the blob ends there. Bytes past the asked range are ignored.
    pub fn step(&mut self, bytes: Bytes) -> Step {
        let wanted = self.asked.len() as usize - self.partial.len();
        if bytes.is_empty() {
            self.store.end_at(self.asked.start() + self.partial.len() as u64);
        } else if bytes.len() < wanted {
            self.partial.extend_from_slice(&bytes);
            let had = self.partial.len() as u64;
            return Step::Need(ByteRange::new(self.asked.start() + had, self.asked.len() - had));
        }
        let whole = if self.partial.is_empty() {
            bytes.slice(..bytes.len().min(wanted))
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
            whole.freeze()
        };
        self.store.insert(self.asked.start(), whole);
        self.advance()
    }

    /// The structure of the blob as far as its bytes were read, for a person to look at.
    pub fn outline(&self) -> Vec<Node> {
        outline::outline(self.store.view())
    }

    /// Bytes of the blob that are held, at most [`MAX_HELD`].
    pub fn held(&self) -> u64 {
        self.store.held() + self.partial.len() as u64
    }

    /// The bytes from `at` on, as far as they are known in one run and at most `len`.
    pub fn known(&self, at: u64, len: u64) -> &[u8] {
        self.store.known(at, len)
    }

    fn advance(&mut self) -> Step {
        let view = self.store.view();
        let format = match &self.walk {
            Some(walk) => Ok(walk.format()),
            None if self.parts.at > 0 => Ok(self.facts.format),
            None => sniff::format(view),
        };
        match format {
            // A walk over the parts of an image keeps what it has found.
            Ok(_) if self.parts.at > 0 => {}
            Ok(format) => self.facts = Facts::of(format),
            Err(stop) => return self.settle(stop),
        }
        match read_inside(view, self.want, &mut self.parts, &mut self.walk, &mut self.facts) {
            Ok(()) => self.done(),
            Err(stop) => self.settle(stop),
        }
    }

    /// Turns a parser's stop into the next ask or into the end, keeping what is known of the blob.
    fn settle(&mut self, stop: Stop) -> Step {
        let most = if self.parts.at > 0 { MAX_WALK_ASKS } else { MAX_ASKS };
        let asked = match stop {
            Stop::Malformed(damage) => {
                self.facts.malformed = Some(damage.into());
                return self.done();
            }
            Stop::Gap(gap) => Err(gap),
            Stop::Need { .. } | Stop::Wish { .. } if self.asks >= most => Err(Gap::TooManyReads),
            Stop::Hop { .. } if self.hops >= self.want.max_reads => {
                let has_movie = self.walk.as_ref().is_some_and(|walk| walk.has_movie());
                Err(if has_movie { Gap::TooManyFragments } else { Gap::TooManyReads })
            }
            Stop::Need { at, len } | Stop::Wish { at, len } => {
                self.asks += 1;
                if self.store.held() > MAX_PASSED {
                    self.store.forget(0, self.parts.at);
                }
                let gap = self.store.missing(at, len, 1).start().checked_sub(self.asked.end());
                let is_within = |most: u64| gap.is_some_and(|gap| gap <= most);
                let is_patient = self.parts.at == 0 || self.asks <= PATIENCE;
                let goes_on = is_within(if is_patient { 0 } else { SHORT_PART });
                let jump = if !is_patient && is_within(STRETCH_GAP) { STRETCH } else { JUMP };
                self.ask(at, len, goes_on, [jump, FOLLOW_UP[FOLLOW_UP.len() - 1]])
            }
            Stop::Hop { at, len, dense } => {
                self.hops += 1;
                if let Some(walk) = self.walk.as_ref().filter(|_| self.store.held() > MAX_PASSED) {
                    let (from, to) = walk.passed();
                    self.store.forget(from, to);
                }
                self.ask(at, len, dense, [JUMP, LONG_WALK]).inspect(|range| self.hopped += range.len())
            }
        };
        match (asked, stop) {
            (Ok(range), _) => return Step::Need(range),
            (Err(_), Stop::Wish { .. }) => {}
            (Err(gap), _) => {
                self.facts.gap = Some(gap);
                self.facts.gap_cost = (gap == Gap::TooManyFragments).then(|| self.whole_walk());
            }
        }
        self.done()
    }

    /// The end, with what the walk over a video's boxes has found.
    fn done(&mut self) -> Step {
        let mut facts = std::mem::replace(&mut self.facts, Facts::of(Format::Unknown));
        if let Some(walk) = self.walk.take() {
            walk.tell(&mut facts);
        }
        Step::Done(facts)
    }

    /// What the walk would take to its end: as much for each byte of the blob as up to here, or for each fragment if it
    /// is known how many there are.
    fn whole_walk(&self) -> GapCost {
        let (at, fragments) = self.walk.as_ref().map_or((0, None), |walk| walk.progress());
        let (hops, hopped) = (u128::from(self.hops.max(1)), u128::from(self.hopped));
        let reads = fragments.map_or_else(
            || (hops * u128::from(self.store.view().size())).div_ceil(u128::from(at.max(1))),
            u128::from,
        );
        GapCost { reads: reads as u64, bytes: (hopped * reads / hops) as u64 }
    }

    /// Asks for `len` bytes from `at` on, or for as many more as make a sensible read, which is longer where it
    /// `goes_on` with the last one: from the length of a `jump` to the `longest`.
    fn ask(&mut self, at: u64, len: u64, goes_on: bool, [jump, longest]: [u64; 2]) -> Result<ByteRange, Gap> {
        self.in_a_row = if goes_on { self.in_a_row + 1 } else { 0 };
        let usual = match self.in_a_row {
            0 => jump,
            times => *FOLLOW_UP.get(times - 1).unwrap_or(&longest),
        };
        let range = self.store.missing(at, len, usual);
        let read = self.read + range.len();
        if self.store.held() + range.len() > MAX_HELD || (self.parts.at > 0 && read > MAX_WALK_BYTES) {
            return Err(Gap::TooManyBytes);
        }
        (self.asked, self.read) = (range, read);
        Ok(range)
    }
}

/// Length of the longest first read, in bytes.
const LONGEST_FIRST_READ: u64 = 1 << 20;

/// How much is read first, in bytes, by what the name promises. Images whose dimensions and EXIF lie in the first
/// 16 KiB are settled in one request; in the other formats 4 KiB hold the header or tell where it is.
pub(crate) fn first_read(extension: Option<&str>) -> u64 {
    let formats = [Format::Jpeg, Format::Webp, Format::Heif, Format::Avif];
    match extension {
        Some(extension) if formats.iter().any(|format| format.matches_extension(extension)) => 16 << 10,
        _ => 4 << 10,
    }
}

/// Reads what the rules need of the format found. What is already in `facts` when a parser stops stays there.
fn read_inside(
    view: View<'_>,
    want: Want,
    parts: &mut Walk,
    walk: &mut Option<Box<mp4::Walk>>,
    facts: &mut Facts,
) -> Parse<()> {
    match facts.format {
        Format::Jpeg => jpeg::read(view, want, parts, facts),
        Format::Png => png::read(view, parts, facts),
        Format::Webp => webp::read(view, parts, facts),
        Format::Tiff => tiff::read(view, facts),
        Format::Gif => raster::read_gif(view, facts),
        Format::Bmp => raster::read_bmp(view, facts),
        Format::Mp4 | Format::Mov | Format::ThreeGp | Format::Mj2 => {
            walk.get_or_insert_with(|| Box::new(mp4::Walk::new(facts.format, want.max_reads))).go_on(view)
        }
        Format::Heif | Format::Avif => heif::read(view, facts),
        Format::Jp2 => raster::read_jp2(view, facts),
        // No profile accepts these, so nothing inside them matters.
        Format::Jxl
        | Format::Psd
        | Format::Cr3
        | Format::Raw
        | Format::HeifSequence
        | Format::Webm
        | Format::Matroska
        | Format::Avi
        | Format::Flv
        | Format::Asf
        | Format::MpegTs
        | Format::MpegPs
        | Format::Ogg
        | Format::Dhav
        | Format::Rm
        | Format::Mxf
        | Format::H264
        | Format::Hevc
        | Format::Unknown => Ok(()),
    }
}

#[cfg(test)]
mod tests;

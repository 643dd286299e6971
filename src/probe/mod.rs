//! Detects the format and facts of a blob's content from as few of its bytes as possible, without doing any I/O.
//!
//! A [`Probe`] requests a range, is given its bytes, and then either requests the next range or is done. The parsers
//! behind it are straight-line functions over a [`View`](view::View) of the bytes known so far. A parser that reaches
//! unknown bytes stops with the range it needs and runs again once they are known. Header parsers run again from the
//! start, because that costs nanoseconds where a round trip costs milliseconds. Walks over the parts of a file, which
//! may take thousands of reads, continue where they stopped.

mod av1;
mod bits;
mod bmff;
mod codec;
mod containers;
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

/// Raised when the probe can determine more than before. What an older version could not determine is then read
/// again.
pub const VERSION: u32 = 2;
/// The oldest version whose facts are still valid. Raised to [`VERSION`] when a wrong answer is fixed.
pub const TRUSTED_SINCE: u32 = 2;
/// Maximum reads for a header. A valid one takes one to three; the cap ends endless chains of offsets.
pub const MAX_ASKS: u32 = 24;
/// Maximum reads for the walk over the segments or chunks of an image. 128 MiB of full-length JPEG segments before
/// the picture take this many.
pub const MAX_WALK_ASKS: u32 = 2048;
/// Maximum bytes of one blob that such a walk may read: 16 MiB, twice what all those reads take together, and more
/// than the private chunks in a drawing program's PNG.
pub const MAX_WALK_BYTES: u64 = 16 << 20;
/// Maximum bytes of one blob held at a time: 4 MiB, several times what the largest EXIF block and the sample
/// descriptions of a long film take together.
pub const MAX_HELD: u64 = 4 << 20;
/// Bytes held before a walk over the parts of a file drops those that it has passed, if they are to be shown
/// ([`Want::outline`]), and if not. Copying what is left of fewer bytes costs more than they do.
const MAX_PASSED: u64 = 256 << 10;
const MAX_UNUSED: u64 = 32 << 10;
/// Maximum additional reads for the walk over the boxes of one video. One hour in one-second fragments takes 3,600.
pub const MAX_READS: u32 = 8192;
/// Maximum steps of work on one blob: accesses to its bytes, and about as much work for searching and copying them. A
/// photo takes some 50, a video 1,100. All of them take less than 100 ms.
pub const MAX_WORK: u32 = view::MAX_STEPS;
/// Length in bytes of a read that does not continue the last one.
const JUMP: u64 = 4 << 10;
/// Reads of a walk over the parts of an image after which reads become longer if the parts are short.
const PATIENCE: u32 = 8;
/// Maximum gap in bytes between two such reads at which the second counts as continuing the first.
const SHORT_PART: u64 = 1 << 10;
/// Maximum gap in bytes at which any read counts as continuing the one before: the rest of a part whose header was known.
const NEXT_PART: u64 = 16;
/// Length in bytes of a read where the parts are longer, and the maximum gap at which it pays off: four parts per
/// read.
const STRETCH: u64 = 64 << 10;
const STRETCH_GAP: u64 = 16 << 10;
/// Length in bytes of a read that continues the last one, by how many reads in a row did so: a header that goes past
/// one read often goes past two.
const FOLLOW_UP: [u64; 4] = [16 << 10, 32 << 10, 64 << 10, 128 << 10];
/// Times that it doubles after that in a header: up to 1 MiB.
const MAX_DOUBLINGS: usize = 3;
/// Length in bytes of such a read on the walk over the boxes of a video, after the earlier ones.
const LONG_WALK: u64 = 512 << 10;

/// What a probe needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// These bytes: within the blob, never empty, and never bytes that were given before.
    Need(ByteRange),
    /// Nothing more.
    Done(Facts),
}

/// Additional facts that are worth a read besides those the rules need. Other facts are reported if the same bytes
/// show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Width and height.
    pub dimensions: bool,
    /// Whether a JPEG file ends with its picture.
    pub end: bool,
    /// Maximum reads for the walk over the boxes of one video.
    pub max_reads: u32,
    /// Whether to read the headers of videos other than MP4 and its relatives.
    pub containers: bool,
    /// Whether to keep bytes that are no longer needed, up to 256 KiB, for [`Probe::outline`].
    pub outline: bool,
    /// Whether to keep the thumbnails of images that the rules reject, where no further read is needed for them.
    pub thumbnails: bool,
}

impl Default for Want {
    fn default() -> Self {
        Self {
            dimensions: false,
            end: false,
            max_reads: MAX_READS,
            containers: false,
            outline: false,
            thumbnails: false,
        }
    }
}

/// The examination of one blob.
///
/// * The facts depend only on the blob's bytes, its size, its extension and the `Want`, not on how the bytes were
///   split.
/// * At most [`MAX_ASKS`] ranges are requested, [`MAX_WALK_ASKS`] and [`MAX_WALK_BYTES`] for a walk over the parts of
///   an image, [`MAX_READS`] more for the walk over a video's boxes, and at most [`MAX_HELD`] bytes are held. A blob
///   that needs more ends with a [`Gap`].
/// * The parsers take at most [`MAX_WORK`] steps, and each request's share of them is linear in the bytes held.
/// * Bytes that were passed are dropped, so that a probe that waits holds what it still needs.
#[derive(Debug)]
pub struct Probe {
    store: Store,
    want: Want,
    /// State of the walk over the segments or chunks of an image.
    parts: Walk,
    /// The facts known so far.
    facts: Facts,
    asked: ByteRange,
    /// The part of `asked` that has arrived, if it came in more than one piece.
    partial: BytesMut,
    asks: u32,
    /// Bytes requested so far.
    read: u64,
    /// Number of requests in a row that continued the one before.
    in_a_row: usize,
    /// Requests and bytes of the walk over a video's boxes.
    hops: u32,
    hopped: u64,
    walk: Option<Box<mp4::Walk>>,
}

impl Probe {
    /// Creates a probe for a blob of `size` bytes that determines what the rules need, and returns it with its first
    /// request. `extension` affects only the length of the first read. An empty blob needs no bytes and has the
    /// format `unknown`.
    pub fn new(size: u64, extension: Option<&str>) -> (Self, Step) {
        Self::wanting(Want::default(), size, extension)
    }

    /// Creates a probe that also determines the facts in `want`; see [`new`](Self::new).
    pub(crate) fn wanting(want: Want, size: u64, extension: Option<&str>) -> (Self, Step) {
        Self::beginning(first_read(extension), want, size)
    }

    /// Creates a probe with a first read of `first` bytes, from 1 byte to 1 MiB, whatever the extension.
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

    /// Takes the bytes that start at the requested range. If there are fewer than requested, the rest is requested
    /// next; an empty slice means that the blob ends there. Bytes past the requested range are ignored.
    pub fn step(&mut self, mut bytes: Bytes) -> Step {
        let wanted = self.asked.len() as usize - self.partial.len();
        if bytes.is_empty() {
            // Parsers then see the blob end here; otherwise they would request the same bytes forever.
            self.store.end_at(self.asked.start() + self.partial.len() as u64);
        } else if bytes.len() < wanted {
            // Reserved at once, so that no more is held than was requested.
            if self.partial.is_empty() {
                self.partial.reserve(self.asked.len() as usize);
            }
            self.partial.extend_from_slice(&bytes);
            let had = self.partial.len() as u64;
            return Step::Need(ByteRange::new(self.asked.start() + had, self.asked.len() - had));
        }
        let whole = if self.partial.is_empty() {
            bytes.truncate(wanted);
            bytes
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
            whole.freeze()
        };
        self.store.insert(self.asked.start(), whole);
        self.advance()
    }

    /// Returns the structure of the blob, as far as its bytes were read, for display.
    pub fn outline(&self) -> Vec<Node> {
        outline::outline(self.store.view())
    }

    /// Returns the JPEG that the EXIF block has as a thumbnail, if it is within the bytes that were read and not longer
    /// than [`MAX_THUMBNAIL`].
    pub(crate) fn thumbnail(&self) -> Option<Box<[u8]>> {
        let (start, end) = self.store.exif()?;
        let range = tiff::thumbnail(self.store.view_near(start), start, end).ok()??;
        let bytes = self.store.known(range.start(), range.len());
        let is_whole = bytes.len() as u64 == range.len() && range.len() <= MAX_THUMBNAIL;
        (is_whole && bytes.starts_with(b"\xFF\xD8\xFF")).then(|| bytes.into())
    }

    /// Returns the number of bytes held, at most [`MAX_HELD`].
    pub fn held(&self) -> u64 {
        self.store.held() + self.partial.capacity() as u64
    }

    /// Returns the steps of work spent so far, at most [`MAX_WORK`].
    pub fn work(&self) -> u32 {
        self.store.steps()
    }

    /// Returns the bytes from `at` on, up to `len` and to the end of the known run.
    pub fn known(&self, at: u64, len: u64) -> &[u8] {
        self.store.known(at, len)
    }

    fn advance(&mut self) -> Step {
        // Nearly all of what is read next is in the bytes that came last.
        let view = self.store.view_near(self.asked.start());
        let format = match &self.walk {
            Some(walk) => Ok(walk.format()),
            None if self.parts.at > 0 => Ok(self.facts.format),
            None => sniff::format(view),
        };
        match format {
            // A walk over the parts of an image keeps what it has found.
            Ok(_) if self.parts.at > 0 => {}
            // A header parser starts over, so no facts of its last attempt may remain.
            Ok(format) => self.facts = Facts::of(format),
            Err(stop) => return self.settle(stop),
        }
        match read_inside(view, self.want, &mut self.parts, &mut self.walk, &mut self.facts) {
            Ok(()) => self.done(),
            Err(stop) => self.settle(stop),
        }
    }

    /// Turns a parser's stop into the next request or the end, keeping the facts known so far.
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
                self.drop_passed();
                let gap = self.store.missing(at, len, 1).start().checked_sub(self.asked.end());
                let is_within = |most: u64| gap.is_some_and(|gap| gap <= most);
                let is_patient = self.parts.at == 0 || self.asks <= PATIENCE;
                let goes_on = is_within(if is_patient { NEXT_PART } else { SHORT_PART });
                let jump = if !is_patient && is_within(STRETCH_GAP) { STRETCH } else { JUMP };
                // A header is parsed from its start after each read: lengths that double keep that linear.
                let doublings =
                    if self.parts.at > 0 { 0 } else { (self.in_a_row + 1).saturating_sub(FOLLOW_UP.len()) };
                let longest = FOLLOW_UP[FOLLOW_UP.len() - 1] << doublings.min(MAX_DOUBLINGS);
                self.ask(at, len, goes_on, [jump, longest])
            }
            Stop::Hop { at, len, dense } => {
                self.hops += 1;
                self.drop_passed();
                self.ask(at, len, dense, [JUMP, LONG_WALK]).inspect(|range| self.hopped += range.len())
            }
        };
        match (asked, stop) {
            (Ok(range), _) => return Step::Need(range),
            // The rules do not need a wished fact, so its absence must not become a gap, and the verdict `unknown`.
            (Err(_), Stop::Wish { .. }) => {}
            (Err(gap), _) => {
                self.facts.gap = Some(gap);
                self.facts.gap_cost = (gap == Gap::TooManyFragments).then(|| self.whole_walk());
            }
        }
        self.done()
    }

    /// Drops bytes that no parser will access again, if they are worth it.
    fn drop_passed(&mut self) {
        if self.store.held() <= if self.want.outline { MAX_PASSED } else { MAX_UNUSED } {
            return;
        }
        self.store.forget(0, self.parts.at);
        for (from, to) in self.walk.iter().flat_map(|walk| walk.passed(self.want.outline)) {
            self.store.forget(from, to);
        }
    }

    /// Ends with what the walk over a video's boxes has found.
    fn done(&mut self) -> Step {
        let mut facts = std::mem::replace(&mut self.facts, Facts::of(Format::Unknown));
        if let Some(walk) = self.walk.take() {
            walk.tell(&mut facts);
        }
        Step::Done(facts)
    }

    /// Estimates the cost of finishing the walk: per byte of the blob as much as so far or, if the number of
    /// fragments is known, per fragment.
    fn whole_walk(&self) -> GapCost {
        let (at, fragments) = self.walk.as_ref().map_or((0, None), |walk| walk.progress());
        let (hops, hopped) = (u128::from(self.hops.max(1)), u128::from(self.hopped));
        let reads = fragments.map_or_else(
            || (hops * u128::from(self.store.size())).div_ceil(u128::from(at.max(1))),
            u128::from,
        );
        GapCost { reads: reads as u64, bytes: (hopped * reads / hops) as u64 }
    }

    /// Requests `len` bytes from `at` on, or more to make a read worthwhile. The read is longer if it continues the
    /// last one (`goes_on`): from the length of a `jump` to the `longest`.
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

/// Returns whether the headers of this format are only read on request ([`Want::containers`]).
pub fn reads_on_request(format: Format) -> bool {
    use Format::{Asf, Avi, Flv, Matroska, MpegPs, MpegTs, Ogg, Rm, Webm};
    matches!(format, Asf | Avi | Flv | Matroska | MpegPs | MpegTs | Ogg | Rm | Webm)
}

/// Maximum bytes of a thumbnail. Cameras write 3 to 12 KiB, and the first read of 16 KiB rarely holds more. All assets
/// between the listing and the report, at most 4,096, take 48 MiB with such thumbnails.
const MAX_THUMBNAIL: u64 = 12 << 10;

/// Maximum length of the first read, in bytes.
const LONGEST_FIRST_READ: u64 = 1 << 20;

/// Length of the first read in bytes, by the extension. Images whose dimensions and EXIF are in the first 16 KiB take
/// one request; in the other formats, 4 KiB contain the header or show where it is.
pub(crate) fn first_read(extension: Option<&str>) -> u64 {
    let formats = [Format::Jpeg, Format::Webp, Format::Heif, Format::Avif];
    match extension {
        Some(extension) if formats.iter().any(|format| format.matches_extension(extension)) => 16 << 10,
        _ => 4 << 10,
    }
}

/// Reads what the rules need for the detected format. Facts set before a parser stops are kept.
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
        format if reads_on_request(format) && want.containers => containers::read(view, facts),
        // Not wanted, or accepted by no profile.
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

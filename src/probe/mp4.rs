//! MP4, QuickTime, 3GPP and Motion JPEG 2000: the top-level boxes and the brands (ISO/IEC 14496-12).

use super::JUMP;
use super::bmff::Bmff;
use super::fragments::Fragments;
use super::track::{self, Movie};
use super::view::{Parse, Stop, View, malformed};
use crate::model::{Facts, Format, FourCc, Mirror, Video};

/// Maximum compatible brands kept; real files have up to about twelve.
const MAX_BRANDS: u64 = 64;

/// The walk over the top-level boxes of a file, to the first `ftyp` and the first `moov`, wherever they are, and over
/// the fragments after them. It continues where it stopped, so each box is read once.
#[derive(Debug)]
pub(super) struct Walk {
    /// The format detected from the first bytes.
    format: Format,
    /// Maximum reads of the walk.
    max_reads: u32,
    /// Where the next box starts.
    at: u64,
    /// Whether the last box was no longer than a usual read.
    dense: bool,
    has_brand: bool,
    movie: Option<Bmff>,
    video: Box<Video>,
    rotation: Option<u16>,
    mirror: Option<Mirror>,
    /// Where a box ends that extends past the end of the file.
    cut: Option<u64>,
    is_read: bool,
    fragments: Option<Fragments>,
}

impl Walk {
    pub(super) fn new(format: Format, max_reads: u32) -> Self {
        Self {
            format,
            max_reads,
            at: 0,
            dense: false,
            has_brand: false,
            movie: None,
            video: Box::default(),
            rotation: None,
            mirror: None,
            cut: None,
            is_read: false,
            fragments: None,
        }
    }

    /// Continues as far as the known bytes allow.
    pub(super) fn go_on(&mut self, view: View<'_>) -> Parse<()> {
        self.find_header(view)?;
        let Some(movie) = self.movie else {
            return Err(malformed("file", 0, "has no movie header (moov)"));
        };
        if !self.is_read {
            self.read_movie(view, movie)?;
        }
        match &mut self.fragments {
            Some(fragments) => {
                let counted = fragments.count(view, &mut self.video.tracks);
                self.cut = fragments.cut;
                counted
            }
            None => {
                self.look_ahead(view.near(self.at));
                Ok(())
            }
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Returns what the walk has found.
    pub(super) fn tell(self, facts: &mut Facts) {
        facts.format = self.video.major_brand.map_or(self.format, |brand| family(brand.0));
        if let Some(first) = self.video.tracks.first() {
            (facts.width, facts.height) = (first.width, first.height);
        }
        (facts.rotation, facts.mirror, facts.truncated) = (self.rotation, self.mirror, self.cut);
        facts.video = Some(self.video);
    }

    /// Returns whether the movie header has been found, so that further reads are for fragments.
    pub(super) fn has_movie(&self) -> bool {
        self.movie.is_some()
    }

    /// Returns how far the walk is and, if the file's own index shows it, how many fragments there are.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        match &self.fragments {
            Some(fragments) => (fragments.at, fragments.mapped),
            None => (self.at, None),
        }
    }

    /// Returns the ranges that the walk no longer needs. For an outline, the bytes that identify the format are kept, and
    /// so is the movie header.
    pub(super) fn passed(&self, for_outline: bool) -> [(u64, u64); 2] {
        let index = self.fragments.as_ref().and_then(Fragments::index);
        match (self.movie, for_outline) {
            (None, for_outline) => [(if for_outline { JUMP } else { 0 }, self.at), (0, 0)],
            (Some(movie), true) => [(movie.end, self.reached()), (0, 0)],
            (Some(movie), false) if !self.is_read => [(0, movie.at), (movie.end, self.at)],
            (Some(_), false) => match index {
                Some((start, end)) => [(0, start), (end, self.reached())],
                None => [(0, self.reached()), (0, 0)],
            },
        }
    }

    /// Returns where the first byte is that the walk still needs.
    fn reached(&self) -> u64 {
        self.fragments.as_ref().map_or(self.at, Fragments::reached)
    }

    fn find_header(&mut self, view: View<'_>) -> Parse<()> {
        while self.movie.is_none() || !self.has_brand {
            let found = match Bmff::at_top(view, self.at) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(Stop::Need { at, len }) => return Err(Stop::Hop { at, len, dense: self.dense }),
                // A file whose movie header was found is judged by it, even if there is damage after it.
                Err(Stop::Malformed(_)) if self.movie.is_some() => break,
                Err(stop) => return Err(stop),
            };
            if found.end > view.size() {
                if self.movie.is_none() {
                    return Err(malformed("box", found.at, "runs past the end of the file"));
                }
                self.cut = Some(found.end).filter(|_| found.is(b"mdat"));
                break;
            }
            if found.is(b"ftyp") && !self.has_brand {
                brands(view, found, &mut self.video)?;
                self.has_brand = true;
            } else if found.is(b"moov") && self.movie.is_none() {
                self.movie = Some(found);
            }
            self.dense = found.end - found.at <= JUMP;
            self.at = found.end;
        }
        Ok(())
    }

    fn read_movie(&mut self, view: View<'_>, movie: Bmff) -> Parse<()> {
        let Movie { tracks, rotation, mirror, fragmented, samples } =
            track::read_movie(view.near(movie.at), movie)?;
        self.is_read = true;
        self.video.tracks = tracks;
        (self.rotation, self.mirror) = (rotation, mirror);
        if let (Some(first), Some(id)) = (self.video.tracks.first_mut(), fragmented) {
            self.fragments = Some(Fragments::behind(movie, id, samples, first, self.max_reads.into()));
        }
        Ok(())
    }

    /// Checks whether the samples after the header, as far as the known bytes show them, extend past the end of the
    /// file.
    fn look_ahead(&mut self, view: View<'_>) {
        while let Ok(Some(found)) = Bmff::at_top(view, self.at) {
            if found.end > view.size() {
                self.cut = self.cut.or(Some(found.end).filter(|_| found.is(b"mdat")));
                return;
            }
            self.at = found.end;
        }
    }
}

/// Reads the major and compatible brands (4.3).
fn brands(view: View<'_>, ftyp: Bmff, video: &mut Video) -> Parse<()> {
    if ftyp.end - ftyp.body < 8 {
        return Err(malformed("file type box", ftyp.at, "is too short for a brand"));
    }
    let major = ftyp.field(view, ftyp.body, "file type box")?;
    let len = (ftyp.end - ftyp.body - 8).min(MAX_BRANDS * 4);
    let list = view.bytes(ftyp.body + 8, len, "file type box")?;
    video.major_brand = Some(FourCc(major));
    video.compatible_brands = list.as_chunks().0.iter().map(|brand| FourCc(*brand)).collect();
    Ok(())
}

/// Returns the format of a video by its major brand.
pub(super) fn family(major: [u8; 4]) -> Format {
    match &major {
        b"qt  " => Format::Mov,
        b"mjp2" | b"mj2s" => Format::Mj2,
        [b'3', b'g', ..] => Format::ThreeGp,
        _ => Format::Mp4,
    }
}

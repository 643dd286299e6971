//! Videos in containers other than MP4 and its relatives: codec, dimensions, duration, frame rate and frames, as far as
//! headers state them.
//!
//! Only AVI, Ogg and the statistics of Matroska count frames. Elsewhere there is a bound: the duration at the frame
//! rate, or nothing. Each parser is a plain function over a [`View`] that runs again after each read, with at most two
//! places to read: the head, and the end where a format keeps its times there.

mod asf;
mod asf_packets;
mod avi;
mod codecs;
mod flv;
mod matroska;
mod mpeg;
mod ogg;
mod pictures;
mod program_stream;
mod real;
mod transport_stream;

use super::view::{Parse, Stop, View};
use crate::model::{Facts, Format, Video, VideoTrack};

/// Numbers of frames up to which a bound is meant: ten years at 1,000 a second. Beyond, its duration or rate is damaged.
const MAX_FRAMES: f64 = 3.2e11;

/// What a parser has found so far.
#[derive(Default)]
struct Found {
    /// The first video track.
    track: Option<VideoTrack>,
    /// The size that the file should have, if that is more than it has.
    end: Option<u64>,
}

/// Reads the headers of a video. Facts found before a parser stops are kept.
pub(super) fn read(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let mut found = Found::default();
    let parsed = match facts.format {
        Format::Avi => avi::read(view, &mut found),
        Format::Matroska | Format::Webm => matroska::read(view, &mut found),
        Format::Flv => flv::read(view, &mut found),
        Format::Asf => asf::read(view, &mut found),
        Format::MpegPs => program_stream::read(view, &mut found),
        Format::MpegTs => transport_stream::read(view, &mut found),
        Format::Ogg => ogg::read(view, &mut found),
        Format::Rm => real::read(view, &mut found),
        _ => return Ok(()),
    };
    let mut video = Video::default();
    if let Some(mut track) = found.track {
        if track.frames.is_none() {
            track.frames_at_most = track.duration_s.zip(track.frame_rate).and_then(at_most);
        }
        (facts.width, facts.height) = (track.width, track.height);
        video.tracks.push(track);
    }
    facts.truncated = found.end;
    facts.video = Some(Box::new(video));
    parsed
}

/// Returns the most frames for which a duration has room at a rate: one at its start, and one after each frame's length.
/// Writers do not agree on whether the last frame's length is part of the duration.
fn at_most((duration_s, rate): (f64, f64)) -> Option<u64> {
    let frames = (duration_s * rate).floor() + 1.0;
    (duration_s > 0.0 && rate > 0.0 && frames <= MAX_FRAMES).then_some(frames as u64)
}

/// Bytes of the first pictures that are read for their times: a third of a second at 3 Mbit/s.
const PICTURES: u64 = 128 << 10;
/// Times of frames that show their rate, if there are at least so many.
const MIN_TIMES: usize = 8;
const MAX_TIMES: usize = 4096;

/// Returns the rate of consecutive frames by their usual distance in time, in units of `clock` a second. The times need
/// not be in order.
fn usual_rate(times: impl Iterator<Item = u64>, clock: u32) -> Option<f64> {
    let mut times: Vec<u64> = times.take(MAX_TIMES).collect();
    times.sort_unstable();
    times.dedup();
    let mut distances: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_unstable();
    let usual = distances.get(distances.len() / 2).filter(|_| times.len() >= MIN_TIMES)?;
    ratio(clock, *usual as f64)
}

/// Returns a quotient, such as a rate, unless it makes no sense.
fn ratio(numerator: impl Into<f64>, denominator: impl Into<f64>) -> Option<f64> {
    let ratio = numerator.into() / denominator.into();
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// Marks the bytes of a read as good to have: without them, the facts found so far stand.
fn wished<T>(parsed: Parse<T>) -> Parse<T> {
    parsed.map_err(|stop| match stop {
        Stop::Need { at, len } => Stop::Wish { at, len },
        other => other,
    })
}

/// Returns the last bytes of a file, up to `len` and from `from` on, and where they start.
fn tail(view: View<'_>, len: u64, from: u64) -> Parse<(u64, &[u8])> {
    let start = view.size().saturating_sub(len).max(from.min(view.size()));
    Ok((start, wished(view.bytes(start, view.size() - start, "file"))?))
}

/// Returns `N` bytes at an offset of a slice.
fn at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;

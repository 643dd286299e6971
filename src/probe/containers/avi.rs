//! AVI (Microsoft, "AVI RIFF File Reference"; OpenDML AVI File Format Extensions 1.02).

use super::{Found, codecs, ratio};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View, malformed};

const PART: &str = "AVI header";

/// Reads the stream headers. The number of frames is exact, as far as the writer finished the file: that of the
/// extended header, which counts all parts of a long file, or that of the video stream. Chunks without content, by
/// which the last picture stays for longer, are among them.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    let long = |at: u64| Ok(u32::from_le_bytes(view.array(at, PART)?));
    let end = u64::from(long(4)?) + 8;
    found.end = Some(end).filter(|end| *end > view.size() + 1);
    let (mut at, mut header_end) = (12, None);
    let mut is_first_video = false;
    let (mut first_part, mut all_parts) = (0, 0);
    // A file with several parts has a count of all of them, behind the streams.
    let has_parts = end + 1 < view.size();
    let is_known = |track: &Option<VideoTrack>| track.as_ref().is_some_and(|track| track.width.is_some());
    while header_end.is_none_or(|end| at + 8 <= end && (has_parts || !is_known(&found.track))) {
        let [k0, k1, k2, k3, length @ ..] = view.array::<8>(at, PART)?;
        let (body, end) = (at + 8, at + 8 + u64::from(u32::from_le_bytes(length)));
        let is_list = [k0, k1, k2, k3] == *b"LIST";
        let kind = if is_list { view.array(body, PART)? } else { [k0, k1, k2, k3] };
        match (is_list, &kind) {
            (true, b"hdrl") => {
                header_end = Some(end);
                at = body + 4;
                continue;
            }
            (true, b"strl" | b"odml") => {
                at = body + 4;
                continue;
            }
            (true, b"movi") => break,
            (false, b"avih") => first_part = long(body + 16)?,
            (false, b"strh") => {
                is_first_video = found.track.is_none() && &view.array::<4>(body, PART)? == b"vids";
                if is_first_video {
                    let [scale, rate, length] = [long(body + 20)?, long(body + 24)?, long(body + 32)?];
                    let frames = Some(u64::from(length)).filter(|frames| *frames > 0);
                    let codec = Some(codecs::of_four_bytes(view.array(body + 4, PART)?));
                    found.track = Some(VideoTrack {
                        codec,
                        frames,
                        frame_rate: ratio(rate, scale),
                        ..VideoTrack::default()
                    });
                }
            }
            (false, b"strf") if is_first_video => {
                if let Some(track) = &mut found.track {
                    let size = [long(body + 4)?, long(body + 8)?.cast_signed().unsigned_abs()];
                    (track.width, track.height) = (Some(size[0]), Some(size[1]));
                    track.codec = Some(codecs::of_four_bytes(view.array(body + 16, PART)?));
                }
                is_first_video = false;
            }
            (false, b"dmlh") => all_parts = long(body)?,
            _ => {}
        }
        at = end + (end & 1);
    }
    if header_end.is_none() {
        return Err(malformed("AVI file", 0, "has no header list (hdrl)"));
    }
    if let Some(track) = &mut found.track {
        let counts = [track.frames.unwrap_or(0), all_parts.into()];
        let count = counts.into_iter().max().filter(|count| *count > 0).unwrap_or(first_part.into());
        track.frames = Some(count).filter(|count| *count > 0);
        track.duration_s =
            track.frames.zip(track.frame_rate).and_then(|(frames, rate)| ratio(frames as f64, rate));
    }
    Ok(())
}

//! A track's sample table: codec, frames and their timing (ISO/IEC 14496-12, 8.5 to 8.7).

use super::bmff::{Bmff, Boxes, run};
use super::codec;
use super::edits::{self, Edits};
use super::sample::Sample;
use super::view::{Parse, Stop, View, malformed};
use crate::model::{Gap, VideoTrack};

/// Maximum runs of the time-to-sample table that are added up: 4 KiB. A longer table means a variable frame rate;
/// then the count comes from the sample size table's header.
const MAX_TIME_RUNS: u64 = 512;
/// Runs of a longer table that show whether the frame rate varies.
const SHOWN_TIME_RUNS: u64 = 64;
/// Fraction of the mean by which a frame's duration may differ before rounding no longer explains it.
const JITTER: u64 = 10;

/// Reads codec and frames from a sample table. The returned sample would show the pixel format if neither the
/// description nor a sample of this table does.
pub(super) fn read(
    view: View<'_>,
    table: Bmff,
    edits: Option<&Edits>,
    duration: Option<u64>,
) -> Parse<(VideoTrack, Option<Sample>)> {
    let mut boxes = Boxes::lenient(view, table);
    let mut track = VideoTrack::default();
    let (mut described, mut sample, mut times, mut composition, mut count, mut chunks) =
        (false, None, None::<Times<'_>>, None, None, None);
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"stsd" => {
                sample = codec::read(view, found, &mut track)?;
                described = true;
            }
            b"stts" => times = Some(Times::read(view, found)?),
            b"ctts" => composition = Some(found),
            // The count is at the same offset in both forms of the table (8.7.3).
            b"stsz" | b"stz2" => {
                let at = found.full(view, "sample size table")?.1 + 4;
                count = Some(u64::from(u32::from_be_bytes(found.field(view, at, "sample size table")?)));
            }
            b"stco" | b"co64" => chunks = Some(found),
            _ => {}
        }
        // The rest of the table has most of the bytes, and usually none of them are needed.
        let counted = times.as_ref().is_some_and(|times| match times.is_whole {
            true => edits.is_none() || composition.is_some(),
            false => count.is_some(),
        });
        if described && counted && (chunks.is_some() || sample.is_none()) {
            break;
        }
    }
    check_promises(view, table)?;
    if let (Some(of), Some(chunks)) = (sample, chunks)
        && let Some(at) = first_chunk(view, chunks)?
    {
        track.pixel_format = of.shown(view, at)?.map(Into::into);
        sample = None;
    }
    let times =
        times.ok_or_else(|| malformed("sample table", table.at, "has no time-to-sample table (stts)"))?;
    track.variable_frame_rate = times.vary();
    if times.is_whole {
        track.frames = Some(times.frames());
        track.frames_presented = match edits {
            Some(edits) => edits::presented(view, edits, times.runs, composition)?,
            None => track.frames,
        };
    } else {
        track.frames = count;
        // Only the sum of the times is known.
        let frame = |duration: u64| duration / count.unwrap_or(0).max(1);
        let fits =
            |edits: &Edits| duration.is_some_and(|all| edits.length() <= all.saturating_add(frame(all)));
        if edits.is_some_and(|edits| !fits(edits)) {
            return Err(Stop::Gap(Gap::Frames));
        }
    }
    match track.frames {
        Some(_) => Ok((track, sample)),
        None => Err(Stop::Gap(Gap::Frames)),
    }
}

/// Rejects tables that declare more entries than there is room for, as far as they were read anyway: most files have
/// the long ones at the end, where nothing else is needed.
pub(super) fn check_promises(view: View<'_>, table: Bmff) -> Parse<()> {
    let mut boxes = Boxes::lenient(view, table);
    while let Ok(Some(found)) = boxes.next() {
        match check_promise(view, found) {
            Err(Stop::Need { .. }) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Rejects a table with more entries than the file has room for. So does ffprobe, which accepts a table that is
/// merely longer than its box, except for the sample-to-chunk table.
fn check_promise(view: View<'_>, found: Bmff) -> Parse<()> {
    const PART: &str = "sample table";
    // After version and flags: the number of entries, then the entries (8.6.1, 8.6.2, 8.7.4, 8.7.5).
    let (at, entry_len, end) = match &found.kind.0 {
        b"ctts" | b"co64" => (found.body + 4, 8, view.size()),
        b"stco" | b"stss" => (found.body + 4, 4, view.size()),
        b"stsc" => (found.body + 4, 12, found.end),
        // Sizes are listed only if they differ (8.7.3.2).
        b"stsz" => match found.field(view, found.body + 4, PART)? {
            [0, 0, 0, 0] => (found.body + 8, 4, view.size()),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let count = u64::from(u32::from_be_bytes(found.field(view, at, PART)?));
    match at + 4 + count * entry_len <= end {
        true => Ok(()),
        false => Err(malformed(PART, found.at, "has more entries than can fit")),
    }
}

/// Returns where the first sample is: at the start of the first chunk (8.7.5).
fn first_chunk(view: View<'_>, chunks: Bmff) -> Parse<Option<u64>> {
    const PART: &str = "chunk offset table";
    let (_, body) = chunks.full(view, PART)?;
    if u32::from_be_bytes(chunks.field(view, body, PART)?) == 0 {
        return Ok(None);
    }
    Ok(Some(match chunks.is(b"co64") {
        true => u64::from_be_bytes(chunks.field(view, body + 4, PART)?),
        false => u64::from(u32::from_be_bytes(chunks.field(view, body + 4, PART)?)),
    }))
}

/// The time-to-sample table (8.6.1.2): runs of (count, duration). If the table is too long, only the first runs.
struct Times<'a> {
    runs: &'a [[u8; 8]],
    is_whole: bool,
}

impl<'a> Times<'a> {
    fn read(view: View<'a>, stts: Bmff) -> Parse<Self> {
        const PART: &str = "time-to-sample table";
        let (_, body) = stts.full(view, PART)?;
        let entries = u64::from(u32::from_be_bytes(stts.field(view, body, PART)?));
        if body + 4 + entries * 8 > stts.end {
            return Err(malformed(PART, stts.at, "has fewer entries than it declares"));
        }
        if entries <= MAX_TIME_RUNS {
            let runs = view.bytes(body + 4, entries * 8, PART)?.as_chunks().0;
            view.spend(entries as u32)?;
            return Ok(Self { runs, is_whole: true });
        }
        let shown = view.bytes(body + 4, SHOWN_TIME_RUNS * 8, PART)?;
        // More of them may have come with the same read.
        let known = view.known(body + 4).as_chunks().0;
        let known = &known[..known.len().min(MAX_TIME_RUNS as usize)];
        view.spend(known.len() as u32)?;
        Ok(Self {
            runs: if known.len() * 8 > shown.len() { known } else { shown.as_chunks().0 },
            is_whole: false,
        })
    }

    fn frames(&self) -> u64 {
        self.runs.iter().map(|bytes| run(bytes).0).sum()
    }

    /// Returns whether the frames, except for the last one, are shown for times that rounding a constant rate does
    /// not explain.
    fn vary(&self) -> Option<bool> {
        let frames = self.frames();
        let (last, runs) = self.runs.split_last()?;
        let (last_count, last_duration) = run(last);
        let shortened = (last_count.saturating_sub(u64::from(self.is_whole)), last_duration);
        let runs = || runs.iter().map(run).chain([shortened]).filter(|(count, _)| *count > 0);
        let count = frames - u64::from(self.is_whole && frames > 0);
        let (shortest, longest) = (runs().map(|run| run.1).min()?, runs().map(|run| run.1).max()?);
        let total: u128 = runs().map(|(count, duration)| u128::from(count) * u128::from(duration)).sum();
        // Compare each duration with the mean, both multiplied by the number of frames.
        let count = u128::from(count);
        let is_off = |duration: u64| {
            let off = (u128::from(duration) * count).abs_diff(total);
            off >= count && off * u128::from(JITTER) > total
        };
        // Also compare each start time with that at the mean rate: one frame off, and a label by frame number is on
        // the wrong frame.
        let (mut before, mut time) = (0u128, 0u128);
        let drifts = runs().any(|(frames, duration)| {
            before += u128::from(frames);
            time += u128::from(frames) * u128::from(duration);
            (time * count).abs_diff(before * total) > total.max(count)
        });
        Some(longest >= 2 * shortest.max(1) || is_off(shortest) || is_off(longest) || drifts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::edits::tests::runs;

    fn vary(list: &[(u32, u32)]) -> Option<bool> {
        Times { runs: &runs(list), is_whole: true }.vary()
    }

    #[test]
    fn frames_of_unequal_length_make_a_variable_rate() {
        assert_eq!(vary(&[(60, 512), (1, 1024), (20, 512)]), Some(true), "a frame was dropped");
        assert_eq!(vary(&[(60, 1), (1, 2), (20, 1)]), Some(true), "and in units of a frame");
        assert_eq!(vary(&[(500, 512), (500, 614)]), Some(true), "30 and 25 a second");
        assert_eq!(vary(&[(5000, 512), (5000, 520)]), Some(true), "little by little");
    }

    #[test]
    fn rounding_and_the_last_frame_do_not() {
        assert_eq!(vary(&[(60, 512)]), Some(false));
        assert_eq!(vary(&[(59, 512), (1, 3000)]), Some(false), "the last frame stays");
        assert_eq!(vary(&[(2, 33), (1, 34)].repeat(100)), Some(false), "30 a second, in milliseconds");
        assert_eq!(vary(&[(1, 6), (2, 7)].repeat(100)), Some(false), "15 a second, in hundredths");
        assert_eq!(vary(&[(1, 100)]), None, "a single frame");
        assert_eq!(vary(&[]), None);
    }
}

//! Whether labels fit the asset that they find: the size of the picture, and the frames of a video.

use super::references::Kept;
use crate::model::{Asset, Format, Kind, VideoTrack};

/// Something about labels that find their asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The label file has the size of the picture before it is turned.
    Turned,
    /// The picture is to be turned, and nothing shows whether the labels are.
    MayBeTurned,
    /// The label file has another size.
    Size,
    /// Labels are for frames that the video does not have.
    Frames,
    /// Frames are shown for different lengths of time, so their numbers do not show when.
    VariableFrameRate,
}

impl Problem {
    pub(super) const ALL: [Self; 5] =
        [Self::Frames, Self::Turned, Self::MayBeTurned, Self::Size, Self::VariableFrameRate];

    /// Its name in records and in counts.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Turned => "turned",
            Self::MayBeTurned => "may-be-turned",
            Self::Size => "size",
            Self::Frames => "frames",
            Self::VariableFrameRate => "variable-frame-rate",
        }
    }
}

/// The size of the picture as it is stored, and as it is shown.
pub(super) struct Size {
    pub stored: (u64, u64),
    pub shown: (u64, u64),
}

impl Size {
    pub(super) fn of(asset: &Asset) -> Option<Self> {
        let facts = &asset.facts;
        let stored = (u64::from(facts.width?), u64::from(facts.height?));
        let is_turned = match facts.orientation.value() {
            Some(5..=8) if !is_heif(asset) && asset.kind == Kind::Image => true,
            _ => matches!(facts.rotation, Some(90 | 270)),
        };
        let shown = if is_turned { (stored.1, stored.0) } else { stored };
        Some(Self { stored, shown })
    }
}

/// HEIF and AVIF turn the picture themselves; there, EXIF only repeats it (ISO/IEC 23008-12, A.2).
fn is_heif(asset: &Asset) -> bool {
    matches!(asset.facts.format, Format::Heif | Format::Avif)
}

/// The problems of labels for this asset, each with what is so.
pub(super) fn check(kept: &Kept, asset: &Asset) -> Vec<(Problem, String)> {
    let mut problems = Vec::new();
    let orientation =
        asset.facts.orientation.value().filter(|_| asset.kind == Kind::Image && !is_heif(asset));
    let size = Size::of(asset);
    let is_shown_by_size =
        kept.width.is_some() && size.as_ref().is_some_and(|size| size.stored != size.shown);
    if let Some(value @ 2..=8) = orientation
        && !is_shown_by_size
    {
        let message = format!(
            "the EXIF orientation is {value}, and nothing shows whether the labels are for the picture before or after it \
             is turned"
        );
        problems.push((Problem::MayBeTurned, message));
    }
    if let (Some(width), Some(height), Some(size)) = (kept.width, kept.height, size) {
        let labelled = (width, height);
        let text = |(width, height): (u64, u64)| format!("{width}×{height}");
        let said = text(labelled);
        if labelled == size.shown {
        } else if labelled == size.stored {
            let message = format!(
                "the labels are for {said}, the picture before it is turned; it is shown as {}, where boxes are off",
                text(size.shown)
            );
            problems.push((Problem::Turned, message));
        } else {
            let message = format!("the labels are for {said}, and the picture has {}", text(size.shown));
            problems.push((Problem::Size, message));
        }
    }
    if let Some((first, last)) = kept.frames
        && asset.kind == Kind::Video
    {
        let track = asset.facts.video.as_deref().and_then(|video| video.tracks.first());
        // Where frames are numbered from 0, the last one is one less than their number.
        let is_beyond = |frames: u64| last > frames || first == 0 && last == frames;
        if let Some(frames) = track.and_then(VideoTrack::most_frames).filter(|frames| is_beyond(*frames)) {
            let from = if first == 0 { " (frames are numbered from 0)" } else { "" };
            let message = format!("labels are for frame {last}, and the video has {frames} frames{from}");
            problems.push((Problem::Frames, message));
        }
        if track.is_some_and(|track| track.variable_frame_rate == Some(true)) {
            let message = "VID103: frames are shown for different lengths of time, so tools that count by time \
                           number them differently";
            problems.push((Problem::VariableFrameRate, message.to_owned()));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blob, Cost, Facts, Orientation, Reads, Verdict, Video};

    fn asset(kind: Kind, facts: Facts) -> Asset {
        Asset {
            blob: Blob::not_entered("a"),
            kind,
            facts,
            verdict: Verdict::Accept,
            cost: Cost::default(),
            synced: None,
            earlier: None,
            findings: Vec::new(),
            skipped: None,
            reads: Reads::default(),
        }
    }

    fn kept(size: Option<(u64, u64)>, frames: Option<(u64, u64)>) -> Kept {
        Kept {
            place: 0,
            name: "a".to_owned(),
            is_stem: false,
            width: size.map(|size| size.0),
            height: size.map(|size| size.1),
            frames,
            count: 1,
            file: 0,
            line: None,
        }
    }

    fn keys(kept: &Kept, asset: &Asset) -> Vec<&'static str> {
        check(kept, asset).into_iter().map(|(problem, _)| problem.key()).collect()
    }

    #[test]
    fn sizes_are_compared_as_the_picture_is_shown() {
        let of = |format, orientation, rotation| {
            let facts =
                Facts { width: Some(40), height: Some(30), orientation, rotation, ..Facts::of(format) };
            asset(Kind::Image, facts)
        };
        let sizes = [(40, 30), (30, 40), (20, 15)];
        let found = |asset: &Asset| sizes.map(|size| keys(&kept(Some(size), None), asset).concat());
        let (upright, turned) = (["", "size", "size"], ["turned", "", "size"]);
        let half = ["may-be-turned", "may-be-turnedsize", "may-be-turnedsize"];
        for (value, expected) in [(1, upright), (3, half), (6, turned), (8, turned), (9, upright)] {
            assert_eq!(found(&of(Format::Jpeg, Orientation::Value(value), None)), expected, "{value}");
        }
        assert_eq!(found(&of(Format::Jpeg, Orientation::Absent, None)), upright);
        assert_eq!(found(&of(Format::Heif, Orientation::Value(6), None)), upright);
        assert_eq!(found(&of(Format::Heif, Orientation::Value(6), Some(270))), turned);
        assert_eq!(
            keys(&kept(None, None), &of(Format::Jpeg, Orientation::Value(6), None)),
            ["may-be-turned"]
        );
        let unknown = asset(Kind::Image, Facts::of(Format::Jpeg));
        assert_eq!(found(&unknown), [""; 3]);
    }

    #[test]
    fn frames_are_counted_from_0_or_from_1() {
        let track = VideoTrack { frames: Some(10), variable_frame_rate: Some(true), ..VideoTrack::default() };
        let video = Video { tracks: [track].into_iter().collect(), ..Video::default() };
        let facts = Facts { video: Some(Box::new(video)), ..Facts::of(Format::Mp4) };
        let video = asset(Kind::Video, facts);
        for (frames, expected) in [
            ((1, 10), "variable-frame-rate"),
            ((0, 9), "variable-frame-rate"),
            ((0, 10), "frames variable-frame-rate"),
            ((4, 11), "frames variable-frame-rate"),
        ] {
            assert_eq!(keys(&kept(None, Some(frames)), &video).join(" "), expected, "{frames:?}");
        }
        assert_eq!(keys(&kept(None, None), &video), [""; 0]);
    }
}

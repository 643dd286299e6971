//! The findings of a video, and the limits on dimensions that images have, too.

use super::Profile;
use super::fix;
use super::profile::accepts;
use crate::model::{Blob, Code, Facts, Finding, Format, Kind, Video, VideoTrack, number};

/// How much a frame rate may be above the limit, as a share: durations are rounded.
const RATE_TOLERANCE: f64 = 0.01;

/// Whether the profile accepts videos in this format.
pub(super) fn is_accepted(format: Format, profile: &Profile) -> bool {
    accepts(&profile.videos.formats, format.as_str())
}

/// The finding for a video in a format that is not accepted.
pub(super) fn not_accepted(format: Format, profile: &Profile) -> Finding {
    let formats = &profile.videos.formats;
    let is_mp4 =
        |name: &String| Format::ALL.iter().any(|format| format.is_mp4_family() && format.as_str() == name);
    let must = match formats.iter().all(is_mp4) {
        true => "MP4".to_owned(),
        false => list(formats.iter().cloned()),
    };
    let message = format!("the content is {}, must be {must}", format.as_str());
    Finding::new(Code::NotMp4, message).with_fix(fix::encode(profile, false, false))
}

/// Adds the findings of a video in an accepted format. `broken` means that a part of its header could not be read, so
/// that a missing fact is not worth another finding.
pub(super) fn judge(
    blob: &Blob,
    facts: &Facts,
    profile: &Profile,
    broken: bool,
    findings: &mut Vec<Finding>,
) {
    let needs = |code| profile.needs(code, blob.name.as_str());
    let unread = Video::default();
    let video = facts.video.as_deref().unwrap_or(&unread);
    // Other containers have no brand.
    if facts.format.is_mp4_family() {
        judge_brand(video, profile, findings);
    }
    let Some(first) = video.tracks.first() else {
        if !broken {
            findings.push(match facts.video {
                Some(_) => Finding::new(Code::NoVideoTrack, "the file has no video track"),
                None => no_frames(),
            });
        }
        return;
    };
    judge_pixel_format(video, profile, findings, broken || !needs(Code::PixelFormat));
    judge_frames(first, profile, findings, broken);
    judge_length(first, profile, findings, |code| !broken && needs(code));
    if let Some(finding) = turned(facts) {
        findings.push(finding.with_fix(fix::encode(profile, false, false)));
    }
    let codec = first.codec.as_deref().unwrap_or("unknown");
    if video.tracks.iter().any(|track| track.encrypted) {
        let message = format!("the {codec} track is encrypted, so browsers cannot play it without its key");
        findings.push(Finding::new(Code::CodecNotInBrowsers, message));
    } else if !profile.videos.browser_codecs.iter().any(|known| known == codec) {
        let message = format!("codec is {codec}, which not all browsers play");
        findings.push(
            Finding::new(Code::CodecNotInBrowsers, message).with_fix(fix::encode(profile, false, false)),
        );
    }
}

fn no_frames() -> Finding {
    Finding::new(Code::Undetermined, "the header does not show the number of frames")
}

/// Adds findings for an image or a video that is wider or higher than the profile allows.
pub(super) fn judge_dimensions(
    blob: &Blob,
    facts: &Facts,
    profile: &Profile,
    broken: bool,
    findings: &mut Vec<Finding>,
) {
    let (kind, max_width, max_height) = match facts.kind() {
        Kind::Video => ("video", profile.videos.max_width, profile.videos.max_height),
        _ => ("image", profile.images.max_width, profile.images.max_height),
    };
    for (code, max, value, side) in
        [(Code::TooWide, max_width, facts.width, "wide"), (Code::TooHigh, max_height, facts.height, "high")]
    {
        match (max, value) {
            (Some(max), Some(pixels)) if pixels > max => {
                let message = format!(
                    "the {kind} is {} pixels {side}, the limit is {}",
                    number(pixels.into()),
                    number(max.into())
                );
                findings.push(Finding::new(code, message).with_fix("Scale it down before it is annotated"));
            }
            (Some(_), None) if !broken && profile.needs(code, blob.name.as_str()) => {
                let message = format!("the header does not show how {side} the {kind} is");
                findings.push(Finding::new(Code::Undetermined, message));
            }
            _ => {}
        }
    }
}

/// Adds findings for a video with more frames, a longer duration or a higher frame rate than the profile allows.
fn judge_length(
    track: &VideoTrack,
    profile: &Profile,
    findings: &mut Vec<Finding>,
    needs: impl Fn(Code) -> bool,
) {
    let rules = &profile.videos;
    let frames = track.most_frames();
    let rate = frames.zip(track.duration_s).filter(|(_, seconds)| *seconds > 0.0);
    let rate = rate.map(|(frames, seconds)| frames as f64 / seconds).or(track.frame_rate);
    let mut check = |code,
                     max: Option<u64>,
                     value: Option<f64>,
                     tolerance: f64,
                     message: &dyn Fn(f64, u64) -> String,
                     fix| {
        match (max, value) {
            (Some(max), Some(value)) if value > max as f64 * (1.0 + tolerance) => {
                findings.push(Finding::new(code, message(value, max)).with_fix(fix));
            }
            // That frames are missing has a finding already.
            (Some(_), None) if code != Code::TooManyFrames && needs(code) => {
                let what = if code == Code::TooLong { "duration" } else { "frame rate" };
                let message = format!("the header does not show the {what}");
                findings.push(Finding::new(Code::Undetermined, message));
            }
            _ => {}
        }
    };
    let too_many = |frames: f64, max| {
        format!("the video has {} frames, the limit is {}", number(frames as u64), number(max))
    };
    check(Code::TooManyFrames, rules.max_frames, frames.map(|frames| frames as f64), 0.0, &too_many, SPLIT);
    let too_long = |seconds, max| format!("the video takes {seconds:.1} s, the limit is {max} s");
    check(Code::TooLong, rules.max_duration_s, track.duration_s, 0.0, &too_long, SPLIT);
    let too_fast = |rate, max| format!("the video has {rate:.2} frames per second, the limit is {max}");
    let fix = "Encode it at a lower frame rate before it is annotated";
    check(Code::FrameRateTooHigh, rules.max_frame_rate, rate, RATE_TOLERANCE, &too_fast, fix);
}

/// The fix for a long video.
const SPLIT: &str = "Split the video before it is annotated";

fn judge_frames(track: &VideoTrack, profile: &Profile, findings: &mut Vec<Finding>, broken: bool) {
    match (track.frames, track.frames_presented) {
        (None, None) => match track.frames_at_most {
            Some(most) => {
                let message = format!(
                    "the header does not show the number of frames: at most {} are budgeted",
                    number(most)
                );
                findings.push(Finding::new(Code::FramesEstimated, message));
            }
            None if !broken => findings.push(no_frames()),
            None => {}
        },
        (Some(0), _) => findings.push(Finding::new(Code::Malformed, "the video track has no frames")),
        (Some(frames), Some(presented)) if frames != presented => {
            let message = format!(
                "{} frames are stored, but the edit list presents {}",
                number(frames),
                number(presented)
            );
            let fix = match presented {
                // With no frame presented, ffmpeg would encode an empty video.
                0 => fix::encode(profile, true, false),
                _ => fix::encode(profile, false, false),
            };
            findings.push(Finding::new(Code::FrameCountsDiffer, message).with_fix(fix));
        }
        _ => {}
    }
    if track.variable_frame_rate == Some(true) {
        let message = "frames are shown for different lengths of time, so labels by frame number may drift";
        let fix = fix::encode(profile, false, true);
        findings.push(Finding::new(Code::VariableFrameRate, message).with_fix(fix));
    }
}

/// Reports how the matrix of the video track turns or mirrors the picture, if it does.
fn turned(facts: &Facts) -> Option<Finding> {
    let turn = facts.rotation.map(|degrees| format!("rotated {degrees}° counterclockwise"));
    let mirrored = facts.mirror.map(|_| "mirrored".to_owned());
    let how: Vec<_> = turn.into_iter().chain(mirrored).collect();
    let message =
        format!("the track's matrix shows the picture {}, but not every tool applies it", how.join(" and "));
    (!how.is_empty()).then(|| Finding::new(Code::Rotated, message))
}

fn judge_brand(video: &Video, profile: &Profile, findings: &mut Vec<Finding>) {
    let accepted = &profile.videos.major_brands;
    let brand = video.major_brand.map(|brand| brand.to_string());
    if accepts(accepted, brand.as_deref().unwrap_or_default()) {
        return;
    }
    let must = list(accepted.iter().map(|brand| format!("'{brand}'")));
    let message = match brand {
        Some(brand) => format!("major brand is '{brand}', must be {must}"),
        None => format!("major brand is missing, must be {must}"),
    };
    let fix = match wrong_pixel_format(video, profile) {
        Some(_) => fix::encode(profile, false, false),
        None => fix::remux(video, profile),
    };
    findings.push(Finding::new(Code::MajorBrand, message).with_fix(fix));
}

/// Returns the first pixel format that is not accepted.
fn wrong_pixel_format<'a>(video: &'a Video, profile: &Profile) -> Option<&'a str> {
    let accepted = &profile.videos.pixel_formats;
    let mut known = video.tracks.iter().filter_map(|track| track.pixel_format.as_deref());
    known.find(|format| !accepts(accepted, format))
}

/// Checks that every video track has an accepted pixel format. A track whose format is unknown is not accepted, unless
/// `unneeded`.
fn judge_pixel_format(video: &Video, profile: &Profile, findings: &mut Vec<Finding>, unneeded: bool) {
    if let Some(format) = wrong_pixel_format(video, profile) {
        let accepted = profile.videos.pixel_formats.iter().cloned();
        let message = format!("pixel format is {format}, must be {}", list(accepted));
        findings.push(Finding::new(Code::PixelFormat, message).with_fix(fix::encode(profile, false, false)));
    } else if !unneeded && video.tracks.iter().any(|track| track.pixel_format.is_none()) {
        let codec = video.tracks.iter().find(|track| track.pixel_format.is_none());
        let codec = codec.and_then(|track| track.codec.as_deref()).unwrap_or("unknown");
        let message = format!("the configuration of the {codec} track does not show its pixel format");
        findings.push(Finding::new(Code::Undetermined, message));
    }
}

/// Joins items: `a`, `a or b`, `a, b or c`.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

//! Videos in containers other than MP4, as ffmpeg writes them: what their headers state, against ffprobe.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use presync::model::{BlobName, Facts, VideoTrack};
use presync::probe::{Probe, Step, Want};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::run;

/// How frames are known.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Frames {
    /// The header has ffprobe's `nb_frames`.
    Stated,
    /// The count is that of all packets.
    Exact,
    /// There is a bound, which is few frames too high.
    AtMost,
    /// Neither the frames nor a frame rate.
    Unknown,
}

/// A file name, ffmpeg's options, how frames are known, and the most requests.
const FILES: [(&str, &str, Frames, u32); 26] = [
    ("mpeg4.avi", "-c:v mpeg4", Frames::Stated, 1),
    ("mjpeg.avi", "-c:v mjpeg -an", Frames::Exact, 1),
    ("h264.avi", "-c:v libx264 -c:a mp2", Frames::Stated, 1),
    ("msmpeg4.avi", "-c:v msmpeg4 -vtag DIV3 -an", Frames::Exact, 1),
    ("raw.avi", "-c:v rawvideo -an", Frames::Exact, 1),
    ("h264.mkv", "-c:v libx264 -c:a libmp3lame", Frames::AtMost, 2),
    ("hevc.mkv", "-c:v libx265 -x265-params log-level=none -an", Frames::AtMost, 2),
    ("wmv.mkv", "-c:v wmv2 -an", Frames::AtMost, 2),
    ("vp8.webm", "-c:v libvpx -c:a libvorbis", Frames::AtMost, 2),
    ("vp9.webm", "-c:v libvpx-vp9 -an", Frames::AtMost, 2),
    ("live.webm", "-c:v libvpx -an -live 1 -f webm", Frames::Unknown, 1),
    ("sorenson.flv", "-c:v flv -ar 44100", Frames::AtMost, 1),
    ("h264.flv", "-c:v libx264 -c:a aac", Frames::AtMost, 1),
    ("unfinished.flv", "-c:v libx264 -an -flvflags no_duration_filesize", Frames::AtMost, 3),
    ("wmv2.wmv", "-c:v wmv2", Frames::AtMost, 2),
    ("mpeg1.mpg", "-c:v mpeg1video -c:a mp2", Frames::AtMost, 3),
    ("mpeg2.mpg", "-c:v mpeg2video -bf 2 -c:a mp2", Frames::AtMost, 3),
    ("dvd.vob", "-c:v mpeg2video -f vob", Frames::AtMost, 3),
    ("h264.mpg", "-c:v libx264 -an -f vob", Frames::AtMost, 3),
    ("mpeg2.ts", "-c:v mpeg2video -c:a mp2", Frames::AtMost, 3),
    ("h264.ts", "-c:v libx264 -c:a aac", Frames::AtMost, 3),
    ("hevc.ts", "-c:v libx265 -x265-params log-level=none -an", Frames::AtMost, 3),
    ("camera.m2ts", "-c:v libx264 -f mpegts -mpegts_m2ts_mode 1", Frames::AtMost, 3),
    ("theora.ogv", "-c:v libtheora -c:a libvorbis", Frames::Exact, 2),
    ("silent.ogv", "-c:v libtheora -an -g 12", Frames::Exact, 2),
    ("real.rm", "-c:v rv20 -ac 1", Frames::AtMost, 1),
];

/// Writes all files into a folder, with 75 pictures or more of 25 or 30000/1001 a second.
fn written(folder: &Path) -> Vec<(&'static str, Bytes, Frames, u32)> {
    let write = |(index, (name, options, frames, requests)): (usize, (&'static str, &str, Frames, u32))| {
        let rate = if index % 2 == 0 { "25" } else { "30000/1001" };
        let source = format!("testsrc2=s=176x144:r={rate}:d=3");
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", &source, "-f", "lavfi", "-i", "sine=d=3.3"]);
        run(command.args(options.split(' ')).arg(folder.join(name)));
        (name, fs::read(folder.join(name)).expect("it is written").into(), frames, requests)
    };
    FILES.into_iter().enumerate().map(write).collect()
}

/// Returns the facts, and the number of requests.
fn probed(name: &str, file: &Bytes, first: u64) -> (Facts, u32) {
    let want = Want { containers: true, ..Want::default() };
    let (mut probe, mut step) = Probe::beginning(first, want, file.len() as u64);
    for requests in 0.. {
        match step {
            Step::Done(facts) => return (facts, requests),
            Step::Need(range) => {
                step = probe.step(file.slice(range.start() as usize..range.end() as usize));
            }
        }
        assert!(probe.held() < 2 << 20, "{name}: {} bytes are held", probe.held());
    }
    unreachable!("{name} ends")
}

fn track(facts: &Facts) -> VideoTrack {
    facts.video.as_ref().and_then(|video| video.tracks.first()).cloned().unwrap_or_default()
}

/// Returns what ffprobe says about the first video stream.
fn ffprobe(file: &Path) -> Value {
    let entries =
        "stream=codec_name,width,height,r_frame_rate,nb_frames,nb_read_packets,duration:format=duration";
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries", entries])
        .args(["-of", "json"])
        .arg(file)
        .output()
        .expect("ffprobe runs");
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

#[test]
fn headers_say_what_ffprobe_reads() {
    let folder = TempDir::new().expect("a folder");
    for (name, file, frames, most_requests) in written(folder.path()) {
        let truth = ffprobe(&folder.path().join(name));
        let (facts, requests) = probed(name, &file, 4 << 10);
        let (track, theirs) = (track(&facts), &truth["streams"][0]);
        assert_eq!((facts.gap, &facts.malformed, facts.truncated), (None, &None, None), "{name}");
        assert!(requests <= most_requests, "{name}: {requests} requests");
        assert_eq!(track.codec.as_deref(), theirs["codec_name"].as_str(), "{name}");
        let size = (theirs["width"].as_u64(), theirs["height"].as_u64());
        assert_eq!((facts.width.map(u64::from), facts.height.map(u64::from)), size, "{name}");
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
        let packets = number(&theirs["nb_read_packets"]).expect("a count");
        match frames {
            Frames::Stated => assert_eq!(track.frames, number(&theirs["nb_frames"]), "{name}"),
            Frames::Exact => assert_eq!(track.frames, Some(packets), "{name}"),
            Frames::AtMost => {
                let most = track.frames_at_most.unwrap_or_else(|| panic!("{name}: no bound: {track:?}"));
                // The sound is longer, and some containers have only the duration of all. Streams begin when their first
                // picture is decoded, which is up to two pictures before it is shown.
                let slack = if track.duration_s > Some(3.15) { 12 } else { 4 };
                assert!((packets..=packets + slack).contains(&most), "{name}: at most {most} of {packets}");
            }
            Frames::Unknown => assert_eq!((track.frames, track.frames_at_most), (None, None), "{name}"),
        }
        if frames != Frames::Unknown {
            let rate = theirs["r_frame_rate"].as_str().and_then(|text| text.split_once('/')).expect("a rate");
            let rate: f64 =
                rate.0.parse::<f64>().expect("a number") / rate.1.parse::<f64>().expect("a number");
            let ours = track.frame_rate.unwrap_or(0.0);
            assert!((ours / rate - 1.0).abs() < 0.04, "{name}: {ours} frames per second, not {rate}");
            let seconds = track.duration_s.unwrap_or(0.0);
            assert!((2.95..3.45).contains(&seconds), "{name}: {seconds} seconds");
        }
    }
}

#[test]
fn containers_that_know_their_length_tell_that_they_are_cut() {
    let folder = TempDir::new().expect("a folder");
    for (name, file, ..) in written(folder.path()) {
        let len = file.len() - 4_000;
        let knows = ["avi", "mkv", "webm", "wmv"].iter().any(|known| name.ends_with(known));
        let (facts, _) = probed(name, &file.slice(..len), 4 << 10);
        let cut = facts.truncated.filter(|_| name != "live.webm");
        assert_eq!(cut.is_some(), knows && name != "live.webm", "{name}");
        assert!(cut.is_none_or(|end| end.abs_diff(file.len() as u64) <= 1), "{name}: {cut:?}");
    }
}

#[test]
fn nothing_is_read_of_other_containers_unless_it_is_wanted() {
    let folder = TempDir::new().expect("a folder");
    for (name, file, ..) in written(folder.path()) {
        let (mut probe, step) = Probe::new(file.len() as u64, BlobName::new(name).extension());
        let Step::Need(range) = step else { panic!("{name} is read") };
        let step = probe.step(file.slice(range.start() as usize..range.end() as usize));
        assert!(matches!(&step, Step::Done(facts) if facts.video.is_none()), "{name}: {step:?}");
    }
}

#[test]
fn a_cut_or_damaged_header_ends_and_never_has_more_frames_by_its_cuts() {
    let folder = TempDir::new().expect("a folder");
    let mut checked = BTreeMap::new();
    for (name, file, ..) in written(folder.path()) {
        let whole = probed(name, &file, 4 << 10).0;
        // The answer depends on the bytes, not on how they were read.
        for first in [1 << 10, 3_000, 16 << 10, 1 << 20] {
            assert_eq!(probed(name, &file, first).0, whole, "{name}, first {first} bytes");
        }
        for len in (0..file.len()).step_by(file.len() / 60 + 1).chain(0..200) {
            probed(name, &file.slice(..len), 4 << 10);
        }
        let mut damaged = file.to_vec();
        for at in (0..file.len().min(700)).chain(file.len().saturating_sub(150)..file.len()) {
            for value in [0, 0xFF, file[at].wrapping_add(1)] {
                damaged[at] = value;
                let facts = probed(name, &Bytes::copy_from_slice(&damaged), 64 << 10).0;
                let frames = track(&facts).frames_at_most.unwrap_or(0);
                assert!(frames < 1 << 40, "{name}: {frames} frames with byte {at} changed to {value}");
            }
            damaged[at] = file[at];
        }
        checked.insert(name, whole.format);
    }
    assert_eq!(checked.len(), FILES.len());
}

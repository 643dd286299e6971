//! Every fact about every file of a corpus, against what independent tools say.
//!
//! Runs when `PRESYNC_CORPUS` names a folder with a `truth.jsonl`; the corpus is no part of the project.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use presync::examine::{Examination, Next};
use presync::model::{Access, Blob, BlobName, Facts, Orientation, Reads, Verdict};
use presync::probe::Want;
use presync::rules::Profile;
use serde_json::Value;

/// Examines a file the way a run does, and says what that cost.
fn verdict(name: &str, bytes: &Bytes) -> (Verdict, Facts, Reads) {
    let profile = Profile::load("nexus").expect("it is built in");
    let blob = Blob {
        name: BlobName::new(name),
        size: bytes.len() as u64,
        etag: None,
        last_modified: None,
        access: Access::Online,
        declared: Default::default(),
    };
    let (mut examination, mut next) = Examination::begin(blob, Want::default(), None);
    loop {
        next = match next {
            Next::Read(range) => {
                let (_, reads) = examination.blob_and_reads();
                reads.add(Reads { requests: 1, retries: 0, bytes: range.len() });
                examination.bytes(Ok(bytes.slice(range.start() as usize..range.end() as usize)))
            }
            Next::Find => examination.found(Ok(None)),
            Next::Judge(content) => {
                let asset = examination.judge(content, &profile);
                return (asset.verdict, asset.facts, asset.reads);
            }
        }
        .expect("a file in memory ends no run");
    }
}

#[test]
fn every_file_of_the_corpus_is_judged_as_its_truth_says() {
    let Some(corpus) = std::env::var_os("PRESYNC_CORPUS").filter(|path| !path.is_empty()) else {
        eprintln!("PRESYNC_CORPUS is not set: no corpus to compare with");
        return;
    };
    let corpus = Path::new(&corpus);
    let truth = std::fs::read_to_string(corpus.join("truth.jsonl")).expect("the corpus has a truth.jsonl");
    let mut wrong = Vec::new();
    let mut costs: BTreeMap<&str, Vec<Reads>> = BTreeMap::new();
    for line in truth.lines() {
        let truth: Value = serde_json::from_str(line).expect("the truth is JSON");
        let text = |key: &str| truth[key].as_str().unwrap_or_default().to_owned();
        let name = text("file");
        let bytes = Bytes::from(std::fs::read(corpus.join(&name)).expect("the file is there"));
        let (verdict, facts, reads) = verdict(&name, &bytes);
        if name.starts_with("real/") {
            costs.entry(facts.format.as_str()).or_default().push(reads);
        }
        let mut complain =
            |what: String| wrong.push(format!("{name}: {what} [{} {}]", text("verdict"), text("confidence")));
        if text("confidence") == "high" {
            match (text("verdict").as_str(), verdict) {
                ("pass", Verdict::Accept) | ("fail", Verdict::Reject) => {}
                ("pass" | "fail", verdict) => {
                    complain(format!(
                        "{verdict:?}, {:?} {:?} {:?}",
                        facts.malformed, facts.gap, facts.orientation
                    ));
                }
                _ => {}
            }
        }
        if text("verdict") == "fail" && verdict == Verdict::Accept {
            complain("accepted".into());
        }
        // A PNG's "Raw profile type exif" is a text chunk, no EXIF of the image.
        let elsewhere =
            truth["notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note == "png_raw_profile"));
        let known = facts.orientation != Orientation::NotRead && text("confidence") != "low";
        if known && !elsewhere && !truth["orientation"].is_string() {
            let (found, expected) = (facts.orientation.value(), truth["orientation"].as_i64());
            if found != expected {
                complain(format!("orientation {found:?}, not {expected:?}"));
            }
        }
        if let Some(expected) = truth["readings"]["heif_rotation"].as_array().filter(|list| list.len() == 1) {
            let expected = expected[0].as_u64();
            if text("confidence") != "low" && facts.rotation.map(u64::from) != expected {
                complain(format!("rotation {:?}, not {expected:?}", facts.rotation));
            }
        }
        if let Some(video) = &facts.video {
            let first = video.tracks.first();
            // A fragmented file's header does not count the frames of the fragments.
            let fragmented =
                truth["notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note == "fragmented"));
            let counted = if fragmented { "own_total" } else { "nb_frames" };
            let brand = video.major_brand.map(|brand| brand.to_string());
            if text("confidence") == "high"
                && !truth["major_brand"].is_null()
                && brand != Some(text("major_brand"))
            {
                complain(format!("brand {brand:?}, not {}", truth["major_brand"]));
            }
            if let (Some(found), Some(expected)) =
                (first.and_then(|track| track.pixel_format.as_deref()), truth["pix_fmt"].as_str())
                && found != expected
            {
                complain(format!("pixel format {found}, not {expected}"));
            }
            if let (Some(found), Some(expected)) =
                (first.and_then(|track| track.frames), truth["frames"][counted].as_u64())
                && found != expected
            {
                complain(format!("{found} frames, not {expected}"));
            }
        }
    }
    for (format, reads) in &costs {
        let mean = |of: fn(&Reads) -> f64| reads.iter().map(of).sum::<f64>() / reads.len() as f64;
        let (requests, bytes) = (mean(|reads| f64::from(reads.requests)), mean(|reads| reads.bytes as f64));
        eprintln!("{format:<8} {:>4} files  {requests:.2} requests  {:.1} KiB", reads.len(), bytes / 1024.0);
    }
    assert!(wrong.is_empty(), "{} disagree:\n{}", wrong.len(), wrong.join("\n"));
}

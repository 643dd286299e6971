//! `presync explain`.

use jiff::{Timestamp, ToSpan};
use presync::loopback::{Attempts, Blob, Config, Content, Fault, Faults, Rule, Server};

use crate::support::azurite::Azurite;
use crate::support::presync::{Presync, demo};

/// The explanation without what differs from checkout to checkout.
fn explanation(name: &str) -> String {
    let ran = Presync::new(["explain".into(), demo().join(name)]).run();
    assert_eq!(ran.stderr, "");
    let varies =
        |line: &&str| ["source", "etag", "modified"].iter().any(|label| line.trim_start().starts_with(label));
    ran.stdout.lines().filter(|line| !varies(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_image_and_a_video_are_explained_like_this() {
    insta::assert_snapshot!("image", explanation("drone/mosaic-rotated.png"));
    insta::assert_snapshot!("video", explanation("videos/trimmed.mp4"));
    insta::assert_snapshot!("heif", explanation("phones/IMG_1004.heic"));
}

#[test]
fn every_file_of_the_demo_is_explained_with_the_verdict_of_the_dry_run() {
    for asset in Presync::dry_run(demo()).args(["--format", "jsonl"]).run().jsonl() {
        let name = asset["name"].as_str().expect("a name");
        let ran = Presync::new(["explain".into(), demo().join(name)]).run();
        let (code, verdict) = match asset["verdict"].as_str().expect("a verdict") {
            "accept" => (0, "will sync"),
            "reject" => (1, "will be left out"),
            _ => (0, "isn't an asset"),
        };
        assert_eq!(ran.code, code, "{name}: {}", ran.stderr);
        assert!(ran.stdout.contains(&format!("\nVerdict\n  {verdict}")), "{name}: {}", ran.stdout);
        for finding in asset["findings"].as_array().expect("a list") {
            // A warning about another asset is none of this one's.
            if finding["code"] != "NAM001" {
                assert!(ran.stdout.contains(finding["message"].as_str().expect("a message")), "{name}");
            }
        }
    }
}

#[test]
fn a_blob_is_explained_like_the_file() {
    let service = Azurite::http();
    service.create_container("explained", false);
    let file = std::fs::read(demo().join("videos/trimmed.mp4")).expect("a file");
    service.put("explained", "a b/trimmed.mp4", file);
    service.put("explained", "a b/trimmed.mp4.txt", "the same beginning");
    let sas = service.sas("explained", "rl", Timestamp::now() + 1.hour());
    let url = format!("{}?{sas}", service.blob_url("explained", "a b/trimmed.mp4"));
    let ran = Presync::new(["explain", &url]).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let from = |text: &str, heading: &str| text[text.find(heading).expect("the heading")..].to_owned();
    assert_eq!(from(&ran.stdout, "\nReads"), from(&explanation("videos/trimmed.mp4"), "\nReads"));
    assert!(ran.stdout.starts_with("a b/trimmed.mp4\n"), "{}", ran.stdout);
    let signature = sas.split("sig=").nth(1).expect("a signature");
    assert!(!ran.stdout.contains(signature), "no secret is shown");
}

#[test]
fn a_blob_that_changed_is_read_again_once() {
    let bytes = std::fs::read(demo().join("cam1/0001.jpg")).expect("a file");
    let name = "0001.jpg".to_owned();
    let changed = Fault::Refuse { status: 412, code: "ConditionNotMet".into(), retry_after: None };
    for (times, verdict, code) in [(1, "will sync", 0), (2, "could not be judged\n  NET002", 3)] {
        let rule = Rule::on_reads(changed.clone(), 1.0).attempts(Attempts::First(times));
        let content =
            Content::Blobs(vec![Blob { name: name.clone(), bytes: bytes.clone(), ..Blob::default() }]);
        let faults = Faults { rules: vec![rule], ..Faults::default() };
        let server = Server::start(Config { faults, ..Config::of("media", content) }).expect("it starts");
        let url = format!("{}/media/{name}", server.url());
        let ran = Presync::new(["explain", &url, "--auth", "anonymous"]).run();
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(&format!("\nVerdict\n  {verdict}")), "{}", ran.stdout);
        assert_eq!(ran.stdout.matches("  bytes 0-").count(), 2, "{}", ran.stdout);
    }
}

#[test]
fn what_cannot_be_explained_is_named() {
    for (asset, message) in [
        ("fixtures/demo/none.jpg", "there is no file 'fixtures/demo/none.jpg'"),
        ("fixtures/demo", "'fixtures/demo' is a folder"),
    ] {
        let ran = Presync::new(["explain", asset]).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.starts_with(&format!("error: {message}\nhelp: ")), "{}", ran.stderr);
    }
}

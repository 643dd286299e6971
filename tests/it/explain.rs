//! `presync explain`.

use azure_core::base64::encode;
use jiff::{Timestamp, ToSpan};
use presync::loopback::{Attempts, Blob, Config, Content, Fault, Faults, Rule, Server};

use crate::support::azurite::Azurite;
use crate::support::presync::{Presync, demo};
use crate::support::stand_in::{Answer, StandIn};

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
fn an_explanation_for_programs_has_the_record_of_the_report() {
    let records = Presync::dry_run(demo()).args(["--format", "jsonl"]).run().jsonl();
    for name in ["drone/mosaic-rotated.png", "videos/trimmed.mp4", "cam1/0004.jpg"] {
        let ran = Presync::new(["explain".into(), demo().join(name)]).args(["--format", "json"]).run();
        let (explained, record) = (ran.json(), records.iter().find(|asset| asset["name"] == name));
        let record = record.expect("it is listed");
        for field in ["verdict", "findings", "orientation", "frames", "etag", "cost"] {
            assert_eq!(explained["asset"][field], record[field], "{name}: {field}");
        }
        let ranges = explained["ranges"].as_array().expect("a list");
        assert!(ranges[0]["offset"] == 0 && ranges[0]["length"].as_u64() > Some(0), "{ranges:?}");
        assert!(explained["structure"].as_array().expect("a list").len() > 2, "{explained}");
    }
    let tags = Presync::new(["explain".into(), demo().join("cam1/0004.jpg")])
        .args(["--format", "json"])
        .run()
        .json();
    let is_orientation = |tag: &serde_json::Value| tag["tag"] == "Orientation";
    assert!(tags["exif"].as_array().expect("a list").iter().any(is_orientation), "{tags}");
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
fn a_sas_for_the_blob_is_enough() {
    let service = Azurite::http();
    service.create_container("explained-one", false);
    for name in ["one.jpg", "other.jpg"] {
        service.put("explained-one", name, std::fs::read(demo().join("cam1/0001.jpg")).expect("a file"));
    }
    let hour = Timestamp::now() + 1.hour();
    let explain = |name: &str, sas: String| {
        Presync::new(["explain", &format!("{}?{sas}", service.blob_url("explained-one", name))]).run()
    };
    let ran = explain("one.jpg", service.blob_sas("explained-one", "one.jpg", "r", hour));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("will sync") && ran.stdout.contains("credential  SAS in the URL"),
        "{}",
        ran.stdout
    );

    let ran = explain("other.jpg", service.blob_sas("explained-one", "one.jpg", "r", hour));
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("help: the SAS is for one blob: check that it is for this one"),
        "{}",
        ran.stderr
    );
    let ran = explain("none.jpg", service.sas("explained-one", "r", hour));
    assert!(ran.stderr.starts_with("error: there is no blob 'none.jpg'\n"), "{}", ran.stderr);
}

/// A service with one blob that is encrypted with the key of 32 bytes `7`, and one that is not.
fn encrypted() -> StandIn {
    StandIn::https(|request| {
        let has = |line: &str| request.headers.iter().any(|header| header == line);
        let key = encode([7; 32]);
        let is_given = request.headers.iter().any(|header| header.starts_with("x-ms-encryption-key: "));
        let refused = |code| Answer::refused("409 Conflict", code);
        let is_plain = request.line.contains("plain.jpg");
        if request.line.contains("comp=list") {
            assert!(!is_given, "a listing takes no key");
            let blob = |name| {
                format!(
                    "<Blob><Name>{name}</Name><Properties><Content-Length>4</Content-Length></Properties></Blob>"
                )
            };
            let page = format!(
                "<EnumerationResults><Blobs>{}{}</Blobs></EnumerationResults>",
                blob("plain.jpg"),
                blob("secret.jpg")
            );
            return Answer::ok("application/xml", page);
        }
        match (is_plain, is_given) {
            (true, true) => refused("BlobDoesNotUseCustomerSpecifiedEncryption"),
            (false, false) => refused("BlobUsesCustomerSpecifiedEncryption"),
            (false, true) if !has(&format!("x-ms-encryption-key: {key}")) => {
                refused("BlobCustomerSpecifiedEncryptionMismatch")
            }
            (false, true) if !has("x-ms-encryption-algorithm: AES256") => refused("MissingRequiredHeader"),
            _ if request.line.starts_with("HEAD ") => Answer("200 OK", Vec::new(), "none".into()),
            _ => Answer("206 Partial Content", vec!["content-range: bytes 0-3/4".into()], "none".into()),
        }
    })
}

#[test]
fn a_key_of_the_customer_reads_what_it_encrypted_and_what_is_not_encrypted() {
    let service = encrypted();
    let run = |args: &[&str], key: &[u8]| {
        let presync =
            Presync::new(args).args(["--auth", "anonymous"]).env("SSL_CERT_FILE", Azurite::https().ca());
        match key {
            [] => presync.run(),
            key => presync.env("AZURE_STORAGE_ENCRYPTION_KEY", encode(key)).run(),
        }
    };
    let container = format!("{}/media/cam", service.url);
    let unknown = |key: &[u8]| {
        let ran = run(&["dry-run", &container, "--format", "json"], key);
        let asset = ran.json()["assets"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|one| one["verdict"] == "unknown")
            .cloned();
        asset.map(|asset| asset["findings"][0]["message"].as_str().expect("a text").to_owned())
    };
    assert_eq!(unknown(&[7; 32]), None);
    assert!(unknown(&[]).expect("it is not read").contains("set AZURE_STORAGE_ENCRYPTION_KEY to the key"));
    assert!(unknown(&[8; 32]).expect("it is not read").contains("another key than the one in"));
    for name in ["plain.jpg", "secret.jpg"] {
        let ran = run(&["explain", &format!("{container}/{name}")], &[7; 32]);
        assert!(ran.stdout.contains("FMT001"), "{name}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = run(&["explain", &format!("{container}/secret.jpg")], &[8; 32]);
    assert!(ran.code == 2 && ran.stderr.contains("another key than the one in"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&encode([8; 32])));
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

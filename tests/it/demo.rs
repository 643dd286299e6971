//! The demo container: every fact against exiftool and ffprobe, every verdict against the rules written by hand.

use serde_json::{Value, json};

use crate::support::presync::{Presync, demo, root, without_summary};

const QUOTA: [&str; 4] = ["--image-quota", "20", "--frame-quota", "500"];

fn truth() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("fixtures/demo.truth.json")).expect("the truth is there");
    serde_json::from_str(&text).expect("the truth is JSON")
}

#[test]
fn every_fact_is_what_exiftool_and_ffprobe_say() {
    let ran = Presync::dry_run(demo()).args(QUOTA).args(["--format", "jsonl"]).run();
    let (assets, truth) = (ran.jsonl(), truth());
    assert_eq!(assets.len(), truth.len());
    for (asset, truth) in assets.iter().zip(&truth) {
        let name = &truth["name"];
        for field in ["name", "size", "format", "kind"] {
            assert_eq!(asset[field], truth[field], "{name}: {field}");
        }
        let expected = truth["expect"]["codes"].as_array().expect("a list");
        // What is recognised by its first bytes and goes no further shows nothing more.
        let only_recognised = expected.iter().any(|code| code == "FMT004" || code == "VID004");
        if !only_recognised {
            for field in [
                "orientation",
                "width",
                "height",
                "major_brand",
                "compatible_brands",
                "codec",
                "pixel_format",
                "frames",
            ] {
                assert_eq!(asset[field], truth[field], "{name}: {field}");
            }
            assert_eq!(asset["frames_presented"], truth["presented"], "{name}: presented");
        }
        if let (false, Some(duration)) = (only_recognised, truth["duration_s"].as_f64()) {
            let found = asset["duration_s"].as_f64().expect("it is known");
            assert!((found - duration).abs() < 0.001, "{name}: {found} s, not {duration} s");
        }
    }
}

#[test]
fn every_verdict_is_what_the_rules_say() {
    let ran = Presync::dry_run(demo()).args(QUOTA).args(["--format", "jsonl"]).run();
    for (asset, truth) in ran.jsonl().iter().zip(&truth()) {
        let name = &truth["name"];
        assert_eq!(asset["verdict"], truth["expect"]["verdict"], "{name}");
        let codes: Vec<_> =
            asset["findings"].as_array().expect("a list").iter().map(|finding| &finding["code"]).collect();
        let expected: Vec<_> = truth["expect"]["codes"].as_array().expect("a list").iter().collect();
        assert_eq!(codes, expected, "{name}");
    }
    assert_eq!(ran.code, 1, "findings and nothing unknown");
}

#[test]
fn the_document_adds_up_to_its_assets() {
    let document = Presync::dry_run(demo()).args(QUOTA).args(["--format", "json"]).run().json();
    let assets = document["assets"].as_array().expect("a list");
    let truth = truth();
    let sum = |of: &dyn Fn(&Value) -> u64| assets.iter().map(of).sum::<u64>();
    let with = |verdict: &str| assets.iter().filter(|asset| asset["verdict"] == verdict).count();
    let totals = &document["totals"];
    assert_eq!(document["format_version"], "1.0");
    assert_eq!(document["profile"], "nexus");
    assert_eq!(totals["listed"], truth.len());
    assert_eq!(totals["accepted"], with("accept"));
    assert_eq!(totals["rejected"], with("reject"));
    assert_eq!(totals["skipped"], with("skip"));
    assert_eq!(totals["unknown"], with("unknown"));
    assert_eq!(totals["bytes_listed"], sum(&|asset| asset["size"].as_u64().unwrap()));
    assert_eq!(totals["bytes_read"], sum(&|asset| asset["reads"]["bytes"].as_u64().unwrap()));
    assert_eq!(totals["requests"], sum(&|asset| asset["reads"]["requests"].as_u64().unwrap()));
    let quota = &document["quota"];
    assert_eq!(quota["admit"], "listing");
    assert_eq!(
        quota["images"],
        json!({"unit": "images", "limit": 20, "used_before": 0, "cost": 20, "left": 0, "fits": false, "shortage": {
            "refused": 9, "first_refused": {"name": "phones/IMG_1005.avif", "position": 39},
            "demand": 29, "shortfall": 9,
            "if_raised": [{"by": 2, "limit": 22, "refused": 7}, {"by": 5, "limit": 25, "refused": 4}],
            "leave_out": {"which": "any", "count": 9},
        }})
    );
    assert_eq!(
        quota["frames"],
        json!({"unit": "frames", "limit": 500, "used_before": 0, "cost": 494, "left": 6, "fits": false, "shortage": {
            "refused": 2, "first_refused": {"name": "videos/crossing-b.mp4", "position": 53},
            "demand": 814, "shortfall": 314,
            "if_raised": [{"by": 50, "limit": 550, "refused": 1}],
            "leave_out": {"which": "these", "assets": [
                {"name": "videos/crossing-b.mp4", "cost": 300}, {"name": "videos/yard.mp4", "cost": 20},
            ]},
        }})
    );
    assert_eq!(quota["first_refused"], "phones/IMG_1005.avif");
    for (code, count) in document["findings_by_code"].as_object().expect("an object") {
        let carrying = assets.iter().filter(|asset| {
            asset["findings"].as_array().expect("a list").iter().any(|finding| finding["code"] == *code)
        });
        assert_eq!(*count, carrying.count(), "{code}");
    }
}

#[test]
fn what_a_shortage_says_is_so() {
    let run = |images: &str, frames: &str| {
        let quota = ["--image-quota", images, "--frame-quota", frames, "--format", "json"];
        Presync::dry_run(demo()).args(quota).run().json()["quota"].clone()
    };
    assert_eq!(run("20", "550")["frames"]["shortage"]["refused"], 1);
    for enough in [run("29", "814"), run("30", "1000")] {
        assert_eq!((&enough["images"]["fits"], &enough["frames"]["fits"]), (&json!(true), &json!(true)));
        assert_eq!(enough["images"].get("shortage"), None, "{enough}");
    }
    assert_eq!(run("28", "813")["images"]["shortage"]["shortfall"], 1);
}

#[test]
fn the_text_report_looks_like_this() {
    let ran = Presync::dry_run("fixtures/demo").args(QUOTA).run();
    insta::assert_snapshot!(ran.stdout);
    assert_eq!(ran.stderr, "", "nothing but the report when stderr is no terminal");
}

#[test]
fn the_text_report_is_colored_when_asked_to() {
    let colored = Presync::dry_run("fixtures/demo").args(QUOTA).args(["--color", "always"]).run().stdout;
    let plain = Presync::dry_run("fixtures/demo").args(QUOTA).run().stdout;
    assert!(colored.contains("\u{1b}[31mIMG001\u{1b}[0m"), "{colored}");
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
}

#[test]
fn findings_exit_with_1_and_a_clean_folder_with_0() {
    let rejected = Presync::dry_run(demo().join("cam1")).run();
    assert_eq!(rejected.code, 1, "{}", rejected.stdout);
    assert_eq!(Presync::dry_run(demo().join("cam1")).args(["--exit-zero"]).run().code, 0);
    let clean = tempfile::tempdir().expect("a folder");
    std::fs::copy(demo().join("cam1/0001.jpg"), clean.path().join("0001.jpg")).expect("a copy");
    let clean = Presync::dry_run(clean.path()).run();
    assert_eq!(clean.code, 0, "{}", clean.stdout);
    assert!(clean.stdout.contains("\nAll 1 asset will sync.\n"), "{}", clean.stdout);
}

#[test]
fn a_report_in_a_file_is_the_one_on_stdout() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.jsonl");
    let args = ["--format", "jsonl", "--output"];
    let ran = Presync::dry_run(demo()).args(args).args([&file]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    let stdout = Presync::dry_run(demo()).args(["--format", "jsonl"]).run().stdout;
    let written = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(without_summary(&written), without_summary(&stdout));
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "no temporary file stays: {left:?}");
}

#[test]
fn verbose_says_how_the_run_goes_about_it_on_stderr_alone() {
    let args = ["--concurrency", "3", "--workers", "2", "--queue", "5"];
    let quiet = Presync::dry_run(demo()).args(args).run();
    let verbose = Presync::dry_run(demo()).args(args).args(["-v"]).run();
    assert_eq!(verbose.stdout, quiet.stdout);
    assert_eq!(quiet.stderr, "");
    assert!(
        verbose.stderr.starts_with("3 blobs at a time, 2 probe threads, a queue of 5\n65 blobs in "),
        "{}",
        verbose.stderr
    );
}

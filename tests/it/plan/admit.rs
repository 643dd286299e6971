//! Who gets the budget.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::report;
use crate::support::presync::{Presync, demo, timeless};

/// Videos of the demo container: their frames, and how many hours ago they were changed.
const VIDEOS: [(&str, u64, u64); 3] =
    [("crossing-a.mp4", 240, 3), ("crossing-b.mp4", 300, 1), ("yard.mp4", 20, 2)];

fn videos(folder: &Path) {
    for (name, _, hours) in VIDEOS {
        fs::copy(demo().join("videos").join(name), folder.join(name)).expect("a copy");
        let file = File::options().append(true).open(folder.join(name)).expect("it can be opened");
        let time = SystemTime::now() - Duration::from_secs(hours * 3600);
        file.set_modified(time).expect("its time can be set");
    }
}

fn accepted(report: &Value) -> Vec<&str> {
    let assets = report["assets"].as_array().expect("a list").iter();
    let accepted = assets.filter(|asset| asset["verdict"] == "accept");
    accepted.map(|asset| asset["name"].as_str().expect("a name")).collect()
}

#[test]
fn the_order_decides_who_gets_the_budget() {
    let folder = tempfile::tempdir().expect("a folder");
    let (media, plan) = (folder.path().join("media"), folder.path().join("plan.parquet"));
    fs::create_dir(&media).expect("a folder");
    videos(&media);
    let run = |admit: &str, limit: &str, concurrency: &str| {
        let ran = Presync::dry_run(&media).args(["--admit", admit, "--frame-quota", limit]);
        let ran = ran.args(["--concurrency", concurrency, "--format", "json", "--plan"]).args([&plan]).run();
        assert!(
            report(&plan, &["--format", "json"]).stdout == ran.stdout,
            "a report of the plan is the same"
        );
        timeless(ran.json())
    };
    let frames = |report: &Value| {
        let assets = report["assets"].as_array().expect("a list").iter();
        assets.map(|asset| asset["cost"]["frames"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    let listing = run("listing", "310", "1");
    assert_eq!(frames(&listing), VIDEOS.map(|video| video.1));
    for (admit, limit, expected) in [
        ("listing", "310", &["crossing-a.mp4", "yard.mp4"] as &[_]),
        ("newest", "310", &["crossing-b.mp4"]),
        ("newest", "320", &["crossing-b.mp4", "yard.mp4"]),
        ("most-assets", "300", &["crossing-a.mp4", "yard.mp4"]),
        ("most-assets", "30", &["yard.mp4"]),
        ("most-assets", "560", &["crossing-a.mp4", "crossing-b.mp4", "yard.mp4"]),
    ] {
        let report = run(admit, limit, "1");
        assert_eq!(accepted(&report), expected, "{admit} {limit}");
        assert_eq!(report["quota"]["admit"], admit);
        let frames: u64 =
            VIDEOS.iter().filter(|video| expected.contains(&video.0)).map(|video| video.1).sum();
        assert_eq!(report["quota"]["frames"]["cost"], frames);
        assert!(report == run(admit, limit, "7"), "{admit} {limit}: the same at any concurrency");
    }
}

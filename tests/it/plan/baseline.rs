//! A run that is compared with an earlier plan reads only what has changed.

use std::fs;
use std::path::{Path, PathBuf};

use presync::loopback::{Blob, Config, Content, Kind, Server, Tier};
use presync::model::{Asset, Reads};
use serde_json::{Value, json};

use super::{planned, read, report};
use crate::support::presync::{Presync, demo};

fn blob(name: &str, file: &str, etag: &str) -> Blob {
    let bytes = fs::read(demo().join(file)).expect("a file of the demo container");
    Blob { name: name.into(), bytes, etag: Some(etag.into()), ..Blob::default() }
}

fn compared(source: impl AsRef<std::ffi::OsStr>, baseline: &Path) -> Presync {
    Presync::dry_run(source).args(["--auth", "anonymous", "--baseline"]).args([baseline])
}

#[test]
fn only_what_has_changed_is_read() {
    let blobs = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e/f.jpg"].map(|name| blob(name, "cam1/0001.jpg", "1"));
    let server = Server::start(Config::of("media", Content::Blobs(blobs.into()))).expect("it starts");
    let source = format!("{}/media", server.url());
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("first.parquet"), folder.path().join("second.parquet"));
    let run = |baseline: &Path, plan: &Path| {
        server.reset();
        let ran = compared(&source, baseline).args(["--format", "json", "--plan"]).args([plan]).run();
        (ran.json(), server.stats().of(Kind::Read))
    };
    let ran = Presync::dry_run(&source).args(["--auth", "anonymous", "--plan"]).args([&first]).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);

    let (same, reads) = run(&first, &second);
    assert_eq!(reads, 0);
    let changes = &same["changes"];
    let none = json!({ "count": 0, "names": [] });
    assert_eq!([&changes["added"], &changes["changed"], &changes["removed"]], [&none; 3]);
    assert_eq!((&changes["unchanged"], &changes["images"]), (&json!(5), &json!(0)));
    let unread = read(&first).1.into_iter().map(|mut asset| {
        asset.reads = Reads::default();
        asset
    });
    let without_baseline = read(&second).1.into_iter().map(|asset| Asset { earlier: None, ..asset });
    let (again, unread) = (without_baseline.collect::<Vec<_>>(), unread.collect::<Vec<_>>());
    assert_eq!(again, unread, "but for the reads, the assets are the same");
    assert_eq!(read(&second).0.id, read(&first).0.id);

    server.put("media", blob("b.jpg", "cam1/0004.jpg", "2")).expect("it is put");
    server.put("media", blob("bb.jpg", "cam1/0001.jpg", "1")).expect("it is put");
    server.put("media", blob("z.jpg", "cam1/0001.jpg", "1")).expect("it is put");
    server.delete("media", "c.jpg").expect("it is deleted");
    server.delete("media", "e/f.jpg").expect("it is deleted");
    let (changed, reads) = run(&second, &second);
    assert_eq!(reads, 3, "the changed and the added ones");
    let changes = &changed["changes"];
    assert_eq!(changes["added"], json!({ "count": 2, "names": ["bb.jpg", "z.jpg"] }));
    assert_eq!(changes["changed"], json!({ "count": 1, "names": ["b.jpg"] }));
    assert_eq!(changes["removed"], json!({ "count": 2, "names": ["c.jpg", "e/f.jpg"] }));
    assert_eq!((&changes["unchanged"], &changes["read_again"]), (&json!(2), &json!(0)));
    assert_eq!((&changes["accepted"], &changes["images"]), (&json!(-1), &json!(-1)));
    let again = report(&second, &["--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&again.stdout).expect("JSON"), changed, "the plan has it too");
    let fresh = Presync::dry_run(&source).args(["--auth", "anonymous", "--format", "json"]).run().json();
    assert_eq!(fresh["findings_by_code"], changed["findings_by_code"]);
    assert_eq!(fresh["quota"], changed["quota"]);
}

/// A run over the demo without limits, which are in other units for other profiles.
fn without_quota(plan: &Path) -> Presync {
    Presync::dry_run("fixtures/demo").args(["--plan".as_ref(), plan.as_os_str()])
}

#[test]
fn another_profile_judges_the_facts_that_are_there() {
    let (folder, path) = planned();
    let compared = |args: &[&str]| {
        let ran =
            without_quota(&folder.path().join("new.parquet")).args(["--baseline".as_ref(), path.as_os_str()]);
        ran.args(["--format", "json"]).args(args).run().json()
    };
    let assets = |report: &Value| {
        let mut assets = report["assets"].clone();
        for asset in assets.as_array_mut().expect("a list") {
            asset["reads"] = Value::Null;
            asset.as_object_mut().expect("an asset").remove("fixed");
            for finding in asset["findings"].as_array_mut().expect("a list") {
                finding.as_object_mut().expect("a finding").remove("baseline");
            }
        }
        assets
    };
    let fresh = |args: &[&str]| {
        let ran = without_quota(&folder.path().join("new.parquet")).args(["--format", "json"]);
        ran.args(args).run().json()
    };
    let vi = ["--profile", "vi"];
    let judged = compared(&vi);
    let is_other = |asset: &&Value| matches!(asset["format"].as_str(), Some("avi" | "webm"));
    let others = judged["assets"].as_array().expect("a list").iter().filter(is_other).count();
    let again = (&judged["changes"]["read_again"], others > 0);
    assert_eq!(again, (&json!(others), true), "only headers that no rule of nexus needs");
    assert!(assets(&judged) == assets(&fresh(&vi)));
    assert_ne!(judged["quota"], compared(&[])["quota"], "an image costs five times as much");

    let sized = compared(&["--dimensions"]);
    assert!(assets(&sized) == assets(&fresh(&["--dimensions"])));
    let again = sized["changes"]["read_again"].as_u64().expect("a number");
    assert!((1..40).contains(&again), "{again}: those whose size the verdict did not need");
}

#[test]
fn what_was_not_read_is_read() {
    let archived = Blob { tier: Tier::Archive, ..blob("a.jpg", "cam1/0001.jpg", "1") };
    let server = Server::start(Config::of("media", Content::Blobs(vec![archived]))).expect("it starts");
    let source = format!("{}/media", server.url());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.parquet");
    let run = |args: &[&std::ffi::OsStr]| {
        let ran = Presync::dry_run(&source).args(["--auth", "anonymous", "--format", "json", "--plan"]);
        ran.args([&path]).args(args).run().json()
    };
    let baseline = ["--baseline".as_ref(), path.as_os_str()];
    assert_eq!(run(&[])["findings_by_code"], json!({ "BLB002": 1 }));
    // Bringing a blob back from the archive leaves its ETag.
    server.put("media", blob("a.jpg", "cam1/0001.jpg", "1")).expect("it is put");
    let online = run(&baseline);
    assert_eq!((&online["totals"]["accepted"], &online["totals"]["requests"]), (&json!(1), &json!(1)));
    assert_eq!(online["changes"]["changed"]["count"], 1);
}

#[test]
fn a_baseline_of_another_source_is_refused() {
    let (_folder, path) = planned();
    for (source, args, says) in [
        (demo().join("cam1"), &[] as &[&str], "cam1"),
        (PathBuf::from("fixtures/demo"), &["--no-recurse"], "without its folders"),
    ] {
        let ran = compared(&source, &path).args(args).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert!(
            ran.stderr.contains(says) && ran.stderr.contains("a plan of the same source"),
            "{}",
            ran.stderr
        );
    }
    let ran = compared("fixtures/demo", Path::new("/no/such/plan")).run();
    assert!(ran.code == 2 && ran.stderr.contains("cannot read the plan '/no/such/plan'"), "{}", ran.stderr);
}

#[test]
fn a_damaged_baseline_ends_the_run() {
    let (_folder, path) = planned();
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[200..1200].fill(7);
    fs::write(&path, bytes).expect("it can be written");
    let ran = compared("fixtures/demo", &path).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(" is damaged: "), "{}", ran.stderr);
}

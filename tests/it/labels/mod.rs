//! `presync labels` and `presync reconcile`: names that are compared with a plan.

mod lists;
mod sdk;
mod variants;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::presync::{Presync, Ran, demo, measured};

/// A plan of the demo container, without limits and with every width and height.
static PLAN: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.parquet");
    let ran = Presync::dry_run(demo()).args(["--dimensions", "--quiet", "--plan"]).args([&plan]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    (folder, plan)
});

fn plan() -> &'static Path {
    &PLAN.1
}

/// Files with these names and texts in a new folder.
fn files<N: AsRef<Path>, T: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, T)>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(path, text).expect("it is written");
    }
    folder
}

fn labels(folder: &TempDir, args: &[&str]) -> Ran {
    Presync::new(["labels".as_ref(), plan(), folder.path()]).args(args).run()
}

/// The outcome of each reference, with what is noted about it.
fn outcomes(ran: &Ran) -> BTreeMap<String, String> {
    let document = ran.json();
    let references = document["references"].as_array().expect("references").iter();
    let references = references.filter(|record| record["outcome"] != "unlabelled");
    let of = |record: &Value| {
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let more = [text("codes"), text("problems")].into_iter().filter(|text| !text.is_empty());
        (text("reference"), [text("outcome")].into_iter().chain(more).collect::<Vec<_>>().join(" "))
    };
    references.map(of).collect()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, outcome)| ((*name).to_owned(), (*outcome).to_owned())).collect()
}

const COCO: &str = r#"{"info": {"year": 2026}, "annotations": [{"id": 1, "image_id": 1, "bbox": [0, 0, 1, 1]}],
"images": [
 {"id": 1, "file_name": "0002.jpg", "width": 320, "height": 240},
 {"id": "b", "file_name": "cam1/0003.jpg", "width": "320", "height": 241},
 {"id": 3, "file_name": "0004.jpg", "width": 320, "height": 240},
 {"id": 4, "file_name": "0001.jpg"},
 {"id": 5, "file_name": "img_1001.JPG"},
 {"id": 6, "file_name": "0006.png"},
 {"id": 7, "file_name": "U\u0308bergang.jpg"},
 {"id": 8, "file_name": "no such.jpg"},
 {"id": 9, "file_name": "flight 1.mp4", "frame_id": 1},
 {"id": 10, "file_name": "flight 1.mp4", "frame_id": 1000000}]}"#;

#[test]
fn each_reference_has_an_outcome() {
    let folder = files([("coco.json", COCO)]);
    let ran = labels(&folder, &["--format", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let found = outcomes(&ran);
    let known = [
        ("0002.jpg", "syncs"),
        ("cam1/0003.jpg", "syncs size"),
        ("0004.jpg", "left_out IMG001 turned"),
        ("0001.jpg", "ambiguous"),
        ("img_1001.JPG", "near"),
        ("0006.png", "near FMT003"),
        ("U\u{308}bergang.jpg", "near"),
        ("no such.jpg", "missing"),
        ("flight 1.mp4", "syncs frames"),
    ];
    assert_eq!(found, expected(&known));
    let document = ran.json();
    let totals = &document["totals"];
    assert_eq!(totals["references"], 9);
    let sum = ["syncs", "left_out", "ambiguous", "near", "missing", "unknown"]
        .map(|key| totals[key].as_u64().expect("a count"));
    assert_eq!(sum.iter().sum::<u64>(), 9, "{totals}");
    let message = |name: &str| {
        let records = document["references"].as_array().expect("references");
        let record = records.iter().find(|record| record["reference"] == name).expect("it is there");
        record["message"].as_str().unwrap_or_default().to_owned()
    };
    assert!(
        message("img_1001.JPG").contains("phones/IMG_1001.jpg differs in case"),
        "{}",
        message("img_1001.JPG")
    );
    assert!(message("0006.png").contains("cam1/0006.jpg differs in extension"), "{}", message("0006.png"));
    assert!(message("U\u{308}bergang.jpg").contains("Unicode normalization"));
    assert!(message("0001.jpg").contains("2 assets"), "{}", message("0001.jpg"));
    assert!(message("0004.jpg").starts_with("IMG001: "), "{}", message("0004.jpg"));
    // Each asset that will sync has a label, or is said to have none.
    let records = document["references"].as_array().expect("references");
    let unlabelled = records.iter().filter(|record| record["outcome"] == "unlabelled").count() as u64;
    assert_eq!(Some(unlabelled), totals["unlabelled"].as_u64());
    assert!(
        !records.iter().any(|record| record["outcome"] == "unlabelled" && record["asset"] == "cam2/0001.jpg")
    );
}

#[test]
fn the_other_formats_say_the_same() {
    let folder = files([
        ("yolo/data.yaml", "names: [dog]"),
        ("yolo/classes.txt", "dog\n"),
        ("yolo/labels/train/0002.txt", "0 0.5 0.5 0.1 0.1\n"),
        ("yolo/labels/train/0001.txt", ""),
        ("yolo/labels/train/img_1001.txt", "0 0.5 0.5 0.1 0.1 0.2 0.2\n"),
        ("yolo/train.txt", "images/0003.jpg\nimages/none.jpg\n"),
        (
            "voc/a.xml",
            "<annotation><filename>0005.jpg</filename><size><width>1</width><height>1</height></size></annotation>",
        ),
        ("csv/boxes.csv", "filename,xmin,ymin,width,height,label\n0006.jpg,0,0,1,1,x\n0006.jpg,0,0,2,1,x\n"),
        (
            "vi/a.jsonl",
            "{\"id\":\"1\",\"asset\":{\"type\":\"Image\",\"filename\":\"0101.jpg\",\"width\":320,\"height\":240},\"contents\":{}}\n",
        ),
        ("vi/dataset.json", "{\"name\": \"x\"}"),
        ("README.md", "not a label"),
    ]);
    let ran = labels(&folder, &["--format", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let found = outcomes(&ran);
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "0001",
            "0002",
            "0005.jpg",
            "0006.jpg",
            "0101.jpg",
            "images/0003.jpg",
            "images/none.jpg",
            "img_1001"
        ]
    );
    let of = |name: &str| found[name].split(' ').next().unwrap_or_default().to_owned();
    assert_eq!(
        ["0001", "0002", "images/0003.jpg", "images/none.jpg", "img_1001"].map(of),
        ["ambiguous", "syncs", "syncs", "missing", "near"]
    );
    let totals = &ran.json()["totals"];
    assert_eq!((&totals["files"], &totals["files_ignored"]), (&7.into(), &2.into()), "{totals}");
}

#[test]
fn broken_files_are_named_with_their_line_and_make_the_run_incomplete() {
    let folder = files([
        ("good.json", br#"{"images": [{"file_name": "0002.jpg"}]}"#.to_vec()),
        ("cut.json", b"{\"images\": [\n{\"file_name\": \"0003.jpg\"},\n".to_vec()),
        ("labels/x.txt", b"0 0.5 0.5\n".to_vec()),
        ("utf-16.csv", b"\xff\xfef\0".to_vec()),
        ("deep.json", [b"{\"images\":".to_vec(), b"[".repeat(100_000)].concat()),
    ]);
    let ran = labels(&folder, &[]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    for says in
        ["cut.json", "line 3", "labels/x.txt", "line 1: it is not a class and a box", "UTF-16", "64 levels"]
    {
        assert!(ran.stdout.contains(says), "{says}: {}", ran.stdout);
    }
    let nothing = files([("labels/x.txt", "0 0.5 0.5\n")]);
    let ran = labels(&nothing, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("x.txt': line 1: "), "{}", ran.stderr);
    let empty = files([("a.md", "")]);
    assert!(labels(&empty, &[]).stderr.contains("there are no label files"));
}

#[test]
fn a_profile_says_what_must_match_and_options_what_fails() {
    let folder = files([("a.csv", "image\nelsewhere/0002.jpg\n0003.png\n")]);
    let nexus = Presync::new(["rule", "--profile", "nexus"]).run().stdout;
    let profile = |by: &str| nexus.replace("match_by = \"basename\"", &format!("match_by = \"{by}\""));
    let mine = files([("stem.toml", profile("stem")), ("path.toml", profile("path"))]);
    let with = |name: &str| {
        let path = mine.path().join(name);
        let ran = labels(&folder, &["--format", "json", "--profile", path.to_str().expect("UTF-8")]);
        outcomes(&ran)
    };
    let found = outcomes(&labels(&folder, &["--format", "json"]));
    assert_eq!(found, expected(&[("elsewhere/0002.jpg", "syncs"), ("0003.png", "near")]));
    assert_eq!(with("stem.toml"), expected(&[("elsewhere/0002.jpg", "syncs"), ("0003.png", "syncs")]));
    assert_eq!(with("path.toml")["elsewhere/0002.jpg"], "near");
    assert_eq!(labels(&folder, &["--exit-zero"]).code, 0);
    let sizes = files([("a.csv", "image,image_width,image_height\n0002.jpg,1,1\n")]);
    assert_eq!(["error", "warning", "never"].map(|on| labels(&sizes, &["--fail-on", on]).code), [0, 1, 0]);
}

#[test]
fn a_source_is_checked_first_and_every_format_has_the_names() {
    let folder = files([("a.csv", "image\n0002.jpg\n=0003.jpg\n<b>.jpg\n")]);
    let source = demo().join("cam1");
    let ran = |format: &str| {
        Presync::new(["labels".as_ref(), source.as_path(), folder.path()])
            .args(["--format", format, "--quiet"])
            .run()
    };
    let text = ran("text");
    assert_eq!(text.code, 1, "{}", text.stderr);
    insta::assert_snapshot!(
        text.stdout
            .replace(&*folder.path().to_string_lossy(), "LABELS")
            .replace(&*demo().to_string_lossy(), "DEMO")
    );
    let csv = ran("csv").stdout;
    assert!(csv.starts_with("reference,outcome,asset,") && csv.contains("\r\n'=0003.jpg,missing"), "{csv}");
    let html = ran("html").stdout;
    assert!(html.contains("&lt;b&gt;.jpg") && !html.contains("<b>") && !html.contains("<script"), "{html}");
    assert_eq!(ran("json").json()["command"], "labels");
}

#[test]
fn memory_does_not_grow_with_the_label_file() {
    let images = |count: u32| -> String {
        let image =
            |id: u32| format!("{{\"id\":{id},\"file_name\":\"{id:012}.jpg\",\"width\":640,\"height\":480}}");
        let images: Vec<_> = (0..count).map(image).collect();
        let segmentation = "[12.5,13.25],".repeat(2_000);
        let annotations =
            format!("{{\"id\":1,\"segmentation\":[{segmentation}[0,0]]}},").repeat(count as usize / 100);
        format!("{{\"annotations\":[{annotations}null],\"images\":[{}]}}", images.join(","))
    };
    let peak = |count| {
        let folder = files([("a.json", images(count))]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_presync"));
        command.args(["labels".as_ref(), plan(), folder.path()]).env_clear();
        let (ran, peak) = measured(command);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        peak
    };
    let (small, large) = (peak(100), peak(20_000));
    eprintln!("labels: {small} KiB for 100 images, {large} KiB for 20,000");
    assert!(large < small + (32 << 10), "{small} KiB, {large} KiB");
}

/// The run that judges a source stops in good order, and what follows it at once.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_comparison_after_a_source_was_judged() {
    use std::io::Read as _;
    let rows: String = (0..20_000).map(|number| format!("missing-{number}.jpg\n")).collect();
    let folder = files([("labels.csv", format!("filename\n{rows}"))]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_presync"))
        .env_clear()
        .args(["labels".as_ref(), demo().as_os_str(), folder.path().as_os_str()])
        .args(["--format", "csv"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    // It has begun to compare, and nobody reads the rest.
    child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("rows");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

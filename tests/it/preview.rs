//! `presync preview`, and `--no-recurse` there and in `presync dry-run`.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::azurite::{Azurite, KEY};
use crate::support::presync::{Presync, Ran, demo};

const CONTAINER: &str = "preview";
const NAMES: [&str; 9] = [
    "team a/0001.jpg",
    "team a/0002.JPG",
    "team a/cam1/0001.jpg",
    "team a/cam1/a.mp4",
    "team a/cam2/deep/b.mp4",
    "team a/cam2/notes.txt",
    "team a/empty.png",
    "team a/old.jpg",
    "team b/0001.jpg",
];

/// Azurite with a container, and one of its blobs in the archive.
static AZURITE: LazyLock<&Azurite> = LazyLock::new(|| {
    let azurite = Azurite::http();
    azurite.create_container(CONTAINER, false);
    NAMES.iter().for_each(|name| azurite.put(CONTAINER, name, content(name)));
    azurite.put(CONTAINER, "team a/marker/", "");
    azurite.set_tier_archive(CONTAINER, "team a/old.jpg");
    azurite
});

fn content(name: &str) -> Vec<u8> {
    let file = match name.rsplit('.').next().expect("an extension") {
        "png" => return Vec::new(),
        "txt" => return b"a note".to_vec(),
        "mp4" => "videos/yard.mp4",
        _ => "cam1/0001.jpg",
    };
    fs::read(demo().join(file)).expect("it can be read")
}

fn run(command: &str, source: &str, args: &[&str]) -> Ran {
    let ran = Presync::new([command, source]).args(args).env("AZURE_STORAGE_KEY", KEY).run();
    assert_eq!(ran.stderr, "");
    ran
}

fn preview(source: &str, args: &[&str]) -> Value {
    let ran = run("preview", source, &[&["--format", "json"], args].concat());
    assert_eq!(ran.code, 0);
    ran.json()
}

fn names(run: &Ran) -> Vec<(String, Value)> {
    let assets = run.jsonl();
    assets
        .iter()
        .map(|asset| (asset["name"].as_str().expect("a name").into(), asset["skipped"].clone()))
        .collect()
}

fn url() -> String {
    format!("{}/team%20a/", AZURITE.container_url(CONTAINER))
}

#[test]
fn the_demo_looks_like_this() {
    let ran = run("preview", "fixtures/demo", &[]);
    assert_eq!(ran.code, 0, "findings are no matter of a preview");
    assert_snapshot!(ran.stdout);
}

#[test]
fn a_container_looks_like_this() {
    let ran = run("preview", &url(), &[]);
    let host = AZURITE.endpoint().split('/').nth(2).expect("a host");
    assert_snapshot!(ran.stdout.replace(host, "127.0.0.1:PORT"));
    let ran = run("preview", &url(), &["--no-recurse"]);
    assert_snapshot!("a_container_without_its_folders", ran.stdout.replace(host, "127.0.0.1:PORT"));
}

#[test]
fn the_document_says_the_same_of_a_folder_and_of_a_container() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in NAMES {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, content(name)).expect("a file");
    }
    let of_folder = preview(folder.path().join("team a").to_str().expect("UTF-8"), &[]);
    let of_container = preview(&url(), &[]);
    for part in ["kinds", "extensions", "other_extensions", "other_folders", "directly_under_prefix"] {
        assert_eq!(of_folder[part], of_container[part], "{part}");
    }
    let folders = json!([
        {"name": "team a/cam1/", "files": 2, "bytes": content("jpg").len() + content("mp4").len()},
        {"name": "team a/cam2/", "files": 2, "bytes": content("mp4").len() + 6},
    ]);
    assert_eq!(of_container["folders"], folders);
    let totals = json!({
        "listed": 9, "files": 8, "bytes": of_folder["totals"]["bytes"], "folder_markers": 1,
        "folders_not_entered": 0, "archived": 1, "empty": 1, "excluded": 0, "unreachable": 0,
    });
    assert_eq!(of_container["totals"], totals);
    assert_eq!(of_container["quota"], json!({"images": {"by_extension": 3, "at_most": 3}}));
    assert_eq!(
        preview(&url(), &["--profile", "vi"])["quota"]["images"]["at_most"],
        15,
        "5 data rows an image"
    );
    assert_eq!(of_container["sample"].as_array().expect("a list").len(), 8);
}

#[test]
fn without_recursion_only_what_lies_directly_under_the_prefix_counts() {
    let document = preview(&url(), &["--no-recurse"]);
    assert_eq!(document["totals"]["listed"], 7);
    assert_eq!(document["totals"]["folders_not_entered"], 3);
    assert_eq!(document["folders"], json!([]));
    let sample = ["team a/0001.jpg", "team a/0002.JPG", "team a/empty.png", "team a/old.jpg"];
    assert_eq!(document["sample"], json!(sample));

    let dry_run = names(&run("dry-run", &url(), &["--no-recurse", "--format", "jsonl"]));
    let not_entered = json!("folder that was not entered");
    let folder = |name: &str| (format!("team a/{name}/"), not_entered.clone());
    let file = |name: &str| (format!("team a/{name}"), Value::Null);
    let expected = [
        file("0001.jpg"),
        file("0002.JPG"),
        folder("cam1"),
        folder("cam2"),
        file("empty.png"),
        folder("marker"),
        file("old.jpg"),
    ];
    assert_eq!(dry_run, expected);
    let document = run("dry-run", &url(), &["--no-recurse", "--format", "json"]).json();
    let totals = &document["totals"];
    assert_eq!(
        (&totals["listed"], &totals["skipped"]),
        (&json!(7), &json!(3)),
        "nothing is dropped silently"
    );
}

#[test]
fn a_report_can_go_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("preview.txt");
    let ran = run("preview", "fixtures/demo", &["--output", file.to_str().expect("UTF-8")]);
    assert_eq!(ran.stdout, "");
    let report = fs::read_to_string(file).expect("it is there");
    assert_eq!(report, run("preview", "fixtures/demo", &[]).stdout);
}

#[cfg(unix)]
#[test]
fn a_listing_with_a_gap_never_looks_clean() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.jpg"), content("a.jpg")).expect("a file");
    std::os::unix::fs::symlink(Path::new("nowhere"), folder.path().join("b.jpg")).expect("a link");
    let ran = run("preview", folder.path().to_str().expect("UTF-8"), &[]);
    assert_eq!(ran.code, 3);
    assert!(ran.stdout.ends_with("Incomplete: 1 entry cannot be reached; run presync dry-run to see why.\n"));
}

#[test]
fn what_cannot_be_listed_is_no_preview() {
    let missing = AZURITE.container_url("no-such-container");
    for source in ["fixtures/none", missing.as_str()] {
        let ran = Presync::new(["preview", source]).env("AZURE_STORAGE_KEY", KEY).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.starts_with("error: there is no "), "{}", ran.stderr);
    }
}

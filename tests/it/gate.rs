//! What makes the exit code 1: new findings, thresholds, warnings; and sources without a single blob.

use std::fs;
use std::path::{Path, PathBuf};

use presync::loopback::{Blob, Config, Content, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::presync::{Presync, Ran, demo};
use crate::support::python::python;

/// A folder with an upright image, a turned one, and one whose extension is wrong, which is a warning.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "a.jpg", "cam1/0001.jpg");
    put(folder.path(), "turned.jpg", "cam1/0004.jpg");
    put(folder.path(), "cam/wrong.jpg", "cam2/0103.jpg");
    folder
}

fn put(folder: &Path, name: &str, file: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::copy(demo().join(file), path).expect("a copy");
}

fn run(source: &Path, args: &[&str]) -> Ran {
    Presync::dry_run(source).args(args).run()
}

fn code(source: &Path, args: &[&str]) -> i32 {
    let ran = run(source, args);
    assert!(ran.code < 2, "{args:?}: {}", ran.stderr);
    ran.code
}

/// What is now in the folder: one finding is new, one unchanged, one fixed and one gone.
fn changed() -> (TempDir, TempDir, PathBuf) {
    let (folder, plans) = (folder(), tempfile::tempdir().expect("a folder"));
    put(folder.path(), "fixed.jpg", "cam1/0004.jpg");
    put(folder.path(), "gone.jpg", "cam1/0004.jpg");
    let plan = plans.path().join("baseline.parquet");
    let args = ["--plan", plan.to_str().expect("UTF-8"), "--ignore", "NAM001"];
    assert_eq!(code(folder.path(), &args), 1);
    put(folder.path(), "fixed.jpg", "cam1/0001.jpg");
    fs::remove_file(folder.path().join("gone.jpg")).expect("it is there");
    put(folder.path(), "new.jpg", "cam1/0004.jpg");
    (folder, plans, plan)
}

#[test]
fn only_new_findings_fail_if_asked_for() {
    let (folder, plans, plan) = changed();
    let plan = plan.to_str().expect("UTF-8");
    let next = plans.path().join("next.parquet");
    let next = next.to_str().expect("UTF-8");
    let compared = ["--ignore", "NAM001", "--baseline", plan, "--fail-on", "new"];
    let with = |args: &[&'static str]| run(folder.path(), &[&compared[..], args].concat());
    let ran = run(folder.path(), &[&compared[..], &["--format", "json", "--plan", next]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "failed: 1 new finding\n"));
    let document = ran.json();
    let findings = &document["changes"]["findings"];
    assert_eq!(
        [&findings["new"], &findings["unchanged"], &findings["fixed"]],
        [&json!(1), &json!(2), &json!(2)],
        "{findings}"
    );
    let fixed = |name: &str, gone: bool| json!({ "name": name, "code": "IMG001", "gone": gone });
    assert_eq!(findings["fixed_findings"], json!([fixed("fixed.jpg", false), fixed("gone.jpg", true)]));
    let of = |name: &str| {
        let assets = document["assets"].as_array().expect("a list");
        assets.iter().find(|asset| asset["name"] == name).expect("it is listed").clone()
    };
    assert_eq!(of("new.jpg")["findings"][0]["baseline"], "new");
    assert_eq!(of("turned.jpg")["findings"][0]["baseline"], "unchanged");
    assert_eq!(of("fixed.jpg")["fixed"], json!(["IMG001"]));

    // The plan knows it, too, whatever the order of admission is.
    let report = Presync::new(["report", next, "--format", "json", "--fail-on", "new"]).run();
    assert_eq!((report.code, &report.json()["changes"]), (1, &document["changes"]));
    assert_eq!(report.json()["assets"], document["assets"]);
    let ranked = with(&["--format", "json", "--admit", "newest"]).json();
    assert_eq!(ranked["changes"]["findings"], *findings);

    let text = with(&[]).stdout;
    for part in
        ["1 new, 2 unchanged, 2 fixed", "fixed: IMG001 fixed.jpg, IMG001 gone.jpg (gone)", "new: new.jpg"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let github = with(&["--format", "github"]).stdout;
    assert!(github.contains("2 assets, 1 new: ") && github.contains("%0Anew: new.jpg: "), "{github}");
    assert!(github.contains("1 new, 2 unchanged, 2 fixed%0Afixed: IMG001 fixed.jpg"), "{github}");
    let markdown = with(&["--format", "markdown"]).stdout;
    assert!(
        markdown.contains("1 new, 2 unchanged, 2 fixed") && markdown.contains("- new: `new.jpg`"),
        "{markdown}"
    );

    // With the next plan as the baseline, nothing is new.
    let ran = run(folder.path(), &["--ignore", "NAM001", "--baseline", next, "--fail-on", "new"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "passed: 2 rejected, no finding is new\n"));
    let args = ["--ignore", "NAM001", "--baseline", next, "--fail-on", "new", "--max-rejected", "1"];
    assert_eq!(code(folder.path(), &args), 1, "a threshold counts old ones, too");
}

#[test]
fn readers_of_each_format_see_what_is_new() {
    let (folder, _plans, plan) = changed();
    let read = |format: &str, script: &str| {
        let output = tempfile::tempdir().expect("a folder");
        let file = output.path().join("report");
        let args = ["--ignore", "NAM001", "--format", format, "--baseline"];
        let ran =
            Presync::dry_run(folder.path()).args(args).args([&plan]).args(["--output"]).args([&file]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{format}");
        python(script, file)
    };
    let rows = read(
        "csv",
        "
import csv, json, sys
with open(sys.argv[1], encoding='utf-8', newline='') as file:
    print(json.dumps([[row['name'], row['verdict'], row['new'], row['fixed']] for row in csv.DictReader(file)]))",
    );
    let row = |name: &str, verdict: &str, new: &str, fixed: &str| json!([name, verdict, new, fixed]);
    assert_eq!(
        rows,
        json!([
            row("a.jpg", "accept", "", ""),
            row("cam/wrong.jpg", "accept", "", ""),
            row("fixed.jpg", "accept", "", "IMG001"),
            row("new.jpg", "reject", "IMG001", ""),
            row("turned.jpg", "reject", "", ""),
            row("gone.jpg", "gone", "", "IMG001"),
        ])
    );
    let suite = read(
        "junit",
        "
import json, sys
from junitparser import JUnitXml
[suite] = JUnitXml.fromfile(sys.argv[1])
[case] = [case for case in suite if case.name.startswith('IMG001')]
print(json.dumps([{property.name: property.value for property in suite.properties()}, case.system_out]))",
    );
    let counts =
        ["new", "unchanged", "fixed"].map(|name| suite[0][name].as_str().expect("a count").to_owned());
    assert_eq!(counts, ["1", "2", "2"]);
    assert_eq!(suite[1], "fixed: IMG001 fixed.jpg, IMG001 gone.jpg (gone)\n");
    let states = read(
        "sarif",
        "
import json, sys
with open(sys.argv[1], encoding='utf-8') as file:
    run = json.load(file)['runs'][0]
print(json.dumps([[result['ruleId'], result['baselineState'], result['properties']['new']] for result in run['results']]))",
    );
    assert_eq!(states, json!([["IMG001", "updated", 1], ["FMT002", "unchanged", 0]]));
    let table = read(
        "parquet",
        "
import duckdb, json, sys
print(json.dumps(duckdb.sql(f\"select name, baseline_codes from read_parquet('{sys.argv[1]}') order by name\").fetchall()))",
    );
    assert_eq!(table[2], json!(["fixed.jpg", "IMG001"]));
    assert_eq!(table[3], json!(["new.jpg", ""]));
}

#[test]
fn a_threshold_and_a_severity_say_what_fails() {
    let folder = folder();
    let source = folder.path();
    for (args, expected) in [
        (&["--max-rejected", "1"][..], 0),
        (&["--max-rejected", "0"], 1),
        (&["--max-rejected", "34%"], 0),
        (&["--max-rejected", "33.3333%"], 1),
        (&["--fail-on", "never"], 0),
        (&["--exit-zero"], 0),
        (&["--fail-on", "error"], 1),
        (&["--ignore", "IMG001"], 0),
        (&["--ignore", "IMG001", "--fail-on", "warning"], 1),
        (&["--ignore", "IMG001,FMT002", "--fail-on", "warning"], 0),
        (&["--max-rejected", "1", "--fail-on", "warning"], 1),
        (&["--severity", "FMT002=error", "--max-rejected", "1"], 1),
    ] {
        assert_eq!(code(source, args), expected, "{args:?}");
    }
    for (args, message) in [
        (&["--fail-on", "new"][..], "--baseline"),
        (&["--fail-on", "never", "--max-rejected", "1%"], "contradict each other"),
        (&["--exit-zero", "--max-rejected", "1%"], "cannot be used with"),
        (&["--max-rejected", "1.5"], "neither a whole number nor a percentage"),
        (&["--max-rejected", "200%"], "neither a whole number nor a percentage"),
    ] {
        let ran = run(source, args);
        assert!(ran.code == 2 && ran.stderr.contains(message), "{args:?}: {}", ran.stderr);
    }
    let plan = folder.path().join("plan.parquet");
    let plan = plan.to_str().expect("UTF-8");
    assert_eq!(code(source, &["--plan", plan]), 1);
    let ran = Presync::new(["report", plan, "--fail-on", "new"]).run();
    assert!(ran.code == 2 && ran.stderr.contains("compared with a baseline"), "{}", ran.stderr);
    assert_eq!(Presync::new(["report", plan, "--max-rejected", "50%"]).run().code, 0);
}

#[test]
fn an_empty_listing_is_a_mistake_unless_it_is_expected() {
    let blob = |name: &str| Blob {
        name: name.into(),
        bytes: fs::read(demo().join("cam1/0001.jpg")).expect("a file of the demo container"),
        ..Blob::default()
    };
    let blobs = ["cam1/2026/a.jpg", "cam1/2025/a.jpg", "cam2/a.jpg", "videos/a.jpg"].map(blob);
    let mut config = Config::of("media", Content::Blobs(blobs.into()));
    config.containers.insert("nothing".to_owned(), Content::Blobs(Vec::new()));
    let server = Server::start(config).expect("it starts");
    let at = |command: &str, prefix: &str, args: &[&str]| {
        let source = format!("{}/{prefix}", server.url());
        Presync::new([command, &source, "--auth", "anonymous"]).args(args).run()
    };
    for command in ["dry-run", "preview"] {
        for (prefix, says) in [
            ("media/cam1/2027/", "begins with 'cam1/2027/'"),
            ("media/cam1/2027/", "the nearest prefixes with blobs: 'cam1/2025/', 'cam1/2026/'"),
            ("media/Cam1/2026/", "the nearest prefixes with blobs: 'cam1/2026/'"),
            ("media/cam3", "the nearest prefixes with blobs: 'cam1/', 'cam2/', 'videos/'"),
            ("media/cam2/x/y/z/", "the nearest prefixes with blobs: 'cam2/'"),
            ("nothing", "the container 'nothing' has no blobs"),
            ("nothing/x/", "--allow-empty"),
        ] {
            let ran = at(command, prefix, &[]);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{command} {prefix}: {}", ran.stderr);
            assert!(ran.stderr.contains(says), "{command} {prefix}: {}", ran.stderr);
        }
        assert_eq!(at(command, "media/cam3", &["--allow-empty"]).code, 0);
        assert_eq!(at(command, "media/cam2", &[]).code, 0);
    }
    let ran = at("dry-run", "media", &["--exclude", "*.jpg"]);
    assert!(ran.code == 2 && ran.stderr.contains("leave out 4 names"), "{}", ran.stderr);
    let folder = tempfile::tempdir().expect("a folder");
    let ran = run(folder.path(), &[]);
    assert!(ran.code == 2 && ran.stderr.contains("has no files"), "{}", ran.stderr);

    // An audit goes on.
    let out = tempfile::tempdir().expect("a folder");
    let audit = |sources: &[&str], args: &[&str]| {
        let sources = sources.iter().map(|source| format!("{}/{source}", server.url()));
        let ran = Presync::new(["audit", "--auth", "anonymous", "--out"]).args([out.path()]).args(sources);
        ran.args(args).run()
    };
    let ran = audit(&["media", "nothing", "media/cam9/"], &["--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let document: Value = ran.json();
    assert_eq!(document["empty"], json!(["loopback/media/cam9/", "loopback/nothing"]));
    assert!(
        document["containers"][1]["notes"].to_string().contains("'cam1/', 'cam2/'"),
        "{}",
        document["containers"][1]
    );
    let ran = audit(&["nothing", "media/cam9/"], &[]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("2 empty containers: loopback/media/cam9/, loopback/nothing"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("no container has a blob"), "{}", ran.stderr);
    assert_eq!(audit(&["nothing"], &["--allow-empty"]).code, 0);
}

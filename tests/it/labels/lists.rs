//! `presync reconcile`: the plan against what the platform lists.

use std::fs;

use serde_json::Value;

use super::{files, plan};
use crate::support::presync::{Presync, Ran, demo};

fn reconcile(list: &str, name: &str, args: &[&str]) -> Ran {
    let folder = files([(name, list)]);
    Presync::new(["reconcile".as_ref(), plan(), folder.path().join(name).as_path()]).args(args).run()
}

/// The names of the demo's assets with this verdict.
fn names(verdict: &str) -> Vec<String> {
    let report = Presync::new(["report".as_ref(), plan(), "--format".as_ref(), "jsonl".as_ref()]).run();
    let of = |record: &Value| record["name"].as_str().expect("a name").to_owned();
    report.jsonl().iter().filter(|record| record["verdict"] == verdict).map(of).collect()
}

fn totals(ran: &Ran) -> Value {
    ran.json()["totals"].clone()
}

#[test]
fn what_is_as_planned_is_clean_in_every_format_of_a_list() {
    let accepted = names("accept");
    let basenames: Vec<_> = accepted.iter().map(|name| name.rsplit('/').next().unwrap_or_default()).collect();
    let json = |names: &[String]| serde_json::to_string(names).expect("JSON");
    let objects: Vec<_> = accepted.iter().map(|name| serde_json::json!({ "filename": name })).collect();
    let lines: Vec<_> = objects.iter().map(ToString::to_string).collect();
    let absolute: Vec<_> = accepted.iter().map(|name| demo().join(name).display().to_string()).collect();
    for (name, list) in [
        ("a.txt", accepted.join("\n")),
        ("a.txt", basenames.join("\r\n")),
        ("a.txt", absolute.join("\n")),
        ("a.csv", format!("id,name\n1,\"{}\"\n", accepted.join("\"\n1,\""))),
        ("a.json", json(&accepted)),
        ("a.json", serde_json::json!({ "nextPage": null, "items": objects }).to_string()),
        ("a.jsonl", lines.join("\n")),
        ("a", lines.join("\n")),
    ] {
        let ran = reconcile(&list, name, &["--format", "json"]);
        assert_eq!(ran.code, 0, "{name}: {} {}", ran.stdout, ran.stderr);
        assert_eq!(totals(&ran)["synced"], accepted.len(), "{name}");
    }
    let ran = reconcile("", "a.txt", &[]);
    assert!(ran.code == 2 && ran.stderr.contains("no names"), "{}", ran.stderr);
}

#[test]
fn differences_are_named_and_a_pattern_is_explained() {
    let mut there = names("accept");
    let is_missing = |name: &String| name.ends_with(".heic") || name.ends_with(".webp");
    let missing = there.iter().filter(|name| is_missing(name)).count();
    assert!(missing > 0);
    there.retain(|name| !is_missing(name));
    there.push("cam1/0004.jpg".to_owned());
    there.push("somewhere/else.jpg".to_owned());
    there.push("CAM1/0002.JPG".to_owned());
    let ran = reconcile(&there.join("\n"), "a.txt", &["--format", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let (document, totals) = (ran.json(), totals(&ran));
    assert_eq!(
        (&totals["missing"], &totals["unexpected"], &totals["not_planned"]),
        (&missing.into(), &1.into(), &2.into())
    );
    let patterns = document["patterns"].to_string();
    assert!(patterns.contains("WEBP files"), "{patterns}");
    let assets = document["assets"].as_array().expect("assets");
    let unexpected = assets.iter().find(|record| record["outcome"] == "unexpected").expect("one");
    assert_eq!((&unexpected["name"], &unexpected["codes"]), (&"cam1/0004.jpg".into(), &"IMG001".into()));
    let near = assets.iter().find(|record| record["listed_as"] == "CAM1/0002.JPG").expect("it is there");
    assert!(near["message"].as_str().is_some_and(|text| text.contains("cam1/0002.jpg in case")), "{near}");
    assert_eq!(reconcile(&there.join("\n"), "a.txt", &["--exit-zero"]).code, 0);
    let text = reconcile(&there.join("\n"), "a.txt", &[]).stdout;
    for says in [
        "Accepted, but missing",
        "Rejected, but there",
        "Not in the plan",
        "Patterns",
        "The platform differs",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn a_basename_that_several_assets_have_is_ambiguous() {
    let accepted = names("accept");
    let shared = accepted.iter().filter(|name| name.ends_with("/0001.jpg")).count();
    assert_eq!(shared, 2);
    let others = accepted.iter().filter(|name| !name.ends_with("/0001.jpg"));
    let mut list: Vec<_> =
        others.map(|name| name.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    list.push("0001.jpg".to_owned());
    let ran = reconcile(&list.join("\n"), "a.txt", &["--format", "json"]);
    assert_eq!(
        (ran.code, &totals(&ran)["ambiguous"], &totals(&ran)["missing"]),
        (1, &2.into(), &0.into()),
        "{}",
        ran.stdout
    );
    list.push("0001.jpg".to_owned());
    let ran = reconcile(&list.join("\n"), "a.txt", &["--format", "json"]);
    assert_eq!((ran.code, &totals(&ran)["ambiguous"]), (0, &0.into()), "{}", ran.stdout);
}

#[test]
fn the_platforms_codes_are_put_beside_ours() {
    let accepted = names("accept");
    let (first, rest) = accepted.split_first().expect("some");
    let files =
        serde_json::json!({ first: "EBADMIME", "cam1/0004.jpg": "ECORRUPT", (rest[0].as_str()): "EALREADY" });
    let list = serde_json::json!({ "items": rest[1..], "status": { "events": [{ "kind": "Error", "files": files }] } });
    let ran = reconcile(&list.to_string(), "a.json", &["--format", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let document = ran.json();
    let code = |name: &str| {
        let assets = document["assets"].as_array().expect("assets");
        let record = assets.iter().find(|record| record["name"] == name).expect("it is there");
        (record["outcome"].clone(), record["platform_code"].clone())
    };
    assert_eq!(code(first), ("missing".into(), "EBADMIME".into()));
    assert_eq!(code("cam1/0004.jpg"), ("left_out".into(), "ECORRUPT".into()));
    assert_eq!(code(&rest[0]).0, "synced");
    let tables = document["tables"].to_string();
    assert!(tables.contains("EBADMIME") && tables.contains("FMT001"), "{tables}");
}

#[test]
fn the_ledger_records_what_is_there_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let run = |args: &[&str]| Presync::new(args).env("PRESYNC_LEDGER", path("ledger.sqlite3")).run();
    let demo = demo();
    let source = demo.to_str().expect("UTF-8");
    run(&["quota", "set", "--images", "1000", "--frames", "10000"]);
    let dry_run = ["dry-run", source, "--workspace", "default", "--quiet", "--format", "json"];
    let first = run(&[&dry_run[..], &["--plan", &path("plan.parquet")]].concat()).json();
    let list = path("list.txt");
    let plan = path("plan.parquet");
    fs::write(&list, names("accept")[1..].join("\n")).expect("it is written");
    let early = run(&["reconcile", &plan, &list, "--confirm"]);
    assert!(early.code == 2 && early.stderr.contains("no active reservation"), "{}", early.stderr);
    let committed = run(&["commit", &plan, "--out", &path("commit")]);
    assert_eq!(committed.code, 0, "{}{}", committed.stdout, committed.stderr);
    let confirmed = run(&["reconcile", &plan, &list, "--confirm"]);
    assert_eq!(confirmed.code, 1, "{}", confirmed.stderr);
    assert!(confirmed.stderr.contains("is used now"), "{}", confirmed.stderr);
    // What is missing was not used, and is new at the next sync; the rest costs nothing.
    let again = run(&dry_run).json();
    let images = first["quota"]["images"]["cost"].as_u64().expect("a number");
    assert_eq!(again["quota"]["images"]["used_before"], images - 1);
    assert_eq!(
        (&again["synced"]["new"], &again["quota"]["images"]["cost"]),
        (&1.into(), &1.into()),
        "{}",
        again["synced"]
    );
}

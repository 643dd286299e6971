//! What a commit writes, where its plan's source is, and whose budget it takes.

use std::fs;

use presync::loopback::Blob;
use presync::plan_file::PlanReader;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Place, WORKSPACE, image, names, rotated, serve, source};
use crate::support::presync::demo;

/// The paths that AzCopy takes from a list of files, written from its documented behaviour and its source: lines without
/// their end, the first without a byte order mark, empty ones ignored.
fn azcopy_paths(list: &str) -> Vec<&str> {
    let lines = list.strip_suffix('\n').unwrap_or(list).split('\n');
    let lines = lines.map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate();
    let lines = lines.map(|(number, line)| {
        let line = if number == 0 { line.trim_start_matches('\u{feff}') } else { line };
        let squeezed: String = line.chars().filter(|letter| ![' ', '\t'].contains(letter)).collect();
        let json = ["{\"Files\":", "{\"Files\":["].contains(&squeezed.as_str());
        assert!(number > 1 || !json, "AzCopy takes this for its old format: {list}");
        line
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// The blob that AzCopy looks for: the path below the container's root, with one slash between them.
fn azcopy_blob(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// Commits a container of accepted images with these names; gives back the names in `accepted.jsonl`, those that AzCopy
/// finds, and what was said.
fn listed(blobs: &[&str]) -> (Vec<String>, Vec<String>, String) {
    let server = serve(blobs.iter().map(|name| image(name)).collect());
    let place = Place::with_quota(100, 0);
    place.dry_run(&source(&server), &[]);
    let ran = place.commit(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let read = |name: &str| fs::read_to_string(place.path("plan-commit").join(name)).expect("it is there");
    let records = read("accepted.jsonl");
    let name = |line| {
        let record: Value = serde_json::from_str(line).expect("a record");
        record["name"].as_str().expect("a name").to_owned()
    };
    let list = read("accepted.txt");
    let found = azcopy_paths(&list).into_iter().map(|path| azcopy_blob(path).to_owned()).collect();
    (records.lines().map(name).collect(), found, ran.stderr)
}

#[test]
fn azcopy_finds_every_name_that_a_list_can_have() {
    let can = [
        " a.jpg ",
        "#.jpg",
        "%41.jpg",
        "a//b.jpg",
        "a?b.jpg",
        "c\rd.jpg",
        "e\u{1}.jpg",
        "f*.jpg",
        "g\t",
        "it's \"q\".jpg",
        "x\u{feff}.jpg",
        "{",
        "\u{feff}late.jpg",
        "東京 駅.jpg",
        "\u{1f600}.jpg",
    ];
    let cannot = ["/lead.jpg", "cr.jpg\r", "new\nline.jpg", "trail/"];
    let (all, found, said) = listed(&[&can[..], &cannot].concat());
    let sorted = |names: &[&str]| {
        let mut names: Vec<_> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(all, sorted(&[&can[..], &cannot].concat()));
    assert_eq!(found, sorted(&can));
    assert_eq!(
        said,
        "accepted.txt leaves out names that AzCopy cannot read from a list: '/lead.jpg', 'cr.jpg\\r', \
         'new\\nline.jpg', 'trail/'; accepted.jsonl has all\n"
    );
}

#[test]
fn the_first_lines_are_neither_a_mark_nor_the_old_format() {
    let (all, found, said) = listed(&["{\"Files\":", "{ \"Files\":\t[", "\u{feff}first.jpg"]);
    assert_eq!((all.len(), found.len()), (3, 0));
    assert!(said.contains("'{\"Files\":', '\\u{feff}first.jpg';"), "{said}");
    let (_, found, said) = listed(&["a", "b", "{\"Files\":"]);
    assert_eq!((found.len(), said.as_str()), (3, ""), "the third line is a path as any other");
}

#[test]
fn no_name_becomes_a_formula() {
    let formulas =
        ["=cmd|' /C calc'!A1.jpg", "+a.jpg", "-b.jpg", "@c.jpg", "\td.jpg", "\re.jpg", "\nf.jpg", "＝g.jpg"];
    let others = ["a,b.jpg", "q\"q\".jpg", "new\r\nline.jpg", "a=b;c.jpg", "'quoted'.jpg"];
    let all = [&formulas[..], &others, &["a=b;=c.jpg"]].concat();
    let server = serve(all.iter().map(|name| rotated(name)).collect());
    let place = Place::with_quota(100, 0);
    place.dry_run(&source(&server), &[]);
    assert_eq!(place.commit(&[]).code, 0);
    let text = fs::read_to_string(place.path("plan-commit/rejected.csv")).expect("it is there");
    assert!(
        text.starts_with("\"name\",\"verdict\",\"code\",\"message\",\"fix\"\r\n") && text.ends_with("\"\r\n")
    );
    let mut read: Vec<_> = csv::Reader::from_reader(text.as_bytes())
        .into_records()
        .map(|row| {
            let row = row.expect("a row of five cells");
            assert_eq!((&row[1], &row[2]), ("reject", "IMG001"));
            row[0].to_owned()
        })
        .collect();
    let formulas = formulas.map(|name| format!("'{name}"));
    let mut expected: Vec<_> = formulas.into_iter().chain(others.map(str::to_owned)).collect();
    // Where lines are split at semicolons.
    expected.push("a=b;'=c.jpg".to_owned());
    expected.sort();
    read.sort();
    assert_eq!(read, expected);
}

#[test]
fn a_folder_is_found_again_and_its_manifests_are_what_the_plan_says() {
    let place = Place::with_quota(20, 500);
    // As it is typed in the project's folder; the commit runs in another one.
    place.dry_run("fixtures/demo", &[]);
    let plan = place.plan();
    let plan = plan.to_str().expect("UTF-8");
    let ran = place.presync(&["commit", plan, "--out", "out"]).inside(place.0.path()).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let out = place.path("out");
    assert_eq!(names(&out), ["accepted.jsonl", "accepted.txt", "commit.json", "rejected.csv"]);
    let record: Value =
        serde_json::from_slice(&fs::read(out.join("commit.json")).expect("it is there")).expect("JSON");
    let report = place.presync(&["report", plan, "--format", "jsonl"]).run();
    let with = |verdict: &str| report.jsonl().into_iter().filter(|asset| asset["verdict"] == verdict).count();
    for (file, entries) in record["files"].as_array().expect("a list").iter().zip([
        with("accept"),
        with("accept"),
        with("reject"),
    ]) {
        let bytes = fs::read(out.join(file["name"].as_str().expect("a name"))).expect("it is there");
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&file["sha256"], &file["bytes"]), (&Value::from(hash), &Value::from(bytes.len())));
        assert_eq!(file["entries"], entries, "{file}");
    }
    let records = fs::read_to_string(out.join("accepted.jsonl")).expect("it is there");
    let accepted = report.stdout.lines().filter(|line| line.contains("\"verdict\":\"accept\""));
    assert!(records.lines().eq(accepted), "the records of the report");
    let id = PlanReader::open(&place.plan()).expect("a plan").plan().id.clone();
    let [held] = &place.reservations()[..] else { panic!("one reservation") };
    assert_eq!((&held.plan, held.source.as_str()), (&id, "fixtures/demo"));
    assert_eq!((&record["plan"]["id"], &record["workspace"]), (&id.into(), &WORKSPACE.into()));
    assert_eq!(record["costs"]["images"], 20);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode =
            |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o700;
        assert_eq!(mode(&out), 0o700);
        fs::create_dir(place.path("plain")).expect("a folder");
        assert_eq!(mode(&out), mode(&place.path("plain")), "others may read it as any folder");
    }
}

#[test]
fn the_source_is_the_plans_own_however_it_is_named() {
    let server = serve(vec![image("cam/a.jpg"), image("lab/b.jpg")]);
    let place = Place::with_quota(5, 0);
    let url = source(&server);
    place.dry_run(&format!("{url}/cam"), &[]);
    let toml = format!(
        "[connections.cams]\ncontainer = 'media'\nendpoint = '{}'\nprefix = 'cam'\nauth = 'anonymous'\n",
        server.url()
    );
    fs::write(place.path("presync.toml"), toml).expect("it is written");
    let plan = place.plan();
    let plan = plan.to_str().expect("UTF-8");
    let commit = |source: &str, out: &str| {
        place.presync(&["commit", plan, "--source", source, "--out", out]).inside(place.0.path()).run()
    };
    for other in [url.as_str(), &format!("{url}/lab"), "@cams/x", demo().to_str().expect("UTF-8")] {
        let ran = commit(other, "none");
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains(&format!("but the plan is for '{url}/cam'\nhelp: ")), "{}", ran.stderr);
    }
    let by_name = commit("@cams", "by-name");
    assert_eq!(by_name.code, 0, "{}", by_name.stderr);
    let with_sas = commit(&format!("{url}/cam?sv=2025-01-05&sp=rl&sig=c2VjcmV0"), "with-sas");
    assert_eq!(with_sas.code, 0, "{}", with_sas.stderr);
    let record = fs::read_to_string(place.path("with-sas/commit.json")).expect("it is there");
    for text in [&with_sas.stdout, &with_sas.stderr, &record] {
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
    assert_eq!(place.reservations().len(), 1, "it is one plan");
}

#[test]
fn the_workspace_is_the_options_the_plans_or_the_connections() {
    let server = serve(vec![image("a.jpg")]);
    let place = Place::with_quota(5, 0);
    let connection = format!(
        "[connections.cams]\ncontainer = 'media'\nendpoint = '{}'\nauth = 'anonymous'\n",
        server.url()
    );
    let write = |more: &str| {
        fs::write(place.path("presync.toml"), format!("{connection}{more}")).expect("it is written")
    };
    let run = |args: &[&str]| place.presync(args).inside(place.0.path()).run();
    write("");
    assert_eq!(run(&["dry-run", "@cams", "--plan", "plan.parquet"]).code, 0);
    let none = run(&["commit", "plan.parquet"]);
    assert_eq!(none.code, 2);
    assert!(
        none.stderr.contains("no workspace") && none.stderr.contains("--workspace NAME"),
        "{}",
        none.stderr
    );
    let unknown = run(&["commit", "plan.parquet", "--workspace", "team b"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("has no quota for 'team b'"), "{}", unknown.stderr);

    write(&format!("workspace = '{WORKSPACE}'\n"));
    let of_connection =
        run(&["commit", "plan.parquet", "--source", "@cams", "--dry-run", "--format", "json"]);
    assert_eq!(of_connection.json()["workspace"], WORKSPACE);
    // A dry run of the connection is weighed against its workspace, and the plan remembers that.
    place.set_quota(0, 0);
    let ran = run(&["dry-run", "@cams", "--plan", "plan.parquet"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    let planned = run(&["commit", "plan.parquet", "--auth", "anonymous", "--format", "json"]);
    assert_eq!(planned.json()["workspace"], WORKSPACE);
    let elsewhere = run(&["commit", "plan.parquet", "--workspace", "team b"]);
    assert_eq!(elsewhere.code, 2);
    assert!(elsewhere.stderr.contains("already committed to the workspace 'team a'"), "{}", elsewhere.stderr);
}

#[test]
fn only_what_lies_directly_under_the_prefix_is_compared_when_it_was_planned_so() {
    let server = serve(vec![image("a.jpg"), image("deep/b.jpg")]);
    let place = Place::with_quota(5, 0);
    place.dry_run(&source(&server), &["--no-recurse"]);
    server.put("media", image("deep/c.jpg")).expect("it is put");
    server.put("media", Blob { name: "deeper/".into(), ..Blob::default() }).expect("it is put");
    let ran = place.commit(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

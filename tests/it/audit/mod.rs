//! `presync audit`: many containers in one run, against the loopback server.

mod again;
mod ends;
mod formats;
mod projects;
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use presync::loopback::{Attempts, Config, Content, Fault, Fleet, Handle, Kind, On, Rule, Server, Shape};
use serde_json::{Value, json};

use crate::support::presync::{Presync, timeless};
use crate::support::python::python;

/// So many containers of so many blobs, on pages of seven; the account has a system container too.
fn fleet(containers: u32, blobs: u64) -> Config {
    let shape = Shape { blobs, seed: 7, ..Shape::default() };
    let logs = Content::Shape(Shape { blobs: 1, ..Shape::default() });
    Config {
        fleet: Some(Fleet { name: "site-".into(), containers, shape }),
        page_size: 7,
        ..Config::of("$logs", logs)
    }
}

/// Requests of this kind to this container fail like this, all that come after so many.
fn failing(container: &str, on: On, fault: Fault, after: u64) -> Rule {
    let rule = Rule::on_reads(fault, 1.0).attempts(Attempts::Always);
    Rule { on, container: container.into(), after, ..rule }
}

/// The variable with which an account's name leads to the server.
fn connection(server: &Handle) -> String {
    format!("AccountName=loopback;BlobEndpoint={}", server.url())
}

fn presync(server: &Handle, args: &[&str]) -> Presync {
    let presync = Presync::new(args.iter().copied()).args(["--auth", "anonymous"]);
    presync.env("AZURE_STORAGE_CONNECTION_STRING", connection(server))
}

/// `presync audit --out OUT` with these arguments.
fn audit(server: &Handle, out: &Path, args: &[&str]) -> Presync {
    presync(server, &["audit"]).args(args).args(["--out".as_ref(), out.as_os_str()])
}

/// Every container of the account, as JSON.
fn audit_account(server: &Handle, out: &Path) -> (i32, Value) {
    let ran = audit(server, out, &["--account", "loopback", "--format", "json"]).run();
    (ran.code, ran.json())
}

fn containers(document: &Value) -> &[Value] {
    document["containers"].as_array().expect("a list")
}

fn states(document: &Value) -> BTreeMap<&str, usize> {
    let mut states = BTreeMap::new();
    for container in containers(document) {
        *states.entry(container["state"].as_str().expect("a state")).or_default() += 1;
    }
    states
}

#[test]
fn the_summary_is_that_of_single_runs_and_failures_are_told() {
    let mut config = fleet(60, 50);
    config.faults.rules = vec![
        failing("site-00007", On::Lists, Fault::no_permission(), 0),
        failing("site-00013", On::Reads, Fault::no_permission(), 30),
        failing("site-00020", On::Lists, Fault::no_permission(), 2),
    ];
    let server = Server::start(config).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let (code, document) = audit_account(&server, folder.path());
    assert_eq!(code, 3, "an incomplete audit never looks clean");
    assert_eq!((&document["complete"], &document["left_out"]), (&json!(false), &json!(["$logs"])));
    assert_eq!(states(&document), [("complete", 57), ("failed", 1), ("incomplete", 2)].into());
    let all = containers(&document);
    let names: Vec<_> = all.iter().map(|container| container["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), 60);
    assert!(names.is_sorted() && names[59] == "loopback/site-00059");

    let error = |number: usize| all[number]["error"]["message"].as_str().expect("a cause");
    assert!(error(7).contains("site-00007") && error(7).contains("403"), "{}", error(7));
    assert!(all[7].get("totals").is_none() && all[7].get("plan").is_none(), "{}", all[7]);
    assert!(all[13]["totals"]["listed"].as_u64() < Some(50) && all[13].get("plan").is_none());
    assert!(error(20).contains("failed after 14 blobs"), "{}", error(20));
    assert_eq!(all[20]["totals"]["listed"], 14);

    // The same numbers as a run over each of them, and together their sum.
    for number in [0, 31, 59] {
        let source = format!("az://site-{number:05}");
        let args = ["dry-run", source.as_str(), "--account", "loopback", "--format", "json"];
        let single = timeless(presync(&server, &args).run().json());
        let container = timeless(all[number].clone());
        for field in ["source", "profile", "quota", "totals", "findings_by_code"] {
            assert_eq!(container[field], single[field], "{number} {field}");
        }
    }
    for field in ["listed", "accepted", "rejected", "unknown", "images", "frames", "bytes_read", "requests"] {
        let sum: u64 = all.iter().filter_map(|container| container["totals"][field].as_u64()).sum();
        assert_eq!(document["totals"][field], sum, "{field}");
    }
    for (code, count) in document["findings_by_code"].as_object().expect("a map") {
        let sum: u64 = all.iter().filter_map(|container| container["findings_by_code"][code].as_u64()).sum();
        assert_eq!(*count, sum, "{code}");
    }
    let worst = document["worst_prefixes"].as_array().expect("a list");
    let left_out =
        |counts: &Value| counts["rejected"].as_u64().zip(counts["unknown"].as_u64()).map(|(a, b)| a + b);
    assert_eq!(worst.len(), 20);
    assert!(worst.is_sorted_by(|left, right| left_out(left) >= left_out(right)));
    let named: u64 = worst.iter().filter_map(left_out).sum();
    assert_eq!(
        left_out(&document["totals"]),
        Some(named + document["more_prefixes"]["left_out"].as_u64().expect("a sum"))
    );
}

#[test]
fn one_account_is_read_over_the_same_connections() {
    let server = Server::start(fleet(40, 20)).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let ran = audit(&server, folder.path(), &["--account", "loopback", "--concurrency", "4"]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let stats = server.stats();
    assert_eq!(stats.of(Kind::Read), 40 * 20);
    assert_eq!(stats.of(Kind::Containers), 6, "40 of a fleet and a system container, seven on a page");
    assert!(stats.most_at_once <= 4, "{}: the limit is one of the account", stats.most_at_once);
    // Four for each thread that reads, as many for pages, one for the list of containers; and not some for each of 40.
    let runtimes =
        std::thread::available_parallelism().map_or(2, usize::from).min(presync::run::MAX_RUNTIMES);
    let most = 4 * (runtimes as u64 + 1) + 1;
    assert!(stats.connections <= most, "{} connections of {most}", stats.connections);
}

#[test]
fn text_is_made_for_a_hundred_columns_and_the_same_but_for_times() {
    let mut config = fleet(60, 9);
    config.faults.rules = vec![failing("site-00007", On::Lists, Fault::no_permission(), 0)];
    let server = Server::start(config).expect("it starts");
    let report = || {
        let folder = tempfile::tempdir().expect("a folder");
        let ran = audit(&server, folder.path(), &["--account", "loopback"]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (3, ""), "calm where nobody watches");
        ran.stdout.replace(folder.path().to_str().expect("UTF-8"), "OUT")
    };
    let without_times = |text: &str| {
        let words = text
            .split(' ')
            .map(|word| if word.parse::<f64>().is_ok() && word.contains('.') { "T" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let text = report();
    let table = text.lines().filter(|line| line.contains("site-") && line.ends_with(" s"));
    assert!(table.clone().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(table.count(), 39, "{text}");
    for part in
        ["60  59 complete, 1 failed", "  failed      loopback/site-00007\n", "and 20 more\n", "403 Auth"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let other = report();
    let (one, other) = (without_times(&text), without_times(&other));
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&one), squeezed(&other));
}

#[test]
fn a_huge_container_does_not_keep_small_ones_waiting() {
    let huge = Content::Shape(Shape { blobs: 20_000, ..Shape::default() });
    let mut config = fleet(50, 20);
    config.containers = [("huge".to_owned(), huge)].into();
    config.page_size = 5_000;
    let server = Server::start(config).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let ran = audit(&server, folder.path(), &["--account", "loopback", "-v"]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let done: Vec<_> = ran.stderr.lines().filter(|line| line.contains(": complete, ")).collect();
    assert_eq!((done.len(), done[50].split(':').next()), (51, Some("loopback/huge")), "{}", ran.stderr);
    let seconds = |line: &str| {
        let time = line.rsplit(", ").next().and_then(|time| time.strip_suffix(" s"));
        time.and_then(|time| time.parse::<f64>().ok()).expect("a time")
    };
    let small: f64 = done[..50].iter().map(|line| seconds(line)).fold(0.0, f64::max);
    assert!(small < seconds(done[50]) / 2.0, "{small} s beside {}", done[50]);
}

#[test]
fn duckdb_reads_all_plans_as_one_table() {
    let server = Server::start(fleet(5, 30)).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let demo = crate::support::presync::demo();
    let sources =
        ["az://site-00000", "az://site-00001", "az://site-00001/cam0000/2026", demo.to_str().expect("UTF-8")];
    let ran =
        audit(&server, folder.path(), &sources).args(["--account", "loopback", "--format", "json"]).run();
    let document = ran.json();
    let found = python(
        r#"
import duckdb, json, sys
plans = duckdb.read_parquet(sys.argv[1] + "/**/*.parquet", hive_partitioning=True)
print(json.dumps(duckdb.sql("select account, container, count(*), sum(size)::bigint, "
    "count(*) filter (verdict = 'reject') from plans group by all order by all").fetchall()))
"#,
        folder.path(),
    );
    let sums = |number: usize| {
        let totals = &containers(&document)[number]["totals"];
        [&totals["listed"], &totals["bytes_listed"], &totals["rejected"]]
            .map(|sum| sum.as_u64().expect("a sum"))
    };
    let row = |account: &str, container: &str, [listed, bytes, rejected]: [u64; 3]| {
        json!([account, container, listed, bytes, rejected])
    };
    let (whole, part) = (sums(2), sums(3));
    let twice = [whole[0] + part[0], whole[1] + part[1], whole[2] + part[2]];
    let rows = [
        row("local", demo.to_str().expect("UTF-8"), sums(0)),
        row("loopback", "site-00000", sums(1)),
        row("loopback", "site-00001", twice),
    ];
    assert_eq!(found, Value::from(rows.to_vec()));

    let guide =
        fs::read_to_string(crate::support::presync::root().join(".github/GUIDE.md")).expect("it is there");
    let section = guide.split("\n## Many containers\n").nth(1).expect("a section");
    let sql = section.split("duckdb -c \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a query");
    let sql = sql.replace("audits/", &format!("{}/", folder.path().display()));
    let script = format!("import duckdb, json; print(json.dumps(duckdb.sql({}).fetchall()))", json!(sql));
    let counts = python(&script, folder.path());
    let count = |row: &Value| row[2].as_u64().expect("a count");
    // The plans have an asset that is in two sources twice.
    let containers = document["containers"].as_array().expect("a list").iter();
    let by_code = containers.filter_map(|container| container["findings_by_code"].as_object());
    assert_eq!(
        counts.as_array().expect("rows").iter().map(count).sum::<u64>(),
        by_code.flat_map(serde_json::Map::values).filter_map(Value::as_u64).sum::<u64>()
    );
}

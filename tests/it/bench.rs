//! `presync bench`: what it says, not how fast it is.

use presync::loopback::{Config, Content, Server, Shape};
use serde_json::Value;

use crate::support::presync::{Presync, demo};

/// A small benchmark of the loopback server, as JSON.
fn bench(args: &[&str]) -> (i32, Value) {
    let small = [
        "bench",
        "--blobs",
        "300",
        "--concurrency",
        "2,16",
        "--first-read",
        "4KiB",
        "--format",
        "json",
        "-q",
    ];
    let ran = Presync::new(small).args(args).run();
    assert_eq!(ran.stderr, "");
    (ran.code, ran.json())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}

fn runs(report: &Value) -> Vec<&Value> {
    let of = |name: &str| report[name].as_array().expect("an array").iter().collect::<Vec<_>>();
    [of("by_concurrency"), of("by_first_read")].concat()
}

#[test]
fn every_run_is_measured_and_stands_beside_its_floor() {
    let (code, report) = bench(&["--price", "0.005", "--estimate", "1000000"]);
    assert_eq!(code, 0);
    assert_eq!((&report["format_version"], &report["shared_machine"]), (&"1.0".into(), &true.into()));
    let concurrency: Vec<_> = runs(&report).iter().map(|run| run["concurrency"].as_u64()).collect();
    assert_eq!(concurrency[..3], [Some(2), Some(16), None]);
    for run in runs(&report) {
        assert_eq!((&run["blobs"], &run["unknown"], &run["retries"]), (&300.into(), &0.into(), &0.into()));
        // A first read of 4 KiB may be too short for some.
        assert!((300..400).contains(&run["requests"].as_u64().expect("a number")), "{run}");
        assert!(number(&run["bytes"]) > 300.0 * 300.0 && number(&run["cpu_s"]) > 0.0, "{run}");
        let stages = ["list", "fetch", "probe", "judge", "write"].map(|stage| number(&run["stages"][stage]));
        assert!(stages.iter().all(|time| *time > 0.0), "{run}");
        assert!(stages.iter().sum::<f64>() <= number(&run["cpu_s"]) * 1.01, "{run}");
        let latency = ["p50_ms", "p90_ms", "p99_ms"].map(|quantile| number(&run["latency"][quantile]));
        assert!(latency[0] > 0.0 && latency.is_sorted(), "{run}");
    }
    let floors = report["floors"].as_array().expect("floors");
    let works: Vec<_> = floors.iter().map(|floor| floor["work"].as_str().expect("a name")).collect();
    assert_eq!(works, ["gets", "pages", "scan"]);
    assert_eq!(floors[0]["count"], 300);
    assert!(floors.iter().all(|floor| number(&floor["cpu_s"]) > 0.0 && number(&floor["ours_cpu_s"]) > 0.0));
    assert!([2, 16].contains(&report["recommended_concurrency"].as_u64().expect("a number")));
    let estimate = &report["estimates"][0];
    let requests = number(&estimate["requests"]);
    assert!(requests >= 1_000_200.0, "{estimate}");
    assert!((number(&estimate["cost"]) - requests / 1e4 * 0.005).abs() < 1e-6, "{estimate}");
    assert!((number(&estimate["hours_at_limit"]) - requests / 20_000.0 / 3600.0).abs() < 1e-9, "{estimate}");
}

#[test]
fn tls_and_a_token_are_what_the_floor_has_too() {
    let (code, report) = bench(&["--tls"]);
    assert_eq!(code, 0);
    assert_eq!(report["floors"][0]["count"], 300);
    assert!(report["source"].as_str().is_some_and(|source| source.contains("TLS")), "{report}");
}

#[test]
fn what_bounds_a_run_is_found_out() {
    let (_, limited) = bench(&["--limit", "150", "--no-floor"]);
    assert_eq!(
        (&limited["bound"], limited["floors"].as_array().map(Vec::len)),
        (&"service_limit".into(), Some(0))
    );
    let (_, late) = bench(&["--latency", "20ms", "--no-floor"]);
    // On a machine that is busy with other tests, the CPU may bound even this.
    assert!(["latency", "cpu"].contains(&late["bound"].as_str().expect("a name")), "{late}");
    let first = &late["by_concurrency"][0];
    assert!(number(&first["latency"]["p50_ms"]) >= 20.0, "{first}");
    assert_eq!(late["recommended_concurrency"], 16);
}

#[test]
fn failures_are_counted() {
    let (code, report) = bench(&["--fail", "0.2", "--no-floor"]);
    let retries: u64 = runs(&report).iter().filter_map(|run| run["retries"].as_u64()).sum();
    let unknown: u64 = runs(&report).iter().filter_map(|run| run["unknown"].as_u64()).sum();
    assert!(retries > 0, "{report}");
    assert_eq!(code, if unknown == 0 { 0 } else { 3 });
}

#[test]
fn a_folder_is_measured_beside_bare_reads() {
    let ran = Presync::new(["bench", "--format", "json", "--first-read", "4KiB", "-q"]).args([demo()]).run();
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let report = ran.json();
    let works: Vec<_> =
        report["floors"].as_array().expect("floors").iter().map(|floor| &floor["work"]).collect();
    assert_eq!(works, ["files", "scan"]);
    assert_eq!((&report["bound"], &report["recommended_concurrency"]), (&"cpu".into(), &Value::Null));
    assert_eq!(report["by_concurrency"][0]["blobs"], 65);
}

#[test]
fn a_container_is_sampled_and_its_sas_is_not_shown() {
    let shape = Content::Shape(Shape { blobs: 500, ..Shape::default() });
    let server = Server::start(Config::of("media", shape)).expect("it starts");
    let url = format!("{}/media/cam0000/?sp=rl&sig=c2VjcmV0", server.url());
    let ran =
        Presync::new(["bench", &url, "--sample", "120", "--concurrency", "8", "--first-read", "4KiB"]).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("\n  blobs       120\n"), "{}", ran.stdout);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("c2VjcmV0"), "{}", ran.stdout);
    let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "made for a hundred columns: {}", ran.stdout);
    for part in ["in flight", "adaptive", "first read", "bare hyper", "bare quick-xml", "1,000,000 blobs"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    for (args, says) in [
        (&["--sample", "5"][..], "<SOURCE>"),
        (&["--concurrency", "0"], "0 is not in 1..=4096"),
        (&["--fail", "2"], "between 0 and 1"),
        (&["--image-size", "9KB-1KB"], "a range of bytes such as 20KB-8MB"),
        (&["/no/such/folder"], "there is no folder"),
        (&["/tmp", "--tls"], "cannot be used with"),
    ] {
        let ran = Presync::new(["bench"]).args(args).run();
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{args:?}");
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    let ran = Presync::new(["bench-job"]).run();
    assert!(ran.code == 2 && ran.stderr.contains("this is not a measurement"), "{}", ran.stderr);
}

//! Runs over a service that fails in every way it can: nothing is lost, nothing is counted twice, nothing is believed.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use presync::loopback::{
    Attempts, BUCKET_MS, Blob, Config, Content, Fault, Faults, Handle, Kind, Latency, Limit, On, Rule,
    Server, Shape,
};
use serde_json::Value;

use crate::support::presync::{Presync, Ran, demo};

/// Blobs of the soak; `PRESYNC_SOAK` names another number.
const SOAK_BLOBS: u64 = 5_000;

fn serve(blobs: u64, faults: Faults) -> Handle {
    serve_content(Content::Shape(Shape { blobs, ..Shape::default() }), faults)
}

fn serve_content(content: Content, faults: Faults) -> Handle {
    Server::start(Config { faults, ..Config::of("media", content) }).expect("it starts")
}

fn jpegs(count: usize) -> Content {
    let bytes = std::fs::read(demo().join("cam1/0001.jpg")).expect("the demo container has it");
    let name = |index| format!("{index:04}.jpg");
    let blob = |index| Blob { name: name(index), bytes: bytes.clone(), ..Blob::default() };
    Content::Blobs((0..count).map(blob).collect())
}

fn rules(rules: impl Into<Vec<Rule>>) -> Faults {
    Faults { rules: rules.into(), ..Faults::default() }
}

fn always(fault: Fault) -> Rule {
    Rule::on_reads(fault, 1.0).attempts(Attempts::Always)
}

fn dry_run(server: &Handle) -> Presync {
    Presync::dry_run(format!("{}/media", server.url())).args(["--auth", "anonymous", "--exit-zero"])
}

/// Verdict, findings and facts of each asset: all but what reading cost.
fn judged(ran: &Ran) -> BTreeMap<String, Value> {
    let records = ran.jsonl();
    let count = records.len();
    let judged: BTreeMap<_, _> = records
        .into_iter()
        .map(|mut record| {
            record["reads"].take();
            (record["name"].as_str().expect("a name").to_owned(), record)
        })
        .collect();
    assert_eq!(judged.len(), count, "no blob is there twice");
    judged
}

#[test]
fn a_soak_in_faults_changes_no_verdict() {
    let blobs = std::env::var("PRESYNC_SOAK")
        .ok()
        .filter(|blobs| !blobs.is_empty())
        .map_or(SOAK_BLOBS, |blobs| blobs.parse().expect("a number"));
    let server = serve(blobs, Faults::default());
    let calm = dry_run(&server).args(["--format", "jsonl"]).run();
    assert_eq!(calm.code, 0, "{}", calm.stderr);
    let calm_requests = server.stats().total();

    let mut faults = Faults::passing(0.05, 4);
    // Each of them takes as long as one attempt may.
    faults.rules.push(Rule::on_reads(Fault::Stall, 0.001).attempts(Attempts::First(1)));
    server.set_faults(faults).expect("they are sound");
    server.reset();
    let stormy = dry_run(&server).args(["--format", "jsonl"]).run();
    assert_eq!(stormy.code, 0, "{}", stormy.stderr);
    assert_eq!(judged(&calm).len() as u64, blobs);
    assert!(judged(&calm) == judged(&stormy), "the verdicts differ");

    let stats = server.stats();
    let failed: u64 = stats.faults.values().sum();
    assert!(failed > blobs / 50 && stats.faults.len() >= 10, "{stats:?}");
    let allowed = calm_requests + calm_requests / 10 + failed;
    assert!(stats.total() <= allowed, "{} requests, {calm_requests} without {failed} faults", stats.total());
    let counted: u64 =
        stormy.jsonl().iter().map(|record| record["reads"]["requests"].as_u64().expect("it")).sum();
    assert_eq!(counted, stats.of(Kind::Read), "every attempt is counted");
}

#[test]
fn a_run_settles_below_the_limit_of_the_service() {
    const LIMIT: f64 = 100.0;
    let limit = Some(Limit { per_second: LIMIT, burst: None, retry_after: None });
    let server = serve(2_000, Faults { limit, ..Faults::default() });
    let ran = dry_run(&server).args(["--format", "json"]).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["totals"]["unknown"], 0);

    // From the sixth second on, and without the last one, which is not full.
    let second = 1000 / BUCKET_MS as usize;
    let buckets: Vec<_> = server.stats().buckets.into_iter().collect();
    let begun = buckets.iter().position(|(served, _)| *served > 0).expect("something was served");
    let settled = &buckets[begun + 6 * second..buckets.len() - second];
    let served: u32 = settled.iter().map(|(served, _)| served).sum();
    let refused: u32 = settled.iter().map(|(_, refused)| refused).sum();
    let pace = f64::from(served) / (settled.len() as f64 / second as f64);
    assert!(pace > 0.9 * LIMIT, "{pace:.0} a second, {buckets:?}");
    let share = f64::from(refused) / f64::from(refused + served);
    assert!(share < 0.15, "{share:.2} refused, {buckets:?}");
}

#[test]
fn what_the_user_allows_is_kept() {
    let server = serve(300, Faults::default());
    let ran = dry_run(&server).args(["--max-requests-per-second", "100", "--format", "json"]).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let seconds = ran.json()["totals"]["elapsed_s"].as_f64().expect("a time");
    assert!((3.0..6.0).contains(&seconds), "300 blobs at 100 a second took {seconds} s");

    server.reset();
    let ran = dry_run(&server).args(["--max-bandwidth", "400KB", "--format", "json"]).run();
    let totals = &ran.json()["totals"];
    let (bytes, seconds) = (totals["bytes_read"].as_f64(), totals["elapsed_s"].as_f64());
    let pace = bytes.expect("bytes") / seconds.expect("a time");
    assert!(pace < 440e3, "{pace:.0} bytes a second");

    let ran = dry_run(&server).args(["--concurrency", "3", "--format", "json"]).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let server = serve(300, Faults { latency: Latency::Fixed { ms: 5.0 }, ..Faults::default() });
    dry_run(&server).args(["--concurrency", "3"]).run();
    assert!(server.stats().most_at_once <= 4, "three reads and a page: {:?}", server.stats());
}

#[test]
fn requests_in_flight_grow_while_latency_allows() {
    let server = serve(6_000, Faults { latency: Latency::Fixed { ms: 50.0 }, ..Faults::default() });
    let ran = dry_run(&server).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(server.stats().most_at_once > 64, "{:?}", server.stats().most_at_once);
}

#[test]
fn a_blob_that_is_replaced_is_listed_again_once() {
    let server = serve_content(jpegs(3), rules([Rule { prefix: "0001".into(), ..always(Fault::Replaced) }]));
    let ran = dry_run(&server).args(["--format", "jsonl"]).run();
    let verdicts: Vec<_> = ran.jsonl().iter().map(|record| record["verdict"].clone()).collect();
    assert_eq!(verdicts, ["accept", "unknown", "accept"], "{}", ran.stdout);
    assert_eq!(ran.jsonl()[1]["findings"][0]["code"], "NET002");
    assert_eq!(ran.code, 3);

    let once = Rule::on_reads(Fault::Replaced, 1.0).attempts(Attempts::First(1));
    server.set_faults(rules([Rule { prefix: "0001".into(), ..once }])).expect("it is sound");
    let listed = dry_run(&server).args(["--format", "jsonl"]).run();
    assert_eq!(listed.code, 0, "{}", listed.stdout);
    let again = dry_run(&server).args(["--format", "jsonl"]).run();
    assert_eq!(listed.jsonl()[1]["etag"], again.jsonl()[1]["etag"], "the version that was read");
}

#[test]
fn a_blob_that_is_gone_is_skipped_and_one_that_always_fails_is_unknown() {
    let gone = Rule { prefix: "0000".into(), ..always(Fault::gone()) };
    let failing = Rule { prefix: "0002".into(), ..always(Fault::timed_out()) };
    let server = serve_content(jpegs(3), rules([gone, failing]));
    let ran = dry_run(&server).args(["--format", "jsonl"]).run();
    let records = ran.jsonl();
    assert_eq!(records[0]["skipped"], "deleted since it was listed");
    assert_eq!(records[1]["verdict"], "accept");
    let message = "500 OperationTimedOut after 4 attempts; the service says: 'The loopback server says OperationTimedOut.'";
    assert_eq!(records[2]["findings"][0]["message"], message);
    assert_eq!(ran.code, 3);
}

#[test]
fn an_outage_of_seconds_costs_no_verdict() {
    let server = serve(2_000, rules([always(Fault::timed_out())]));
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while server.stats().of(Kind::Read) == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(Duration::from_secs(5));
            server.set_faults(Faults::default()).expect("they are sound");
        });
        dry_run(&server).args(["--format", "json"]).run()
    });
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["totals"]["unknown"], 0);
    let repeated = ran.json()["totals"]["retries"].as_u64().expect("a number");
    assert!((16..500).contains(&repeated), "{repeated} attempts into an outage");
}

/// The blobs that are not judged, each with its finding.
fn unknown(ran: &Ran) -> Vec<(String, String)> {
    let is_unknown = |record: &Value| record["verdict"] == "unknown";
    let shown = |record: Value| {
        let finding = &record["findings"][0];
        assert_eq!(finding["code"], "NET001");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&record["name"]), text(&finding["message"]))
    };
    ran.jsonl().into_iter().filter(is_unknown).map(shown).collect()
}

#[test]
fn a_single_blob_that_is_refused_for_good_does_not_end_the_run() {
    for (status, code) in [
        (401, "InvalidAuthenticationInfo"),
        (403, "AuthorizationPermissionMismatch"),
        (403, "KeyVaultEncryptionKeyNotFound"),
        (400, "InvalidUri"),
        (404, "ResourceNotFound"),
        (409, "BlobUsesCustomerSpecifiedEncryption"),
        (410, "Gone"),
    ] {
        // The first, one in the middle, and the only one in flight.
        for (name, concurrency) in [("0000", "64"), ("0007", "64"), ("0000", "1")] {
            let fault = Fault::Refuse { status, code: code.into(), retry_after: None };
            let rule = Rule { prefix: name.into(), ..always(fault) };
            let server = serve_content(jpegs(20), rules([rule]));
            let ran = dry_run(&server).args(["--format", "jsonl", "--concurrency", concurrency]).run();
            assert_eq!(ran.code, 3, "{}", ran.stderr);
            let [(unread, why)] = &unknown(&ran)[..] else { panic!("{}", ran.stdout) };
            assert!(unread.starts_with(name) && why.contains(&format!("{status} {code}")), "{unread}: {why}");
        }
    }
}

#[test]
fn a_folder_that_is_refused_does_not_end_the_run() {
    let Content::Blobs(blobs) = jpegs(200) else { panic!("they are given") };
    let mut at = 0;
    let place = |blob: Blob| {
        at += 1;
        let folder = if at <= 150 { "a" } else { "b" };
        Blob { name: format!("{folder}/{}", blob.name), ..blob }
    };
    let content = Content::Blobs(blobs.into_iter().map(place).collect());
    let denied = Rule { prefix: "a/".into(), ..always(Fault::no_permission()) };
    for concurrency in ["1", "64"] {
        let server = serve_content(content.clone(), rules([denied.clone()]));
        let ran = dry_run(&server).args(["--format", "jsonl", "--concurrency", concurrency]).run();
        assert_eq!((ran.code, unknown(&ran).len()), (3, 150), "{}", ran.stderr);
        let requests = server.stats().of(Kind::Read);
        assert!(requests < 350, "{requests} requests");
    }
}

#[test]
fn a_run_ends_when_nothing_can_be_read() {
    let server = serve_content(jpegs(20), rules([always(Fault::no_permission())]));
    let ran = dry_run(&server).args(["--concurrency", "1"]).run();
    assert_eq!(ran.code, 2);
    let says = "; nothing can be read, from '0000.jpg'";
    assert!(ran.stderr.contains(says), "{}", ran.stderr);

    let lost = Rule { after: 30, ..always(Fault::no_permission()) };
    let server = serve_content(jpegs(60), rules([lost]));
    let ran = dry_run(&server).args(["--concurrency", "1"]).run();
    assert_eq!(ran.code, 2);
    let says = "nothing can be read any more, from '0030.jpg', '0031.jpg', '0032.jpg' and ";
    assert!(ran.stderr.contains(says), "{}", ran.stderr);
}

#[test]
fn a_page_that_stalls_is_asked_for_again_and_that_is_said() {
    let once = Rule::on_lists(Fault::Stall, 1.0).attempts(Attempts::First(1));
    let server = serve_content(jpegs(3), rules([once]));
    let begun = Instant::now();
    let ran = dry_run(&server).args(["-v"]).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("a page of the listing failed: no response in time\n"), "{}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[cfg(unix)]
#[test]
fn few_open_files_cost_no_attempt() {
    let latency = Latency::Fixed { ms: 100.0 };
    let server = serve(3_000, Faults { latency, ..Faults::default() });
    for limit in ["64", "256"] {
        let source = format!("{}/media", server.url());
        let script = format!("ulimit -n {limit} && exec \"$@\"");
        let ran = Command::new("sh")
            .env_clear()
            .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_presync"), "dry-run", &source])
            .args(["--auth", "anonymous", "--exit-zero", "--format", "json"])
            .output()
            .expect("the shell starts");
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
        let report: Value = serde_json::from_slice(&ran.stdout).expect("a report");
        let totals = &report["totals"];
        assert_eq!((&totals["unknown"], &totals["retries"]), (&0.into(), &0.into()), "{limit} files");
    }
}

#[test]
fn permission_lost_in_mid_run_keeps_what_there_is() {
    let lost = Rule { after: 800, ..always(Fault::no_permission()) };
    let server = serve(5_000, rules([lost]));
    let report = tempfile::NamedTempFile::new().expect("a file");
    let path = report.path().to_str().expect("a name").to_owned();
    let ran = dry_run(&server).args(["--concurrency", "8", "--format", "json", "--output", &path]).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("AuthorizationPermissionMismatch"), "{}", ran.stderr);
    let document: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("it is whole");
    assert_eq!(document["complete"], false);
    assert!(
        document["incomplete"].as_str().is_some_and(|why| why.contains("403")),
        "{}",
        document["incomplete"]
    );
    let listed = document["totals"]["listed"].as_u64().expect("a number");
    assert!((700..=900).contains(&listed), "{listed}");
    assert_eq!(document["assets"].as_array().map(Vec::len), Some(listed as usize));
}

#[test]
fn a_listing_that_breaks_keeps_what_there_is() {
    let broken = Rule { on: On::Lists, after: 1, ..always(Fault::timed_out()) };
    let server = serve(6_000, rules([broken]));
    let ran = dry_run(&server).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stdout.contains("INCOMPLETE"), "{}", ran.stdout);
    assert!(ran.stdout.contains("listed       5,000"), "{}", ran.stdout);
    assert!(ran.stderr.contains("the listing failed after 5000 blobs"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_in_good_order_and_a_second_one_at_once() {
    let server = serve(1_000_000, Faults { latency: Latency::Fixed { ms: 20.0 }, ..Faults::default() });
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_presync"))
            .env_clear()
            .args(["dry-run", &format!("{}/media", server.url()), "--auth", "anonymous"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    };
    let interrupt = |id: u32| {
        let sent = Command::new("kill").args(["-INT", &id.to_string()]).status().expect("kill is there");
        assert!(sent.success());
    };
    let until_busy = |requests| {
        while server.stats().total() < requests {
            std::thread::sleep(Duration::from_millis(10));
        }
    };

    let mut run = start();
    until_busy(500);
    let asked = Instant::now();
    interrupt(run.id());
    let status = run.wait().expect("it ends");
    // Two seconds are promised; the tests of a whole suite share the machine.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(3));
    let mut report = String::new();
    run.stdout.take().expect("a pipe").read_to_string(&mut report).expect("text");
    assert!(report.contains("INCOMPLETE  the run was stopped"), "{report}");

    // With nothing but stalled reads, the first Ctrl-C waits a moment for them, and the second one does not.
    server.set_faults(rules([always(Fault::Stall)])).expect("they are sound");
    server.reset();
    let mut run = start();
    until_busy(20);
    interrupt(run.id());
    std::thread::sleep(Duration::from_millis(200));
    let asked = Instant::now();
    interrupt(run.id());
    let status = run.wait().expect("it ends");
    assert!(asked.elapsed() < Duration::from_millis(1000), "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(130));
}

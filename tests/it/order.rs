//! Nothing relies on the order in which a service lists: byte order, folder by folder, UTF-16 or none at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use presync::loopback::{Attempts, Blob, Config, Content, Fault, Faults, Handle, Kind, Order, Rule, Server};
use presync::model::{Asset, Verdict};
use presync::plan_file::{Plan, PlanReader};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::presync::{Presync, Ran, demo};
use crate::support::stand_in::{Answer, StandIn};

const ORDERS: [Order; 4] = [Order::Bytes, Order::DepthFirst, Order::Utf16, Order::Shuffled];
/// Few enough that a listing has several pages.
const PAGE: u64 = 7;

/// Folders whose order depends on what it goes by: `-`, `.` and space are before `/`, and U+1F600 is before U+FFFD in
/// UTF-16 only.
const FOLDERS: [&str; 8] =
    ["cam1", "cam1-raw", "cam1.bak", "cam1 2", "cam10", "cam1/sub", "\u{1F600}", "\u{FFFD}"];

fn image(name: &str) -> Blob {
    let bytes = fs::read(demo().join("cam1/0001.jpg")).expect("a file of the demo container");
    Blob { name: name.into(), bytes, ..Blob::default() }
}

/// A directory as accounts with a hierarchical namespace list it.
fn directory(name: &str) -> Blob {
    let metadata = [("hdi_isfolder".to_owned(), "true".to_owned())].into();
    Blob { name: name.into(), metadata, ..Blob::default() }
}

fn image_names() -> Vec<String> {
    let folders = FOLDERS.iter().enumerate();
    folders.flat_map(|(at, folder)| (0..4).map(move |n| format!("{folder}/{at}-{n}.jpg"))).collect()
}

fn serve(order: Order) -> Handle {
    let images = image_names();
    let blobs = images.iter().map(|name| image(name)).chain(FOLDERS.map(directory)).collect();
    let config = Config::of("lake", Content::Blobs(blobs));
    Server::start(Config { page_size: PAGE, order, ..config }).expect("it starts")
}

fn source(server: &Handle) -> String {
    format!("{}/lake", server.url())
}

fn dry_run(server: &Handle, args: &[&str]) -> Ran {
    Presync::dry_run(source(server)).args(["--auth", "anonymous"]).args(args).run()
}

/// Runs with these arguments and gives the plan.
fn plan(server: &Handle, folder: &TempDir, name: &str, args: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    let plan = ["--plan", path.to_str().expect("UTF-8")];
    let ran = dry_run(server, &[args, &plan].concat());
    assert!(ran.code < 2, "{}", ran.stderr);
    path
}

/// A plan without its times.
fn read(path: &Path) -> (Plan, Vec<Asset>) {
    let reader = PlanReader::open(path).expect("a plan");
    let mut plan = reader.plan().clone();
    plan.header.begun = jiff::Timestamp::UNIX_EPOCH;
    plan.ended = jiff::Timestamp::UNIX_EPOCH;
    (plan, reader.map(|asset| asset.expect("it is read")).collect())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What the blobs of these names are sorted by, also with their directories between them.
fn is_in(order: Order, assets: &[Asset]) -> bool {
    assets.is_sorted_by(|left, right| {
        order.compare(left.blob.name.as_str(), right.blob.name.as_str()) != std::cmp::Ordering::Greater
    })
}

#[test]
fn a_plan_has_the_order_of_the_listing_and_spends_the_quota_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut listings = BTreeSet::new();
    for order in ORDERS {
        let server = serve(order);
        let (plan, assets) = read(&plan(&server, &folder, "plan", &["--image-quota", "9"]));
        assert_eq!(assets.len(), image_names().len() + FOLDERS.len());
        assert!(is_in(order, &assets), "{order:?}");
        // Only in an order that is none does a report say that names may be repeated.
        assert_eq!(plan.summary.out_of_order.is_some(), order == Order::Shuffled, "{order:?}");
        let images: Vec<_> = assets.iter().filter(|asset| asset.verdict != Verdict::Skip).collect();
        let accepted = images.iter().take_while(|asset| asset.verdict == Verdict::Accept).count();
        assert_eq!(accepted, 9, "{order:?}");
        assert!(images[9..].iter().all(|asset| asset.verdict == Verdict::Reject), "{order:?}");
        listings.insert(images.iter().map(|asset| asset.blob.name.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(listings.len(), ORDERS.len(), "the orders differ");
}

/// A page of a listing that has these names.
fn page(names: &[&str]) -> String {
    let blob = |name: &&str| {
        format!(
            "<Blob><Name>{name}</Name><Properties><Last-Modified>Sun, 01 Nov 2026 10:00:00 GMT</Last-Modified>\
             <Etag>0x8D1</Etag><Content-Length>0</Content-Length></Properties></Blob>"
        )
    };
    let blobs: String = names.iter().map(blob).collect();
    format!("<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>")
}

/// No service should list a name twice. If one does, each entry is an asset.
#[test]
fn a_name_that_is_listed_twice_is_there_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger(&folder);
    let listed = Arc::new(Mutex::new(vec!["b.jpg", "a.jpg", "b.jpg"]));
    let names = Arc::clone(&listed);
    let server = StandIn::http(move |_| Answer::ok("application/xml", page(&names.lock().expect("names"))));
    let source = format!("{}/media/lake", server.url);
    let path = folder.path().join("plan");
    let run = |args: &[&str]| Presync::new(args).args(["--auth", "anonymous", "--format", "json"]).run();
    let first = run(&["dry-run", &source, "--plan", text(&path)]);
    assert_eq!((first.code, &first.json()["totals"]["listed"]), (1, &json!(3)), "{}", first.stderr);
    assert_eq!(first.json()["out_of_order"], json!(["b.jpg", "a.jpg"]));
    let report = Presync::new(["report", text(&path)]).run().stdout;
    assert!(report.contains("'a.jpg' comes after 'b.jpg'), so names may be repeated"), "{report}");
    let changes = |names: &[&'static str]| {
        *listed.lock().expect("names") = names.to_vec();
        let document = run(&["dry-run", &source, "--baseline", text(&path)]).json();
        ["added", "removed"].map(|kind| document["changes"][kind]["names"].clone())
    };
    let args = ["commit", text(&path), "--source", &source, "--workspace", "w", "--dry-run", "--ledger"];
    let commit = || run(&[&args[..], &[text(&ledger)]].concat());
    assert_eq!(changes(&["b.jpg", "b.jpg", "a.jpg"]), [json!([]), json!([])]);
    assert_eq!(commit().code, 0, "{}", commit().stderr);
    assert_eq!(changes(&["a.jpg", "b.jpg"]), [json!([]), json!(["b.jpg"])]);
    assert_eq!(commit().json()["obstacles"][0]["kind"], "removed");
    assert_eq!(changes(&["b.jpg", "a.jpg", "a.jpg", "b.jpg"]), [json!(["a.jpg"]), json!([])]);
    assert_eq!(commit().json()["obstacles"][0]["kind"], "added");
}

#[test]
fn shards_make_the_plan_of_one_run() {
    for order in ORDERS {
        let (server, folder) = (serve(order), tempfile::tempdir().expect("a folder"));
        let quota = ["--image-quota", "11"];
        let whole = plan(&server, &folder, "whole", &quota);
        let parts = folder.path().join("parts");
        for index in 0..3 {
            let shard = format!("{index}/3");
            let ran = dry_run(&server, &[&quota[..], &["--shard", &shard, "--out", text(&parts)]].concat());
            assert_eq!(ran.code, 0, "{order:?}: {}", ran.stderr);
        }
        let merged = folder.path().join("merged");
        let ran =
            Presync::new(["report", text(&parts), "--format", "parquet", "--output", text(&merged)]).run();
        assert_eq!(ran.code, 1, "{order:?}: {}", ran.stderr);
        assert_eq!(read(&merged), read(&whole), "{order:?}");
    }
}

#[test]
fn a_baseline_is_read_whatever_order_either_has() {
    for before in ORDERS {
        let (server, folder) = (serve(before), tempfile::tempdir().expect("a folder"));
        let first = plan(&server, &folder, "first", &[]);
        server.delete("lake", "cam1/0-0.jpg").expect("it is deleted");
        server.delete("lake", "\u{1F600}/6-3.jpg").expect("it is deleted");
        server.put("lake", image("cam1-raw/0.jpg")).expect("it is put");
        server.put("lake", image("cam1/0-2.jpg")).expect("it is replaced");
        for now in ORDERS {
            server.set_order(now);
            server.reset();
            let ran = dry_run(&server, &["--baseline", text(&first), "--format", "json"]);
            let changes = &ran.json()["changes"];
            let named = |names: &[&str]| json!({ "count": names.len(), "names": names });
            assert_eq!(changes["added"], named(&["cam1-raw/0.jpg"]), "{before:?}, {now:?}");
            assert_eq!(changes["changed"], named(&["cam1/0-2.jpg"]), "{before:?}, {now:?}");
            let mut removed = ["cam1/0-0.jpg", "\u{1F600}/6-3.jpg"];
            removed.sort_by(|left, right| before.compare(left, right));
            assert_eq!(changes["removed"], named(&removed), "{before:?}, {now:?}");
            assert_eq!(server.stats().of(Kind::Read), 2, "{before:?}, {now:?}");
        }
    }
}

#[test]
fn a_resumed_run_reads_nothing_again() {
    for (before, now) in ORDERS
        .into_iter()
        .zip(ORDERS.into_iter().cycle().skip(1))
        .chain([(Order::DepthFirst, Order::DepthFirst), (Order::Shuffled, Order::Shuffled)])
    {
        let (server, folder) = (serve(before), tempfile::tempdir().expect("a folder"));
        let path = folder.path().join("plan");
        // The fourth page fails.
        let rule = Rule::on_lists(Fault::no_permission(), 1.0);
        let fails = Rule { attempts: Attempts::Always, after: 3, ..rule };
        server.set_faults(Faults { rules: vec![fails], ..Faults::default() }).expect("faults");
        let args = ["--plan", text(&path), "--checkpoint-every", "1ms"];
        let ran = dry_run(&server, &args);
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        server.set_faults(Faults::default()).expect("no faults");
        server.set_order(now);
        assert_eq!(dry_run(&server, &[&args[..], &["--resume"]].concat()).code, 0, "{before:?}, {now:?}");
        assert_eq!(server.stats().of(Kind::Read), image_names().len() as u64, "{before:?}, {now:?}");
        assert!(is_in(now, &read(&path).1), "{before:?}, {now:?}");
    }
}

/// The account's ledger, with a quota for everything.
fn ledger(folder: &TempDir) -> PathBuf {
    let ledger = folder.path().join("ledger.sqlite3");
    let args = ["quota", "set", "--workspace", "w", "--images", "999", "--frames", "999", "--ledger"];
    assert_eq!(Presync::new(args).args([&ledger]).run().code, 0);
    ledger
}

fn commit(server: &Handle, plan: &Path, ledger: &Path) -> Ran {
    let source = source(server);
    let args = ["commit", text(plan), "--workspace", "w", "--dry-run", "--format", "json"];
    Presync::new(args).args(["--auth", "anonymous", "--source", &source, "--ledger"]).args([ledger]).run()
}

#[test]
fn a_commit_compares_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger(&folder);
    for before in ORDERS {
        let server = serve(before);
        let plan = plan(&server, &folder, "plan", &[]);
        for now in ORDERS {
            server.set_order(now);
            let ran = commit(&server, &plan, &ledger);
            assert_eq!(ran.code, 0, "{before:?}, {now:?}: {}{}", ran.stdout, ran.stderr);
        }
        server.delete("lake", "cam1/0-0.jpg").expect("it is deleted");
        server.put("lake", image("cam10/new.jpg")).expect("it is put");
        for now in ORDERS {
            server.set_order(now);
            let refused = commit(&server, &plan, &ledger);
            assert_eq!(refused.code, 1, "{before:?}, {now:?}: {}", refused.stderr);
            let blocked = refused.json()["obstacles"].clone();
            let of = |kind: &str| -> Vec<Value> {
                let blocked = blocked.as_array().expect("a list").iter();
                blocked.filter(|blocked| blocked["kind"] == kind).cloned().collect()
            };
            assert_eq!(blocked.as_array().map(Vec::len), Some(2), "{blocked}");
            assert_eq!((&of("removed")[0]["count"], &of("added")[0]["count"]), (&json!(1), &json!(1)));
        }
    }
}

#[test]
fn the_plan_of_an_inventory_is_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger(&folder);
    let report = folder.path().join("inventory.csv");
    for order in ORDERS {
        let server = serve(order);
        let (_, assets) = read(&plan(&server, &folder, "listed", &[]));
        let mut csv = "Name,Content-Length,hdi_isfolder,Etag\n".to_owned();
        for asset in &assets {
            let (blob, is_folder) = (&asset.blob, asset.verdict == Verdict::Skip);
            let etag = blob.etag.as_ref().expect("an ETag").as_str();
            csv += &format!("\"lake/{}\",{},{is_folder},{etag}\n", blob.name, blob.size);
        }
        fs::write(&report, csv).expect("it is written");
        let plan = plan(&server, &folder, "plan", &["--inventory", text(&report)]);
        // A report with directories is one of an account that lists folder by folder.
        assert!(is_in(Order::DepthFirst, &read(&plan).1), "{order:?}");
        let ran = commit(&server, &plan, &ledger);
        assert_eq!(ran.code, 0, "{order:?}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn an_audit_reads_only_what_changed() {
    for order in ORDERS {
        let (server, folder) = (serve(order), tempfile::tempdir().expect("a folder"));
        let audit = |now: Order| {
            server.set_order(now);
            server.reset();
            let args = ["audit", &source(&server), "--auth", "anonymous", "--format", "json", "--out"];
            let ran = Presync::new(args).args([folder.path()]).run();
            assert_eq!(ran.code, 0, "{order:?}: {}", ran.stderr);
            (ran.json()["totals"]["accepted"].clone(), server.stats().of(Kind::Read))
        };
        let all = image_names().len() as u64;
        assert_eq!(audit(order), (json!(all), all));
        server.delete("lake", "cam1/0-0.jpg").expect("it is deleted");
        for now in ORDERS {
            assert_eq!(audit(now), (json!(all - 1), 0), "{order:?}, {now:?}");
        }
    }
}

#[test]
fn folders_that_are_not_entered_are_the_same_in_any_order() {
    let mut prefixes = Vec::new();
    for order in ORDERS {
        let server = serve(order);
        for prefix in ["", "cam1", "cam1/"] {
            let source = format!("{}/{prefix}", source(&server));
            let args = ["--auth", "anonymous", "--no-recurse", "--format", "json"];
            let document = Presync::dry_run(&source).args(args).run().json();
            let assets = document["assets"].as_array().expect("assets").clone();
            let mut names: Vec<_> =
                assets.iter().map(|asset| asset["name"].as_str().expect("a name").to_owned()).collect();
            let listed = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), listed, "{order:?}, {prefix}");
            prefixes.push((prefix, names, document["totals"]["accepted"].clone()));
        }
    }
    let (first, others) = prefixes.split_at(3);
    assert!(others.chunks(3).all(|other| other == first), "{prefixes:?}");
    let (_, names, accepted) = &first[1];
    let expected = [
        "cam1",
        "cam1 2",
        "cam1 2/",
        "cam1-raw",
        "cam1-raw/",
        "cam1.bak",
        "cam1.bak/",
        "cam1/",
        "cam10",
        "cam10/",
    ];
    assert_eq!((names.as_slice(), accepted), (expected.map(str::to_owned).as_slice(), &json!(0)));
    let (_, names, accepted) = &first[2];
    assert_eq!(
        names,
        &["cam1/0-0.jpg", "cam1/0-1.jpg", "cam1/0-2.jpg", "cam1/0-3.jpg", "cam1/sub", "cam1/sub/"]
    );
    assert_eq!(accepted, &json!(4));
}

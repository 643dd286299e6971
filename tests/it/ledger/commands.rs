//! `presync quota`, and the budget that `presync dry-run` takes from the ledger.

use std::fs;

use insta::assert_snapshot;
use jiff::Timestamp;
use presync::ledger::Claim;
use presync::model::QuotaKind::{Frames, Images};
use serde_json::{Value, json};

use super::{Place, WORKSPACE, claim, month};
use crate::support::presync::{Presync, Ran, demo, timeless};

const MONTH: [&str; 2] = ["--month", "2026-11"];

fn now() -> Timestamp {
    "2026-11-22T10:00:00.25Z".parse().expect("a time")
}

/// A ledger with two workspaces, of which one has reservations.
fn filled() -> Place {
    let place = Place::new();
    let mut ledger = place.open();
    let limits = [(Images, Some(5000)), (Frames, Some(100_000))];
    ledger.set(WORKSPACE, month(), &limits, &[(Images, 1204)], now()).expect("it can be set");
    ledger.set("team b", month(), &[(Images, Some(0))], &[(Frames, 7)], now()).expect("it can be set");
    let costs = [(Images, 296), (Frames, 100_000)].into();
    let source = "https://media.blob.core.windows.net/cameras/2026/";
    let first = Claim { source, costs, ..claim("0f3c-1", 0) };
    ledger.reserve(&first, now()).expect("it can be asked");
    ledger.reserve(&claim("0f3c-2", 1000), now()).expect("it can be asked");
    place
}

/// `presync quota ARGS` for the month of the tests.
fn quota(place: &Place, args: &[&str]) -> Ran {
    let args = [&["quota"], args, &MONTH].concat();
    let ran = place.presync(&args).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    ran
}

fn shown(place: &Place, args: &[&str]) -> String {
    quota(place, args).stdout.replace(place.0.path().to_str().expect("UTF-8"), "FOLDER")
}

#[test]
fn a_month_looks_like_this() {
    let place = filled();
    assert_snapshot!(shown(&place, &["show", "--history"]));
    assert_eq!(shown(&place, &["--history"]), shown(&place, &["show", "--history"]));
}

#[test]
fn the_document_says_the_same() {
    let place = filled();
    let document = quota(&place, &["show", "--workspace", WORKSPACE, "--history", "--format", "json"]).json();
    assert_eq!(document["month"], "2026-11");
    let workspace = json!([{
        "name": "default",
        "quota": {
            "images": {"limit": 5000, "used": 1204, "reserved": 1296, "left": 2500},
            "frames": {"limit": 100_000, "used": 0, "reserved": 100_000, "left": 0},
        },
        "reservations": [
            {
                "plan": "0f3c-1", "source": "https://media.blob.core.windows.net/cameras/2026/",
                "reserved_at": "2026-11-22T10:00:00.25Z", "costs": {"images": 296, "frames": 100_000},
            },
            {
                "plan": "0f3c-2", "source": "fixtures/demo", "reserved_at": "2026-11-22T10:00:00.25Z",
                "costs": {"images": 1000},
            },
        ],
        "synced": [],
    }]);
    assert_eq!(document["workspaces"], workspace);
    let history = document["history"].as_array().expect("a list");
    let last = json!({
        "time": "2026-11-22T10:00:00.25Z", "workspace": "default", "month": "2026-11", "kind": "images",
        "subject": "reserved", "plan": "0f3c-2", "before": 296, "after": 1296,
    });
    assert_eq!((history.len(), history.last()), (6, Some(&last)));
    let without = quota(&place, &["show", "--format", "json"]).json();
    assert_eq!(
        (&without["history"], without["workspaces"][1]["name"].as_str()),
        (&Value::Null, Some("team b"))
    );
}

#[test]
fn setting_says_what_it_changed_and_is_idempotent() {
    let place = Place::new();
    let set = ["set", "--images", "5000", "--frames", "none", "--used-images", "12", "--workspace", "team a"];
    let changed = "team a, 2026-11, images: limit none → 5,000\nteam a, 2026-11, images: used 0 → 12\n";
    assert_eq!(quota(&place, &set).stdout, changed);
    let before = fs::read(place.path()).expect("a file");
    assert_eq!(quota(&place, &set).stdout, "nothing to change\n");
    assert!(fs::read(place.path()).expect("a file") == before, "the file is the same");
    let removed = quota(&place, &["set", "--images", "none", "--workspace", "team a"]).stdout;
    assert_eq!(removed, "team a, 2026-11, images: limit 5,000 → none\n");
}

#[test]
fn a_plan_is_released_once() {
    let place = filled();
    let release = |plan| place.presync(&["quota", "release", plan]).run();
    let released = release("0f3c-1");
    assert_eq!(released.stdout, "released 296 images, 100,000 frames of default for 2026-11\n");
    let again = release("0f3c-1");
    assert_eq!((again.code, again.stdout.as_str()), (0, "already released\n"));
    let unknown = release("0f3c-3");
    assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""));
    let document = quota(&place, &["--workspace", WORKSPACE, "--format", "json"]).json();
    assert_eq!(document["workspaces"][0]["quota"]["frames"]["left"], 100_000);
    assert_eq!(document["workspaces"][0]["reservations"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_ledger_lies_where_it_is_said() {
    let place = Place::new();
    let folder = place.0.path();
    let home = folder.join("home");
    let run = |args: &[&str], variables: &[&str]| {
        let presync = Presync::new([&["quota"], args].concat()).env("XDG_DATA_HOME", &home);
        let presync = variables.iter().fold(presync, |presync, name| presync.env("PRESYNC_LEDGER", name));
        let ran = presync.inside(folder).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        ran.stdout
    };
    assert!(run(&[], &[]).contains("No quota is recorded"));
    assert!(!home.exists(), "to show it makes nothing");
    run(&["set", "--images", "1"], &[""]);
    run(&["set", "--images", "2"], &["variable.sqlite3"]);
    run(&["set", "--images", "3", "--ledger", "option.sqlite3"], &["variable.sqlite3"]);
    for (file, limit) in
        [("home/presync/ledger.sqlite3", "1"), ("variable.sqlite3", "2"), ("option.sqlite3", "3")]
    {
        let shown = run(&["show", "--ledger", file], &[]);
        assert!(shown.contains(&format!("0 of {limit} images")), "{shown}");
    }
}

/// A dry run of the demo with a ledger of the current month that `set` fills.
fn dry_run(set: &[&str], args: &[&str]) -> Value {
    let place = Place::new();
    if set.contains(&"--data-rows") {
        assert_eq!(place.presync(&[&["quota", "set"], set].concat()).run().code, 0);
    }
    // A month that ends meanwhile must not matter.
    let months = [0, 1].map(|days| Timestamp::now() + jiff::SignedDuration::from_hours(24 * days));
    for month in months.map(|day| presync::model::Month::of(day).to_string()) {
        let set = [&["quota", "set", "--month", &month], set].concat();
        assert_eq!(place.presync(&set).run().code, 0);
    }
    let presync = Presync::dry_run(demo()).env("PRESYNC_LEDGER", place.path());
    timeless(presync.args(["--format", "json", "--workspace", WORKSPACE]).args(args).run().json())
}

#[test]
fn a_dry_run_spends_what_the_ledger_has_left() {
    let set = ["--images", "120", "--used-images", "100", "--frames", "500"];
    let mut document = dry_run(&set, &[]);
    let mut images = document["quota"]["images"].take();
    let shortage = images["shortage"].take();
    assert_eq!((&shortage["demand"], &shortage["shortfall"]), (&29.into(), &9.into()));
    let gauge = json!({"unit": "images", "limit": 120, "used_before": 100, "cost": 20, "left": 0, "fits": false, "shortage": null});
    assert_eq!(images, gauge);
    let options = ["--image-quota", "20", "--frame-quota", "500", "--format", "json"];
    let mut stated = timeless(Presync::dry_run(demo()).args(options).run().json());
    assert_eq!(document["quota"]["frames"], stated["quota"]["frames"]);
    // A workspace of which nothing is known to be synced: everything is new.
    let synced = document.as_object_mut().and_then(|document| document.remove("synced"));
    assert_eq!(synced.map(|synced| synced["new"].clone()).as_ref(), Some(&document["totals"]["accepted"]));
    for asset in document["assets"].as_array_mut().expect("a list") {
        let asset = asset.as_object_mut().expect("an object");
        asset.remove("synced");
        asset.remove("charge");
    }
    for document in [&mut document, &mut stated] {
        document["quota"] = Value::Null;
    }
    // The messages name the limit, not what is left of it.
    let stated = stated.to_string().replace("image quota of 20 is", "image quota of 120 is");
    assert_eq!(document.to_string(), stated);
}

#[test]
fn options_win_over_the_ledger() {
    let quota = &dry_run(&["--images", "20", "--frames", "500"], &["--image-quota", "7"])["quota"];
    assert_eq!((&quota["images"]["limit"], &quota["frames"]["limit"]), (&7.into(), &500.into()));
}

#[test]
fn images_and_frames_share_a_limit_of_data_rows() {
    let document = dry_run(&["--data-rows", "500", "--used-data-rows", "20"], &["--profile", "vi"]);
    let quota = &document["quota"];
    let gauges = ["images", "frames"].map(|kind| &quota[kind]);
    let costs = gauges.map(|gauge| gauge["cost"].as_u64().expect("a number"));
    assert!(costs.iter().all(|cost| *cost > 0), "{quota}");
    let left = 500 - 20 - costs[0] - costs[1];
    for (gauge, other) in gauges.iter().zip([costs[1], costs[0]]) {
        assert_eq!((&gauge["cost_of_other_kind"], &gauge["left"]), (&other.into(), &left.into()), "{quota}");
    }
    let wanted = document["assets"].as_array().expect("a list").iter().filter(|asset| {
        let findings = asset["findings"].as_array().expect("a list");
        asset["verdict"] == "accept"
            || findings
                .iter()
                .any(|finding| finding["code"].as_str().is_some_and(|code| code.starts_with("QTA")))
    });
    let cost = |asset: &Value| asset["cost"]["images"].as_u64().zip(asset["cost"]["frames"].as_u64());
    let demand = wanted.map(|asset| cost(asset).map_or(0, |(images, frames)| images + frames)).sum::<u64>();
    let shortage = &gauges[1]["shortage"];
    assert_eq!((&shortage["demand"], &shortage["shortfall"]), (&demand.into(), &(demand + 20 - 500).into()));
}

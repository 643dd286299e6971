//! Sync after sync, with the binary: what is on the platform already costs nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Place, WORKSPACE};
use crate::support::presync::{Presync, Ran, demo, root};

/// A copy of the demo, and a ledger for it.
struct Team(Place);

impl Team {
    fn new(set: &[&str]) -> Self {
        let team = Self(Place::new());
        copy(&demo(), &team.source());
        team.quota(&[&["set"], set].concat());
        team
    }

    fn source(&self) -> PathBuf {
        self.0.0.path().join("source")
    }

    fn plan(&self) -> PathBuf {
        self.0.0.path().join("plan.parquet")
    }

    fn run(&self, args: &[&str]) -> Ran {
        let ran = self.0.presync(args).run();
        assert!(ran.code < 2, "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran
    }

    fn quota(&self, args: &[&str]) -> String {
        self.run(&[&["quota"], args].concat()).stdout
    }

    /// A dry run of the source or a folder in it, with a plan.
    fn check(&self, below: &str, args: &[&str]) -> Value {
        let (source, plan) = (self.source().join(below), self.plan());
        let (source, plan) = (source.to_str().expect("UTF-8"), plan.to_str().expect("UTF-8"));
        let dry_run = ["dry-run", source, "--plan", plan, "--format", "json"];
        let document = self.run(&[&dry_run, args].concat()).json();
        consistent(&document);
        // A saved plan says the same.
        let mut saved = self.run(&["report", plan, "--format", "json"]).json();
        saved["totals"]["elapsed_s"] = document["totals"]["elapsed_s"].clone();
        assert_eq!(saved, document);
        document
    }

    /// Commits the last plan.
    fn commit(&self) -> Value {
        let (plan, out) = (self.plan(), self.0.0.path().join(format!("commit-{}", fastrand::u64(..))));
        let paths = [plan.to_str().expect("UTF-8"), "--out", out.to_str().expect("UTF-8")];
        let ran = self.run(&[&["commit"][..], &paths, &["--format", "json"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stdout);
        ran.json()
    }

    fn workspace(&self) -> Value {
        let shown: Value = serde_json::from_str(&self.quota(&["--format", "json"])).expect("JSON");
        shown["workspaces"][0].clone()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => _ = fs::copy(entry.path(), to).expect("it is copied"),
        }
    }
}

/// Checks that assets, totals, quota and comparison add up.
fn consistent(document: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number: {value}"));
    let (mut charge, mut states, mut kept) = ([0, 0], [0; 3], 0);
    for asset in document["assets"].as_array().expect("a list") {
        let Some(state) = asset["synced"].as_str() else { continue };
        let costs = ["images", "frames"].map(|kind| number(&asset["charge"][kind]));
        assert!(state != "unchanged" || costs == [0, 0], "{asset}");
        if asset["verdict"] != "accept" {
            kept += u64::from(state != "new");
            continue;
        }
        charge = [charge[0] + costs[0], charge[1] + costs[1]];
        let index = ["new", "changed", "unchanged"].iter().position(|name| *name == state);
        states[index.expect("a state")] += 1;
    }
    let synced = &document["synced"];
    assert_eq!(["new", "changed", "unchanged"].map(|state| number(&synced[state])), states, "{synced}");
    assert_eq!(number(&synced["kept"]), kept);
    assert_eq!(states.iter().sum::<u64>(), number(&document["totals"]["accepted"]));
    assert_eq!(["images", "frames"].map(|kind| number(&synced["charge"][kind])), charge);
    assert_eq!(["images", "frames"].map(|kind| number(&document["quota"][kind]["cost"])), charge);
}

fn states(document: &Value) -> [u64; 5] {
    let synced = &document["synced"];
    let [new, changed, unchanged, kept] =
        ["new", "changed", "unchanged", "kept"].map(|state| synced[state].as_u64().expect("a number"));
    [new, changed, unchanged, kept, synced["gone"]["count"].as_u64().expect("a number")]
}

/// The new content of a file, which gives it another version.
fn change(path: &Path) {
    let bytes = fs::read(path).expect("a file");
    fs::write(path, [bytes.as_slice(), b" "].concat()).expect("it is written");
}

const WITH: [&str; 2] = ["--workspace", WORKSPACE];

#[test]
fn three_syncs_are_charged_for_what_they_add() {
    let team = Team::new(&["--images", "20", "--frames", "500"]);
    let first = team.check("", &WITH);
    assert_eq!((states(&first), &first["totals"]["accepted"]), ([25, 0, 0, 0, 0], &json!(25)));
    assert_eq!(team.commit()["costs"], json!({"images": 20, "frames": 494}));

    // Not confirmed yet, but reserved: nothing is charged twice, and the same is refused as before.
    let again = team.check("", &WITH);
    assert_eq!((states(&again), &again["totals"]["accepted"]), ([0, 0, 25, 0, 0], &json!(25)));
    assert_eq!(again["quota"]["images"]["used_before"], 20);
    assert_eq!(first["totals"]["rejected"], again["totals"]["rejected"]);

    // The platform's own numbers, entered before the sync is confirmed.
    let set = team.run(&["quota", "set", "--used-images", "20", "--used-frames", "494"]);
    assert!(set.stderr.contains("1 plan is reserved besides"), "{}", set.stderr);
    let entered = team.check("", &WITH);
    assert_eq!(states(&entered), [0, 0, 25, 0, 0]);
    assert!(team.quota(&["confirm", "--all", "--already-used"]).starts_with("confirmed "));
    let quota = &team.workspace()["quota"];
    assert_eq!(quota["images"], json!({"limit": 20, "used": 20, "reserved": 0, "left": 0}));

    // One image more fits into a higher limit, and is all that is charged, in any order.
    team.quota(&["set", "--images", "21"]);
    for admit in ["listing", "most-assets", "newest"] {
        let unchanged = team.check("", &[&WITH[..], &["--admit", admit]].concat());
        assert_eq!(states(&unchanged), [1, 0, 25, 0, 0], "{admit}");
        assert_eq!(unchanged["quota"]["images"]["cost"], 1);
    }
    team.check("", &WITH);
    assert_eq!(team.commit()["costs"], json!({"images": 1}));
    let confirmed = team.quota(&["confirm", "--all"]);
    assert!(confirmed.contains(": 1 images of default for"), "{confirmed}");

    // Then one is changed, one is rejected and one is removed: a month gives nothing back.
    team.quota(&["set", "--images", "22", "--frames", "494"]);
    let accepted: Vec<_> = first["assets"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|asset| asset["verdict"] == "accept" && asset["kind"] == "image")
        .map(|asset| team.source().join(asset["name"].as_str().expect("a name")))
        .collect();
    change(&accepted[0]);
    fs::write(&accepted[1], "").expect("it is emptied");
    fs::remove_file(&accepted[2]).expect("it is there");
    let third = team.check("", &WITH);
    assert_eq!(states(&third), [0, 1, 23, 1, 1]);
    assert_eq!(third["synced"]["charge"], json!({"images": 1, "frames": 0}));
    assert_eq!(third["synced"]["returned"], json!({"images": 0, "frames": 0}));
    assert_eq!(team.commit()["costs"], json!({"images": 1}));
    team.quota(&["confirm", "--all"]);
    let workspace = team.workspace();
    assert_eq!(workspace["quota"]["images"], json!({"limit": 22, "used": 22, "reserved": 0, "left": 0}));
    assert_eq!((&workspace["synced"][0]["assets"], &workspace["reservations"]), (&json!(25), &json!([])));
    assert_eq!(workspace["synced"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_sync_that_did_not_happen_is_taken_back() {
    let team = Team::new(&["--images", "100", "--frames", "5000"]);
    team.check("", &WITH);
    let first = team.commit();
    let id = first["plan"]["id"].as_str().expect("an id");
    fs::copy(team.source().join("cam1/0001.jpg"), team.source().join("cam1/new.jpg")).expect("it is copied");
    team.check("", &WITH);
    assert_eq!(team.commit()["costs"], json!({"images": 1}), "only the difference");
    let reserved = |kind: &str| team.workspace()["quota"][kind]["reserved"].as_u64();
    let of_first = |kind: &str| first["costs"][kind].as_u64();
    assert_eq!(reserved("images"), of_first("images").map(|images| images + 1));
    // The second plan takes over what it needs of the first.
    let released = team.quota(&["release", &id[..12]]);
    assert!(released.starts_with("released "), "{released}");
    assert_eq!(reserved("images"), of_first("images").map(|images| images + 1));
    assert_eq!(reserved("frames"), of_first("frames"));
    team.quota(&["release", "--all"]);
    assert_eq!(team.workspace()["reservations"], json!([]));
    let again = team.check("", &WITH);
    assert_eq!(states(&again)[1..], [0, 0, 0, 0], "nothing is known to be there");
    assert_eq!(team.quota(&["release", "--all"]), "nothing is reserved\n");
}

#[test]
fn a_stock_gets_back_what_is_gone() {
    let rows = ["--profile", "vi", "--workspace", WORKSPACE];
    let team = Team::new(&["--data-rows", "none", "--used-data-rows", "7"]);
    let first = team.check("", &rows);
    let charge = |document: &Value| {
        let charge = &document["synced"]["charge"];
        charge["images"].as_u64().zip(charge["frames"].as_u64()).map(|(images, frames)| images + frames)
    };
    let all = charge(&first).expect("numbers");
    assert_eq!(team.commit()["costs"], json!({"data-rows": all}));
    team.quota(&["confirm", "--all"]);
    let stock = || team.workspace()["stock"]["data-rows"].clone();
    assert_eq!(stock(), json!({"limit": null, "used": 7 + all, "reserved": 0, "left": null}));

    // The stock is used up; two images go, and two others fit in their place.
    team.quota(&["set", "--data-rows", &(7 + all).to_string()]);
    let source = team.source();
    fs::copy(source.join("cam1/0001.jpg"), source.join("cam1/new.jpg")).expect("it is copied");
    let refused = team.check("", &rows);
    assert_eq!((states(&refused)[0], states(&refused)[4]), (0, 0), "there is no room");
    let gone = first["assets"].as_array().expect("a list").iter().find(|asset| {
        asset["verdict"] == "accept" && asset["kind"] == "image" && asset["name"] != "cam1/0001.jpg"
    });
    let gone = gone.and_then(|asset| asset["name"].as_str()).expect("an accepted image");
    fs::remove_file(source.join(gone)).expect("it is there");
    let fits = team.check("", &rows);
    assert_eq!((states(&fits)[0], states(&fits)[4]), (1, 1));
    assert_eq!(fits["quota"]["images"]["returned"], 5);
    assert_eq!(
        (charge(&fits), &fits["synced"]["gone"]["names"]),
        (Some(5), &json!([root_name(&source, gone)]))
    );
    assert_eq!(team.commit()["costs"], json!({}));
    team.quota(&["confirm", "--all"]);
    assert_eq!(stock()["used"], 7 + all);
    // In another month it is the same stock, and what goes alone gives back.
    fs::remove_file(source.join("cam1/new.jpg")).expect("it is there");
    team.check("", &rows);
    assert_eq!(team.commit()["returned"], json!({"data-rows": 5}));
    team.quota(&["confirm", "--all"]);
    assert_eq!(stock()["used"], 2 + all);
}

#[test]
fn one_limit_for_images_and_frames_is_spent_by_both() {
    let team = Team::new(&["--shared", "300", "--used-shared", "20"]);
    let first = team.check("", &WITH);
    let spent = |document: &Value| {
        let charge = &document["synced"]["charge"];
        charge["images"].as_u64().zip(charge["frames"].as_u64()).map(|(images, frames)| images + frames)
    };
    let all = spent(&first).expect("numbers");
    assert!((200..=280).contains(&all), "{all}");
    assert!(first["assets"].as_array().is_some_and(|assets| {
        let refused = |asset: &&Value| asset["findings"].to_string().contains("of the quota");
        assert!(assets.iter().filter(refused).all(|asset| asset["verdict"] == "reject"));
        assets.iter().filter(refused).count() > 0
    }));
    assert_eq!(team.commit()["costs"], json!({ "shared": all }));
    let shared = || team.workspace()["quota"]["shared"].clone();
    assert_eq!(shared(), json!({"limit": 300, "used": 20, "reserved": all, "left": 280 - all}));
    team.quota(&["confirm", "--all"]);
    assert_eq!(shared(), json!({"limit": 300, "used": 20 + all, "reserved": 0, "left": 280 - all}));
    assert_eq!(spent(&team.check("", &WITH)), Some(0));
}

/// The whole name of a file.
fn root_name(source: &Path, name: &str) -> String {
    fs::canonicalize(source).expect("a folder").join(name).to_str().expect("UTF-8").to_owned()
}

#[test]
fn sources_that_overlap_count_once_in_any_order() {
    let wide = ["--images", "100", "--frames", "5000"];
    let costs = |order: [&str; 2]| {
        let team = Team::new(&wide);
        let mut sum = [0, 0];
        for below in order {
            team.check(below, &WITH);
            let costs = team.commit()["costs"].clone();
            for (sum, kind) in sum.iter_mut().zip(["images", "frames"]) {
                *sum += costs[kind].as_u64().unwrap_or(0);
            }
            team.quota(&["confirm", "--all"]);
        }
        let workspace = team.workspace();
        let used = ["images", "frames"].map(|kind| workspace["quota"][kind]["used"].as_u64().unwrap_or(0));
        assert_eq!(used, sum);
        let shown = team.quota(&[]);
        assert_eq!(shown.matches("each asset counts once").count(), 2, "{shown}");
        let within = team.check("cam1", &WITH);
        assert_eq!(states(&within)[0], 0);
        assert_eq!(within["synced"]["sources"].as_array().map(Vec::len), Some(2));
        sum
    };
    let one = costs(["", "cam1"]);
    assert_eq!(one, costs(["cam1", ""]));
    assert_eq!(one, [29, 814]);
}

#[test]
fn an_audit_counts_an_asset_once() {
    let out = tempfile::tempdir().expect("a folder");
    let demo = demo();
    let (all, cam1) = (demo.clone(), demo.join("cam1"));
    let audit = |sources: &[&Path], format: &str| {
        let presync = Presync::new(["audit".as_ref(), "--out".as_ref(), out.path().as_os_str()]);
        presync.args(sources).args(["--format", format]).run()
    };
    let document = audit(&[&cam1, &all], "json").json();
    assert_eq!(
        (&document["totals"]["listed"], &document["containers"][1]["within"]),
        (&json!(65), &json!(all))
    );
    assert_eq!(document["containers"][1]["totals"]["listed"], 8);
    let alone = audit(&[&all], "json").json();
    for field in ["findings_by_code", "worst_prefixes"] {
        assert_eq!(document[field], alone[field], "{field}");
    }
    let text = audit(&[&all, &cam1], "text").stdout;
    assert!(text.contains("count once, there"), "{text}");
    let other = root().join("fixtures/../fixtures/demo");
    let same = audit(&[&all, &other], "json").json();
    assert_eq!(same["totals"]["listed"], 65, "{same}");
}

#[test]
fn a_plan_says_what_is_synced_without_a_ledger_and_is_recorded_in_one() {
    let team = Team::new(&["--images", "3", "--frames", "5000"]);
    let (plan, earlier) = (team.plan(), team.0.0.path().join("earlier.parquet"));
    let first = team.check("", &["--image-quota", "20", "--synced", plan_of_nothing(&team).as_str()]);
    assert_eq!(states(&first)[1..], [0, 0, 0, 0]);
    fs::rename(&plan, &earlier).expect("it is there");
    let earlier = earlier.to_str().expect("UTF-8");
    let rest = team.check("", &["--image-quota", "3", "--synced", earlier]);
    assert_eq!(states(&rest), [3, 0, 27, 0, 0]);
    let within = team.check("cam1", &["--image-quota", "0", "--synced", earlier]);
    assert_eq!((states(&within)[0], states(&within)[4]), (0, 0));
    let recorded = team.quota(&["synced", earlier]);
    assert!(recorded.starts_with("27 assets of "), "{recorded}");
    let known = team.check("", &WITH);
    assert_eq!(states(&known), [3, 0, 27, 0, 0]);
    assert_eq!(team.workspace()["quota"]["images"]["used"], 0);
    let source = team.source();
    let forgot = team.quota(&["forget", source.to_str().expect("UTF-8")]);
    assert!(forgot.starts_with("forgot 27 assets of "), "{forgot}");
    assert_eq!(states(&team.check("", &WITH))[2], 0);
    let other = team.0.presync(&["dry-run", "fixtures/demo", "--synced", earlier]).run();
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("which has no blob of this source"), "{}", other.stderr);
}

/// A plan that accepts nothing.
fn plan_of_nothing(team: &Team) -> String {
    let plan = team.0.0.path().join("nothing.parquet");
    let (source, plan) = (team.source(), plan.to_str().expect("UTF-8").to_owned());
    let args = ["dry-run", source.to_str().expect("UTF-8"), "--plan", &plan, "--image-quota", "0"];
    team.run(&[&args[..], &["--frame-quota", "0"]].concat());
    plan
}

#[test]
fn a_beginning_that_several_plans_have_names_them() {
    let place = Place::new();
    let mut ledger = place.open();
    for plan in ["0f3c1", "0f3c2"] {
        ledger.reserve(&super::claim(plan, 1), jiff::Timestamp::now()).expect("it can be reserved");
    }
    let refused = place.presync(&["quota", "confirm", "0f3c"]).run();
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("several plans begin with '0f3c'"), "{}", refused.stderr);
    assert!(refused.stderr.contains("0f3c2"), "{}", refused.stderr);
    let confirmed = place.presync(&["quota", "confirm", "0f3c1", "0f3c2"]).run().stdout;
    assert_eq!(confirmed.lines().count(), 2, "{confirmed}");
    let over = place.presync(&["quota", "confirm", "0f3c1"]).run();
    assert_eq!((over.code, over.stderr.contains("has no active reservation")), (2, true), "{}", over.stderr);
}

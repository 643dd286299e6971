//! A commit happens once: processes that race, and processes that are killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::thread;
use std::time::{Duration, Instant};

use presync::model::QuotaKind;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Place, names};
use crate::support::presync::demo;

const ROUNDS: usize = 10;
const KILLS: usize = 40;
/// How long after the ledger's transaction began a process is killed at the latest.
const AROUND: Duration = Duration::from_millis(4);

/// Copies a folder of the demo container, and plans it.
fn planned(place: &Place, folder: &str, plan: &str) -> PathBuf {
    let media = place.path(folder);
    fs::create_dir(&media).expect("a folder");
    for name in names(&demo().join(folder)) {
        fs::copy(demo().join(folder).join(&name), media.join(name)).expect("a copy");
    }
    place.dry_run(media.to_str().expect("UTF-8"), &[]);
    let path = place.path(plan);
    fs::rename(place.plan(), &path).expect("it is moved");
    path
}

/// Takes both processes to their ends; gives back exit codes and reports.
fn outcomes(children: [Child; 2]) -> [(Option<i32>, Value); 2] {
    children.map(|child| {
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let report = serde_json::from_slice(&stdout);
        (
            status.code(),
            report.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr))),
        )
    })
}

fn forget(place: &Place, dirs: &[&Path]) {
    for held in place.reservations() {
        place.ledger().release(&held.plan, jiff::Timestamp::now()).expect("it is released");
    }
    dirs.iter().filter(|dir| dir.exists()).for_each(|dir| fs::remove_dir_all(dir).expect("it is removed"));
}

#[test]
fn of_two_plans_that_want_the_last_budget_one_gets_it() {
    let place = Place::with_quota(100, 1_000);
    let plans = [planned(&place, "cam1", "1.parquet"), planned(&place, "cam2", "2.parquet")];
    let outs = [place.path("1"), place.path("2")];
    // Each of them fits alone, and both together do not.
    place.set_quota(5, 0);
    let mut winners = [0, 0];
    for round in 0..ROUNDS {
        let commit =
            |index: usize| place.spawn_commit(&plans[index], &outs[index]).spawn().expect("it starts");
        let (first, second) = (commit(round % 2), commit(1 - round % 2));
        let mut ended = outcomes([first, second]);
        ended.rotate_left(round % 2);
        let won = ended.iter().position(|(code, _)| *code == Some(0)).expect("one gets it");
        winners[won] += 1;
        let (code, report) = &ended[1 - won];
        assert_eq!((*code, &report["outcome"]), (Some(1), &"refused".into()));
        assert_eq!(report["obstacles"][0]["kind"], "quota");
        let held = place.reservations();
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].costs[&QuotaKind::Images], ended[won].1["costs"]["images"]);
        assert!(outs[won].exists() && !outs[1 - won].exists());
        forget(&place, &[&outs[0], &outs[1]]);
    }
    assert_eq!(
        names(place.0.path()),
        ["1.parquet", "2.parquet", "cam1", "cam2", "ledger.sqlite3", "ledger.sqlite3.synced"]
    );
    eprintln!("the first plan won {} rounds, the second {}", winners[0], winners[1]);
}

#[test]
fn of_two_processes_that_commit_the_same_plan_one_does() {
    let place = Place::with_quota(100, 1_000);
    let (plan, out) = (planned(&place, "cam1", "1.parquet"), place.path("out"));
    for _ in 0..ROUNDS {
        let commit = || place.spawn_commit(&plan, &out).spawn().expect("it starts");
        let ended = outcomes([commit(), commit()]);
        let mut said = ended.map(|(code, report)| {
            assert_eq!(code, Some(0), "{report}");
            assert!(report["outcome"] == "committed" || report["was_reserved"] == true, "{report}");
            report["outcome"].as_str().expect("a word").to_owned()
        });
        said.sort();
        assert_eq!(said, ["committed", "committed-before"]);
        assert_eq!(place.reservations().len(), 1);
        check(&out);
        forget(&place, &[&out]);
    }
    assert_eq!(
        names(place.0.path()),
        ["1.parquet", "cam1", "ledger.sqlite3", "ledger.sqlite3.synced"],
        "no temporary folder stays"
    );
}

/// Whatever is in a commit's folder is whole.
fn check(out: &Path) {
    let record = fs::read(out.join("commit.json")).expect("it is there");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    for file in record["files"].as_array().expect("a list") {
        let bytes = fs::read(out.join(file["name"].as_str().expect("a name"))).expect("it is there");
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file["sha256"], hash, "{file}");
    }
}

#[test]
fn a_commit_that_is_killed_is_finished_by_the_next_one() {
    let place = Place::with_quota(100, 1_000);
    let (plan, out) = (planned(&place, "cam1", "1.parquet"), place.path("out"));
    let begun = Instant::now();
    let whole = place.spawn_commit(&plan, &out).output().expect("it starts");
    let lasts = begun.elapsed();
    assert!(whole.status.success());
    forget(&place, &[&out]);
    let journal = place.path("ledger.sqlite3-journal");
    let mut random = fastrand::Rng::with_seed(7);
    let (mut nothing, mut between, mut done) = (0, 0, 0);
    for number in 0..KILLS {
        let mut child = place.spawn_commit(&plan, &out).spawn().expect("it starts");
        // Every second one dies around the reservation: soon after the ledger's transaction has begun.
        let longest = match number % 2 {
            0 => lasts,
            _ => {
                while !journal.exists() && child.try_wait().expect("it can be asked").is_none() {}
                AROUND
            }
        };
        thread::sleep(Duration::from_micros(random.u64(0..longest.as_micros() as u64)));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        match (place.reservations().len(), out.exists()) {
            (0, false) => nothing += 1,
            (1, false) => between += 1,
            (1, true) => done += 1,
            other => panic!("reserved and there: {other:?}"),
        }
        let next = place.spawn_commit(&plan, &out).output().expect("it starts");
        assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
        assert_eq!(place.reservations().len(), 1);
        check(&out);
        forget(&place, &[&out]);
    }
    assert!(place.spawn_commit(&plan, &out).output().expect("it starts").status.success());
    assert_eq!(
        names(place.0.path()),
        ["1.parquet", "cam1", "ledger.sqlite3", "ledger.sqlite3.synced", "out"],
        "what was left is removed"
    );
    let history = place.ledger().history(None, None).expect("it can be read");
    let reserved =
        history.iter().filter(|change| change.plan.is_some() && change.after > change.before).count();
    assert_eq!(reserved, KILLS + 2, "each commit has reserved once");
    eprintln!("{KILLS} kills: {nothing} before the reservation, {between} after it, {done} at the end");
}

/// A kill just after the reservation, which is too short a moment to be hit by chance.
#[test]
fn a_reservation_without_its_folder_is_taken_up_again() {
    let place = Place::with_quota(100, 1_000);
    let (plan, out) = (planned(&place, "cam1", "1.parquet"), place.path("out"));
    let commit = || place.spawn_commit(&plan, &out).output().expect("it starts");
    assert!(commit().status.success());
    fs::remove_dir_all(&out).expect("it is removed");
    // Nothing is left for others, and nothing more is needed.
    place.set_quota(place.reservations()[0].costs[&QuotaKind::Images], 0);
    let again: Value = serde_json::from_slice(&commit().stdout).expect("JSON");
    assert_eq!((&again["outcome"], &again["was_reserved"]), (&"committed".into(), &true.into()));
    assert_eq!(place.reservations().len(), 1);
    check(&out);
    fs::remove_dir_all(&out).expect("it is removed");
    fs::remove_file(place.path("cam1/0001.jpg")).expect("it is removed");
    let ran = place.presync(&["commit", plan.to_str().expect("UTF-8")]).run();
    assert_eq!(ran.code, 1);
    let hint = format!(
        "An earlier run reserved the quota. To release it: presync quota release {}\n",
        place.reservations()[0].plan
    );
    assert!(ran.stdout.ends_with(&hint), "{}", ran.stdout);
}

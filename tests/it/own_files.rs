//! What presync writes, removes and leaves alone: folders of others, links, and permissions.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use presync::ledger::Ledger;
use presync::model::{Month, Period, QuotaKind};
use tempfile::TempDir;

use crate::support::presync::{Presync, Ran, demo};

/// The number of a user that is neither root nor this one.
const SOMEBODY: u32 = 12_345;

/// A folder with a file of the user's own.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let mine = folder.path().join("mine.txt");
    fs::write(&mine, "mine").expect("it is written");
    (folder, mine)
}

fn plan(folder: &Path, args: &[&str]) -> Ran {
    let plan = folder.join("plan.parquet");
    Presync::dry_run(demo()).args(["--plan".as_ref(), plan.as_os_str()]).args(args).run()
}

/// Names of all entries below a folder.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            paths.extend(tree(&path));
        }
        paths.push(path);
    }
    paths.sort();
    paths
}

#[test]
fn a_folder_that_is_not_a_checkpoint_stays_as_it_is() {
    type Fill = fn(&Path, &Path);
    let foreign: [(&str, Fill); 8] = [
        ("a file", |at, _| fs::write(at.join("thesis.txt"), "x").expect("it is written")),
        ("a plan", |at, _| fs::write(at.join("plan.parquet"), "x").expect("it is written")),
        ("a similar name", |at, _| fs::write(at.join("presync-1-2.parquet"), "x").expect("it is written")),
        ("a folder", |at, _| fs::create_dir(at.join("presync-0000-00000000.parquet")).expect("a folder")),
        ("a link named as a part", |at, mine| {
            symlink(mine, at.join("presync-0000-00000000.parquet")).expect("a link");
        }),
        ("a link named as the lock", |at, mine| symlink(mine, at.join("presync.lock")).expect("a link")),
        ("a broken link", |at, _| symlink("none", at.join("presync.lock")).expect("a link")),
        ("an old lock", |at, _| fs::write(at.join("lock"), "").expect("it is written")),
    ];
    for (case, fill) in foreign {
        for args in [&[][..], &["--resume"]] {
            let (folder, mine) = place();
            let checkpoint = folder.path().join("plan.parquet.checkpoint");
            fs::create_dir(&checkpoint).expect("a folder");
            fs::write(checkpoint.join("presync-0000-00000001.parquet"), "a part").expect("it is written");
            fill(&checkpoint, &mine);
            let before = tree(folder.path());
            let ran = plan(folder.path(), args);
            assert_eq!(ran.code, 2, "{case}: {}", ran.stderr);
            assert!(ran.stderr.contains("which is not part of a checkpoint"), "{case}: {}", ran.stderr);
            assert_eq!(tree(folder.path()), before, "{case}");
            assert_eq!(fs::read_to_string(&mine).expect("it is there"), "mine", "{case}");
        }
    }
}

#[test]
fn a_checkpoint_is_never_behind_a_link() {
    let (folder, mine) = place();
    let theirs = folder.path().join("photos");
    fs::create_dir(&theirs).expect("a folder");
    symlink(&theirs, folder.path().join("plan.parquet.checkpoint")).expect("a link");
    let ran = plan(folder.path(), &[]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("plan.parquet.checkpoint' is not a folder"), "{}", ran.stderr);
    assert!(theirs.is_dir() && mine.is_file());
    fs::remove_file(folder.path().join("plan.parquet.checkpoint")).expect("a link");
    fs::write(folder.path().join("plan.parquet.checkpoint"), "a file").expect("it is written");
    assert_eq!(plan(folder.path(), &[]).code, 2);
}

#[test]
fn what_a_run_put_there_is_removed_and_nothing_else() {
    let (folder, mine) = place();
    let checkpoint = folder.path().join("plan.parquet.checkpoint");
    fs::create_dir(&checkpoint).expect("a folder");
    for name in ["presync.lock", "presync-0000-00000000.parquet", ".presync-aB3xYz"] {
        fs::write(checkpoint.join(name), "left by a killed run").expect("it is written");
    }
    let ran = plan(folder.path(), &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(tree(folder.path()), [mine, folder.path().join("plan.parquet")]);
}

#[test]
fn what_a_killed_commit_left_is_removed_and_nothing_else() {
    let (folder, mine) = place();
    let at = |name: &str| folder.path().join(name);
    let make = |name: &str, files: &[&str]| {
        fs::create_dir(at(name)).expect("a folder");
        files.iter().for_each(|file| fs::write(at(name).join(file), "x").expect("it is written"));
    };
    make(".presync-commit-aB3xYz", &["accepted.jsonl", "rejected.csv"]);
    let kept = [".presync-commit-my-backup", ".presync-commit-cD4xYz", ".presync-commit-eF5xYz", "photos"];
    make(kept[0], &["accepted.jsonl"]);
    make(kept[1], &["accepted.jsonl", "thesis.txt"]);
    make("photos", &["accepted.jsonl"]);
    symlink("photos", at(kept[2])).expect("a link");

    let ledger = at("ledger.sqlite3");
    let limits = [(QuotaKind::Images, Some(1_000)), (QuotaKind::Frames, Some(100_000))];
    let now = jiff::Timestamp::now();
    Ledger::open(&ledger)
        .and_then(|mut ledger| ledger.set("w", Period::Month(Month::of(now)), &limits, &[], now))
        .expect("a quota");
    let presync =
        |args: &[&str]| Presync::new(args).env("PRESYNC_LEDGER", &ledger).inside(folder.path()).run();
    let demo = demo();
    let demo = demo.to_str().expect("UTF-8");
    let planned = presync(&["dry-run", demo, "--plan", "plan.parquet", "--workspace", "w"]);
    assert_eq!(planned.code, 1, "{}", planned.stderr);
    let ran = presync(&["commit", "plan.parquet", "--allow-unknown"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!at(".presync-commit-aB3xYz").exists());
    for name in kept {
        assert!(at(name).join("accepted.jsonl").exists(), "{name}");
    }
    assert!(at(kept[1]).join("thesis.txt").exists() && mine.exists());
}

#[test]
fn nothing_is_written_through_a_link_of_another_user() {
    let (folder, _) = place();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("home")).expect("a folder");
    fs::write(at("home/bashrc"), "mine").expect("it is written");
    symlink("home", at("out")).expect("a link");
    symlink("home/bashrc", at("report.json")).expect("a link");
    let path = |name: &str| at(name).to_str().expect("UTF-8").to_owned();
    let demo = demo();
    let demo = demo.to_str().expect("UTF-8");
    let run = |args: &[&str]| Presync::new(args).run();
    let own = run(&["dry-run", demo, "--format", "json", "--output", &path("report.json")]);
    assert_eq!(own.code, 1, "a link of one's own is followed: {}", own.stderr);
    assert!(fs::read_to_string(at("home/bashrc")).expect("it is there").starts_with('{'));
    assert!(at("report.json").is_symlink());

    fs::write(at("home/bashrc"), "mine").expect("it is written");
    for link in ["out", "report.json"] {
        // Only root can give a link away.
        if lchown(at(link), Some(SOMEBODY), None).is_err() {
            return;
        }
    }
    let before = tree(folder.path());
    let cases: [&[&str]; 7] = [
        &["dry-run", demo, "--format", "json", "--output", &path("report.json")],
        &["dry-run", demo, "--format", "json", "--output", &path("out/report.json")],
        &["dry-run", demo, "--plan", &path("out/plan.parquet")],
        &["dry-run", demo, "--shard", "0/2", "--out", &path("out/parts")],
        &["audit", demo, "--out", &path("out/audit")],
        &["preview", demo, "--output", &path("out/preview")],
        &["quota", "set", "--workspace", "w", "--images", "1", "--ledger", &path("out/ledger.sqlite3")],
    ];
    for args in cases {
        let ran = run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("is a link of another user"), "{args:?}: {}", ran.stderr);
        assert_eq!(tree(folder.path()), before, "{args:?}");
        assert_eq!(fs::read_to_string(at("home/bashrc")).expect("it is there"), "mine", "{args:?}");
    }
}

#[test]
fn a_folder_of_another_user_is_not_a_checkpoint() {
    let (folder, _) = place();
    let checkpoint = folder.path().join("plan.parquet.checkpoint");
    fs::create_dir(&checkpoint).expect("a folder");
    if lchown(&checkpoint, Some(SOMEBODY), None).is_ok() {
        let ran = plan(folder.path(), &[]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("belongs to another user"), "{}", ran.stderr);
    }
}

#[test]
fn the_umask_decides_who_may_read_what_is_written() {
    let run = |folder: &Path, umask: &str, args: &str| {
        let script = format!("umask {umask}; exec \"$0\" {args}");
        let binary = env!("CARGO_BIN_EXE_presync");
        let ran =
            Command::new("sh").args(["-c", &script, binary]).current_dir(folder).output().expect("a shell");
        assert!(ran.status.code() < Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let mode = |path: PathBuf| fs::metadata(path).expect("it is there").mode() & 0o777;
    for (umask, file) in [("022", 0o644), ("077", 0o600), ("002", 0o664)] {
        let (folder, _) = place();
        let demo = demo();
        let args = format!("dry-run '{}' --plan p.parquet --format json --output r.json", demo.display());
        run(folder.path(), umask, &args);
        run(folder.path(), umask, "quota set --workspace w --images 1 --ledger l.sqlite3");
        for name in ["p.parquet", "r.json", "l.sqlite3"] {
            assert_eq!(mode(folder.path().join(name)), file, "{name}, {umask}");
        }
    }
    // Someone else's file, which anyone can write, does not make this one such a file.
    let (folder, _) = place();
    let report = folder.path().join("r.json");
    fs::write(&report, "").expect("it is written");
    fs::set_permissions(&report, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let args = format!("dry-run '{}' --format json --output r.json", demo().display());
    if lchown(&report, Some(SOMEBODY), None).is_ok() {
        run(folder.path(), "022", &args);
        assert_eq!(mode(report), 0o644);
    }
}

//! The plan file: reports from it, what replaces it, and what is no plan.

mod admit;
mod baseline;
mod damaged;
mod queries;
mod resume;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use presync::loopback::{Attempts, Config, Content, Fault, Faults, On, Rule, Server, Shape};
use presync::model::Asset;
use presync::plan_file::{Plan, PlanReader};

use crate::support::presync::{Presync, Ran, demo, root};

const QUOTA: [&str; 4] = ["--image-quota", "20", "--frame-quota", "500"];

/// A folder with the plan of the demo container.
fn planned() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.parquet");
    let ran = dry_run(&path).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    (folder, path)
}

/// A dry run of the demo container that writes its plan to this path.
fn dry_run(plan: &Path) -> Presync {
    Presync::dry_run("fixtures/demo").args(QUOTA).args(["--plan".as_ref(), plan.as_os_str()])
}

fn report(plan: &Path, args: &[&str]) -> Ran {
    Presync::new(["report".as_ref(), plan.as_os_str()]).args(args).run()
}

fn read(plan: &Path) -> (Plan, Vec<Asset>) {
    let reader = PlanReader::open(plan).expect("it is a plan");
    (reader.plan().clone(), reader.map(|asset| asset.expect("it is read")).collect())
}

/// A plan's rows as they lie in the file, up to its footer.
fn rows(plan: &Path) -> Vec<u8> {
    let bytes = fs::read(plan).expect("it is there");
    let (tail, footer) = (bytes.len() - 8, bytes[bytes.len() - 8..].first_chunk().expect("4 bytes"));
    bytes[..tail - u32::from_le_bytes(*footer) as usize].to_vec()
}

/// A plan without its times.
fn timeless(plan: &Path) -> (Plan, Vec<Asset>) {
    let (mut plan, assets) = read(plan);
    plan.header.begun = jiff::Timestamp::UNIX_EPOCH;
    plan.ended = jiff::Timestamp::UNIX_EPOCH;
    (plan, assets)
}

/// Names of the files in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().into_string());
    let mut names: Vec<_> = entries.map(|entry| name(entry).expect("an entry").expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn every_report_of_a_plan_is_the_one_of_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.parquet");
    for args in [
        ["--format", "text"],
        ["--format", "json"],
        ["--format", "jsonl"],
        ["--format", "csv"],
        ["--format", "junit"],
        ["--format", "sarif"],
        ["--format", "github"],
        ["--format", "html"],
        ["--color", "always"],
    ] {
        let ran = dry_run(&path).args(args).run();
        let again = report(&path, &args);
        assert_eq!((again.code, again.stderr.as_str()), (1, ""));
        // The time that the run took is among the totals, and the plan has it to the nanosecond.
        assert!(again.stdout == ran.stdout, "{args:?}: {}", again.stdout);
        assert_eq!(names(folder.path()), ["plan.parquet"], "no temporary file stays");
    }
    assert_eq!(report(&path, &["--exit-zero"]).code, 0);
    let file = folder.path().join("report.json");
    let ran = report(&path, &["--format", "json", "--output", &file.to_string_lossy()]);
    assert_eq!(ran.stdout, "");
    assert_eq!(fs::read_to_string(file).expect("it is there"), report(&path, &["--format", "json"]).stdout);
}

#[test]
fn the_same_container_gives_the_same_plan_at_any_concurrency() {
    let folder = tempfile::tempdir().expect("a folder");
    let runs = ["1", "7", "64"].map(|concurrency| {
        let path = folder.path().join(format!("{concurrency}.parquet"));
        dry_run(&path).args(["--concurrency", concurrency, "--workers", "3"]).run();
        let (plan, assets) = timeless(&path);
        (rows(&path), plan, assets)
    });
    assert_eq!(runs[0].2.len(), 65);
    assert!(
        runs[0] == runs[1] && runs[0] == runs[2],
        "all but the times is the same, the rows byte for byte"
    );
}

#[test]
fn a_run_with_a_newer_blob_has_another_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let (media, path) = (folder.path().join("media"), folder.path().join("plan.parquet"));
    fs::create_dir(&media).expect("a folder");
    fs::copy(demo().join("cam1/0001.jpg"), media.join("a.jpg")).expect("a copy");
    let id = || {
        Presync::dry_run(&media).args(["--plan".as_ref(), path.as_os_str()]).run();
        read(&path).0.id
    };
    let first = id();
    assert_eq!(id(), first);
    fs::copy(demo().join("cam1/0002.jpg"), media.join("a.jpg")).expect("a copy");
    assert_ne!(id(), first);
}

#[test]
fn a_broken_listing_leaves_a_plan_that_says_so_but_none_over_another() {
    let broken = Rule {
        on: On::Lists,
        after: 1,
        ..Rule::on_reads(Fault::timed_out(), 1.0).attempts(Attempts::Always)
    };
    let faults = Faults { rules: vec![broken], ..Faults::default() };
    let content = Content::Shape(Shape { blobs: 6_000, ..Shape::default() });
    let config = Config { faults, ..Config::of("media", content) };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.parquet");
    let run = || {
        let server = Server::start(config.clone()).expect("it starts");
        let source = format!("{}/media", server.url());
        Presync::dry_run(source).args(["--auth", "anonymous", "--plan"]).args([&path]).run()
    };

    let ran = run();
    assert_eq!(ran.code, 2);
    let said = format!("the plan '{}' is incomplete, because this run is\n", path.display());
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    let (plan, assets) = read(&path);
    assert_eq!(assets.len(), 5_000);
    assert!(plan.summary.incomplete.is_some_and(|why| why.contains("failed after 5000 blobs")));
    let again = report(&path, &[]);
    assert_eq!((again.code, again.stdout), (3, ran.stdout), "an incomplete run never looks clean");

    let before = fs::read(&path).expect("it is there");
    let ran = run();
    let said = format!("'{}' was not replaced, because this run is incomplete\n", path.display());
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    assert!(fs::read(&path).expect("it is there") == before);
    assert_eq!(names(folder.path()), ["plan.parquet", "plan.parquet.checkpoint"], "no temporary file stays");
}

#[test]
fn a_plan_that_cannot_be_written_is_said_before_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("it can be written");
    for (path, message) in [
        (folder.path().join("nothing/plan.parquet"), "cannot write to the folder"),
        (file.join("plan.parquet"), "cannot write to the folder"),
        (folder.path().to_owned(), "is a folder, not a file"),
        ("/proc/plan.parquet".into(), "cannot write to the folder '/proc'"),
        ("/dev/full".into(), "'/dev/full' is a device or a pipe, not a file"),
    ] {
        let ran = dry_run(&path).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", path.display());
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
    let twice = dry_run(&file).args(["--output".as_ref(), file.as_os_str()]).run();
    assert_eq!(twice.code, 2);
    assert!(twice.stderr.contains("--output and --plan are the same file"), "{}", twice.stderr);
    assert_eq!(names(folder.path()), ["file"]);
}

/// A limit on the size of files stands for a full disk: both refuse a write in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_plan() {
    let (folder, path) = planned();
    let before = fs::read(&path).expect("it is there");
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let ran = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_presync"), "dry-run", "fixtures/demo", "--plan"])
        .arg(&path)
        .current_dir(root())
        .output()
        .expect("there is a shell");
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr, format!("error: cannot write the plan '{}': file too large\n", path.display()));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("rejected"), "the report is there all the same");
    assert!(fs::read(&path).expect("it is there") == before);
    assert_eq!(names(folder.path()), ["plan.parquet"], "no temporary file stays");
}

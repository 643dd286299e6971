//! A run that is broken off is taken up, and ends with the plan of an undisturbed one.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use presync::loopback::{Config, Content, Faults, Handle, Kind, Latency, Server, Shape};
use presync::plan_file::PlanReader;

use super::{names, rows, timeless};
use crate::support::presync::{Presync, demo};

const BLOBS: u64 = 800;
const KILLS: u32 = 50;

/// A server that takes its time, so that a run can be killed in the middle.
fn serve() -> Handle {
    let latency = Latency::Fixed { ms: 4.0 };
    let content = Content::Shape(Shape { blobs: BLOBS, ..Shape::default() });
    let faults = Faults { latency, ..Faults::default() };
    Server::start(Config { faults, ..Config::of("media", content) }).expect("it starts")
}

fn args(server: &Handle, plan: &Path) -> Vec<String> {
    let (source, plan) = (format!("{}/media", server.url()), plan.display().to_string());
    let args = ["dry-run", &source, "--auth", "anonymous", "--plan", &plan, "--frame-quota", "9000"];
    let pace = ["--concurrency", "8", "--checkpoint-every", "20ms"];
    args.into_iter().chain(pace).map(str::to_owned).collect()
}

fn start(args: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presync"));
    command.args(args).arg("--resume").stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the binary starts")
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_like_one_that_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (undisturbed, plan) = (folder.path().join("undisturbed.parquet"), folder.path().join("plan.parquet"));
    let server = serve();
    let begun = Instant::now();
    let ran = Presync::new(args(&server, &undisturbed)).run();
    let whole = begun.elapsed();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let reads = server.stats().of(Kind::Read);

    let (mut kills, mut finished) = (0, 0);
    let mut random = fastrand::Rng::with_seed(7);
    while kills < KILLS || finished < 3 {
        let mut kills_of_run = 0;
        loop {
            let kept = requests_kept(&plan);
            server.reset();
            let mut run = start(&args(&server, &plan));
            thread::sleep(whole.mul_f64(random.f64() * 0.6));
            // A run that has had enough of it is left to its end.
            if kills_of_run < 20 && run.try_wait().expect("it can be asked").is_none() {
                run.kill().expect("it can be killed");
                run.wait().expect("it ends");
                (kills, kills_of_run) = (kills + 1, kills_of_run + 1);
                continue;
            }
            assert_eq!(run.wait().expect("it ends").code(), Some(1));
            assert_eq!(server.stats().of(Kind::Read) + kept, reads, "nothing is read again");
            break;
        }
        finished += 1;
        assert!(rows(&plan) == rows(&undisturbed), "the rows are the same, byte for byte");
        assert!(timeless(&plan) == timeless(&undisturbed));
        assert_eq!(names(folder.path()), ["plan.parquet", "undisturbed.parquet"], "the checkpoint is gone");
        fs::remove_file(&plan).expect("it is there");
    }
}

/// Requests that the assets in a checkpoint took.
fn requests_kept(plan: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(plan.with_extension("parquet.checkpoint")) else { return 0 };
    let parts = entries.map(|entry| entry.expect("an entry").path());
    let parts = parts.filter(|path| path.extension() == Some("parquet".as_ref()));
    parts.map(|part| PlanReader::open(&part).expect("a part").plan().summary.totals.requests).sum()
}

#[cfg(unix)]
#[test]
fn a_run_that_is_interrupted_says_how_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.parquet");
    let server = serve();
    let mut command = Command::new(env!("CARGO_BIN_EXE_presync"));
    command.args(args(&server, &plan)).stdout(Stdio::null()).stderr(Stdio::piped());
    let run = command.spawn().expect("the binary starts");
    while server.stats().total() < BLOBS * 2 / 3 {
        thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("it is sent");
    let ended = run.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("run the same command with --resume to continue from here\n"), "{stderr}");
    let before = server.stats().total();
    let ran = Presync::new(args(&server, &plan)).args(["--resume", "-v"]).run();
    assert!(ran.stderr.contains(&format!("resuming the run for '{}'\n", plan.display())), "{}", ran.stderr);
    assert_eq!((ran.code, timeless(&plan).1.len() as u64), (1, BLOBS));
    assert!(server.stats().total() - before < before, "most was done before");
    assert_eq!(names(folder.path()), ["plan.parquet"]);
}

/// A checkpoint of the demo container: what a run that cannot write its plan leaves.
fn checkpoint(folder: &Path) -> std::path::PathBuf {
    let plan = folder.join("plan.parquet");
    let checkpoint = folder.join("plan.parquet.checkpoint");
    fs::create_dir(&checkpoint).expect("a folder");
    let part = checkpoint.join("presync-0000-00000000.parquet");
    let ran = Presync::dry_run(demo()).args(["--plan".as_ref(), part.as_os_str()]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    plan
}

#[test]
fn a_checkpoint_is_only_taken_up_by_a_run_like_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = checkpoint(folder.path());
    let resume = |source: &Path, args: &[&str]| {
        Presync::dry_run(source)
            .args([plan.as_os_str()].map(|plan| ["--plan".as_ref(), plan]).concat())
            .args(args)
            .run()
    };
    let others: [(&Path, &[&str], &str); 4] = [
        (&demo().join("cam1"), &["--resume"], "another source"),
        (&demo(), &["--resume", "--no-recurse"], "another source"),
        (&demo(), &["--resume", "--profile", "vi"], "another profile"),
        (&demo(), &["--resume", "--dimensions"], "another choice of --dimensions"),
    ];
    for (source, args, says) in others {
        let ran = resume(source, args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("the run to resume had {says}\n")), "{}", ran.stderr);
        assert!(ran.stderr.contains("leave out --resume to start over"), "{}", ran.stderr);
    }
    let part = folder.path().join("plan.parquet.checkpoint/presync-0000-00000000.parquet");
    let bytes = fs::read(&part).expect("it is there");
    fs::write(&part, &bytes[..bytes.len() / 2]).expect("it can be written");
    let ran = resume(&demo(), &["--resume"]);
    assert!(ran.code == 2 && ran.stderr.contains("is damaged: it is cut short"), "{}", ran.stderr);
    fs::write(&part, bytes).expect("it can be written");

    let ran = resume(&demo(), &["--resume", "--format", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let fresh = Presync::dry_run(demo()).args(["--format", "json"]).run();
    assert_eq!(
        ran.json()["totals"]["requests"],
        fresh.json()["totals"]["requests"],
        "they count as they were"
    );
    assert_eq!(names(folder.path()), ["plan.parquet"]);
}

#[test]
fn two_runs_do_not_write_the_same_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.parquet");
    let server = serve();
    let mut first = start(&args(&server, &plan));
    while !folder.path().join("plan.parquet.checkpoint/presync.lock").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    // It is locked soon after it is there.
    thread::sleep(Duration::from_millis(50));
    let second = Presync::new(args(&server, &plan)).run();
    assert_eq!(second.code, 2);
    let says = format!("another presync is writing the plan '{}'\n", plan.display());
    assert!(second.stderr.contains(&says), "{}", second.stderr);
    assert_eq!(first.wait().expect("it ends").code(), Some(1), "the first is not disturbed");
    assert_eq!(timeless(&plan).1.len() as u64, BLOBS);
}

/// A limit on the size of files stands for a full disk, as for the plan itself.
#[cfg(unix)]
#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.parquet");
    fs::write(&plan, "an older one").expect("it can be written");
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let ran = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_presync"), "dry-run", "--checkpoint-every", "0s"])
        .args([demo().as_os_str(), "--plan".as_ref(), plan.as_os_str()])
        .output()
        .expect("there is a shell");
    let part = folder.path().join("plan.parquet.checkpoint/presync-0000-00000000.parquet");
    let said = format!("error: cannot write the plan '{}': file too large\n", part.display());
    assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned()), (Some(2), said));
    assert_eq!(fs::read_to_string(&plan).expect("it is there"), "an older one");
    assert_eq!(names(folder.path()), ["plan.parquet"], "nothing half-written stays");
}

//! An audit that is stopped keeps what is finished, and the next one goes on.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use presync::loopback::{Faults, Handle, Kind, Latency, Server};
use serde_json::{Value, json};

use super::{audit_account, connection, containers, fleet, states};

const BLOBS: u64 = 60;
const CONTAINERS: u32 = 40;

fn serve(ms: f64) -> Handle {
    let mut config = fleet(CONTAINERS, BLOBS);
    config.page_size = 5_000;
    config.faults = Faults { latency: Latency::Fixed { ms }, ..Faults::default() };
    Server::start(config).expect("it starts")
}

/// Stops an audit with this signal once a plan is there, and gives what it wrote to stdout.
fn stopped(server: &Handle, out: &Path, signal: &str, seconds: f64) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_presync"));
    child.args(["audit", "--account", "loopback", "--auth", "anonymous", "--format", "json"]);
    child.args(["--concurrency", "16", "--checkpoint-every", "20ms", "--out"]).arg(out);
    child.env("AZURE_STORAGE_CONNECTION_STRING", connection(server));
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    while server.stats().of(Kind::Read) < BLOBS * 18 {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_secs_f64(seconds));
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    let ended = child.wait_with_output().expect("it ends");
    (ended.status.code(), String::from_utf8(ended.stdout).expect("UTF-8"))
}

fn plans(out: &Path) -> usize {
    let Ok(entries) = fs::read_dir(out.join("account=loopback")) else { return 0 };
    entries
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().join("plan.parquet").exists()))
        .count()
}

#[test]
fn ctrl_c_keeps_what_is_finished_and_tells_the_rest() {
    let server = serve(4.0);
    let folder = tempfile::tempdir().expect("a folder");
    let (code, stdout) = stopped(&server, folder.path(), "-INT", 0.0);
    assert_eq!(code, Some(3));
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    let states = states(&document);
    assert_eq!(containers(&document).len(), CONTAINERS as usize);
    assert!(states["not-done"] > 0 && states.get("complete").is_some_and(|count| *count > 0), "{states:?}");
    assert_eq!(states["complete"], plans(folder.path()));
    let kept = document["totals"]["requests"].as_u64().expect("a sum");

    server.reset();
    let (code, document) = audit_account(&server, folder.path());
    assert_eq!((code, &document["complete"]), (1, &json!(true)));
    assert_eq!(document["totals"]["listed"], u64::from(CONTAINERS) * BLOBS);
    let read = server.stats().of(Kind::Read);
    assert!(kept + read <= u64::from(CONTAINERS) * BLOBS, "{kept} were kept, {read} were read");
    assert_eq!(plans(folder.path()), CONTAINERS as usize);
}

#[test]
fn an_audit_that_is_killed_is_taken_up() {
    let server = serve(4.0);
    let folder = tempfile::tempdir().expect("a folder");
    let (code, stdout) = stopped(&server, folder.path(), "-KILL", 0.1);
    assert_eq!((code, stdout.as_str()), (None, ""));
    let done = plans(folder.path()) as u64;
    assert!(done > 0);
    server.reset();
    let (code, document) = audit_account(&server, folder.path());
    assert_eq!((code, &document["complete"]), (1, &json!(true)));
    assert!(
        server.stats().of(Kind::Read) < (u64::from(CONTAINERS) - done) * BLOBS,
        "what was begun is taken up"
    );
    let left = fs::read_dir(folder.path().join("account=loopback/container=site-00000")).expect("a folder");
    assert_eq!(left.count(), 1, "no checkpoint stays");
}

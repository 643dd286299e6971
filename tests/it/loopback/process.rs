//! `presync loopback`, and how it is controlled.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use hyper::Method;
use presync::loopback::{Config, Kind, Stats};
use serde_json::{Value, json};

use super::{shape, texts};
use crate::support::http::{Client, text};
use crate::support::presync::Presync;

/// `presync loopback` in a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_presync"))
            .arg("loopback")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(ready["containers"], json!(["media"]));
        Self { child, url: ready["url"].as_str().expect("a URL").to_owned() }
    }

    /// Sends a request about the server itself.
    fn control(&self, method: Method, path: &str, body: String) -> (u16, String) {
        let origin = self.url.strip_suffix("/loopback").expect("the account ends the URL");
        let url = format!("{origin}/_loopback/{path}");
        let answer = Client::new(None).send(method, &url, &[], body).expect("an answer");
        (answer.status().as_u16(), text(answer))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it ends when its stdin does");
        assert!(std::thread::panicking() || status.success(), "{status}");
    }
}

#[test]
fn a_process_of_its_own_is_controlled_over_http() {
    let server = Process::start(&["--blobs", "7", "--latency", "1ms"]);
    let client = Client::new(None);
    let url = format!("{}/media?restype=container&comp=list", server.url);
    let page = client.get(&url).map(text).expect("a page");
    assert_eq!(texts(&page, "Name").len(), 7);

    let faults = json!({ "rules": [{ "fault": { "refuse": { "status": 503, "code": "ServerBusy" } }, "on": "lists",
        "attempts": "always" }] });
    assert_eq!(server.control(Method::POST, "faults", faults.to_string()).0, 200);
    assert_eq!(client.get(&url).expect("an answer").status(), 503);
    let (status, stats) = server.control(Method::GET, "stats", String::new());
    let stats: Stats = serde_json::from_str(&stats).expect("counters");
    assert_eq!((status, stats.of(Kind::List), stats.refused), (200, 2, 1));
    for wrong in [json!({ "rulez": [] }), json!({ "rules": [{ "fault": "reset", "rate": 1.5 }] })] {
        assert_eq!(server.control(Method::POST, "faults", wrong.to_string()).0, 400);
    }
    assert_eq!(server.control(Method::POST, "reset", String::new()).0, 200);
    let (_, stats) = server.control(Method::GET, "stats", String::new());
    assert_eq!(serde_json::from_str::<Stats>(&stats).expect("counters").total(), 0);
}

#[test]
fn a_file_says_what_is_served_and_options_change_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    let config = Config { account: "loopback".into(), ..Config::of("media", shape(5)) };
    fs::write(&file, serde_json::to_vec(&config).expect("JSON")).expect("it can be written");
    let file = file.to_str().expect("a path");
    let server = Process::start(&["--config", file, "--fail", "1", "--seed", "3"]);
    let source = format!("{}/media", server.url);
    let ran = Presync::dry_run(source).args(["--auth", "anonymous", "--format", "json"]).run();
    assert_eq!(ran.json()["totals"]["listed"], 5);
    let (_, stats) = server.control(Method::GET, "stats", String::new());
    let stats: Stats = serde_json::from_str(&stats).expect("counters");
    assert!(stats.faults.values().sum::<u64>() >= 6, "every range and the page failed: {stats:?}");
}

#[test]
fn a_configuration_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    fs::write(&file, "{\"prot\":1}").expect("it can be written");
    let file = file.to_str().expect("a path");
    for (args, says) in [
        (["--config", file], "unknown field `prot`"),
        (["--config", "/no/such/file"], "no such file"),
        (["--fail", "1.5"], "between 0 and 1"),
        (["--limit", "0"], "a rate above 0"),
        (["--blobs", "1000000001"], "at most 1000000000 blobs"),
        (["--latency", "soon"], "not a duration"),
    ] {
        let ran = Presync::new(["loopback"]).args(args).run();
        assert!(ran.code == 2 && ran.stdout.is_empty() && ran.stderr.contains(says), "{}", ran.stderr);
    }
}

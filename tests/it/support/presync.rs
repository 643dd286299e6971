//! The binary under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A run of the binary, isolated from the user's environment.
pub struct Presync(Command);

/// The result of a run.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Presync {
    /// `presync dry-run SOURCE`, in the project folder.
    pub fn dry_run(source: impl AsRef<OsStr>) -> Self {
        Self::new(["dry-run".as_ref(), source.as_ref()])
    }

    pub fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_presync"));
        command.env_clear().current_dir(root()).args(args);
        Self(command)
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs in another folder than the project folder.
    pub fn inside(mut self, folder: impl AsRef<Path>) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub fn run(mut self) -> Ran {
        let Output { status, stdout, stderr } = self.0.output().expect("the binary starts");
        Ran {
            code: status.code().expect("no signal ends it"),
            stdout: without_ids(String::from_utf8(stdout).expect("stdout is UTF-8")),
            stderr: without_ids(String::from_utf8(stderr).expect("stderr is UTF-8")),
        }
    }
}

/// The text without the IDs of requests, which differ from run to run.
fn without_ids(text: String) -> String {
    let mut parts = text.split("(request ID ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once(')') {
        Some((_, rest)) => format!("{text}(request ID …){rest}"),
        None => text + part,
    })
}

impl Ran {
    /// The JSON document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    /// The JSON records of assets on stdout, without the summary that follows them.
    pub fn jsonl(&self) -> Vec<Value> {
        let record = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(record).filter(|record: &Value| record.get("name").is_some()).collect()
    }
}

/// A report, and those of an audit's containers, without what differs from run to run.
pub fn timeless(mut document: Value) -> Value {
    for time in ["started", "ended"] {
        document.as_object_mut().and_then(|document| document.remove(time));
    }
    if let Some(totals) = document.get_mut("totals").and_then(Value::as_object_mut) {
        totals.remove("elapsed_s");
    }
    if let Some(containers) = document.get_mut("containers").and_then(Value::as_array_mut) {
        containers.iter_mut().for_each(|container| *container = timeless(container.take()));
    }
    document
}

/// JSON lines without the last one, which says when the run was.
pub fn without_summary(lines: &str) -> &str {
    lines.trim_end().rsplit_once('\n').map_or("", |(assets, _)| assets)
}

/// Runs a command, and also returns the most memory that it held, in KiB.
pub fn measured(mut command: Command) -> (Ran, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    // What it prints fits a pipe, so nothing need be read while it runs.
    while child.try_wait().expect("it runs").is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = now.unwrap_or_default().max(peak);
        thread::sleep(Duration::from_millis(1));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = status.code().expect("no signal ends it");
    (Ran { code, stdout: text(stdout), stderr: text(stderr) }, peak)
}

/// The project folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The demo container.
pub fn demo() -> PathBuf {
    root().join("fixtures/demo")
}

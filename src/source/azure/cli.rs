//! Runs the Azure CLI or the Azure Developer CLI for a token, and reports its own error instead of the client library's.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use azure_identity::Executor;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::failure::{Failure, first_line};
use crate::model::error::reason;

/// How long a tool has to return a token. Seconds are usual; one that asks a question waits forever.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs the command line in `$1`, and ends all its processes when the standard input closes: when presync gives up,
/// ends, or is killed. The shell is the leader of a process group of its own.
#[cfg(unix)]
const WATCHED: &str = "exec 3<&0; { read -r _ <&3; kill -9 0; } >/dev/null 2>&1 & exec 3<&-; \
                       /bin/sh -c \"$1\" </dev/null";

/// A tool that signs a developer in. Output without a token becomes an error that wraps a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// The Azure CLI.
    Az,
    /// The Azure Developer CLI.
    Azd,
}

#[async_trait]
impl Executor for Tool {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let fault = match timeout(DEADLINE, output(program, args)).await {
            Ok(Ok(output)) => match self.fault_of(&output) {
                None => return Ok(output),
                Some(fault) => fault,
            },
            Ok(Err(error)) => format!("cannot run {}: {}", self.name(), reason(&error)),
            Err(_) => format!(
                "{} did not respond within {} s: run '{}' to see why",
                self.name(),
                DEADLINE.as_secs(),
                self.command()
            ),
        };
        Err(io::Error::other(Failure::Credential { cause: fault, code: None }))
    }
}

/// The output of a command line for a shell: `program` is the shell, and the last of `args` the command line.
#[cfg(unix)]
async fn output(program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
    let line = args.last().copied().unwrap_or_default();
    let mut shell = Command::new(program);
    shell.arg("-c").arg(WATCHED).arg("presync").arg(line).process_group(0).kill_on_drop(true);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Held until the end, also of a future that is dropped: the processes end when it closes.
    let _held = child.stdin.take();
    child.wait_with_output().await
}

#[cfg(not(unix))]
async fn output(program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
    Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output().await
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Az => "az",
            Self::Azd => "azd",
        }
    }

    /// The command that asks for a token.
    fn command(self) -> &'static str {
        match self {
            Self::Az => "az account get-access-token --scope https://storage.azure.com/.default",
            Self::Azd => "azd auth token --scope https://storage.azure.com/.default",
        }
    }

    /// Why the output isn't a token. Stdout is never shown, because it may contain one.
    fn fault_of(self, output: &Output) -> Option<String> {
        let name = self.name();
        if !output.status.success() {
            let said = said(&String::from_utf8_lossy(&output.stderr));
            return Some(match (said.is_empty(), output.status.code()) {
                (false, _) => said,
                (true, Some(code)) => format!("{name} exited with code {code} and gave no reason"),
                (true, None) => format!("{name} gave no reason"),
            });
        }
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let fields: &[&str] = match self {
            Self::Az => &["accessToken", "tokenType"],
            Self::Azd => &["token", "expiresOn"],
        };
        if !fields.iter().all(|name| answer[*name].is_string()) {
            return Some(format!("{name} did not return a token"));
        }
        let is_old = self == Self::Az && !answer["expires_on"].is_i64();
        is_old.then(|| "az is older than 2.54.0: update it".into())
    }
}

/// The message of a line of azd's, which is JSON; any other line as it is.
fn message(line: &str) -> String {
    let message = serde_json::from_str::<Value>(line).ok();
    let message = message.and_then(|line| Some(line["data"]["message"].as_str()?.trim().to_owned()));
    message.unwrap_or_else(|| line.to_owned())
}

/// The line with the error; warnings may come before it.
fn said(stderr: &str) -> String {
    let stderr: Vec<_> = stderr.lines().map(message).collect();
    let error = stderr.iter().find_map(|line| line.trim().strip_prefix("ERROR:"));
    first_line(error.unwrap_or(&stderr.join("\n"))).trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn fault(code: i32, stdout: &str, stderr: &str) -> Option<String> {
        let status = ExitStatus::from_raw(code << 8);
        Tool::Az.fault_of(&Output { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    #[test]
    fn the_error_is_found_among_the_warnings() {
        let stderr = "WARNING: an update is there\nERROR: Please run 'az login' to setup account.\n";
        assert_eq!(fault(1, "", stderr).as_deref(), Some("Please run 'az login' to setup account"));
        assert_eq!(fault(127, "", "sh: az: not found\n").as_deref(), Some("sh: az: not found"));
        assert_eq!(fault(3, "", " \n").as_deref(), Some("az exited with code 3 and gave no reason"));
        let output = Output { status: ExitStatus::from_raw(9), stdout: Vec::new(), stderr: Vec::new() };
        assert_eq!(Tool::Az.fault_of(&output).as_deref(), Some("az gave no reason"));
    }

    #[test]
    fn an_answer_without_a_token_is_told_and_not_shown() {
        let token = r#"{"accessToken": "secret", "tokenType": "Bearer", "expires_on": 1}"#;
        assert_eq!(fault(0, token, "WARNING: x"), None);
        for stdout in ["", "secret", "[]", r#"{"accessToken": 1}"#] {
            assert_eq!(fault(0, stdout, "").as_deref(), Some("az did not return a token"), "{stdout}");
        }
        let old = r#"{"accessToken": "secret", "tokenType": "Bearer"}"#;
        assert_eq!(fault(0, old, "").as_deref(), Some("az is older than 2.54.0: update it"));
    }

    #[test]
    fn the_message_of_azd_is_found_in_its_json() {
        let line = r#"{"type":"consoleMessage","data":{"message":"\nERROR: fetching token: not logged in, run `azd auth login`\n"}}"#;
        assert_eq!(said(line), "fetching token: not logged in, run `azd auth login`");
        let output = |stdout: &str| Output {
            status: ExitStatus::from_raw(0),
            stdout: stdout.into(),
            stderr: Vec::new(),
        };
        let token = r#"{"token": "secret", "expiresOn": "2026-11-01T10:00:00Z"}"#;
        assert_eq!(Tool::Azd.fault_of(&output(token)), None);
        assert_eq!(Tool::Azd.fault_of(&output("{}")).as_deref(), Some("azd did not return a token"));
    }

    #[tokio::test]
    async fn what_a_tool_started_ends_when_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        // As az does, the tool runs another program, and does not wait for its end with `exec`.
        let line = format!("cd /bin && (sleep 600 & echo $! $$ > '{}'; sleep 600; true)", pids.display());
        let args = [OsStr::new("-c"), OsStr::new(&line)];
        let late = timeout(Duration::from_millis(500), output(OsStr::new("/bin/sh"), &args)).await;
        assert!(late.is_err(), "it was still running");
        let pids = std::fs::read_to_string(pids).unwrap();
        let is_running = |pid: &str| {
            std::path::Path::new("/proc").join(pid).join("cmdline").metadata().is_ok()
                && std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| !stat.contains(") Z "))
        };
        for pid in pids.split_whitespace() {
            let begun = std::time::Instant::now();
            while is_running(pid) && begun.elapsed() < Duration::from_secs(5) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(!is_running(pid), "{pid}");
        }
        assert!(!pids.trim().is_empty());
    }

    #[tokio::test]
    async fn a_tool_gets_its_words_and_no_input() {
        let line = OsStr::new("cd /bin && printf '%s|' 'a b' \"$PWD\"; cat; echo said >&2; exit 3");
        let output = output(OsStr::new("/bin/sh"), &[OsStr::new("-c"), line]).await.unwrap();
        assert_eq!(
            (output.status.code(), &*output.stdout, &*output.stderr),
            (Some(3), &b"a b|/bin|"[..], &b"said\n"[..])
        );
    }
}

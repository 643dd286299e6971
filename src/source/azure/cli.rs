//! Runs the Azure CLI for a token, and reports its own error instead of the client library's.

use std::ffi::OsStr;
use std::io;
use std::process::Output;
use std::sync::Arc;

use async_trait::async_trait;
use azure_identity::{Executor, new_executor};
use serde_json::Value;

use super::failure::{Failure, first_line};
use crate::model::error::reason;

/// Runs the CLI. Output without a token becomes an error that wraps a [`Failure`].
#[derive(Debug)]
pub(super) struct Az(Arc<dyn Executor>);

impl Az {
    pub(super) fn new() -> Self {
        Self(new_executor())
    }
}

#[async_trait]
impl Executor for Az {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let fault = match self.0.run(program, args).await {
            Ok(output) => match fault_of(&output) {
                None => return Ok(output),
                Some(fault) => fault,
            },
            Err(error) => format!("cannot run az: {}", reason(&error)),
        };
        Err(io::Error::other(Failure::Credential { cause: fault, code: None }))
    }
}

/// Why the output isn't a token. Stdout is never shown, because it may contain one.
fn fault_of(output: &Output) -> Option<String> {
    if !output.status.success() {
        let said = said(&String::from_utf8_lossy(&output.stderr));
        return Some(match (said.is_empty(), output.status.code()) {
            (false, _) => said,
            (true, Some(code)) => format!("az exited with code {code} and gave no reason"),
            (true, None) => "az gave no reason".into(),
        });
    }
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if !["accessToken", "tokenType"].iter().all(|name| answer[name].is_string()) {
        return Some("az did not return a token".into());
    }
    (!answer["expires_on"].is_i64()).then(|| "az is older than 2.54.0: update it".into())
}

/// The line with the error; warnings may come before it.
fn said(stderr: &str) -> String {
    let error = stderr.lines().find_map(|line| line.trim().strip_prefix("ERROR:"));
    first_line(error.unwrap_or(stderr)).trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn fault(code: i32, stdout: &str, stderr: &str) -> Option<String> {
        let status = ExitStatus::from_raw(code << 8);
        fault_of(&Output { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    #[test]
    fn the_error_is_found_among_the_warnings() {
        let stderr = "WARNING: an update is there\nERROR: Please run 'az login' to setup account.\n";
        assert_eq!(fault(1, "", stderr).as_deref(), Some("Please run 'az login' to setup account"));
        assert_eq!(fault(127, "", "sh: az: not found\n").as_deref(), Some("sh: az: not found"));
        assert_eq!(fault(3, "", " \n").as_deref(), Some("az exited with code 3 and gave no reason"));
        let output = Output { status: ExitStatus::from_raw(9), stdout: Vec::new(), stderr: Vec::new() };
        assert_eq!(fault_of(&output).as_deref(), Some("az gave no reason"));
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
}

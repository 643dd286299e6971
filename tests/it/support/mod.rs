//! Shared test utilities.

use std::process::{Command, Stdio};

pub mod azurite;
pub mod chromium;
pub mod http;
pub mod presync;
pub mod python;
pub mod stand_in;
pub mod tls;
pub mod wheel;

/// Runs a command that must succeed, and returns its stdout.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs what is missing"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    output.stdout
}

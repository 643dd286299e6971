//! What isn't a regular file is refused, and never waited for.

use std::path::PathBuf;
use std::process::Command;

use crate::support::presync::{Presync, demo};

/// A folder with a named pipe that nothing writes to.
fn pipe() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe.jpg");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there").success());
    (folder, pipe)
}

#[test]
fn a_pipe_is_no_input() {
    let (_folder, pipe) = pipe();
    let (pipe, demo) = (pipe.to_str().expect("a name"), demo());
    let demo = demo.to_str().expect("a name");
    let container = "http://127.0.0.1:1/account/media";
    for args in [
        &["report", pipe][..],
        &["commit", pipe, "--out", "out"],
        &["dry-run", demo, "--baseline", pipe],
        &["dry-run", demo, "--profile", pipe],
        &["dry-run", demo, "--config", pipe],
        &["dry-run", demo, "--workspace", "team", "--ledger", pipe],
        &["dry-run", container, "--auth", "anonymous", "--inventory", pipe],
    ] {
        let ran = Presync::new(args).run();
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("pipe.jpg") && ran.stderr.contains("file"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_pipe_in_a_folder_is_an_asset_that_cannot_be_read() {
    let (folder, _) = pipe();
    let ran = Presync::dry_run(folder.path()).args(["--format", "jsonl"]).run();
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(ran.jsonl()[0]["findings"][0]["message"], "it is not a regular file");
}

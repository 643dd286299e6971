//! What isn't a regular file is refused as input, and never waited for. As output, it is written to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

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

/// Everything in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_report_goes_to_stdout_a_device_or_a_pipe() {
    let (folder, pipe) = pipe();
    let (pipe, demo) = (pipe.to_str().expect("a name"), demo().join("cam1"));
    let demo = demo.to_str().expect("a name");
    let plan = folder.path().join("plan.parquet");
    let plan = plan.to_str().expect("a name");
    let run = |args: &[&str], output: &[&str]| Presync::new(args).args(output).inside(folder.path()).run();
    assert_eq!(run(&["dry-run", demo, "--plan", plan], &[]).code, 1);
    for args in [
        &["dry-run", demo][..],
        &["dry-run", demo, "--format", "csv"],
        &["dry-run", demo, "--format", "html"],
        &["preview", demo],
        &["preview", demo, "--format", "json"],
        &["report", plan],
        &["report", plan, "--format", "markdown"],
        &["audit", demo, "--out", "audit"],
    ] {
        // The next run of an audit finds what the first one did, and times differ.
        let steady = |text: &str| match args[0] {
            "audit" => text.lines().count().to_string(),
            _ => text.lines().filter(|line| !line.contains("started")).collect::<Vec<_>>().join("\n"),
        };
        let (expected, steady_html) = (run(args, &[]), args.contains(&"html"));
        for output in ["-", "/dev/stdout", "/dev/fd/1", "/dev/stderr", "/dev/null", pipe] {
            let reader = (output == pipe).then(|| {
                let pipe = pipe.to_owned();
                thread::spawn(move || fs::read_to_string(pipe).expect("it is read"))
            });
            let ran = run(args, &["--output", output]);
            let written = match output {
                "/dev/null" => None,
                "/dev/stderr" => Some(ran.stderr.clone()),
                _ if output == pipe => reader.map(|reader| reader.join().expect("it ends")),
                _ => Some(ran.stdout.clone()),
            };
            assert_eq!(ran.code, expected.code, "{args:?} {output}: {}", ran.stderr);
            match written {
                Some(text) if !steady_html => {
                    assert_eq!(steady(&text), steady(&expected.stdout), "{args:?} {output}")
                }
                Some(text) => assert!(text.ends_with("</html>\n"), "{args:?} {output}"),
                None => assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "{args:?} {output}"),
            }
        }
    }
    let (first, second) = (fs::read(plan).expect("a plan"), {
        let ran = Command::new("sh")
            .args(["-c", "exec \"$0\" report plan.parquet --format parquet --output - > copy.parquet"])
            .arg(env!("CARGO_BIN_EXE_presync"))
            .current_dir(folder.path())
            .status();
        assert_eq!(ran.expect("a shell").code(), Some(1));
        fs::read(folder.path().join("copy.parquet")).expect("a plan")
    });
    assert!(first == second, "a plan that went through stdout is the same");
    assert_eq!(names(folder.path()), ["audit", "copy.parquet", "pipe.jpg", "plan.parquet"]);
    for args in [&["--plan", "-"][..], &["--format", "parquet", "--plan", "-"]] {
        let ran = run(&["dry-run", demo], args);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
    let whole = run(&["dry-run", demo, "--output", "/dev/stdout"], &["--plan", "/dev/null"]);
    assert!(whole.code == 2 && whole.stderr.contains("'/dev/null' is a device"), "{}", whole.stderr);
    assert_eq!(names(folder.path()).len(), 4);
}

#[test]
fn what_is_written_to_an_open_file_follows_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "exec 3>log; echo first >&3; \"$0\" preview \"$1\" --output /dev/fd/3 && echo last >&3";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_presync")]).arg(demo().join("cam1"));
    assert!(shell.current_dir(folder.path()).status().expect("a shell").success());
    let log = fs::read_to_string(folder.path().join("log")).expect("a log");
    assert!(log.starts_with("first\n") && log.contains("presync preview"), "{log}");
}

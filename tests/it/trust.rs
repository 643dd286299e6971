//! Files that presync finds, and what a plan names: neither decides where a credential goes or which file is read.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::lchown;
use std::path::Path;

use crate::support::presync::{Presync, Ran, demo};

/// The number of a user that is neither root nor this one.
const SOMEBODY: u32 = 12_345;

/// A folder `project/sub` below one with this `presync.toml`.
fn project(toml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("project/sub")).expect("a folder");
    fs::write(folder.path().join("presync.toml"), toml).expect("it is written");
    folder
}

/// Runs in the innermost folder, with a key.
fn run(folder: &Path, args: &[&str]) -> Ran {
    let presync = Presync::new(args).inside(folder.join("project/sub"));
    presync.env("AZURE_STORAGE_KEY", "c2VjcmV0").env("AZURE_STORAGE_ACCOUNT", "media").run()
}

#[test]
fn a_file_that_was_found_sends_no_credential_to_a_foreign_host() {
    let toml =
        "[connections.cams]\naccount = 'media'\ncontainer = 'cam'\nendpoint = 'https://blobs.example.com'\n";
    let folder = project(toml);
    let config = folder.path().join("presync.toml");
    let config = config.to_str().expect("UTF-8");
    let commands: [&[&str]; 4] = [
        &["dry-run", "@cams"],
        &["preview", "@cams"],
        &["explain", "@cams/a.jpg"],
        &["audit", "--all", "--out", "out"],
    ];
    for args in commands {
        let ran = run(folder.path(), args);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("isn't an Azure address"), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("add --config '{config}'")), "{args:?}: {}", ran.stderr);
    }
    let doctor = run(folder.path(), &["doctor", "@cams"]);
    assert!(doctor.stdout.contains("isn't an Azure address"), "{}", doctor.stdout);
    // Named, it is asked; there is no such host.
    let named = run(folder.path(), &["preview", "@cams", "--config", config]);
    assert!(named.code == 2 && !named.stderr.contains("isn't an Azure address"), "{}", named.stderr);
}

#[test]
fn a_file_of_another_user_is_not_used_unnamed() {
    let toml =
        "[connections.cams]\naccount = 'media'\ncontainer = 'cam'\nendpoint = 'http://127.0.0.1:9/media'\n";
    let folder = project(&format!("{toml}auth = 'anonymous'\nprofile = '/etc/passwd'\n"));
    let config = folder.path().join("presync.toml");
    let own = run(folder.path(), &["preview", "@cams", "--profile", "nexus"]);
    assert!(!own.stderr.contains("another user"), "{}", own.stderr);
    if lchown(&config, Some(SOMEBODY), None).is_err() {
        return;
    }
    let ran = run(folder.path(), &["preview", "@cams"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("belongs to another user, and was not named"), "{}", ran.stderr);
    let config = config.to_str().expect("UTF-8");
    let named = run(folder.path(), &["preview", "@cams", "--profile", "nexus", "--config", config]);
    assert!(!named.stderr.contains("another user"), "{}", named.stderr);
}

#[test]
fn a_plan_does_not_name_a_file_to_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let nexus = Presync::new(["rule", "--profile", "nexus"]).run().stdout;
    fs::write(at("mine.toml"), &nexus).expect("it is written");
    let ledger = at("ledger.sqlite3");
    let presync = |args: &[&str]| Presync::new(args).env("PRESYNC_LEDGER", &ledger).run();
    let set = ["quota", "set", "--workspace", "w", "--images", "1000", "--frames", "100000"];
    assert_eq!(presync(&set).code, 0);
    let demo = demo();
    let demo = demo.to_str().expect("UTF-8");
    let plan = at("plan.parquet");
    let ran = presync(&["dry-run", demo, "--plan", &plan, "--profile", &at("mine.toml"), "--workspace", "w"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    // What is now at that path is neither read nor shown.
    fs::write(at("mine.toml"), "secret = 'of someone else'\n").expect("it is written");
    let commit = ["commit", &plan, "--allow-unknown", "--dry-run"];
    let ran = presync(&commit);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!(ran.stdout + &ran.stderr).contains("someone else"));
    // Named, it is.
    fs::write(at("mine.toml"), nexus.replace("orientations = [1]", "orientations = [1, 6]"))
        .expect("it is written");
    let ran = presync(&[&commit[..], &["--profile", &at("mine.toml")]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("images.orientations"), "{}", ran.stdout);
}

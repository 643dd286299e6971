//! Commits that cannot go on: one message each, and nothing is reserved or left behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use insta::assert_snapshot;
use presync::loopback::{Attempts, Config, Content, Fault, Faults, Kind, On, Rule, Server, Shape};

use super::{Place, image, names, serve, source};
use crate::support::presync::{demo, root};

/// A place with the plan of a folder.
fn planned(folder: &str) -> Place {
    let place = Place::with_quota(100, 1_000);
    place.dry_run(demo().join(folder).to_str().expect("UTF-8"), &[]);
    place
}

#[test]
fn what_cannot_be_committed_is_said() {
    let place = planned("cam1");
    let whole = fs::read(place.plan()).expect("it is there");
    let mut messages = String::new();
    let mut say = |what: &str, args: &[&str]| {
        let ran = place.commit(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{what}");
        messages += &format!(
            "# {what}\n{}\n",
            place.plain(&ran.stderr).replace(root().to_str().expect("UTF-8"), "ROOT")
        );
    };
    let plan = |bytes: &[u8]| fs::write(place.plan(), bytes).expect("it is written");
    plan(&whole[..whole.len() / 2]);
    say("a plan that is cut", &[]);
    plan(b"name,size\n");
    say("no plan", &[]);
    let version = whole.windows(22).position(|bytes| bytes == b"presync.format_version").expect("it says so");
    let number = version + whole[version..].windows(3).position(|bytes| bytes == b"1.0").expect("a version");
    plan(&[&whole[..number], b"2", &whole[number + 1..]].concat());
    say("a plan of a newer presync", &[]);
    // The rows end long before the footer; what is damaged there shows only when they are read.
    plan(&[&whole[..40], &[0xFF; 8], &whole[48..]].concat());
    say("a plan with a damaged row", &[]);
    plan(&whole);

    fs::write(place.path("file"), "").expect("it is written");
    fs::create_dir(place.path("folder")).expect("a folder");
    fs::create_dir(place.path("foreign")).expect("a folder");
    fs::write(place.path("foreign/commit.json"), "{\"plan\":{\"id\":\"another\"}}").expect("it is written");
    for taken in ["file", "folder", "foreign"] {
        say(&format!("the place is taken: {taken}"), &["--out", place.path(taken).to_str().expect("UTF-8")]);
    }
    say("there is no such folder", &["--out", place.path("no/such").to_str().expect("UTF-8")]);
    say("a ledger that knows no quota", &["--ledger", place.path("other.sqlite3").to_str().expect("UTF-8")]);
    say("another folder", &["--source", demo().join("cam2").to_str().expect("UTF-8")]);
    place.rewrite(|header, _, _| header.root = Some("/no/such/folder".to_owned()));
    say("the folder is gone", &[]);
    place.rewrite(|header, _, _| header.root = None);
    say("the folder is not known", &[]);
    plan(&whole);
    say("a profile that is not there", &["--profile", "/no/such/profile.toml"]);
    place.rewrite(|header, _, _| {
        header.root = None;
        header.origin.provider = "azure".into();
        header.origin.location = "https://blobs.example.com/media/cam1".to_owned();
        header.origin.container = Some("cam1".to_owned());
    });
    say("the plan is of a host that nobody named", &[]);
    assert_snapshot!(messages.replace(place.0.path().to_str().expect("UTF-8"), "FOLDER"));
    place.assert_untouched(&["file", "folder", "foreign"]);
}

#[test]
fn a_listing_that_breaks_changes_nothing() {
    let content = Content::Shape(Shape { blobs: 6_000, ..Shape::default() });
    let server = Server::start(Config::of("media", content)).expect("it starts");
    let place = Place::with_quota(10_000, 0);
    place.dry_run(&source(&server), &[]);
    let broken = Rule {
        on: On::Lists,
        after: 1,
        ..Rule::on_reads(Fault::timed_out(), 1.0).attempts(Attempts::Always)
    };
    server.reset();
    server.set_faults(Faults { rules: vec![broken], ..Faults::default() }).expect("it is set");
    let ran = place.commit(&[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("failed after 5000 blobs"), "{}", ran.stderr);
    place.assert_untouched(&[]);
}

/// A limit on the size of files stands for a full disk: both refuse a write in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let place = planned("");
    // 8 blocks of 512 bytes take no manifest of this plan. The ledger is longer, and is never written.
    let ran = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_presync"), "commit"])
        .arg(place.plan())
        .env("PRESYNC_LEDGER", place.path("ledger.sqlite3"))
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert_eq!(said, "error: cannot write the manifests: file too large; nothing was reserved\n");
    place.assert_untouched(&[]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_read_only_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = planned("cam1");
    let folder = place.path("locked");
    fs::create_dir(&folder).expect("a folder");
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("it is ours");
    mode(0o555);
    let binds = fs::write(folder.join("probe"), "").is_err();
    let ran = place.commit(&["--out", folder.join("out").to_str().expect("UTF-8")]);
    mode(0o755);
    if !binds {
        eprintln!("skipped: whoever runs this may write to every folder");
        return;
    }
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("permission denied\nhelp: "), "{}", ran.stderr);
    place.assert_untouched(&["locked"]);
}

#[test]
fn a_folder_that_the_system_locks_is_named() {
    let place = planned("cam1");
    let ran = place.commit(&["--out", "/proc/out"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.starts_with("error: cannot write to the folder '/proc': "), "{}", ran.stderr);
    place.assert_untouched(&[]);
}

/// The first Ctrl-C ends it while it lists, and takes away what it has written.
#[cfg(unix)]
#[test]
fn a_stop_changes_nothing() {
    let server = serve(vec![image("a.jpg")]);
    let place = Place::with_quota(5, 0);
    place.dry_run(&source(&server), &[]);
    let stall = Rule { on: On::Lists, ..Rule::on_reads(Fault::Stall, 1.0).attempts(Attempts::Always) };
    server.reset();
    server.set_faults(Faults { rules: vec![stall], ..Faults::default() }).expect("it is set");
    let commit = place
        .spawn_commit(&place.plan(), &place.path("out"))
        .args(["--auth", "anonymous"])
        .spawn()
        .expect("it starts");
    while server.stats().of(Kind::List) == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    let sent = Command::new("kill").args(["-INT", &commit.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    let ran = commit.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0), "{said}");
    assert!(said.ends_with("error: stopped: nothing was reserved or written\n"), "{said}");
    place.assert_untouched(&[]);
}

#[test]
fn the_container_is_only_listed() {
    let server = serve(vec![image("a.jpg")]);
    let place = Place::with_quota(5, 0);
    place.dry_run(&source(&server), &[]);
    server.reset();
    assert_eq!(place.commit(&[]).code, 0);
    let stats = server.stats();
    assert_eq!((stats.of(Kind::List), stats.total()), (1, 1));
    assert_eq!(names(&place.path("plan-commit")).len(), 4);
    assert!(Path::new(&place.path("plan-commit/commit.json")).is_file());
}

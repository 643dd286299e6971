//! Ledgers that cannot be used: exit code 2, one message, and the file as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use insta::assert_snapshot;
use jiff::{Timestamp, ToSpan};
use presync::model::Month;

use super::{Place, limit_images};
use crate::support::presync::{Presync, demo};

#[test]
fn what_is_wrong_with_a_ledger_is_said() {
    let place = Place::new();
    let path = place.path();
    limit_images(&mut place.open(), 10);
    let whole = fs::read(&path).expect("a file");
    let mut messages = String::new();
    let mut say = |what: &str, presync: Presync| {
        let ran = presync.run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{what}");
        messages += &format!("# {what}\n{}\n", ran.stderr);
    };
    let set = ["quota", "set", "--images", "5"];
    for (what, content) in [
        ("text", b"images = 5\n".repeat(100)),
        ("nothing", Vec::new()),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("of a newer presync", {
            // The user version is a big-endian number at byte 60 (SQLite's "Database File Format", 1.3).
            [&whole[..60], &7_u32.to_be_bytes(), &whole[64..]].concat()
        }),
        ("of another program", [&whole[..68], &[0; 4], &whole[72..]].concat()),
    ] {
        fs::write(&path, &content).expect("it can be written");
        say(what, place.presync(&set));
        say(&format!("{what}, shown"), place.presync(&["quota"]));
        assert!(fs::read(&path).expect("a file") == content, "{what}: it was changed");
    }
    let no_folder = place.0.path().join("nothing/ledger.sqlite3");
    say("no such folder", place.presync(&set).env("PRESYNC_LEDGER", no_folder));
    say("a folder", place.presync(&set).env("PRESYNC_LEDGER", place.0.path()));
    say("below a file", place.presync(&set).env("PRESYNC_LEDGER", path.join("ledger")));
    say("no plan", place.presync(&["quota", "release", "p\n1"]).env("PRESYNC_LEDGER", "/no/such/ledger"));
    let demo = demo();
    let dry_run = ["dry-run", demo.to_str().expect("UTF-8"), "--workspace", "team a"];
    say("no quota of the workspace", place.presync(&dry_run).env("PRESYNC_LEDGER", "/no/such/ledger"));
    say("no number", place.presync(&["quota", "set", "--images", "many"]));
    say(
        "a number that is too large",
        place.presync(&["quota", "set", "--used-frames", "9223372036854775808"]),
    );
    say("no month", place.presync(&["quota", "--month", "2026-13"]));
    say("a ledger without a workspace", place.presync(&["dry-run", ".", "--ledger", "x"]));
    let messages = messages.replace(place.0.path().to_str().expect("UTF-8"), "FOLDER");
    let now = Timestamp::now();
    let months = [now - 24.hours(), now].map(|day| format!("for {}", Month::of(day)));
    let messages = months.iter().fold(messages, |messages, month| messages.replace(month, "for MONTH"));
    assert_snapshot!(messages);
    let left: Vec<_> = fs::read_dir(place.0.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing else is left: {left:?}");
}

#[test]
fn a_disk_that_takes_no_more_leaves_the_ledger_as_it_was() {
    let place = Place::new();
    limit_images(&mut place.open(), 10);
    let before = fs::read(place.path()).expect("a file");
    // No file of this process may become longer than a block: its journal cannot be written.
    let ran = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_presync")])
        .args(["quota", "set", "--month", "2026-11", "--images", "5", "--ledger"])
        .arg(place.path())
        .output()
        .expect("it starts");
    let message = String::from_utf8(ran.stderr).expect("UTF-8");
    assert_eq!(ran.status.code(), Some(2), "{message}");
    assert!(message.starts_with("error: the disk with the ledger '"), "{message}");
    assert!(message.ends_with("nothing was changed\n"), "{message}");
    assert!(fs::read(place.path()).expect("a file") == before);
    let shown = place.presync(&["quota", "--month", "2026-11"]).run().stdout;
    assert!(shown.contains("0 of 10 images"), "{shown}");
}

#[test]
fn a_folder_that_is_read_only_is_named_and_still_read() {
    let place = Place::new();
    limit_images(&mut place.open(), 10);
    let folder = place.0.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).expect("it is ours");
    let binds = fs::write(folder.join("probe"), "").is_err();
    let set = place.presync(&["quota", "set", "--month", "2026-11", "--images", "5"]).run();
    let make =
        place.presync(&["quota", "set", "--images", "5"]).env("PRESYNC_LEDGER", folder.join("new")).run();
    let shown = place.presync(&["quota", "--month", "2026-11"]).run();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
    if !binds {
        eprintln!("skipped: whoever runs this may write to every folder");
        return;
    }
    assert_eq!((set.code, make.code, shown.code), (2, 2, 0), "{}{}{}", set.stderr, make.stderr, shown.stderr);
    assert!(set.stderr.contains("cannot be written\nhelp: "), "{}", set.stderr);
    assert!(make.stderr.contains("permission denied\nhelp: "), "{}", make.stderr);
    assert!(shown.stdout.contains("0 of 10 images"), "{}", shown.stdout);
}

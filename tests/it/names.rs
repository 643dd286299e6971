//! Which names are listed: `--include`, `--exclude` and `.presyncignore`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use presync::plan_file::PlanReader;
use serde_json::{Value, json};

use crate::inventory::serve;
use crate::support::presync::{Presync, Ran, demo};

/// What the tests of a container and of a folder choose.
const CHOICE: [&str; 6] = ["--include", "cam[12]/", "--include", "*.mp4", "--exclude", "cam2/01*"];

fn is_chosen(name: &str) -> bool {
    let is_included =
        ["cam1/", "cam2/"].iter().any(|folder| name.starts_with(folder)) || name.ends_with(".mp4");
    is_included && !(name.starts_with("cam2/01"))
}

fn dry_run(source: &str) -> Presync {
    Presync::dry_run(source).args(["--auth", "anonymous", "--format", "json"])
}

fn names(document: &Value) -> BTreeSet<String> {
    let assets = document["assets"].as_array().expect("a list").iter();
    assets.map(|asset| asset["name"].as_str().expect("a name").to_owned()).collect()
}

/// What a run lists of everything, and the number of names that it leaves out.
fn check(all: &BTreeSet<String>, document: &Value) {
    let chosen: BTreeSet<_> = all.iter().filter(|name| is_chosen(name)).cloned().collect();
    assert!(!chosen.is_empty() && chosen.len() < all.len());
    assert_eq!(names(document), chosen);
    assert_eq!(document["totals"]["listed"], json!(chosen.len()));
    assert_eq!(document["totals"]["excluded"], json!(all.len() - chosen.len()));
    assert_eq!(document["filter"], json!({"include": ["cam[12]/", "*.mp4"], "exclude": ["cam2/01*"]}));
}

#[test]
fn every_source_lists_the_chosen_names_and_counts_the_others() {
    let (server, folder) = (serve(), tempfile::tempdir().expect("a folder"));
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    for source in [format!("{}/cam", server.url()), demo().to_str().expect("UTF-8").to_owned()] {
        let all = names(&dry_run(&source).run().json());
        let (plan, parts) = (path("plan.parquet"), path("parts"));
        let chosen = dry_run(&source).args(CHOICE).args(["--plan", &plan]).run().json();
        check(&all, &chosen);

        // Shards, and the plan itself.
        for shard in ["0/2", "1/2"] {
            let ran = Presync::dry_run(&source)
                .args(["--auth", "anonymous", "--shard", shard, "--out", &parts])
                .args(CHOICE)
                .run();
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        }
        for saved in [&plan, &parts] {
            check(&all, &Presync::new(["report", saved, "--format", "json"]).run().json());
        }
        fs::remove_dir_all(&parts).expect("it is ours");

        // A preview, and the text.
        let preview =
            Presync::new(["preview", &source, "--auth", "anonymous", "--format", "json"]).args(CHOICE);
        let preview = preview.run().json();
        assert_eq!(preview["totals"]["listed"], chosen["totals"]["listed"]);
        assert_eq!(preview["totals"]["excluded"], chosen["totals"]["excluded"]);
        for command in ["preview", "dry-run"] {
            let ran = Presync::new([command, &source, "--auth", "anonymous"]).args(CHOICE).run();
            assert!(ran.stdout.contains("include cam[12]/, *.mp4; exclude cam2/01*"), "{}", ran.stdout);
            assert!(ran.stdout.contains("names left out by --include"), "{}", ran.stdout);
        }

        // A baseline and a run to resume were chosen in the same way.
        let ran = dry_run(&source).args(CHOICE).args(["--baseline", &plan]).run();
        assert_eq!(ran.json()["changes"]["unchanged"], chosen["totals"]["listed"]);
        let ran = dry_run(&source).args(["--baseline", &plan]).run();
        assert!(ran.code == 2 && ran.stderr.contains("only names by 'include cam[12]/"), "{}", ran.stderr);
    }
    let fixes = Presync::new(["fix", &path("plan.parquet")]).run();
    assert!(fixes.code < 2, "{}", fixes.stderr);
}

#[test]
fn an_inventory_is_chosen_from_like_the_container() {
    let (server, folder) = (serve(), tempfile::tempdir().expect("a folder"));
    let source = format!("{}/cam", server.url());
    let all = dry_run(&source).run().json();
    let report = folder.path().join("report.csv");
    let rows = names(&all).into_iter().map(|name| {
        let size =
            all["assets"].as_array().expect("a list").iter().find(|asset| asset["name"] == name.as_str());
        format!("\"cam/{}\",{}\n", name.replace('"', "\"\""), size.expect("it is listed")["size"])
    });
    fs::write(&report, format!("Name,Content-Length\n{}", rows.collect::<String>())).expect("it is written");
    let ran = dry_run(&source).args(CHOICE).args(["--inventory".as_ref(), report.as_os_str()]).run();
    check(&names(&all), &ran.json());
}

#[test]
fn a_run_is_resumed_and_a_plan_committed_with_its_own_choice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (source, ledger) = (path("photos"), path("ledger.sqlite3"));
    for name in ["cam1/a.jpg", "cam2/b.jpg", "c.jpg"] {
        let file = folder.path().join("photos").join(name);
        fs::create_dir_all(file.parent().expect("it has one")).expect("a folder");
        fs::copy(demo().join("cam1/0001.jpg"), file).expect("it is copied");
    }
    let presync = |args: &[&str]| Presync::new(args).env("PRESYNC_LEDGER", &ledger).run();
    let set = ["quota", "set", "--workspace", "w", "--images", "9", "--frames", "9"];
    assert_eq!(presync(&set).code, 0);
    let plan = |name: &str, choice: &[&str]| {
        let file = path(name);
        let ran = presync(&[&["dry-run", &source, "--workspace", "w", "--plan", &file][..], choice].concat());
        (file, ran)
    };
    let commit = |plan: &str| {
        presync(&["commit", plan, "--workspace", "w", "--out", &path(&format!("{plan}.committed"))])
    };

    let (first, ran) = plan("1.parquet", &["--include", "cam1/"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("excluded         2"), "{}", ran.stdout);
    // Names that the plan leaves out may come and go.
    fs::remove_file(folder.path().join("photos/c.jpg")).expect("it is there");
    assert_eq!(commit(&first).code, 0);
    let id = PlanReader::open(first.as_ref()).expect("a plan").plan().id.clone();
    assert_eq!(presync(&["quota", "confirm", &id]).code, 0);

    // What was synced by one choice is not gone because another one does not list it.
    let (second, ran) = plan("2.parquet", &["--exclude", "cam1"]);
    assert!(ran.code == 0 && !ran.stdout.contains("no longer listed"), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(commit(&second).code, 0);
    let id = PlanReader::open(second.as_ref()).expect("a plan").plan().id.clone();
    assert_eq!(presync(&["quota", "confirm", &id]).code, 0);
    let (_, ran) = plan("3.parquet", &["--format", "json"]);
    assert_eq!(ran.json()["synced"]["unchanged"], json!(2));
    let shown = presync(&["quota", "show", "--workspace", "w", "--format", "json"]).json();
    assert_eq!(shown["workspaces"][0]["synced"].as_array().map(Vec::len), Some(2), "{shown}");
}

#[test]
fn a_pattern_that_cannot_be_right_is_refused() {
    for (pattern, hint) in [
        ("!*.jpg", "use --exclude"),
        ("cam1/**.jpg", "**/*.jpg"),
        ("{a,b", "'\\{'"),
        ("a[", "'\\['"),
        ("", "it is empty"),
    ] {
        let ran = Presync::dry_run(demo()).args(["--include", pattern]).run();
        assert!(ran.code == 2 && ran.stderr.contains(hint), "{pattern}: {}", ran.stderr);
    }
}

const IGNORED: &str = "\
# what the cameras write beside the pictures
*.tmp
/thumbs
raw/
!raw/keep.jpg
deep/**/x
sub/*/one.jpg
a**b.jpg
*.log
!important.log
trailing\\\u{20}
\\#odd
\\!odd
[!a-c]z.jpg
{x,y}.jpg
folder/*
!folder/sub
";
const IGNORED_BELOW: &str = "!*.tmp\n/only-here.jpg\n*.skip\n";

/// Names, some of which are left out by either file above.
const LISTED: &[&str] = &[
    "a.jpg",
    "a.tmp",
    "thumbs/1.jpg",
    "below/thumbs/1.jpg",
    "raw/1.jpg",
    "raw/keep.jpg",
    "below/raw/1.jpg",
    "raw.jpg",
    "deep/x",
    "deep/1/2/x",
    "deep/1/2/xx",
    "deep/y",
    "sub/1/one.jpg",
    "sub/one.jpg",
    "sub/1/2/one.jpg",
    "a1b.jpg",
    "ab.jpg",
    "x.log",
    "important.log",
    "below/important.log",
    "#odd",
    "!odd",
    "dz.jpg",
    "az.jpg",
    "x.jpg",
    "{x,y}.jpg",
    "folder/1.jpg",
    "folder/sub/1.jpg",
    "folder/other/1.jpg",
    "below/a.tmp",
    "below/only-here.jpg",
    "below/more/only-here.jpg",
    "below/more/a.skip",
    "only-here.jpg",
    "a.skip",
    "below/more/b.tmp",
    "trailing ",
    "trailing",
    "ümlaut.tmp",
];

fn git(folder: &Path, args: &[&str], input: &str) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").args(args);
    let mut git = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git is installed");
    git.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    String::from_utf8(git.wait_with_output().expect("it ends").stdout).expect("UTF-8")
}

#[test]
fn an_ignore_file_means_what_it_means_to_git() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in LISTED {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("it has one")).expect("a folder");
        fs::write(file, "x").expect("it is written");
    }
    let write = |file: &str| {
        fs::write(folder.path().join(file), IGNORED).expect("it is written");
        fs::write(folder.path().join("below").join(file), IGNORED_BELOW).expect("it is written");
    };
    write(".gitignore");
    git(folder.path(), &["init", "--quiet"], "");
    let all = LISTED.join("\0") + "\0";
    let left_out = git(folder.path(), &["check-ignore", "--no-index", "-z", "--stdin"], &all);
    let left_out: BTreeSet<_> = left_out.split_terminator('\0').map(str::to_owned).collect();
    fs::remove_dir_all(folder.path().join(".git")).expect("it is ours");
    fs::remove_file(folder.path().join(".gitignore")).expect("it is ours");
    fs::remove_file(folder.path().join("below/.gitignore")).expect("it is ours");
    write(".presyncignore");

    let document = dry_run(folder.path().to_str().expect("UTF-8")).run().json();
    let listed = names(&document);
    let expected = LISTED.iter().map(|name| (*name).to_owned()).filter(|name| !left_out.contains(name));
    let own = [".presyncignore", "below/.presyncignore"].map(str::to_owned);
    assert_eq!(listed, expected.chain(own).collect());
    assert_eq!(document["totals"]["excluded"], json!(left_out.len()));
    assert!(left_out.len() > 15 && listed.len() > 15, "{left_out:?}");
}

#[test]
fn an_ignore_file_that_cannot_be_used_ends_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    fs::write(folder.path().join("a.jpg"), "x").expect("it is written");
    let run = |content: &[u8]| -> Ran {
        fs::write(folder.path().join("sub/.presyncignore"), content).expect("it is written");
        Presync::dry_run(folder.path()).run()
    };
    for (content, message) in [
        (&b"ok\n[a"[..], "sub/.presyncignore': line 2 is not a pattern"),
        (&b"\xFF"[..], "UTF-8"),
        (&[b'x'; (1 << 20) + 1][..], "more than 1048576 bytes"),
        (&b"x\n".repeat(10_001), "more than 10000 patterns"),
    ] {
        let ran = run(content);
        assert!(ran.code == 2 && ran.stderr.contains(message), "{}", ran.stderr);
    }
    // A byte order mark and the line ends of another system.
    fs::remove_file(folder.path().join("sub/.presyncignore")).expect("it is there");
    fs::write(folder.path().join(".presyncignore"), "\u{feff}# all\r\n*.jpg\r\n").expect("it is written");
    let ran = Presync::dry_run(folder.path()).run();
    assert!(ran.code == 0 && ran.stdout.contains("1  names left out by .presyncignore"), "{}", ran.stdout);
}

//! `presync fix`: what it would do, what it does to folders and containers, and what it never does.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixes::{Picture, psnr};
use crate::support::azurite::Azurite;
use crate::support::presync::{Presync, demo};
use crate::support::run;

/// In dB: two decoders of one JPEG may interpolate chroma differently.
const SAME_VIEW: f64 = 30.0;

#[test]
fn nothing_is_written_without_apply() {
    let folder = copy_of_demo();
    let before = files(folder.path());
    let ran = fix(folder.path()).args(["--format", "json"]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let report = ran.json();
    assert_eq!(report["fixable"]["patch"]["assets"], 1, "{report}");
    assert_eq!(report["fixable"]["lossless"]["assets"], 9);
    assert_eq!(report["fixable"]["encode"]["assets"], 6);
    assert_eq!(report["unfixable"], json!({"VID003": 1, "FMT001": 2, "FMT003": 2, "BLB001": 2}));
    assert_eq!(report["renamed"], 4);
    assert_eq!(files(folder.path()), before);
    let text = fix(folder.path()).run().stdout;
    assert!(text.contains("16 assets can be fixed. Nothing has been written."), "{text}");
    let out = folder.path().join("fixed");
    for (option, place) in [("--out", folder.path()), ("--out", &out), ("--backup", &out)] {
        let refused = fix(folder.path()).args([option.as_ref(), place.as_os_str(), "--apply".as_ref()]).run();
        assert!(refused.code == 2 && refused.stderr.contains("is in the source"), "{}", refused.stderr);
    }
    assert!(!out.exists(), "a refused run creates nothing");
    let refused = fix(folder.path()).args(["--apply"]).run();
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--out DIR"), "{}", refused.stderr);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn lines_of_json_end_with_the_totals() {
    let folder = copy_of(&["cam1/0004.jpg", "videos/from-ffmpeg.mp4", "videos/iphone.mov"]);
    let lines = |args: &[&str]| {
        let ran = fix(folder.path()).args(["--format", "jsonl"]).args(args).run();
        let last = serde_json::from_str(ran.stdout.lines().last().expect("a line")).expect("JSON");
        (ran.jsonl(), last, ran.stdout.lines().count())
    };
    let (found, end, count): (_, Value, _) = lines(&[]);
    let record = |name: &str| found.iter().find(|record| record["name"] == name).expect("it is listed");
    assert_eq!((found.len(), count), (3, 4));
    let renamed = json!({"name": "videos/iphone.mov", "new_name": "videos/iphone.mp4", "effort": "lossless", "result": "fixable"});
    assert_eq!(record("videos/iphone.mov"), &renamed);
    assert_eq!((&end["complete"], &end["done"], end.get("name")), (&json!(true), &Value::Null, None));
    let (found, end, count) = lines(&["--apply", "--in-place"]);
    assert_eq!((found.len(), count), (3, 4));
    assert_eq!((&end["complete"], &end["done"]["fixed"]), (&json!(true), &json!(3)));
    let (found, end, count) = lines(&[]);
    assert_eq!((found.len(), count, &end["fixable"]), (0, 1, &json!({})), "without anything to fix, too");
}

#[test]
fn a_source_without_files_is_an_error_as_in_a_dry_run() {
    let folder = tempfile::tempdir().expect("a folder");
    for args in [&["--format", "json"][..], &["--apply", "--in-place"], &["--script", "bash", "--in-place"]] {
        let ran = fix(folder.path()).args(args).run();
        assert!(ran.code == 2 && ran.stdout.is_empty(), "{}", ran.stdout);
        assert!(
            ran.stderr.contains("has no files") && ran.stderr.contains("--allow-empty"),
            "{}",
            ran.stderr
        );
    }
    let accepted = fix(folder.path()).args(["--allow-empty"]).run();
    assert!(accepted.code == 0 && accepted.stdout.contains("nothing to fix"), "{}", accepted.stderr);
    fs::write(folder.path().join("a.jpg"), "").expect("it can be written");
    let excluded = fix(folder.path()).args(["--exclude", "*.jpg"]).run();
    assert!(excluded.code == 2 && excluded.stderr.contains("leave out 1 name"), "{}", excluded.stderr);
}

#[test]
fn a_file_that_needs_more_than_the_disk_has_is_named_before_anything_starts() {
    let folder = copy_of(&["cam1/0004.jpg", "videos/from-ffmpeg.mp4"]);
    let video = folder.path().join("videos/from-ffmpeg.mp4");
    let mut bytes = fs::read(&video).expect("it is there");
    let size: u64 = 4 << 40;
    bytes.extend([&[0, 0, 0, 1][..], b"free", &size.to_be_bytes()].concat());
    let whole = bytes.len() as u64 - 16 + size;
    fs::write(&video, bytes).expect("it can be written");
    fs::File::options().write(true).open(&video).and_then(|file| file.set_len(whole)).expect("it is sparse");
    let (out, rules) = (folder.path().with_extension("fixed"), tempfile::tempdir().expect("a folder"));
    let profile = rules.path().join("own.toml");
    fs::write(&profile, own_profile()).expect("it can be written");
    let rules = ["--profile".as_ref(), profile.as_os_str(), "--ignore".as_ref(), "FMT006".as_ref()];
    for (args, hint) in
        [(&["--in-place"][..], "use --out"), (&["--out", out.to_str().expect("UTF-8")], "give --out")]
    {
        let ran = fix(folder.path()).args(args).args(rules).args(["--apply"]).run();
        assert_eq!(ran.code, 2, "{} {}", ran.stdout, ran.stderr);
        for word in ["'videos/from-ffmpeg.mp4' needs about 4.0 TiB", hint, "--exclude"] {
            assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        }
    }
    assert!(!folder.path().join("cam1/0004.jpg.orig").exists(), "nothing was fixed");
    let ran = fix(folder.path()).args(["--apply", "--in-place", "--exclude", "videos/"]).run();
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    fs::remove_dir_all(out).expect("it is there");
}

#[test]
fn rules_of_a_plan_are_changed_by_the_command_line() {
    let folder = copy_of(&["cam1/0004.jpg"]);
    let (profile, plan) = (folder.path().join("own.toml"), folder.path().join("plan.parquet"));
    fs::write(&profile, own_profile()).expect("it can be written");
    let options = ["--profile".as_ref(), profile.as_os_str(), "--plan".as_ref(), plan.as_os_str()];
    let judged = Presync::dry_run(folder.path()).args(options).run();
    assert_eq!(judged.code, 1, "{}", judged.stderr);
    let of = |args: &[&str]| fix(&plan).args(args).args(["--format", "json"]).run().json();
    assert_eq!(of(&[])["unfixable"], json!({"FMT006": 1}));
    let ignored = of(&["--ignore", "FMT006"]);
    assert_eq!((&ignored["fixable"]["lossless"]["assets"], &ignored["unfixable"]), (&json!(1), &json!({})));
    assert_eq!(of(&["--ignore", "FMT006,IMG001"])["fixable"], json!({}));
}

#[test]
fn copies_are_accepted_and_look_as_the_originals_did() {
    let folder = copy_of_demo();
    let before = files(folder.path());
    let out = folder.path().with_extension("fixed");
    let apply = || fix(folder.path()).args(["--apply", "--format", "jsonl", "--out"]).args([&out]).run();
    let ran = apply();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let records = ran.jsonl();
    assert_eq!(records.len(), 16);
    assert!(records.iter().all(|record| record["result"] == "fixed"), "{records:?}");
    assert_eq!(files(folder.path()), before, "the originals stay as they are");
    let judged = Presync::dry_run(&out).args(["--format", "jsonl"]).run().jsonl();
    assert_eq!(judged.len(), 16, "nothing else is left there");
    for asset in &judged {
        assert_eq!(asset["verdict"], "accept", "{asset}");
    }
    for record in &records {
        let name = record["name"].as_str().expect("a name");
        if Path::new(name).extension().is_some_and(|extension| extension == "jpg" || extension == "jpeg") {
            let [shown, fixed] =
                [folder.path().join(name), out.join(name)].map(|file| Picture::by_ffmpeg(&file, &[]));
            assert_eq!(shown.width, fixed.width, "{name}");
            let psnr = psnr(shown.pixels.as_flattened(), fixed.pixels.as_flattened());
            assert!(psnr > SAME_VIEW, "{name}: {psnr} dB");
        }
    }
    let fixed = files(&out);
    let again = apply().jsonl();
    assert!(again.iter().all(|record| record["result"] == "already-fixed"), "{again:?}");
    assert_eq!(files(&out), fixed, "nothing is done twice");
    fs::remove_dir_all(out).expect("it is there");
}

#[test]
fn files_are_replaced_and_their_originals_are_kept() {
    let folder = copy_of_demo();
    let before = files(folder.path());
    let ran = fix(folder.path()).args(["--apply", "--in-place"]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let after = files(folder.path());
    for (name, bytes) in &before {
        match after.get(&format!("{name}.orig")) {
            Some(original) => assert_eq!(original, bytes, "{name} is kept"),
            None => assert_eq!(after.get(name), Some(bytes), "{name} is untouched"),
        }
    }
    let fixable = fix(folder.path()).args(["--format", "json"]).run().json();
    assert_eq!(fixable["fixable"], json!({}), "everything that could be fixed is");
    let brand = "videos/from-ffmpeg.mp4";
    assert_eq!(differing(&before[brand], &after[brand]), 4, "only the major brand differs");
}

#[test]
fn a_selection_is_fixed_and_the_rest_is_not() {
    let folder = copy_of_demo();
    let summary = |args: &[&str]| fix(folder.path()).args(args).args(["--format", "json"]).run().json();
    let only = summary(&["--only", "IMG001"]);
    assert_eq!(only["fixable"].as_object().map(|groups| groups.len()), Some(2), "{only}");
    let included = summary(&["--include", "videos/", "--exclude", "*.mov"]);
    assert_eq!(included["fixable"]["lossless"], Value::Null, "{included}");
    assert_eq!(included["fixable"]["patch"]["assets"], 1, "{included}");
    let lossless = summary(&["--lossless-only"]);
    assert_eq!((&lossless["fixable"]["encode"], &lossless["left_out"]), (&Value::Null, &json!(6)));
}

#[test]
fn edges_that_cannot_be_turned_are_encoded_cut_or_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let photo = folder.path().join("photo.jpg");
    let crop = ["-crop", "313x231+0+0", "-outfile"];
    run(Command::new("jpegtran").args(crop).args([&photo, &demo().join("cam1/0001.jpg")]));
    run(Command::new("exiftool")
        .args(["-q", "-n", "-overwrite_original", "-IFD0:Orientation=6"])
        .arg(&photo));
    let size = |edges: &str| {
        let out = tempfile::tempdir().expect("a folder");
        let ran = fix(folder.path()).args(["--apply", "--edges", edges, "--out"]).args([out.path()]).run();
        let file = out.path().join("photo.jpg");
        file.is_file().then(|| {
            assert_eq!(ran.code, 0, "{}", ran.stdout);
            let picture = Picture::by_ffmpeg(&file, &[]);
            (picture.width, picture.height())
        })
    };
    assert_eq!(size("reencode"), Some((231, 313)));
    assert_eq!(size("trim"), Some((224, 313)));
    assert_eq!(size("leave"), None);
}

#[test]
fn odd_names_stay_in_the_folder_and_reach_no_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    let names =
        ["a b/$(touch hacked).jpg", "-o x.jpg", "'; rm -rf x;'.jpg", "%d [0].jpg", "mvg:x.jpg", "é😀.jpg"];
    fs::create_dir(folder.path().join("a b")).expect("a folder");
    for name in names {
        fs::copy(demo().join("cam1/0004.jpg"), folder.path().join(name)).expect("it is copied");
    }
    let out = tempfile::tempdir().expect("a folder");
    let ran = fix(folder.path()).args(["--apply", "--out"]).args([out.path()]).run();
    let fixed: Vec<_> = files(out.path()).into_keys().collect();
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(fixed, expected, "{}", ran.stdout);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let target = elsewhere.path().join("photo.jpg");
    fs::copy(demo().join("cam1/0004.jpg"), &target).expect("it is copied");
    symlink(&target, folder.path().join("link.jpg")).expect("a link");
    symlink(elsewhere.path(), folder.path().join("linked")).expect("a link");
    let before = files(elsewhere.path());
    let ran = fix(folder.path()).args(["--apply", "--in-place"]).run();
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("it is a link"), "{}", ran.stdout);
    assert!(ran.stdout.contains("leads out of the folder"), "{}", ran.stdout);
    assert_eq!(files(elsewhere.path()), before);
}

#[test]
fn a_missing_program_is_named_before_anything_starts() {
    let folder = copy_of_demo();
    let before = files(folder.path());
    let ran = fix(folder.path()).env("PATH", "/nowhere").args(["--apply", "--in-place"]).run();
    assert_eq!(ran.code, 2);
    for word in ["ffmpeg", "exiftool", "jpegtran", "mogrify", "apt install"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert_eq!(files(folder.path()), before);
}

#[cfg(unix)]
#[test]
fn what_is_stopped_or_runs_twice_leaves_every_file_whole() {
    let names = ["cam1/0004.jpg", "drone/mosaic-rotated.png", "videos/from-ffmpeg.mp4", "videos/iphone.mov"];
    let folder = copy_of(&names);
    let before = files(folder.path());
    let start = || {
        let mut run = Command::new(env!("CARGO_BIN_EXE_presync"));
        run.args(["fix", "--apply", "--in-place", "--quiet"]).arg(folder.path());
        run.stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let mut stopped = start();
    thread::sleep(std::time::Duration::from_millis(400));
    run(Command::new("kill").args(["-INT", &stopped.id().to_string()]));
    let code = stopped.wait().expect("it ends").code();
    assert_ne!(code, Some(1), "it is incomplete, unless it was too fast or too slow");
    assert!(files(folder.path()).keys().all(|name| !name.contains(".presync-fix-")), "nothing is left");
    for mut run in [start(), start()] {
        run.wait().expect("it ends");
    }
    let ran = fix(folder.path()).args(["--apply", "--in-place"]).run();
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    let after = files(folder.path());
    for (name, bytes) in &before {
        assert!(after.get(&format!("{name}.orig")) == Some(bytes), "{name} is kept");
    }
    assert_eq!(after.len(), 2 * names.len(), "{:?}", after.keys());
    let fixable = fix(folder.path()).args(["--format", "json"]).run().json();
    assert_eq!(fixable["fixable"], json!({}));
}

#[test]
fn a_run_that_is_killed_leaves_every_file_whole() {
    let names =
        ["cam1/0003.jpg", "cam1/0004.jpg", "drone/mosaic.png", "videos/from-ffmpeg.mp4", "videos/iphone.mov"];
    let whole = copy_of(&names);
    let before = files(whole.path());
    let begun = Instant::now();
    fix(whole.path()).args(["--apply", "--in-place"]).run();
    let whole_run = begun.elapsed();
    let after = files(whole.path());
    for round in 0..rounds() {
        let folder = copy_of(&names);
        for kill in 0..KILLS {
            let mut run = Command::new(env!("CARGO_BIN_EXE_presync"));
            run.args(["fix", "--apply", "--in-place", "--quiet"]).arg(folder.path());
            let mut child = run.stdout(std::process::Stdio::null()).spawn().expect("it starts");
            thread::sleep(whole_run.mul_f64(share()));
            child.kill().and_then(|()| child.wait()).expect("it ends");
            let left = files(folder.path());
            for (name, bytes) in &left {
                if name.contains(".presync-fix-") {
                    let listed = Presync::new(["preview"]).args([folder.path()]).run().stdout;
                    assert!(!listed.contains(".presync-fix-"), "{listed}");
                    continue;
                }
                let original = name.strip_suffix(".orig").unwrap_or(name);
                let is_old = before.get(original) == Some(bytes);
                // Encoders may write other bytes for the same frames, so a new file is judged by its size.
                let is_new = after.get(name).is_some_and(|new| new.len().abs_diff(bytes.len()) < 64);
                assert!(is_old || is_new, "{name} is neither the old nor the new one: {round}, {kill}");
            }
            for (name, bytes) in &before {
                let kept = [name.clone(), format!("{name}.orig")];
                assert!(
                    kept.iter().any(|name| left.get(name) == Some(bytes)),
                    "{name} is lost: {round}, {kill}"
                );
            }
        }
        let ran = fix(folder.path()).args(["--apply", "--in-place"]).run();
        assert_eq!(ran.code, 0, "it can be continued: {} {}", ran.stdout, ran.stderr);
        let left = files(folder.path());
        assert_eq!(left.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    }
}

#[test]
fn blobs_are_replaced_in_one_step_and_keep_what_belongs_to_them() {
    let azurite = Azurite::http();
    let container = "fix-blobs";
    azurite.create_container(container, false);
    let before = files(&demo());
    azurite.put_many(container, before.clone().into_iter());
    let brand = "videos/from-ffmpeg.mp4";
    azurite.put_with(
        container,
        brand,
        &before[brand],
        &[
            ("x-ms-blob-content-type", "video/mp4"),
            ("x-ms-blob-cache-control", "max-age=60"),
            ("x-ms-meta-camera", "seven"),
            ("x-ms-tags", "site=a%20b&stage=raw"),
        ],
    );
    let backup = tempfile::tempdir().expect("a folder");
    let source = azurite.container_url(container);
    let command = |args: &[&str]| {
        fix(&source).env("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string()).args(args).run()
    };
    let refused = command(&["--apply"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("--backup"), "{}", refused.stderr);
    let folder = backup.path().to_str().expect("UTF-8");
    let ran = command(&["--apply", "--backup", folder, "--format", "jsonl"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let records = ran.jsonl();
    assert_eq!(records.len(), 16, "{}", ran.stdout);
    assert!(records.iter().all(|record| record["result"] == "fixed"), "{records:?}");
    let patched = records.iter().find(|record| record["name"] == brand).expect("it is reported");
    assert!(patched["bytes"].as_u64() < Some(64), "{patched}");

    let after = azurite.get(container, brand);
    assert_eq!(differing(&before[brand], after.body()), 4, "only the major brand differs");
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("cache-control", "max-age=60"),
        ("x-ms-meta-camera", "seven"),
        ("x-ms-tag-count", "2"),
    ] {
        assert_eq!(after.headers().get(name).and_then(|value| value.to_str().ok()), Some(value), "{name}");
    }
    let kept = files(backup.path());
    for record in &records {
        let name = record["name"].as_str().expect("a name");
        assert_eq!(kept.get(name), before.get(name), "{name} is backed up");
    }
    // The originals of fixed blobs with new names stay in the container.
    let again = command(&["--apply", "--backup", folder, "--format", "jsonl"]).jsonl();
    assert_eq!(again.len(), 4, "{again:?}");
    assert!(again.iter().all(|record| record["result"] == "already-fixed"), "{again:?}");
}

/// How often a run is killed before it may end.
pub const KILLS: u64 = 3;

/// How often that is done: 10 times for the figures.
pub fn rounds() -> u64 {
    std::env::var("PRESYNC_KILL_ROUNDS").ok().and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// A random share of the time that a whole run takes.
pub fn share() -> f64 {
    (RandomState::new().hash_one(()) % 1000) as f64 / 1000.0
}

pub fn fix(source: impl AsRef<std::ffi::OsStr>) -> Presync {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Presync::new(["fix".as_ref(), source.as_ref()]).env("PATH", path)
}

/// The rules of Nexus, which accept only small images besides, but videos of any size.
pub fn own_profile() -> String {
    let rules = Presync::new(["rule", "--profile", "nexus"]).run().stdout;
    rules.replace("[images]\n", "[images]\nmax_width = 100\n").replace("549_755_813_888", "9_000_000_000_000")
}

/// A folder with these files of the demo.
pub fn copy_of(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        let path = folder.path().join(name);
        path.parent().map(fs::create_dir_all).expect("it has a folder").expect("it can be created");
        fs::copy(demo().join(name), path).expect("it is copied");
    }
    folder
}

fn copy_of_demo() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy_all(&demo(), folder.path());
    folder
}

fn copy_all(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        path.parent().map(fs::create_dir_all).expect("it has a folder").expect("it can be created");
        fs::write(path, bytes).expect("it can be written");
    }
}

/// The content of every file below a folder, by its relative name.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("it can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name =
                    path.strip_prefix(folder).expect("it is below").to_str().expect("UTF-8").to_owned();
                found.insert(name, fs::read(path).expect("it can be read"));
            }
        }
    }
    found
}

/// How many bytes differ.
pub fn differing(a: &[u8], b: &[u8]) -> usize {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

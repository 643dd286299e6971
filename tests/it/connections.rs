//! `presync.toml` and `@NAME`: the same run as with everything typed out.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::azurite::{ACCOUNT, Azurite, KEY};
use crate::support::presync::{Presync, Ran, demo, timeless};

const CONTAINER: &str = "connections";

/// Azurite with some of the demo in a private container.
static AZURITE: LazyLock<&Azurite> = LazyLock::new(|| {
    let azurite = Azurite::http();
    azurite.create_container(CONTAINER, false);
    for folder in ["cam1", "cam2"] {
        let names = ["0001.jpg", "0002.jpg", "0102.jpg"].map(|name| format!("{folder}/{name}"));
        for name in names.iter().filter(|name| demo().join(name).exists()) {
            azurite.put(CONTAINER, &format!("team a/{name}"), fs::read(demo().join(name)).expect("a file"));
        }
    }
    azurite.put(CONTAINER, "team b/0001.jpg", fs::read(demo().join("cam1/0001.jpg")).expect("a file"));
    azurite
});

/// A folder with a `presync.toml` that has this connection to the container.
fn project(settings: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = AZURITE.endpoint();
    let text = format!(
        "# ours\n[connections.team-a]\ncontainer = '{CONTAINER}'\nprefix = 'team a/'\nendpoint = '{endpoint}'\n{settings}\n"
    );
    fs::write(folder.path().join("presync.toml"), text).expect("it can be written");
    folder
}

fn run(folder: impl AsRef<Path>, args: &[&str]) -> Ran {
    let presync = Presync::new(args).inside(folder).env("AZURE_STORAGE_KEY", KEY);
    presync.env("AZURE_STORAGE_ACCOUNT", ACCOUNT).run()
}

fn json(folder: impl AsRef<Path>, args: &[&str]) -> Value {
    let args = [&["dry-run", "--format", "json"], args].concat();
    let mut document = timeless(run(folder, &args).json());
    document["connection"] = Value::Null;
    document
}

fn names(document: &Value) -> Vec<&str> {
    let assets = document["assets"].as_array().expect("a list");
    assets.iter().map(|asset| asset["name"].as_str().expect("a name")).collect()
}

#[test]
fn a_connection_is_short_for_everything_that_it_says() {
    let settings = "auth = 'key'\nprofile = 'vi'\nquota = { data_rows = 10 }";
    let folder = project(settings);
    let url = format!("{}/team%20a/", AZURITE.container_url(CONTAINER));
    let options = ["--auth", "key", "--profile", "vi", "--data-row-quota", "10"];
    let typed_out = json(folder.path(), &[&[url.as_str()], &options[..]].concat());
    assert_eq!(json(folder.path(), &["@team-a"]), typed_out);
    assert_eq!((&typed_out["profile"], &typed_out["quota"]["images"]["limit"]), (&"vi".into(), &10.into()));
    assert_eq!(names(&typed_out).len(), 4, "{typed_out}");
}

#[test]
fn flags_win_over_the_connection() {
    let folder = project("auth = 'managed-identity'\nprofile = 'vi'\nquota = { images = 10, frames = 7 }");
    let document = json(
        folder.path(),
        &["@team-a", "--auth", "key", "--profile", "nexus", "--image-quota", "1", "--account", ACCOUNT],
    );
    assert_eq!(document["profile"], "nexus");
    assert_eq!(document["source"]["credential"], "shared key (AZURE_STORAGE_KEY)");
    assert_eq!(document["quota"]["images"]["limit"], 1);
    assert_eq!(document["quota"]["frames"]["limit"], 7, "what no flag says stays the connection's");
}

#[test]
fn a_prefix_is_added_and_a_blob_is_named_in_full() {
    let folder = project("auth = 'key'");
    let below = json(folder.path(), &["@team-a/cam2"]);
    assert_eq!(below["source"]["prefix"], "team a/cam2");
    assert_eq!(names(&below), ["team a/cam2/0001.jpg", "team a/cam2/0102.jpg"]);
    let ran = run(folder.path(), &["explain", "@team-a/team a/cam2/0102.jpg"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("team a/cam2/0102.jpg\n"), "{}", ran.stdout);
}

#[test]
fn the_file_is_found_above_and_can_be_named() {
    let folder = project("auth = 'key'");
    let deep = folder.path().join("deep/er");
    fs::create_dir_all(&deep).expect("a folder");
    assert_eq!(names(&json(&deep, &["@team-a"])).len(), 4);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("presync.toml");
    let file = file.to_str().expect("UTF-8");
    assert_eq!(names(&json(elsewhere.path(), &["@team-a", "--config", file])).len(), 4);
}

#[test]
fn a_profile_lies_beside_the_file_that_names_it() {
    let folder = project("auth = 'key'\nprofile = 'mine.toml'");
    let profile = run(folder.path(), &["dry-run", "@team-a"]).stderr;
    assert!(profile.contains("cannot read the profile"), "{profile}");
    let nexus = fs::read_to_string(crate::support::presync::root().join("src/rules/nexus.toml"));
    let mine = nexus.expect("it is there").replacen("\"nexus\"", "\"mine\"", 1);
    fs::write(folder.path().join("mine.toml"), mine).expect("it can be written");
    fs::create_dir(folder.path().join("deep")).expect("a folder");
    assert_eq!(json(folder.path().join("deep"), &["@team-a"])["profile"], "mine");
}

#[test]
fn a_folder_whose_name_begins_with_an_at_sign_is_written_with_a_dot() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("@cams")).expect("a folder");
    assert_eq!(names(&json(folder.path(), &["./@cams", "--allow-empty"])), [""; 0]);
}

#[test]
fn what_is_wrong_with_a_connection_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("presync.toml");
    let mut messages = String::new();
    let mut say = |what: &str, text: &str, args: &[&str]| {
        match text {
            "" => _ = fs::remove_file(&file),
            text => fs::write(&file, text).expect("it can be written"),
        }
        let ran = run(folder.path(), args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{what}");
        assert!(!ran.stderr.contains("c2VjcmV0"), "{what}: {}", ran.stderr);
        messages += &format!("# {what}\n{}\n", ran.stderr);
    };
    let cams = "[connections.cams]\naccount = 'media'\ncontainer = 'cam'\n";
    let two = format!("{cams}[connections.phones]\naccount = 'media'\ncontainer = 'phones'\n");
    let dry_run = ["dry-run", "@cams"];
    say("no file", "", &dry_run);
    say("no such file", "", &["dry-run", "@cams", "--config", "mine.toml"]);
    say("a file that is not needed, but wrong", "x", &["dry-run", ".", "--config", "presync.toml"]);
    say("an empty file", "\n", &dry_run);
    say("no such name", &two, &["dry-run", "@drone"]);
    say("a slip", &two, &["dry-run", "@phone/x"]);
    say("no name", &two, &["dry-run", "@"]);
    say("a SAS", cams, &["dry-run", "@cams?sp=rl&sig=c2VjcmV0"]);
    say("another account", cams, &["dry-run", "@cams", "--account", "other"]);
    say("a container to explain", cams, &["explain", "@cams"]);
    say("an unknown key", &format!("{cams}contaner = 'cam'\n"), &dry_run);
    say("a secret", &format!("{cams}sas = 'sp=rl&sig=c2VjcmV0'\n"), &dry_run);
    say("a secret that is no TOML", &format!("{cams}sas = sp=rl&sig=c2VjcmV0\n"), &dry_run);
    say("a bad account", &cams.replace("'media'", "'My_Media'"), &dry_run);
    say("a bad container", &cams.replace("'cam'", "'Cam_1'"), &dry_run);
    say("a bad endpoint", &format!("{cams}endpoint = 'media.blob.core.windows.net'\n"), &dry_run);
    say("a bad sign-in", &format!("{cams}auth = 'password'\n"), &dry_run);
    say("a bad quota", &format!("{cams}quota = {{ images = '20' }}\n"), &dry_run);
    say("a bad name", "[connections.'my/cams']\ncontainer = 'cam'\n", &dry_run);
    assert_snapshot!(messages.replace(folder.path().to_str().expect("UTF-8"), "FOLDER"));
}

#[test]
fn connections_are_listed_and_named_as_a_user_likes() {
    let folder = tempfile::tempdir().expect("a folder");
    let add = |source: &str, name: &str| run(&folder, &["connect", source, "--write", name]);
    assert_eq!(run(&folder, &["connections"]).code, 2, "there is no file yet");
    for name in ["cams", "Kamera Süd 2.0", "東京 \"駅\""] {
        let ran = add("https://media.blob.core.windows.net/cameras/2026/", name);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    for name in ["a/b", " a", "", "a\nb", &"x".repeat(65)] {
        let ran = add("https://media.blob.core.windows.net/cameras", name);
        assert!(ran.code == 2 && ran.stderr.contains("1 to 64 characters"), "{name}: {}", ran.stderr);
    }
    let ran = run(&folder, &["connections"]);
    assert!(ran.code == 0 && ran.stdout.starts_with("@Kamera Süd 2.0\n  source"), "{}", ran.stdout);
    let listed = run(&folder, &["connections", "--format", "json"]).json();
    let listed: Vec<_> =
        listed["connections"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(listed, ["Kamera Süd 2.0", "cams", "東京 \"駅\""]);

    for (source, hint) in [
        ("cams", "did you mean @cams"),
        ("cams/2026", "did you mean @cams"),
        ("@cam", "did you mean @cams?"),
        ("@kamera süd", "did you mean '@Kamera Süd 2.0'?"),
    ] {
        let ran = run(&folder, &["dry-run", source]);
        assert!(ran.code == 2 && ran.stderr.contains(hint), "{source}: {}", ran.stderr);
    }
}

#[test]
fn a_report_shows_the_connection() {
    let folder = project("auth = 'key'");
    let text = fs::read_to_string(folder.path().join("presync.toml")).expect("it is there");
    fs::write(folder.path().join("presync.toml"), text.replace("team-a", "'team a (2026)'"))
        .expect("it is written");
    let ran = run(&folder, &["dry-run", "@team a (2026)", "--plan", "plan.parquet"]);
    assert!(ran.stdout.contains("connection  @team a (2026)\n"), "{} {}", ran.stdout, ran.stderr);
    let ran = run(&folder, &["report", "plan.parquet", "--format", "json"]);
    assert_eq!(ran.json()["connection"], "team a (2026)");
    let ran = run(&folder, &["preview", "@team a (2026)", "--format", "json"]);
    assert_eq!(ran.json()["connection"], "team a (2026)");
}

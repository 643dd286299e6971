//! `presync connect`: what it prints is run by a real bash, with an `az` that writes down what it was asked.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::support::presync::{Presync, Ran};

const SOURCE: &str = "https://media.blob.core.windows.net/cam/2026/";
/// What the stand-in says the account's id is.
const ID: &str = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/media";

fn connect(args: &[&str]) -> Presync {
    Presync::new(["connect"]).args(args)
}

fn printed(args: &[&str]) -> String {
    let ran = connect(args).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    ran.stdout
}

/// The arguments of each call of `az`, in the order of the calls.
fn calls(script: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let (az, log) = (folder.path().join("az"), folder.path().join("log"));
    let stand_in = format!(
        "#!/bin/sh\nprintf '%s\\0' \"$#\" \"$@\" >>'{}'\n\
         case \"$*\" in 'storage account show '*) echo '{ID}' ;; esac\n",
        log.display()
    );
    fs::write(&az, stand_in).expect("it can be written");
    fs::set_permissions(&az, Permissions::from_mode(0o755)).expect("it can be made executable");
    let mut bash = Command::new("bash")
        // History expansion is what an interactive shell does to a '!'.
        .args(["--norc", "-euo", "pipefail", "-o", "history", "-o", "histexpand", "-s"])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .stdin(Stdio::piped())
        .spawn()
        .expect("there is a bash");
    bash.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("bash reads it");
    assert!(bash.wait().expect("bash ends").success(), "{script}");
    let log = fs::read_to_string(&log).expect("az was called");
    let mut words = log.split_terminator('\0').map(str::to_owned);
    let mut calls = Vec::new();
    while let Some(count) = words.next() {
        calls.push(words.by_ref().take(count.parse().expect("a number")).collect());
    }
    calls
}

/// The three calls of a container, and the one that looks up its account unless `scope` says its id.
fn expected(app: &str, container: &str, lookup: &[&str], scope: &str, origins: &[&str]) -> Vec<Vec<String>> {
    let read = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
    let name = "Microsoft.Storage/storageAccounts/blobServices/containers:name";
    let condition =
        format!("((!(ActionMatches{{'{read}'}})) OR (@Resource[{name}] StringEquals '{container}'))");
    let principal = ["ad", "sp", "create", "--id", app];
    let role = [
        "role",
        "assignment",
        "create",
        "--assignee",
        app,
        "--role",
        "Storage Blob Data Reader",
        "--scope",
        scope,
        "--condition-version",
        "2.0",
        "--condition",
        &condition,
    ];
    let cors = [
        "storage",
        "cors",
        "add",
        "--account-name",
        "media",
        "--services",
        "b",
        "--methods",
        "GET",
        "--origins",
    ];
    let headers = ["--allowed-headers", "*", "--exposed-headers", "*", "--max-age", "3600"];
    let calls = [principal.to_vec(), lookup.to_vec(), role.to_vec(), [&cors, origins, &headers].concat()];
    let calls = calls.iter().filter(|call| !call.is_empty());
    calls.map(|call| call.iter().map(|word| (*word).to_owned()).collect()).collect()
}

#[test]
fn it_looks_like_this() {
    assert_snapshot!(printed(&[SOURCE]));
}

#[test]
fn bash_runs_what_is_printed() {
    let show = ["storage", "account", "show", "--name", "media"];
    let tsv = ["--query", "id", "--output", "tsv"];
    let lookup = [&show[..], &tsv].concat();
    assert_eq!(
        calls(&printed(&[SOURCE])),
        expected("<APP-ID>", "cam", &lookup, ID, &["https://nexus.datature.io"])
    );

    let app = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
    let source = "https://media.blob.core.windows.net/$web/it's%0Aodd%20`id`";
    let origins = ["https://*.example.org", "http://localhost:8080"];
    let args = [source, "--app-id", app, "--origin", origins[0], "--origin", origins[1]];
    assert_eq!(calls(&printed(&args)), expected(app, "$web", &lookup, ID, &origins));

    let group = "it's (\"ours\") & $HOME!";
    let args = ["abfss://cam@media.dfs.core.windows.net", "--resource-group", group];
    let lookup = [&show[..], &["--resource-group", group], &tsv].concat();
    assert_eq!(
        calls(&printed(&args)),
        expected("<APP-ID>", "cam", &lookup, ID, &["https://nexus.datature.io"])
    );

    let args = [SOURCE, "--subscription", "my sub", "--resource-group", "it's", "--origin", "*"];
    let id = "/subscriptions/my sub/resourceGroups/it's/providers/Microsoft.Storage/storageAccounts/media";
    assert_eq!(calls(&printed(&args)), expected("<APP-ID>", "cam", &[], id, &["*"]));
}

#[test]
fn an_emulator_has_nothing_to_run() {
    let script = printed(&["http://127.0.0.1:10000/devstoreaccount1/cam"]);
    assert!(script.lines().all(|line| line.starts_with('#')), "{script}");
}

#[test]
fn a_written_connection_is_the_container() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| connect(args).inside(folder.path()).run();
    let file = folder.path().join("presync.toml");
    let wrote =
        |ran: Ran, says: &str| assert_eq!((ran.code, ran.stderr.as_str()), (0, says), "{}", ran.stdout);
    wrote(run(&[SOURCE, "--write", "cams", "--auth", "cli"]), "wrote @cams to 'presync.toml'\n");
    let deep = folder.path().join("deep");
    fs::create_dir(&deep).expect("a folder");
    let emulator = "http://127.0.0.1:10000/devstoreaccount1/media/a%20%22b%22";
    let ran = connect(&[emulator, "--write", "local"]).inside(&deep).run();
    wrote(ran, &format!("wrote @local to '{}'\n", file.display()));
    let text = fs::read_to_string(&file).expect("it is there");
    assert_snapshot!(text);

    let again = format!("'{}' already has this connection @cams\n", file.display());
    wrote(run(&["@cams", "--write", "cams"]), &again);
    assert_eq!(run(&["@cams"]).stdout, printed(&[SOURCE]));
    let ran = run(&[emulator, "--write", "cams"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr.contains("already has a different connection '@cams'\nhelp: choose another name"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&file).expect("it is there"), text, "nothing else is written");
}

#[test]
fn a_sas_is_neither_written_nor_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran =
        connect(&[&format!("{SOURCE}?sp=rl&sig=c2VjcmV0"), "--write", "cams"]).inside(folder.path()).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("the SAS was not written"), "{}", ran.stderr);
    let text = fs::read_to_string(folder.path().join("presync.toml")).expect("it is there");
    assert!(![&text, &ran.stdout, &ran.stderr].iter().any(|text| text.contains("c2VjcmV0")));
}

#[test]
fn what_cannot_be_connected_is_said() {
    let mut messages = String::new();
    for args in [
        ["fixtures/demo"].as_slice(),
        &["https://media.blob.core.windows.net/Cam_1"],
        &["https://My-Media.blob.core.windows.net/cam"],
        &["https://cdn.example.org/cam"],
        &[SOURCE, "--origin", "https://nexus.datature.io/"],
        &[SOURCE, "--app-id", "a\nb"],
        &[SOURCE, "--write", "my cams"],
    ] {
        let ran = connect(args).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        messages += &format!("# {args:?}\n{}\n", ran.stderr);
    }
    assert_snapshot!(messages);
}

//! `presync connect`: what it prints is run by a real bash, with an `az` that writes down what it was asked.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::support::presync::{Presync, Ran, root};
use crate::support::python::check_az;

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
         case \"$*\" in\n\
         'storage account show '*'--query id '*) echo '{ID}' ;;\n\
         'storage account show '*) echo 'its group' ;;\n\
         esac\n",
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

/// What is known of the account.
#[derive(Clone, Copy, Default)]
struct Where<'a> {
    subscription: Option<&'a str>,
    group: Option<&'a str>,
}

/// The calls for a container, with those that look up what is not known of its account.
fn expected(app: &str, container: &str, place: Where<'_>, origins: &[&str]) -> Vec<Vec<String>> {
    let read = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
    let name = "Microsoft.Storage/storageAccounts/blobServices/containers:name";
    let condition =
        format!("((!(ActionMatches{{'{read}'}})) OR (@Resource[{name}] StringEquals '{container}'))");
    let subscription: Vec<_> = place.subscription.into_iter().flat_map(|id| ["--subscription", id]).collect();
    let known_group: Vec<_> = place.group.into_iter().flat_map(|name| ["--resource-group", name]).collect();
    let show = |property: &'static str| {
        let show = ["storage", "account", "show", "--name", "media"];
        [&show[..], &known_group, &subscription, &["--query", property, "--output", "tsv"]].concat()
    };
    let id = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/media",
        place.subscription.unwrap_or_default(),
        place.group.unwrap_or_default()
    );
    let knows_id = place.subscription.is_some() && place.group.is_some();
    let mut calls = vec![["ad", "sp", "create", "--id", app].to_vec()];
    if !knows_id {
        calls.push(show("id"));
    }
    let role =
        ["role", "assignment", "create", "--assignee", app, "--role", "Storage Blob Data Reader", "--scope"];
    let scope = [if knows_id { &id } else { ID }];
    let condition = ["--condition-version", "2.0", "--condition", &condition];
    calls.push([&role[..], &scope, &subscription, &condition].concat());
    if place.group.is_none() {
        calls.push(show("resourceGroup"));
    }
    let cors =
        ["storage", "account", "blob-service-properties", "cors-rule", "add", "--account-name", "media"];
    let group = ["--resource-group", place.group.unwrap_or("its group")];
    let methods =
        ["--allowed-methods", "GET", "--allowed-headers", "*", "--exposed-headers", "*", "--max-age", "3600"];
    calls.push([&cors[..], &group, &subscription, &["--allowed-origins"], origins, &methods].concat());
    calls.iter().map(|call| call.iter().map(|word| (*word).to_owned()).collect()).collect()
}

#[test]
fn it_looks_like_this() {
    assert_snapshot!(printed(&[SOURCE]));
}

#[test]
fn bash_runs_what_is_printed_and_the_azure_cli_takes_it() {
    const ORIGIN: [&str; 1] = ["https://nexus.datature.io"];
    let mut all = Vec::new();
    let mut check = |args: &[&str], expected: Vec<Vec<String>>| {
        let calls = calls(&printed(args));
        assert_eq!(calls, expected, "{args:?}");
        all.extend(calls);
    };
    check(&[SOURCE], expected("<APP-ID>", "cam", Where::default(), &ORIGIN));

    let app = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
    let source = "https://media.blob.core.windows.net/$web/it's%0Aodd%20`id`";
    let origins = ["https://*.example.org", "http://localhost:8080"];
    let args = [source, "--app-id", app, "--origin", origins[0], "--origin", origins[1]];
    check(&args, expected(app, "$web", Where::default(), &origins));

    let group = "it's (\"ours\") & $HOME!";
    let args = ["abfss://cam@media.dfs.core.windows.net", "--resource-group", group];
    check(&args, expected("<APP-ID>", "cam", Where { group: Some(group), subscription: None }, &ORIGIN));

    let place = Where { subscription: Some("my sub"), group: Some("it's") };
    let args = [SOURCE, "--subscription", "my sub", "--resource-group", "it's", "--origin", "*"];
    check(&args, expected("<APP-ID>", "cam", place, &["*"]));

    let select = ["cloud", "set", "--name", "AzureUSGovernment"].map(str::to_owned).to_vec();
    let mut in_government = expected("<APP-ID>", "cam", place, &["*"]);
    in_government.insert(0, select);
    let mut args = args;
    args[0] = "https://media.blob.core.usgovcloudapi.net/cam";
    check(&args, in_government);
    check_az(&all);
}

/// The words of a PowerShell command, by the rules of "about_Quoting_Rules".
fn powershell_words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted, mut is_open) = (Vec::new(), String::new(), false, false);
    let mut rest = command.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if is_quoted && rest.peek() == Some(&'\'') => word.extend(rest.next()),
            '\'' => (is_quoted, is_open) = (!is_quoted, true),
            ' ' | '\n' if !is_quoted => {
                if is_open {
                    words.push(std::mem::take(&mut word));
                }
                is_open = false;
            }
            '`' if !is_quoted => assert_eq!(rest.next(), Some('\n'), "{command}"),
            c => {
                assert!(is_quoted || c.is_ascii_alphanumeric() || "./_:-".contains(c), "{c} in {command}");
                word.push(c);
                is_open = true;
            }
        }
    }
    assert!(!is_quoted, "{command}");
    if is_open {
        words.push(word);
    }
    words
}

#[test]
fn powershell_gets_the_same_words() {
    let args = [SOURCE, "--subscription", "my sub", "--resource-group", "it's", "--origin", "*"];
    let script = printed(&[&args[..], &["--format", "powershell"]].concat());
    let commands: String =
        script.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let commands = commands.split("az ").skip(1).map(powershell_words).collect::<Vec<_>>();
    assert_eq!(commands, calls(&printed(&args)));
}

#[test]
fn terraform_takes_what_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        printed(&[SOURCE, "--format", "terraform", "--resource-group", "it's ${x} \"y\"", "--origin", "*"]);
    assert_snapshot!(text);
    if Command::new("terraform").arg("-version").output().is_err() {
        return;
    }
    fs::write(folder.path().join("connect.tf"), text).expect("it can be written");
    let output = Command::new("terraform").current_dir(&folder).args(["fmt", "-check", "-diff"]).output();
    let output = output.expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn bicep_looks_like_this() {
    let text = printed(&[SOURCE, "--format", "bicep", "--resource-group", "media"]);
    // Every bracket and quote is closed, comments aside; a string ends on its line.
    let mut open = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let (mut is_quoted, mut chars) = (false, line.chars());
        while let Some(c) = chars.next() {
            match c {
                '\\' if is_quoted => _ = chars.next(),
                '\'' => is_quoted = !is_quoted,
                '{' | '[' | '(' if !is_quoted => open.push(c),
                '}' | ']' | ')' if !is_quoted => {
                    let expected = match c {
                        '}' => '{',
                        ']' => '[',
                        _ => '(',
                    };
                    assert_eq!(open.pop(), Some(expected), "{line}");
                }
                _ => {}
            }
        }
        assert!(!is_quoted, "{line}");
    }
    assert!(open.is_empty());
    assert_snapshot!(text);
}

#[test]
fn the_commands_in_hints_are_taken_too() {
    let mut calls: Vec<Vec<String>> = Vec::new();
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["explain.rs", "auth/entra.rs", "doctor/scope.rs"]
        .map(|file| root().join("src/source/azure").join(file));
    for file in files {
        let text = fs::read_to_string(&file).expect("it is there");
        // A text that goes on in the next line is one text.
        let text: String = text.split("\\\n").map(str::trim_start).collect();
        for part in text.split(": az ").skip(1) {
            let command = part.split(['"', ';', ',']).next().unwrap_or_default();
            calls.push(shlex::split(command).expect("it is quoted"));
        }
    }
    let bicep = printed(&[SOURCE, "--format", "bicep", "--resource-group", "it's"]);
    for line in bicep.lines().filter_map(|line| line.strip_prefix("// az ")) {
        calls.push(shlex::split(line).expect("it is quoted"));
    }
    let key = Presync::new(["preview", SOURCE]).env("AZURE_STORAGE_KEY", "not base64").inside(&folder).run();
    let list = key.stderr.split(": az ").nth(1).expect("it is suggested");
    calls.push(shlex::split(list).expect("it is quoted"));
    assert!(calls.len() > 5, "{calls:?}");
    check_az(&calls);
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
        &[SOURCE, "--write", "my/cams"],
    ] {
        let ran = connect(args).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        messages += &format!("# {args:?}\n{}\n", ran.stderr);
    }
    assert_snapshot!(messages);
}

//! What cannot start or cannot go on: exit code 2, nothing on stdout, and one message that says what is wrong and
//! what to do. The snapshots hold the messages, in the order of the tables here.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;
use std::thread;

use insta::assert_snapshot;
use jiff::{Timestamp, ToSpan};

use crate::support::azurite::{ACCOUNT, Azurite, KEY};
use crate::support::presync::{Presync, demo};

const CONTAINER: &str = "bad-input";
/// Nothing listens on this port.
const CLOSED: &str = "http://127.0.0.1:1/devstoreaccount1/media";
/// No name ends in `.invalid` (RFC 6761, 6.4).
const NOWHERE: &str = "https://nosuchaccount.blob.core.windows.invalid/media";
const CLOUD: &str = "https://media.blob.core.windows.net/cam";

// What no message may show: a key, a signature, a client's secret.
const OTHER_KEY: &str = "c2VjcmV0IGtleSBvZiB0aGUgdGVzdHM=";
const BROKEN_KEY: &str = "secret key without base64!";
const SIGNATURE: &str = "c2VjcmV0LXNpZ25hdHVyZQ";
const CLIENT_SECRET: &str = "secret~of~the~client";
const PASSWORD: &str = "secret-password";

/// A profile with which nothing is wrong.
const PROFILE: &str = r#"name = "mine"
title = "Mine"

[images]
unit = "images"
formats = ["jpeg", "png"]
orientations = [1]
max_bytes = 1_000
cost = 1

[videos]
unit = "frames"
major_brands = ["mp42"]
pixel_formats = ["yuv420p"]
browser_codecs = ["h264"]
max_bytes = 2_000
cost_per_frame = 1
"#;

/// Azurite with one image in a private container.
static AZURITE: LazyLock<&Azurite> = LazyLock::new(|| {
    let azurite = Azurite::http();
    azurite.create_container(CONTAINER, false);
    azurite.put(CONTAINER, "0001.jpg", image());
    azurite
});

fn image() -> Vec<u8> {
    fs::read(demo().join("cam1/0001.jpg")).expect("it can be read")
}

/// The image's container over TLS.
static AZURITE_TLS: LazyLock<&Azurite> = LazyLock::new(|| {
    let azurite = Azurite::https();
    azurite.create_container(CONTAINER, false);
    azurite
});

/// The messages of runs that fail, one below the other. They run side by side: some wait before they try again.
fn messages<'a>(cases: impl IntoIterator<Item = (&'a str, Presync)>) -> String {
    let mut texts = Vec::new();
    thread::scope(|scope| {
        let start = |(what, presync): (&'a str, Presync)| (what, scope.spawn(|| presync.run()));
        let running: Vec<_> = cases.into_iter().map(start).collect();
        for (what, run) in running {
            let ran = run.join().expect("the run ends");
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{what}: {}", ran.stderr);
            check(what, &ran.stderr);
            texts.push(format!("# {what}\n{}", ran.stderr));
        }
    });
    texts.join("\n")
}

/// Checks the form of a message, and that it shows no secret.
fn check(what: &str, message: &str) {
    let is = |start: &str| message.lines().filter(|line| line.starts_with(start)).count();
    assert!(message.starts_with("error: ") && message.ends_with('\n'), "{what}: {message}");
    assert!(is("error:") == 1 && is("help:") <= 1, "{what}: {message}");
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", "\u{1b}"] {
        assert!(!message.contains(word), "{what}: {message}");
    }
    for secret in [KEY, OTHER_KEY, BROKEN_KEY, SIGNATURE, CLIENT_SECRET, PASSWORD] {
        assert!(!message.contains(secret), "{what}: {message}");
    }
    let signatures = message.match_indices("sig=").map(|(at, found)| &message[at + found.len()..]);
    for signature in signatures {
        assert!(signature.starts_with('…'), "{what}: {message}");
    }
}

/// The same text on every machine.
fn anywhere(text: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(text.to_owned(), |text, (here, name)| text.replace(here, name))
}

/// Host and port of a service, which are others every time.
fn host(azurite: &Azurite) -> &str {
    let (_, rest) = azurite.endpoint().split_once("://").expect("a URL");
    rest.split('/').next().expect("a host")
}

fn run(source: impl AsRef<std::ffi::OsStr>) -> Presync {
    Presync::dry_run(source)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_folder_that_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("image.jpg");
    fs::write(&file, image()).expect("it can be written");
    let messages = messages([
        ("no such folder", run(folder.path().join("nothing"))),
        ("a file", run(&file)),
        ("a file in the place of a folder", run(file.join("below"))),
        ("nothing", run("")),
        ("a file URL of another machine", run("file://host/share")),
        ("a file URL with a query", run("file:///folder?x")),
    ]);
    let messages = anywhere(&messages, &[(path(folder.path()), "FOLDER")]);
    assert_snapshot!(messages);
}

#[test]
fn a_url_that_is_none() {
    let account = |source: &str, name: &'static str| run(source).args(["--account", name]);
    let signed = |url: &str| run(format!("{url}?sp=rl&sig={SIGNATURE}"));
    let messages = messages([
        ("unknown scheme", run("s3://media/cam1")),
        ("no host", run("https:///media")),
        ("a host with a space", run("https://my account.blob.core.windows.net/media")),
        ("a bad port", run("https://media.blob.core.windows.net:port/cam")),
        ("a password", run(format!("https://user:{PASSWORD}@media.blob.core.windows.net/cam"))),
        ("an IPv6 address without brackets", run("http://::1:10000/devstoreaccount1/cam")),
        ("no container", run("https://media.blob.core.windows.net/")),
        ("no container after an emulator's account", run("http://127.0.0.1:10000/devstoreaccount1")),
        ("bad container name", run("https://media.blob.core.windows.net/Cam_1")),
        ("bad container name and a SAS", signed("https://media.blob.core.windows.net/Cam_1/x")),
        ("bad account name", run("https://my-media.blob.core.windows.net/cam")),
        ("bad account name as an option", account("az://cam", "My_Media")),
        ("another account as an option", account(CLOUD, "other")),
        ("a number sign", run("https://media.blob.core.windows.net/cam/a#1.jpg")),
        ("a number sign and a SAS", signed("https://media.blob.core.windows.net/cam/a#1.jpg")),
        ("a query that is no SAS", run(format!("{CLOUD}?sp=rl&se=2030-01-01"))),
        ("a prefix that is not UTF-8", run(format!("{CLOUD}/%FF"))),
        ("az without a container", run("az://")),
        ("az without an account", run("az://cam/x")),
        ("az with a SAS", signed("az://cam/x")),
        ("abfss without an account", run("abfss://cam/x")),
        ("abfss with another host", run("abfss://cam@example.org/x")),
        ("abfss with a SAS", signed("abfss://cam@media.dfs.core.windows.net/x")),
    ]);
    assert_snapshot!(messages);
}

#[test]
fn a_credential_that_is_none() {
    let signed_in = |mode: &'static str| run(CLOUD).args(["--auth", mode]);
    let connection = |text: &str| run("az://cam").env("AZURE_STORAGE_CONNECTION_STRING", text);
    let messages = messages([
        ("no key", signed_in("key")),
        ("the key of another account", {
            signed_in("key").env("AZURE_STORAGE_ACCOUNT", "other").env("AZURE_STORAGE_KEY", OTHER_KEY)
        }),
        ("the key of an unknown account", {
            run("https://cdn.example.org/cam").args(["--auth", "key"]).env("AZURE_STORAGE_KEY", OTHER_KEY)
        }),
        ("a key that is not base64", run(CLOUD).env("AZURE_STORAGE_KEY", BROKEN_KEY)),
        ("a key that is not base64 in a connection string", {
            connection(&format!("AccountName=media;AccountKey={BROKEN_KEY}"))
        }),
        ("a connection string that is none", connection(BROKEN_KEY)),
        ("a connection string without an account", connection(&format!("AccountKey={OTHER_KEY}"))),
        ("a connection string with a SAS that is none", {
            connection("AccountName=media;SharedAccessSignature=sp=rl")
        }),
        ("no SAS", signed_in("sas")),
        ("a SAS without a signature", run(CLOUD).env("AZURE_STORAGE_SAS_TOKEN", "sp=rl&se=2030-01-01")),
        ("a client secret without its variables", signed_in("client-secret")),
        ("a client secret without a tenant", {
            signed_in("client-secret").env("AZURE_CLIENT_ID", "id").env("AZURE_CLIENT_SECRET", CLIENT_SECRET)
        }),
        ("a client secret with a tenant that is none", {
            let presync =
                signed_in("client-secret").env("AZURE_CLIENT_ID", "id").env("AZURE_TENANT_ID", "my tenant");
            presync.env("AZURE_CLIENT_SECRET", CLIENT_SECRET)
        }),
        ("a workload identity without its variables", signed_in("workload-identity")),
        ("a workload identity without its file", {
            let presync =
                signed_in("workload-identity").env("AZURE_CLIENT_ID", "id").env("AZURE_TENANT_ID", "tenant");
            presync.env("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token")
        }),
        ("a client's secret in the place of the tenant", {
            let presync = signed_in("client-secret").env("AZURE_CLIENT_ID", "id");
            presync.env("AZURE_CLIENT_SECRET", "tenant").env("AZURE_TENANT_ID", CLIENT_SECRET)
        }),
        ("no Azure CLI", signed_in("cli").env("PATH", "/nowhere")),
        ("a token over http", run(CLOSED).args(["--auth", "cli"])),
    ]);
    assert_snapshot!(messages);
}

#[test]
fn the_azure_cli_fails() {
    let failing = |script: &str| {
        let bin = tempfile::tempdir().expect("a folder");
        let az = bin.path().join("az");
        fs::write(&az, format!("#!/bin/sh\n{script}\n")).expect("it can be written");
        fs::set_permissions(&az, Permissions::from_mode(0o755)).expect("it can be made executable");
        bin
    };
    let logged_out = failing("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    let silent = failing("exit 1");
    let warning = failing("echo 'WARNING: old' >&2; echo 'ERROR: AADSTS1: no such tenant.' >&2; exit 1");
    let babbling = failing("echo 'no JSON'");
    let sign_in = |bin: &Path, mode: &'static str| {
        let presync = run(AZURITE_TLS.container_url(CONTAINER)).args(["--auth", mode]).env("PATH", bin);
        presync.env("SSL_CERT_FILE", AZURITE_TLS.ca())
    };
    let messages = messages([
        ("not logged in", sign_in(logged_out.path(), "cli")),
        ("not logged in, and nothing asked for", sign_in(logged_out.path(), "auto")),
        ("it says nothing", sign_in(silent.path(), "cli")),
        ("it warns first", sign_in(warning.path(), "cli")),
        ("it says something else", sign_in(babbling.path(), "cli")),
    ]);
    let messages = anywhere(&messages, &[(host(&AZURITE_TLS), "127.0.0.1:PORT")]);
    assert_snapshot!(messages);
}

#[test]
fn the_service_refuses() {
    let url = AZURITE.container_url(CONTAINER);
    let sas = |permissions, expiry| run(format!("{url}?{}", AZURITE.sas(CONTAINER, permissions, expiry)));
    let tomorrow = Timestamp::now() + 24.hours();
    let past: Timestamp = "2020-01-01T00:00:00Z".parse().expect("a time");
    let forged = AZURITE.sas(CONTAINER, "rl", tomorrow).replace("sp=rl", "sp=racwdl");
    let missing = AZURITE.container_url("no-such-container");
    let messages = messages([
        ("a private container, no credential", run(&url)),
        ("a private container, anonymous", run(&url).args(["--auth", "anonymous"])),
        ("the wrong key", run(&url).env("AZURE_STORAGE_KEY", OTHER_KEY)),
        ("the wrong key in a connection string", {
            let connection = AZURITE.connection_string().replace(KEY, OTHER_KEY);
            run(format!("az://{CONTAINER}")).env("AZURE_STORAGE_CONNECTION_STRING", connection)
        }),
        ("a SAS that has expired", sas("rl", past)),
        ("a SAS that cannot list", sas("r", tomorrow)),
        ("a SAS that cannot read", sas("l", tomorrow)),
        ("a SAS of another signature", run(format!("{url}?{forged}"))),
        ("a SAS of another container", {
            run(format!("{url}?{}", AZURITE.sas("another-container", "rl", tomorrow)))
        }),
        ("no such container", run(&missing).env("AZURE_STORAGE_KEY", KEY)),
        ("no such container, no credential", run(&missing)),
        ("no such account", { run(url.replace(ACCOUNT, "nosuchaccount")).env("AZURE_STORAGE_KEY", KEY) }),
    ]);
    let messages = anywhere(&messages, &[(host(&AZURITE), "127.0.0.1:PORT")]);
    assert_snapshot!(messages);
}

#[test]
fn the_service_is_not_there() {
    let tls = AZURITE_TLS.container_url(CONTAINER);
    let plain = tls.replace("https://", "http://");
    let encrypted = AZURITE.container_url(CONTAINER).replace("http://", "https://");
    let messages = messages([
        ("nothing listens", run(CLOSED)),
        ("nothing listens, and a SAS", run(format!("{CLOSED}?sp=rl&sig={SIGNATURE}"))),
        ("no such name", run(NOWHERE).args(["--auth", "anonymous"])),
        ("no such name, and a key", run(NOWHERE).env("AZURE_STORAGE_KEY", OTHER_KEY)),
        ("a certificate of an unknown authority", run(&tls).args(["--auth", "anonymous"])),
        ("http where https listens", run(&plain).args(["--auth", "anonymous"])),
        ("https where http listens", run(&encrypted).args(["--auth", "anonymous"])),
    ]);
    // What the system says of a name that it does not find depends on whether it has a network.
    let lookup = "failed to lookup address information: ";
    let [no_name, no_network] = ["Name or service not known", "Temporary failure in name resolution"];
    let messages = anywhere(
        &messages,
        &[
            (host(&AZURITE_TLS), "127.0.0.1:PORT"),
            (host(&AZURITE), "127.0.0.1:PORT"),
            (&format!("{lookup}{no_name}"), "NO SUCH NAME"),
            (&format!("{lookup}{no_network}"), "NO SUCH NAME"),
        ],
    );
    assert_snapshot!(messages);
}

#[test]
fn a_profile_that_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = |name: &str, from: &str, to: &str| {
        assert!(PROFILE.contains(from), "the profile has no {from}");
        let file = folder.path().join(name);
        fs::write(&file, PROFILE.replacen(from, to, 1)).expect("it can be written");
        file
    };
    let with = |profile: &Path| run(demo()).args(["--profile", path(profile)]);
    let whole = with(&written("whole.toml", "", "")).run();
    assert_ne!(whole.code, 2, "nothing else is wrong with it: {}", whole.stderr);
    let messages = messages([
        ("no such profile", with(Path::new("nexsus"))),
        ("no such file", with(&folder.path().join("mine.toml"))),
        ("a folder", with(folder.path())),
        ("an unknown key", with(&written("unknown.toml", "orientations", "orientation"))),
        ("a key that is missing", with(&written("missing.toml", "max_bytes = 1_000\n", ""))),
        ("a value of another kind", with(&written("kind.toml", "1_000", "\"1 KB\""))),
        ("an unknown format", with(&written("format.toml", "\"png\"", "\"pgn\""))),
        ("no TOML", with(&written("none.toml", "[images]", "[images"))),
    ]);
    let messages = anywhere(&messages, &[(path(folder.path()), "FOLDER")]);
    assert_snapshot!(messages);
}

#[test]
fn a_report_that_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = |output: &Path| run(demo()).args(["--output", path(output)]);
    let file = folder.path().join("file");
    fs::write(&file, "").expect("it can be written");
    let messages = messages([
        ("no such folder", to(&folder.path().join("nothing/report.txt"))),
        ("a file in the place of a folder", to(&file.join("report.txt"))),
        ("a folder in the place of a file", to(folder.path())),
    ]);
    let messages = anywhere(&messages, &[(path(folder.path()), "FOLDER")]);
    assert_snapshot!(messages);
    let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "no temporary file stays: {left:?}");
}

#[test]
fn a_command_line_that_is_none() {
    let with = |args: &[&'static str]| run(demo()).args(args);
    let messages = messages([
        ("no source", Presync::new(["dry-run"])),
        ("unknown command", Presync::new(["dryrun", "folder"])),
        ("unknown flag", with(&["--imagequota", "20"])),
        ("a quota that is no number", with(&["--image-quota", "x"])),
        ("a quota below zero", with(&["--frame-quota=-1"])),
        ("no quota", with(&["--image-quota"])),
        ("unknown format", with(&["--format", "yaml"])),
        ("unknown way to sign in", with(&["--auth", "password"])),
        ("nothing at once", with(&["--concurrency", "0"])),
        ("a flag twice", with(&["--profile", "vi", "--profile", "nexus"])),
        ("two sources", with(&["another"])),
    ]);
    assert_snapshot!(messages);
}

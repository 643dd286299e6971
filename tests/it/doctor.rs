//! `presync doctor` against a real service: every credential that it can have, and what is wrong with each.

use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use insta::assert_snapshot;
use jiff::Timestamp;
use serde_json::Value;

use crate::support::azurite::{Azurite, KEY, fake_az, unsigned_jwt};
use crate::support::presync::{Presync, Ran, demo};
use crate::support::stand_in::{Answer, StandIn};

const CONTAINER: &str = "doctor";
const PUBLIC: &str = "doctor-public";
/// The origin that the service's only rule is for.
const ALLOWED: &str = "https://allowed.example";

static HTTP: LazyLock<&Azurite> = LazyLock::new(|| filled(Azurite::http()));
static HTTPS: LazyLock<&Azurite> = LazyLock::new(|| filled(Azurite::https()));

fn filled(azurite: &'static Azurite) -> &'static Azurite {
    for (container, public) in [(CONTAINER, false), (PUBLIC, true)] {
        azurite.create_container(container, public);
        azurite.put(container, "cam1/0000.jpg", "");
        azurite.put(container, "cam1/0001.jpg", vec![7; 5000]);
        azurite.put(container, "video.MP4", vec![7; 10]);
    }
    azurite.allow_origins(ALLOWED);
    azurite
}

fn doctor(source: impl AsRef<std::ffi::OsStr>) -> Presync {
    Presync::new(["doctor".as_ref(), source.as_ref()])
}

fn sas(permissions: &str) -> String {
    let expiry: Timestamp = "2099-01-01T00:00:00Z".parse().expect("a time");
    format!("{}?{}", HTTP.container_url(CONTAINER), HTTP.sas(CONTAINER, permissions, expiry))
}

/// A run with the Azure CLI's token.
fn with_token(bin: &Path) -> Presync {
    let presync = doctor(HTTPS.container_url(CONTAINER)).args(["--auth", "cli"]);
    presync.env("PATH", bin).env("SSL_CERT_FILE", HTTPS.ca())
}

/// An account of which an identity may read container `cam`, and list or not list the names of all. Its role arrives
/// after some requests.
fn account(lists_containers: bool, refusals: usize) -> StandIn {
    let left = AtomicUsize::new(refusals);
    StandIn::https(move |request| {
        let xml = |body: &str| {
            Answer::ok("application/xml", format!("<EnumerationResults>{body}</EnumerationResults>"))
        };
        let refused = || Answer::refused("403 Forbidden", "AuthorizationPermissionMismatch");
        let containers = "<Containers><Container><Name>cam</Name></Container><Container><Name>other</Name>\
                          </Container></Containers>";
        let path = request.line.strip_prefix("GET /media").and_then(|path| path.split('?').next());
        match path {
            Some("/cam") if left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() => {
                refused()
            }
            Some("/cam") => xml("<Blobs></Blobs>"),
            Some("/" | "") if lists_containers => xml(containers),
            _ => refused(),
        }
    })
}

/// An examination of container `cam` of that account.
fn of_account(account: &StandIn, bin: &Path) -> Presync {
    fake_az(bin, &unsigned_jwt("https://storage.azure.com"));
    let presync = doctor(format!("{}/media/cam", account.url)).args(["--auth", "cli", "--format", "json"]);
    presync.env("PATH", bin).env("SSL_CERT_FILE", HTTPS.ca())
}

/// What a step says.
fn detail(ran: &Ran, step: &str) -> String {
    let document = ran.json();
    let checks = document["checks"].as_array().expect("a list");
    let check = checks.iter().find(|check| check["name"] == step).expect("the step is there");
    format!("{}: {}", check["outcome"].as_str().expect("a text"), check["detail"].as_str().expect("a text"))
}

/// The report without ports and times.
fn stable(text: &str) -> String {
    let line = |line: &str| {
        let line = match line.rsplit_once("  ") {
            Some((rest, last)) if last.ends_with(" ms") && !last.contains('.') => rest,
            _ => line,
        };
        let time = ["p50 ", "within "].iter().find_map(|word| line.split_once(word));
        time.map_or(line.to_owned(), |(start, _)| format!("{start}TIME"))
    };
    let text = text.lines().map(line).collect::<Vec<_>>().join("\n");
    [&*HTTP, &*HTTPS].iter().fold(text, |text, azurite| text.replace(azurite.endpoint(), "ENDPOINT"))
}

fn outcomes(ran: &Ran) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let checks = ran.json()["checks"].as_array().expect("a list").clone();
    checks.iter().map(|check| (text(&check["name"]), text(&check["outcome"]))).collect()
}

#[test]
fn a_key() {
    let ran =
        doctor(HTTP.container_url(CONTAINER)).args(["--origin", ALLOWED]).env("AZURE_STORAGE_KEY", KEY).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_snapshot!(stable(&ran.stdout));
}

#[test]
fn a_sas_and_an_origin_that_no_rule_names() {
    let ran = doctor(sas("rl")).args(["--origin", ALLOWED, "--origin", "https://other.example:8443"]).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (2, ""));
    assert_snapshot!(stable(&ran.stdout));
}

#[test]
fn a_role_that_reaches_further() {
    let bin = tempfile::tempdir().expect("a folder");
    fake_az(bin.path(), &unsigned_jwt("https://storage.azure.com"));
    let ran = with_token(bin.path()).args(["--origin", ALLOWED]).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // Other tests have containers there too.
    let report = stable(&ran.stdout)
        .split('\n')
        .map(|line| match line.split_once("container '") {
            Some((start, _)) => format!("{start}container 'OTHER' too"),
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n");
    assert_snapshot!(report);
}

#[test]
fn a_public_container_and_a_prefix_that_none_has() {
    let url = format!("{}/nothing", HTTP.container_url(PUBLIC));
    let ran = doctor(url).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_snapshot!(stable(&ran.stdout));
}

#[test]
fn every_failure_stops_what_depends_on_it() {
    let refused = doctor(HTTP.container_url(CONTAINER)).args(["--format", "json"]).run();
    let mut reports = Vec::new();
    for (what, presync) in [
        ("no credential", doctor(HTTP.container_url(CONTAINER))),
        ("a SAS that cannot read", doctor(sas("l"))),
        ("no such container", doctor(HTTP.container_url("no-such-container")).env("AZURE_STORAGE_KEY", KEY)),
        ("a name that is none", doctor("https://media.blob.core.windows.net/Cam_1?sig=c2VjcmV0")),
        (
            "a key that is none",
            doctor("az://cam").args(["--account", "media"]).env("AZURE_STORAGE_KEY", "no!"),
        ),
        ("no such folder", doctor("/nowhere/at/all")),
    ] {
        let ran = presync.args(["--origin", ALLOWED]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (2, ""), "{what}");
        assert!(!ran.stdout.contains("c2VjcmV0"), "{what}");
        reports.push(format!("# {what}\n{}", stable(&ran.stdout)));
    }
    assert_eq!(refused.json()["failed"], 1);
    assert_snapshot!(reports.join("\n"));
}

#[test]
fn the_steps_of_a_document_are_those_of_the_text() {
    let ran = doctor(sas("rl")).args(["--format", "json", "--origin", ALLOWED]).run();
    assert_eq!(ran.code, 0);
    let document = ran.json();
    assert_eq!(document["format_version"], "1.0");
    assert_eq!((&document["source"]["provider"], &document["failed"]), (&"azure".into(), &0.into()));
    let steps = [
        "names",
        "credential",
        "token",
        "list",
        "read",
        "least-privilege",
        "cors",
        "clock",
        "latency",
        "platform",
    ];
    let found = outcomes(&ran);
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), steps);
    assert!(
        found.iter().all(|(name, outcome)| {
            outcome == if ["token", "platform"].contains(&name.as_str()) { "skipped" } else { "ok" }
        }),
        "{found:?}"
    );
    assert!(!ran.stdout.contains("sig="), "{}", ran.stdout);
}

#[test]
fn a_folder() {
    let ran = doctor(demo()).args(["--format", "json"]).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let ok: Vec<_> = outcomes(&ran).into_iter().filter(|(_, outcome)| outcome != "skipped").collect();
    assert_eq!(ok, ["names", "list", "read"].map(|name| (name.to_owned(), "ok".to_owned())));
}

#[test]
fn a_role_that_reaches_no_further() {
    let bin = tempfile::tempdir().expect("a folder");
    for (lists_containers, says) in [
        (true, "ok: the identity cannot read 'other'"),
        (false, "ok: the identity cannot list the account's containers"),
    ] {
        let ran = of_account(&account(lists_containers, 0), bin.path()).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert_eq!(detail(&ran, "least-privilege"), says);
        assert_eq!(detail(&ran, "list"), "warning: the container is empty");
    }
}

#[test]
fn a_role_that_arrives_is_waited_for() {
    let bin = tempfile::tempdir().expect("a folder");
    let ran = of_account(&account(true, 1), bin.path()).args(["--wait", "60s"]).run();
    assert_eq!((ran.code, ran.stderr.lines().count()), (0, 1), "{}", ran.stderr);
    let waiting = "the role assignment has not propagated yet; retrying in 5 s, for at most 60 s";
    assert!(ran.stderr.starts_with(waiting));

    let ran = of_account(&account(true, usize::MAX), bin.path()).args(["--wait", "1s"]).run();
    assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{}", ran.stderr);
    assert!(
        detail(&ran, "list").contains("the identity has no permission to read and list blobs"),
        "{}",
        ran.stdout
    );
}

#[test]
fn nothing_else_is_waited_for() {
    for presync in [doctor(sas("r")), doctor(HTTP.container_url(CONTAINER)), doctor("/nowhere/at/all")] {
        let ran = presync.args(["--wait"]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (2, ""));
    }
}

#[test]
fn a_clock_that_is_off_is_told_also_when_nothing_is_listed() {
    let account = StandIn::http(|_| {
        let date = "date: Sun, 01 Nov 2020 10:00:00 GMT".to_owned();
        Answer("404 Not Found", vec![date], Vec::new())
    });
    let ran = doctor(format!("{}/media/cam", account.url)).args(["--format", "json"]).run();
    assert_eq!((ran.code, ran.json()["failed"].as_u64()), (2, Some(2)), "{}", ran.stdout);
    let clock = detail(&ran, "clock");
    assert!(
        clock.starts_with("failed: this machine's clock is ") && clock.ends_with(" s ahead of the service's")
    );
}

//! What an audit takes, and what it refuses.

use std::fs;

use insta::assert_snapshot;
use presync::loopback::{Fault, On, Server};
use presync::source::azure::{self, AuthMode, Session};
use presync::source::location::{ContainerUrl, Environment};
use serde_json::json;

use super::{audit, containers, failing, fleet};
use crate::support::azurite::{ACCOUNT, Azurite};
use crate::support::presync::{Presync, demo};

#[test]
fn a_source_in_any_form_is_audited_once() {
    let server = Server::start(fleet(2, 10)).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("{}/site-00000", server.url());
    let demo = demo();
    let slash = format!("{}/", demo.display());
    let sources = [
        "az://site-00001/cam0000/",
        "az://site-00000",
        &url,
        "az://site-00001",
        slash.as_str(),
        "fixtures/demo",
    ];
    let ran =
        audit(&server, folder.path(), &sources).args(["--account", "loopback", "--format", "json"]).run();
    let document = ran.json();
    let names: Vec<_> = containers(&document).iter().map(|row| row["name"].clone()).collect();
    let local = demo.display().to_string();
    assert_eq!(
        names,
        [
            json!(local),
            json!("loopback/site-00000"),
            json!("loopback/site-00001"),
            json!("loopback/site-00001/cam0000/")
        ]
    );
    let plans = containers(&document).iter().map(|row| row["plan"].as_str().expect("a plan").to_owned());
    let plans: Vec<_> = plans.collect();
    assert!(
        plans[3].ends_with("/account=loopback/container=site-00001/prefix-cam0000%2F.parquet"),
        "{plans:?}"
    );
    assert!(plans.iter().all(|plan| fs::exists(plan).expect("it can be asked")));
    let single = Presync::dry_run("fixtures/demo").args(["--format", "json"]).run().json();
    assert_eq!(containers(&document)[0]["findings_by_code"], single["findings_by_code"]);
}

#[test]
fn what_is_wrong_with_one_container_is_its_own() {
    let mut config = fleet(1, 5);
    config.faults.rules = vec![failing("no-list", On::Lists, Fault::no_permission(), 0)];
    let server = Server::start(config).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[connections.odd]\naccount = 'loopback'\ncontainer = 'site-00000'\nprofile = 'gone.toml'\n";
    fs::write(folder.path().join("presync.toml"), text).expect("it can be written");
    // A file where a folder must be.
    fs::create_dir_all(folder.path().join("account=loopback")).expect("a folder");
    fs::write(folder.path().join("account=loopback/container=in-the-way"), "").expect("it can be written");
    let sources = ["az://no-list", "az://gone-gone", "/no/such/folder", "@odd", "az://in-the-way"];
    let ran =
        audit(&server, folder.path(), &sources).args(["--account", "loopback"]).inside(folder.path()).run();
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let text =
        ran.stdout.replace(server.url(), "URL").replace(folder.path().to_str().expect("UTF-8"), "FOLDER");
    let times = text.lines().filter(|line| !line.trim_start().starts_with("total"));
    assert_snapshot!(times.collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_cannot_be_audited_is_said() {
    let server = Server::start(fleet(1, 5)).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let out = folder.path().join("out");
    fs::write(folder.path().join("file"), "").expect("it can be written");
    let text = "[connections.cams]\naccount = 'loopback'\ncontainer = 'site-00000'\nquota = { images = 5 }\n";
    fs::write(folder.path().join("presync.toml"), text).expect("it can be written");
    fs::write(folder.path().join("empty.toml"), "").expect("it can be written");
    let mut messages = String::new();
    let mut say = |what: &str, presync: Presync| {
        let ran = presync.inside(folder.path()).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{what}: {}", ran.stderr);
        let stderr = ran.stderr.replace(path, "FOLDER").replace(server.url(), "URL");
        messages += &format!("# {what}\n{stderr}\n");
        assert!(!out.exists(), "{what}: nothing is made before the audit can start");
    };
    say("no --out", Presync::new(["audit", "az://site-00000"]));
    say("nothing to audit", audit(&server, &out, &[]));
    say("no connection", audit(&server, &out, &["--all", "--config", "empty.toml"]));
    say("no such connection", audit(&server, &out, &["@cam"]));
    say("no such profile", audit(&server, &out, &["@cams", "--profile", "gone.toml"]));
    say("a file as the folder", audit(&server, &folder.path().join("file"), &["@cams"]));
    say(
        "twice, with other settings",
        audit(&server, &out, &["@cams", "az://site-00000", "--account", "loopback"]),
    );
    say("a bad source", audit(&server, &out, &["@cams", "s3://bucket"]));
    let denied = |on| {
        let mut config = fleet(1, 5);
        config.containers.clear();
        config.fleet = None;
        config.faults.rules = vec![failing("", on, Fault::no_permission(), 0)];
        Server::start(config).expect("it starts")
    };
    let denied_url = denied(On::All);
    let ran = audit(&denied_url, &out, &["--account", "loopback"]).inside(folder.path()).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    messages += &format!("# no right to list containers\n{}\n", ran.stderr.replace(denied_url.url(), "URL"));
    let empty = denied(On::Reads);
    let ran = audit(&empty, &out, &["--account", "loopback"]).run();
    assert_eq!(ran.code, 2);
    messages += &format!("# an account without containers\n{}\n", ran.stderr);
    assert_snapshot!(messages);
}

/// The real service's listing, page by page, as Azurite gives it.
#[test]
fn an_account_is_walked_page_by_page() {
    let azurite = Azurite::http();
    let mine = ["audit-a", "audit-b", "audit-c", "audit-d", "audit-e"];
    mine.iter().for_each(|name| azurite.create_container(name, false));
    let connection = azurite.connection_string();
    let env = Environment::of([("AZURE_STORAGE_CONNECTION_STRING", connection.as_str())]);
    let account = ContainerUrl::in_account(Some(ACCOUNT), "$root", "", &env).expect("it is known");
    let options = azure::Options { page_size: 2, ..azure::Options::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let listed = runtime.block_on(async {
        let session = Session::new(azure::Limits::default());
        azure::containers(&account, AuthMode::Auto, &env, options, &session).await
    });
    let (found, left_out) = listed.expect("it is listed");
    let names: Vec<_> = found.iter().map(|url| url.container()).collect();
    assert!(names.is_sorted() && left_out.is_empty(), "{names:?} {left_out:?}");
    assert!(mine.iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(found[0].endpoint(), azurite.endpoint());
}

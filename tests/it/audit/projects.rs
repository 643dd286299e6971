//! What containers have together: a project with its basenames, and a workspace with its quota.

use std::fs;
use std::path::Path;

use presync::loopback::{Blob, Config, Content, Handle, Server};
use serde_json::{Value, json};

use super::{audit, containers};
use crate::support::presync::{Presync, demo};

/// Three containers of images; `b` and `c` share two basenames, and all three one of them.
fn serve() -> Handle {
    let image = fs::read(demo().join("cam1/0001.jpg")).expect("a file of the demo container");
    let blobs = |names: &[&str]| {
        let blob = |name: &&str| Blob { name: (*name).into(), bytes: image.clone(), ..Blob::default() };
        Content::Blobs(names.iter().map(blob).collect())
    };
    let containers = [
        ("aaa".to_owned(), blobs(&["x/1.jpg", "x/2.jpg", "y/2.jpg"])),
        ("bbb".to_owned(), blobs(&["1.jpg", "3.jpg", "4.jpg"])),
        ("ccc".to_owned(), blobs(&["z/1.jpg", "z/3.jpg", "5.jpg"])),
    ];
    Server::start(Config { containers: containers.into(), ..Config::default() }).expect("it starts")
}

/// A folder with a connection to each.
fn project(server: &Handle) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = |name: &str, more: &str| {
        format!(
            "[connections.{name}]\ncontainer = '{name}{name}{name}'\nendpoint = '{}'\n{more}\n",
            server.url()
        )
    };
    let text = [
        connection("a", "project = 'alone'\nquota = { images = 2 }"),
        connection("b", "project = 'pets'"),
        connection("c", "project = 'pets'\nprofile = 'vi'"),
    ];
    fs::write(folder.path().join("presync.toml"), text.concat()).expect("it can be written");
    folder
}

fn run(server: &Handle, folder: &Path, args: &[&str]) -> Presync {
    audit(server, &folder.join("out"), args).args(["--format", "json"]).inside(folder)
}

#[test]
fn all_connections_are_audited_with_their_own_settings() {
    let server = serve();
    let folder = project(&server);
    let ran = run(&server, folder.path(), &["--all"]).run();
    let document = ran.json();
    let column = |field: &str| containers(&document).iter().map(|row| row[field].clone()).collect::<Value>();
    assert_eq!(column("name"), json!(["@a", "@b", "@c"]));
    assert_eq!(column("profile"), json!(["nexus", "nexus", "vi"]));
    assert_eq!(column("project"), json!(["alone", "pets", "pets"]));
    assert_eq!((ran.code, &containers(&document)[0]["findings_by_code"]["QTA001"]), (1, &json!(1)));
    let examples = json!([
        { "basename": "1.jpg", "containers": ["@b", "@c"] },
        { "basename": "3.jpg", "containers": ["@b", "@c"] },
    ]);
    let pets = json!({ "project": "pets", "basenames": 2, "one_of": 1, "examples": examples });
    assert_eq!(document["duplicates"], json!({ "basenames": 2, "projects": [pets] }));

    let one = run(&server, folder.path(), &["--all", "--one-project"]).run().json();
    let projects = one["duplicates"]["projects"].as_array().expect("a list");
    assert_eq!((projects.len(), &projects[0]["project"]), (1, &Value::Null));
    assert_eq!(projects[0]["examples"][0]["containers"], json!(["@a", "@b"]), "the first two of three");
    let text = audit(&server, &folder.path().join("out"), &["--all"]).inside(folder.path()).run().stdout;
    for part in ["  project pets: 2 basenames\n", "    1.jpg  @b, @c\n", "QTA001  image-quota"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn containers_are_weighed_together_against_a_workspace() {
    let server = serve();
    let folder = project(&server);
    let ledger = ["--ledger", "ledger.sqlite3"];
    let with = |args: &[&'static str]| [args, &["--workspace", "team"], &ledger].concat();
    let ran = run(&server, folder.path(), &with(&["@a", "@b"])).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("has no quota for 'team'"), "{}", ran.stderr);

    let set = ["quota", "set", "--workspace", "team", "--images", "10", "--used-images", "5"];
    let ran = Presync::new(set).args(ledger).inside(folder.path()).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = run(&server, folder.path(), &with(&["@a", "@b"])).run();
    let document = ran.json();
    assert_eq!(document["together"], json!([{ "kind": "images", "cost": 6, "left": 5, "excess": 1 }]));
    assert_eq!(
        (ran.code, &document["totals"]["rejected"]),
        (1, &json!(0)),
        "plans are weighed one by one: not at all"
    );
    assert_eq!(containers(&document)[0]["quota"]["images"]["limit"], Value::Null);
    let ran = run(&server, folder.path(), &with(&["@b"])).run();
    assert_eq!((ran.code, &ran.json()["together"][0]["excess"]), (0, &json!(0)));
    let text =
        audit(&server, &folder.path().join("out"), &with(&["@a", "@b"])).inside(folder.path()).run().stdout;
    assert!(text.contains("  images      6 of 5 left: 1 over\n"), "{text}");
}

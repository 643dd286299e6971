//! The folder of an audit makes the next one short.

use std::fs;
use std::path::{Path, PathBuf};

use presync::loopback::{Blob, Config, Content, Handle, Kind, Server};
use serde_json::{Value, json};

use super::{audit, audit_account, containers, fleet, timeless};
use crate::support::presync::demo;

fn image(name: &str) -> Blob {
    let bytes = fs::read(demo().join("cam1/0001.jpg")).expect("a file of the demo container");
    Blob { name: name.into(), bytes, ..Blob::default() }
}

/// A fleet of three, and a container that can be written.
fn serve() -> Handle {
    let blobs = Content::Blobs(["a.jpg", "b.jpg", "c.jpg"].map(image).to_vec());
    let mut config: Config = fleet(3, 40);
    config.containers = [("changing".to_owned(), blobs)].into();
    Server::start(config).expect("it starts")
}

fn plan(out: &Path, container: &str) -> PathBuf {
    out.join(format!("account=loopback/container={container}/plan.parquet"))
}

/// What an audit says, and how many reads it took.
fn counted(server: &Handle, out: &Path) -> (Value, u64) {
    server.reset();
    let (_, document) = audit_account(server, out);
    (document, server.stats().of(Kind::Read))
}

#[test]
fn only_what_changed_is_read() {
    let server = serve();
    let folder = tempfile::tempdir().expect("a folder");
    let (first, reads) = counted(&server, folder.path());
    assert_eq!(reads, first["totals"]["requests"].as_u64().expect("a sum"));
    assert!(reads >= 123);
    let (second, reads) = counted(&server, folder.path());
    assert_eq!(reads, 0);
    for field in ["findings_by_code", "worst_prefixes", "duplicates", "complete"] {
        assert_eq!(second[field], first[field]);
    }
    server.put("changing", image("b.jpg")).expect("it is put");
    server.put("changing", image("d.jpg")).expect("it is put");
    server.delete("changing", "a.jpg").expect("it is deleted");
    let (third, reads) = counted(&server, folder.path());
    assert_eq!((reads, &third["totals"]["listed"]), (2, &first["totals"]["listed"]));
    assert_eq!(containers(&third)[0]["name"], "loopback/changing");
    assert_eq!(containers(&third)[0]["totals"]["requests"], 2);
}

#[test]
fn a_plan_that_cannot_be_read_is_said_and_made_anew() {
    let server = serve();
    let folder = tempfile::tempdir().expect("a folder");
    let (first, _) = counted(&server, folder.path());
    let cut = plan(folder.path(), "site-00000");
    let whole = fs::read(&cut).expect("it is there");
    fs::write(&cut, &whole[..100]).expect("it can be written");
    let inside = plan(folder.path(), "site-00001");
    let mut bytes = fs::read(&inside).expect("it is there");
    bytes[20..400].fill(7);
    fs::write(&inside, bytes).expect("it can be written");
    fs::copy(plan(folder.path(), "changing"), plan(folder.path(), "site-00002")).expect("it can be copied");

    let (second, reads) = counted(&server, folder.path());
    assert_eq!(reads, 120, "all but the container whose plan is sound");
    assert_eq!(second["complete"], true);
    let notes = |number: usize| containers(&second)[number]["notes"].to_string();
    assert!(containers(&second)[0].get("notes").is_none());
    assert!(notes(1).contains("is damaged") && notes(1).contains("was read again"), "{}", notes(1));
    assert!(notes(2).contains("is damaged") && notes(2).contains("was read again"), "{}", notes(2));
    assert!(notes(3).contains("is for http") && notes(3).contains("was read again"), "{}", notes(3));
    let without_notes = |document: &Value| {
        let mut document = timeless(document.clone());
        for container in document["containers"].as_array_mut().expect("a list") {
            let container = container.as_object_mut().expect("an object");
            container.remove("notes");
            container.remove("totals");
            container.remove("changes");
        }
        document["containers"].take()
    };
    assert_eq!(without_notes(&second), without_notes(&first));
    assert_eq!(counted(&server, folder.path()).1, 0, "now all of them are sound");
    let text = audit(&server, folder.path(), &["--account", "loopback"]).run();
    assert_eq!(text.code, 1);
}

#[test]
fn another_profile_judges_the_facts_that_are_there() {
    let server = serve();
    let folder = tempfile::tempdir().expect("a folder");
    counted(&server, folder.path());
    server.reset();
    let args = ["--account", "loopback", "--format", "json", "--profile", "vi"];
    let document = audit(&server, folder.path(), &args).run().json();
    assert_eq!(server.stats().of(Kind::Read), 0);
    assert_eq!(containers(&document)[0]["quota"]["images"]["cost"], json!(15), "five data rows an image");
}

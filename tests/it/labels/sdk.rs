//! Label files that their own tools write or read, and the listing of the platform's SDK.

use super::{labels, outcomes, plan};
use crate::support::presync::{Presync, root};
use crate::support::python::{check_types, label_tools};

#[test]
fn tools_and_presync_see_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = root().join(".github/examples/reconcile_vi.py");
    let made = label_tools(&root().join("tests/it/labels/made.py"), [folder.path(), example.as_path()]);
    let list = folder.path().join("listing.json");
    let listed =
        Presync::new(["reconcile".as_ref(), plan(), list.as_path()]).args(["--format", "json"]).run().json();
    assert_eq!(
        (&listed["totals"]["listed"], &listed["totals"]["synced"], &listed["totals"]["frames_differ"]),
        (&2.into(), &2.into(), &1.into())
    );
    std::fs::remove_file(list).expect("it is there");
    let found = outcomes(&labels(&folder, &["--format", "json"]));
    let mut expected: Vec<_> =
        made["coco"].as_array().expect("names").iter().map(|name| name.as_str().expect("a name")).collect();
    expected.push("Übergang.jpg");
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    // Each code of the SDK is one that the report explains.
    let codes = made["codes"].as_array().expect("codes");
    let errors: serde_json::Map<_, _> =
        codes.iter().enumerate().map(|(number, code)| (format!("{number}.jpg"), code.clone())).collect();
    let list = folder.path().join("errors.json");
    std::fs::write(&list, serde_json::json!({ "files": errors }).to_string()).expect("it is written");
    let ran =
        Presync::new(["reconcile".as_ref(), plan(), list.as_path()]).args(["--format", "json"]).run().json();
    let rows =
        ran["tables"].as_array().and_then(|tables| tables.last()?["rows"].as_array().cloned()).expect("rows");
    assert_eq!(rows.len(), codes.len());
    assert!(!rows.iter().any(|row| row["message"] == "not a known code"), "{rows:?}");
}

#[test]
fn the_example_has_the_types_of_the_sdk() {
    check_types(&root().join(".github/examples/reconcile_vi.py"));
}

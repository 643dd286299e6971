//! What axe-core finds.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{QUOTA, report};
use crate::support::azurite;
use crate::support::chromium::Page;
use crate::support::presync::{Presync, demo};

/// Runs every rule of axe-core, at a width and in a color scheme, with every rule of the report open.
fn violations(page: &mut Page, width: u64, scheme: &str) -> String {
    let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    page.call("Emulation.setDeviceMetricsOverride", size);
    let features = json!([
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]);
    page.call("Emulation.setEmulatedMedia", json!({"features": features}));
    page.settle();
    let found = page.eval(
        "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.flatMap(({id, nodes}) =>
            nodes.map(({html, failureSummary}) => `${id}: ${html}\\n${failureSummary}`)).join('\\n\\n'))",
    );
    found.as_str().expect("a text").to_owned()
}

fn assert_accessible(path: &Path) {
    let axe = fs::read_to_string(azurite::packages().join("axe-core/axe.min.js")).expect("it is installed");
    let mut page = Page::open(path);
    page.eval(&format!(
        "{axe}; document.querySelectorAll('details').forEach((rule) => {{ rule.open = true; }})"
    ));
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
        let found = violations(&mut page, width, scheme);
        assert!(found.is_empty(), "{width} {scheme}:\n{found}");
    }
}

#[test]
fn the_report_has_no_fault() {
    let synced = tempfile::tempdir().expect("a folder");
    let plan = synced.path().join("plan.parquet");
    let plan = plan.to_str().expect("a name");
    let cam = demo().join("cam1");
    Presync::dry_run(&cam).args(["--plan", plan]).run();
    let (_folder, path) = report(&cam, &["--synced", plan, "--image-quota", "2"]);
    assert_accessible(&path);
    let (_folder, path) = report(&demo(), &QUOTA);
    assert_accessible(&path);
}

#[test]
fn the_report_of_an_audit_has_no_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.html");
    let ran =
        Presync::new(["audit".as_ref(), demo().join("cam1").as_os_str(), demo().join("videos").as_os_str()])
            .args(["--format", "html", "--out"])
            .args([folder.path().join("plans").as_path(), Path::new("--output"), &path])
            .run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_accessible(&path);
}

//! The page of an audit.

use std::fs;

use serde_json::json;

use super::assert_no_complaints;
use crate::support::chromium::Page;
use crate::support::presync::{Presync, demo};

#[test]
fn the_page_of_an_audit_has_a_table_and_a_section_for_each_container() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = folder.path().join("<img src=x onerror=alert(1)>");
    fs::create_dir(&hostile).expect("a folder");
    fs::copy(demo().join("cam1/0004.jpg"), hostile.join("<b>.jpg")).expect("a copy");
    let (out, path) = (folder.path().join("out"), folder.path().join("audit.html"));
    let sources = [demo(), hostile, folder.path().join("missing")];
    let ran = Presync::new(["audit"]).args(&sources).args(["--format", "html", "--out"]).args([&out]);
    assert_eq!(ran.args(["--output"]).args([&path]).run().code, 3, "a folder is missing");
    let mut page = Page::open(&path);
    let title = page.text("h1");
    assert!(title.starts_with("Incomplete: 1 of 3 containers not fully examined."), "{title}");
    assert_eq!(page.texts("#containers tbody tr").len(), 3);
    let links = "[...document.querySelectorAll('#containers tbody a')].every((link) => document.querySelector(link.hash))";
    assert_eq!(page.eval(links), json!(true), "each leads to its section");
    let sections = page.texts("section h2").join("\n");
    assert!(
        sections.contains("<img src=x onerror=alert(1)>") && sections.contains("Findings by rule"),
        "{sections}"
    );
    page.click("#filter");
    page.write("MISSING");
    page.settle();
    assert_eq!(
        (
            page.text("#found"),
            page.eval("document.querySelectorAll('#containers tbody tr:not([hidden])').length")
        ),
        ("1 of 3".to_owned(), json!(1))
    );
    assert_no_complaints(page);
}

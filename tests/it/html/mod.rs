//! The report for browsers, in a browser.

mod accessible;
mod audit;
mod filters;
mod hostile;
mod size;
mod thumbnails;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::chromium::Page;
use crate::support::presync::{Presync, demo};

const QUOTA: [&str; 4] = ["--image-quota", "20", "--frame-quota", "500"];

/// A folder with the report of a source.
fn report(source: &Path, args: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.html");
    let ran = Presync::dry_run(source).args(["--format", "html", "--output"]).args([&path]).args(args).run();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    (folder, path)
}

/// The page of the demo container.
fn demo_page() -> Page {
    let (_folder, path) = report(&demo(), &QUOTA);
    Page::open(&path)
}

/// A container of nested folders: `site/N/cam/` has one turned image and N that are not.
fn nested_page() -> Page {
    let folder = tempfile::tempdir().expect("a folder");
    let [turned, upright] = ["cam1/0004.jpg", "cam1/0001.jpg"].map(|name| demo().join(name));
    for site in 1..=3 {
        let cam = folder.path().join(format!("site/{site}/cam"));
        fs::create_dir_all(&cam).expect("a folder");
        fs::copy(&turned, cam.join(format!("turned{site}.jpg"))).expect("a copy");
        for image in 0..site {
            fs::copy(&upright, cam.join(format!("{site}{image}.jpg"))).expect("a copy");
        }
    }
    let (_folder, path) = report(folder.path(), &[]);
    Page::open(&path)
}

fn assert_no_complaints(mut page: Page) {
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[test]
fn the_page_says_what_the_json_report_says() {
    let document = Presync::dry_run(demo()).args(QUOTA).args(["--format", "json"]).run().json();
    let mut page = demo_page();
    assert_eq!(
        page.text("h1"),
        "34 of 59 assets will be left out: 23 break a rule, 11 do not fit the quota."
    );
    let totals = page.texts("#verdict-legend dd").join(" ");
    let of = |verdict: &str| document["totals"][verdict].to_string();
    let numbers: Vec<_> = totals.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    for verdict in ["listed", "accepted", "rejected", "unknown", "skipped"] {
        assert!(numbers.contains(&of(verdict).as_str()), "{verdict}: {totals}");
    }

    let rules: Vec<_> = page.texts("#rule-list summary").iter().map(|text| text.replace('\n', " ")).collect();
    let by_code = document["findings_by_code"].as_object().expect("an object");
    assert_eq!(rules.len(), by_code.len());
    for (code, count) in by_code {
        let row = rules.iter().find(|row| row.starts_with(code.as_str())).expect("the rule is there");
        assert!(row.ends_with(&format!(" {count}")), "{code}: {row}");
    }

    let assets = document["assets"].as_array().expect("a list");
    let formats = page.eval(
        "Object.fromEntries([...document.querySelectorAll('.distribution')][0].querySelectorAll('tbody tr') \
         .values().map((row) => [row.cells[0].innerText, parseInt(row.cells[2].innerText)]))",
    );
    for (format, count) in formats.as_object().expect("an object") {
        let is_one = |asset: &&Value| asset["format"] == *format && asset["verdict"] != "skip";
        assert_eq!(*count, assets.iter().filter(is_one).count(), "{format}");
    }

    let gauges = page.text("#gauges");
    for text in
        ["20 of 20", "9 images do not fit", "494 of 500", "2 videos do not fit", "phones/IMG_1005.avif"]
    {
        assert!(gauges.contains(text), "{text}: {gauges}");
    }
    for text in [
        "raise the limit by 9 (to 29) to fit all",
        "or leave out any 9 images",
        "or leave out 2 videos:",
        "videos/crossing-b.mp4: 300 frames",
    ] {
        assert!(gauges.contains(text), "{text}: {gauges}");
    }
    let about = page.text("#about");
    assert!(
        about.contains(" UTC, for ") && about.contains(&jiff::Timestamp::now().strftime("%Y-").to_string())
    );
    let findings: usize =
        assets.iter().map(|asset| asset["findings"].as_array().expect("a list").len()).sum();
    assert_eq!(page.text("#found"), format!("Showing {findings} findings."));
    assert_no_complaints(page);
}

#[test]
fn the_curve_is_read_with_the_arrow_keys() {
    let mut page = demo_page();
    page.eval("document.querySelector('.chart').focus()");
    assert_eq!(page.text(".reading"), "After 65 entries: 20 used, 29 without a limit");
    page.press("Home", 36);
    page.press("ArrowRight", 39);
    let reading = page.text(".reading");
    assert!(reading.starts_with("After 1 entry: "), "{reading}");
    let spoken = page.eval("document.querySelector('.chart').getAttribute('aria-valuetext')");
    assert_eq!(spoken, reading);
    assert_no_complaints(page);
}

#[test]
fn folders_open_level_by_level_with_mouse_and_keys() {
    let mut page = nested_page();
    let crumbs = |page: &mut Page| page.texts("#crumbs li");
    let rows = |page: &mut Page| page.texts("#folder-table tbody th");
    assert_eq!(crumbs(&mut page), ["everything", "site"], "what holds one folder only is open already");
    assert_eq!(rows(&mut page), ["3", "2", "1"], "the largest first");
    assert_eq!(page.texts("#icicle .box-name"), ["site", "3", "cam", "2", "cam", "1", "cam"]);

    page.click("#icicle button[aria-label^='2:']");
    assert_eq!(crumbs(&mut page), ["everything", "site", "2"]);
    page.press("ArrowDown", 40);
    assert_eq!(page.eval("document.activeElement.innerText.split('\\n')[0]"), "cam");
    page.press("Enter", 13);
    assert_eq!(crumbs(&mut page), ["everything", "site", "2", "cam"]);
    assert_eq!(rows(&mut page), ["files directly in this folder"]);
    page.press("Escape", 27);
    page.press("Escape", 27);
    assert_eq!(crumbs(&mut page), ["everything", "site"]);
    page.press("ArrowDown", 40);
    page.press("ArrowRight", 39);
    let label = page.eval("document.activeElement.getAttribute('aria-label')");
    assert_eq!(label, "2: 3 assets, 1 of 3 assets rejected");

    page.choose("#folder-rule", "1");
    assert_eq!(
        page.texts("#folder-table th[scope=col]")[..4],
        ["Folder", "Verdicts", "accepted", "rejected"]
    );
    assert_eq!(page.texts("#folder-table tbody td:nth-child(3)"), ["3", "2", "1"], "the most accepted first");
    page.choose("#folder-rule", "2");
    assert_eq!(page.texts("#folder-table tbody td:nth-child(4)"), ["1 50 %", "1 33 %", "1 25 %"]);

    page.click("#folder-table tbody tr:nth-child(2) .act button");
    let folder = page.eval("document.querySelector('#folder').value");
    assert!(["site/1/", "site/2/", "site/3/"].iter().any(|path| folder == *path), "{folder}");
    assert_eq!(page.texts("#finding-table tbody .asset bdi").len(), 1);
    assert_no_complaints(page);
}

#[test]
fn findings_are_searched_sorted_and_narrowed_to_a_rule() {
    let mut page = demo_page();
    page.click("#search");
    page.write("ISOM videos");
    assert_eq!(page.texts("#finding-table tbody .asset bdi"), ["videos/from-ffmpeg.mp4"]);
    page.click("#clear");
    let all = page.texts("#finding-table tbody tr").len();

    let sizes =
        "[...document.querySelectorAll('#finding-table tbody tr')].map((row) => row.cells[0].innerText)";
    let sorted = |page: &mut Page| page.eval("document.querySelectorAll('th[aria-sort]')[0].ariaSort");
    assert_eq!(sorted(&mut page), "none");
    page.click("#finding-table th:first-child button");
    assert_eq!(sorted(&mut page), "ascending");
    let ascending = page.eval(sizes);
    page.press("Enter", 13);
    assert_eq!(sorted(&mut page), "descending", "the button keeps the focus");
    let [ascending, descending] = [ascending, page.eval(sizes)].map(|rules| {
        serde_json::from_value::<Vec<String>>(rules)
            .expect("texts")
            .iter()
            .map(|rule| rule[..6].to_owned())
            .collect()
    });
    let mut expected: Vec<_> = descending;
    assert!(expected.is_sorted_by(|a, b| a >= b), "{expected:?}");
    expected.sort();
    assert_eq!((all, ascending), (expected.len(), expected));

    page.click("#rule-list details:nth-child(2) summary");
    let rule = page.text("#rule-list details:nth-child(2) .code");
    assert!(page.text("#rule-list details[open] .rule-text").contains("Fix"));
    page.click("#rule-list details[open] button");
    let rules = page.texts("#finding-table tbody .code");
    assert!(!rules.is_empty() && rules.iter().all(|shown| *shown == rule), "{rules:?}");
    assert_no_complaints(page);
}

#[test]
fn a_fix_is_copied_or_selected() {
    let mut page = demo_page();
    let fix = page.text("#finding-table .fix code");
    page.call(
        "Browser.grantPermissions",
        json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    page.click("#finding-table .fix button");
    assert_eq!(page.eval("navigator.clipboard.readText()"), fix);
    assert_eq!(page.text("#said"), "Copied");

    for name in ["clipboard-read", "clipboard-write"] {
        let permission =
            json!({"permission": {"name": name, "allowWithoutSanitization": true}, "setting": "denied"});
        page.call("Browser.setPermission", permission);
    }
    page.eval("navigator.clipboard.writeText = () => Promise.reject(new Error('denied'))");
    page.click("#finding-table .fix button");
    assert_eq!(page.eval("getSelection().toString()"), fix);
    assert!(page.text("#said").starts_with("Selected"));
    assert_no_complaints(page);
}

#[test]
fn the_theme_follows_the_system_until_it_is_chosen() {
    let mut page = demo_page();
    let paper = |page: &mut Page| page.eval("getComputedStyle(document.body).backgroundColor");
    let light = paper(&mut page);
    let system = |scheme: &str| json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    page.call("Emulation.setEmulatedMedia", system("dark"));
    page.settle();
    let dark = paper(&mut page);
    assert_ne!(light, dark);
    assert_eq!(page.eval("document.querySelector('#theme').ariaPressed"), "true");
    page.click("#theme");
    assert_eq!(paper(&mut page), light);
    page.call("Emulation.setEmulatedMedia", system("light"));
    page.settle();
    page.click("#theme");
    assert_eq!(paper(&mut page), dark);
    assert_no_complaints(page);
}

#[test]
fn it_fits_a_phone_and_a_wide_screen() {
    let mut page = demo_page();
    for width in [360_u64, 768, 1600] {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        page.call("Emulation.setDeviceMetricsOverride", size);
        page.settle();
        let needed = page.eval("document.documentElement.scrollWidth");
        assert!(needed.as_u64() <= Some(width), "{needed} at {width}");
    }
    assert_no_complaints(page);
}

#[test]
fn everything_has_a_name_for_those_who_do_not_see_it() {
    let mut page = demo_page();
    let tree = page.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().expect("a list");
    let mut roles = Vec::new();
    for node in nodes.iter().filter(|node| node["ignored"] == false) {
        let role = node["role"]["value"].as_str().expect("a role");
        let name = node["name"]["value"].as_str().unwrap_or_default();
        let needs_name =
            ["button", "link", "searchbox", "textbox", "combobox", "slider", "image", "table", "region"];
        assert!(!needs_name.contains(&role) || !name.trim().is_empty(), "a {role} has no name: {node}");
        roles.push(role);
    }
    for landmark in ["banner", "main", "navigation", "search", "contentinfo", "status", "slider", "table"] {
        assert!(roles.contains(&landmark), "no {landmark}");
    }
    let levels = page.eval("[...document.querySelectorAll('h1, h2, h3')].map((title) => +title.tagName[1])");
    let levels: Vec<u64> = serde_json::from_value(levels).expect("numbers");
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    assert_no_complaints(page);
}

#[test]
fn on_paper_every_rule_is_open() {
    let mut page = demo_page();
    let open = |page: &mut Page| page.eval("document.querySelectorAll('details[open]').length");
    assert_eq!(open(&mut page), 0);
    let printed = page.call("Page.printToPDF", json!({"printBackground": false}));
    assert!(printed["data"].as_str().is_some_and(|pdf| pdf.starts_with("JVBERi")), "it is a PDF");
    let rules = page.eval("document.querySelectorAll('details').length");
    assert!(rules.as_u64() > Some(5) && open(&mut page) == rules, "{rules}");
    assert_no_complaints(page);
}

#[test]
fn images_and_frames_that_share_a_limit_share_a_gauge() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger.sqlite3").to_string_lossy().into_owned();
    let set = ["quota", "set", "--data-rows", "60", "--ledger", &ledger];
    let ran = Presync::new(set).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (_folder, path) =
        report(&demo(), &["--profile", "vi", "--workspace", "default", "--ledger", &ledger]);
    let mut page = Page::open(&path);
    assert_eq!(page.texts("#gauges h3").len(), 1);
    let gauge = page.text("#gauges");
    for text in [" of 60", " images and ", " videos do not fit", "First refused, at entry "] {
        assert!(gauge.contains(text), "{text}: {gauge}");
    }
    assert!(page.text("#notes").contains("Assumed: "));
    assert_no_complaints(page);
}

#[test]
fn a_container_without_assets_and_a_limit_of_nothing_have_a_page() {
    let empty = tempfile::tempdir().expect("a folder");
    let (_folder, path) = report(empty.path(), &["--allow-empty"]);
    let mut page = Page::open(&path);
    assert_eq!(page.text("h1"), "There is nothing to sync.");
    assert_eq!(
        (page.text("#findings-lead"), page.text("#rules-lead")),
        ("No findings.".into(), "No findings.".into())
    );
    assert_no_complaints(page);

    let (_folder, path) = report(&demo(), &["--image-quota", "0", "--frame-quota", "0"]);
    let mut page = Page::open(&path);
    assert!(page.text("#gauges").contains("0 of 0"));
    let lines = page
        .eval("[...document.querySelectorAll('polyline')].map((line) => line.getAttribute('points')).join()");
    assert!(lines.as_str().is_some_and(|points| !points.is_empty() && !points.contains("NaN")), "{lines}");
    assert_no_complaints(page);
}

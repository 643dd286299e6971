//! Filters, the links that keep them, and the names that they leave.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{assert_no_complaints, demo_page, report};
use crate::support::chromium::Page;
use crate::support::presync::demo;

/// Chromium saves a small file at once; this allows for a very busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn a_link_keeps_a_filter() {
    let (_folder, path) = report(&demo(), &super::QUOTA);
    let mut page = Page::open(&path);
    let tags = |page: &mut Page| page.texts("#finding-table tbody .tag");
    let all = tags(&mut page).len();
    page.choose("#severity", "warning");
    let warnings = tags(&mut page);
    assert!(!warnings.is_empty() && warnings.len() < all && warnings.iter().all(|tag| tag == "warns"));
    page.choose("#outcome", "accept");
    assert!(
        page.texts("#finding-table tbody .asset").iter().all(|text| text.contains("The asset is accepted."))
    );
    page.choose("#severity", "");
    page.choose("#outcome", "reject");
    page.choose("#rule", "VID001");
    let found = page.texts("#finding-table tbody .asset bdi");
    assert_eq!(found.len(), 3);
    let hash = page.eval("location.hash");
    assert_eq!(hash, "#findings?rule=VID001&verdict=reject");

    let link = format!("{}{}", path.display(), hash.as_str().expect("a text"));
    let mut again = {
        drop(page);
        Page::open(Path::new(&link))
    };
    assert_eq!(again.texts("#finding-table tbody .asset bdi"), found);
    assert_eq!(again.eval("document.querySelector('#outcome').value"), "reject");
    again.eval("location.hash = '#findings?severity=unheard&rule=<b>&q=isom&folder=videos/'");
    again.settle();
    assert_eq!(again.texts("#finding-table tbody .asset bdi"), ["videos/from-ffmpeg.mp4"]);
    assert_eq!(again.eval("document.querySelector('#severity').value"), "");
    assert_no_complaints(again);
}

#[test]
fn the_filtered_names_are_saved_as_csv() {
    let mut page = demo_page();
    let folder = tempfile::tempdir().expect("a folder");
    let place = json!({"behavior": "allow", "downloadPath": folder.path()});
    page.call("Browser.setDownloadBehavior", place);
    page.choose("#rule", "VID001");
    page.click("#save-names");
    let file = folder.path().join("presync-names.csv");
    let begun = Instant::now();
    while !file.exists() && begun.elapsed() < TIMEOUT {
        thread::sleep(Duration::from_millis(20));
    }
    let expected = "name,verdict,codes\r\nphones/clip.3gp,reject,VID001\r\n\
                    videos/from-ffmpeg.mp4,reject,VID001\r\nvideos/iphone.mov,reject,VID001\r\n";
    assert_eq!(fs::read_to_string(file).expect("it is saved"), expected);

    page.call(
        "Browser.grantPermissions",
        json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    page.click("#copy-names");
    let copied = page.eval("navigator.clipboard.readText()");
    assert_eq!(copied.as_str().map(|text| text.replace("\r\n", "\n")), Some(expected.replace("\r\n", "\n")));
    page.click("#copy-link");
    let link = page.eval("navigator.clipboard.readText()");
    assert!(link.as_str().is_some_and(|link| link.ends_with("#findings?rule=VID001")), "{link}");
    assert_no_complaints(page);
}

#[test]
fn a_shell_reads_the_name_of_a_fix_as_one_word() {
    let names = [
        "plain.jpg",
        "-rf.jpg",
        "a b.jpg",
        "it's.jpg",
        "$(touch x)`id`.jpg",
        "a\nb\t.jpg",
        "a;rm -r IN *.jpg",
        "\u{202e}gpj.exe'\\.jpg",
        "é 東京 😀.jpg",
        "=1+1,\"x\";-2.jpg",
        "no-extension",
        "IN",
        "a/b OUT.jpg",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::copy(demo().join("cam1/0004.jpg"), path).expect("a copy");
    }
    let (_folder, path) = report(folder.path(), &[]);
    let mut page = Page::open(&path);
    page.choose("#rule", "IMG001");
    let mut read: Vec<String> = Vec::new();
    for fix in page.texts("#finding-table .fix code") {
        let stubs = "jpegtran() { printf '%s\\0' \"$@\"; }; exiftool() { printf '%s\\0' \"$@\"; };";
        let ran =
            Command::new("bash").args(["-c", &format!("{stubs} {fix}")]).env("LC_ALL", "C.UTF-8").output();
        let words = String::from_utf8(ran.expect("bash is there").stdout).expect("UTF-8");
        let words: Vec<_> = words.split('\0').collect();
        let out = words.iter().position(|word| *word == "-outfile").expect("an option") + 1;
        assert_eq!(words[out], words[words.len() - 2], "{fix}");
        assert!(words[out].contains("-fixed") && words[out] != words[out + 1], "{fix}");
        read.push(words[out + 1].trim_start_matches("./").to_owned());
    }
    read.sort();
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(read, expected);
    assert!(!folder.path().join("x").exists());

    page.call(
        "Browser.grantPermissions",
        json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    page.click("#copy-names");
    let copied = page.eval("navigator.clipboard.readText()");
    let copied = copied.as_str().expect("a text");
    assert!(copied.contains("\"'=1+1,\"\"x\"\";'-2.jpg\",reject,IMG001"), "{copied}");
    assert!(copied.contains("\n'-rf.jpg,reject,IMG001"), "{copied}");
    assert_no_complaints(page);
}

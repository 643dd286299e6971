//! Names that want to be more than text.

use std::fs;

use super::{assert_no_complaints, report};
use crate::support::chromium::Page;
use crate::support::presync::demo;

/// Each is the path of a file, with what the page shows for it.
const NAMES: [(&str, &str); 6] = [
    ("</script><script>document.title=1</script>.jpg", "</script><script>document.title=1</script>.jpg"),
    ("<img src=x onerror=document.title=2>.jpg", "<img src=x onerror=document.title=2>.jpg"),
    ("\"><svg onload=document.title=3>.jpg", "\"><svg onload=document.title=3>.jpg"),
    ("&lt;b&gt; & <!--.jpg", "&lt;b&gt; & <!--.jpg"),
    ("turned\u{202e}gpj.exe\u{2028}\n.jpg", "turned\\u{202e}gpj.exe\\u{2028}\\n.jpg"),
    ("שלום-\u{7f}\u{9b}31m.jpg", "שלום-\\u{7f}\\u{9b}31m.jpg"),
];

/// The page of a container of turned images with these names.
fn page() -> Page {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, _) in NAMES {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::copy(demo().join("cam1/0004.jpg"), path).expect("a copy");
    }
    let (_folder, path) = report(folder.path(), &["--image-quota", "1"]);
    Page::open(&path)
}

#[test]
fn they_are_shown_and_do_nothing() {
    let mut page = page();
    let mut shown = page.texts("#finding-table tbody .asset bdi");
    let mut expected = NAMES.map(|(_, shown)| shown);
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
    let title = page.eval("document.title");
    assert!(
        title.as_str().is_some_and(|title| title.starts_with("6 of 6 assets will be left out: ")),
        "{title}"
    );
    assert_eq!(
        page.eval("document.querySelectorAll('img, #icicle svg, #folders svg, #findings svg').length"),
        0
    );
    assert_eq!(page.eval("document.querySelectorAll('script').length"), 2);
    assert_no_complaints(page);
}

#[test]
fn what_got_in_all_the_same_could_run_and_load_nothing() {
    let mut page = page();
    let blocked = page.eval(
        "(async () => {
            const blocked = [];
            addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
            const script = document.createElement('script');
            script.textContent = 'document.title = \"owned\"';
            document.body.append(script);
            document.body.setAttribute('onclick', 'document.title = \"owned\"');
            const image = new Image();
            image.src = 'http://127.0.0.1:9/';
            document.body.append(image);
            await fetch('http://127.0.0.1:9/').catch(() => {});
            await new Promise((done) => setTimeout(done, 50));
            return [...new Set(blocked)].sort();
        })()",
    );
    assert_eq!(blocked, serde_json::json!(["connect-src", "img-src", "script-src-attr", "script-src-elem"]));
    assert_ne!(page.eval("document.title"), "owned");
}

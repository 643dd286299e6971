//! `presync dry-run --check-end`: warns about JPEG files whose picture is cut off, and changes nothing else.

use crate::support::presync::{Presync, demo};

#[test]
fn a_cut_picture_is_found_on_request() {
    let photo = std::fs::read(demo().join("cam1/0001.jpg")).expect("the demo is there");
    let folder = tempfile::tempdir().expect("a folder");
    for (name, len) in [("cut.jpg", photo.len() - 900), ("whole.jpg", photo.len())] {
        std::fs::write(folder.path().join(name), &photo[..len]).expect("it can be written");
    }
    let dry_run =
        |args: &[&str]| Presync::dry_run(folder.path()).args(["--format", "jsonl"]).args(args).run();
    let codes = |args: &[&str]| -> Vec<_> {
        let assets = dry_run(args).jsonl();
        assets.iter().map(|asset| asset["findings"][0]["code"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(codes(&[]), [None, None]);
    assert_eq!(codes(&["--check-end"]), [Some("FMT005".to_owned()), None]);
    assert_eq!(dry_run(&["--check-end"]).code, 0, "it is a warning");
    assert_eq!(dry_run(&["--check-end", "--severity", "FMT005=error"]).code, 1);
}

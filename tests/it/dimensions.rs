//! `presync dry-run --dimensions`: width and height also where the rules need no byte that shows them.

use serde_json::Value;

use crate::support::azurite::{Azurite, KEY};
use crate::support::presync::{Presync, demo};

const CONTAINER: &str = "dimensions";

/// A photograph with an orientation in front, and so much of a colour profile behind it that no first read shows the
/// frame header.
fn large_header() -> Vec<u8> {
    let photo = std::fs::read(demo().join("cam1/0002.jpg")).expect("the demo is there");
    let exif = photo.windows(6).position(|bytes| bytes == b"Exif\0\0").expect("it has EXIF");
    let length = u16::from_be_bytes([photo[exif - 2], photo[exif - 1]]);
    let (front, rest) = photo.split_at(exif - 2 + usize::from(length));
    let profile = [&[0xFF, 0xE2, 0xEA, 0x62][..], &[0; 60_000]].concat();
    [front, &profile.repeat(5), rest].concat()
}

/// Checks that the wish costs reads, adds the dimensions, and changes nothing else.
fn check(dry_run: impl Fn() -> Presync) {
    let asset = |presync: Presync| presync.args(["--format", "jsonl"]).run().jsonl().remove(0);
    let (plain, wished) = (asset(dry_run()), asset(dry_run().args(["--dimensions"])));
    assert_eq!(plain["verdict"], "accept");
    assert_eq!((&plain["width"], &plain["height"]), (&Value::Null, &Value::Null));
    assert_eq!(plain["reads"]["requests"], 1);
    assert_eq!((&wished["width"], &wished["height"]), (&320.into(), &240.into()));
    // One read for each segment that is leapt over, and for the frame header.
    assert_eq!(wished["reads"]["requests"], 6);
    assert!(wished["reads"]["bytes"].as_u64() < Some(40_000), "{}", wished["reads"]);
    for field in ["verdict", "orientation", "format", "findings", "cost"] {
        assert_eq!(plain[field], wished[field], "{field}");
    }
}

#[test]
fn a_folder_is_read_on_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.jpg"), large_header()).expect("it can be written");
    check(|| Presync::dry_run(folder.path()));
}

#[test]
fn a_container_is_read_on_for_them() {
    let azurite = Azurite::http();
    azurite.create_container(CONTAINER, false);
    azurite.put(CONTAINER, "a.jpg", large_header());
    check(|| Presync::dry_run(azurite.container_url(CONTAINER)).env("AZURE_STORAGE_KEY", KEY));
}

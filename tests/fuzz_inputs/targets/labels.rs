//! Any bytes as a label file of each format, and as the platform's list of assets: names are read, or the file is refused
//! with a reason that has no control characters.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else { return };
    let extensions = ["json", "xml", "csv", "tsv", "txt"];
    let path = FOLDER.path().join(format!("names.{}", extensions[usize::from(kind / 2) % extensions.len()]));
    fs::write(&path, input).expect("it can be written");
    match presync::read_names(&path, kind % 2 == 1) {
        Ok(names) => assert!(names <= input.len() as u64 + 1, "a name has a byte at least"),
        Err(why) => assert!(!why.contains(['\n', '\r', '\0', '\u{1b}']), "{why:?}"),
    }
});

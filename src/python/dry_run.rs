//! `dry_run`: the report of a whole source.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use pyo3::prelude::*;

use super::raise;
use crate::cli::{Cli, Request};
use crate::command;
use crate::error::{Error, Result, reason};

/// Runs `presync dry-run`, with the options that the command line has, and gives its JSON report as a dict. Findings are
/// no error; what stops the run is a `PresyncError`.
///
/// ```python
/// report = presync.dry_run("https://media.blob.core.windows.net/cameras", image_quota=10_000)
/// print(report["totals"]["rejected"], report["quota"]["images"]["left"])
/// ```
#[pyfunction]
#[pyo3(signature = (source, *, profile = None, image_quota = None, frame_quota = None, admit = None, inventory = None,
    plan = None, no_recurse = false, dimensions = false, auth = None, account = None, concurrency = None,
    max_requests_per_second = None))]
#[expect(clippy::too_many_arguments, reason = "in Python they have names")]
pub(super) fn dry_run<'py>(
    py: Python<'py>,
    source: PathBuf,
    profile: Option<PathBuf>,
    image_quota: Option<u64>,
    frame_quota: Option<u64>,
    admit: Option<String>,
    inventory: Option<Vec<PathBuf>>,
    plan: Option<PathBuf>,
    no_recurse: bool,
    dimensions: bool,
    auth: Option<String>,
    account: Option<String>,
    concurrency: Option<u16>,
    max_requests_per_second: Option<u32>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut args: Vec<OsString> =
        ["presync", "dry-run", "--format", "json", "--quiet"].map(Into::into).into();
    let mut option = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            let mut option = OsString::from(format!("--{name}="));
            option.push(value);
            args.push(option);
        }
    };
    let number = |number: Option<u64>| number.map(|number| number.to_string().into());
    option("profile", profile.map(Into::into));
    option("image-quota", number(image_quota));
    option("frame-quota", number(frame_quota));
    option("admit", admit.map(Into::into));
    inventory.into_iter().flatten().for_each(|file| option("inventory", Some(file.into())));
    option("plan", plan.map(Into::into));
    option("auth", auth.map(Into::into));
    option("account", account.map(Into::into));
    option("concurrency", number(concurrency.map(u64::from)));
    option("max-requests-per-second", number(max_requests_per_second.map(u64::from)));
    args.extend(no_recurse.then(|| "--no-recurse".into()));
    args.extend(dimensions.then(|| "--dimensions".into()));
    let text = py.detach(|| run(args, source)).map_err(|error| raise(py, &error))?;
    py.check_signals()?;
    py.import("json")?.call_method1("loads", (text,))
}

/// The report as JSON.
fn run(mut args: Vec<OsString>, source: PathBuf) -> Result<String> {
    let failed = |error: std::io::Error| Error::new(format!("the report cannot be read: {}", reason(&error)));
    let folder = tempfile::tempdir().map_err(failed)?;
    let report = folder.path().join("report.json");
    args.extend(["--output".into(), report.clone().into(), "--".into(), source.into()]);
    let parsed = Cli::try_parse_from(args).map_err(|error| {
        let text = error.to_string();
        Error::new(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })?;
    if let Request::DryRun(settings) = parsed.into_request() {
        command::dry_run::run(&settings)?;
    }
    fs::read_to_string(report).map_err(failed)
}

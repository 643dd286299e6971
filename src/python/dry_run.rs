//! `dry_run`: the report of a whole source.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use pyo3::prelude::*;

use super::{raise, unknown};
use crate::command;
use crate::command::args::{AzureArgs, CONCURRENCY, CheckArgs, DisplayArgs, LimitArgs, PerformanceArgs};
use crate::command::dry_run::args::DryRunArgs;
use crate::model::Admit;
use crate::model::error::{Error, Result, reason};
use crate::report::Format;
use crate::source::azure::AuthMode;

/// Runs `presync dry-run` with the options of the command line, and returns its JSON report as a dict. Findings do not
/// raise; an error that stops the run raises `PresyncError`.
///
/// ```python
/// report = presync.dry_run("https://media.blob.core.windows.net/cameras", image_quota=10_000)
/// print(report["totals"]["rejected"], report["quota"]["images"]["left"])
/// ```
#[pyfunction]
#[pyo3(signature = (source, *, profile = None, image_quota = None, frame_quota = None, data_row_quota = None, reserve = None,
    admit = None, inventory = None, plan = None, no_recurse = false, dimensions = false, auth = None, account = None, concurrency = None,
    max_requests_per_second = None))]
#[expect(clippy::too_many_arguments, reason = "in Python they have names")]
pub(super) fn dry_run<'py>(
    py: Python<'py>,
    source: PathBuf,
    profile: Option<PathBuf>,
    image_quota: Option<u64>,
    frame_quota: Option<u64>,
    data_row_quota: Option<u64>,
    reserve: Option<u64>,
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
    let args = || -> Result<DryRunArgs> {
        if concurrency.is_some_and(|number| !CONCURRENCY.contains(&number.into())) {
            let (least, most) = (CONCURRENCY.start(), CONCURRENCY.end());
            return Err(Error::new(format!("concurrency must be between {least} and {most}")));
        }
        if max_requests_per_second == Some(0) {
            return Err(Error::new("max_requests_per_second must be above zero"));
        }
        if inventory.as_ref().is_some_and(|files| !files.is_empty()) && no_recurse {
            return Err(Error::new("inventory and no_recurse cannot be used together"));
        }
        let auth = auth.map(|auth| AuthMode::from_str(&auth, false).map_err(|_| unknown("auth", &auth)));
        let admit = admit.map(|admit| Admit::parse(&admit).ok_or_else(|| unknown("admit", &admit)));
        Ok(DryRunArgs {
            source: source.into(),
            image_quota,
            frame_quota,
            data_row_quota,
            reserve,
            inventory: inventory.unwrap_or_default(),
            plan,
            check: CheckArgs {
                profile: profile.map(|profile| utf_8("profile", profile)).transpose()?,
                admit: admit.transpose()?.unwrap_or_default(),
                no_recurse,
                dimensions,
                ..CheckArgs::default()
            },
            azure: AzureArgs { account, auth: auth.transpose()?, ..AzureArgs::default() },
            performance: PerformanceArgs {
                limits: LimitArgs {
                    concurrency: concurrency.map(usize::from),
                    max_requests_per_second,
                    ..LimitArgs::default()
                },
                ..PerformanceArgs::default()
            },
            display: DisplayArgs { quiet: true, ..DisplayArgs::default() },
            format: Format::Json,
            ..DryRunArgs::default()
        })
    };
    let args = args().map_err(|error| raise(py, &error))?;
    let text = py.detach(|| run(args)).map_err(|error| raise(py, &error))?;
    py.check_signals()?;
    py.import("json")?.call_method1("loads", (text,))
}

fn utf_8(option: &str, path: PathBuf) -> Result<String> {
    let path = path.into_os_string().into_string();
    path.map_err(|path| Error::new(format!("{option} is not UTF-8: '{}'", path.display())))
}

/// The report as JSON.
fn run(mut args: DryRunArgs) -> Result<String> {
    let failed = |error: std::io::Error| Error::new(format!("the report cannot be read: {}", reason(&error)));
    let folder = tempfile::tempdir().map_err(failed)?;
    let report = folder.path().join("report.json");
    args.output = Some(report.clone());
    command::dry_run::run(&args)?;
    fs::read_to_string(report).map_err(failed)
}

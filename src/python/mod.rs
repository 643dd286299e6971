//! The native half of the Python module `presync`. The other half is in `presync/`: it has the types that users see.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::command::{self, library};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Admit, Quota};
use crate::plan::RunHeader;
use crate::plan_file::{self, PartHeader, PlanReader};
use crate::probe::{self, Want};
use crate::report;
use crate::rules::{GivenBy, Limits, Profile};

mod arrow;
mod batches;
mod checker;
mod probe_file;
mod reconcile;
mod run;

/// An error as a Python exception of its cause's class, with its hint.
fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.cause() {
        Cause::Other => "PresyncError",
        Cause::Usage => "UsageError",
        Cause::Configuration => "ConfigurationError",
        Cause::Credential => "CredentialError",
        Cause::NotFound => "NotFoundError",
        Cause::Permission => "PermissionDeniedError",
        Cause::Throttled => "ThrottledError",
        Cause::Interrupted => "InterruptedRunError",
    };
    let raised = py.import("presync._errors").and_then(|errors| errors.getattr(class));
    match raised.and_then(|class| {
        class.call1((library::in_python(&error.to_string()), error.hint().map(library::in_python)))
    }) {
        Ok(raised) => PyErr::from_value(raised),
        // Without the package around it, the native half is incomplete.
        Err(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

/// Asks for dimensions if they are wanted.
fn want(dimensions: bool) -> Want {
    Want { dimensions, ..Want::default() }
}

/// Loads a profile with the rules that these options choose: profile, select, ignore, severity and config.
fn profile(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<(String, Arc<Profile>)> {
    let options = run::from_dict(options)?;
    let loaded = py.detach(|| library::profile(options));
    loaded.map(|(name, profile)| (name, Arc::new(profile))).map_err(|error| raise(py, &error))
}

/// The header of a part of a plan, as JSON. `rules` are the options of [`profile`].
#[pyfunction]
#[pyo3(signature = (rules, endpoint, prefix, dimensions, admit, image_quota, frame_quota, data_row_quota))]
#[expect(clippy::too_many_arguments, reason = "they are those of the Python function")]
fn part_header(
    py: Python<'_>,
    rules: &Bound<'_, PyDict>,
    endpoint: Option<&str>,
    prefix: &str,
    dimensions: bool,
    admit: &str,
    image_quota: Option<u64>,
    frame_quota: Option<u64>,
    data_row_quota: Option<u64>,
) -> PyResult<String> {
    let (name, profile) = profile(py, rules)?;
    let header = || -> Result<String> {
        let admit = Admit::parse(admit).ok_or_else(|| unknown("admit", admit))?;
        let origin = PartHeader::origin_by_folder(endpoint, prefix);
        let run = RunHeader {
            profile_from: Profile::whole_name(&name),
            probe_version: probe::VERSION,
            dimensions,
            admit,
            ..RunHeader::new(origin, Arc::clone(&profile), jiff::Timestamp::now())
        };
        let limits = Limits { images: image_quota, frames: frame_quota, data_rows: data_row_quota };
        let quota = limits.instead_of(Quota::new(None, None), &profile, GivenBy::Options)?;
        let header = PartHeader::new(run, quota);
        serde_json::to_string(&header).map_err(|error| Error::new(error.to_string()))
    };
    header().map_err(|error| raise(py, &error))
}

fn unknown(option: &str, value: &str) -> Error {
    Error::new(format!("{option} cannot be '{}'", value.escape_debug())).because(Cause::Usage)
}

/// What the JSON report of a plan says besides its assets. The plan is checked against its digest.
#[pyfunction]
fn summary(py: Python<'_>, plan: PathBuf) -> PyResult<Bound<'_, PyBytes>> {
    let read = py.detach(|| -> Result<Vec<u8>> {
        let reader = PlanReader::open(&plan)?;
        let mut record = Vec::new();
        report::summary_record(reader.plan(), &mut record).map_err(|error| report::output(&error))?;
        Ok(record)
    });
    read.map(|record| PyBytes::new(py, &record)).map_err(|error| raise(py, &error))
}

/// Runs the command line with these arguments, the first of which is the program's name, and returns its exit code.
#[pyfunction]
fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| command::main(args).code())
}

/// The columns of a plan, as a `pyarrow.Schema`.
#[pyfunction]
fn plan_schema(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    arrow_pyarrow::ToPyArrow::to_pyarrow(&arrow::schema(), py)
}

/// The native half of presync.
#[pymodule(name = "_presync")]
mod native {
    #[pymodule_export]
    use super::batches::{Batches, check_batches};
    #[pymodule_export]
    use super::probe_file::probe;
    #[pymodule_export]
    use super::reconcile::reconcile;
    #[pymodule_export]
    use super::run::Run;
    #[pymodule_export]
    use super::{main, part_header, plan_schema, summary};

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "it is the name that Python knows")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    /// The key of a part's header in Parquet metadata.
    #[pymodule_export]
    const PART_KEY: &str = super::plan_file::PART_KEY;
}

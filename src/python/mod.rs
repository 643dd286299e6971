//! The native half of the Python module `presync`.

use std::ffi::OsString;
use std::sync::Arc;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::command;
use crate::model::error::Error;
use crate::model::{Admit, Quota};
use crate::plan::RunHeader;
use crate::plan_file::{self, PartHeader};
use crate::probe::{self, Want};
use crate::rules::{GivenBy, Limits, Profile};

mod arrow;
mod batches;
mod checker;
mod dry_run;
mod probe_file;
mod reconcile;

create_exception!(presync, PresyncError, PyException, "presync could not start or could not continue.");

/// An error as a Python exception, with its `hint`.
fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let message = match error.hint() {
        Some(hint) => format!("{error}\nhelp: {hint}"),
        None => error.to_string(),
    };
    let raised = PresyncError::new_err(message);
    // Even without the attribute, the message has the hint.
    let _ = raised.value(py).setattr("hint", error.hint());
    raised
}

fn want(dimensions: bool) -> Want {
    Want { dimensions, ..Want::default() }
}

/// The header of a part of a plan, as JSON: `presync report DIR` needs it in the metadata of each Parquet file. An
/// empty file `_SUCCESS` in DIR marks the parts as complete.
///
/// ```python
/// metadata = {presync.PART_KEY: presync.part_header(image_quota=10_000)}
/// pq.write_table(rows.sort_by("name").replace_schema_metadata(metadata), "account=media/container=cameras/0.parquet")
/// ```
#[pyfunction]
#[pyo3(signature = (*, profile = "nexus", endpoint = None, prefix = "", dimensions = false, admit = "listing",
    image_quota = None, frame_quota = None, data_row_quota = None))]
#[expect(clippy::too_many_arguments, reason = "in Python they have names")]
fn part_header(
    py: Python<'_>,
    profile: &str,
    endpoint: Option<&str>,
    prefix: &str,
    dimensions: bool,
    admit: &str,
    image_quota: Option<u64>,
    frame_quota: Option<u64>,
    data_row_quota: Option<u64>,
) -> PyResult<String> {
    let header = || -> crate::model::error::Result<String> {
        let admit = Admit::parse(admit).ok_or_else(|| unknown("admit", admit))?;
        let origin = PartHeader::origin_by_folder(endpoint, prefix);
        let loaded = Arc::new(Profile::load(profile)?);
        let run = RunHeader {
            profile_from: Profile::whole_name(profile),
            probe_version: probe::VERSION,
            dimensions,
            admit,
            ..RunHeader::new(origin, Arc::clone(&loaded), jiff::Timestamp::now())
        };
        let limits = Limits { images: image_quota, frames: frame_quota, data_rows: data_row_quota };
        let quota = limits.instead_of(Quota::new(None, None), &loaded, GivenBy::Options)?;
        let header = PartHeader::new(run, quota);
        serde_json::to_string(&header).map_err(|error| Error::new(error.to_string()))
    };
    header().map_err(|error| raise(py, &error))
}

fn unknown(option: &str, value: &str) -> Error {
    Error::new(format!("{option} cannot be '{}'", value.escape_debug()))
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
    use super::PresyncError;
    #[pymodule_export]
    use super::batches::{Batches, check_batches};
    #[pymodule_export]
    use super::dry_run::dry_run;
    #[pymodule_export]
    use super::probe_file::probe;
    #[pymodule_export]
    use super::reconcile::reconcile;
    #[pymodule_export]
    use super::{main, part_header, plan_schema};

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "it is the name that Python knows")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    /// The key of a part's header in Parquet metadata.
    #[pymodule_export]
    const PART_KEY: &str = super::plan_file::PART_KEY;
}

//! The native half of the Python module `presync`.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::error::Error;
use crate::model::{Admit, Quota};
use crate::plan_file::{self, PartHeader};
use crate::probe::{self, Want};
use crate::rules::Profile;

mod arrow;
mod batches;
mod dry_run;
mod probe_file;

create_exception!(presync, PresyncError, PyException, "presync could not start or could not go on.");

/// An error as Python sees it, with the way out as its `hint`.
fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let message = match error.way_out() {
        Some(hint) => format!("{error}\nhelp: {hint}"),
        None => error.to_string(),
    };
    let raised = PresyncError::new_err(message);
    // Without the attribute the message still has it.
    let _ = raised.value(py).setattr("hint", error.way_out());
    raised
}

fn want(dimensions: bool) -> Want {
    Want { dimensions, ..Want::default() }
}

/// The header of a part of a plan, as JSON: what `presync report DIR` needs in the metadata of each Parquet file. An empty
/// file `_SUCCESS` in DIR says that all of them are there.
///
/// ```python
/// metadata = {presync.PART_KEY: presync.part_header(image_quota=10_000)}
/// pq.write_table(rows.sort_by("name").replace_schema_metadata(metadata), "account=media/container=cameras/0.parquet")
/// ```
#[pyfunction]
#[pyo3(signature = (*, profile = "nexus", endpoint = None, prefix = "", dimensions = false, admit = "listing",
    image_quota = None, frame_quota = None))]
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
) -> PyResult<String> {
    let header = || -> crate::error::Result<String> {
        let header = PartHeader {
            endpoint: endpoint.map(str::to_owned),
            prefix: prefix.to_owned(),
            ..PartHeader::of_engine(
                &Profile::load(profile)?,
                Profile::whole_name(profile),
                probe::VERSION,
                dimensions,
                Admit::ALL
                    .iter()
                    .copied()
                    .find(|order| order.as_str() == admit)
                    .ok_or_else(|| unknown("admit", admit))?,
                Quota::new(image_quota, frame_quota),
                jiff::Timestamp::now(),
            )
        };
        serde_json::to_string(&header).map_err(|error| Error::new(error.to_string()))
    };
    header().map_err(|error| raise(py, &error))
}

fn unknown(option: &str, value: &str) -> Error {
    Error::new(format!("{option} cannot be '{}'", value.escape_debug()))
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
    use super::{part_header, plan_schema};

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "it is the name that Python knows")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    /// The key of a part's header in the metadata of Parquet.
    #[pymodule_export]
    const PART_KEY: &str = super::plan_file::PART_KEY;
}

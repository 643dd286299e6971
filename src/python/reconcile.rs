//! `reconcile`: a plan compared with what the platform lists.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use pyo3::prelude::*;

use super::raise;
use crate::command;
use crate::files::temporary;
use crate::matching::reconcile::Reconciler;
use crate::report::comparison::ComparisonFormat;

/// Compares a plan with the names of the assets on the platform, as `presync reconcile` does, and returns its JSON report
/// as a dict. `errors` has the platform's codes for names that it refused. Differences do not raise.
///
/// ```python
/// client = vi.Client()
/// names = (asset.filename for asset in client.assets.list(dataset_id=DATASET).all_items())
/// print(presync.reconcile("plan.parquet", names)["result"])
/// ```
#[pyfunction]
#[pyo3(signature = (plan, names, *, errors = None))]
pub(super) fn reconcile<'py>(
    py: Python<'py>,
    plan: PathBuf,
    names: &Bound<'py, PyAny>,
    errors: Option<BTreeMap<String, String>>,
) -> PyResult<Bound<'py, PyAny>> {
    let folder = temporary::folder().map_err(|error| raise(py, &error))?;
    let path = folder.path().join("report.json");
    let out = Box::new(File::create(&path)?);
    // What the caller's iterator raises comes back as it is.
    let mut raised = None;
    let mut fill = |reconciler: &mut Reconciler| {
        for (name, code) in errors.iter().flatten() {
            reconciler.add(name, Some(code))?;
        }
        let mut names = match names.try_iter() {
            Ok(names) => names,
            Err(error) => {
                raised = Some(error);
                return Ok(());
            }
        };
        loop {
            match names.next().transpose().and_then(|name| name.map(|name| name.extract()).transpose()) {
                Ok(Some(name)) => {
                    let name: String = name;
                    reconciler.add(&name, None)?;
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    raised = Some(error);
                    return Ok(());
                }
            }
        }
    };
    let done = command::reconcile::reconcile(&plan, &mut fill, ComparisonFormat::Json, out, 0);
    if let Some(error) = raised {
        return Err(error);
    }
    done.map_err(|error| raise(py, &error))?;
    py.import("json")?.call_method1("loads", (fs::read_to_string(path)?,))
}

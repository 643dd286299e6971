//! `reconcile`: a plan compared with what the platform lists.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use pyo3::prelude::*;

use super::raise;
use crate::command;
use crate::files::temporary;
use crate::matching::reconcile::Reconciler;
use crate::model::error::Result;
use crate::report::comparison::ComparisonFormat;

/// How often Ctrl-C is looked for, in names.
const CHECK_EVERY: usize = 1_000;

/// Compares a plan with the names of the assets on the platform, or with those in a file, and returns the JSON report of
/// `presync reconcile` as a dict.
#[pyfunction]
#[pyo3(signature = (plan, names, *, errors = None, column = None))]
pub(super) fn reconcile<'py>(
    py: Python<'py>,
    plan: PathBuf,
    names: &Bound<'py, PyAny>,
    errors: Option<BTreeMap<String, String>>,
    column: Option<String>,
) -> PyResult<Bound<'py, PyAny>> {
    let folder = temporary::folder().map_err(|error| raise(py, &error))?;
    let path = folder.path().join("report.json");
    let out = Box::new(File::create(&path)?);
    // A text is a path, not a list of letters.
    let file: Option<PathBuf> = names.extract().ok();
    let names = names.clone().unbind();
    // What the caller's iterator raises comes back as it is.
    let mut raised = None;
    let mut fill = |reconciler: &mut Reconciler| {
        for (name, code) in errors.iter().flatten() {
            reconciler.add(name, Some(code))?;
        }
        if let Some(file) = &file {
            return reconciler.read(file, column.as_deref());
        }
        Python::attach(|py| match add_each(names.bind(py), reconciler) {
            Ok(added) => added,
            Err(error) => {
                raised = Some(error);
                Ok(())
            }
        })
    };
    // Other threads run meanwhile.
    let done = py
        .detach(|| command::reconcile::reconcile(&plan, &mut fill, ComparisonFormat::Json, out, 0).map(drop));
    if let Some(error) = raised {
        return Err(error);
    }
    done.map_err(|error| raise(py, &error))?;
    py.import("json")?.call_method1("loads", (fs::read_to_string(path)?,))
}

/// Adds the names of an iterable. The outer error is Python's.
fn add_each(names: &Bound<'_, PyAny>, reconciler: &mut Reconciler) -> PyResult<Result<()>> {
    for (number, name) in names.try_iter()?.enumerate() {
        if number % CHECK_EVERY == 0 {
            names.py().check_signals()?;
        }
        let name: String = name?.extract()?;
        if let Err(error) = reconciler.add(&name, None) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

//! `check_batches`: Arrow batches in, Arrow batches out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow_pyarrow::{FromPyArrow, ToPyArrow};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use clap::ValueEnum;
use jiff::Timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator};

use super::checker::{Checked, Checker, Next, Options};
use super::{arrow, raise, unknown, want};
use crate::model::error::{Cause, Error};
use crate::model::{Access, Blob, BlobName, ETag};
use crate::source::azure::{AuthMode, Limits};

/// How often to check whether Python was interrupted.
const PATIENCE: Duration = Duration::from_millis(100);

/// Checks blobs that are listed in Arrow batches, and returns a row for each, with the columns of a plan. `rules` are the
/// options of [`profile`](super::profile).
#[pyfunction]
#[pyo3(signature = (batches, rules, endpoint, auth, dimensions, concurrency, max_requests_per_second, max_bandwidth,
    batch_rows))]
#[expect(clippy::too_many_arguments, reason = "they are those of the Python function")]
pub(super) fn check_batches(
    py: Python<'_>,
    batches: &Bound<'_, PyAny>,
    rules: &Bound<'_, PyDict>,
    endpoint: Option<String>,
    auth: &str,
    dimensions: bool,
    concurrency: Option<usize>,
    max_requests_per_second: Option<f64>,
    max_bandwidth: Option<f64>,
    batch_rows: usize,
) -> PyResult<Batches> {
    let (_, profile) = super::profile(py, rules)?;
    let start = || -> crate::model::error::Result<Checker> {
        let is_rate = |rate: f64| rate.is_finite() && rate > 0.0;
        if ![max_requests_per_second, max_bandwidth].into_iter().flatten().all(is_rate) {
            return Err(Error::new("max_requests_per_second and max_bandwidth must be above zero"));
        }
        if concurrency == Some(0) || batch_rows == 0 {
            return Err(Error::new("concurrency and batch_rows must be above zero"));
        }
        if endpoint.as_ref().is_some_and(|endpoint| !endpoint.contains("{account}")) {
            return Err(Error::new("the endpoint has no '{account}' in it")
                .with_hint("use one such as https://{account}.blob.core.windows.net"));
        }
        Checker::start(Options {
            profile,
            endpoint,
            auth: AuthMode::from_str(auth, false).map_err(|_| unknown("auth", auth))?,
            limits: Limits {
                concurrency,
                requests_per_second: max_requests_per_second,
                bytes_per_second: max_bandwidth,
            },
            want: want(dimensions),
            batch_rows,
        })
    };
    let input = batches.try_iter()?.unbind();
    let checker = start().map_err(|error| raise(py, &error.because(Cause::Usage)))?;
    Ok(Batches { input: Some(input), checker: Some(checker), schema: Arc::new(schema()) })
}

/// The columns of the rows: account and container, then those of a plan.
fn schema() -> Schema {
    let plan = arrow::schema();
    let own = ["account", "container"].map(|name| Arc::new(Field::new(name, DataType::Utf8, false)));
    Schema::new(own.into_iter().chain(plan.fields().iter().cloned()).collect::<Vec<_>>())
}

/// The rows of checked blobs, as an iterator of `pyarrow.RecordBatch` and as an Arrow stream.
#[pyclass(module = "presync")]
pub(super) struct Batches {
    input: Option<Py<PyIterator>>,
    /// `None` after the last rows, or after an error.
    checker: Option<Checker>,
    schema: Arc<Schema>,
}

#[pymethods]
impl Batches {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    /// The columns of the rows, as a `pyarrow.Schema`.
    #[getter]
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.schema.to_pyarrow(py)
    }

    /// The rows as a stream of the Arrow PyCapsule interface.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        this: &Bound<'py, Self>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reader = this.py().import("pyarrow")?.getattr("RecordBatchReader")?;
        let reader = reader.call_method1("from_batches", (this.getattr("schema")?, this))?;
        reader.call_method1("__arrow_c_stream__", (requested_schema,))
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // It is put back only on success: nothing follows an error.
        let Some(mut checker) = self.checker.take() else { return Ok(None) };
        let Some(checked) = self.advance(py, &mut checker)? else { return Ok(None) };
        self.checker = Some(checker);
        let batch = self.batch(&checked).map_err(|error| raise(py, &Error::new(error.to_string())))?;
        batch.to_pyarrow(py).map(Some)
    }
}

impl Batches {
    /// The next rows. Takes input, on the calling thread, as long as there is room for it.
    fn advance(&mut self, py: Python<'_>, checker: &mut Checker) -> PyResult<Option<Checked>> {
        loop {
            if let Some(checked) = checker.try_next().map_err(|error| raise(py, &error))? {
                return Ok(Some(checked));
            }
            if !checker.is_full()
                && let Some(input) = &self.input
            {
                match input.clone_ref(py).into_bound(py).next() {
                    Some(batch) => push(checker, &RecordBatch::from_pyarrow_bound(&batch?)?)?,
                    None => {
                        self.input = None;
                        checker.finish();
                    }
                }
                continue;
            }
            match py.detach(|| checker.next(PATIENCE)).map_err(|error| raise(py, &error))? {
                Next::Rows(checked) => return Ok(Some(checked)),
                Next::NotYet => py.check_signals()?,
                Next::End => return Ok(None),
            }
        }
    }

    /// The rows, preceded by the columns `account` and `container`.
    fn batch(&self, checked: &Checked) -> Result<RecordBatch, ArrowError> {
        let Checked { account, container, rows } = checked;
        let rows = arrow::batch(rows)?;
        let same = |text: &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows.num_rows())))
        };
        let mut columns = vec![same(account), same(container)];
        columns.extend_from_slice(rows.columns());
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

fn invalid(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Pushes the blobs of a batch, whose columns have the types that `_rows.listed` gives them.
fn push(checker: &mut Checker, batch: &RecordBatch) -> PyResult<()> {
    let needed = |name: &str| {
        let column = batch.column_by_name(name).ok_or_else(|| {
            invalid(format!("there is no column '{name}': account, container, name and size are required"))
        })?;
        match column.null_count() {
            0 => Ok(column),
            _ => Err(invalid(format!("the column '{name}' has a value that is missing"))),
        }
    };
    let text = |name: &str| needed(name).and_then(|column| typed::<StringArray>(column, name));
    let (accounts, containers, names) = (text("account")?, text("container")?, text("name")?);
    let sizes: UInt64Array = typed(needed("size")?, "size")?;
    let etags: Option<StringArray> =
        batch.column_by_name("etag").map(|column| typed(column, "etag")).transpose()?;
    let times: Option<TimestampMicrosecondArray> =
        batch.column_by_name("last_modified").map(|column| typed(column, "last_modified")).transpose()?;
    let blob = |row: usize| Blob {
        name: BlobName::new(names.value(row)),
        size: sizes.value(row),
        etag: etags
            .as_ref()
            .filter(|etags| etags.is_valid(row) && !etags.value(row).is_empty())
            .map(|etags| ETag::new(etags.value(row))),
        last_modified: times
            .as_ref()
            .filter(|times| times.is_valid(row))
            .and_then(|times| Timestamp::from_microsecond(times.value(row)).ok()),
        access: Access::Online,
        declared: Default::default(),
    };
    if let Some(row) = (0..batch.num_rows()).find(|row| names.value(*row).is_empty()) {
        return Err(invalid(format!("the name in row {row} is empty")));
    }
    // Group the rows in case containers alternate: only consecutive blobs of a container are read together.
    let mut rows: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for row in 0..batch.num_rows() {
        rows.entry((accounts.value(row), containers.value(row))).or_default().push(row);
    }
    for ((account, container), rows) in rows {
        checker.push(account, container, rows.into_iter().map(blob).collect());
    }
    Ok(())
}

fn typed<T: Array + Clone + 'static>(column: &ArrayRef, name: &str) -> PyResult<T> {
    let typed = column.as_any().downcast_ref::<T>().cloned();
    typed.ok_or_else(|| invalid(format!("the column '{name}' has the type {}", column.data_type())))
}

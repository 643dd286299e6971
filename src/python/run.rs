//! `Run`: a command on a thread of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyTuple};

use super::raise;
use crate::command::library::{self, Options, Value};
use crate::command::{Exit, Host};
use crate::model::error::{Cause, Error, Result, reason};
use crate::run::Snapshot;

/// The stack of a command, in bytes: that of a main thread, where commands run otherwise.
const STACK: usize = 8 << 20;

/// A command of the command line, with its options as values, on a thread of its own. Dropping it stops it.
#[pyclass(module = "presync", frozen)]
pub(super) struct Run {
    host: Arc<Host>,
    ended: Receiver<Result<Exit>>,
    result: Mutex<Option<Result<Exit>>>,
}

#[pymethods]
impl Run {
    #[new]
    fn new(py: Python<'_>, command: String, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let options = from_dict(options)?;
        let host = Arc::<Host>::default();
        let (sender, ended) = crossbeam_channel::bounded(1);
        let run = {
            let host = Arc::clone(&host);
            // If nobody waits for it any more, the result is not needed.
            move || _ = sender.send(library::call(&command, options, &host))
        };
        let started = thread::Builder::new().name("presync".to_owned()).stack_size(STACK).spawn(run);
        let failed = |error| raise(py, &Error::new(format!("cannot start a thread: {}", reason(&error))));
        started.map_err(failed)?;
        Ok(Self { host, ended, result: Mutex::new(None) })
    }

    /// Waits for the end, for at most this many seconds, without the GIL. Returns whether it has ended.
    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        let limit = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        py.detach(|| {
            let ended = match self.ended.recv_timeout(limit) {
                Ok(ended) => ended,
                Err(RecvTimeoutError::Timeout) => return self.lock().is_some(),
                // The result was taken, or its thread is gone.
                Err(RecvTimeoutError::Disconnected) => {
                    let lost = Error::new("a bug in presync ended the run; please report it");
                    self.lock().get_or_insert(Err(lost));
                    return true;
                }
            };
            *self.lock() = Some(ended);
            true
        })
    }

    /// Stops it, as Ctrl-C stops a command line. It ends soon, with what it has so far.
    fn stop(&self) {
        self.host.stop();
    }

    /// Entries listed and judged, of these rejected and unknown, bytes read, repeated requests, and whether the listing
    /// is complete.
    fn progress(&self) -> (u64, u64, u64, u64, u64, u64, bool) {
        let Snapshot { listed, judged, rejected, unknown, bytes_read, retries, all_listed, .. } =
            self.host.progress();
        (listed, judged, rejected, unknown, bytes_read, retries, all_listed)
    }

    /// What it said since the last call, line by line.
    fn said(&self) -> Vec<String> {
        self.host.take_said().iter().map(|line| library::in_python(line)).collect()
    }

    /// The exit code, and what it printed. Raises the error that ended it.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<(u8, Bound<'py, PyBytes>)> {
        let result = self.lock().clone();
        let result = result.unwrap_or_else(|| Err(Error::new("the command has not ended yet")));
        let exit = result.map_err(|error| match self.host.is_stopped() {
            true => raise(py, &error.because(Cause::Interrupted)),
            false => raise(py, &error),
        })?;
        Ok((exit.code(), PyBytes::new(py, &self.host.take_printed())))
    }
}

impl Run {
    /// A panic elsewhere leaves the result intact.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Result<Exit>>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.host.stop();
    }
}

/// The options in a dict: values are flags, texts, numbers, paths, and lists of these; those that are `None` are not
/// given.
pub(super) fn from_dict(options: &Bound<'_, PyDict>) -> PyResult<Options> {
    let mut values = Vec::new();
    for (name, value) in options {
        if !value.is_none() {
            values.push((name.extract()?, from_object(&value)?));
        }
    }
    Ok(values.into_iter().collect())
}

fn from_object(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Flag(flag.is_true()));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return value.try_iter()?.map(|item| text(&item?)).collect::<PyResult<_>>().map(Value::List);
    }
    text(value).map(Value::Text)
}

fn text(value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        return Ok(value.str()?.to_string_lossy().into_owned().into());
    }
    value.extract::<PathBuf>().map(PathBuf::into_os_string)
}

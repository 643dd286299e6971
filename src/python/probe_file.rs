//! `probe`: one file.

use std::fs::{self, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::{profile, raise, want};
use crate::examine::{Examination, Next, wanted};
use crate::files::regular;
use crate::model::error::{Cause, Error, reason};
use crate::model::{Access, Asset, Blob, BlobName, ByteRange, ReadError};
use crate::probe::Want;
use crate::report;
use crate::rules::Profile;

/// Probes and judges bytes, the file at a path, or an object with `size()` and `read(start, length)`. Returns one asset as
/// JSON. `rules` are the options of [`profile`].
#[pyfunction]
pub(super) fn probe<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    name: Option<String>,
    rules: &Bound<'py, PyDict>,
    dimensions: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let content = match data.cast::<PyBytes>() {
        Ok(bytes) => Data::Bytes(Bytes::copy_from_slice(bytes.as_bytes())),
        Err(_) if data.hasattr(intern!(py, "size"))? => Data::Ranges(data.clone().unbind()),
        Err(_) => Data::Path(data.extract()?),
    };
    let (_, profile) = profile(py, rules)?;
    let record = py.detach(|| -> Result<Vec<u8>, Failure> {
        let asset = content.examine(name, &profile, want(dimensions))?;
        let mut record = Vec::new();
        report::asset_record(&asset, &mut record).map_err(|error| report::output(&error))?;
        Ok(record)
    });
    match record {
        Ok(record) => Ok(PyBytes::new(py, &record)),
        Err(Failure::Error(error)) => Err(raise(py, &error)),
        Err(Failure::Python(error)) => Err(error),
    }
}

enum Data {
    Bytes(Bytes),
    Path(PathBuf),
    /// Bytes that Python reads.
    Ranges(Py<PyAny>),
}

/// Why there is no asset: an error of presync's, or one that Python raised while it read.
enum Failure {
    Error(Error),
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

/// Identifies a version of a file: its length, and when it was last modified.
type Version = (u64, Option<SystemTime>);

impl Data {
    fn examine(&self, name: Option<String>, profile: &Profile, want: Want) -> Result<Asset, Failure> {
        let name = BlobName::new(name.unwrap_or_else(|| self.name()));
        let blob = |(size, _): Version| {
            let name = name.clone();
            Blob {
                name,
                size,
                etag: None,
                last_modified: None,
                access: Access::Online,
                declared: Default::default(),
            }
        };
        let mut version = self.version()?;
        let (mut examination, mut next) = Examination::begin(blob(version), wanted(want, profile), None);
        loop {
            next = match next {
                Next::Read(range) => {
                    let answer = self.read(range, version)?;
                    let (_, reads) = examination.blob_and_reads();
                    reads.count_request(true);
                    reads.bytes += answer.as_ref().map_or(0, |bytes| bytes.len() as u64);
                    examination.bytes(answer)?
                }
                Next::Find => {
                    version = self.version()?;
                    examination.found(Ok(Some(blob(version))))?
                }
                Next::Judge(content) => return Ok(examination.judge(content, profile)),
            };
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Ranges(_) => "file".to_owned(),
        }
    }

    fn version(&self) -> Result<Version, Failure> {
        match self {
            Self::Ranges(ranges) => {
                Python::attach(|py| Ok((ranges.bind(py).call_method0(intern!(py, "size"))?.extract()?, None)))
            }
            Self::Bytes(bytes) => Ok((bytes.len() as u64, None)),
            Self::Path(path) => {
                let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
                if metadata.is_dir() {
                    let error = Error::new(format!("'{}' is a folder", path.display()));
                    let error = error.with_hint("presync.dry_run() takes folders").because(Cause::Usage);
                    return Err(error.into());
                }
                Ok(version_of(&metadata))
            }
        }
    }

    /// Reads a range, which must be within this version.
    fn read(&self, range: ByteRange, version: Version) -> Result<Result<Bytes, ReadError>, Failure> {
        match self {
            Self::Ranges(ranges) => Python::attach(|py| {
                let read = ranges.bind(py).call_method1(intern!(py, "read"), (range.start(), range.len()))?;
                let bytes = Bytes::copy_from_slice(read.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
                // A file that has become shorter is another one.
                Ok(if bytes.len() as u64 == range.len() { Ok(bytes) } else { Err(ReadError::Changed) })
            }),
            Self::Bytes(bytes) => Ok(Ok(bytes.slice(range.start() as usize..range.end() as usize))),
            Self::Path(path) => Ok(read(path, range, version).map_err(|error| unreadable(path, &error))?),
        }
    }
}

fn read(path: &Path, range: ByteRange, version: Version) -> io::Result<Result<Bytes, ReadError>> {
    let (mut file, metadata) = regular::open(path)?;
    if version_of(&metadata) != version {
        return Ok(Err(ReadError::Changed));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(range.start()))?;
    file.take(range.len()).read_to_end(&mut bytes)?;
    Ok(Ok(bytes.into()))
}

fn version_of(metadata: &Metadata) -> Version {
    (metadata.len(), metadata.modified().ok())
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(format!("cannot read '{}': {}", path.display(), reason(error))).because(Cause::of_io(error))
}

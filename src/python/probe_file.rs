//! `probe`: one file.

use std::fs::{self, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{raise, want};
use crate::examine::{Examination, Next};
use crate::files::regular;
use crate::model::error::{Error, Result, reason};
use crate::model::{Access, Asset, Blob, BlobName, ByteRange, ReadError};
use crate::probe::Want;
use crate::report;
use crate::rules::Profile;

/// Probes and judges bytes, or the file at a path. Returns one asset, as in JSON reports. `name` is for bytes: a
/// warning may depend on its extension.
///
/// ```python
/// presync.probe("cam1/0001.jpg")["orientation"]
/// presync.probe(data, name="clip.mp4")["findings"]
/// ```
#[pyfunction]
#[pyo3(signature = (data, *, name = None, profile = "nexus", dimensions = false))]
pub(super) fn probe<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    name: Option<String>,
    profile: &str,
    dimensions: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let content = match data.cast::<PyBytes>() {
        Ok(bytes) => Data::Bytes(Bytes::copy_from_slice(bytes.as_bytes())),
        Err(_) => Data::Path(
            data.extract()
                .map_err(|_| PyTypeError::new_err("probe takes bytes, or a path as str or os.PathLike"))?,
        ),
    };
    let record = py.detach(|| -> Result<Vec<u8>> {
        let asset = content.examine(name, &Profile::load(profile)?, want(dimensions))?;
        let mut record = Vec::new();
        report::asset_record(&asset, &mut record).map_err(|error| report::output(&error))?;
        Ok(record)
    });
    let record = record.map_err(|error| raise(py, &error))?;
    py.import("json")?.call_method1("loads", (PyBytes::new(py, &record),))
}

enum Data {
    Bytes(Bytes),
    Path(PathBuf),
}

/// Identifies a version of a file: its length, and when it was last modified.
type Version = (u64, Option<SystemTime>);

impl Data {
    fn examine(&self, name: Option<String>, profile: &Profile, want: Want) -> Result<Asset> {
        let name = BlobName::new(name.unwrap_or_else(|| self.name()));
        let blob = |(size, _): Version| {
            let name = name.clone();
            Blob { name, size, etag: None, last_modified: None, access: Access::Online }
        };
        let mut version = self.version()?;
        let (mut examination, mut next) = Examination::begin(blob(version), want, None);
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
        }
    }

    fn version(&self) -> Result<Version> {
        match self {
            Self::Bytes(bytes) => Ok((bytes.len() as u64, None)),
            Self::Path(path) => {
                let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
                if metadata.is_dir() {
                    return Err(Error::new(format!("'{}' is a folder", path.display()))
                        .with_hint("presync.dry_run() takes folders"));
                }
                Ok(version_of(&metadata))
            }
        }
    }

    /// Reads a range, which must be within this version.
    fn read(&self, range: ByteRange, version: Version) -> Result<std::result::Result<Bytes, ReadError>> {
        match self {
            Self::Bytes(bytes) => Ok(Ok(bytes.slice(range.start() as usize..range.end() as usize))),
            Self::Path(path) => read(path, range, version).map_err(|error| unreadable(path, &error)),
        }
    }
}

fn read(
    path: &Path,
    range: ByteRange,
    version: Version,
) -> io::Result<std::result::Result<Bytes, ReadError>> {
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
    Error::new(format!("cannot read '{}': {}", path.display(), reason(error)))
}

//! `probe`: one file.

use std::fs::File;
use std::path::PathBuf;

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{raise, want};
use crate::error::{Error, Result, reason};
use crate::model::{Access, Asset, Blob, BlobName, ByteRange, Reads};
use crate::probe::{Probe, Step};
use crate::report;
use crate::rules::{self, Content, Profile};

/// Probes bytes, or the file at a path, and judges them: one asset, as JSON reports have it. `name` is for bytes, whose
/// extension a warning may be about.
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

impl Data {
    fn examine(&self, name: Option<String>, profile: &Profile, want: crate::probe::Want) -> Result<Asset> {
        let unreadable = |path: &PathBuf, error: std::io::Error| {
            Error::new(format!("cannot read '{}': {}", path.display(), reason(&error)))
        };
        let (size, name, mut file) = match self {
            Self::Bytes(bytes) => (bytes.len() as u64, name.unwrap_or_else(|| "bytes".to_owned()), None),
            Self::Path(path) => {
                let file = File::open(path).map_err(|error| unreadable(path, error))?;
                let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
                if metadata.is_dir() {
                    return Err(Error::new(format!("'{}' is a folder", path.display()))
                        .hint("presync.dry_run() takes folders"));
                }
                let of_path = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (metadata.len(), name.unwrap_or_else(of_path), Some(file))
            }
        };
        let blob =
            Blob { name: BlobName::new(name), size, etag: None, last_modified: None, access: Access::Online };
        if let Some(asset) = rules::without_reading(&blob, profile) {
            return Ok(asset);
        }
        let mut reads = Reads::default();
        let (mut probe, mut step) = Probe::wanting(want, size, blob.name.extension());
        loop {
            let range = match step {
                Step::Done(facts) => return Ok(rules::judge(blob, Content::Facts(facts), reads, profile)),
                Step::Need(range) => range,
            };
            reads.count_request(true);
            let bytes = match (self, &mut file) {
                (Self::Path(path), Some(file)) => {
                    read(file, range).map_err(|error| unreadable(path, error))?
                }
                (Self::Bytes(bytes), _) => {
                    let range = range.within(size);
                    bytes.slice(range.start() as usize..range.end() as usize)
                }
                (Self::Path(_), None) => Bytes::new(),
            };
            reads.bytes += bytes.len() as u64;
            step = probe.step(bytes);
        }
    }
}

/// The range of a file, which the probe has bounded.
fn read(file: &mut File, range: ByteRange) -> std::io::Result<Bytes> {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(range.start()))?;
    file.take(range.len()).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

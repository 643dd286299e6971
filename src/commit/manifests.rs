//! The manifests: the accepted assets, and the others with the reasons.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::folder::CommitFolder;
use super::txt;
use crate::files::cell::cell;
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, Severity, Verdict};

/// The most names kept as examples of those that `accepted.txt` cannot contain.
const EXAMPLES: usize = 5;

/// Writes an asset's JSON record, without a line break. It is passed in, because reports depend on commits and not the
/// other way around.
pub type WriteRecord = fn(&Asset, &mut dyn Write) -> io::Result<()>;

/// The manifests while they are being written. Skipped assets are in none of them.
///
/// * `accepted.jsonl`: the JSON record of every accepted asset, one per line.
/// * `accepted.txt`: the same names, for AzCopy, except those that it cannot read from a list.
/// * `rejected.csv`: a row for each finding that rejects an asset or says why it is unknown.
pub struct Manifests {
    record: WriteRecord,
    records: ManifestOutput,
    names: ManifestOutput,
    rejected: csv::Writer<ManifestOutput>,
    rejected_rows: u64,
    written: Written,
}

/// What was written, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The manifests.
    pub manifests: Vec<Manifest>,
    /// Accepted assets whose names `accepted.txt` cannot contain.
    pub unlisted: u64,
    /// The first few of them.
    pub unlisted_names: Vec<String>,
}

/// A finished manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The file's name.
    pub name: &'static str,
    /// The number of lines or rows, without the header.
    pub entries: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

impl Manifests {
    /// Creates the manifests in a folder. Without a folder, they are only counted.
    ///
    /// # Errors
    /// Returns an error if a file cannot be created.
    pub fn create(folder: Option<&CommitFolder>, record: WriteRecord) -> Result<Self> {
        let output = |name| ManifestOutput::create(folder, name);
        let mut rejected = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            // Quote every cell: otherwise a program with another separator could split a cell.
            .quote_style(csv::QuoteStyle::Always)
            .from_writer(output("rejected.csv")?);
        rejected.write_record(["name", "verdict", "code", "message", "fix"]).map_err(csv_failed)?;
        Ok(Self {
            record,
            records: output("accepted.jsonl")?,
            names: output("accepted.txt")?,
            rejected,
            rejected_rows: 0,
            written: Written::default(),
        })
    }

    /// Adds the next asset of the plan.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn take(&mut self, asset: &Asset) -> Result<()> {
        match asset.verdict {
            Verdict::Accept => self.accept(asset).map_err(|error| failed(&error)),
            Verdict::Reject | Verdict::Unknown => self.reject(asset).map_err(csv_failed),
            Verdict::Skip => Ok(()),
        }
    }

    fn accept(&mut self, asset: &Asset) -> io::Result<()> {
        (self.record)(asset, &mut self.records)?;
        self.records.end_entry(b"\n")?;
        let name = asset.blob.name.as_str();
        if txt::is_listable(name, self.names.entries) {
            self.names.write_all(name.as_bytes())?;
            return self.names.end_entry(b"\n");
        }
        self.written.unlisted += 1;
        if self.written.unlisted_names.len() < EXAMPLES {
            self.written.unlisted_names.push(name.to_owned());
        }
        Ok(())
    }

    fn reject(&mut self, asset: &Asset) -> csv::Result<()> {
        let counts = |severity| matches!(severity, Severity::Error | Severity::Unknown);
        for finding in asset.findings.iter().filter(|finding| counts(finding.severity)) {
            let fix = finding.fix.as_deref().unwrap_or_default();
            let cells = [asset.blob.name.as_str(), asset.verdict.as_str(), finding.code.as_str()];
            let cells = cells.into_iter().chain([finding.message.as_str(), fix]);
            self.rejected.write_record(cells.map(|text| cell(text).into_owned()).collect::<Vec<_>>())?;
            self.rejected_rows += 1;
        }
        Ok(())
    }

    /// Finishes the manifests and syncs them to disk.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub fn finish(self) -> Result<Written> {
        let Self { records, names, rejected, rejected_rows, mut written, .. } = self;
        let rejected = rejected.into_inner().map_err(|error| failed(error.error()))?;
        let rejected = ManifestOutput { entries: rejected_rows, ..rejected };
        for output in [records, names, rejected] {
            written.manifests.push(output.finish().map_err(|error| failed(&error))?);
        }
        Ok(written)
    }
}

fn csv_failed(error: csv::Error) -> Error {
    failed(&error.into())
}

fn failed(error: &io::Error) -> Error {
    Error::new(format!("cannot write the manifests: {}; nothing was reserved", reason(error)))
}

/// A file that is counted and hashed while it is being written.
struct ManifestOutput {
    name: &'static str,
    file: Option<BufWriter<File>>,
    entries: u64,
    bytes: u64,
    hash: Sha256,
}

impl ManifestOutput {
    fn create(folder: Option<&CommitFolder>, name: &'static str) -> Result<Self> {
        let file = folder.map(|folder| folder.file(name)).transpose()?.map(BufWriter::new);
        Ok(Self { name, file, entries: 0, bytes: 0, hash: Sha256::new() })
    }

    fn end_entry(&mut self, end: &[u8]) -> io::Result<()> {
        self.entries += 1;
        self.write_all(end)
    }

    fn finish(self) -> io::Result<Manifest> {
        if let Some(file) = self.file {
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        let sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Manifest { name: self.name, entries: self.entries, bytes: self.bytes, sha256 })
    }
}

impl Write for ManifestOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.file {
            Some(file) => file.write(bytes)?,
            None => bytes.len(),
        };
        self.bytes += written as u64;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

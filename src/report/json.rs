//! JSON: one document, or one asset per line.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::changes::ChangesRecord;
use super::compact::write_record;
use super::containers;
use super::record::{
    AssetRecord, FORMAT_VERSION, QuotaRecord, SourceRecord, SyncedRecord, ToolRecord, TotalsRecord,
    profile_hash,
};
use super::{Out, Visible, layout, written};
use crate::files::temporary;
use crate::model::error::Result;
use crate::model::{Asset, BlobName, Code, Filter, Overrides};
use crate::plan::audit::Audit;
use crate::plan::{RunHeader, Sink, Summary};

/// One asset per line, and at the end what a document says besides its assets. Without that line, the output is cut off.
pub(super) struct Jsonl {
    header: RunHeader,
    out: Out,
}

impl Jsonl {
    pub(super) fn new(header: RunHeader, out: Out) -> Self {
        Self { header, out }
    }
}

impl Sink for Jsonl {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        written(|| {
            write_record(&AssetRecord::new(asset), &mut self.out)?;
            self.out.write_all(b"\n")
        })
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { header, mut out } = *self;
        written(|| {
            write_summary(&header, summary, elapsed, &mut out)?;
            out.write_all(b"\n")?;
            out.flush()
        })
    }
}

/// An asset of an audit.
#[derive(Serialize)]
struct ContainerAsset<'a> {
    container: &'a str,
    #[serde(flatten)]
    asset: AssetRecord<'a>,
}

/// Writes the assets of an audit, one per line, each with its container.
pub(super) fn audit_lines(audit: &Audit, out: &mut Out) -> Result<()> {
    for container in &audit.containers {
        for asset in containers::assets(audit, container)? {
            let asset = asset?;
            let record = ContainerAsset { container: &container.name, asset: AssetRecord::new(&asset) };
            written(|| {
                write_record(&record, &mut *out)?;
                out.write_all(b"\n")
            })?;
        }
    }
    Ok(())
}

/// One document. The totals come before the assets, so the assets are kept in a temporary file until the end: memory
/// does not grow with their number.
pub(super) struct Json {
    header: RunHeader,
    out: Out,
    assets: BufWriter<File>,
    empty: bool,
}

impl Json {
    pub(super) fn new(header: RunHeader, out: Out) -> Result<Self> {
        let assets = tempfile::tempfile().map_err(|error| temporary::failed(&error))?;
        Ok(Self { header, out, assets: BufWriter::new(assets), empty: true })
    }
}

#[derive(Serialize)]
struct DryRunDocument<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    source: SourceRecord<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
    #[serde(skip_serializing_if = "Filter::is_empty")]
    filter: &'a Filter,
    profile: &'a str,
    /// The hash of all rules and settings that decide about assets.
    profile_sha256: String,
    started: Timestamp,
    ended: Timestamp,
    /// What the profile assumes about the platform.
    assumptions: &'a [String],
    #[serde(skip_serializing_if = "Overrides::is_empty")]
    overrides: &'a Overrides,
    quota: QuotaRecord<'a>,
    totals: TotalsRecord,
    /// Whether the whole listing was examined…
    complete: bool,
    /// … and why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'a str>,
    /// Two neighbours of a listing in which a name may be repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_order: Option<&'a [BlobName; 2]>,
    /// The changes since the plan that the run was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesRecord<'a>>,
    /// The comparison with what is on the platform, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    synced: Option<SyncedRecord<'a>>,
    findings_by_code: CodeCounts<'a>,
}

/// Writes everything but the assets.
pub(super) fn write_summary(
    header: &RunHeader,
    summary: &Summary,
    elapsed: Duration,
    out: &mut dyn Write,
) -> io::Result<()> {
    let document = DryRunDocument {
        format_version: FORMAT_VERSION,
        tool: ToolRecord::this(),
        source: SourceRecord::new(&header.origin),
        connection: header.connection.as_deref(),
        filter: &header.filter,
        profile: &header.profile.name,
        profile_sha256: profile_hash(&header.profile),
        started: header.begun,
        ended: layout::ended(header, elapsed),
        assumptions: &header.profile.assumptions,
        overrides: &header.profile.overrides,
        quota: QuotaRecord::new(header.admit, Some(&header.profile), summary),
        totals: TotalsRecord::new(&summary.totals, elapsed.as_secs_f64()),
        complete: summary.incomplete.is_none(),
        incomplete: summary.incomplete.as_deref(),
        out_of_order: summary.out_of_order.as_ref(),
        changes: summary.changes.as_ref().map(|changes| ChangesRecord::new(changes, &summary.totals)),
        synced: summary.synced.as_ref().map(SyncedRecord::new),
        findings_by_code: CodeCounts(&summary.findings),
    };
    Ok(serde_json::to_writer(Visible::json(out), &document)?)
}

pub(super) struct CodeCounts<'a>(pub(super) &'a [(Code, u64)]);

impl Serialize for CodeCounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (code, count) in self.0 {
            map.serialize_entry(code.as_str(), count)?;
        }
        map.end()
    }
}

impl Sink for Json {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        let mut add = || -> io::Result<()> {
            self.assets.write_all(if self.empty { b"\n" } else { b",\n" })?;
            self.empty = false;
            write_record(&AssetRecord::new(asset), &mut self.assets)
        };
        add().map_err(|error| temporary::failed(&error))
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { header, mut out, assets, .. } = *self;
        let assets = assets.into_inner().map_err(io::IntoInnerError::into_error);
        let mut assets = assets.map_err(|error| temporary::failed(&error))?;
        written(|| {
            let mut head = Vec::new();
            write_summary(&header, summary, elapsed, &mut head)?;
            // Without the closing brace: one more field follows.
            out.write_all(&head[..head.len() - 1])?;
            out.write_all(b",\"assets\":[")?;
            assets.rewind()?;
            io::copy(&mut assets, &mut out)?;
            out.write_all(b"\n]}\n")?;
            out.flush()
        })
    }
}

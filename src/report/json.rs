//! JSON: one document, or one asset a line.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::changes::ChangesRecord;
use super::record::{AssetRecord, FORMAT_VERSION, QuotaRecord, SourceRecord, ToolRecord, TotalsRecord};
use super::{Header, Report};
use crate::model::{Asset, Code, Overrides};
use crate::plan::Summary;

/// One asset a line.
pub(super) struct Jsonl<W> {
    out: W,
}

impl<W> Jsonl<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Report for Jsonl<W> {
    fn asset(&mut self, asset: &Asset) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, &AssetRecord::new(asset))?;
        self.out.write_all(b"\n")
    }

    fn finish(mut self: Box<Self>, _summary: &Summary, _elapsed: Duration) -> io::Result<()> {
        self.out.flush()
    }
}

/// One document. Totals come before the assets, so the assets wait in a temporary file until the end: memory does not
/// grow with their number.
pub(super) struct Json<W> {
    header: Header,
    out: W,
    assets: BufWriter<File>,
    empty: bool,
}

impl<W> Json<W> {
    pub(super) fn new(header: Header, out: W) -> io::Result<Self> {
        Ok(Self { header, out, assets: BufWriter::new(tempfile::tempfile()?), empty: true })
    }
}

#[derive(Serialize)]
struct Document<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    source: SourceRecord<'a>,
    profile: &'a str,
    #[serde(skip_serializing_if = "Overrides::is_empty")]
    overrides: &'a Overrides,
    quota: QuotaRecord<'a>,
    totals: TotalsRecord,
    /// Whether the whole listing was examined…
    complete: bool,
    /// … and why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'a str>,
    /// Since the plan that the run was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesRecord<'a>>,
    findings_by_code: Counts<'a>,
}

pub(super) struct Counts<'a>(pub(super) &'a [(Code, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (code, count) in self.0 {
            map.serialize_entry(code.as_str(), count)?;
        }
        map.end()
    }
}

impl<W: Write + Send> Report for Json<W> {
    fn asset(&mut self, asset: &Asset) -> io::Result<()> {
        self.assets.write_all(if self.empty { b"\n" } else { b",\n" })?;
        self.empty = false;
        serde_json::to_writer(&mut self.assets, &AssetRecord::new(asset))?;
        Ok(())
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> io::Result<()> {
        let Self { header, mut out, assets, .. } = *self;
        let document = Document {
            format_version: FORMAT_VERSION,
            tool: ToolRecord::this(),
            source: SourceRecord::new(&header.origin),
            profile: &header.profile.name,
            overrides: &header.profile.overrides,
            quota: QuotaRecord::new(header.admit, summary),
            totals: TotalsRecord::new(&summary.totals, elapsed.as_secs_f64()),
            complete: summary.incomplete.is_none(),
            incomplete: summary.incomplete.as_deref(),
            changes: summary.changes.as_ref().map(|changes| ChangesRecord::new(changes, &summary.totals)),
            findings_by_code: Counts(&summary.findings),
        };
        let head = serde_json::to_vec(&document)?;
        // Without the closing brace: one more field follows.
        out.write_all(&head[..head.len() - 1])?;
        out.write_all(b",\"assets\":[")?;
        let mut assets = assets.into_inner().map_err(io::IntoInnerError::into_error)?;
        assets.rewind()?;
        io::copy(&mut assets, &mut out)?;
        out.write_all(b"\n]}\n")?;
        out.flush()
    }
}

//! CSV: one row per asset, for spreadsheets (RFC 4180).

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use csv::{Terminator, Writer, WriterBuilder};
use serde::Serialize;

use super::changes::findings_of;
use super::containers;
use super::record::{AssetRecord, FindingRecord, since_baseline};
use super::{Out, written};
use crate::files::cell::cell;
use crate::model::error::Result;
use crate::model::{Asset, Severity};
use crate::plan::audit::Audit;
use crate::plan::{FindingChanges, Sink, Summary};

/// A cell of a row.
#[derive(Serialize)]
#[serde(untagged)]
enum Cell<'a> {
    Empty(()),
    Text(Cow<'a, str>),
    Count(u64),
    Number(i64),
    Decimal(f64),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(cell(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(cell(&text).into_owned()))
    }
}

impl From<u64> for Cell<'_> {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty(()), T::into)
    }
}

/// A column: its name and its value for an asset.
type Column = (&'static str, for<'a> fn(&'a AssetRecord<'a>) -> Cell<'a>);

/// The columns: the fields of the JSON record, with `cost`, `charge`, `reads` and `findings` split up.
const COLUMNS: [Column; 37] = [
    ("name", |asset| asset.name.into()),
    ("size", |asset| asset.size.into()),
    ("etag", |asset| asset.etag.into()),
    ("last_modified", |asset| asset.last_modified.as_deref().into()),
    ("content_type", |asset| asset.content_type.into()),
    ("content_encoding", |asset| asset.content_encoding.into()),
    ("kind", |asset| asset.kind.into()),
    ("format", |asset| asset.format.into()),
    ("width", |asset| asset.width.map(u64::from).into()),
    ("height", |asset| asset.height.map(u64::from).into()),
    ("orientation", |asset| asset.orientation.flatten().map_or(Cell::Empty(()), Cell::Number)),
    ("rotation", |asset| asset.rotation.map(u64::from).into()),
    ("mirror", |asset| asset.mirror.into()),
    ("major_brand", |asset| asset.major_brand.as_deref().into()),
    ("compatible_brands", |asset| asset.compatible_brands.as_ref().map(|brands| brands.join(";")).into()),
    ("codec", |asset| asset.codec.into()),
    ("pixel_format", |asset| asset.pixel_format.into()),
    ("frames", |asset| asset.frames.into()),
    ("frames_presented", |asset| asset.frames_presented.into()),
    ("frames_at_most", |asset| asset.frames_at_most.into()),
    ("frame_rate", |asset| asset.frame_rate.map_or(Cell::Empty(()), Cell::Decimal)),
    ("duration_s", |asset| asset.duration_s.map_or(Cell::Empty(()), Cell::Decimal)),
    ("verdict", |asset| asset.verdict.into()),
    ("skipped", |asset| asset.skipped.into()),
    ("cost_images", |asset| asset.cost.images.into()),
    ("cost_frames", |asset| asset.cost.frames.into()),
    ("synced", |asset| asset.synced.into()),
    ("charge_images", |asset| asset.charge.as_ref().map(|charge| charge.images).into()),
    ("charge_frames", |asset| asset.charge.as_ref().map(|charge| charge.frames).into()),
    ("codes", |asset| joined(asset, ";", |finding| finding.code)),
    ("messages", |asset| joined(asset, "; ", |finding| finding.message)),
    ("fix", |asset| worst_fix(asset).into()),
    ("new", |asset| new_codes(asset).into()),
    ("fixed", |asset| Some(asset.fixed.join(";")).filter(|codes| !codes.is_empty()).into()),
    ("reads_requests", |asset| u64::from(asset.reads.requests).into()),
    ("reads_retries", |asset| u64::from(asset.reads.retries).into()),
    ("reads_bytes", |asset| asset.reads.bytes.into()),
];

fn joined<'a>(
    asset: &'a AssetRecord<'a>,
    separator: &str,
    part: fn(&'a FindingRecord<'a>) -> &'a str,
) -> Cell<'a> {
    asset.findings.iter().map(part).collect::<Vec<_>>().join(separator).into()
}

/// The codes of the findings that the baseline does not have.
fn new_codes(asset: &AssetRecord<'_>) -> Option<String> {
    let is_new = |finding: &&FindingRecord<'_>| finding.baseline == Some(since_baseline(true));
    let codes: Vec<_> = asset.findings.iter().filter(is_new).map(|finding| finding.code).collect();
    (!codes.is_empty()).then(|| codes.join(";"))
}

/// The first fix of an error, or otherwise of any finding.
fn worst_fix<'a>(asset: &'a AssetRecord<'a>) -> Option<&'a str> {
    let is_error = |finding: &&FindingRecord<'_>| finding.severity == Severity::Error.as_str();
    let findings = &asset.findings;
    findings.iter().filter(is_error).chain(findings).find_map(|finding| finding.fix)
}

/// The CSV report, written during the run.
pub(super) struct Csv {
    out: Writer<Out>,
    /// In a report of several containers, the one that the next rows are of.
    container: Option<String>,
}

impl Csv {
    pub(super) fn new(out: Out) -> io::Result<Self> {
        Self::with(out, None)
    }

    /// With a first column for the container.
    pub(super) fn of_containers(out: Out) -> io::Result<Self> {
        Self::with(out, Some(String::new()))
    }

    fn with(out: Out, container: Option<String>) -> io::Result<Self> {
        let mut out = WriterBuilder::new().has_headers(false).terminator(Terminator::CRLF).from_writer(out);
        let first = container.iter().map(|_| "container");
        out.write_record(first.chain(COLUMNS.map(|(name, _)| name)))?;
        Ok(Self { out, container })
    }

    /// Begins the rows of a container.
    pub(super) fn begin(&mut self, container: &str) {
        self.container = Some(container.to_owned());
    }

    fn row(&mut self, cells: [Cell<'_>; COLUMNS.len()]) -> io::Result<()> {
        let container = self.container.as_deref().map(Cell::from);
        Ok(self.out.serialize(container.into_iter().chain(cells).collect::<Vec<_>>())?)
    }

    /// Writes the rows that are no assets: findings of assets that are gone, and why the listing was not judged to its
    /// end.
    pub(super) fn end(
        &mut self,
        changes: Option<&FindingChanges>,
        incomplete: Option<&str>,
    ) -> io::Result<()> {
        let fixed = changes.map_or(&[][..], |changes| &changes.fixed);
        for fixed in fixed.iter().filter(|fixed| fixed.is_gone) {
            // No asset has such a verdict: what the baseline found on it was fixed by removing it.
            self.row(COLUMNS.map(|(name, _)| match name {
                "name" => fixed.name.as_str().into(),
                "verdict" => "gone".into(),
                "fixed" => fixed.code.as_str().into(),
                _ => Cell::Empty(()),
            }))?;
        }
        let Some(why) = incomplete else { return Ok(()) };
        // No blob has an empty name, so this row cannot be mistaken for an asset.
        self.row(COLUMNS.map(|(name, _)| match name {
            "verdict" => "incomplete".into(),
            "messages" => why.into(),
            _ => Cell::Empty(()),
        }))
    }

    pub(super) fn flush(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes the assets of an audit, with their container in the first column.
pub(super) fn audit(audit: &Audit, out: Out) -> Result<()> {
    let mut csv = Csv::of_containers(out).map_err(|error| super::output(&error))?;
    for container in &audit.containers {
        csv.begin(&container.name);
        for asset in containers::assets(audit, container)? {
            csv.settled(&asset?)?;
        }
        let summary = container.outcome.summary().filter(|_| audit.counts(container));
        let why = (!container.outcome.is_complete()).then(|| containers::why(container));
        written(|| csv.end(summary.and_then(findings_of), why.as_deref()))?;
    }
    written(|| csv.flush())
}

impl Sink for Csv {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        let asset = AssetRecord::new(asset);
        written(|| self.row(COLUMNS.map(|(_, value)| value(&asset))))
    }

    fn finish(mut self: Box<Self>, summary: &Summary, _elapsed: Duration) -> Result<()> {
        written(|| {
            self.end(findings_of(summary), summary.incomplete.as_deref())?;
            self.flush()
        })
    }
}

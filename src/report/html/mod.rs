//! The HTML report: one file that makes no network requests.
//!
//! It has totals and the first findings of each rule, but no row for every asset. So its size, and the memory needed to
//! write it, do not grow with the container.

pub(super) mod comparison;
mod curve;
mod distributions;
mod document;
mod findings;
mod folders;
mod page;
mod script_json;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use curve::QuotaCurve;
use distributions::Distributions;
use document::{PageData, PageParts};
use findings::Findings;
use folders::FolderTree;

pub(super) use page::{escaped, hash};

use super::{Out, written};
use crate::model::error::Result;
use crate::model::{Asset, Code, Verdict};
use crate::plan::{RunHeader, Sink, Summary};

/// The most findings of one rule in the table. A thousand is more than anyone reads.
const MAX_FINDINGS: usize = 1000;
/// The most bytes of JSON for the findings of one rule, so that long names do not make the file large: all rules
/// together take at most 2.5 MB.
const MAX_FINDING_BYTES: usize = 128 << 10;
/// The most thumbnails in the page, with at most 16 KiB of Base64 each: 1 MiB together.
const MAX_THUMBNAILS: usize = 64;
/// The most folders in the page; smaller ones are counted in their parents. No screen has room for more boxes.
const MAX_FOLDERS: usize = 2000;
/// The most bytes of JSON for the names of these folders.
const MAX_FOLDER_BYTES: usize = 512 << 10;
/// The most levels of folders, as many as a hierarchical namespace allows. Deeper folders are counted in the last
/// level.
const MAX_DEPTH: usize = 63;
/// The most points in the quota curve; a screen shows no more.
const MAX_POINTS: usize = 512;
/// The most codecs, pixel formats or brands counted by name. Real containers have fewer, but hostile files can have
/// any.
const MAX_NAMES: usize = 24;
/// The most characters in such a name. Real ones have at most 16.
const MAX_NAME: usize = 40;

/// Assets by verdict, in the order of [`Verdict::ALL`].
type Counts = [u64; Verdict::ALL.len()];

/// Adds other counts to `sums`.
fn add<const N: usize>(sums: &mut [u64; N], others: &[u64; N]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += other;
    }
}

/// Whether the asset is left out because of the quota.
fn is_refused(asset: &Asset) -> bool {
    asset.verdict == Verdict::Reject
        && asset.findings.iter().any(|finding| matches!(finding.code, Code::ImageQuota | Code::FrameQuota))
}

/// The report, which collects data during the run and is written at the end.
pub(super) struct Html {
    header: RunHeader,
    out: Out,
    curve: QuotaCurve,
    distributions: Distributions,
    findings: Findings,
    folders: FolderTree,
    skipped: BTreeMap<&'static str, u64>,
}

impl Html {
    pub(super) fn new(header: RunHeader, out: Out) -> Self {
        Self {
            header,
            out,
            curve: QuotaCurve::default(),
            distributions: Distributions::default(),
            findings: Findings::default(),
            folders: FolderTree::default(),
            skipped: BTreeMap::new(),
        }
    }
}

impl Sink for Html {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.curve.add(asset);
        self.distributions.add(asset);
        self.findings.add(asset);
        self.folders.add(asset);
        if let Some(skip) = asset.skipped {
            *self.skipped.entry(skip.as_str()).or_default() += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { header, mut out, curve, distributions, findings, folders, skipped } = *self;
        let parts = PageParts { curve: &curve, distributions, findings, folders, skipped };
        let data = PageData::new(&header, summary, elapsed, parts);
        written(|| {
            page::write(&mut out, &data)?;
            out.flush()
        })
    }
}

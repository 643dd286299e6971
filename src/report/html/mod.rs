//! The report for browsers: one file that asks the network for nothing.
//!
//! It holds sums and the first findings of each rule, never a row for every asset, so that its size, and the memory that
//! making it takes, do not grow with the container.

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

use super::{Out, written};
use crate::model::error::Result;
use crate::model::{Asset, Code, Verdict};
use crate::plan::{RunHeader, Sink, Summary};

/// Findings of one rule that the table holds. A thousand is more than anyone reads.
const MAX_FINDINGS: usize = 1000;
/// Bytes of JSON that one rule's findings may take, so that long names do not make the file large: all rules together
/// take 2.5 MB at most.
const MAX_FINDING_BYTES: usize = 128 << 10;
/// Folders that the page names; smaller ones are summed up in their parents. No screen has room for more boxes.
const MAX_FOLDERS: usize = 2000;
/// Bytes of JSON that the names of these folders may take.
const MAX_FOLDER_BYTES: usize = 512 << 10;
/// Levels of folders that the page names, as many as a hierarchical namespace allows; deeper ones are counted in the
/// last of them.
const MAX_DEPTH: usize = 63;
/// Points of the quota curve; a screen shows no more.
const MAX_POINTS: usize = 512;
/// Codecs, pixel formats or brands that are counted by name: real containers have fewer, hostile files may name any.
const MAX_NAMES: usize = 24;
/// Characters that such a name may take: real ones take 16 at most.
const MAX_NAME: usize = 40;

/// Assets by verdict, in the order of [`Verdict::ALL`].
type Counts = [u64; Verdict::ALL.len()];

/// Adds what was counted elsewhere.
fn add<const N: usize>(sums: &mut [u64; N], others: &[u64; N]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += other;
    }
}

/// Whether the asset is left out because it does not fit the quota.
fn is_refused(asset: &Asset) -> bool {
    asset.verdict == Verdict::Reject
        && asset.findings.iter().any(|finding| matches!(finding.code, Code::ImageQuota | Code::FrameQuota))
}

/// A report that adds up while the assets pass, and is written at the end.
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

    fn finish(self: Box<Self>, summary: &Summary, _elapsed: Duration) -> Result<()> {
        let Self { header, mut out, curve, distributions, findings, folders, skipped } = *self;
        let parts = PageParts { curve: &curve, distributions, findings, folders, skipped };
        let data = PageData::new(&header, summary, parts);
        written(|| {
            page::write(&mut out, &data)?;
            out.flush()
        })
    }
}

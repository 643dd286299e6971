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

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use curve::Curve;
use distributions::Distributions;
use document::{Document, Parts};
use findings::Findings;
use folders::Folders;

use super::{Header, Report};
use crate::model::{Asset, Code, Verdict};
use crate::plan::Summary;

/// Findings of one rule that the table holds. A thousand is more than anyone reads.
const MAX_FINDINGS: usize = 1000;
/// Bytes of JSON that one rule's findings may take, so that long names do not make the file large: all rules together
/// take 2.5 MB at most.
const MAX_FINDING_BYTES: usize = 128 << 10;
/// Folders that are told apart; the smaller ones are summed up where they lie. More boxes than this fit no screen.
const MAX_FOLDERS: usize = 2000;
/// Bytes of JSON that the names of these folders may take.
const MAX_FOLDER_BYTES: usize = 512 << 10;
/// Folders inside each other that are told apart, as deep as a hierarchical namespace goes; what lies deeper is counted
/// in the last of them.
const MAX_DEPTH: usize = 63;
/// Points of the quota curve, of which a screen shows no more.
const MAX_POINTS: usize = 512;
/// Codecs, pixel formats or brands that are told apart: real containers have fewer, and hostile files may name any.
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
pub(super) struct Html<W> {
    header: Header,
    out: W,
    curve: Curve,
    distributions: Distributions,
    findings: Findings,
    folders: Folders,
    skipped: BTreeMap<&'static str, u64>,
}

impl<W> Html<W> {
    pub(super) fn new(header: Header, out: W) -> Self {
        Self {
            header,
            out,
            curve: Curve::default(),
            distributions: Distributions::default(),
            findings: Findings::default(),
            folders: Folders::default(),
            skipped: BTreeMap::new(),
        }
    }
}

impl<W: Write + Send> Report for Html<W> {
    fn asset(&mut self, asset: &Asset) -> io::Result<()> {
        self.curve.add(asset);
        self.distributions.add(asset);
        self.findings.add(asset);
        self.folders.add(asset);
        if let Some(skip) = asset.skipped {
            *self.skipped.entry(skip.as_str()).or_default() += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, summary: &Summary, _elapsed: Duration) -> io::Result<()> {
        let Self { header, mut out, curve, distributions, findings, folders, skipped } = *self;
        let parts = Parts { curve: &curve, distributions, findings, folders, skipped };
        page::write(&mut out, &Document::new(&header, summary, parts))?;
        out.flush()
    }
}

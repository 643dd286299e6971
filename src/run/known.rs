//! Results of earlier runs for the blobs that are listed now.

use std::sync::{Arc, OnceLock, mpsc};

use crate::model::error::{Error, Result};
use crate::model::{Asset, Blob, Code, Codes, Format, Kind};
use crate::plan::{ChangeGroup, Changes, FindingChanges, is_unchanged};
use crate::plan_file::{Lookup, Plan};
use crate::probe::{self, Want};
use crate::rules::{self, Profile};

/// An asset with the verdict of the rules, before the quota is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The asset. It changes hands a dozen times before it is settled, so it stays where it is.
    pub asset: Box<Asset>,
    /// Whether it comes from the interrupted run that this run resumes.
    pub is_kept: bool,
}

impl From<Asset> for Judged {
    fn from(asset: Asset) -> Self {
        Self { asset: Box::new(asset), is_kept: false }
    }
}

/// Results of earlier runs; empty by default.
///
/// * A run that resumes an interrupted one keeps its assets, including the cost of reading them.
/// * An earlier plan, the baseline, provides facts: an unchanged asset is not read again, and added, changed and
///   removed assets are counted.
/// * Verdicts are never reused: the current rules judge the facts again.
#[derive(Default)]
pub struct Known {
    /// The assets of the interrupted attempts at this run, oldest first.
    kept: Option<Lookup<Asset>>,
    baseline: Option<Baseline>,
    fault: Arc<OnceLock<Error>>,
}

struct Baseline {
    assets: Lookup<Asset>,
    probe_version: u32,
    dimensions: bool,
    changes: Changes,
    earlier: Option<mpsc::Sender<Codes>>,
}

impl Known {
    /// Resumes an interrupted run from the assets of its earlier attempts.
    pub(crate) fn with_kept(self, kept: Option<Lookup<Asset>>) -> Self {
        Self { kept, ..self }
    }

    /// Compares with an earlier plan of the same source.
    pub(crate) fn with_baseline(self, plan: &Plan, assets: Lookup<Asset>) -> Self {
        let before = &plan.summary.totals;
        let changes = Changes {
            plan: plan.id.clone(),
            since: plan.header.begun,
            accepted_before: before.accepted,
            images_before: before.images,
            frames_before: before.frames,
            added: ChangeGroup::default(),
            changed: ChangeGroup::default(),
            removed: ChangeGroup::default(),
            unchanged: 0,
            read_again: 0,
            findings: Some(FindingChanges::default()),
        };
        let (probe_version, dimensions) = (plan.header.probe_version, plan.header.dimensions);
        let baseline = Baseline { assets, probe_version, dimensions, changes, earlier: None };
        Self { baseline: Some(baseline), ..self }
    }

    /// Where the error will be if the results turn out to be unreadable, which ends the run.
    pub(crate) fn fault(&self) -> Arc<OnceLock<Error>> {
        Arc::clone(&self.fault)
    }

    /// What the baseline found on each blob that is [judged](Self::judge), in that order; `None` without a baseline.
    pub(super) fn earlier(&mut self) -> Option<mpsc::Receiver<Codes>> {
        let baseline = self.baseline.as_mut()?;
        let (sender, earlier) = mpsc::channel();
        baseline.earlier = Some(sender);
        Some(earlier)
    }

    /// Whether earlier runs found nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_none() && self.baseline.is_none()
    }

    /// Returns the verdict on a blob of the listing, if an earlier run found enough facts for one.
    pub(super) fn judge(&mut self, blob: &Blob, profile: &Profile, want: Want) -> Result<Option<Judged>> {
        let judged = self.judge_next(blob, profile, want);
        if let Err(error) = &judged {
            let _ = self.fault.set(error.clone());
        }
        judged
    }

    fn judge_next(&mut self, blob: &Blob, profile: &Profile, want: Want) -> Result<Option<Judged>> {
        let mut kept = None;
        // A blob that an attempt could not read, or that changed later, was examined again by the next attempt.
        while let (Some(lookup), None) = (&mut self.kept, &kept)
            && let Some(asset) = lookup.find(&blob.name)?
        {
            kept = judge_again(blob, asset, profile, true);
        }
        match &mut self.baseline {
            Some(baseline) if kept.is_none() => baseline.judge(blob, profile, want, false),
            Some(baseline) => baseline.judge(blob, profile, want, true).map(|_| kept),
            None => Ok(kept),
        }
    }

    /// Ends the listing and returns the changes since the baseline.
    pub(super) fn finish(self) -> Result<Option<Changes>> {
        let Some(Baseline { assets, mut changes, .. }) = self.baseline else { return Ok(None) };
        let finished = assets.finish(|asset| {
            changes.removed.add(&asset.blob.name);
            changes.findings.get_or_insert_default().add_gone(&asset);
        });
        finished.inspect_err(|error| _ = self.fault.set(error.clone()))?;
        Ok(Some(changes))
    }
}

impl Baseline {
    fn judge(&mut self, blob: &Blob, profile: &Profile, want: Want, is_kept: bool) -> Result<Option<Judged>> {
        let Self { assets, changes, .. } = self;
        let found = assets.find(&blob.name)?;
        if let Some(sender) = &self.earlier {
            // If the receiver is gone, the run has failed, with an error of its own.
            let _ = sender.send(found.as_ref().map(Asset::codes).unwrap_or_default());
        }
        let Some(earlier) = found else {
            changes.added.add(&blob.name);
            return Ok(None);
        };
        if !is_unchanged(&earlier.blob, blob) {
            changes.changed.add(&blob.name);
            return Ok(None);
        }
        changes.unchanged += 1;
        let known = match self.is_enough(&earlier, want) {
            true => judge_again(blob, earlier, profile, false),
            false => None,
        };
        self.changes.read_again += u64::from(known.is_none() && !is_kept);
        Ok(known)
    }

    /// Whether reading the asset again would find nothing new.
    fn is_enough(&self, earlier: &Asset, want: Want) -> bool {
        let is_media = earlier.kind != Kind::Other;
        let facts = &earlier.facts;
        let lacks_dimensions = want.dimensions && !self.dimensions && facts.width.is_none();
        // A plan does not say whether the ends of its files were looked at.
        let lacks_end = want.end && facts.format == Format::Jpeg && facts.truncated.is_none();
        // A run for another platform may not have read the headers of this container.
        let lacks_header = want.containers && facts.video.is_none() && probe::reads_on_request(facts.format);
        let is_undetermined = earlier.facts.gap.is_some()
            || earlier.findings.iter().any(|finding| finding.code == Code::Undetermined);
        self.probe_version >= probe::TRUSTED_SINCE
            && !(is_undetermined && self.probe_version < probe::VERSION)
            && !((is_media && lacks_dimensions) || lacks_end || lacks_header)
            && facts.gap_cost.is_none_or(|cost| cost.reads > u64::from(want.max_reads))
    }
}

fn judge_again(blob: &Blob, earlier: Asset, profile: &Profile, is_kept: bool) -> Option<Judged> {
    let reads = earlier.reads;
    let mut asset = Box::new(rules::from_earlier(blob, earlier, profile)?);
    if is_kept {
        asset.reads = reads;
    }
    Some(Judged { asset, is_kept })
}

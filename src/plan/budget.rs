//! The budget, spent on assets that the rules accept.

use super::basenames::{SeenBasenames, add_finding};
use super::claim::{Turns, charge, claim};
use super::curve::{Curves, Shortage};
use super::if_fixed::IfFixed;
use super::name_order::NameOrder;
use super::{Changes, FindingChanges};
use crate::model::{
    Admit, Asset, BlobName, Code, Cost, Finding, Gone, Kind, Overrides, Quota, QuotaKind, Severity,
    SyncState, SyncTotals, Totals, Verdict, number,
};
use crate::rules::Profile;

/// The summary of a run so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The totals.
    pub totals: Totals,
    /// The budget and what is left of it.
    pub quota: Quota,
    /// Assets by finding, in the order of [`Code::ALL`]; codes without a finding are left out.
    pub findings: Vec<(Code, u64)>,
    /// The first asset in the listing that the quota refused.
    pub first_refused: Option<BlobName>,
    /// What the image quota lacks; `None` if it refuses nothing.
    pub image_shortage: Option<Shortage>,
    /// What the frame quota lacks; `None` if it refuses nothing. The same as for images if they share a limit.
    pub frame_shortage: Option<Shortage>,
    /// What would be needed if everything that can be fixed were fixed.
    pub if_fixed: IfFixed,
    /// Whether every basename was compared with every other.
    pub basenames_compared: bool,
    /// Two neighbours of a listing in which a name may be repeated, because it is in none of the orders in which
    /// services list.
    pub out_of_order: Option<[BlobName; 2]>,
    /// The changes since an earlier plan, if one was given and the run is complete.
    pub changes: Option<Changes>,
    /// Findings that only warn.
    pub warnings: u64,
    /// The comparison with what is on the platform, if that is known.
    pub synced: Option<SyncTotals>,
    /// Why only the first part of the listing was settled; `None` if all of it was.
    pub incomplete: Option<String>,
}

/// Spends the quota on assets, which come in listing order.
///
/// An asset is refused if it costs more than what is left; a smaller one after it may still fit. Assets get the quota
/// in listing order, unless a [`Ranking`](super::Ranking) has decided another order. Apart from this and the warning
/// about duplicate basenames, no decision about an asset depends on other assets.
#[derive(Debug)]
pub struct Budget {
    totals: Totals,
    quota: Quota,
    counts: Vec<u64>,
    first_refused: Option<BlobName>,
    curves: Curves,
    /// The decisions of a ranking; `None` in listing order.
    turns: Option<Turns>,
    basenames: SeenBasenames,
    names: NameOrder,
    overrides: Overrides,
    /// What one quota for everything counts, for messages.
    unit: String,
    if_fixed: IfFixed,
    warnings: u64,
    findings: FindingChanges,
    /// `None` until an asset was compared with what is on the platform.
    synced: Option<SyncTotals>,
}

impl Budget {
    /// Creates an unspent budget, to be spent in listing order.
    pub fn new(quota: Quota) -> Self {
        Self::of(quota, Curves::new(&quota), None)
    }

    /// Creates a budget to be spent as a ranking decided. The curves must have seen every cost.
    pub(super) fn decided(quota: Quota, curves: Curves, turns: Turns) -> Self {
        Self::of(quota, curves, Some(turns))
    }

    fn of(quota: Quota, curves: Curves, turns: Option<Turns>) -> Self {
        Self {
            totals: Totals::default(),
            quota,
            counts: vec![0; Code::ALL.len()],
            first_refused: None,
            curves,
            turns,
            basenames: SeenBasenames::default(),
            names: NameOrder::default(),
            overrides: Overrides::default(),
            unit: OF_THE_QUOTA.to_owned(),
            if_fixed: IfFixed::default(),
            warnings: 0,
            findings: FindingChanges::default(),
            synced: None,
        }
    }

    /// Sets what a profile says: the user's overrides, which apply to duplicate basenames, and what its quota counts.
    pub(crate) fn for_profile(self, profile: &Profile) -> Self {
        let (images, videos) = (&profile.images.unit, &profile.videos.unit);
        let unit = if images == videos { images.clone() } else { self.unit };
        Self { overrides: profile.overrides.clone(), unit, ..self }
    }

    /// Settles the next asset in listing order: spends its cost or refuses it, and counts it.
    pub fn settle(&mut self, asset: &mut Asset) {
        self.names.add(&asset.blob.name);
        if asset.verdict == Verdict::Accept {
            self.spend(asset);
        }
        // After the quota, because an asset that it refuses is not synced and cannot clash with another one.
        if asset.verdict == Verdict::Accept {
            self.compare_basename(asset);
        }
        // Last, because the verdict must be final, or the totals would not add up.
        self.count(asset);
    }

    /// Adds what the end of the listing shows of what is on the platform: where it came from, what is gone, and what of
    /// a stock is given back.
    pub(crate) fn end_of_listing(&mut self, sources: Vec<String>, gone: Gone, returned: Cost) {
        let synced = self.synced.get_or_insert_default();
        (synced.sources, synced.gone, synced.returned) = (sources, gone, returned);
    }

    /// The summary of the assets so far.
    pub fn summary(&self) -> Summary {
        let counted = Code::ALL.iter().zip(&self.counts).filter(|(_, count)| **count > 0);
        Summary {
            totals: self.totals,
            quota: self.quota,
            findings: counted.map(|(code, count)| (*code, *count)).collect(),
            first_refused: self.first_refused.clone(),
            image_shortage: self.curves.shortage(Kind::Image).filter(|_| !self.quota.images.fits),
            frame_shortage: self.curves.shortage(Kind::Video).filter(|_| !self.quota.frames.fits),
            if_fixed: self.if_fixed,
            basenames_compared: self.basenames.is_complete(),
            out_of_order: self.names.broken().cloned(),
            changes: None,
            warnings: self.warnings,
            synced: self.synced.clone(),
            incomplete: None,
        }
    }

    /// How the findings of the assets so far have changed since the baseline.
    pub(crate) fn finding_changes(&self) -> &FindingChanges {
        &self.findings
    }

    fn spend(&mut self, asset: &mut Asset) {
        let kind = asset.kind;
        let Some(amount) = claim(&self.quota, asset) else {
            self.quota.spend(kind, charge(asset));
            return;
        };
        let gauge = self.quota.gauge(kind).copied().unwrap_or_default();
        let left = match &mut self.turns {
            // The curves have already seen every cost, in ranking order, in the first pass.
            Some(turns) => turns.next_left(amount),
            None => {
                self.curves.spend(kind, amount);
                gauge.left().unwrap_or(0)
            }
        };
        let fits = amount <= left;
        // `listed` does not include this asset yet, and positions count from 1.
        self.curves.settle(asset, self.totals.listed + 1, amount, fits);
        if fits {
            let granted = self.quota.spend(kind, amount);
            debug_assert!(granted, "no more is granted than what is left");
            return;
        }
        self.quota.refuse(kind);
        let admit = self.turns.as_ref().map_or(Admit::Listing, |turns| turns.admit);
        let refusal = QuotaRefusal { kind, amount, left, limit: gauge.limit.unwrap_or(0), admit };
        asset.findings.push(refusal.finding(self.quota.is_shared().then_some(&self.unit)));
        asset.verdict = Verdict::Reject;
        self.first_refused.get_or_insert_with(|| asset.blob.name.clone());
    }

    /// Must only be called for accepted assets, because only those can clash.
    fn compare_basename(&mut self, asset: &mut Asset) {
        if self.basenames.is_taken(asset) {
            add_finding(asset, &self.overrides);
        }
    }

    fn count(&mut self, asset: &Asset) {
        self.totals.add(asset);
        self.if_fixed.add(asset);
        self.findings.add(asset);
        let warnings = asset.findings.iter().filter(|finding| finding.severity == Severity::Warning);
        self.warnings += warnings.count() as u64;
        if let Some(standing) = asset.synced {
            let synced = self.synced.get_or_insert_default();
            match (asset.verdict, standing.state) {
                (Verdict::Accept, state) => synced.add(state, standing.charge),
                (_, SyncState::New) => {}
                (_, SyncState::Changed | SyncState::Unchanged) => synced.kept += 1,
            }
        }
        for (index, finding) in asset.findings.iter().enumerate() {
            // An asset counts once.
            if asset.findings[..index].iter().all(|earlier| earlier.code != finding.code) {
                self.counts[finding.code as usize] += 1;
            }
        }
    }
}

/// The unit of a quota that has no name of its own.
const OF_THE_QUOTA: &str = "of the quota";

/// An asset that does not fit, and what was left at its turn.
struct QuotaRefusal {
    kind: Kind,
    amount: u64,
    left: u64,
    limit: u64,
    admit: Admit,
}

impl QuotaRefusal {
    /// `shared` is the unit of a limit for everything.
    fn finding(&self, shared: Option<&String>) -> Finding {
        let Self { kind, amount, left, limit, admit } = self;
        let at = if *admit == Admit::Listing { "" } else { " at its turn" };
        let (unit, others) = match kind {
            _ if shared.is_some() => (shared.map_or(OF_THE_QUOTA, String::as_str), "assets"),
            Kind::Video => (QuotaKind::Frames.unit(), "videos"),
            _ => (OF_THE_QUOTA, "images"),
        };
        let [amount, limit, shown_left] = [amount, limit, left].map(|value| number(*value));
        let message = match (kind, left) {
            (Kind::Image, 0) if shared.is_none() => format!("the image quota of {limit} is used up{at}"),
            _ => format!(
                "the {} needs {amount} {unit}, but {shown_left} of {limit} are left{at}",
                kind.as_str()
            ),
        };
        let before = match admit {
            Admit::MostAssets if shared.is_some() || *kind == Kind::Video => "that cost the same or less",
            Admit::Newest => "that are at least as new",
            // Every image costs the same, so images get the quota in listing order among themselves.
            _ => "earlier in the listing",
        };
        match kind {
            Kind::Video => Finding::new(Code::FrameQuota, message)
                .with_fix(format!("Raise the quota, shorten the video, or leave out {others} {before}")),
            _ => Finding::new(Code::ImageQuota, message)
                .with_fix(format!("Raise the quota, or leave out {others} {before}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, Blob, Cost, Facts, Format, Reads};

    fn asset(name: &str, kind: Kind, cost: Cost) -> Asset {
        let blob = Blob {
            name: BlobName::new(name),
            size: 10,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        };
        let facts = Facts::of(Format::Unknown);
        let (findings, reads) = (Vec::new(), Reads::default());
        Asset {
            blob,
            kind,
            facts,
            verdict: Verdict::Accept,
            cost,
            synced: None,
            earlier: None,
            findings,
            skipped: None,
            reads,
        }
    }

    fn codes(asset: &Asset) -> Vec<Code> {
        asset.findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_video_that_does_not_fit_leaves_room_for_a_smaller_one() {
        let mut budget = Budget::new(Quota::new(None, Some(100)));
        let mut verdicts = Vec::new();
        for (name, frames) in [("a", 60), ("b", 50), ("c", 40), ("d", 1)] {
            let mut video = asset(name, Kind::Video, Cost { images: 0, frames });
            budget.settle(&mut video);
            verdicts.push((video.verdict, codes(&video)));
        }
        assert_eq!(verdicts[0], (Verdict::Accept, vec![]));
        assert_eq!(verdicts[1], (Verdict::Reject, vec![Code::FrameQuota]));
        assert_eq!(verdicts[2], (Verdict::Accept, vec![]));
        assert_eq!(verdicts[3], (Verdict::Reject, vec![Code::FrameQuota]));
        let summary = budget.summary();
        assert_eq!(summary.first_refused, Some(BlobName::new("b")));
        assert_eq!((summary.quota.frames.cost, summary.quota.frames.left()), (100, Some(0)));
        assert!(summary.totals.reconcile());
    }

    #[test]
    fn only_accepted_assets_share_a_basename() {
        let mut budget = Budget::new(Quota::new(Some(2), None));
        let cost = Cost { images: 1, frames: 0 };
        let mut findings = Vec::new();
        for name in ["a/1.jpg", "b/1.jpg", "c/1.jpg"] {
            let mut image = asset(name, Kind::Image, cost);
            budget.settle(&mut image);
            findings.push(codes(&image));
        }
        assert_eq!(findings, [vec![], vec![Code::DuplicateBasename], vec![Code::ImageQuota]]);
    }
}

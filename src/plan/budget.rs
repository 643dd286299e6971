//! The budget: spent in listing order, by what the rules accept.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::{
    Asset, BlobName, Code, Cost, Effect, Finding, Kind, Overrides, Quota, Severity, Totals, Verdict,
};

/// Basenames that are remembered: 1.8 million, in 19 MB of hashes. Beyond that, new ones are not compared.
pub const MAX_BASENAMES: usize = 1_835_008;

/// What a run adds up to so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The sums.
    pub totals: Totals,
    /// The budget and what is left of it.
    pub quota: Quota,
    /// Assets by finding, in the order of [`Code::ALL`]; codes without a finding are left out.
    pub findings: Vec<(Code, u64)>,
    /// The first asset that the quota refused.
    pub first_refused: Option<BlobName>,
    /// Whether every basename was compared with every other.
    pub basenames_compared: bool,
    /// Why these are only the first blobs of the listing, without a gap; `None` when they are all there are.
    pub incomplete: Option<String>,
}

/// Weighs assets against the quota, in the order in which they are given.
///
/// An image is refused when no quota is left, a video when its frames exceed what is left; a smaller one after it may
/// still fit. Nothing else that is decided about an asset depends on another one.
#[derive(Debug)]
pub struct Budget {
    totals: Totals,
    quota: Quota,
    counts: Vec<u64>,
    first_refused: Option<BlobName>,
    /// Hashes, so that memory does not grow with the length of the names. Two of 1.8 million names collide with a
    /// probability of one in ten million.
    basenames: HashSet<u64>,
    basenames_compared: bool,
    overrides: Overrides,
}

impl Budget {
    /// A budget of which nothing is spent yet.
    pub fn new(quota: Quota) -> Self {
        Self {
            totals: Totals::default(),
            quota,
            counts: vec![0; Code::ALL.len()],
            first_refused: None,
            basenames: HashSet::new(),
            basenames_compared: true,
            overrides: Overrides::default(),
        }
    }

    /// The same budget, with what the user changes about duplicate basenames.
    pub fn with_overrides(self, overrides: Overrides) -> Self {
        Self { overrides, ..self }
    }

    /// Settles the next asset in listing order: spends its cost or refuses it, and counts it.
    pub fn settle(&mut self, asset: &mut Asset) {
        let effect = self.overrides.effect(Code::DuplicateBasename, asset.blob.name.as_str());
        // What is rejected for its name must not cost anything.
        if asset.verdict == Verdict::Accept && effect == Some(Effect::Error) && self.is_duplicate(asset) {
            self.report_duplicate(asset);
        }
        if asset.verdict == Verdict::Accept {
            self.spend(asset);
        }
        if asset.verdict == Verdict::Accept {
            self.compare_basename(asset);
        }
        self.count(asset);
    }

    /// What the assets so far add up to.
    pub fn summary(&self) -> Summary {
        let counted = Code::ALL.iter().zip(&self.counts).filter(|(_, count)| **count > 0);
        Summary {
            totals: self.totals,
            quota: self.quota,
            findings: counted.map(|(code, count)| (*code, *count)).collect(),
            first_refused: self.first_refused.clone(),
            basenames_compared: self.basenames_compared,
            incomplete: None,
        }
    }

    fn spend(&mut self, asset: &mut Asset) {
        let quota = &mut self.quota;
        let Cost { images, frames } = asset.cost;
        let (fits, gauge, amount, code) = match asset.kind {
            Kind::Image => (quota.spend_on_image(images), quota.images, images, Code::ImageQuota),
            Kind::Video => (quota.spend_on_video(frames), quota.frames, frames, Code::FrameQuota),
            Kind::Other => return,
        };
        if fits {
            return;
        }
        let left = gauge.left().unwrap_or(0);
        let limit = gauge.limit.unwrap_or(0);
        let finding = match code {
            Code::ImageQuota => Finding::new(code, format!("no image quota is left of {limit}"))
                .with_fix("Raise the quota, or leave out images earlier in the listing"),
            _ => Finding::new(code, format!("the video needs {amount} frames, {left} of {limit} are left"))
                .with_fix("Raise the quota, shorten the video, or leave out videos earlier in the listing"),
        };
        asset.findings.push(finding);
        asset.verdict = Verdict::Reject;
        self.first_refused.get_or_insert_with(|| asset.blob.name.clone());
    }

    fn compare_basename(&mut self, asset: &mut Asset) {
        if self.is_duplicate(asset) {
            self.report_duplicate(asset);
        } else if self.basenames.len() < MAX_BASENAMES {
            self.basenames.insert(hash(asset.blob.name.basename()));
        } else {
            self.basenames_compared = false;
        }
    }

    /// Whether an accepted asset earlier in the listing has the same basename.
    fn is_duplicate(&self, asset: &Asset) -> bool {
        self.basenames.contains(&hash(asset.blob.name.basename()))
    }

    fn report_duplicate(&self, asset: &mut Asset) {
        let name = &asset.blob.name;
        let message = format!("an asset earlier in the listing is called '{}' too", name.basename());
        let finding = Finding::new(Code::DuplicateBasename, message)
            .with_fix("Rename one of them: annotations are matched by this name");
        let mut findings = vec![finding];
        self.overrides.apply(name.as_str(), &mut findings);
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            asset.verdict = Verdict::Reject;
        }
        asset.findings.append(&mut findings);
        asset.findings.sort_by_key(|finding| finding.code);
    }

    fn count(&mut self, asset: &Asset) {
        let totals = &mut self.totals;
        totals.listed += 1;
        match asset.verdict {
            Verdict::Accept => {
                totals.accepted += 1;
                totals.images = totals.images.saturating_add(asset.cost.images);
                totals.frames = totals.frames.saturating_add(asset.cost.frames);
            }
            Verdict::Reject => totals.rejected += 1,
            Verdict::Skip => totals.skipped += 1,
            Verdict::Unknown => totals.unknown += 1,
        }
        totals.bytes_listed = totals.bytes_listed.saturating_add(asset.blob.size);
        totals.bytes_read = totals.bytes_read.saturating_add(asset.reads.bytes);
        totals.requests = totals.requests.saturating_add(u64::from(asset.reads.requests));
        totals.retries = totals.retries.saturating_add(u64::from(asset.reads.retries));
        for (code, count) in Code::ALL.iter().zip(&mut self.counts) {
            *count += u64::from(asset.findings.iter().any(|finding| finding.code == *code));
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, Blob, Effects, Facts, Format, Reads};

    fn asset(name: &str, kind: Kind, cost: Cost) -> Asset {
        let blob = Blob {
            name: BlobName::new(name),
            size: 10,
            etag: None,
            last_modified: None,
            access: Access::Online,
        };
        let facts = Facts::of(Format::Unknown);
        let (findings, reads) = (Vec::new(), Reads::default());
        Asset { blob, kind, facts, verdict: Verdict::Accept, cost, findings, skipped: None, reads }
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
        assert_eq!((summary.totals.frames, summary.quota.frames.left()), (100, Some(0)));
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

    #[test]
    fn a_duplicate_that_is_rejected_costs_nothing() {
        let mut everywhere = Effects::default();
        everywhere.set(Code::DuplicateBasename, Effect::Error);
        let overrides = Overrides { everywhere, prefixes: Vec::new() };
        let mut budget = Budget::new(Quota::new(Some(2), None)).with_overrides(overrides);
        let cost = Cost { images: 1, frames: 0 };
        let mut verdicts = Vec::new();
        for name in ["a/1.jpg", "b/1.jpg", "c/2.jpg", "d/3.jpg", "e/3.jpg"] {
            let mut image = asset(name, Kind::Image, cost);
            budget.settle(&mut image);
            verdicts.push((image.verdict, codes(&image)));
        }
        let refused = (Verdict::Reject, vec![Code::ImageQuota]);
        assert_eq!(verdicts[0], (Verdict::Accept, vec![]));
        assert_eq!(verdicts[1], (Verdict::Reject, vec![Code::DuplicateBasename]));
        assert_eq!(verdicts[2], (Verdict::Accept, vec![]));
        assert_eq!(
            verdicts[3..],
            [refused.clone(), refused],
            "no accepted asset has the name of the last one"
        );
    }
}

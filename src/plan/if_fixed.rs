//! What a sync would need if everything that can be fixed were fixed.

use serde::{Deserialize, Serialize};

use super::claim::charge;
use crate::model::{Asset, Code, Kind, Severity, Verdict};

/// The assets that would be synced if everything that can be fixed were fixed and the quota had no limit: those that the
/// rules accept, and those rejected only for findings that have a fix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IfFixed {
    /// Rejected assets that can be fixed.
    pub fixable: u64,
    /// Of these, videos whose frames are not known, and so not included below.
    pub uncounted: u64,
    /// Images among all assets that would be synced.
    pub images: u64,
    /// Frames of the videos among them.
    pub frames: u64,
    /// What the images use of their quota.
    pub image_cost: u64,
    /// What the frames use of their quota.
    pub frame_cost: u64,
}

impl IfFixed {
    /// Counts an asset with its final verdict.
    pub(super) fn add(&mut self, asset: &Asset) {
        let by_rules = || {
            let is_by_quota = |code| matches!(code, Code::ImageQuota | Code::FrameQuota);
            let errors = asset.findings.iter().filter(|finding| finding.severity == Severity::Error);
            errors.filter(move |finding| !is_by_quota(finding.code))
        };
        let is_fixable = match asset.verdict {
            Verdict::Accept => false,
            Verdict::Reject if by_rules().any(|finding| finding.fix.is_none()) => return,
            Verdict::Reject => by_rules().next().is_some(),
            Verdict::Skip | Verdict::Unknown => return,
        };
        let (images, frames) = asset.counts();
        self.fixable += u64::from(is_fixable);
        self.uncounted += u64::from(is_fixable && asset.kind == Kind::Video && frames == 0);
        self.images = self.images.saturating_add(images);
        self.frames = self.frames.saturating_add(frames);
        match asset.kind {
            Kind::Image => self.image_cost = self.image_cost.saturating_add(charge(asset)),
            Kind::Video => self.frame_cost = self.frame_cost.saturating_add(charge(asset)),
            Kind::Other => {}
        }
    }
}

//! Verdicts, what assets cost, and the budget that they are weighed against.

use serde::{Deserialize, Serialize};

/// What will become of an asset when the platform syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It will be synced.
    Accept,
    /// It will be left out, and a finding says why.
    Reject,
    /// It is no asset: a sidecar file or a folder marker.
    Skip,
    /// It could not be judged.
    Unknown,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: &[Self] = &[Self::Accept, Self::Reject, Self::Skip, Self::Unknown];

    /// `accept`, `reject`, `skip` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Skip => "skip",
            Self::Unknown => "unknown",
        }
    }
}

/// What an asset uses of the quota, if it is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Images.
    pub images: u64,
    /// Frames of video.
    pub frames: u64,
}

/// One kind of quota: what may be spent, and what was spent before this run. `limit: None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// The month's limit.
    pub limit: Option<u64>,
    /// What was used before.
    pub used_before: u64,
    /// What the accepted assets of this run use.
    pub cost: u64,
    /// Whether every asset that the rules accept fits.
    pub fits: bool,
}

impl Gauge {
    /// A gauge at the start of a run.
    pub fn new(limit: Option<u64>, used_before: u64) -> Self {
        Self { limit, used_before, cost: 0, fits: true }
    }

    /// What is left, `None` without a limit. More used than allowed leaves 0.
    pub fn left(&self) -> Option<u64> {
        let used = self.used_before.saturating_add(self.cost);
        self.limit.map(|limit| limit.saturating_sub(used))
    }

    /// Takes `amount` if that much is left, else takes nothing, notes that not all fits, and says `false`.
    pub fn spend(&mut self, amount: u64) -> bool {
        let fits = self.left().is_none_or(|left| amount <= left);
        match fits {
            true => self.cost = self.cost.saturating_add(amount),
            false => self.fits = false,
        }
        fits
    }
}

/// The budget of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Images.
    pub images: Gauge,
    /// Frames of video.
    pub frames: Gauge,
}

impl Quota {
    /// A budget with these limits, of which nothing is used yet. `None` is no limit.
    pub fn new(images: Option<u64>, frames: Option<u64>) -> Self {
        Self { images: Gauge::new(images, 0), frames: Gauge::new(frames, 0) }
    }
}

/// The sums of a run. `listed` is always the sum of the four verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries of the listing.
    pub listed: u64,
    /// Of these, accepted.
    pub accepted: u64,
    /// Of these, rejected.
    pub rejected: u64,
    /// Of these, skipped.
    pub skipped: u64,
    /// Of these, not judged.
    pub unknown: u64,
    /// Images that the accepted assets use.
    pub images: u64,
    /// Frames that the accepted assets use.
    pub frames: u64,
    /// The sum of the listed sizes, in bytes.
    pub bytes_listed: u64,
    /// Bytes of content received.
    pub bytes_read: u64,
    /// Requests for content, every attempt counted.
    pub requests: u64,
    /// Of these, attempts that repeated another one.
    pub retries: u64,
}

impl Totals {
    /// Whether every listed entry has exactly one verdict.
    pub fn reconcile(&self) -> bool {
        self.listed == self.accepted + self.rejected + self.skipped + self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_spends_only_what_is_left() {
        let mut gauge = Gauge::new(Some(100), 30);
        assert!(gauge.spend(60));
        assert!(!gauge.spend(11), "10 are left");
        assert!(gauge.spend(10), "a smaller one still fits");
        assert_eq!((gauge.left(), gauge.cost, gauge.fits), (Some(0), 70, false));
    }

    #[test]
    fn no_limit_never_runs_out() {
        let mut gauge = Gauge::new(None, u64::MAX);
        assert!(gauge.spend(u64::MAX) && gauge.spend(1));
        assert_eq!((gauge.left(), gauge.fits), (None, true));
    }

    #[test]
    fn more_used_than_allowed_leaves_nothing() {
        let mut gauge = Gauge::new(Some(5), 9);
        assert_eq!(gauge.left(), Some(0));
        assert!(gauge.spend(0), "nothing costs nothing");
        assert!(!gauge.spend(1));
    }
}

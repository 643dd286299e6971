//! Verdicts, costs of assets, and the budget that the costs draw on.

use serde::{Deserialize, Serialize};

use super::{Kind, PeriodKind};

/// What will happen to an asset when the platform syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It will be synced.
    Accept,
    /// It will be left out; a finding says why.
    Reject,
    /// It isn't an asset, but a sidecar file or a folder marker, for example.
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

/// What an asset is counted as by the quota if it is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Images.
    pub images: u64,
    /// Frames of video.
    pub frames: u64,
}

/// What a platform's quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaKind {
    /// Images.
    Images,
    /// Frames of video.
    Frames,
    /// Data rows, which images and frames share.
    DataRows,
    /// Images and frames in one quota.
    Shared,
}

impl QuotaKind {
    /// How it is counted by default: data rows are a stock, as `vi` counts them.
    pub fn period(self) -> PeriodKind {
        if self == Self::DataRows { PeriodKind::Stock } else { PeriodKind::Month }
    }

    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Images, Self::Frames, Self::DataRows, Self::Shared];

    /// `images`, `frames`, `data-rows` or `shared`, as in options and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Frames => "frames",
            Self::DataRows => "data-rows",
            Self::Shared => "shared",
        }
    }

    /// `images`, `frames`, `data rows` or `images and frames`: the unit in profiles, for display.
    pub fn unit(self) -> &'static str {
        match self {
            Self::DataRows => "data rows",
            Self::Shared => "images and frames",
            kind => kind.as_str(),
        }
    }
}

/// One kind of quota: its limit, what was used before this run, and what this run uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// The limit of the month or of the stock; `None` for no limit.
    pub limit: Option<u64>,
    /// What was used before this run.
    pub used_before: u64,
    /// What is kept free of the limit, for something that is not synced, such as annotation pairs.
    #[serde(default)]
    pub reserve: u64,
    /// What of it this run gives back; always 0 unless the quota is a stock.
    #[serde(default)]
    pub returned: u64,
    /// What the accepted assets of this run use.
    pub cost: u64,
    /// What this run's accepted assets of the other kind use of the same limit; 0 unless [it is shared](Quota::shared).
    pub cost_of_other_kind: u64,
    /// Whether every asset that the rules accept fits.
    pub fits: bool,
}

impl Gauge {
    /// Creates a gauge for the start of a run.
    pub fn new(limit: Option<u64>, used_before: u64) -> Self {
        Self { limit, used_before, reserve: 0, returned: 0, cost: 0, cost_of_other_kind: 0, fits: true }
    }

    /// What is used in total so far.
    pub fn used(&self) -> u64 {
        let before = self.used_before.saturating_sub(self.returned);
        before.saturating_add(self.cost).saturating_add(self.cost_of_other_kind)
    }

    /// What is left besides the reserve; `None` without a limit, and 0 if more is used than the limit allows.
    pub fn left(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.used()).saturating_sub(self.reserve))
    }

    /// What a run can use in all; `None` without a limit.
    pub fn room(&self) -> Option<u64> {
        let before = self.used_before.saturating_sub(self.returned);
        self.limit.map(|limit| limit.saturating_sub(before).saturating_sub(self.reserve))
    }

    /// Whether a run could use this much in all.
    pub fn has_room_for(&self, amount: u64) -> bool {
        self.room().is_none_or(|room| amount <= room)
    }

    /// Spends `amount` and returns `true` if that much is left. Otherwise spends nothing, clears `fits` and returns
    /// `false`.
    pub(crate) fn spend(&mut self, amount: u64) -> bool {
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
    /// Whether images and frames share one limit.
    is_shared: bool,
}

impl Quota {
    /// Creates an unused budget with these limits; `None` for no limit.
    pub fn new(images: Option<u64>, frames: Option<u64>) -> Self {
        Self::of(Gauge::new(images, 0), Gauge::new(frames, 0))
    }

    /// Creates a budget of two gauges with separate limits.
    pub fn of(images: Gauge, frames: Gauge) -> Self {
        Self { images, frames, is_shared: false }
    }

    /// Creates a budget in which images and frames share one limit, as for data rows.
    pub fn shared(gauge: Gauge) -> Self {
        Self { images: gauge, frames: gauge, is_shared: true }
    }

    /// The same budget with this much kept free of both limits.
    pub fn keeping(self, reserve: u64) -> Self {
        let keeping = |gauge| Gauge { reserve, ..gauge };
        Self { images: keeping(self.images), frames: keeping(self.frames), ..self }
    }

    /// Gives back what is no longer on the platform, before anything is spent.
    pub(crate) fn give_back(&mut self, returned: Cost) {
        let (images, frames) = match self.is_shared {
            false => (returned.images, returned.frames),
            true => {
                let both = returned.images.saturating_add(returned.frames);
                (both, both)
            }
        };
        (self.images.returned, self.frames.returned) = (images, frames);
    }

    /// Whether images and frames share one limit.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The gauge that assets of this kind draw on; `None` for anything but images and videos.
    pub fn gauge(&self, kind: Kind) -> Option<&Gauge> {
        match kind {
            Kind::Image => Some(&self.images),
            Kind::Video => Some(&self.frames),
            Kind::Other => None,
        }
    }

    /// Spends `amount` on an asset of this kind, as [`Gauge::spend`] does. Anything but images and videos costs
    /// nothing.
    pub(crate) fn spend(&mut self, kind: Kind, amount: u64) -> bool {
        let is_shared = self.is_shared;
        let Some((gauge, other)) = self.gauges_mut(kind) else { return true };
        let fits = gauge.spend(amount);
        if fits && is_shared {
            other.cost_of_other_kind = other.cost_of_other_kind.saturating_add(amount);
        }
        fits
    }

    /// Records that an asset of this kind does not fit, without spending anything.
    pub fn refuse(&mut self, kind: Kind) {
        if let Some((gauge, _)) = self.gauges_mut(kind) {
            gauge.fits = false;
        }
    }

    /// The gauge of this kind, and the other one.
    fn gauges_mut(&mut self, kind: Kind) -> Option<(&mut Gauge, &mut Gauge)> {
        match kind {
            Kind::Image => Some((&mut self.images, &mut self.frames)),
            Kind::Video => Some((&mut self.frames, &mut self.images)),
            Kind::Other => None,
        }
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

    #[test]
    fn a_shared_limit_is_spent_once() {
        let mut quota = Quota::shared(Gauge::new(Some(100), 30));
        assert!(quota.spend(Kind::Image, 50));
        assert!(!quota.spend(Kind::Video, 30), "20 are left");
        assert!(quota.spend(Kind::Video, 20));
        assert!(!quota.spend(Kind::Image, 1));
        assert_eq!((quota.images.left(), quota.frames.left()), (Some(0), Some(0)));
        assert_eq!((quota.images.cost, quota.frames.cost), (50, 20));

        let mut quota = Quota::shared(Gauge::new(Some(100), 30)).keeping(25);
        assert!(
            quota.spend(Kind::Video, 40) && !quota.spend(Kind::Image, 6),
            "5 are left besides the reserve"
        );
        assert_eq!((quota.images.left(), quota.frames.used()), (Some(5), 70));
    }
}

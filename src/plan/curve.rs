//! How far the demand exceeds a limit, and what would make everything fit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::model::{Asset, BlobName, Gauge, Kind, Quota};

/// The most assets to leave out that are named: 100 is more than anyone picks by hand.
const MAX_NAMED: usize = 100;
/// The most distinct costs whose assets are counted: 4,096, in about 100 KiB.
const MAX_COSTS: usize = 4096;
/// Raises of a limit to try, in percent.
const RAISES: [u64; 4] = [10, 25, 50, 100];

/// What a limit lacks to fit every asset that the rules accept. Amounts are in the unit of the limit. If images and
/// frames share a limit, this covers both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Assets that the limit refuses.
    pub refused: u64,
    /// The first refused asset in the listing.
    pub first_refused: ListedEntry,
    /// The total cost of all assets that the rules accept.
    pub demand: u64,
    /// How much the limit has to be raised so that all of them fit.
    pub shortfall: u64,
    /// The effects of smaller raises, smallest first. A raise is omitted if it refuses no fewer assets than a smaller
    /// one, which happens when one more large asset fits and displaces several others.
    pub if_raised: Vec<Raise>,
    /// The smallest set of assets to leave out so that all others fit, in any order.
    pub leave_out: LeaveOut,
}

/// An entry of the listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedEntry {
    /// Its name.
    pub name: BlobName,
    /// Its position in the listing, counted from 1.
    pub position: u64,
}

/// A higher limit, and its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// How much higher it is.
    pub by: u64,
    /// The raised limit.
    pub limit: u64,
    /// Assets that it would refuse.
    pub refused: u64,
}

/// The smallest set of assets to leave out so that all others fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "which", rename_all = "kebab-case")]
pub enum LeaveOut {
    /// Any of them, because each costs the same.
    Any {
        /// How many.
        count: u64,
    },
    /// These, most expensive first.
    These {
        /// Their names and costs.
        assets: Vec<Costly>,
    },
    /// The most expensive ones, which are too many to name.
    Costliest {
        /// How many.
        count: u64,
    },
    /// The most expensive ones, which are too many to name, and have too many distinct costs to count.
    MoreThan {
        /// More than this many.
        count: u64,
    },
}

/// An asset and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costly {
    /// Its name.
    pub name: BlobName,
    /// What it costs.
    pub cost: u64,
}

/// The curves of a budget, one for each limit. Their memory does not grow with the number of assets.
#[derive(Debug)]
pub(super) struct Curves {
    /// For both kinds, if they share a limit.
    images: Curve,
    frames: Curve,
    is_shared: bool,
}

impl Curves {
    pub(super) fn new(quota: &Quota) -> Self {
        let (images, frames) = (Curve::new(quota.images), Curve::new(quota.frames));
        Self { images, frames, is_shared: quota.is_shared() }
    }

    /// Adds the next cost, in the order in which the quota is spent.
    pub(super) fn spend(&mut self, kind: Kind, amount: u64) {
        for raised in &mut self.of(kind).raised {
            raised.refused += u64::from(!raised.gauge.spend(amount));
        }
    }

    /// Adds the next asset, in listing order.
    pub(super) fn settle(&mut self, asset: &Asset, position: u64, amount: u64, fits: bool) {
        self.of(asset.kind).settle(&asset.blob.name, position, amount, fits);
    }

    /// What the limit of this kind lacks; `None` if everything fits.
    pub(super) fn shortage(&self, kind: Kind) -> Option<Shortage> {
        if self.is_frames(kind) { self.frames.shortage() } else { self.images.shortage() }
    }

    fn of(&mut self, kind: Kind) -> &mut Curve {
        if self.is_frames(kind) { &mut self.frames } else { &mut self.images }
    }

    fn is_frames(&self, kind: Kind) -> bool {
        kind == Kind::Video && !self.is_shared
    }
}

/// The demand on one limit.
#[derive(Debug)]
struct Curve {
    /// The limit before anything is spent.
    gauge: Gauge,
    raised: [Raised; RAISES.len()],
    demand: u128,
    refused: u64,
    first_refused: Option<ListedEntry>,
    /// At most [`MAX_NAMED`] assets, the cheapest on top. Of equal costs, the ones listed first are kept.
    costliest: BinaryHeap<Reverse<(u64, Reverse<u64>, BlobName)>>,
    /// How many assets have each cost; `None` once there are more than [`MAX_COSTS`] costs.
    counts: Option<BTreeMap<u64, u64>>,
}

#[derive(Debug)]
struct Raised {
    by: u64,
    gauge: Gauge,
    refused: u64,
}

impl Curve {
    fn new(gauge: Gauge) -> Self {
        let raised = RAISES.map(|percent| {
            let by = clamped((u128::from(gauge.limit.unwrap_or(0)) * u128::from(percent)).div_ceil(100));
            let limit = gauge.limit.map(|limit| limit.saturating_add(by));
            Raised { by, gauge: Gauge { limit, ..gauge }, refused: 0 }
        });
        Self {
            gauge,
            raised,
            demand: 0,
            refused: 0,
            first_refused: None,
            costliest: BinaryHeap::new(),
            counts: Some(BTreeMap::new()),
        }
    }

    fn settle(&mut self, name: &BlobName, position: u64, amount: u64, fits: bool) {
        self.demand += u128::from(amount);
        if !fits {
            self.refused += 1;
            self.first_refused.get_or_insert_with(|| ListedEntry { name: name.clone(), position });
        }
        let is_full = self.costliest.len() == MAX_NAMED;
        if !is_full || self.costliest.peek().is_some_and(|Reverse((least, ..))| amount > *least) {
            if is_full {
                self.costliest.pop();
            }
            self.costliest.push(Reverse((amount, Reverse(position), name.clone())));
        }
        if let Some(counts) = &mut self.counts {
            *counts.entry(amount).or_default() += 1;
            if counts.len() > MAX_COSTS {
                self.counts = None;
            }
        }
    }

    fn shortage(&self) -> Option<Shortage> {
        let first_refused = self.first_refused.clone()?;
        let needed = self.demand + u128::from(self.gauge.used_before) + u128::from(self.gauge.reserve);
        let mut if_raised: Vec<Raise> = Vec::new();
        for Raised { by, gauge, refused } in &self.raised {
            let before = if_raised.last().map_or(self.refused, |raise| raise.refused);
            // Skip raises that fit everything: that is what the shortfall says.
            if *refused > 0 && *refused < before {
                if_raised.push(Raise { by: *by, limit: gauge.limit?, refused: *refused });
            }
        }
        Some(Shortage {
            refused: self.refused,
            first_refused,
            demand: clamped(self.demand),
            shortfall: clamped(needed.saturating_sub(u128::from(self.gauge.limit?))),
            if_raised,
            leave_out: self.leave_out(self.demand.saturating_sub(u128::from(self.gauge.left()?))),
        })
    }

    /// The smallest set of assets that cost at least `excess` in total.
    fn leave_out(&self, excess: u128) -> LeaveOut {
        if let Some(cost) = self.only_cost() {
            return LeaveOut::Any { count: clamped(excess.div_ceil(u128::from(cost))) };
        }
        let mut costliest: Vec<_> = self.costliest.iter().map(|Reverse(costly)| costly).collect();
        costliest.sort_unstable_by(|a, b| b.cmp(a));
        let mut rest = excess;
        for (index, (cost, ..)) in costliest.iter().enumerate() {
            if u128::from(*cost) < rest {
                rest -= u128::from(*cost);
                continue;
            }
            // A cheaper asset may be enough in place of the last one.
            let last = costliest[index..].iter().filter(|(cost, ..)| u128::from(*cost) >= rest);
            let last = last.min_by_key(|(cost, Reverse(position), _)| (*cost, *position));
            let assets = costliest[..index].iter().chain(last);
            let assets = assets.map(|(cost, _, name)| Costly { name: name.clone(), cost: *cost }).collect();
            return LeaveOut::These { assets };
        }
        match &self.counts {
            Some(counts) => LeaveOut::Costliest { count: count_costliest(counts, excess) },
            None => LeaveOut::MoreThan { count: MAX_NAMED as u64 },
        }
    }

    /// The cost that every asset has.
    fn only_cost(&self) -> Option<u64> {
        let mut costs = self.counts.as_ref()?.keys();
        let cost = costs.next()?;
        costs.next().is_none().then_some(*cost)
    }
}

/// How many of the most expensive assets cost at least `excess` in total.
fn count_costliest(counts: &BTreeMap<u64, u64>, excess: u128) -> u64 {
    let (mut rest, mut taken) = (excess, 0);
    for (cost, count) in counts.iter().rev() {
        let needed = rest.div_ceil(u128::from(*cost)).min(u128::from(*count));
        rest = rest.saturating_sub(needed * u128::from(*cost));
        taken += clamped(needed);
    }
    taken
}

fn clamped(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

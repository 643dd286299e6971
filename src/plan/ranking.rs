//! Spends a budget in an order other than listing order.

use super::Budget;
use super::claim::{ClaimPlace, Turn, Turns, claim};
use super::curve::Curves;
use crate::model::{Admit, Asset, Cost, Quota};

/// The first of two passes over the assets: it decides which assets get the quota. The [`Budget`] that it returns makes
/// the second pass.
///
/// * It only records assets that the rules accept and that draw on a limit, in 24 bytes each.
/// * Both passes must see the same assets in listing order.
/// * [`Admit::Listing`] needs no ranking: [`Budget::new`] makes the same decisions in one pass.
#[derive(Debug)]
pub struct Ranking {
    admit: Admit,
    quota: Quota,
    claims: Vec<RankedClaim>,
}

/// The claim of an asset on a limit.
#[derive(Debug)]
pub(super) struct RankedClaim {
    /// The smallest rank comes first.
    rank: u64,
    place: ClaimPlace,
    amount: u64,
}

impl Ranking {
    /// Creates a ranking for this unspent quota.
    pub fn new(admit: Admit, quota: Quota) -> Self {
        Self { admit, quota, claims: Vec::new() }
    }

    /// Adds the next asset in listing order, as judged by the rules.
    pub fn add(&mut self, asset: &Asset) {
        let Some(amount) = claim(&self.quota, asset) else { return };
        let rank = match self.admit {
            Admit::Listing => 0,
            Admit::MostAssets => amount,
            // The later the time, the smaller the rank. Assets without a time come last: no time gives `u64::MAX`.
            Admit::Newest => {
                asset.blob.last_modified.map_or(u64::MAX, |time| i64::MAX.abs_diff(time.as_microsecond()))
            }
        };
        self.claims.push(RankedClaim { rank, place: ClaimPlace::new(self.claims.len(), asset.kind), amount });
    }

    /// Spends the quota, of which `returned` is no longer used, in ranking order, and returns the budget that settles
    /// the same assets accordingly.
    pub(crate) fn decide(self, returned: Cost) -> Budget {
        let Self { admit, mut quota, mut claims } = self;
        quota.give_back(returned);
        // Ties are in listing order, so that the same listing always gives the same plan.
        claims.sort_unstable_by_key(|claim| (claim.rank, claim.place));
        let (mut spent, mut curves) = (quota, Curves::new(&quota));
        let serve = |RankedClaim { place, amount, .. }| {
            let kind = place.kind();
            let left = spent.gauge(kind).and_then(|gauge| gauge.left()).unwrap_or(0);
            spent.spend(kind, amount);
            curves.spend(kind, amount);
            Turn { left, place, amount }
        };
        let mut turns: Vec<_> = claims.into_iter().map(serve).collect();
        // Restore listing order for the second pass.
        turns.sort_unstable_by_key(|turn| turn.place);
        Budget::decided(quota, curves, Turns::new(admit, turns))
    }
}

//! A budget that is spent in another order than that of the listing.

use super::Budget;
use super::claim::{ClaimPlace, Turn, Turns, claim};
use super::curve::Curves;
use crate::model::{Admit, Asset, Quota};

/// The first of two passes over the assets: it decides the order in which they are served. The budget that it ends in
/// makes the second.
///
/// * It notes the assets that the rules accept and that cost something of a limit, in 24 bytes each, and nothing else.
/// * Both passes take the same assets in the same order, that of the listing.
/// * [`Admit::Listing`] needs no ranking: [`Budget::new`] decides the same in one pass.
#[derive(Debug)]
pub struct Ranking {
    admit: Admit,
    quota: Quota,
    claims: Vec<RankedClaim>,
}

/// What an asset asks for.
#[derive(Debug)]
pub(super) struct RankedClaim {
    /// The smallest comes first.
    rank: u64,
    place: ClaimPlace,
    amount: u64,
}

impl Ranking {
    /// A ranking for this budget, of which nothing is spent.
    pub fn new(admit: Admit, quota: Quota) -> Self {
        Self { admit, quota, claims: Vec::new() }
    }

    /// Takes the next asset in listing order, as the rules have judged it.
    pub fn add(&mut self, asset: &Asset) {
        let Some(amount) = claim(&self.quota, asset) else { return };
        let rank = match self.admit {
            Admit::Listing => 0,
            Admit::MostAssets => amount,
            // The later, the smaller; no time is as early as to be the largest number.
            Admit::Newest => {
                asset.blob.last_modified.map_or(u64::MAX, |time| i64::MAX.abs_diff(time.as_microsecond()))
            }
        };
        self.claims.push(RankedClaim { rank, place: ClaimPlace::new(self.claims.len(), asset.kind), amount });
    }

    /// Spends the quota in the order of the ranks, and gives back the budget that settles the same assets so.
    pub fn decide(self) -> Budget {
        let Self { admit, quota, mut claims } = self;
        // Equal ranks are served in listing order, so that the same listing gives the same plan.
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
        // Back into listing order, in which the second pass takes them.
        turns.sort_unstable_by_key(|turn| turn.place);
        Budget::decided(quota, curves, Turns::new(admit, turns))
    }
}

//! What an asset asks of a limit, and what was decided about it beforehand.

use std::vec;

use crate::model::{Admit, Asset, Kind, Quota, Verdict};

/// What an asset costs of the quota for its kind.
pub(super) fn cost(asset: &Asset) -> u64 {
    match asset.kind {
        Kind::Image => asset.cost.images,
        Kind::Video => asset.cost.frames,
        Kind::Other => 0,
    }
}

/// What an asset asks of a limit: `None` when it asks for nothing, or when there is no limit.
pub(super) fn claim(quota: &Quota, asset: &Asset) -> Option<u64> {
    let is_limited = quota.gauge(asset.kind).is_some_and(|gauge| gauge.limit.is_some());
    let asks = asset.verdict == Verdict::Accept && is_limited;
    asks.then(|| cost(asset)).filter(|amount| *amount > 0)
}

/// Where an asset stands among the claims of the listing, and in the lowest bit whether it is a video: 8 bytes instead
/// of the 16 that two fields would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClaimPlace(u64);

impl ClaimPlace {
    pub(super) fn new(index: usize, kind: Kind) -> Self {
        Self((index as u64) << 1 | u64::from(kind == Kind::Video))
    }

    pub(super) fn kind(self) -> Kind {
        if self.0 & 1 == 1 { Kind::Video } else { Kind::Image }
    }
}

/// What a claim finds at its turn: it is granted when it asks for no more. As large as a claim, whose memory it takes.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) left: u64,
    pub(super) place: ClaimPlace,
    pub(super) amount: u64,
}

/// What was decided, in listing order.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) admit: Admit,
    turns: vec::IntoIter<Turn>,
}

impl Turns {
    pub(super) fn new(admit: Admit, turns: Vec<Turn>) -> Self {
        Self { admit, turns: turns.into_iter() }
    }

    /// How much is left at the turn of the next asset, which asks for this much.
    pub(super) fn next_left(&mut self, amount: u64) -> u64 {
        let turn = self.turns.next();
        // A missing turn grants nothing: no defect may spend more than the limit.
        debug_assert!(turn.as_ref().is_some_and(|turn| turn.amount == amount), "both passes are the same");
        turn.map_or(0, |turn| turn.left)
    }
}

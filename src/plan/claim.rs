//! Claims of assets on a limit, and decisions about them.

use std::vec;

use crate::model::{Admit, Asset, Kind, Quota, Verdict};

/// What a sync of an asset uses of the quota of its kind.
pub(super) fn charge(asset: &Asset) -> u64 {
    let charge = asset.charge();
    match asset.kind {
        Kind::Image => charge.images,
        Kind::Video => charge.frames,
        Kind::Other => 0,
    }
}

/// The amount that an asset claims of a limit; `None` if it claims nothing or there is no limit.
pub(super) fn claim(quota: &Quota, asset: &Asset) -> Option<u64> {
    let is_limited = quota.gauge(asset.kind).is_some_and(|gauge| gauge.limit.is_some());
    let asks = asset.verdict == Verdict::Accept && is_limited;
    asks.then(|| charge(asset)).filter(|amount| *amount > 0)
}

/// The index of a claim in listing order, with the lowest bit set for videos: this takes 8 bytes instead of the 16 for
/// two fields.
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

/// What is left at the turn of a claim, which is granted if it needs no more. Same size as a claim, so the memory is
/// reused.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) left: u64,
    pub(super) place: ClaimPlace,
    pub(super) amount: u64,
}

/// The decisions, in listing order.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) admit: Admit,
    turns: vec::IntoIter<Turn>,
}

impl Turns {
    pub(super) fn new(admit: Admit, turns: Vec<Turn>) -> Self {
        Self { admit, turns: turns.into_iter() }
    }

    /// Returns how much is left at the turn of the next asset, which claims `amount`.
    pub(super) fn next_left(&mut self, amount: u64) -> u64 {
        let turn = self.turns.next();
        // A missing turn grants nothing, so that a bug can never spend more than the limit.
        debug_assert!(turn.as_ref().is_some_and(|turn| turn.amount == amount), "both passes are the same");
        turn.map_or(0, |turn| turn.left)
    }
}

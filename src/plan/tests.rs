//! Who gets the budget, against a plain account of what each order means.

use std::cmp::Reverse;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::{
    Access, Admit, Asset, Blob, BlobName, Code, Cost, Facts, Format, Gauge, Kind, Quota, Reads, Verdict,
};

fn asset(index: usize, kind: Kind, amount: u64, written: Option<i64>, verdict: Verdict) -> Asset {
    let blob = Blob {
        name: BlobName::new(format!("{index:05}")),
        size: 10,
        etag: None,
        last_modified: written.and_then(|second| Timestamp::from_second(second).ok()),
        access: Access::Online,
        declared: Default::default(),
    };
    let cost = match kind {
        Kind::Video => Cost { images: 0, frames: amount },
        _ => Cost { images: amount, frames: 0 },
    };
    let (facts, findings, reads) = (Facts::of(Format::Unknown), Vec::new(), Reads::default());
    Asset { blob, kind, facts, verdict, cost, synced: None, earlier: None, findings, skipped: None, reads }
}

fn videos(frames: impl IntoIterator<Item = u64>) -> Vec<Asset> {
    let video = |(index, frames)| asset(index, Kind::Video, frames, None, Verdict::Accept);
    frames.into_iter().enumerate().map(video).collect()
}

/// Both passes over the same assets: how a run goes about an order that is not the listing's.
fn settle(admit: Admit, quota: Quota, assets: &[Asset]) -> (Vec<Asset>, Summary) {
    let mut ranking = Ranking::new(admit, quota);
    assets.iter().for_each(|asset| ranking.add(asset));
    settle_with(ranking.decide(Cost::default()), assets)
}

fn settle_with(mut budget: Budget, assets: &[Asset]) -> (Vec<Asset>, Summary) {
    let mut settled = assets.to_vec();
    settled.iter_mut().for_each(|asset| budget.settle(asset));
    (settled, budget.summary())
}

fn amount(asset: &Asset) -> u64 {
    asset.cost.images + asset.cost.frames
}

/// Which of these limits a kind draws on, and what is left of them at the start.
fn limits(quota: &Quota) -> (impl Fn(&Asset) -> usize, [Option<u64>; 2]) {
    let is_shared = quota.is_shared();
    let limit_of = move |asset: &Asset| usize::from(asset.kind == Kind::Video && !is_shared);
    (limit_of, [quota.images.left(), quota.frames.left()])
}

/// The verdicts, by the words of the orders.
fn expected(admit: Admit, quota: &Quota, assets: &[Asset]) -> Vec<Verdict> {
    let mut order: Vec<usize> = (0..assets.len()).collect();
    match admit {
        Admit::Listing => {}
        Admit::MostAssets => order.sort_by_key(|index| amount(&assets[*index])),
        Admit::Newest => order.sort_by_key(|index| Reverse(assets[*index].blob.last_modified)),
    }
    let (limit_of, mut left) = limits(quota);
    let mut verdicts: Vec<_> = assets.iter().map(|asset| asset.verdict).collect();
    for index in order.into_iter().filter(|index| assets[*index].verdict == Verdict::Accept) {
        let left = &mut left[limit_of(&assets[index])];
        match left.map(|left| left.checked_sub(amount(&assets[index]))) {
            None => {}
            Some(Some(rest)) => *left = Some(rest),
            Some(None) => verdicts[index] = Verdict::Reject,
        }
    }
    verdicts
}

/// The most assets that any choice lets through, by trying all of them.
fn most(quota: &Quota, assets: &[Asset]) -> usize {
    let asking: Vec<_> = assets.iter().filter(|asset| asset.verdict == Verdict::Accept).collect();
    let (limit_of, left) = limits(quota);
    let fits = |chosen: &u32| {
        let mut spent = [0; 2];
        let chosen = asking.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
        chosen.for_each(|(_, asset)| spent[limit_of(asset)] += amount(asset));
        left.iter().zip(spent).all(|(left, spent)| left.is_none_or(|left| spent <= left))
    };
    (0..1 << asking.len()).filter(fits).map(|chosen| chosen.count_ones()).max().unwrap_or(0) as usize
}

fn quota() -> impl Strategy<Value = Quota> {
    let gauge = || (of(0..40u64), 0..10u64).prop_map(|(limit, used)| Gauge::new(limit, used));
    (any::<bool>(), gauge(), gauge()).prop_map(|(is_shared, images, frames)| match is_shared {
        true => Quota::shared(images),
        false => Quota::of(images, frames),
    })
}

fn assets() -> impl Strategy<Value = Vec<Asset>> {
    let verdict = prop_oneof![4 => Just(Verdict::Accept), 1 => select(Verdict::ALL)];
    let spec = (select(&[Kind::Image, Kind::Video][..]), 0..12u64, of(-2..2i64), verdict);
    vec(spec, 0..10).prop_map(|specs| {
        let asset = |(index, (kind, amount, written, verdict))| asset(index, kind, amount, written, verdict);
        specs.into_iter().enumerate().map(asset).collect()
    })
}

/// The same budget with a limit of this kind, or the one that both share, raised.
fn raised(quota: &Quota, kind: Kind, by: u64) -> Quota {
    let raise = |gauge: Gauge| Gauge { limit: gauge.limit.map(|limit| limit + by), ..gauge };
    match kind {
        _ if quota.is_shared() => Quota::shared(raise(quota.images)),
        Kind::Video => Quota::of(quota.images, raise(quota.frames)),
        _ => Quota::of(raise(quota.images), quota.frames),
    }
}

/// How many assets the limit of this kind refuses.
fn refused(quota: &Quota, kind: Kind, settled: &[Asset]) -> u64 {
    let by_quota = |asset: &&Asset| {
        let of_limit = quota.is_shared() || asset.kind == kind;
        of_limit && asset.findings.iter().any(|finding| finding.code >= Code::ImageQuota)
    };
    settled.iter().filter(by_quota).count() as u64
}

proptest! {
    #[test]
    fn every_order_is_what_its_name_says(quota in quota(), assets in assets(), admit in select(Admit::ALL)) {
        let (settled, summary) = settle(admit, quota, &assets);
        let verdicts: Vec<_> = settled.iter().map(|asset| asset.verdict).collect();
        prop_assert_eq!(&verdicts, &expected(admit, &quota, &assets));
        prop_assert!(summary.totals.reconcile());
        // What was spent is what the accepted cost, and never more than what was left.
        let accepted = |kind: Kind| {
            let of_kind = settled.iter().filter(|asset| asset.verdict == Verdict::Accept && asset.kind == kind);
            of_kind.map(amount).sum::<u64>()
        };
        let (images, frames) = (accepted(Kind::Image), accepted(Kind::Video));
        prop_assert_eq!((summary.quota.images.cost, summary.quota.frames.cost), (images, frames));
        let (limit_of, left) = limits(&quota);
        let mut spent = [0; 2];
        let served = settled.iter().filter(|asset| asset.verdict == Verdict::Accept);
        served.for_each(|asset| spent[limit_of(asset)] += amount(asset));
        prop_assert!(left.iter().zip(spent).all(|(left, spent)| left.is_none_or(|left| spent <= left)));
        prop_assert_eq!(summary.quota.images.fits, settled.iter().all(|asset| {
            asset.findings.iter().all(|finding| finding.code != Code::ImageQuota)
        }));
    }

    #[test]
    fn listing_order_needs_one_pass_only(quota in quota(), assets in assets()) {
        prop_assert_eq!(settle(Admit::Listing, quota, &assets), settle_with(Budget::new(quota), &assets));
    }

    #[test]
    fn no_choice_admits_more_than_the_cheapest_first(quota in quota(), assets in assets()) {
        let (_, summary) = settle(Admit::MostAssets, quota, &assets);
        prop_assert_eq!(summary.totals.accepted as usize, most(&quota, &assets));
    }

    #[test]
    fn a_shortage_is_what_other_limits_show(
        quota in quota(), assets in assets(), admit in select(Admit::ALL),
        kind in select(&[Kind::Image, Kind::Video][..]),
    ) {
        let (settled, summary) = settle(admit, quota, &assets);
        let (gauge, shortage) = match kind {
            Kind::Image => (summary.quota.images, summary.image_shortage),
            _ => (summary.quota.frames, summary.frame_shortage),
        };
        prop_assert_eq!(shortage.is_none(), gauge.fits);
        let Some(shortage) = shortage else { return Ok(()) };
        let refused_with = |quota: Quota| refused(&quota, kind, &settle(admit, quota, &assets).0);
        prop_assert_eq!(shortage.refused, refused(&quota, kind, &settled));
        let first = shortage.first_refused;
        prop_assert_eq!(first.name.as_str(), format!("{:05}", first.position - 1));
        let mut before = shortage.refused;
        for raise in shortage.if_raised {
            prop_assert!(raise.refused < std::mem::replace(&mut before, raise.refused));
            prop_assert_eq!(raise.limit, gauge.limit.unwrap() + raise.by);
            prop_assert_eq!(raise.refused, refused_with(raised(&quota, kind, raise.by)));
        }
        prop_assert_eq!(refused_with(raised(&quota, kind, shortage.shortfall)), 0);
        prop_assert!(refused_with(raised(&quota, kind, shortage.shortfall - 1)) > 0);

        let (limit_of, left) = limits(&quota);
        let limit = limit_of(&asset(0, kind, 0, None, Verdict::Accept));
        let asks = |asset: &&Asset| asset.verdict == Verdict::Accept && limit_of(asset) == limit;
        let mut amounts: Vec<_> = assets.iter().filter(asks).map(amount).collect();
        let demand: u64 = amounts.iter().sum();
        prop_assert_eq!(shortage.demand, demand);
        let excess = demand - left[limit].unwrap();
        let (count, spared) = match shortage.leave_out {
            LeaveOut::Any { count } => (count, count * amounts.iter().max().unwrap()),
            LeaveOut::These { assets } => (assets.len() as u64, assets.iter().map(|costly| costly.cost).sum()),
            other => panic!("so few can be named: {other:?}"),
        };
        prop_assert!(spared >= excess);
        amounts.sort_by_key(|amount| Reverse(*amount));
        prop_assert!(amounts[..count as usize - 1].iter().sum::<u64>() < excess, "one fewer does not do");
    }
}

#[test]
fn a_claim_takes_24_bytes() {
    assert_eq!(size_of::<ranking::RankedClaim>(), 24);
    assert_eq!(size_of::<claim::Turn>(), 24);
}

#[test]
fn a_finding_says_what_was_left_in_its_order() {
    let mut assets = videos([60, 50, 40]);
    for (asset, second) in assets.iter_mut().zip([2, 1, 3]) {
        asset.blob.last_modified = Timestamp::from_second(second).ok();
    }
    let said = |admit| {
        let (settled, _) = settle(admit, Quota::new(None, Some(100)), &assets);
        let refused = settled.into_iter().filter(|asset| asset.verdict == Verdict::Reject);
        let said = |asset: Asset| (asset.blob.name.as_str().to_owned(), asset.findings[0].clone());
        refused
            .map(said)
            .map(|(name, finding)| (name, finding.message, finding.fix.unwrap()))
            .collect::<Vec<_>>()
    };
    let refusal = |name: &str, message: &str, others: &str| {
        let fix = format!("Raise the quota, shorten the video, or leave out videos {others}");
        vec![(name.to_owned(), message.to_owned(), fix)]
    };
    assert_eq!(
        said(Admit::Listing),
        refusal("00001", "the video needs 50 frames, but 40 of 100 are left", "earlier in the listing")
    );
    let message = "the video needs 60 frames, but 10 of 100 are left at its turn";
    assert_eq!(said(Admit::MostAssets), refusal("00000", message, "that cost the same or less"));
    let message = "the video needs 50 frames, but 0 of 100 are left at its turn";
    assert_eq!(said(Admit::Newest), refusal("00001", message, "that are at least as new"));
}

#[test]
fn the_last_one_to_leave_out_is_the_smallest_that_does() {
    let (_, summary) = settle(Admit::Listing, Quota::new(None, Some(100)), &videos([50, 7, 60, 12, 40]));
    let LeaveOut::These { assets } = summary.frame_shortage.expect("169 do not fit").leave_out else {
        panic!("there are few")
    };
    let costs: Vec<_> = assets.iter().map(|costly| (costly.name.as_str(), costly.cost)).collect();
    assert_eq!(costs, [("00002", 60), ("00003", 12)]);
}

#[test]
fn what_is_too_much_to_name_is_counted_as_long_as_costs_repeat() {
    let leave_out = |assets: &[Asset]| {
        let (_, summary) = settle(Admit::Listing, Quota::new(Some(10), Some(10)), assets);
        summary.frame_shortage.or(summary.image_shortage).expect("not all fit").leave_out
    };
    let image = |index| asset(index, Kind::Image, 1, None, Verdict::Accept);
    assert_eq!(leave_out(&(0..5000).map(image).collect::<Vec<_>>()), LeaveOut::Any { count: 4990 });
    // All 250 of 2 frames, and 240 of 250 with one frame.
    let two_costs = videos((0..500).map(|index| 1 + index % 2));
    assert_eq!(leave_out(&two_costs), LeaveOut::Costliest { count: 490 });
    assert_eq!(leave_out(&videos(1..=5000)), LeaveOut::MoreThan { count: 100 });
}

//! Turns verdicts in any order into a report in listing order.

use std::sync::{Arc, mpsc as blocking};

use cpu_time::ThreadTime;
use tokio::sync::{Semaphore, mpsc};

use super::progress::{Progress, Stage};
use super::synced::{Ended, Synced};
use super::{Judged, closed};
use crate::model::error::Result;
use crate::model::{Admit, Asset, Codes, Cost, Origin, PeriodKind, Quota};
use crate::plan::{Budget, DuplicateRule, Ranking, Reorder, Sink, Summary};
use crate::plan_file::Spool;
use crate::rules::{self, Profile};

/// The most permits of the window that are returned together. Returning them wakes another thread, which costs more than
/// settling an asset.
const RETURNED: usize = 64;

/// Sends verdicts to be settled.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) verdicts: mpsc::Sender<Vec<(u64, Judged)>>,
    pub(super) progress: Arc<Progress>,
}

impl Delivery {
    pub(super) async fn send(&self, judged: Vec<(u64, Judged)>) -> Result<()> {
        judged.iter().for_each(|(_, judged)| self.progress.add_judged(&judged.asset));
        self.verdicts.send(judged).await.map_err(closed)
    }
}

/// Restores listing order and passes the assets to the settler.
pub(super) async fn settle<K: Sink>(
    mut verdicts: mpsc::Receiver<Vec<(u64, Judged)>>,
    window: Arc<Semaphore>,
    mut settler: Settler<K>,
    progress: Arc<Progress>,
) -> Result<(Budget, K)> {
    let mut reorder = Reorder::default();
    while let Some(judged) = verdicts.recv().await {
        let cpu = ThreadTime::now();
        settle_some(judged, &mut reorder, &window, &mut settler)?;
        progress.add_stage(Stage::Write, cpu.elapsed());
    }
    // The verdicts end after the listing, so this says whether there was one for each of its blobs.
    let is_complete = progress.is_all(settler.added);
    let cpu = ThreadTime::now();
    let finished = settler.finish(is_complete);
    progress.add_stage(Stage::Write, cpu.elapsed());
    finished
}

/// Settles what is next in the order of the listing.
fn settle_some<K: Sink>(
    judged: Vec<(u64, Judged)>,
    reorder: &mut Reorder<Judged>,
    window: &Semaphore,
    settler: &mut Settler<K>,
) -> Result<()> {
    for (ordinal, judged) in judged {
        reorder.insert(ordinal, judged);
    }
    let mut settled = 0;
    while let Some(judged) = reorder.pop() {
        settled += 1;
        if settled == RETURNED {
            window.add_permits(std::mem::take(&mut settled));
        }
        if let Err(error) = settler.add(judged) {
            // No more permits will be returned: without this, a blob that is waiting for one would wait forever.
            window.close();
            return Err(error);
        }
    }
    window.add_permits(settled);
    Ok(())
}

/// Settles assets of `origin` that the rules have already judged: warns about duplicate basenames and spends the quota, as a run
/// does.
///
/// # Errors
/// Returns an error if an asset cannot be read or the sink fails.
pub fn settle_judged<K: Sink>(
    assets: impl Iterator<Item = Result<Asset>>,
    origin: &Origin,
    admit: Admit,
    quota: Quota,
    profile: &Arc<Profile>,
    sink: K,
) -> Result<(Summary, K)> {
    let mut settler = Settler::new(Some(origin), admit, quota, profile, None, sink)?;
    for asset in assets {
        settler.add(asset?.into())?;
    }
    let (budget, sink) = settler.finish(true)?;
    Ok((budget.summary(), sink))
}

/// Spends the budget on assets and passes them to the sink.
pub(super) struct Settler<K> {
    sink: K,
    /// The account and the container, for the commands of fixes.
    place: (Option<String>, Option<String>),
    profile: Arc<Profile>,
    synced: Option<Synced>,
    /// What the baseline found on each asset, in listing order. It is sent before the asset is read, so it never waits.
    earlier: Option<blocking::Receiver<Codes>>,
    added: u64,
    duplicates: DuplicateRule,
    order: Order,
}

/// Which assets get the budget first.
enum Order {
    /// Those listed first: each asset can be settled immediately.
    Listing(Box<Budget>),
    /// Some other order: all assets must be known before the first one is settled.
    Ranked(Ranking, Box<Spool>),
}

impl<K: Sink> Settler<K> {
    pub(super) fn new(
        origin: Option<&Origin>,
        admit: Admit,
        quota: Quota,
        profile: &Arc<Profile>,
        synced: Option<Synced>,
        sink: K,
    ) -> Result<Self> {
        let place =
            origin.map(|origin| (origin.account.clone(), origin.container.clone())).unwrap_or_default();
        // What is gone gives back some of a stock, and that is known only at the end of the listing.
        let may_return = profile.quota.period == PeriodKind::Stock
            && synced.as_ref().is_some_and(|synced| !synced.is_empty());
        let order = match admit {
            Admit::Listing if !may_return => {
                Order::Listing(Box::new(Budget::new(quota).for_profile(profile)))
            }
            _ => Order::Ranked(Ranking::new(admit, quota), Box::new(Spool::new(Arc::clone(profile))?)),
        };
        let (profile, duplicates) = (Arc::clone(profile), DuplicateRule::new(profile.overrides.clone()));
        Ok(Self { sink, place, profile, synced, earlier: None, added: 0, duplicates, order })
    }

    /// Compares the findings with those of the baseline.
    pub(super) fn with_earlier(self, earlier: Option<blocking::Receiver<Codes>>) -> Self {
        Self { earlier, ..self }
    }

    fn add(&mut self, judged: Judged) -> Result<()> {
        let Judged { mut asset, is_kept } = judged;
        asset.earlier = self.earlier.as_ref().and_then(|earlier| earlier.try_recv().ok());
        self.sink.judged(&asset, is_kept)?;
        self.added += 1;
        self.duplicates.judge(&mut asset);
        rules::address(&mut asset.findings, self.place.0.as_deref(), self.place.1.as_deref());
        if let Some(synced) = &mut self.synced {
            synced.compare(&mut asset, &self.profile)?;
        }
        match &mut self.order {
            Order::Listing(budget) => spend(budget, &mut self.sink, &mut asset),
            Order::Ranked(ranking, spool) => {
                ranking.add(&asset);
                spool.add(&asset)
            }
        }
    }

    /// Ends the listing. `is_complete` is whether every blob of it was added.
    fn finish(self, is_complete: bool) -> Result<(Budget, K)> {
        let Self { mut sink, profile, synced, order, .. } = self;
        let ended = synced.map(|synced| synced.finish(is_complete)).transpose()?;
        let mut returned = Cost::default();
        if let Some(ended) = ended.as_ref().filter(|_| profile.quota.period == PeriodKind::Stock) {
            returned = ended.returned;
            returned.add(ended.gone.cost);
        }
        let mut budget = match order {
            Order::Listing(budget) => *budget,
            Order::Ranked(ranking, spool) => {
                let mut budget = ranking.decide(returned).for_profile(&profile);
                for asset in spool.read()? {
                    spend(&mut budget, &mut sink, &mut asset?)?;
                }
                budget
            }
        };
        if let Some(Ended { sources, gone, .. }) = ended {
            budget.end_of_listing(sources, gone, returned);
        }
        Ok((budget, sink))
    }
}

fn spend(budget: &mut Budget, sink: &mut impl Sink, asset: &mut Asset) -> Result<()> {
    budget.settle(asset);
    sink.settled(asset)
}

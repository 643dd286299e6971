//! From verdicts in any order to a report in listing order.

use tokio::sync::{Semaphore, mpsc};

use super::{Judged, Sink};
use crate::error::Result;
use crate::plan::{Budget, Reorder};

/// Brings assets into listing order, spends the budget on them and hands them to the sink.
pub(super) fn settle<K: Sink>(
    mut verdicts: mpsc::Receiver<Vec<(u64, Judged)>>,
    places: &Semaphore,
    mut budget: Budget,
    mut sink: K,
) -> Result<(Budget, K)> {
    let mut reorder = Reorder::default();
    while let Some(judged) = verdicts.blocking_recv() {
        for (ordinal, judged) in judged {
            reorder.insert(ordinal, judged);
        }
        while let Some(judged) = reorder.pop() {
            places.add_permits(1);
            let settled = sink.judged(&judged).and_then(|()| {
                let mut asset = judged.asset;
                budget.settle(&mut asset);
                sink.asset(&asset)
            });
            if let Err(error) = settled {
                // Whoever waits for a place in the window would wait forever.
                places.close();
                return Err(error);
            }
        }
    }
    Ok((budget, sink))
}

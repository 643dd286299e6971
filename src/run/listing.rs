//! Sorts the listing into blobs that must be read and blobs whose verdict is already known.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::progress::Progress;
use super::{Judged, Known};
use crate::model::Blob;
use crate::model::error::{Error, Result};
use crate::plan::Changes;
use crate::probe::Want;
use crate::rules::Profile;
use crate::source::Listing;

/// What to do with one or more blobs of the listing.
pub(super) enum Work {
    /// Examine this blob.
    Examine(Blob),
    /// These blobs already have verdicts. Neighbours travel together, because each step costs more than a verdict.
    Known(Vec<Judged>),
}

impl Work {
    /// The number of blobs.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Examine(_) => 1,
            Self::Known(judged) => judged.len(),
        }
    }
}

/// Separates blobs that must be read from those with a known verdict.
pub(super) struct Sorter {
    pub(super) known: Known,
    pub(super) profile: Arc<Profile>,
    pub(super) want: Want,
    /// The most known assets in one group.
    pub(super) at_once: usize,
}

impl Sorter {
    /// Sorts a page of the listing, on a blocking thread because it may read an earlier plan from disk.
    async fn sort(mut self, page: Vec<Blob>) -> Result<(Self, Vec<Work>)> {
        if self.known.is_empty() {
            return Ok((self, page.into_iter().map(Work::Examine).collect()));
        }
        let sort = move || {
            let mut works = Vec::new();
            for blob in page {
                match (self.known.judge(&blob, &self.profile, self.want)?, works.last_mut()) {
                    (None, _) => works.push(Work::Examine(blob)),
                    (Some(judged), Some(Work::Known(run))) if run.len() < self.at_once => run.push(judged),
                    (Some(judged), _) => works.push(Work::Known(vec![judged])),
                }
            }
            Ok((self, works))
        };
        tokio::task::spawn_blocking(sort).await.map_err(|error| failed(&error))?
    }

    /// Returns the changes since the baseline, once all pages are sorted.
    async fn finish(self) -> Result<Option<Changes>> {
        tokio::task::spawn_blocking(|| self.known.finish()).await.map_err(|error| failed(&error))?
    }
}

fn failed(error: &tokio::task::JoinError) -> Error {
    Error::new(format!("failed to compare the listing with earlier results: {error}"))
}

/// Sends the pages one by one, until the listing ends or fails, or the receiver is gone.
pub(super) async fn list(
    listing: Listing,
    mut sorter: Sorter,
    pages: mpsc::Sender<Vec<Work>>,
    progress: Arc<Progress>,
) -> Result<Option<Changes>> {
    // Sorting takes as long as listing if there are earlier results, so both are done at the same time.
    let mut listing = if sorter.known.is_empty() { listing } else { ahead(listing) };
    while let Some(page) = listing.try_next().await? {
        progress.add_listed(page.len() as u64);
        let works;
        (sorter, works) = sorter.sort(page).await?;
        if pages.send(works).await.is_err() {
            return Ok(None);
        }
    }
    let changes = sorter.finish().await?;
    progress.finish_listing();
    Ok(changes)
}

/// Lists the next page while the last one is worked on.
fn ahead(mut listing: Listing) -> Listing {
    let (sender, pages) = mpsc::channel(1);
    let listed = tokio::spawn(async move {
        while let Some(page) = listing.next().await
            && sender.send(page).await.is_ok()
        {}
    });
    let next = async |(mut pages, listed): (mpsc::Receiver<_>, JoinHandle<()>)| match pages.recv().await {
        Some(page) => Ok(Some((page?, (pages, listed)))),
        // A listing that panicked is not complete.
        None => match listed.await {
            Ok(()) => Ok(None),
            Err(error) => Err(Error::new(format!("failed to list the source: {error}"))),
        },
    };
    stream::try_unfold((pages, listed), next).boxed()
}

/// Cuts the pages into groups that share the cost of each step: of at most `blobs` blobs, or of one work with more.
pub(super) fn groups(
    pages: mpsc::Receiver<Vec<Work>>,
    blobs: usize,
) -> impl stream::Stream<Item = Vec<Work>> {
    stream::unfold(pages, |mut pages| async { pages.recv().await.map(|page| (page, pages)) })
        .map(move |page| {
            let mut groups: Vec<Vec<Work>> = Vec::new();
            let mut room = 0;
            for work in page {
                match groups.last_mut().filter(|_| work.len() <= room) {
                    Some(group) => {
                        room -= work.len();
                        group.push(work);
                    }
                    None => {
                        room = blobs.saturating_sub(work.len());
                        groups.push(vec![work]);
                    }
                }
            }
            stream::iter(groups)
        })
        .flatten()
}

/// Turns the pages into one stream.
pub(super) fn works(pages: mpsc::Receiver<Vec<Work>>) -> impl stream::Stream<Item = Work> {
    stream::unfold(pages, |mut pages| async { pages.recv().await.map(|page| (stream::iter(page), pages)) })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listing_that_panics_ahead_does_not_look_complete() {
        let page = |number: usize| match number {
            0..3 => Ok(vec![Blob::not_entered(format!("{number}/"))]),
            _ => panic!("the listing panics"),
        };
        let listing = |pages| stream::iter(0..pages).map(page).boxed();
        let whole: Vec<_> =
            ahead(listing(3)).map(|page| page.map(|page| page[0].name.to_string())).collect().await;
        assert_eq!(whole, ["0/", "1/", "2/"].map(|name| Ok(name.to_owned())));
        let cut: Vec<_> = ahead(listing(9)).collect().await;
        assert_eq!((cut.len(), cut.last().is_some_and(Result::is_err)), (4, true));
    }
}

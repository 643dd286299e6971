//! A source without a single blob, which is usually a mistake in its prefix.

use std::cmp::Reverse;
use std::sync::Arc;

use futures::TryStreamExt;

use crate::model::error::{Cause, Error, Result};
use crate::model::{Access, shown};
use crate::report::counted;
use crate::source::any::AnySource;
use crate::source::azure::{self, AuthMode, Session};
use crate::source::location::{ContainerUrl, Environment, Location};
use crate::source::{Depth, Listing};

/// The most pages of a listing in which prefixes are looked for: 10,000 entries, in a second or so.
const MAX_PAGES: usize = 2;
/// The most listings: a prefix is looked for from the nearest parent that has blobs.
const MAX_LISTINGS: usize = 8;
/// The most prefixes that are named.
const MAX_NAMED: usize = 3;
/// How similar (Jaro-Winkler, 0 to 1) a prefix must be to be looked into for the rest.
const SIMILAR: f64 = 0.85;

/// Finds the prefixes nearest to one without blobs.
pub(super) struct Nearby {
    location: Location,
    auth: AuthMode,
    options: azure::Options,
    environment: Environment,
    session: Arc<Session>,
}

impl Nearby {
    pub(super) fn new(
        location: Location,
        auth: AuthMode,
        options: azure::Options,
        environment: &Environment,
        session: Arc<Session>,
    ) -> Self {
        let options = azure::Options { depth: Depth::Direct, ..options };
        Self { location, auth, options, environment: environment.clone(), session }
    }

    /// What to say about the source: that it has no blobs, and the nearest prefixes that have.
    pub(super) async fn said(&self) -> (String, Option<String>) {
        let Location::Container(url) = &self.location else {
            return (format!("the folder '{}' has no files", self.location), None);
        };
        if url.prefix().is_empty() {
            return (format!("the container '{}' has no blobs", url.container()), None);
        }
        let (container, prefix) = (url.container(), shown(url.prefix()));
        let message =
            format!("no blob in the container '{container}' has a name that begins with '{prefix}'");
        // Without the right to list elsewhere, nothing can be suggested.
        let nearest = self.nearest(url).await.unwrap_or_default();
        let nearest: Vec<_> = nearest.iter().map(|prefix| format!("'{}'", shown(prefix))).collect();
        let hint =
            (!nearest.is_empty()).then(|| format!("the nearest prefixes with blobs: {}", nearest.join(", ")));
        (message, hint)
    }

    /// The error for the source, of whose names so many are left out.
    pub(super) async fn error(&self, left_out: u64) -> Error {
        let (message, hint) = match left_out {
            0 => self.said().await,
            count => (excluded(count), None),
        };
        let accept = "--allow-empty accepts a source without blobs";
        let hint = hint.map_or(accept.to_owned(), |hint| format!("{hint}; {accept}"));
        Error::new(message).with_hint(hint).because(Cause::NotFound)
    }

    async fn nearest(&self, url: &ContainerUrl) -> Result<Vec<String>> {
        let mut listings = 0;
        let mut parent = url.prefix();
        // Up to the nearest parent with blobs …
        let mut children = loop {
            parent = self::parent(parent);
            listings += 1;
            let children = self.children(url, parent).await?;
            if !children.is_empty() || parent.is_empty() || listings == MAX_LISTINGS {
                break children;
            }
        };
        // … and from there down along similar names, such as those in other case.
        let mut rest = &url.prefix()[parent.len()..];
        loop {
            let (wanted, further) = rest.split_once('/').unwrap_or((rest, ""));
            rank(&mut children, wanted);
            let Some(best) = children.first().filter(|best| similarity(best, wanted) >= SIMILAR) else {
                break;
            };
            if further.is_empty() || listings >= MAX_LISTINGS || !best.ends_with('/') {
                break;
            }
            listings += 1;
            let deeper = self.children(url, best).await?;
            if deeper.is_empty() {
                break;
            }
            (children, rest) = (deeper, further);
        }
        children.truncate(MAX_NAMED);
        Ok(children)
    }

    /// The prefixes directly below `prefix`, or if it has only blobs, itself.
    async fn children(&self, url: &ContainerUrl, prefix: &str) -> Result<Vec<String>> {
        let at = Location::Container(url.clone().with_prefix(prefix));
        let source = AnySource::open_in(&self.session, at, self.auth, self.options, &self.environment)?;
        let mut listing: Listing = source.list();
        let (mut prefixes, mut has_blobs) = (Vec::new(), false);
        for _ in 0..MAX_PAGES {
            let Some(page) = listing.try_next().await? else { break };
            for blob in page {
                match blob.access {
                    Access::NotEntered => prefixes.push(blob.name.as_str().to_owned()),
                    _ => has_blobs = true,
                }
            }
        }
        if prefixes.is_empty() && has_blobs && !prefix.is_empty() {
            prefixes.push(prefix.to_owned());
        }
        Ok(prefixes)
    }
}

/// What to say about a source all of whose names are left out.
pub(super) fn excluded(count: u64) -> String {
    format!(
        "--include, --exclude and .presyncignore leave out {}",
        counted(count, "name, which is all", "names, which are all")
    )
}

/// The error for an inventory without a blob of the source.
pub(super) fn inventory() -> Error {
    Error::new("the inventory has no blob of this source").with_hint(
        "check that its rule covers the container and the prefix; --allow-empty accepts a source without blobs",
    ).because(Cause::NotFound)
}

/// The prefix without its last part: `a/` of `a/b/` and of `a/b`.
fn parent(prefix: &str) -> &str {
    let inner = prefix.strip_suffix('/').unwrap_or(prefix);
    inner.rfind('/').map_or("", |slash| &inner[..=slash])
}

/// Sorts prefixes by the similarity of their last part, most similar first.
fn rank(prefixes: &mut [String], wanted: &str) {
    // Whole thousandths, because floating-point numbers have no order.
    prefixes
        .sort_by_cached_key(|prefix| (Reverse((similarity(prefix, wanted) * 1000.0) as u32), prefix.clone()));
}

fn similarity(prefix: &str, wanted: &str) -> f64 {
    let last = prefix.strip_suffix('/').unwrap_or(prefix);
    let last = last.rsplit('/').next().unwrap_or(last);
    strsim::jaro_winkler(&last.to_lowercase(), &wanted.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_ends_with_a_slash() {
        assert_eq!(
            ["a/b/c", "a/b/", "a/", "a", "a//b", "/a"].map(parent),
            ["a/b/", "a/", "", "", "a//", "/"]
        );
    }

    #[test]
    fn the_most_similar_comes_first() {
        let mut prefixes = ["x/videos/", "x/Cam-01/", "x/cam02/"].map(str::to_owned);
        rank(&mut prefixes, "cam01");
        assert_eq!(prefixes, ["x/Cam-01/", "x/cam02/", "x/videos/"]);
    }
}

//! Basenames that more than one container has. A platform that matches annotations by basename cannot distinguish them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::error::Result;
use crate::model::{Asset, Verdict};
use crate::plan::Sink;

/// The most basenames that are compared: 1.8 million, in 36 MB. Beyond that, an even sample of them is compared.
const MAX_BASENAMES: usize = 1_835_008;
/// The most basenames named as examples.
const EXAMPLES: usize = 5;
/// The index that stands for no container.
const NONE: u32 = u32::MAX;

/// The basenames of the containers of a project, which can be added in any order and concurrently.
///
/// Only hashes up to a bound are kept. When there are too many, the bound is halved until few enough are left. The
/// bound depends only on the names, so the result does not depend on which container finishes first.
#[derive(Debug)]
pub struct ProjectBasenames {
    most: usize,
    bound: u64,
    /// How many times the bound was halved.
    halvings: u32,
    /// By hash, the indexes of the first two containers with the name.
    seen: HashMap<u64, (u32, u32)>,
    shared: u64,
    /// The shared names with the smallest hashes.
    examples: BTreeMap<u64, String>,
}

/// Adds the basenames of one container to those of its project.
#[derive(Clone, Debug)]
pub struct ContainerBasenames {
    /// The basenames of the project.
    pub project: Arc<Mutex<ProjectBasenames>>,
    /// The index of the container.
    pub container: usize,
}

impl Sink for ContainerBasenames {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        // An asset that will not be synced cannot clash with another one.
        if asset.verdict == Verdict::Accept {
            // The counts are valid even if the thread of another container has panicked.
            let mut project = self.project.lock().unwrap_or_else(PoisonError::into_inner);
            project.add(asset.blob.name.basename(), self.container);
        }
        Ok(())
    }
}

/// The shared basenames of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedBasenames {
    /// The number of basenames, among those compared, that more than one container has.
    pub count: u64,
    /// One in this many basenames was compared: 1 if all were.
    pub one_of: u64,
    /// Some of them, in name order.
    pub examples: Vec<SharedBasename>,
}

/// A basename that more than one container has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedBasename {
    /// The basename.
    pub basename: String,
    /// The indexes of the first two containers with it.
    pub containers: [usize; 2],
}

impl Default for ProjectBasenames {
    fn default() -> Self {
        Self::with_most(MAX_BASENAMES)
    }
}

impl ProjectBasenames {
    fn with_most(most: usize) -> Self {
        let (seen, examples) = (HashMap::new(), BTreeMap::new());
        Self { most, bound: u64::MAX, halvings: 0, seen, shared: 0, examples }
    }

    /// Adds a basename of a container.
    pub fn add(&mut self, basename: &str, container: usize) {
        let mut hasher = DefaultHasher::new();
        basename.hash(&mut hasher);
        let hash = hasher.finish();
        if hash > self.bound {
            return;
        }
        let container = u32::try_from(container).unwrap_or(NONE - 1);
        let (first, second) = self.seen.entry(hash).or_insert((container, NONE));
        if *first != container && *second != container {
            if *second == NONE {
                self.shared += 1;
                self.examples.insert(hash, basename.to_owned());
                if self.examples.len() > EXAMPLES {
                    self.examples.pop_last();
                }
            }
            let mut places = [*first, *second, container];
            places.sort_unstable();
            [*first, *second, _] = places;
        }
        while self.seen.len() > self.most {
            self.halve();
        }
    }

    fn halve(&mut self) {
        self.bound /= 2;
        self.halvings += 1;
        self.shared = 0;
        let (bound, shared) = (self.bound, &mut self.shared);
        self.seen.retain(|hash, places| {
            let stays = *hash <= bound;
            *shared += u64::from(stays && places.1 != NONE);
            stays
        });
        self.examples.retain(|hash, _| *hash <= bound);
    }

    /// Returns the shared basenames.
    pub fn finish(self) -> SharedBasenames {
        let duplicate = |(hash, basename)| {
            let (first, second) = self.seen.get(&hash).copied()?;
            Some(SharedBasename { basename, containers: [first as usize, second as usize] })
        };
        let mut examples: Vec<_> = self.examples.into_iter().filter_map(duplicate).collect();
        examples.sort();
        let one_of = 1_u64.checked_shl(self.halvings).unwrap_or(u64::MAX);
        SharedBasenames { count: self.shared, one_of, examples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Containers 0 to 3; container `c` has the names from `1000 * c` on, each shared with the next one.
    fn found(most: usize, mut order: Vec<(usize, usize)>, shuffle: u64) -> SharedBasenames {
        fastrand::Rng::with_seed(shuffle).shuffle(&mut order);
        let mut basenames = ProjectBasenames::with_most(most);
        for (container, number) in order {
            basenames.add(&format!("{number:05}.jpg"), container);
        }
        basenames.finish()
    }

    fn names() -> Vec<(usize, usize)> {
        (0..4)
            .flat_map(|container| (0..2000).map(move |number| (container, 1000 * container + number)))
            .collect()
    }

    #[test]
    fn a_basename_is_shared_when_two_containers_have_it() {
        let mut basenames = ProjectBasenames::default();
        for (name, container) in
            [("a", 7), ("a", 7), ("b", 7), ("b", 3), ("c", 9), ("b", 5), ("c", 1), ("b", 9)]
        {
            basenames.add(name, container);
        }
        let duplicate = |name: &str, containers| SharedBasename { basename: name.into(), containers };
        let examples = vec![duplicate("b", [3, 5]), duplicate("c", [1, 9])];
        assert_eq!(basenames.finish(), SharedBasenames { count: 2, one_of: 1, examples });
    }

    #[test]
    fn the_order_in_which_they_come_does_not_matter() {
        let all = found(MAX_BASENAMES, names(), 0);
        assert_eq!((all.count, all.one_of, all.examples.len()), (3000, 1, EXAMPLES));
        let sample = found(1000, names(), 0);
        assert!(sample.one_of == 8 && (300..450).contains(&sample.count), "{sample:?}");
        for seed in 1..20 {
            assert_eq!(found(MAX_BASENAMES, names(), seed), all);
            assert_eq!(found(1000, names(), seed), sample);
        }
    }
}

//! Which folders have the most assets that will not sync.

use std::cmp::Reverse;

use crate::model::{Asset, Verdict};

/// Folders that are named, of as many as there are.
pub const TOP_FOLDERS: usize = 20;

/// A folder directly under the prefix of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// The container's place among the containers of the audit.
    pub container: usize,
    /// Its name, with the prefix before it and `/` at its end; the prefix alone stands for what lies in no folder.
    pub name: String,
    /// Entries of the listing in it.
    pub listed: u64,
    /// Of these, rejected.
    pub rejected: u64,
    /// Of these, not judged.
    pub unknown: u64,
}

impl Folder {
    fn count(&mut self, asset: &Asset) {
        self.listed += 1;
        self.rejected += u64::from(asset.verdict == Verdict::Reject);
        self.unknown += u64::from(asset.verdict == Verdict::Unknown);
    }

    fn left_out(&self) -> u64 {
        self.rejected + self.unknown
    }
}

/// The worst folders of some containers. Which are kept does not depend on the order in which they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    top: Vec<Folder>,
    /// Other folders with assets that will not sync.
    pub more_folders: u64,
    /// How many of these assets they have.
    pub more_left_out: u64,
}

impl Worst {
    /// The worst first, at most [`TOP_FOLDERS`]; each has something that will not sync.
    pub fn top(&self) -> &[Folder] {
        &self.top
    }

    /// Takes a folder, and puts the best of them away when there are too many.
    fn add(&mut self, folder: Folder) {
        if folder.left_out() == 0 {
            return;
        }
        let rank = |folder: &Folder| (Reverse(folder.left_out()), folder.container);
        let is_before = |other: &Folder| (rank(other), &other.name) < (rank(&folder), &folder.name);
        let place = self.top.partition_point(is_before);
        self.top.insert(place, folder);
        if self.top.len() > TOP_FOLDERS
            && let Some(best) = self.top.pop()
        {
            self.more_folders += 1;
            self.more_left_out += best.left_out();
        }
    }

    /// Takes the worst folders of other containers.
    pub fn merge(&mut self, other: Self) {
        other.top.into_iter().for_each(|folder| self.add(folder));
        self.more_folders += other.more_folders;
        self.more_left_out += other.more_left_out;
    }
}

/// Adds up the folders of one container. Its listing is in the order of the names, so a folder's entries follow each
/// other: one folder is open at a time, and the sums are exact.
#[derive(Debug)]
pub struct Folders {
    prefix: String,
    /// What lies in no folder.
    direct: Folder,
    open: Option<Folder>,
    worst: Worst,
}

impl Folders {
    /// The folders under `prefix` of the container at this place.
    pub fn new(container: usize, prefix: &str) -> Self {
        let direct = Folder { container, name: prefix.to_owned(), ..Folder::default() };
        Self { prefix: prefix.to_owned(), direct, open: None, worst: Worst::default() }
    }

    /// Takes the next asset in listing order.
    pub fn add(&mut self, asset: &Asset) {
        let name = asset.blob.name.as_str();
        let begin = if name.starts_with(&self.prefix) { self.prefix.len() } else { 0 };
        let Some(len) = name[begin..].find('/') else { return self.direct.count(asset) };
        let name = &name[..=begin + len];
        if self.open.as_ref().is_none_or(|open| open.name != name) {
            self.close();
        }
        let container = self.direct.container;
        let new = || Folder { container, name: name.to_owned(), ..Folder::default() };
        self.open.get_or_insert_with(new).count(asset);
    }

    /// Ends the listing.
    pub fn finish(mut self) -> Worst {
        self.close();
        self.worst.add(self.direct);
        self.worst
    }

    fn close(&mut self) {
        if let Some(folder) = self.open.take() {
            self.worst.add(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blob, Cost, Facts, Format, Kind, Reads};

    fn asset(name: &str, verdict: Verdict) -> Asset {
        Asset {
            blob: Blob::not_entered(name),
            kind: Kind::Image,
            facts: Facts::of(Format::Unknown),
            verdict,
            cost: Cost::default(),
            findings: Vec::new(),
            skipped: None,
            reads: Reads::default(),
        }
    }

    fn worst(container: usize, prefix: &str, assets: &[(&str, Verdict)]) -> Worst {
        let mut folders = Folders::new(container, prefix);
        assets.iter().for_each(|(name, verdict)| folders.add(&asset(name, *verdict)));
        folders.finish()
    }

    #[test]
    fn folders_are_summed_below_the_prefix() {
        use Verdict::{Accept, Reject, Unknown};
        let worst = worst(
            3,
            "p/",
            &[
                ("p/a/1", Reject),
                ("p/a/b/2", Unknown),
                ("p/a/c", Accept),
                ("p/b", Reject),
                ("p/c/1", Accept),
                ("p/d/1", Reject),
            ],
        );
        let folder = |name: &str, listed, rejected, unknown| Folder {
            container: 3,
            name: name.to_owned(),
            listed,
            rejected,
            unknown,
        };
        assert_eq!(worst.top(), [folder("p/a/", 3, 1, 1), folder("p/", 1, 1, 0), folder("p/d/", 1, 1, 0)]);
        assert_eq!((worst.more_folders, worst.more_left_out), (0, 0));
    }

    #[test]
    fn the_worst_of_all_are_the_same_in_any_order() {
        let of = |container: usize| {
            // Folder f00/ has one rejected asset, f01/ two, and so on.
            let names =
                (0..30).flat_map(|folder| (0..=folder).map(move |file| format!("f{folder:02}/{file}")));
            let names: Vec<_> = names.collect();
            worst(
                container,
                "",
                &names.iter().map(|name| (name.as_str(), Verdict::Reject)).collect::<Vec<_>>(),
            )
        };
        let merged = |order: [usize; 3]| {
            let mut all = Worst::default();
            order.into_iter().for_each(|container| all.merge(of(container)));
            all
        };
        let all = merged([0, 1, 2]);
        assert_eq!(all, merged([2, 0, 1]));
        let names: Vec<_> = all.top().iter().map(|folder| (folder.container, folder.name.as_str())).collect();
        assert_eq!(names[..4], [(0, "f29/"), (1, "f29/"), (2, "f29/"), (0, "f28/")]);
        let left_out: u64 = all.top().iter().map(Folder::left_out).sum();
        assert_eq!((all.top().len() as u64 + all.more_folders, left_out + all.more_left_out), (90, 3 * 465));
    }
}

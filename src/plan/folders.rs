//! Sums by folder, and the folders with the largest sums.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The number of folders that are named; the others are added up.
pub const TOP_FOLDERS: usize = 20;
/// The most folders whose sums are held at a time, each with a name of at most 4 KiB: 20 MB at most, usually 100 KB.
const MAX_FOLDERS: usize = 5_000;

/// A sum for a folder.
pub trait FolderSum: Copy + Default {
    /// Adds another sum to this one.
    fn add(&mut self, other: Self);

    /// The rank of a folder. A folder with weight 0 is dropped.
    fn weight(self) -> u64;
}

/// A folder directly under the prefix of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder<S> {
    /// The index of the container.
    pub container: usize,
    /// Its name, with the prefix before it and `/` at the end. The prefix alone stands for blobs outside of any folder.
    pub name: String,
    /// The sum of its contents, at any depth.
    pub sum: S,
}

/// The folders with the largest weights, from one or more containers. They can be added in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopFolders<S> {
    top: Vec<Folder<S>>,
    /// The number of other folders.
    pub more: u64,
    /// The sum of the other folders.
    pub rest: S,
}

impl<S: FolderSum> TopFolders<S> {
    /// At most [`TOP_FOLDERS`] folders, heaviest first; ties are ordered by container and name.
    pub fn top(&self) -> &[Folder<S>] {
        &self.top
    }

    /// Adds a folder, or more of one. If there are too many, the lightest one is moved to the rest.
    pub fn add(&mut self, mut folder: Folder<S>) {
        if folder.sum.weight() == 0 {
            return;
        }
        let is_it = |other: &Folder<S>| (other.container, &other.name) == (folder.container, &folder.name);
        if let Some(place) = self.top.iter().position(is_it) {
            folder.sum.add(self.top.remove(place).sum);
        }
        let rank = |folder: &Folder<S>| (Reverse(folder.sum.weight()), folder.container);
        let is_before = |other: &Folder<S>| (rank(other), &other.name) < (rank(&folder), &folder.name);
        let place = self.top.partition_point(is_before);
        self.top.insert(place, folder);
        if self.top.len() > TOP_FOLDERS
            && let Some(lightest) = self.top.pop()
        {
            self.more += 1;
            self.rest.add(lightest.sum);
        }
    }

    /// Adds the folders of other containers.
    pub(crate) fn merge(&mut self, other: Self) {
        other.top.into_iter().for_each(|folder| self.add(folder));
        self.more += other.more;
        self.rest.add(other.rest);
    }
}

/// Adds up the folders of one container. The sums are exact if the entries of a folder are consecutive, as they are if
/// the listing is in any order of the names, or if there are at most [`MAX_FOLDERS`].
#[derive(Clone, Debug, Default)]
pub struct Folders<S> {
    /// Entries outside of any folder, named by the prefix.
    direct: Folder<S>,
    /// The folder of the last name.
    open: Option<Folder<S>>,
    /// Other folders, whose entries may go on.
    others: BTreeMap<String, S>,
    closed: TopFolders<S>,
}

impl<S: FolderSum> Folders<S> {
    /// Starts with the folders under `prefix` of a container.
    pub fn new(container: usize, prefix: &str) -> Self {
        let direct = Folder { container, name: prefix.to_owned(), sum: S::default() };
        Self { direct, open: None, others: BTreeMap::new(), closed: TopFolders::default() }
    }

    /// Adds the next name in listing order.
    pub fn add(&mut self, name: &str, one: S) {
        let prefix = &self.direct.name;
        let begin = if name.starts_with(prefix) { prefix.len() } else { 0 };
        let Some(len) = name[begin..].find('/') else { return self.direct.sum.add(one) };
        let name = &name[..=begin + len];
        match &mut self.open {
            Some(open) if open.name == name => open.sum.add(one),
            _ => {
                let mut sum = self.others.remove(name).unwrap_or_default();
                sum.add(one);
                let folder = Folder { container: self.direct.container, name: name.to_owned(), sum };
                if let Some(Folder { name, sum, .. }) = self.open.replace(folder) {
                    self.others.insert(name, sum);
                }
                if self.others.len() == MAX_FOLDERS {
                    self.close_others();
                }
            }
        }
    }

    fn close_others(&mut self) {
        for (name, sum) in std::mem::take(&mut self.others) {
            self.closed.add(Folder { container: self.direct.container, name, sum });
        }
    }

    /// Ends the listing. Returns the sum outside of any folder, and the folders.
    pub fn finish(mut self) -> (Folder<S>, TopFolders<S>) {
        if let Some(closed) = self.open.take() {
            self.closed.add(closed);
        }
        self.close_others();
        (self.direct, self.closed)
    }
}

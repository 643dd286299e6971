//! Sums by folder, and the folders with the largest sums.

use std::cmp::Reverse;

/// The number of folders that are named; the others are added up.
pub const TOP_FOLDERS: usize = 20;

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

    /// Adds a folder. If there are too many, the lightest one is moved to the rest.
    pub fn add(&mut self, folder: Folder<S>) {
        if folder.sum.weight() == 0 {
            return;
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

/// Adds up the folders of one container. A listing is in name order, so the entries of a folder are consecutive: only
/// one folder is open at a time, and the sums are exact.
#[derive(Clone, Debug, Default)]
pub struct Folders<S> {
    /// Entries outside of any folder, named by the prefix.
    direct: Folder<S>,
    open: Option<Folder<S>>,
    closed: TopFolders<S>,
}

impl<S: FolderSum> Folders<S> {
    /// Starts with the folders under `prefix` of a container.
    pub fn new(container: usize, prefix: &str) -> Self {
        let direct = Folder { container, name: prefix.to_owned(), sum: S::default() };
        Self { direct, open: None, closed: TopFolders::default() }
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
                let folder = Folder { container: self.direct.container, name: name.to_owned(), sum: one };
                if let Some(closed) = self.open.replace(folder) {
                    self.closed.add(closed);
                }
            }
        }
    }

    /// Ends the listing. Returns the sum outside of any folder, and the folders.
    pub fn finish(mut self) -> (Folder<S>, TopFolders<S>) {
        if let Some(closed) = self.open {
            self.closed.add(closed);
        }
        (self.direct, self.closed)
    }
}

//! Sums by folder, and the folders with the largest ones.

use std::cmp::Reverse;

/// Folders that are named; the others are summed up.
pub const TOP_FOLDERS: usize = 20;

/// What is added up in a folder.
pub trait FolderSum: Copy + Default {
    /// Adds another sum to this one.
    fn add(&mut self, other: Self);

    /// What folders are ranked by. A folder that weighs nothing is not kept.
    fn weight(self) -> u64;
}

/// A folder directly under the prefix of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder<S> {
    /// The container's place among those that are added up.
    pub container: usize,
    /// Its name, with the prefix before it and `/` at its end; the prefix alone stands for what is in no folder.
    pub name: String,
    /// What is in it, at any depth.
    pub sum: S,
}

/// The folders that weigh most, of one container or several. The order in which they come does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopFolders<S> {
    top: Vec<Folder<S>>,
    /// How many folders there are besides.
    pub more: u64,
    /// What is in them.
    pub rest: S,
}

impl<S: FolderSum> TopFolders<S> {
    /// At most [`TOP_FOLDERS`], the heaviest first; of equals, those of the first container, by name.
    pub fn top(&self) -> &[Folder<S>] {
        &self.top
    }

    /// Takes a folder. When that makes too many, the lightest one goes.
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

    /// Takes the folders of other containers.
    pub fn merge(&mut self, other: Self) {
        other.top.into_iter().for_each(|folder| self.add(folder));
        self.more += other.more;
        self.rest.add(other.rest);
    }
}

/// Adds up the folders of one container. A listing is in the order of the names, so that a folder's entries follow one
/// another: one folder is open at a time, and the sums are exact.
#[derive(Clone, Debug, Default)]
pub struct Folders<S> {
    /// What is in no folder, named by the prefix.
    direct: Folder<S>,
    open: Option<Folder<S>>,
    closed: TopFolders<S>,
}

impl<S: FolderSum> Folders<S> {
    /// The folders under `prefix` of the container at this place.
    pub fn new(container: usize, prefix: &str) -> Self {
        let direct = Folder { container, name: prefix.to_owned(), sum: S::default() };
        Self { direct, open: None, closed: TopFolders::default() }
    }

    /// Takes the next name in listing order.
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

    /// Ends the listing: what is in no folder, and the folders.
    pub fn finish(mut self) -> (Folder<S>, TopFolders<S>) {
        if let Some(closed) = self.open {
            self.closed.add(closed);
        }
        (self.direct, self.closed)
    }
}

//! The folder tree with assets and findings, pruned to its larger branches.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::script_json::json_length;
use super::{Counts, MAX_DEPTH, MAX_FOLDER_BYTES, MAX_FOLDERS, add};
use crate::model::{Asset, Code, Verdict};
use crate::report::shown;

const ROOT: usize = 0;

/// The contents of a folder.
#[derive(Clone, Debug, Default)]
struct FolderContent {
    verdicts: Counts,
    rules: [u64; Code::ALL.len()],
}

impl FolderContent {
    fn add(&mut self, other: &Self) {
        add(&mut self.verdicts, &other.verdicts);
        add(&mut self.rules, &other.rules);
    }

    /// The weight for pruning: first the assets that are left out, then all entries.
    fn weight(&self) -> (u64, u64) {
        let left_out = self.verdicts[Verdict::Reject as usize] + self.verdicts[Verdict::Unknown as usize];
        (left_out, self.verdicts.iter().sum())
    }
}

#[derive(Debug)]
struct FolderNode {
    parent: usize,
    depth: usize,
    name: String,
    /// The contents directly in this folder.
    own: FolderContent,
    /// The number of folders folded into this one, and their contents.
    folded: u64,
    folded_content: FolderContent,
}

impl FolderNode {
    fn new(parent: usize, depth: usize, name: &str) -> Self {
        Self {
            parent,
            depth,
            name: shown(name),
            own: FolderContent::default(),
            folded: 0,
            folded_content: FolderContent::default(),
        }
    }
}

/// The folders of a listing. Usually, the names in a folder are consecutive: once another folder starts, the counts of
/// the previous one are final, and it can be folded into its parent if there are too many folders. If more of its names
/// follow, it is there again, with these.
#[derive(Debug)]
pub(super) struct FolderTree {
    /// Parents before their children; the first is the root.
    folders: Vec<FolderNode>,
    /// The folders by parent and name.
    places: BTreeMap<(usize, String), usize>,
    name_bytes: usize,
    /// The folders of the last name, outermost first.
    open: Vec<OpenFolder>,
}

#[derive(Debug)]
struct OpenFolder {
    name: String,
    folder: usize,
}

/// A folder in the page data: `[parent, name, folders, by verdict, [[rule, count], …]]`, with what is directly in the
/// folder. One without a name is the sum of smaller folders in its parent.
#[derive(Debug, Serialize)]
pub(super) struct FolderRow(usize, Option<String>, u64, Counts, Vec<(usize, u64)>);

impl Default for FolderTree {
    fn default() -> Self {
        let folders = vec![FolderNode::new(ROOT, 0, "")];
        Self { folders, places: BTreeMap::new(), name_bytes: 0, open: Vec::new() }
    }
}

impl FolderTree {
    pub(super) fn add(&mut self, asset: &Asset) {
        let folder = self.enter(asset.blob.name.as_str());
        let content = &mut self.folders[folder].own;
        content.verdicts[asset.verdict as usize] += 1;
        for finding in &asset.findings {
            content.rules[finding.code as usize] += 1;
        }
        if self.folders.len() > 2 * MAX_FOLDERS || self.name_bytes > 2 * MAX_FOLDER_BYTES {
            self.fold();
        }
    }

    /// The index of the folder that contains the blob with this name.
    fn enter(&mut self, name: &str) -> usize {
        let path = name.rsplit_once('/').map(|(path, _)| path);
        let segments = path.into_iter().flat_map(|path| path.split('/')).take(MAX_DEPTH);
        let mut depth = 0;
        for segment in segments {
            if self.open.get(depth).is_none_or(|open| open.name != segment) {
                self.open.truncate(depth);
                let parent = self.open.last().map_or(ROOT, |open| open.folder);
                let place = *self.places.entry((parent, segment.to_owned())).or_insert_with(|| {
                    let folder = FolderNode::new(parent, depth + 1, segment);
                    self.name_bytes += json_length(&folder.name);
                    self.folders.push(folder);
                    self.folders.len() - 1
                });
                self.open.push(OpenFolder { name: segment.to_owned(), folder: place });
            }
            depth += 1;
        }
        self.open.truncate(depth);
        self.open.last().map_or(ROOT, |open| open.folder)
    }

    /// Folds the smallest folders into their parents until few enough are left.
    fn fold(&mut self) {
        let sums = self.sums();
        let mut smallest: Vec<_> = (1..self.folders.len()).collect();
        // A folder weighs at least as much as the folders in it, so inner folders come first.
        smallest.sort_by_key(|index| (sums[*index].weight(), Reverse(self.folders[*index].depth)));
        let is_open = |index: usize| self.open.iter().any(|open| open.folder == index);
        let mut is_folded = vec![false; self.folders.len()];
        let mut left = self.folders.len();
        for index in smallest.into_iter().filter(|index| !is_open(*index)) {
            if left <= MAX_FOLDERS && self.name_bytes <= MAX_FOLDER_BYTES {
                break;
            }
            let folded = 1 + self.folders[index].folded;
            let parent = self.folders[index].parent;
            self.folders[parent].folded += folded;
            self.name_bytes -= json_length(&self.folders[index].name);
            is_folded[index] = true;
            left -= 1;
        }
        for index in 1..self.folders.len() {
            let parent = self.folders[index].parent;
            if is_folded[index] && !is_folded[parent] {
                self.folders[parent].folded_content.add(&sums[index]);
            }
        }
        self.remove(&is_folded);
    }

    fn remove(&mut self, is_folded: &[bool]) {
        let mut places = Vec::with_capacity(is_folded.len());
        let mut next = 0;
        for is_folded in is_folded {
            places.push(next);
            next += usize::from(!is_folded);
        }
        let kept = std::mem::take(&mut self.places).into_iter().filter(|(_, place)| !is_folded[*place]);
        self.places = kept.map(|((parent, name), place)| ((places[parent], name), places[place])).collect();
        let mut is_folded = is_folded.iter();
        self.folders.retain(|_| is_folded.next() == Some(&false));
        for folder in &mut self.folders {
            folder.parent = places[folder.parent];
        }
        for open in &mut self.open {
            open.folder = places[open.folder];
        }
    }

    /// The contents of each folder, including its subfolders.
    fn sums(&self) -> Vec<FolderContent> {
        let mut sums: Vec<FolderContent> = Vec::new();
        for folder in &self.folders {
            let mut content = folder.own.clone();
            content.add(&folder.folded_content);
            sums.push(content);
        }
        for index in (1..self.folders.len()).rev() {
            let (before, rest) = sums.split_at_mut(index);
            before[self.folders[index].parent].add(&rest[0]);
        }
        sums
    }

    pub(super) fn into_records(mut self) -> Vec<FolderRow> {
        self.open.clear();
        if self.folders.len() > MAX_FOLDERS || self.name_bytes > MAX_FOLDER_BYTES {
            self.fold();
        }
        let mut records = Vec::new();
        let mut sums_of_folded = Vec::new();
        for (index, folder) in self.folders.into_iter().enumerate() {
            records.push(record(folder.parent, Some(folder.name), 0, &folder.own));
            if folder.folded > 0 {
                sums_of_folded.push(record(index, None, folder.folded, &folder.folded_content));
            }
        }
        records.append(&mut sums_of_folded);
        records
    }
}

fn record(parent: usize, name: Option<String>, folders: u64, content: &FolderContent) -> FolderRow {
    let rules = content.rules.iter().copied().enumerate().filter(|(_, count)| *count > 0);
    FolderRow(parent, name, folders, content.verdicts, rules.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, Blob, BlobName, Cost, Facts, Finding, Format, Kind, Reads};

    fn asset(name: &str, verdict: Verdict) -> Asset {
        let blob = Blob {
            name: BlobName::new(name),
            size: 10,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        };
        Asset {
            blob,
            kind: Kind::Image,
            facts: Facts::of(Format::Jpeg),
            verdict,
            cost: Cost { images: 1, frames: 0 },
            synced: None,
            earlier: None,
            findings: match verdict {
                Verdict::Reject => vec![Finding::new(Code::ExifOrientation, "it is 6")],
                _ => Vec::new(),
            },
            skipped: None,
            reads: Reads::default(),
        }
    }

    fn listed<'a>(names: impl IntoIterator<Item = (&'a str, Verdict)>) -> Vec<FolderRow> {
        let mut folders = FolderTree::default();
        for (name, verdict) in names {
            folders.add(&asset(name, verdict));
        }
        folders.into_records()
    }

    #[test]
    fn odd_names_have_their_folders() {
        let names = ["/lead.jpg", "a//b.jpg", "a/c.jpg", "root.jpg", "trail/"];
        let records = listed(names.map(|name| (name, Verdict::Accept)));
        let folders: Vec<_> =
            records.iter().map(|record| (record.0, record.1.as_deref(), record.3[0])).collect();
        let expected =
            [(0, Some(""), 1), (0, Some(""), 1), (0, Some("a"), 1), (2, Some(""), 1), (0, Some("trail"), 1)];
        assert_eq!(folders, expected);
    }

    #[test]
    fn a_folder_is_one_although_others_are_between_its_names() {
        let names = ["a/1.jpg", "b/a/1.jpg", "a/2.jpg", "a/b/1.jpg", "b/a/2.jpg", "a/3.jpg"];
        let records = listed(names.map(|name| (name, Verdict::Accept)));
        let folders: Vec<_> =
            records.iter().map(|record| (record.0, record.1.as_deref(), record.3[0])).collect();
        assert_eq!(
            folders,
            [(0, Some(""), 0), (0, Some("a"), 3), (0, Some("b"), 0), (2, Some("a"), 2), (1, Some("b"), 1)]
        );
    }

    #[test]
    fn small_folders_are_folded_and_nothing_is_lost() {
        const FOLDERS: u64 = 20_000;
        let mut folders = FolderTree::default();
        for folder in 0..FOLDERS {
            // Every thousandth folder has something that is left out, in a folder of its own.
            folders.add(&asset(&format!("{folder:06}/a.jpg"), Verdict::Accept));
            if folder % 1000 == 0 {
                folders.add(&asset(&format!("{folder:06}/turned/b.jpg"), Verdict::Reject));
            }
            assert!(folders.folders.len() <= 2 * MAX_FOLDERS);
        }
        let records = folders.into_records();
        assert!(records.len() <= 2 * MAX_FOLDERS, "{}", records.len());
        let mut verdicts = Counts::default();
        records.iter().for_each(|record| add(&mut verdicts, &record.3));
        assert_eq!(verdicts, [FOLDERS, FOLDERS / 1000, 0, 0]);
        let turned = records.iter().filter(|record| record.1.as_deref() == Some("turned"));
        assert_eq!(turned.map(|record| record.4.as_slice()).collect::<Vec<_>>(), [[(0, 1)]; 20]);
        let named = records.iter().filter(|record| record.1.is_some()).count() as u64 - 1;
        let folded: u64 = records.iter().map(|record| record.2).sum();
        assert_eq!(named + folded, FOLDERS + FOLDERS / 1000);
    }

    #[test]
    fn deep_and_long_names_take_no_more_than_their_room() {
        let mut folders = FolderTree::default();
        for index in 0..3000 {
            folders.add(&asset(
                &format!("{index:06}{}/{}x.jpg", "<".repeat(900), "a/".repeat(50)),
                Verdict::Accept,
            ));
            folders.add(&asset(&format!("{index:06}{}/x.jpg", "/".repeat(900)), Verdict::Accept));
            assert!(folders.folders.len() <= 2 * MAX_FOLDERS + MAX_DEPTH);
        }
        let records = folders.into_records();
        let bytes: usize = records.iter().flat_map(|record| &record.1).map(|name| json_length(name)).sum();
        assert!(bytes <= MAX_FOLDER_BYTES, "{bytes}");
        assert_eq!(records.iter().map(|record| record.3[0]).sum::<u64>(), 6000);
    }
}

//! A preview from the listing alone, without reads: how much there is, of which kinds, and where.

use std::collections::BTreeMap;

use super::{FolderSum, Folders, TopFolders};
use crate::model::{Access, Blob, Format, Kind};
use crate::rules;

/// The most extensions counted separately. Real listings have dozens; a hostile one may have a new one in every name.
pub const MAX_EXTENSIONS: usize = 1_000;
/// Names in the sample.
pub const SAMPLE: usize = 10;
/// The most names kept for it, so that ten can be picked at even intervals. Each takes at most 4 KiB.
const MAX_CANDIDATES: usize = 8 * SAMPLE;

/// A number of files and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The number of files.
    pub files: u64,
    /// Their total listed size, in bytes.
    pub bytes: u64,
}

impl FolderSum for Sum {
    fn add(&mut self, other: Self) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn weight(self) -> u64 {
        self.files
    }
}

/// Adds up a listing, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// Entries of the listing: always the sum of the files of all kinds, [`markers`](Self::markers) and
    /// [`not_entered`](Self::not_entered).
    pub listed: u64,
    /// Names that the source has but the listing leaves out. Not part of [`listed`](Self::listed).
    pub excluded: u64,
    /// Files with the extension of an image format.
    pub images: Sum,
    /// Files with the extension of a video format.
    pub videos: Sum,
    /// All other files.
    pub other: Sum,
    /// Blobs that only mark a folder.
    pub markers: u64,
    /// Folders that the listing does not descend into.
    pub not_entered: u64,
    /// Files in the archive tier.
    pub archived: u64,
    /// Files without content.
    pub empty: u64,
    /// Files and folders that cannot be read for another reason.
    pub unreachable: u64,
    /// Readable files with the extension of an image format.
    pub images_by_name: u64,
    /// Readable files whose name does not show whether they are an image, a video or neither.
    pub undecided: u64,
    extensions: BTreeMap<String, Sum>,
    /// Files with extensions beyond the first [`MAX_EXTENSIONS`].
    pub more_extensions: Sum,
    folders: Folders<Sum>,
    /// Files directly under the prefix, once the listing has ended.
    pub direct: Sum,
    /// The folders under the prefix with the most files, once the listing has ended.
    pub top_folders: TopFolders<Sum>,
    sample: NameSample,
}

impl Preview {
    /// Creates a preview of names that start with `prefix`, the prefix of the source.
    pub fn new(prefix: &str) -> Self {
        Self { folders: Folders::new(0, prefix), ..Self::default() }
    }

    /// Adds the next blob of the listing.
    pub fn add(&mut self, blob: &Blob) {
        self.listed += 1;
        let name = blob.name.as_str();
        match blob.access {
            Access::NotEntered => return self.not_entered += 1,
            Access::Directory => return self.markers += 1,
            _ if blob.size == 0 && name.ends_with('/') => return self.markers += 1,
            Access::Archived | Access::Rehydrating => self.archived += 1,
            Access::Unreachable(_) => self.unreachable += 1,
            Access::Online if blob.size == 0 => self.empty += 1,
            Access::Online => {}
        }
        let one = Sum { files: 1, bytes: blob.size };
        let extension = blob.name.extension();
        let kind = extension.and_then(Format::of_extension).map_or(Kind::Other, Format::kind);
        match kind {
            Kind::Image => self.images.add(one),
            Kind::Video => self.videos.add(one),
            Kind::Other => self.other.add(one),
        }
        if rules::without_reading(blob).is_none() {
            match kind {
                Kind::Image => self.images_by_name += 1,
                Kind::Other => self.undecided += 1,
                Kind::Video => {}
            }
        }
        self.add_extension(extension.unwrap_or_default(), one);
        self.folders.add(name, one);
        self.sample.add(name);
    }

    fn add_extension(&mut self, extension: &str, one: Sum) {
        let extension = extension.to_lowercase();
        let is_full = self.extensions.len() == MAX_EXTENSIONS;
        match self.extensions.get_mut(&extension) {
            Some(sum) => sum.add(one),
            None if is_full => self.more_extensions.add(one),
            None => _ = self.extensions.insert(extension, one),
        }
    }

    /// All files.
    pub fn files(&self) -> Sum {
        let mut files = self.images;
        files.add(self.videos);
        files.add(self.other);
        files
    }

    /// Extensions in lower case, those with the most files first. Files without an extension are counted as the empty
    /// one.
    pub fn extensions(&self) -> Vec<(&str, Sum)> {
        let mut extensions: Vec<_> =
            self.extensions.iter().map(|(extension, sum)| (extension.as_str(), *sum)).collect();
        extensions.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.files));
        extensions
    }

    /// Ends the listing.
    pub fn finish(&mut self) {
        let (direct, folders) = std::mem::take(&mut self.folders).finish();
        (self.direct, self.top_folders) = (direct.sum, folders);
    }

    /// Up to [`SAMPLE`] names at even intervals in the listing, the same names every time.
    pub fn sample(&self) -> Vec<&str> {
        let names = &self.sample.candidates;
        let last = names.len().saturating_sub(1);
        let count = names.len().min(SAMPLE);
        let at = |index: usize| index * last / count.saturating_sub(1).max(1);
        (0..count).map(|index| names[at(index)].as_str()).collect()
    }
}

/// Names at even intervals, although the number of names is not known in advance: when too many are held, every second
/// one is dropped and the interval doubles.
#[derive(Clone, Debug, Default)]
struct NameSample {
    seen: u64,
    /// The interval between candidates, as a power of two.
    doublings: u32,
    candidates: Vec<String>,
}

impl NameSample {
    fn add(&mut self, name: &str) {
        if self.candidates.len() == MAX_CANDIDATES {
            let mut index = 0;
            self.candidates.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.doublings += 1;
        }
        if self.seen.trailing_zeros() >= self.doublings {
            self.candidates.push(name.to_owned());
        }
        self.seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BlobName;
    use crate::plan::TOP_FOLDERS;

    fn blob(name: &str, size: u64) -> Blob {
        Blob {
            name: BlobName::new(name),
            size,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        }
    }

    fn preview<'a>(blobs: impl IntoIterator<Item = &'a Blob>, prefix: &str) -> Preview {
        let mut preview = Preview::new(prefix);
        blobs.into_iter().for_each(|blob| preview.add(blob));
        preview.finish();
        preview
    }

    fn of_names<'a>(names: impl IntoIterator<Item = &'a str>, prefix: &str) -> Preview {
        let blobs: Vec<_> = names.into_iter().map(|name| blob(name, 1)).collect();
        preview(&blobs, prefix)
    }

    #[test]
    fn everything_that_is_listed_is_one_thing() {
        let with = |name, access| Blob { access, ..blob(name, 0) };
        let blobs = [
            blob("a.JPG", 10),
            blob("b.mp4", 20),
            blob("c.json", 30),
            blob("d", 40),
            blob("empty.png", 0),
            blob("folder/", 0),
            with("lake", Access::Directory),
            with("deep/", Access::NotEntered),
            Blob { access: Access::Archived, ..blob("old.jpg", 50) },
            with("loop", Access::Unreachable("it is a link to a folder above it".into())),
        ];
        let preview = preview(&blobs, "");
        let sum = |files, bytes| Sum { files, bytes };
        assert_eq!((preview.images, preview.videos, preview.other), (sum(3, 60), sum(1, 20), sum(3, 70)));
        assert_eq!(preview.listed, preview.files().files + preview.markers + preview.not_entered);
        assert_eq!((preview.listed, preview.markers, preview.not_entered), (10, 2, 1));
        assert_eq!((preview.archived, preview.empty, preview.unreachable), (1, 1, 1));
        // Neither the empty nor the archived image can sync; the sidecar is not an image.
        assert_eq!((preview.images_by_name, preview.undecided), (1, 1));
        assert_eq!(preview.extensions()[..2], [("", sum(2, 40)), ("jpg", sum(2, 60))]);
    }

    #[test]
    fn extensions_have_a_cap() {
        let names: Vec<_> = (0..MAX_EXTENSIONS + 5).map(|number| format!("a.{number}")).collect();
        let preview = of_names(names.iter().map(String::as_str).chain(["b.1", "b.x"]), "");
        assert_eq!(preview.extensions().len(), MAX_EXTENSIONS);
        assert_eq!((preview.more_extensions.files, preview.extensions()[0].1.files), (6, 2));
    }

    #[test]
    fn the_largest_folders_are_exact_and_the_rest_is_summed() {
        // Folder f00/ has one file, f01/ two, and so on.
        let mut names: Vec<_> = (0..30)
            .flat_map(|folder| (0..=folder).map(move |file| format!("p/f{folder:02}/{file}")))
            .collect();
        names.push("p/direct".into());
        names.sort();
        let preview = of_names(names.iter().map(String::as_str), "p/");
        let folders = &preview.top_folders;
        let top: Vec<_> =
            folders.top().iter().map(|folder| (folder.name.as_str(), folder.sum.files)).collect();
        assert_eq!((top.len(), top[0], top[19]), (TOP_FOLDERS, ("p/f29/", 30), ("p/f10/", 11)));
        assert_eq!((folders.more, folders.rest.files, preview.direct.files), (10, 55, 1));
        assert_eq!(of_names(["cam1/a", "cam10/b", "/lead"], "").top_folders.top().len(), 3);
        assert_eq!(of_names(["cam1/a", "cam10/b"], "cam1").top_folders.top()[0].name, "cam1/");
    }

    #[test]
    fn a_sample_is_even_and_has_both_ends() {
        for count in [0, 1, 2, 9, 10, 11, 79, 80, 81, 1000, 123_457_u64] {
            let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
            let preview = of_names(names.iter().map(String::as_str), "");
            let sample: Vec<u64> =
                preview.sample().iter().map(|name| name.parse().expect("a number")).collect();
            assert_eq!(sample.len() as u64, count.min(10));
            assert!(sample.iter().is_sorted_by(|left, right| left < right), "{count}: {sample:?}");
            if count > 100 {
                let gaps = sample.windows(2).map(|pair| pair[1] - pair[0]);
                let even = count / 10;
                assert!(gaps.clone().all(|gap| gap > even / 2 && gap < even * 2), "{count}: {sample:?}");
                assert!(sample[0] == 0 && sample[9] > count - count / 5, "{count}: {sample:?}");
            }
        }
    }
}

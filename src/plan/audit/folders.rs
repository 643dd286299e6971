//! The folders with the most assets that will not sync.

use crate::model::error::Result;
use crate::model::{Asset, Verdict};
use crate::plan::{FolderSum, Folders, Sink, TopFolders};

/// The entries of a folder, and those that will not sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderCounts {
    /// Entries of the listing.
    pub listed: u64,
    /// Of these, rejected.
    pub rejected: u64,
    /// Of these, not judged.
    pub unknown: u64,
}

impl FolderSum for FolderCounts {
    fn add(&mut self, other: Self) {
        self.listed += other.listed;
        self.rejected += other.rejected;
        self.unknown += other.unknown;
    }

    /// Assets that will not sync.
    fn weight(self) -> u64 {
        self.rejected + self.unknown
    }
}

impl Sink for Folders<FolderCounts> {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        let one = FolderCounts {
            listed: 1,
            rejected: u64::from(asset.verdict == Verdict::Reject),
            unknown: u64::from(asset.verdict == Verdict::Unknown),
        };
        self.add(asset.blob.name.as_str(), one);
        Ok(())
    }
}

/// The worst folders of a container whose listing has ended. Entries outside of any folder count as one folder.
pub fn worst(folders: Folders<FolderCounts>) -> TopFolders<FolderCounts> {
    let (direct, mut worst) = folders.finish();
    worst.add(direct);
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blob, Cost, Facts, Format, Kind, Reads};
    use crate::plan::Folder;

    fn asset(name: &str, verdict: Verdict) -> Asset {
        Asset {
            blob: Blob::not_entered(name),
            kind: Kind::Image,
            facts: Facts::of(Format::Unknown),
            verdict,
            cost: Cost::default(),
            synced: None,
            earlier: None,
            findings: Vec::new(),
            skipped: None,
            reads: Reads::default(),
        }
    }

    fn worst_of(container: usize, prefix: &str, assets: &[(&str, Verdict)]) -> TopFolders<FolderCounts> {
        let mut folders = Folders::new(container, prefix);
        for (name, verdict) in assets {
            folders.settled(&asset(name, *verdict)).expect("it is added up");
        }
        worst(folders)
    }

    #[test]
    fn folders_are_summed_below_the_prefix() {
        use Verdict::{Accept, Reject, Unknown};
        let worst = worst_of(
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
            sum: FolderCounts { listed, rejected, unknown },
        };
        assert_eq!(worst.top(), [folder("p/a/", 3, 1, 1), folder("p/", 1, 1, 0), folder("p/d/", 1, 1, 0)]);
        assert_eq!((worst.more, worst.rest), (0, FolderCounts::default()));
    }

    #[test]
    fn the_worst_of_all_are_the_same_in_any_order() {
        let of = |container: usize| {
            // Folder f00/ has one rejected asset, f01/ two, and so on.
            let names =
                (0..30).flat_map(|folder| (0..=folder).map(move |file| format!("f{folder:02}/{file}")));
            let names: Vec<_> = names.collect();
            worst_of(
                container,
                "",
                &names.iter().map(|name| (name.as_str(), Verdict::Reject)).collect::<Vec<_>>(),
            )
        };
        let merged = |order: [usize; 3]| {
            let mut all = TopFolders::default();
            order.into_iter().for_each(|container| all.merge(of(container)));
            all
        };
        let all = merged([0, 1, 2]);
        assert_eq!(all, merged([2, 0, 1]));
        let names: Vec<_> = all.top().iter().map(|folder| (folder.container, folder.name.as_str())).collect();
        assert_eq!(names[..4], [(0, "f29/"), (1, "f29/"), (2, "f29/"), (0, "f28/")]);
        let left_out: u64 = all.top().iter().map(|folder| folder.sum.weight()).sum();
        assert_eq!((all.top().len() as u64 + all.more, left_out + all.rest.weight()), (90, 3 * 465));
    }

    #[test]
    fn a_folder_is_one_although_others_are_between_its_entries() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut names: Vec<_> = (0..9_000).map(|number| format!("f{}/{number}", number % 1_500)).collect();
        let assets = |names: &[String]| -> TopFolders<FolderCounts> {
            worst_of(0, "", &names.iter().map(|name| (name.as_str(), Verdict::Reject)).collect::<Vec<_>>())
        };
        random.shuffle(&mut names);
        let shuffled = assets(&names);
        names.sort();
        assert_eq!(shuffled, assets(&names));
        assert_eq!((shuffled.more, shuffled.top()[0].sum.rejected), (1_480, 6));
    }
}

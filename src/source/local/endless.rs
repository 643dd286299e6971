//! Folders that are not entered, because their walk might never end.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::Path;

/// The most folders above a file: a blob name has at most 254 segments ("Naming and referencing containers, blobs, and
/// metadata").
const MAX_DEPTH: usize = 254;
/// How often a folder is entered through links. Links from folder to folder can otherwise multiply: two in each of 40
/// folders make a million million paths.
const MAX_VISITS: u32 = 16;

/// The folders that a walk has entered through links, and the file systems that it has met, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Guard {
    visits: HashMap<(u64, u64), u32>,
    systems: HashMap<u64, bool>,
}

impl Guard {
    /// Why the walk must not enter a folder below `depth` others; `None` if it may.
    pub(super) fn refuse(
        &mut self,
        folder: &Path,
        depth: usize,
        metadata: Option<&Metadata>,
        is_link: bool,
    ) -> Option<&'static str> {
        if depth >= MAX_DEPTH {
            return Some("it is below more than 254 folders, and a blob name can have no more");
        }
        #[cfg(unix)]
        if let Some(metadata) = metadata {
            use std::os::unix::fs::MetadataExt;
            let (system, number) = (metadata.dev(), metadata.ino());
            if *self.systems.entry(system).or_insert_with(|| is_of_the_kernel(folder)) {
                return Some("it shows the system's own state, not files");
            }
            if is_link {
                let visits = self.visits.entry((system, number)).or_default();
                *visits += 1;
                if *visits > MAX_VISITS {
                    return Some("it is a link to a folder that was already entered through 16 links");
                }
            }
        }
        #[cfg(not(unix))]
        let _ = (folder, metadata, is_link);
        None
    }
}

/// Whether a folder is on a file system such as `/proc`, whose files are made up by the kernel and change all the time.
pub(super) fn is_of_the_kernel(folder: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        // proc, sysfs, cgroup, cgroup2, debugfs and tracefs (linux/magic.h).
        const MADE_UP: [u64; 6] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163];
        rustix::fs::statfs(folder).is_ok_and(|system| MADE_UP.contains(&(system.f_type as u64)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use tokio::sync::mpsc;

    use super::super::LocalSource;
    use crate::model::Access;

    /// The listed names, and why some are unreachable.
    fn list(root: &std::path::Path) -> Vec<(String, Option<String>)> {
        let source = LocalSource::open(root).expect("it is there");
        let (sender, mut pages) = mpsc::channel(100);
        source.walk(None, &sender).expect("it has no ignore file");
        drop(sender);
        let mut listed = Vec::new();
        while let Ok(page) = pages.try_recv() {
            listed.extend(page.into_iter().map(|blob| match blob.access {
                Access::Unreachable(why) => (blob.name.to_string(), Some(why.into())),
                _ => (blob.name.to_string(), None),
            }));
        }
        listed
    }

    #[test]
    fn links_that_multiply_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let level = |level: u32| folder.path().join(format!("{level:02}"));
        for number in 0..40 {
            std::fs::create_dir(level(number)).expect("a folder");
            for link in ["a", "b"] {
                symlink(format!("../{:02}", number + 1), level(number).join(link)).expect("a link");
            }
        }
        std::fs::create_dir(level(40)).expect("a folder");
        std::fs::write(level(40).join("x.jpg"), "x").expect("a file");
        let listed = list(folder.path());
        assert!(listed.len() < 40 * 2 * 16 * 2, "{}", listed.len());
        let why = listed.iter().find_map(|(_, why)| why.as_deref());
        assert_eq!(why, Some("it is a link to a folder that was already entered through 16 links"));
    }

    #[test]
    fn a_chain_of_folders_ends_where_names_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep: PathBuf = (0..300).map(|_| "d").collect();
        std::fs::create_dir_all(folder.path().join(deep)).expect("folders");
        let listed = list(folder.path());
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].0, "d/".repeat(254));
    }

    #[test]
    fn what_the_kernel_makes_up_is_not_entered() {
        let error = LocalSource::open("/proc").expect_err("it has no files to sync");
        assert_eq!(error.message(), "'/proc' shows the system's own state, not files");
        let folder = tempfile::tempdir().expect("a folder");
        symlink("/proc/self", folder.path().join("me")).expect("a link");
        let listed = list(folder.path());
        assert_eq!(listed, [("me/".into(), Some("it shows the system's own state, not files".into()))]);
    }
}

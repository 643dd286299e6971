//! How much of the disk and of memory the files that are being worked on may use at a time.

use std::path::{Path, PathBuf};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::model::BlobName;
use crate::model::error::{Error, Result};
use crate::report::{bytes, shown};
use crate::rules::fix::Fix;

/// Bytes for which one permit of the disk stands.
const UNIT: u64 = 1 << 20;
/// How many copies of a file there are while programs fix it: the original, one to keep, the result, and a program's own.
const COPIES: u64 = 4;
/// Bytes by which a result may be larger than its original.
const GROWTH: u64 = 16 << 20;
/// How many pieces of files are in memory at a time, of 8 MiB each: 256 MiB.
const PIECES: usize = 32;
/// Permits of a disk whose free space is not known: 1 PiB.
const UNKNOWN: u32 = 1 << 30;

/// Bytes of temporary files that a fix of a file of `size` bytes needs, roughly.
pub(super) fn needed(fix: &Fix, size: u64) -> u64 {
    match fix {
        Fix::Brand(_) | Fix::Rename => size,
        Fix::Run(_) => size.saturating_mul(COPIES).saturating_add(GROWTH),
    }
}

/// The space for temporary files.
pub(super) struct Space {
    folder: PathBuf,
    /// What to do if there is too little.
    hint: &'static str,
    /// Free bytes when the run began, if that is known.
    free: Option<u64>,
    /// Half of them: the other half is for fixed files, and for others.
    units: u32,
    disk: Semaphore,
    pieces: Semaphore,
}

impl Space {
    /// The space in a folder; `hint` says how to get more.
    pub(super) fn of(folder: &Path, hint: &'static str) -> Self {
        Self::with(folder, hint, free(folder))
    }

    fn with(folder: &Path, hint: &'static str, free: Option<u64>) -> Self {
        let half = |free: u64| u32::try_from(free / 2 / UNIT).unwrap_or(UNKNOWN).clamp(1, UNKNOWN);
        let units = free.map_or(UNKNOWN, half);
        let disk = Semaphore::new(units as usize);
        Self { folder: folder.to_owned(), hint, free, units, disk, pieces: Semaphore::new(PIECES) }
    }

    /// Checks that there is enough for the largest file.
    ///
    /// # Errors
    /// Returns an error that names the folder if there is not.
    pub(super) fn check(&self, name: &BlobName, needed: u64) -> Result<()> {
        match self.free {
            Some(free) if free < needed => {
                let (folder, name) = (self.folder.display(), shown(name.as_str()));
                let (needed, free) = (bytes(needed), bytes(free));
                let message = format!(
                    "'{name}' needs about {needed} of temporary files to be fixed, and '{folder}' has {free} free"
                );
                Err(Error::new(message)
                    .with_hint(format!("{}, or leave the file out with --exclude", self.hint)))
            }
            _ => Ok(()),
        }
    }

    /// The error for a folder that is full.
    pub(super) fn full(&self) -> Error {
        Error::new(format!(
            "there is no space left in '{}', where temporary files are",
            self.folder.display()
        ))
        .with_hint(format!("{}; then run the same command again to continue", self.hint))
    }

    /// Waits until that many bytes may be used. More than all of it is given to one file at a time.
    pub(super) async fn take(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        // It is never closed.
        self.disk.acquire_many(units).await.ok()
    }

    /// Waits until a piece of a file may be in memory.
    pub(super) async fn piece(&self) -> Option<SemaphorePermit<'_>> {
        self.pieces.acquire().await.ok()
    }
}

/// Bytes that this user may still write to the file system of a folder.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(free: Option<u64>) -> Space {
        Space::with(Path::new("/tmp"), "set TMPDIR", free)
    }

    #[test]
    fn a_file_that_does_not_fit_is_named_with_the_folder() {
        let error = space(Some(UNIT)).check(&BlobName::new("a.mp4"), UNIT + 1).expect_err("it is too large");
        assert!(error.message().contains("'a.mp4'") && error.message().contains("'/tmp'"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("TMPDIR")));
        assert_eq!(space(Some(UNIT)).check(&BlobName::new("a.mp4"), UNIT), Ok(()));
        assert_eq!(space(None).check(&BlobName::new("a.mp4"), u64::MAX), Ok(()));
    }

    #[tokio::test]
    async fn files_wait_for_space_and_the_largest_one_gets_all_of_it() {
        let space = space(Some(20 * UNIT));
        let (half, small) = (space.take(9 * UNIT).await, space.take(UNIT).await);
        assert_eq!(space.disk.available_permits(), 0);
        drop((half, small));
        for bytes in [15 * UNIT, u64::MAX] {
            let all = space.take(bytes).await;
            assert_eq!((all.is_some(), space.disk.available_permits()), (true, 0));
        }
        assert_eq!(space.disk.available_permits(), 10);
        assert!(
            self::space(Some(0)).take(5).await.is_some(),
            "what is written then fails, but nothing waits"
        );
    }
}

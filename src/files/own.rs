//! Which files are this user's, and links that someone else may have put in the way.
//!
//! In a folder that others can write to, such as `/tmp`, anyone can put a link where presync is about to write. A link is
//! followed only if this user or root made it, as Linux itself does in such folders (`fs.protected_symlinks`).

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::model::error::{Error, Result, reason};

/// The most links in one path, as on Linux ("path_resolution(7)").
const MAX_LINKS: usize = 40;

/// Whether this user or root owns the file; always on systems whose files have no owner's number.
pub(crate) fn is_ours(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        let owner = std::os::unix::fs::MetadataExt::uid(metadata);
        owner == 0 || user().is_none_or(|user| user == owner)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

/// The user as which this process makes files; `None` if that cannot be found out.
#[cfg(unix)]
fn user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    static USER: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    *USER.get_or_init(|| {
        // The owner of a process's entry is its effective user ("proc(5)"); elsewhere, a new file shows it.
        let process = fs::metadata("/proc/self");
        process.or_else(|_| tempfile::tempfile()?.metadata()).ok().map(|metadata| metadata.uid())
    })
}

/// Checks that no part of the path is a link of another user. Parts that do not exist are not links.
///
/// # Errors
/// Returns an error that names the link.
pub(crate) fn check_links(path: &Path) -> Result<()> {
    let unreadable = |error: io::Error| {
        Error::new(format!("cannot follow the path '{}': {}", path.display(), reason(&error)))
    };
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    let mut left: Vec<OsString> = parts(&absolute);
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == ".." {
            // What `at` names has no links, so the folder above is the one that the system would find, too.
            at.pop();
            continue;
        }
        at.push(part);
        let Ok(metadata) = fs::symlink_metadata(&at) else { continue };
        if !metadata.is_symlink() {
            continue;
        }
        links += 1;
        if !is_ours(&metadata) || links > MAX_LINKS {
            let why = if links > MAX_LINKS { "has too many links" } else { "is a link of another user" };
            return Err(Error::new(format!("'{}' {why}, so nothing is written through it", at.display()))
                .with_hint("give the path that it leads to, if that is where the file belongs"));
        }
        let target = fs::read_link(&at).map_err(unreadable)?;
        at.pop();
        left.extend(parts(&target));
    }
    Ok(())
}

/// The parts of a path, the last one first. The root replaces what a path begins with when it is pushed.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter(|part| !matches!(part, Component::CurDir));
    named.rev().map(|part| part.as_os_str().to_owned()).collect()
}

/// Opens a file to lock, which is created if needed. One that is there is not changed, and a link is not followed.
///
/// # Errors
/// Returns an error if it cannot be opened, or isn't a file.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    let new = OpenOptions::new().write(true).create_new(true).open(path);
    match new {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        new => return new,
    }
    // Opening a pipe would wait for a reader.
    let is_file = fs::symlink_metadata(path)?.is_file();
    let file = if is_file { Some(OpenOptions::new().write(true).open(path)?) } else { None };
    file.filter(|file| is_at(file, path)).ok_or_else(|| io::Error::other("its lock isn't a file"))
}

/// Whether the open file is still what the path itself names, and not what a link there leads to.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }
    #[cfg(not(unix))]
    {
        open.is_file() == there.is_file() && !there.is_symlink()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    #[test]
    fn only_links_of_this_user_and_root_are_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("real")).expect("a folder");
        symlink("real", at("own")).expect("a link");
        symlink("own/../own", at("chain")).expect("a link");
        for path in ["real/x", "own/x", "chain/x", "none/x", "own"] {
            check_links(&at(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        symlink("loop", at("loop")).expect("a link");
        assert!(check_links(&at("loop/x")).is_err());

        symlink("real", at("foreign")).expect("a link");
        symlink("foreign", at("to-foreign")).expect("a link");
        // Only root can give a link away.
        if lchown(at("foreign"), Some(12_345), None).is_ok() {
            for path in ["foreign", "foreign/x", "to-foreign/x", "own/../foreign/x"] {
                let error = check_links(&at(path)).expect_err(path);
                assert!(error.message().contains("link of another user"), "{error}");
            }
        }
    }
}

//! Temporary files, and the errors of the folder that they are in.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::model::error::{Error, Result, reason};

/// What the names of temporary folders begin with.
const PREFIX: &str = "presync-scratch-";

/// A new folder in the system's folder for temporary files, which only this user can read: it may hold the names of a
/// whole container. It is removed on drop.
///
/// # Errors
/// Returns an error if it cannot be created.
pub(crate) fn folder() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().map_err(|error| failed(&error))
}

/// Whether the path is in a temporary [`folder`].
pub(crate) fn holds(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name);
    folder.is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
}

/// The error for a temporary file that cannot be created or written.
pub(crate) fn failed(error: &io::Error) -> Error {
    let folder = env::temp_dir();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(&folder),
        _ => Error::new(format!(
            "cannot write to the temporary folder '{}': {}",
            folder.display(),
            reason(error)
        ))
        .with_hint("set TMPDIR to a folder that you may write to"),
    }
}

/// The error for a folder of temporary files without any space left.
fn full(folder: &Path) -> Error {
    Error::new(format!("the temporary folder '{}' is full", folder.display()))
        .with_hint("free some space there, or set TMPDIR to a folder with more")
}

/// The error for the folder in which SQLite keeps temporary files, when it has no space left ("Temporary Files Used By
/// SQLite", section 5).
pub(crate) fn full_of_sqlite() -> Error {
    let named = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().find_map(env::var_os).map(PathBuf::from);
    let usual = || Some(PathBuf::from("/var/tmp")).filter(|folder| folder.is_dir());
    full(&named.or_else(usual).unwrap_or_else(env::temp_dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_folder_is_named() {
        let error = failed(&io::ErrorKind::StorageFull.into());
        assert!(error.message().contains(&env::temp_dir().display().to_string()), "{error}");
        assert!(error.message().ends_with("is full"), "{error}");
        let folder = folder().expect("a folder");
        assert!(holds(&folder.path().join("assets")) && !holds(Path::new("/tmp/plan.parquet")));
    }
}

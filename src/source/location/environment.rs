//! The environment variables that a run may read.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::misplaced::unquoted;

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Where environment variables come from. Passed down, so that nothing else reads the process's environment.
///
/// * An empty variable counts as unset.
/// * `Debug` shows no value.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

impl Environment {
    /// The environment of the process.
    pub(crate) fn of_process() -> Self {
        Self(Arc::new(|name| std::env::var_os(name)))
    }

    /// An environment with only these variables.
    pub fn of<I, N, V>(variables: I) -> Self
    where
        I: IntoIterator<Item = (N, V)>,
        N: Into<String>,
        V: Into<OsString>,
    {
        let variables: BTreeMap<String, OsString> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self(Arc::new(move |name| variables.get(name).cloned()))
    }

    /// The value of a variable that is set, not empty and UTF-8, without quotes around it: files of variables for
    /// containers keep them.
    pub fn var(&self, name: &str) -> Option<String> {
        let value = self.var_os(name)?.into_string().ok()?;
        Some(unquoted(&value).to_owned()).filter(|value| !value.is_empty())
    }

    /// The value of a variable that is set and not empty.
    pub fn var_os(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The storage account, by the names that the Azure CLI and other tools use.
    pub(in crate::source) fn account(&self) -> Option<String> {
        self.var("AZURE_STORAGE_ACCOUNT").or_else(|| self.var("AZURE_STORAGE_ACCOUNT_NAME"))
    }

    /// The first file of this name in the folders of `PATH`.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let names: &[OsString] = &match cfg!(windows) {
            true => ["exe", "cmd", "bat"].map(|ext| OsString::from(format!("{name}.{ext}"))).to_vec(),
            false => vec![OsStr::new(name).to_owned()],
        };
        let path = self.var_os("PATH")?;
        std::env::split_paths(&path)
            .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
            .find(|file| file.is_file())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

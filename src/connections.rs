//! `presync.toml`: named connections, so that a container's URL and settings are typed only once, and rule overrides.
//!
//! ```toml
//! [connections.cams]
//! account = "media"
//! container = "cameras"
//! prefix = "2026/"
//! profile = "nexus"
//! auth = "cli"
//! workspace = "team-a"
//! quota = { images = 5_000, frames = 100_000 }
//! ```
//!
//! `[quota]` with `shared = true` says that images and frames share one quota. `[rules]` says which rules apply to every source and how severe they are:
//!
//! ```toml
//! [rules]
//! ignore = ["VID101"]
//! severity = { NAM001 = "error" }
//!
//! [[rules.prefix]]
//! prefix = "raw/"
//! ignore = ["IMG001"]
//! ```
//!
//! The file is found like Cargo's manifest: in the working directory or the nearest one above it. It is meant to be
//! shared, so it holds no secrets: a key that looks like one is an error, which does not show the line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files::{own, regular};
use crate::model::error::{Error, Result, reason};
use crate::model::{is_unseen, shown};
use crate::rules::Limits;
use crate::source::azure::AuthMode;
use crate::source::location::{ContainerUrl, Environment, Sas};

mod file_text;
mod parse;
mod rules;
mod write;

pub(crate) use rules::Rules;
pub(crate) use write::{Added, add};

/// The file's name.
pub(crate) const FILE_NAME: &str = "presync.toml";

/// Names that an error lists; more would hide the message.
const MAX_LISTED: usize = 12;

/// The similarity of two names, from 0 to 1, from which on one is taken for a typo of the other (Jaro–Winkler).
const ALIKE: f64 = 0.8;

/// A container with the settings that go with it. `None` means that the file does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    /// The storage account.
    pub account: Option<String>,
    /// The container's name, which follows Azure's rules.
    pub container: String,
    /// Only blobs whose names begin with it are included; empty for all.
    pub prefix: String,
    /// The blob endpoint, if it is not the public cloud's.
    pub endpoint: Option<String>,
    /// A built-in profile's name, or a file; relative to the folder of `presync.toml`.
    pub profile: Option<String>,
    /// Which credential to use.
    pub auth: Option<AuthMode>,
    /// The workspace of the ledger whose quota applies.
    pub workspace: Option<String>,
    /// What the quota has left.
    pub quota: Limits,
    /// Whether images and frames share one quota, whatever the profile says.
    pub shares_quota: bool,
    /// The platform's project that it syncs into, under any name. Within a project, annotations identify an asset by
    /// its basename alone.
    pub project: Option<String>,
}

impl Connection {
    /// The container, with `prefix` in place of the connection's own. `account` is the `--account` option.
    ///
    /// # Errors
    ///
    /// Returns an error if no account is known, or if `account` is not the connection's.
    pub(crate) fn url(&self, account: Option<&str>, prefix: &str, env: &Environment) -> Result<ContainerUrl> {
        if let (Some(own), Some(asked)) = (self.account.as_deref(), account)
            && own != asked
        {
            return Err(Error::new(format!(
                "the connection is in account '{own}', but --account is '{asked}'"
            ))
            .with_hint("leave out --account"));
        }
        let account = self.account.as_deref().or(account);
        match &self.endpoint {
            Some(endpoint) => ContainerUrl::at_endpoint(endpoint, account, &self.container, prefix, env),
            None => ContainerUrl::in_account(account, &self.container, prefix, env),
        }
    }
}

/// The connections and the rules of a file.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    path: PathBuf,
    /// Whether the file was found rather than named on the command line.
    was_found: bool,
    by_name: BTreeMap<String, Connection>,
    rules: Rules,
}

impl Connections {
    /// Reads a file, and checks all of it.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or, with line and column, if it is not valid.
    pub(crate) fn load(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let text = regular::read_to_string(&path).map_err(|error| {
            Error::new(format!("cannot read '{}': {}", path.display(), reason(&error)))
                .with_hint("pass an existing file to --config, or omit it to search for presync.toml")
        })?;
        let parse::Contents { by_name, rules } = parse::parse(&text, &path)?;
        Ok(Self { path, was_found: false, by_name, rules })
    }

    /// The same for a file that was [found](find), and not named on the command line.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub(crate) fn load_found(path: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self { was_found: true, ..Self::load(path)? })
    }

    /// Checks that a connection of this file may be used with a credential: anyone who can write to a folder above the
    /// working directory can put a file there, and so decide where a credential is sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the file was not named on the command line, and belongs to another user or leads to a host that
    /// is neither Azure's nor this machine.
    pub(crate) fn check_trust(&self, url: &ContainerUrl, auth: AuthMode) -> Result<()> {
        let shown = self.path.display();
        let is_foreign = || std::fs::metadata(&self.path).is_ok_and(|metadata| !own::is_ours(&metadata));
        let what = match () {
            () if !self.was_found => return Ok(()),
            () if is_foreign() => format!("'{shown}' belongs to another user, and was not named"),
            () if auth == AuthMode::Anonymous || url.is_trusted() => return Ok(()),
            () => format!("'{shown}' was not named, and '{url}' isn't an Azure address"),
        };
        Err(Error::new(what)
            .with_hint(format!("if you trust it with your credential, add --config '{shown}'")))
    }

    /// The file's rules.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The folder of the file, to which paths in it are relative.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The names of all connections, in alphabetical order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// All connections, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Connection)> {
        self.by_name.iter().map(|(name, connection)| (name.as_str(), connection))
    }

    /// A connection by its name.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no connection of this name; the hint lists those that exist.
    pub(crate) fn get(&self, name: &str) -> Result<&Connection> {
        self.by_name.get(name).ok_or_else(|| {
            let path = self.path.display();
            Error::new(format!("there is no connection '@{}' in '{path}'", shown(name)))
                .with_hint(self.alternatives(name))
        })
    }

    /// The name that is most like this one, in any case, if one is.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        let alike = self.names().map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name), known));
        let nearest = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
        nearest.map(|(_, known)| known)
    }

    /// The hint for a name that does not exist.
    fn alternatives(&self, name: &str) -> String {
        if let Some(known) = self.nearest(name) {
            return format!("did you mean {}?", typed(known));
        }
        let names: Vec<_> = self.by_name.keys().take(MAX_LISTED).map(|name| typed(name)).collect();
        match (names.is_empty(), self.by_name.len() - names.len()) {
            (true, _) => {
                "the file has no connections; add one with presync connect SOURCE --write NAME".into()
            }
            (false, 0) => format!("it has {}; for a folder of this name, write ./@{name}", names.join(", ")),
            (false, more) => format!("it has {} and {more} more", names.join(", ")),
        }
    }
}

/// A connection as it is typed in a shell.
pub(crate) fn typed(name: &str) -> String {
    let reference = format!("@{name}");
    shlex::try_quote(&reference).map_or(reference.clone(), |quoted| quoted.into_owned())
}

/// Reads the text of a file, and checks all of it.
#[cfg(feature = "fuzz")]
pub(crate) fn read(text: &str) -> Result<()> {
    parse::parse(text, Path::new(FILE_NAME)).map(drop)
}

/// The file in `folder` or the nearest one above it.
pub(crate) fn find(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

/// `NAME` and `REST` of `@NAME` and `@NAME/REST`; `None` for any other source.
///
/// # Errors
///
/// Returns an error if it carries a SAS, which would become part of a printed name.
pub(crate) fn reference(source: &str) -> Result<Option<(&str, &str)>> {
    let Some(reference) = source.strip_prefix('@') else { return Ok(None) };
    if reference.split_once('?').is_some_and(|(_, query)| Sas::parse(query).is_some()) {
        return Err(Error::new("an @NAME cannot carry a SAS").with_hint("set AZURE_STORAGE_SAS_TOKEN"));
    }
    Ok(Some(reference.split_once('/').unwrap_or((reference, ""))))
}

/// The most characters of a connection's name, so that reports and lists have room for it.
const MAX_NAME: usize = 64;

/// What [`is_name`] requires.
const NAME_RULE: &str =
    "a connection's name has 1 to 64 characters, without '/' and without spaces at its ends";

/// Whether this may be the name of a connection: any text that `@NAME/PREFIX` has room for and that shows as it is.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count())
        && name.trim() == name
        && !name.contains(|letter| letter == '/' || is_unseen(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_name_and_a_rest() {
        assert_eq!(reference("@cams"), Ok(Some(("cams", ""))));
        assert_eq!(reference("@cams/2026/a b?.jpg"), Ok(Some(("cams", "2026/a b?.jpg"))));
        assert_eq!(reference("@cams//x"), Ok(Some(("cams", "/x"))));
        assert_eq!(reference("./@cams"), Ok(None));
        let error = reference("@cams?sp=rl&sig=c2VjcmV0").expect_err("a SAS");
        assert!(!format!("{error:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn a_name_is_what_a_user_likes() {
        for name in
            ["cams", "my cams", "Kamera Süd", "東京 駅", "v1.2", "a+b (c) #1?", "it's \"x\"", "-", "@"]
        {
            assert!(is_name(name), "{name}");
        }
        for name in ["", " a", "a ", "a/b", "a\nb", "a\u{202e}b", "a\u{200b}", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
        assert_eq!((typed("cams").as_str(), typed("my cams").as_str()), ("@cams", "'@my cams'"));
    }

    #[test]
    fn the_nearest_file_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("a folder");
        std::fs::write(root.path().join(FILE_NAME), "").expect("a file");
        assert_eq!(find(&deep), Some(root.path().join(FILE_NAME)));
        std::fs::write(root.path().join("a").join(FILE_NAME), "").expect("a file");
        assert_eq!(find(&deep), Some(root.path().join("a").join(FILE_NAME)));
    }

    #[test]
    fn a_connection_is_the_container_that_its_url_would_be() {
        let env = Environment::of([("AZURE_STORAGE_ACCOUNT", "other")]);
        let cloud =
            Connection { account: Some("media".into()), container: "cam".into(), ..Default::default() };
        let url = cloud.url(None, "a b/", &env).expect("it is whole");
        assert_eq!(url.to_string(), "https://media.blob.core.windows.net/cam/a%20b/");
        assert!(cloud.url(Some("media2"), "", &env).is_err());
        let endpoint = Some("http://127.0.0.1:10000/devstoreaccount1/".to_owned());
        let emulator = Connection { container: "cam".into(), endpoint, ..Default::default() };
        let url = emulator.url(None, "", &env).expect("it is whole");
        assert_eq!(
            (url.account(), url.endpoint()),
            (Some("devstoreaccount1"), "http://127.0.0.1:10000/devstoreaccount1")
        );
    }
}

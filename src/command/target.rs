//! Resolves a source from the command line and `presync.toml`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::args::AzureArgs;
use super::say;
use crate::connections::{self, Connection, Connections, FILE_NAME, Rules};
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Gauge, Quota};
use crate::rules::{Choice, GivenBy, Limits, Profile};
use crate::source::azure::AuthMode;
use crate::source::location::{Environment, Location};

/// A SOURCE or ASSET argument and the options that go with it. Settings that are not given come from the connection, if
/// the source is an `@NAME`, else from the defaults.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub source: &'a OsStr,
    pub azure: &'a AzureArgs,
    /// A built-in profile's name, or a file.
    pub profile: Option<&'a str>,
}

/// A target with every setting resolved: the command line's, else the connection's, else the default.
pub(super) struct Resolved {
    pub location: Location,
    pub auth: AuthMode,
    /// A built-in profile's name, or a file.
    pub profile: String,
    /// The name of the connection, if the source is an `@NAME`.
    pub name: Option<String>,
    /// The connection that the source names.
    pub connection: Option<Connection>,
    /// The rules in `presync.toml`, if it was read for the source.
    pub rules: Option<Rules>,
}

impl Resolved {
    /// Resolves a SOURCE: what follows `@NAME/` is added to the connection's prefix.
    pub(super) fn source(target: Target<'_>, env: &Environment) -> Result<Self> {
        Self::new(target, env, |connection, rest| format!("{}{rest}", connection.prefix))
    }

    /// Resolves an ASSET: what follows `@NAME/` is a blob's whole name, as reports print it.
    pub(super) fn asset(target: Target<'_>, env: &Environment) -> Result<Self> {
        Self::new(target, env, |_, name| name.to_owned())
    }

    fn new(target: Target<'_>, env: &Environment, prefix: fn(&Connection, &str) -> String) -> Result<Self> {
        let resolved = Self::without_warning(target, env, prefix)?;
        if let Location::Container(url) = &resolved.location
            && url.is_exposed()
            && (url.sas().is_some() || env.var("AZURE_STORAGE_SAS_TOKEN").is_some())
        {
            say(
                "warning: the SAS is sent over plain http, where others can read and use it: write https:// in the URL",
            );
        }
        Ok(resolved)
    }

    fn without_warning(
        target: Target<'_>,
        env: &Environment,
        prefix: fn(&Connection, &str) -> String,
    ) -> Result<Self> {
        let Target { source, azure, profile } = target;
        let reference = source.to_str().map(connections::reference).transpose()?.flatten();
        let connections = match (&azure.config, reference) {
            (None, None) => None,
            (file, _) => Some(connections(file.as_deref())?),
        };
        let rules = connections.as_ref().map(|connections| connections.rules().clone());
        let (Some(connections), Some((name, rest))) = (connections, reference) else {
            let location = Location::parse(source, azure.account.as_deref(), env)
                .map_err(|error| error.because(Cause::Usage))?;
            check_folder(&location, azure.account.as_deref())?;
            return Ok(Self {
                location,
                name: None,
                auth: azure.auth.unwrap_or_default(),
                profile: profile.map_or_else(default_profile, str::to_owned),
                connection: None,
                rules,
            });
        };
        let connection = connections.get(name).map_err(|error| error.because(Cause::Configuration))?;
        let prefix = prefix(connection, rest);
        let resolved = Self::of_connection(connection, &connections, &prefix, azure, profile, env)?;
        Ok(Self { name: Some(name.to_owned()), ..resolved })
    }

    /// Resolves a connection with `prefix` in place of its own.
    pub(super) fn of_connection(
        connection: &Connection,
        connections: &Connections,
        prefix: &str,
        azure: &AzureArgs,
        profile: Option<&str>,
        env: &Environment,
    ) -> Result<Self> {
        let url = connection.url(azure.account.as_deref(), prefix, env)?;
        let auth = azure.auth.or(connection.auth).unwrap_or_default();
        connections.check_trust(&url, auth)?;
        let of_connection = || Some(below(connections.folder(), connection.profile.as_deref()?));
        Ok(Self {
            location: Location::Container(url),
            name: None,
            auth,
            profile: profile.map(str::to_owned).or_else(of_connection).unwrap_or_else(default_profile),
            connection: Some(connection.clone()),
            rules: Some(connections.rules().clone()),
        })
    }

    /// The workspace of the ledger: the command line's, else the connection's.
    pub(super) fn workspace<'a>(&'a self, option: Option<&'a str>) -> Option<&'a str> {
        option.or_else(|| self.connection.as_ref()?.workspace.as_deref())
    }

    /// Origins of the platform's site, for CORS: those given, else the profile's.
    pub(super) fn origins(&self, given: &[String]) -> Result<Vec<String>> {
        match given {
            [] => Ok(Profile::load(&self.profile)?.origin.into_iter().collect()),
            given => Ok(given.to_vec()),
        }
    }

    /// The profile, with the rule overrides of the command line and what the nearest `presync.toml` says: overrides, and
    /// whether images and frames share a quota.
    pub(super) fn profile(&self, command_line: &Choice) -> Result<Profile> {
        let mut profile = profile(&self.profile, self.rules.as_ref(), command_line)?;
        profile.quota.shared |= self.connection.as_ref().is_some_and(|connection| connection.shares_quota);
        Ok(profile)
    }

    /// The budget: for each kind, the limit of the command line, else the ledger's, else the connection's.
    ///
    /// # Errors
    /// Returns an error if a limit is of something that the profile does not count. A connection's limits are not
    /// checked if the command line has its own for everything.
    pub(super) fn quota(&self, profile: &Profile, options: Limits, ledger: Quota) -> Result<Quota> {
        let (images, frames) = options.of_profile(profile, GivenBy::Options)?;
        let of_connection = self.connection.as_ref().map(|connection| connection.quota).unwrap_or_default();
        if of_connection.is_empty() || (images.is_some() && frames.is_some()) {
            return options.instead_of(ledger, profile, GivenBy::Options);
        }
        let quota = of_connection.instead_of(ledger, profile, GivenBy::Connection)?;
        let own = |ledger: Gauge, connection: Gauge| if ledger.limit.is_some() { ledger } else { connection };
        let (images, frames) = (own(ledger.images, quota.images), own(ledger.frames, quota.frames));
        options.instead_of(Quota::of(images, frames), profile, GivenBy::Options)
    }
}

/// Checks that a source which looks like a folder is not a connection whose `@` is missing, or a container whose `az://`
/// is.
fn check_folder(location: &Location, account: Option<&str>) -> Result<()> {
    let Location::Folder(path) = location else { return Ok(()) };
    let Some(name) = path.to_str().filter(|_| path.is_relative() && !path.exists()) else { return Ok(()) };
    if let Some(account) = account {
        let hint = format!("for a container of the account '{account}', write az://{name}");
        let error = Error::new(format!("there is no folder '{name}'")).with_hint(hint);
        return Err(error.because(Cause::NotFound));
    }
    let name = name.split('/').next().unwrap_or_default();
    // A file that cannot be read must not hide what is wrong with the source.
    let connections =
        connections::find(&working_directory()?).and_then(|file| Connections::load_found(file).ok());
    match connections.as_ref().and_then(|connections| connections.nearest(name)) {
        Some(known) => Err(Error::new(format!("there is no folder '{}'", path.display()))
            .with_hint(format!("did you mean {}, the connection in {FILE_NAME}?", connections::typed(known)))
            .because(Cause::NotFound)),
        None => Ok(()),
    }
}

/// A profile with rule overrides: of the command line, and of a `presync.toml`, by default the nearest one.
pub(super) fn profile(name: &str, rules: Option<&Rules>, command_line: &Choice) -> Result<Profile> {
    let rules = match rules {
        Some(rules) => rules.clone(),
        None => match connections::find(&working_directory()?) {
            Some(file) => connections(Some(&file))?.rules().clone(),
            None => Rules::default(),
        },
    };
    let mut profile = Profile::load(name)?;
    profile.overrides = rules.overrides(command_line);
    profile.quota.shared |= rules.shares_quota;
    Ok(profile)
}

/// The connections of a file, by default the nearest one.
pub(super) fn connections(file: Option<&Path>) -> Result<Connections> {
    let loaded = match file {
        Some(file) => Connections::load(file),
        None => nearest().and_then(Connections::load_found),
    };
    loaded.map_err(|error| error.because(Cause::Configuration))
}

/// The nearest `presync.toml`.
fn nearest() -> Result<PathBuf> {
    let folder = working_directory()?;
    connections::find(&folder).ok_or_else(|| {
        Error::new(format!("there is no {FILE_NAME} in '{}' or above it", folder.display()))
            .with_hint("create one with presync connect SOURCE --write NAME, or pass --config FILE")
    })
}

fn working_directory() -> Result<PathBuf> {
    std::env::current_dir()
        .map_err(|error| Error::new(format!("cannot find the working directory: {}", reason(&error))))
}

pub(super) fn default_profile() -> String {
    Profile::BUILT_IN[0].to_owned()
}

/// A built-in profile's name, or a file's path, which is relative to `folder`.
fn below(folder: &Path, profile: &str) -> String {
    match Profile::BUILT_IN.contains(&profile) {
        true => profile.to_owned(),
        false => folder.join(profile).to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_wins_over_the_ledger_and_the_ledger_over_the_connection() {
        let limits = |images, frames| Limits { images, frames, data_rows: None };
        let connection = Connection { quota: limits(Some(10), Some(20)), ..Connection::default() };
        let resolved = |connection| Resolved {
            location: Location::parse(".".as_ref(), None, &Environment::of([("", ""); 0])).expect("a folder"),
            name: None,
            auth: AuthMode::default(),
            profile: default_profile(),
            connection,
            rules: None,
        };
        let profile = |shared| {
            let mut profile = Profile::load("nexus").expect("it is built in");
            profile.quota.shared = shared;
            profile
        };
        let of = |resolved: &Resolved, images, frames, ledger| {
            resolved.quota(&profile(false), limits(images, frames), ledger).expect("they apply")
        };
        let (none, ledger) = (Quota::new(None, None), Quota::of(Gauge::new(Some(5), 1), Gauge::new(None, 2)));
        let (of_options, of_connection) = (Quota::new(Some(3), Some(4)), Quota::new(Some(10), Some(20)));
        let (bare, named) = (resolved(None), resolved(Some(connection)));
        assert_eq!(of(&named, Some(3), Some(4), ledger), of_options);
        assert_eq!(of(&named, None, None, none), of_connection);
        assert_eq!(of(&named, None, None, ledger), Quota::of(ledger.images, of_connection.frames));
        assert_eq!(of(&bare, None, None, ledger), ledger);
        assert_eq!(of(&bare, Some(3), None, ledger), Quota::of(of_options.images, ledger.frames));

        let of = |resolved: &Resolved, images, ledger| {
            resolved.quota(&profile(true), limits(images, None), ledger)
        };
        let shared = Quota::shared(Gauge::new(Some(5), 1));
        assert_eq!(of(&bare, None, shared), Ok(shared));
        assert_eq!(of(&bare, Some(4), shared), Ok(Quota::shared(Gauge::new(Some(4), 0))));
        assert_eq!(of(&named, Some(4), shared), Ok(Quota::shared(Gauge::new(Some(4), 0))));
        assert!(of(&named, None, shared).is_err(), "the connection's frames do not apply");
    }
}

//! Credentials in the environment and on the command line: remembered, so that they are hidden wherever they show, and
//! refused where they do not belong.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::ArgMatches;

use crate::model::error::{Error, Result};
use crate::model::secret::{redact, remember, remember_within};
use crate::source::location::misplaced;

/// The environment variables of Azure's tools and of the CI systems that sign in for them begin with one of these…
const FAMILIES: [&str; 7] = ["AZURE_", "ARM_", "MSI_", "IDENTITY_", "ACTIONS_ID_", "SYSTEM_", "PRESYNC_"];
/// … and hold a secret if their names contain one of these, …
const SECRETS: [&str; 8] =
    ["SECRET", "PASSWORD", "TOKEN", "CONNECTION_STRING", "SAS", "HEADER", "STORAGE_KEY", "ACCESS"];
/// … or end with this, unless …
const KEY: &str = "_KEY";
/// … they end with one of these.
const PUBLIC: [&str; 5] = ["_URL", "_URI", "_PATH", "_FILE", "_ID"];

/// The variable that names a token's file, into which the token itself is put at times.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// The arguments that may be the URL of a container with a SAS.
const SOURCES: [&str; 3] = ["source", "sources", "asset"];

/// Remembers every secret in the environment.
pub(crate) fn remember_environment() {
    for (name, value) in env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let name = name.to_ascii_uppercase();
        if name.ends_with("_PROXY") {
            remember_password(value);
        } else if FAMILIES.iter().any(|family| name.starts_with(family)) {
            let is_public = PUBLIC.iter().any(|end| name.ends_with(end));
            let is_secret = name.ends_with(KEY) || SECRETS.iter().any(|word| name.contains(word));
            match is_secret && !is_public || name == TOKEN_FILE && !value.contains(['/', '\\']) {
                true => remember(value),
                false => remember_within(value),
            }
        }
    }
}

/// The password of a proxy's URL, which may lack its scheme.
fn remember_password(proxy: &str) {
    let authority = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    if let Some((_, password)) = user.and_then(|user| user.split_once(':')) {
        remember(password);
    }
}

/// Remembers the secrets in the arguments, and refuses those that no argument can take, before anything else reads or
/// prints them. `args` begins with the program's name.
///
/// # Errors
/// Returns an error that says where the credential belongs.
pub(super) fn check_arguments(args: &[OsString]) -> Result<()> {
    let args = || args.iter().skip(1).map(|arg| arg.to_string_lossy());
    args().for_each(|arg| remember_within(&arg));
    for arg in args() {
        let value = match arg.split_once('=') {
            Some((option, value)) if option.starts_with("--") => value,
            _ => &arg,
        };
        check_argument(value)?;
    }
    match args().next() {
        Some(source) if source.contains("://") => Err(Error::new("the command before the source is missing")
            .with_hint("write presync dry-run SOURCE; presync help lists all commands")),
        _ => Ok(()),
    }
}

/// Refuses a secret, such as a URL with a SAS or a password, as the value of anything but a source: as a file's name, it
/// would be written to the disk.
///
/// # Errors
/// Returns an error that names the option.
pub(super) fn check_options(matches: &ArgMatches) -> Result<()> {
    if let Some((_, matches)) = matches.subcommand() {
        return check_options(matches);
    }
    for id in matches.ids() {
        for value in matches.try_get_raw(id.as_str()).ok().flatten().into_iter().flatten() {
            check_value(id.as_str(), value)?;
        }
    }
    Ok(())
}

/// Refuses a secret as the value of the option with this ID, unless it is a source.
///
/// # Errors
/// Returns an error that names the option.
pub(super) fn check_value(id: &str, value: &OsStr) -> Result<()> {
    let is_secret = !Path::new(value).exists() && value.to_str().is_some_and(|value| redact(value) != value);
    if !is_secret || SOURCES.contains(&id) {
        return Ok(());
    }
    Err(Error::new(format!("the value of '{}' holds a secret", id.replace('_', "-"))).with_hint(
        "only a source can be the URL of a container with a SAS, in quotes; rename a file of this name",
    ))
}

/// Remembers the secrets in a value, and refuses one that no argument can take.
///
/// # Errors
/// Returns an error that says where the credential belongs.
pub(super) fn check_argument(arg: &str) -> Result<()> {
    remember_within(arg);
    // A file that exists may have any name.
    misplaced(arg).filter(|_| !Path::new(arg).exists()).map_or(Ok(()), Err)
}

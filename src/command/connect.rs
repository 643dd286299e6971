//! `presync connect`: the commands that let the platform read a container, and a name for it in `presync.toml`.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::{AzureArgs, ColorArgs};
use super::exit::Exit;
use super::output::stdout;
use super::say;
use super::target::{Resolved, Target};
use super::values::{one_line, origin, profile};
use crate::connections::{self, Added, Connection, FILE_NAME};
use crate::model::error::{Error, Result};
use crate::report;
use crate::report::runner::Syntax;
use crate::rules::Profile;
use crate::source::azure::commands::{Account, Shell};
use crate::source::location::{ContainerUrl, Environment, Location};

mod script;
mod template;

/// A placeholder for the origin of the platform's site, if the profile has none.
const ORIGIN: &str = "<ORIGIN>";
/// A placeholder for the ID of the platform's application, which only the platform knows.
const APP_ID: &str = "<APP-ID>";

/// What to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Azure CLI commands for bash
    #[default]
    Bash,
    /// Azure CLI commands for PowerShell
    #[value(name = "powershell")]
    PowerShell,
    /// A Bicep file
    Bicep,
    /// A Terraform configuration
    Terraform,
}

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// A container as https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME for a connection in presync.toml
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Write the container to presync.toml as @NAME
    #[arg(long, value_name = "NAME")]
    write: Option<String>,

    /// ID of the platform's application [default: a placeholder]
    #[arg(long, value_name = "ID", value_parser = one_line)]
    app_id: Option<String>,

    /// What to print
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,

    /// Origin of the platform's site, for CORS; can be repeated [default: the profile's]
    #[arg(long = "origin", value_name = "URL", value_parser = origin)]
    origins: Vec<String>,

    /// The platform: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    profile: Option<String>,

    /// Subscription of the storage account [default: looked up by az]
    #[arg(long, value_name = "ID", value_parser = one_line)]
    subscription: Option<String>,

    /// Resource group of the storage account [default: looked up by az]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    resource_group: Option<String>,

    #[command(flatten)]
    color: ColorArgs,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,
}

/// Prints the commands to run, and with `--write` adds the connection to `presync.toml`.
///
/// # Errors
/// Returns an error if the source isn't a container or breaks a naming rule, or if the connection cannot be written.
pub(super) fn run(args: &ConnectArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    let mut azure = args.azure.clone();
    if args.write.is_some() && args.source.to_str().is_some_and(|source| !source.starts_with('@')) {
        // With --write, --config names the file to write, which may not exist yet.
        azure.config = None;
    }
    let target = Target { source: &args.source, azure: &azure, profile: args.profile.as_deref() };
    let resolved = Resolved::source(target, &environment)?;
    let Location::Container(url) = &resolved.location else {
        return Err(Error::new(format!("'{}' is a folder, which needs no connection", resolved.location))
            .with_hint("give a container, such as https://ACCOUNT.blob.core.windows.net/CONTAINER"));
    };
    let Some(account) = url.account() else {
        return Err(Error::new(format!("the storage account behind '{}' is unknown", url.endpoint()))
            .with_hint("add --account NAME"));
    };
    if let Some(name) = &args.write {
        write(name, &connection(url, account, resolved.connection.as_ref(), args), args)?;
        if url.sas().is_some() {
            say("the SAS was not written, because the file is shared: set AZURE_STORAGE_SAS_TOKEN");
        }
    }
    let mut out = stdout(Syntax::Text, args.color.choice());
    let mut origins = resolved.origins(&args.origins)?;
    if origins.is_empty() {
        origins.push(ORIGIN.to_owned());
    }
    let plan = Plan {
        url,
        account: Account {
            name: account,
            subscription: args.subscription.as_deref(),
            resource_group: args.resource_group.as_deref(),
        },
        app_id: args.app_id.as_deref(),
        origins: &origins,
        is_origin_assumed: args.origins.is_empty(),
    };
    let printed = match args.format {
        _ if url.is_emulator() => script::print_none(&mut out, &plan),
        Format::Bash => script::print(&mut out, &plan, Shell::Bash),
        Format::PowerShell => script::print(&mut out, &plan, Shell::PowerShell),
        Format::Bicep => template::print_bicep(&mut out, &plan),
        Format::Terraform => template::print_terraform(&mut out, &plan),
    };
    printed.and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}

/// What the platform needs.
struct Plan<'a> {
    url: &'a ContainerUrl,
    account: Account<'a>,
    /// The ID of the platform's application.
    app_id: Option<&'a str>,
    /// The origins of the platform's site.
    origins: &'a [String],
    is_origin_assumed: bool,
}

impl Plan<'_> {
    fn app_id(&self) -> &str {
        self.app_id.unwrap_or(APP_ID)
    }
}

/// The container as a connection. If the source is one already, its other settings are kept.
fn connection(
    url: &ContainerUrl,
    account: &str,
    from: Option<&Connection>,
    args: &ConnectArgs,
) -> Connection {
    let usual = format!("https://{account}.blob.core.windows.net");
    let connection = from.cloned().unwrap_or_else(|| Connection {
        account: Some(account.to_owned()),
        container: url.container().to_owned(),
        endpoint: Some(url.endpoint().to_owned()).filter(|endpoint| *endpoint != usual),
        ..Default::default()
    });
    let auth = args.azure.auth.or(connection.auth);
    let profile = args.profile.as_deref().map(Profile::whole_name).or(connection.profile);
    Connection { prefix: url.prefix().to_owned(), auth, profile, ..connection }
}

fn write(name: &str, connection: &Connection, args: &ConnectArgs) -> Result<()> {
    let nearest = || env::current_dir().ok().and_then(|folder| connections::find(&folder));
    let path = args.azure.config.clone().or_else(nearest).unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let name_of_file = path.display();
    match connections::add(&path, name, connection)? {
        Added::New => say(&format!("wrote @{name} to '{name_of_file}'")),
        Added::Before => say(&format!("'{name_of_file}' already has this connection @{name}")),
    }
    Ok(())
}

//! `presync connect`: the commands that let the platform read a container, and a name for it in `presync.toml`.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use anstream::AutoStream;
use clap::Args;

use super::args::{AzureArgs, ColorArgs};
use super::exit::Exit;
use super::say;
use super::target::{Resolved, Target};
use super::values::{one_line, origin};
use crate::connections::{self, Added, Connection, FILE_NAME};
use crate::model::error::{Error, Result};
use crate::report::style::{BOLD, DIM};
use crate::report::{self, shown};
use crate::rules::Profile;
use crate::source::azure;
use crate::source::location::{ContainerUrl, Environment, Location};

/// A placeholder for the ID of the platform's application, which only the platform knows.
const APP_ID: &str = "<APP-ID>";
/// The least privileged role that can list and read ("Azure built-in roles for Storage").
const ROLE: &str = "Storage Blob Data Reader";
/// How long a browser may cache the CORS rule, in seconds.
const CORS_MAX_AGE: &str = "3600";

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

    /// Origin of the platform's site, for CORS; can be repeated [default: the profile's]
    #[arg(long = "origin", value_name = "URL", value_parser = origin)]
    origins: Vec<String>,

    /// The platform: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE")]
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
    let steps = match url.is_emulator() {
        true => Vec::new(),
        false => {
            let origins = resolved.origins(&args.origins)?;
            vec![principal(args)?, role(account, url.container(), args)?, cors(account, args, &origins)?]
        }
    };
    if let Some(name) = &args.write {
        write(name, &connection(url, account, resolved.connection.as_ref(), args), args)?;
        if url.sas().is_some() {
            say("the SAS was not written, because the file is shared: set AZURE_STORAGE_SAS_TOKEN");
        }
    }
    let mut out = AutoStream::new(io::stdout(), args.color.choice());
    print(&mut out, url, &steps).and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
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

/// An Azure CLI command, ready for a shell.
struct Step {
    title: &'static str,
    why: Vec<String>,
    command: &'static str,
    /// Each option with its value, which is quoted for the shell.
    options: Vec<(&'static str, String)>,
}

fn principal(args: &ConnectArgs) -> Result<Step> {
    let mut why = vec!["gives the platform's application an identity in your directory".to_owned()];
    if args.app_id.is_none() {
        why.push(format!("replace {APP_ID} with the application's ID, or pass --app-id"));
    }
    let options = vec![("--id", app_id(args)?)];
    Ok(Step { title: "Service principal", why, command: "az ad sp create", options })
}

fn role(account: &str, container: &str, args: &ConnectArgs) -> Result<Step> {
    let condition = azure::role_condition(container);
    let why = [
        "lets it list and read; the condition limits it to this container",
        "on the account, because listing fails with a role on the container alone",
        "if az does not find the principal yet, run this again after a minute",
    ];
    let options = vec![
        ("--assignee", app_id(args)?),
        ("--role", quoted(ROLE)?),
        ("--scope", scope(account, args)?),
        ("--condition-version", "2.0".to_owned()),
        ("--condition", quoted(&condition)?),
    ];
    let why = why.map(str::to_owned).to_vec();
    Ok(Step { title: "Role", why, command: "az role assignment create", options })
}

fn cors(account: &str, args: &ConnectArgs, origins: &[String]) -> Result<Step> {
    let mut why = vec!["lets a browser on the platform's site play videos from the account".to_owned()];
    if args.origins.is_empty() {
        let site = origins.first().map_or("<ORIGIN>", String::as_str);
        why.push(format!("assumes that the site is {site}; pass --origin for another one"));
    }
    let placeholder = ["<ORIGIN>".to_owned()];
    let origins = if origins.is_empty() { &placeholder } else { origins };
    let origins: Vec<_> = origins.iter().map(|origin| quoted(origin)).collect::<Result<_>>()?;
    let options = vec![
        ("--account-name", quoted(account)?),
        ("--services", "b".to_owned()),
        ("--methods", "GET".to_owned()),
        ("--origins", origins.join(" ")),
        // A player may send and read any headers.
        ("--allowed-headers", quoted("*")?),
        ("--exposed-headers", quoted("*")?),
        ("--max-age", CORS_MAX_AGE.to_owned()),
    ];
    Ok(Step { title: "CORS", why, command: "az storage cors add", options })
}

fn app_id(args: &ConnectArgs) -> Result<String> {
    quoted(args.app_id.as_deref().unwrap_or(APP_ID))
}

/// The account's resource ID, or the command that looks it up.
fn scope(account: &str, args: &ConnectArgs) -> Result<String> {
    let (subscription, group) = (args.subscription.as_deref(), args.resource_group.as_deref());
    if let (Some(subscription), Some(group)) = (subscription, group) {
        let id = format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}"
        );
        return quoted(&id);
    }
    let mut lookup = format!("az storage account show --name {}", quoted(account)?);
    for (option, value) in [("--subscription", subscription), ("--resource-group", group)] {
        if let Some(value) = value {
            lookup += &format!(" {option} {}", quoted(value)?);
        }
    }
    Ok(format!("\"$({lookup} --query id --output tsv)\""))
}

/// A word, quoted for a shell.
fn quoted(word: &str) -> Result<String> {
    let quoted = shlex::try_quote(word).map(Cow::into_owned);
    quoted.map_err(|_| Error::new("an option contains a NUL character, which a shell cannot pass on"))
}

/// Prints a bash script, where everything but the commands is a comment.
fn print(out: &mut impl Write, url: &ContainerUrl, steps: &[Step]) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "# {BOLD}presync connect{BOLD:#} {DIM}{version}{DIM:#}\n#")?;
    let rows = [
        ("source", Some(url.to_string())),
        ("account", url.account().map(str::to_owned)),
        ("container", Some(url.container().to_owned())),
        ("prefix", Some(url.prefix().to_owned()).filter(|prefix| !prefix.is_empty())),
    ];
    for (label, value) in rows {
        if let Some(value) = value {
            writeln!(out, "#   {DIM}{label:<10}{DIM:#}  {}", shown(&value))?;
        }
    }
    if steps.is_empty() {
        return writeln!(
            out,
            "#\n# {DIM}An emulator has no directory and no roles: there is nothing to run.{DIM:#}"
        );
    }
    writeln!(out, "#\n# {DIM}For bash. First run az login, as a user who may assign roles.{DIM:#}")?;
    for (number, step) in (1..).zip(steps) {
        writeln!(out, "\n# {BOLD}{number}. {}{BOLD:#}", step.title)?;
        for line in &step.why {
            writeln!(out, "#    {DIM}{line}{DIM:#}")?;
        }
        write!(out, "{}", step.command)?;
        for (option, value) in &step.options {
            write!(out, " \\\n  {option} {value}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "\n# {DIM}The role can take 5 minutes to take effect.{DIM:#}")
}

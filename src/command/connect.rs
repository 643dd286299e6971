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
use crate::source::azure;
use crate::source::location::{ContainerUrl, Environment, Location};

/// Where the platform's site is, which decides who may play a video in a browser. An assumption.
const ORIGIN: &str = "https://nexus.datature.io";
/// Stands for the platform's application, which nobody but the platform can name.
const APP_ID: &str = "<APP-ID>";
/// The least role that lists and reads ("Azure built-in roles for Storage").
const ROLE: &str = "Storage Blob Data Reader";
/// How long a browser may remember the rule, in seconds.
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

    /// Origin of the platform's site, for CORS; can be repeated [default: https://nexus.datature.io]
    #[arg(long = "origin", value_name = "URL", value_parser = origin)]
    origins: Vec<String>,

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

/// Prints what to run, and writes the connection if that is asked for.
///
/// # Errors
/// When the source is no container, breaks a naming rule, or cannot be written.
pub(super) fn run(args: &ConnectArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    let mut azure = args.azure.clone();
    if args.write.is_some() && args.source.to_str().is_some_and(|source| !source.starts_with('@')) {
        // The file that is to be written may not be there yet.
        azure.config = None;
    }
    let target = Target { source: &args.source, azure: &azure, profile: None };
    let resolved = Resolved::source(target, &environment)?;
    let Location::Container(url) = &resolved.location else {
        return Err(Error::new(format!("'{}' is a folder, which needs no connection", resolved.location))
            .with_hint("give a container, such as https://ACCOUNT.blob.core.windows.net/CONTAINER"));
    };
    let Some(account) = url.account() else {
        return Err(Error::new(format!("the storage account behind {} is not known", url.endpoint()))
            .with_hint("add --account NAME"));
    };
    let steps = match url.is_emulator() {
        true => Vec::new(),
        false => {
            vec![principal(args)?, role(account, url.container(), args)?, cors(account, args)?]
        }
    };
    if let Some(name) = &args.write {
        write(name, &connection(url, account, resolved.connection.as_ref(), args), args)?;
        if url.sas().is_some() {
            say("the SAS is not written, because the file is shared: set AZURE_STORAGE_SAS_TOKEN");
        }
    }
    let mut out = AutoStream::new(io::stdout(), args.color.choice());
    print(&mut out, url, &steps).and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}

/// The container as a connection; one that is a connection already keeps what else it says.
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
    Connection { prefix: url.prefix().to_owned(), auth, ..connection }
}

fn write(name: &str, connection: &Connection, args: &ConnectArgs) -> Result<()> {
    let nearest = || env::current_dir().ok().and_then(|folder| connections::find(&folder));
    let path = args.azure.config.clone().or_else(nearest).unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let name_of_file = path.display();
    match connections::add(&path, name, connection)? {
        Added::New => say(&format!("wrote @{name} to '{name_of_file}'")),
        Added::Before => say(&format!("'{name_of_file}' has this connection @{name} already")),
    }
    Ok(())
}

/// A command of the Azure CLI, ready for a shell.
struct Step {
    title: &'static str,
    why: Vec<String>,
    command: &'static str,
    /// Each option, and its value as the shell has to see it.
    options: Vec<(&'static str, String)>,
}

fn principal(args: &ConnectArgs) -> Result<Step> {
    let mut why = vec!["gives the platform's application an identity in your directory".to_owned()];
    if args.app_id.is_none() {
        why.push(format!("replace {APP_ID} by the application's id, or give --app-id"));
    }
    let options = vec![("--id", app_id(args)?)];
    Ok(Step { title: "Service principal", why, command: "az ad sp create", options })
}

fn role(account: &str, container: &str, args: &ConnectArgs) -> Result<Step> {
    let condition = azure::role_condition(container);
    let why = [
        "lets it list and read; the condition keeps it to this container",
        "on the account, because with a role on the container alone the listing fails",
        "if az does not find the principal yet, run it again after a minute",
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

fn cors(account: &str, args: &ConnectArgs) -> Result<Step> {
    let mut why = vec!["lets a browser on the platform's site play videos out of the account".to_owned()];
    let mut origins = args.origins.clone();
    if origins.is_empty() {
        why.push(format!("that the site is {ORIGIN} is assumed; --origin names another"));
        origins.push(ORIGIN.to_owned());
    }
    let origins: Vec<_> = origins.iter().map(|origin| quoted(origin)).collect::<Result<_>>()?;
    let options = vec![
        ("--account-name", quoted(account)?),
        ("--services", "b".to_owned()),
        ("--methods", "GET".to_owned()),
        ("--origins", origins.join(" ")),
        // Which headers a player sends and reads is its own business.
        ("--allowed-headers", quoted("*")?),
        ("--exposed-headers", quoted("*")?),
        ("--max-age", CORS_MAX_AGE.to_owned()),
    ];
    Ok(Step { title: "CORS", why, command: "az storage cors add", options })
}

fn app_id(args: &ConnectArgs) -> Result<String> {
    quoted(args.app_id.as_deref().unwrap_or(APP_ID))
}

/// The account's resource id, or the command that looks it up.
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

/// A word as a shell reads it back.
fn quoted(word: &str) -> Result<String> {
    let quoted = shlex::try_quote(word).map(Cow::into_owned);
    quoted.map_err(|_| Error::new("an option holds a NUL, which no shell can pass on"))
}

/// A script for bash: everything that is no command is a comment.
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
            "#\n# {DIM}An emulator has neither a directory nor roles: nothing is to be run.{DIM:#}"
        );
    }
    writeln!(out, "#\n# {DIM}For bash, signed in with az login as someone who may assign roles.{DIM:#}")?;
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
    writeln!(out, "\n# {DIM}The role can take 5 minutes to arrive.{DIM:#}")
}

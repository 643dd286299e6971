//! `presync connect`: the commands that let the platform read a container, and a name for it in `presync.toml`.

use std::borrow::Cow;
use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

use anstream::AutoStream;

use super::say;
use super::target::Resolved;
use crate::config::{Connect, Target};
use crate::connections::{self, Added, Connection, FILE_NAME};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::report::style::{BOLD, DIM};
use crate::report::{self, shown};
use crate::source::azure::AuthMode;
use crate::source::location::{ContainerUrl, Environment, Location};

/// Where the platform's site is, which decides who may play a video in a browser. An assumption.
const ORIGIN: &str = "https://nexus.datature.io";
/// Stands for the platform's application, which nobody but the platform can name.
const APP_ID: &str = "<APP-ID>";
/// The least role that lists and reads ("Azure built-in roles for Storage").
const ROLE: &str = "Storage Blob Data Reader";
/// The right to list and to read ("Actions and attributes for Azure role assignment conditions", Read a blob).
const READ: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
/// The attribute that holds the container's name (the same page, Container name).
const CONTAINER_NAME: &str = "Microsoft.Storage/storageAccounts/blobServices/containers:name";
/// How long a browser may remember the rule, in seconds.
const CORS_MAX_AGE: &str = "3600";

/// Prints what to run, and writes the connection if that is asked for.
///
/// # Errors
/// When the source is no container, breaks a naming rule, or cannot be written.
pub fn run(settings: &Connect) -> Result<Exit> {
    let environment = Environment::of_process();
    let resolved = match (&settings.write, settings.target.source.to_str()) {
        // The file that is to be written may not be there yet.
        (Some(_), Some(source)) if !source.starts_with('@') => {
            Resolved::source(&Target { config: None, ..settings.target.clone() }, &environment)?
        }
        _ => Resolved::source(&settings.target, &environment)?,
    };
    let Location::Container(url) = &resolved.location else {
        return Err(Error::new(format!("'{}' is a folder, which needs no connection", resolved.location))
            .hint("give a container, such as https://ACCOUNT.blob.core.windows.net/CONTAINER"));
    };
    let Some(account) = url.account() else {
        return Err(Error::new(format!("the storage account behind {} is not known", url.endpoint()))
            .hint("add --account NAME"));
    };
    let steps = if url.is_emulator() { Vec::new() } else { steps(account, url.container(), settings)? };
    if let Some(name) = &settings.write {
        let auth = Some(resolved.auth).filter(|auth| *auth != AuthMode::Auto);
        write(name, &connection(url, account, auth, resolved.connection.as_ref()), settings)?;
        if url.sas().is_some() {
            say("the SAS is not written, because the file is shared: set AZURE_STORAGE_SAS_TOKEN");
        }
    }
    let mut out = AutoStream::new(io::stdout(), settings.color.into());
    print(&mut out, url, &steps).and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}

/// The container as a connection, with what a connection that it comes from says besides.
fn connection(
    url: &ContainerUrl,
    account: &str,
    auth: Option<AuthMode>,
    from: Option<&Connection>,
) -> Connection {
    let usual = format!("https://{account}.blob.core.windows.net");
    Connection {
        account: Some(account.to_owned()),
        container: url.container().to_owned(),
        prefix: url.prefix().to_owned(),
        endpoint: Some(url.endpoint().to_owned()).filter(|endpoint| *endpoint != usual),
        auth,
        ..from.cloned().unwrap_or_default()
    }
}

fn write(name: &str, connection: &Connection, settings: &Connect) -> Result<()> {
    let nearest = || env::current_dir().ok().and_then(|folder| connections::find(&folder));
    let path = settings.target.config.clone().or_else(nearest).unwrap_or_else(|| PathBuf::from(FILE_NAME));
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

fn steps(account: &str, container: &str, settings: &Connect) -> Result<Vec<Step>> {
    let app_id = settings.app_id.as_deref();
    let app = quoted(app_id.unwrap_or(APP_ID))?;
    let mut why_principal = vec!["gives the platform's application an identity in your directory".to_owned()];
    if app_id.is_none() {
        why_principal.push(format!("replace {APP_ID} by the application's id, or give --app-id"));
    }
    let condition = format!(
        "((!(ActionMatches{{'{READ}'}})) OR (@Resource[{CONTAINER_NAME}] StringEquals '{container}'))"
    );
    let assumed = vec![ORIGIN.to_owned()];
    let mut why_cors =
        vec!["lets a browser on the platform's site play videos out of the account".to_owned()];
    let origins = match settings.origins.is_empty() {
        true => {
            why_cors.push(format!("that the site is {ORIGIN} is assumed; --origin names another"));
            &assumed
        }
        false => &settings.origins,
    };
    let origins: Vec<_> = origins.iter().map(|origin| quoted(origin)).collect::<Result<_>>()?;
    Ok(vec![
        Step {
            title: "Service principal",
            why: why_principal,
            command: "az ad sp create",
            options: vec![("--id", app.to_string())],
        },
        Step {
            title: "Role",
            why: vec![
                "lets it list and read; the condition keeps it to this container".to_owned(),
                "on the account, because with a role on the container alone the listing fails".to_owned(),
                "if az does not find the principal yet, run it again after a minute".to_owned(),
            ],
            command: "az role assignment create",
            options: vec![
                ("--assignee", app.to_string()),
                ("--role", quoted(ROLE)?.into_owned()),
                ("--scope", scope(account, settings)?),
                ("--condition-version", "2.0".to_owned()),
                ("--condition", quoted(&condition)?.into_owned()),
            ],
        },
        Step {
            title: "CORS",
            why: why_cors,
            command: "az storage cors add",
            options: vec![
                ("--account-name", quoted(account)?.into_owned()),
                ("--services", "b".to_owned()),
                ("--methods", "GET".to_owned()),
                ("--origins", origins.join(" ")),
                // Which headers a player sends and reads is its own business.
                ("--allowed-headers", "'*'".to_owned()),
                ("--exposed-headers", "'*'".to_owned()),
                ("--max-age", CORS_MAX_AGE.to_owned()),
            ],
        },
    ])
}

/// The account's resource id, or the command that looks it up.
fn scope(account: &str, settings: &Connect) -> Result<String> {
    let (subscription, group) = (settings.subscription.as_deref(), settings.resource_group.as_deref());
    if let (Some(subscription), Some(group)) = (subscription, group) {
        let id = format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}"
        );
        return Ok(quoted(&id)?.into_owned());
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
fn quoted(word: &str) -> Result<Cow<'_, str>> {
    shlex::try_quote(word).map_err(|_| Error::new("an option holds a NUL, which no shell can pass on"))
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

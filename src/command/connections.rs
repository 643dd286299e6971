//! `presync connections`: the connections of `presync.toml`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::args::ColorArgs;
use super::exit::Exit;
use super::output::{stdout, syntax};
use super::target::{connections, default_profile};
use crate::connections::Connection;
use crate::model::error::Result;
use crate::report::style::{BOLD, DIM};
use crate::report::{self, TextOrJson, shown};
use crate::source::location::Environment;

#[derive(Debug, Args)]
pub(super) struct ConnectionsArgs {
    /// File with the connections [default: the nearest presync.toml, in this folder or above]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Format of the output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJson,

    /// Print only the names, one a line, for the completion of shells
    #[arg(long, hide = true)]
    names: bool,

    #[command(flatten)]
    color: ColorArgs,
}

/// A connection, without what only its use decides, such as the credential.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    /// The URL of its container and prefix, or `az://CONTAINER/PREFIX` if its account is not known here.
    source: String,
    profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn new(name: &'a str, connection: &'a Connection, env: &Environment) -> Self {
        let Connection { container, prefix, profile, auth, workspace, project, .. } = connection;
        let url = connection.url(None, prefix, env);
        Self {
            name,
            source: url.map_or_else(|_| format!("az://{container}/{prefix}"), |url| url.to_string()),
            profile: profile.clone().unwrap_or_else(default_profile),
            auth: auth.map(|auth| auth.to_string()),
            workspace: workspace.as_deref(),
            project: project.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    format_version: &'static str,
    connections: Vec<Entry<'a>>,
}

/// Prints the connections, in alphabetical order.
///
/// # Errors
/// Returns an error if there is no such file, if it is not valid, or if stdout cannot be written.
pub(super) fn run(args: &ConnectionsArgs) -> Result<Exit> {
    let (environment, connections) = (Environment::of_process(), connections(args.config.as_deref())?);
    let entries = connections.all().map(|(name, connection)| Entry::new(name, connection, &environment));
    let mut out = stdout(syntax(args.format), args.color.choice());
    let written = match args.format {
        _ if args.names => connections.names().try_for_each(|name| writeln!(out, "@{}", shown(name))),
        TextOrJson::Text => text(&mut out, entries.collect()),
        TextOrJson::Json => {
            report::document(&Document { format_version: "1.0", connections: entries.collect() }, &mut out)
        }
    };
    written.and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}

fn text(out: &mut impl Write, entries: Vec<Entry<'_>>) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(out, "There are no connections; add one with presync connect SOURCE --write NAME.");
    }
    for Entry { name, source, profile, auth, workspace, project } in entries {
        writeln!(out, "{BOLD}@{}{BOLD:#}", shown(name))?;
        let rows = [
            ("source", Some(source.as_str())),
            ("profile", Some(&profile)),
            ("auth", auth.as_deref()),
            ("workspace", workspace),
            ("project", project),
        ];
        for (label, value) in rows.into_iter().filter_map(|(label, value)| Some((label, value?))) {
            writeln!(out, "  {DIM}{label:<10}{DIM:#}  {}", shown(value))?;
        }
    }
    Ok(())
}

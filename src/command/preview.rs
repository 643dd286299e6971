//! `presync preview`: what the listing alone shows.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use futures::TryStreamExt;
use jiff::Timestamp;

use super::args::{AzureArgs, DisplayArgs, FilterArgs};
use super::empty::Nearby;
use super::exit::Exit;
use super::host;
use super::output::Output;
use super::say_rate;
use super::target::{Resolved, Target};
use super::values::profile;
use crate::model::error::Result;
use crate::plan::RunHeader;
use crate::plan::preview::Preview;
use crate::report::{self, ProgressBar, TextOrJson};
use crate::rules::Profile;
use crate::run::Progress;
use crate::source::Depth;
use crate::source::any::AnySource;
use crate::source::azure::{self, Session};
use crate::source::location::Environment;

#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX] for a connection in presync.toml
    #[arg(value_name = "SOURCE")]
    pub source: OsString,

    /// Do not descend into folders; they are counted as not entered
    #[arg(long)]
    pub no_recurse: bool,

    /// Accept a source without a single blob, which is an error otherwise
    #[arg(long)]
    pub allow_empty: bool,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: TextOrJson,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Names")]
    pub names: FilterArgs,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    pub display: DisplayArgs,
}

/// Lists the source and writes the totals.
///
/// # Errors
/// Returns an error if the source cannot be listed to its end, or if the report cannot be written.
pub(super) fn run(args: &PreviewArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    let target = Target { source: &args.source, azure: &args.azure, profile: args.profile.as_deref() };
    let resolved = Resolved::source(target, &environment)?;
    let depth = if args.no_recurse { Depth::Direct } else { Depth::All };
    let profile = Arc::new(Profile::load(&resolved.profile)?);
    let output = Output::open(args.output.as_deref(), args.format, args.display.color.choice())?;
    let begun = Instant::now();
    let connection = resolved.name.clone();
    let (header, preview) = super::runtime()?.block_on(async {
        let options = azure::Options { depth, ..args.azure.options() };
        let session = Arc::new(Session::new(options.limits));
        let (location, auth) = (resolved.location, resolved.auth);
        let source = AnySource::open_in(&session, location.clone(), auth, options, &environment)?;
        let filter = args.names.filter()?;
        let header =
            RunHeader { connection, filter, ..RunHeader::new(source.origin(), profile, Timestamp::now()) };
        let preview = host::unless_stopped(add_up(&source, &header, args)).await?;
        if preview.listed == 0 && !args.allow_empty {
            return Err(Nearby::new(location, auth, options, &environment, session)
                .error(preview.excluded)
                .await);
        }
        Ok((header, preview))
    })?;
    report::preview::write(args.format, &header, &preview, output.writer(), output.width)
        .map_err(|error| report::output(&error))?;
    output.keep()?;
    if args.display.shows_rate() {
        say_rate(preview.listed, begun.elapsed());
    }
    Ok(if preview.unreachable == 0 { Exit::Clean } else { Exit::Incomplete })
}

async fn add_up(source: &AnySource, header: &RunHeader, args: &PreviewArgs) -> Result<Preview> {
    let progress = Arc::new(Progress::default());
    host::watch(&progress);
    let _bar = args.display.progress().map(|style| ProgressBar::show_listing(style, Arc::clone(&progress)));
    let mut preview = Preview::new(&header.origin.prefix);
    let (mut listing, excluded) = source.list_filtered(&header.filter);
    while let Some(page) = listing.try_next().await? {
        page.iter().for_each(|blob| preview.add(blob));
        progress.add_listed(page.len() as u64);
    }
    preview.excluded = excluded.load(Ordering::Relaxed);
    preview.finish();
    Ok(preview)
}

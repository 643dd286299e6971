//! `presync audit`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::common::{AzureArgs, DisplayArgs, PerformanceArgs, TextOrJsonArg};
use super::values::one_line;
use crate::checkpoint;
use crate::config::Audit;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Folders, containers or connections, as presync dry-run takes them; without any, every container of --account
    #[arg(value_name = "SOURCE")]
    sources: Vec<OsString>,

    /// Audit every connection of presync.toml
    #[arg(long)]
    all: bool,

    /// The folder for a plan of each container; what lies there already makes the audit read only what changed
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// All containers sync into one project: look for basenames that several of them have [default: the connections'
    /// project]
    #[arg(long)]
    one_project: bool,

    /// Compare what all containers cost together with what this workspace of the ledger has left this month
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    workspace: Option<String>,

    /// The ledger's file [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE", requires = "workspace")]
    ledger: Option<PathBuf>,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,

    /// How the summary is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJsonArg,

    /// Write the summary to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Exit with 0 instead of 1 when there are findings
    #[arg(long)]
    exit_zero: bool,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    display: DisplayArgs,

    #[command(flatten, next_help_heading = "Performance")]
    performance: PerformanceArgs,
}

impl AuditArgs {
    pub(super) fn resolve(self) -> Audit {
        Audit {
            sources: self.sources,
            all: self.all,
            target: self.azure.target(OsString::new(), self.profile),
            out: self.out,
            workspace: self.workspace,
            ledger: self.ledger,
            one_project: self.one_project,
            format: self.format.into(),
            output: self.output,
            exit_zero: self.exit_zero,
            color: self.display.color.into(),
            progress: !(self.display.no_progress || self.display.quiet),
            verbose: self.display.verbose > 0,
            limits: self.performance.limits(),
            workers: self.performance.workers.map(usize::from),
            queue: self.performance.queue.map(usize::from),
            checkpoint_every: self.performance.checkpoint_every.unwrap_or(checkpoint::EVERY),
        }
    }
}

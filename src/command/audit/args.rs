//! The command line of `presync audit`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::command::args::{AzureArgs, DisplayArgs, PerformanceArgs};
use crate::command::values::{one_line, profile};
use crate::report::TextOrJson;

#[derive(Debug, Args)]
pub(in crate::command) struct AuditArgs {
    /// Folders, containers or connections, as for presync dry-run [default: every container of --account]
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<OsString>,

    /// Audit every connection in presync.toml
    #[arg(long)]
    pub all: bool,

    /// Folder for the plan of each container; if it has plans from an earlier audit, only what has changed is read
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Report basenames that several containers have, as if all sync into one project [default: the connections'
    /// projects]
    #[arg(long)]
    pub one_project: bool,

    /// Compare the total cost with what this workspace of the ledger has left this month
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub workspace: Option<String>,

    /// Path to the ledger [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE", requires = "workspace")]
    pub ledger: Option<PathBuf>,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Format of the summary
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: TextOrJson,

    /// Write the summary to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Exit with 0 instead of 1 if there are findings
    #[arg(long)]
    pub exit_zero: bool,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    pub display: DisplayArgs,

    #[command(flatten, next_help_heading = "Performance")]
    pub performance: PerformanceArgs,
}

//! The command line of `presync audit`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::command::args::{AzureArgs, CheckArgs, ChoiceArgs, DisplayArgs, FilterArgs, PerformanceArgs};
use crate::command::gate::GateArgs;
use crate::command::values::one_line;
use crate::model::Glob;
use crate::report::Format;

#[derive(Debug, Args)]
pub(in crate::command) struct AuditArgs {
    /// Folders, containers or connections, as for presync dry-run [default: every container of --account]
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<OsString>,

    /// Audit every connection in presync.toml
    #[arg(long)]
    pub all: bool,

    /// Only containers whose names match this pattern, such as 'cam-*' or media/site-1; can be repeated
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    pub include_container: Vec<Glob>,

    /// Leave out containers whose names match this pattern, even if they match --include-container; can be repeated
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    pub exclude_container: Vec<Glob>,

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

    /// Compare with the plans in this folder of another audit, instead of those in --out
    #[arg(long, value_name = "DIR")]
    pub baseline: Option<PathBuf>,

    #[command(flatten)]
    pub check: CheckArgs,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub gate: GateArgs,

    #[command(flatten, next_help_heading = "Names")]
    pub names: FilterArgs,

    #[command(flatten, next_help_heading = "Rules")]
    pub rules: ChoiceArgs,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    pub display: DisplayArgs,

    #[command(flatten, next_help_heading = "Performance")]
    pub performance: PerformanceArgs,
}

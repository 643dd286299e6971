//! `presync commit`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::common::{AzureArgs, DisplayArgs, TextOrJsonArg};
use super::values::one_line;
use crate::config::Commit;

const EXIT_CODES: &str = "\
Exit codes:
  0  the plan is committed, now or before; with --dry-run, it would be
  1  the plan is refused, and the report says why; nothing was changed
  2  the run could not start or could not go on";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CommitArgs {
    /// A plan that presync dry-run --plan has written
    #[arg(value_name = "PLAN")]
    plan: PathBuf,

    /// The plan's own source, named with a SAS or as @NAME [default: as the plan names it]
    #[arg(long, value_name = "SOURCE")]
    source: Option<OsString>,

    /// The workspace of the ledger whose quota is reserved [default: the plan's, else the connection's]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    workspace: Option<String>,

    /// The ledger's file [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,

    /// The folder for the manifests, which must not be there yet [default: the plan's name with -commit]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Check everything and say what would be done, but reserve and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Leave out assets that could not be judged, instead of refusing the plan for them
    #[arg(long)]
    allow_unknown: bool,

    /// How the report is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJsonArg,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    display: DisplayArgs,
}

impl CommitArgs {
    pub(super) fn resolve(self) -> Commit {
        Commit {
            plan: self.plan,
            source: self.source,
            account: self.azure.account,
            auth: self.azure.auth,
            config: self.azure.config,
            workspace: self.workspace,
            ledger: self.ledger,
            out: self.out,
            dry_run: self.dry_run,
            allow_unknown: self.allow_unknown,
            format: self.format.into(),
            color: self.display.color.into(),
            progress: !(self.display.no_progress || self.display.quiet),
            verbose: self.display.verbose > 0,
        }
    }
}

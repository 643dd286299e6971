//! The command line of `presync dry-run`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::command::args::{AzureArgs, CheckArgs, ChoiceArgs, DisplayArgs, FilterArgs, PerformanceArgs};
use crate::command::gate::GateArgs;
use crate::command::target::Target;
use crate::command::values::{one_line, shard, whole_number};
use crate::plan_file::ShardOf;
use crate::probe::Want;
use crate::report::Format;
use crate::rules::Limits;
use crate::run::Settings;
use crate::source::any::AnySource;
use crate::source::azure;

/// How many files of a folder are examined at a time by default.
pub(in crate::command) const FILES_AT_ONCE: usize = 64;

/// The arguments of `presync dry-run`. The default is a command line without options.
#[derive(Debug, Default, Args)]
pub(crate) struct DryRunArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX] for a connection in presync.toml
    #[arg(value_name = "SOURCE")]
    pub source: OsString,

    /// List the container from a report of Azure Blob Inventory: its manifest, or its CSV or Parquet files; can be
    /// repeated
    #[arg(long, value_name = "FILE", conflicts_with = "no_recurse")]
    pub inventory: Vec<PathBuf>,

    /// Images left in the platform's quota, or images and frames if they share it [default: the connection's, else no
    /// limit]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub image_quota: Option<u64>,

    /// Frames of video left in the platform's quota [default: the connection's, else no limit]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub frame_quota: Option<u64>,

    /// Data rows left in the platform's quota, for profiles that count them [default: the connection's, else no limit]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub data_row_quota: Option<u64>,

    /// Keep this much of the quota free, such as data rows for annotation pairs
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub reserve: Option<u64>,

    /// Use what this workspace of the ledger has left as the quota, and what it knows to be synced [default: the
    /// connection's, else none]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub workspace: Option<String>,

    /// Path to the ledger [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,

    #[command(flatten)]
    pub check: CheckArgs,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
    pub output: Option<PathBuf>,

    /// Save every asset with its facts and verdict to a Parquet file, for presync report and for queries
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,

    /// Resume an interrupted run of the plan without repeating what is done
    #[arg(long, requires = "plan")]
    pub resume: bool,

    /// Check only shard I of N, counted from 0, and write it to --out as a part of the plan; presync report DIR merges
    /// the parts and applies the quota
    #[arg(long, value_name = "I/N", value_parser = shard, requires = "out")]
    #[arg(conflicts_with_all = ["plan", "resume", "baseline", "output", "format", "exit_zero", "fail_on", "max_rejected"])]
    pub shard: Option<ShardOf>,

    /// Folder for the parts of all shards
    #[arg(long, value_name = "DIR", requires = "shard")]
    pub out: Option<PathBuf>,

    /// Read only what has changed since this plan, and report what was added, removed and changed, and which findings are
    /// new
    #[arg(long, value_name = "PLAN", required_if_eq("fail_on", "new"))]
    pub baseline: Option<PathBuf>,

    /// Count what this plan accepts as synced already: unchanged, it costs nothing again. With a workspace, the ledger
    /// knows this after presync quota confirm
    #[arg(long, value_name = "PLAN")]
    pub synced: Option<PathBuf>,

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

impl DryRunArgs {
    pub(in crate::command) fn target(&self) -> Target<'_> {
        Target { source: &self.source, azure: &self.azure, profile: self.check.profile.as_deref() }
    }

    /// The limits of the quota.
    pub(in crate::command) fn limits(&self) -> Limits {
        Limits { images: self.image_quota, frames: self.frame_quota, data_rows: self.data_row_quota }
    }

    /// The shard of this run, and the folder for its part of the plan.
    pub(in crate::command) fn share(&self) -> Option<(ShardOf, &Path)> {
        self.shard.zip(self.out.as_deref())
    }

    /// The settings of the run's pipeline.
    pub(in crate::command) fn pipeline(&self, source: &AnySource) -> Settings {
        let at_once = match source {
            AnySource::Folder(_) => FILES_AT_ONCE,
            // The source's own limiter decides how many of them are in flight at a time.
            AnySource::Container(_) => azure::MAX_CONCURRENCY,
        };
        let mut pipeline = Settings::with_concurrency(self.performance.limits.concurrency.unwrap_or(at_once));
        pipeline.workers = self.performance.workers.unwrap_or(pipeline.workers);
        pipeline.queue = self.performance.queue.unwrap_or(pipeline.queue);
        pipeline.want = Want { thumbnails: self.format == Format::Html, ..self.check.want() };
        pipeline
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    #[test]
    fn the_default_is_a_command_line_without_options() {
        let command = DryRunArgs::augment_args(Command::new("dry-run"));
        let matches = command.try_get_matches_from(["dry-run", "SOURCE"]).expect("it needs no option");
        let parsed = DryRunArgs::from_arg_matches(&matches).expect("it is complete");
        let default = DryRunArgs { source: "SOURCE".into(), ..DryRunArgs::default() };
        assert_eq!(format!("{parsed:?}"), format!("{default:?}"));
    }
}

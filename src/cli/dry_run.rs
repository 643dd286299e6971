//! `presync dry-run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::common::{AzureArgs, ChoiceArgs, DisplayArgs, PerformanceArgs};
use super::values::{one_line, shard, whole_number};
use super::{FormatArg, depth};
use crate::checkpoint;
use crate::config::DryRun;
use crate::model::Admit;
use crate::plan_file::ShardOf;
use crate::probe;

#[derive(Debug, Args)]
pub(super) struct DryRunArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX], a connection of presync.toml
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Take only what lies directly under the prefix; folders are listed as not entered
    #[arg(long)]
    no_recurse: bool,

    /// List the container from a report of Azure Blob Inventory: its manifest, or its CSV or Parquet files; may be given
    /// several times
    #[arg(long, value_name = "FILE", conflicts_with = "no_recurse")]
    inventory: Vec<PathBuf>,

    /// Images that the platform's quota has left [default: the connection's, else no limit]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    image_quota: Option<u64>,

    /// Frames of video that the platform's quota has left [default: the connection's, else no limit]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    frame_quota: Option<u64>,

    /// Take this month's limits, and what of them is used and reserved, from this workspace of the ledger [default:
    /// the connection's, else none]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    workspace: Option<String>,

    /// The ledger's file [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,

    /// Who gets a quota that is too low for all
    #[arg(long, value_enum, value_name = "ORDER", default_value_t)]
    admit: AdmitArg,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,

    /// Read on for width and height where what the rules need does not show them
    #[arg(long)]
    dimensions: bool,

    /// Reads that counting the frames of one fragmented video may take
    #[arg(long, value_name = "N", default_value_t = probe::MAX_READS)]
    max_reads: u32,

    /// Read the end of each JPEG too, and warn of those whose picture is cut
    #[arg(long)]
    check_end: bool,

    /// How the report is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: FormatArg,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
    output: Option<PathBuf>,

    /// Keep every asset with its facts and verdict in a Parquet file, for presync report and for queries
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,

    /// Take up the run that was broken off while it wrote the plan: what it has done is not done again
    #[arg(long, requires = "plan")]
    resume: bool,

    /// Examine only shard I of N, counted from 0, and write it to --out as a part of the plan: presync report DIR puts
    /// the parts together and weighs the quota
    #[arg(long, value_name = "I/N", value_parser = shard, requires = "out")]
    #[arg(conflicts_with_all = ["plan", "resume", "baseline", "output", "format", "exit_zero"])]
    shard: Option<ShardOf>,

    /// The folder for the parts of all shards
    #[arg(long, value_name = "DIR", requires = "shard")]
    out: Option<PathBuf>,

    /// Read only what has changed since this plan, and say what came, went and changed
    #[arg(long, value_name = "PLAN")]
    baseline: Option<PathBuf>,

    /// Exit with 0 instead of 1 when there are findings
    #[arg(long)]
    exit_zero: bool,

    #[command(flatten, next_help_heading = "Rules")]
    rules: ChoiceArgs,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    display: DisplayArgs,

    #[command(flatten, next_help_heading = "Performance")]
    performance: PerformanceArgs,
}

/// In which order the quota is spent.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum AdmitArg {
    /// Whoever is listed first, as the platform does it
    #[default]
    Listing,
    /// The cheapest first, so that as many as possible fit
    MostAssets,
    /// The last written first
    Newest,
}

impl From<AdmitArg> for Admit {
    fn from(admit: AdmitArg) -> Self {
        match admit {
            AdmitArg::Listing => Self::Listing,
            AdmitArg::MostAssets => Self::MostAssets,
            AdmitArg::Newest => Self::Newest,
        }
    }
}

impl DryRunArgs {
    pub(super) fn resolve(self) -> DryRun {
        DryRun {
            target: self.azure.target(self.source, self.profile),
            inventory: self.inventory,
            rules: self.rules.into(),
            depth: depth(self.no_recurse),
            image_quota: self.image_quota,
            frame_quota: self.frame_quota,
            workspace: self.workspace,
            ledger: self.ledger,
            admit: self.admit.into(),
            dimensions: self.dimensions,
            max_reads: self.max_reads,
            check_end: self.check_end,
            format: self.format.into(),
            output: self.output,
            plan: self.plan,
            shard: self.shard.zip(self.out),
            resume: self.resume,
            checkpoint_every: self.performance.checkpoint_every.unwrap_or(checkpoint::EVERY),
            baseline: self.baseline,
            exit_zero: self.exit_zero,
            color: self.display.color.into(),
            progress: !(self.display.no_progress || self.display.quiet),
            verbose: self.display.verbose > 0,
            limits: self.performance.limits(),
            workers: self.performance.workers.map(usize::from),
            queue: self.performance.queue.map(usize::from),
        }
    }
}

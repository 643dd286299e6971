//! The command line of `presync fix`.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;

use crate::command::args::{AzureArgs, ChoiceArgs, DisplayArgs, FilterArgs, LimitArgs};
use crate::command::values::{edges, profile, selectors};
use crate::model::{Asset, Code, Finding, Severity};
use crate::report::fix::FixFormat;
use crate::rules::Selector;
use crate::rules::fix::Edges;
use crate::source::azure::commands::Shell;

/// How many files may be fixed at a time.
pub(in crate::command) const JOBS: RangeInclusive<i64> = 1..=256;

const AFTER_HELP: &str = "\
Examples:
  presync fix ./media                         show what can be fixed, and how
  presync fix ./media --out ./fixed --apply   write fixed copies; ./media stays as it is
  presync fix @cams --only VID001 --apply     set the major brand in the container
  presync fix @cams --to fixed/ --apply       write fixed blobs below another prefix

Exit codes:
  0  nothing to fix, or everything was fixed
  1  some assets could not be fixed; without --apply: some assets need a fix
  2  the run could not start or could not continue
  3  incomplete: the run was stopped, or some assets could not be read or written";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::command) struct FixArgs {
    /// A source, as for presync dry-run, or a plan saved by it
    #[arg(value_name = "SOURCE|PLAN")]
    pub source: OsString,

    /// Do it; without this option, nothing is written
    #[arg(long)]
    pub apply: bool,

    /// Print a script that does it, to review and run
    #[arg(long, value_enum, value_name = "SHELL", conflicts_with_all = ["apply", "format"])]
    pub script: Option<Shell>,

    /// Write the fixed files into this folder, under the same names
    #[arg(long, value_name = "DIR", conflicts_with_all = ["in_place", "backup", "to"])]
    pub out: Option<PathBuf>,

    /// Write the fixed blobs below another prefix of the container, such as fixed/, or to another container, given as a
    /// URL or @NAME; the originals stay as they are, and no other blob is overwritten
    #[arg(long, value_name = "PREFIX|CONTAINER", conflicts_with_all = ["in_place", "backup"])]
    pub to: Option<OsString>,

    /// Replace the files of a folder, and keep each original as NAME.orig
    #[arg(long)]
    pub in_place: bool,

    /// Keep the originals of replaced files or blobs in this folder
    #[arg(long, value_name = "DIR")]
    pub backup: Option<PathBuf>,

    /// Fix only these findings, given by code or prefix, such as IMG001,VID1; files are renamed only if FMT002 is among
    /// them [default: all that reject an asset]
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = selectors(), hide_possible_values = true)]
    pub only: Option<Vec<Selector>>,

    /// Leave out fixes that encode pixels or frames again; implies --edges leave
    #[arg(long)]
    pub lossless_only: bool,

    /// What to do about JPEGs whose edges cannot be turned without loss
    #[arg(long, value_name = "HOW", value_parser = edges(), default_value = Edges::default().as_str())]
    pub edges: Edges,

    /// Number of files to fix at a time [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(JOBS).map(usize::from))]
    pub jobs: Option<usize>,

    /// The platform's rules: nexus, vi, or a TOML file [default: the plan's, else the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: FixFormat,

    /// Accept a source without a single blob, which is an error otherwise
    #[arg(long)]
    pub allow_empty: bool,

    #[command(flatten, next_help_heading = "Names")]
    pub names: FilterArgs,

    #[command(flatten, next_help_heading = "Rules")]
    pub rules: ChoiceArgs,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    pub display: DisplayArgs,

    #[command(flatten, next_help_heading = "Performance")]
    pub limits: LimitArgs,
}

impl FixArgs {
    /// How many files are fixed at a time.
    pub(super) fn jobs(&self) -> usize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from))
    }

    /// The codes of an asset's findings that are to be fixed.
    pub(super) fn wanted(&self, asset: &Asset) -> Vec<Code> {
        let is_wanted = |finding: &&Finding| match &self.only {
            // A name is part of a label, so it changes only on request.
            Some(selectors) if finding.code == Code::ExtensionMismatch => {
                selectors.iter().any(|selector| selector.names(finding.code))
            }
            Some(selectors) => selectors.iter().any(|selector| selector.selects(finding.code)),
            None => finding.severity == Severity::Error && finding.code != Code::ExtensionMismatch,
        };
        asset.findings.iter().filter(is_wanted).map(|finding| finding.code).collect()
    }

    /// What to do about JPEGs whose edges cannot be turned without loss.
    pub(super) fn edges(&self) -> Edges {
        if self.lossless_only { Edges::Leave } else { self.edges }
    }
}

//! `presync labels`: which label files will find their asset.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::args::{AzureArgs, ChoiceArgs, DisplayArgs, FilterArgs};
use super::examine::{JudgedNow, Provenance};
use super::exit::Exit;
use super::interrupt;
use super::output::Output;
use super::parts::{self, Weigh};
use super::target::{Resolved, Target};
use crate::matching::labels::{self, Labels};
use crate::model::Quota;
use crate::model::error::{Cause, Error, Result};
use crate::plan::RunHeader;
use crate::probe::Want;
use crate::report::comparison::{ComparisonFormat, ComparisonReport};
use crate::rules::{Choice, Profile};
use crate::source::any::AnySource;
use crate::source::location::Environment;

const AFTER_HELP: &str = "\
LABELS are files and folders of COCO JSON, Vi's JSON lines, Pascal VOC XML, YOLO text files and lists, or CSV.

Examples:
  presync labels plan.parquet instances.json            COCO, of any size
  presync labels @cams labels/ --format csv -o out.csv  a folder, and a row per image

Exit codes:
  0  every image that the label files refer to will find its asset
  1  some will not: left out, ambiguous, nearly the name, or missing
  2  the source, the plan or all of the label files could not be read
  3  incomplete: some assets could not be judged, or some label files could not be read";

/// What makes the exit code 1.
///
/// The docs of the variants are shown in `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LabelsFailOn {
    /// Labels that will not find their asset or frame
    #[default]
    Error,
    /// Also labels for another size, a turned picture or a variable frame rate
    Warning,
    /// Nothing
    Never,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct LabelsArgs {
    /// A plan saved by presync dry-run, or a source, which is checked now
    #[arg(value_name = "PLAN|SOURCE")]
    pub source: OsString,

    /// Label files, and folders with them
    #[arg(value_name = "LABELS", required = true)]
    pub labels: Vec<PathBuf>,

    /// Column of CSV files with the names [default: filename, image, path and the like]
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,

    /// The platform's rules: nexus, vi, or a TOML file [default: the plan's, else the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = super::values::profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: ComparisonFormat,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Exit with 0 instead of 1, whatever was found; the same as --fail-on never
    #[arg(long, conflicts_with = "fail_on")]
    pub exit_zero: bool,

    /// What makes the exit code 1
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub fail_on: LabelsFailOn,

    #[command(flatten, next_help_heading = "Names")]
    pub names: FilterArgs,

    #[command(flatten, next_help_heading = "Rules")]
    pub rules: ChoiceArgs,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    pub display: DisplayArgs,
}

/// Writes the report and returns whether all labels will find their asset.
///
/// # Errors
/// Returns an error if the source, the plan or none of the label files can be read, or if the report cannot be written.
pub(super) fn run(args: &LabelsArgs) -> Result<Exit> {
    let given = Path::new(&args.source);
    let judged = if given.is_file() { None } else { Some(judge(args)?) };
    let path = judged.as_ref().map_or_else(|| given.to_owned(), JudgedNow::path);
    let plan = parts::open(&path, Weigh::default())?.plan().clone();
    let match_by = match args.profile.as_deref().filter(|_| judged.is_none()) {
        Some(profile) => Profile::load(profile)?.labels.match_by,
        None => plan.header.profile.labels.match_by,
    };
    let output = Output::of_report(args.output.as_deref(), args.format.into(), args.display.color.choice())?;
    let header = plan.header.clone();
    let mut report = ComparisonReport::new(args.format, header, "references", output.writer(), output.width);
    let labels = Labels { files: &args.labels, column: args.column.as_deref(), match_by };
    let open = || parts::open(&path, Weigh::default());
    let mut comparison = labels::compare(&plan.header, open, &labels, &mut |record| report.record(record))?;
    if let Some(why) = &plan.summary.incomplete {
        comparison.is_complete = false;
        comparison
            .notes
            .push(format!("The plan is incomplete: {why}. Assets that it does not have count as missing."));
    }
    report.finish(&comparison)?;
    output.keep()?;
    comparison.differs |= comparison.warns && args.fail_on == LabelsFailOn::Warning;
    Ok(Exit::of_comparison(&comparison, args.exit_zero || args.fail_on == LabelsFailOn::Never))
}

/// Judges a source. Width and height are read, too, to compare them.
fn judge(args: &LabelsArgs) -> Result<JudgedNow> {
    let environment = Environment::of_process();
    let target = Target { source: &args.source, azure: &args.azure, profile: args.profile.as_deref() };
    let resolved = Resolved::source(target, &environment)?;
    let profile = Arc::new(resolved.profile(&Choice::from(&args.rules))?);
    let provenance = Provenance::of(&resolved, None);
    let filter = args.names.filter()?;
    let runtime = super::runtime()?;
    let judged = runtime.block_on(async {
        let source = AnySource::open(resolved.location, resolved.auth, args.azure.options(), &environment)?;
        let header = RunHeader { filter, ..provenance.header(source.origin(), profile) };
        let how = (None, Want { dimensions: true, ..Want::default() });
        JudgedNow::of(&source, &header, (Quota::new(None, None), None), how, &args.display).await
    })?;
    interrupt::ends_at_once(runtime);
    match judged.is_stopped {
        true => Err(Error::new("stopped before all assets were checked").because(Cause::Interrupted)),
        false => Ok(judged),
    }
}

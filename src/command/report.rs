//! `presync report`: a saved plan as a report.

use std::path::PathBuf;

use clap::Args;

use super::args::ColorArgs;
use super::exit::Exit;
use super::output::Output;
use super::parts::{self, Weigh};
use crate::model::error::{Error, Result};
use crate::plan::Sink;
use crate::plan_file::{PartFolder, PlanWriter};
use crate::report::{self, Format, TextOrJson};

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A plan saved by presync dry-run --plan, or a folder of parts to merge
    #[arg(value_name = "PLAN|DIR")]
    pub plan: PathBuf,

    #[command(flatten)]
    pub weigh: Weigh,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
    pub output: Option<PathBuf>,

    /// Exit with 0 instead of 1 if there are findings
    #[arg(long)]
    pub exit_zero: bool,

    #[command(flatten)]
    pub color: ColorArgs,
}

/// Writes the report and returns how the plan's run ended.
///
/// # Errors
/// Returns an error if the plan cannot be read to its end, or if the report cannot be written.
pub(super) fn run(args: &ReportArgs) -> Result<Exit> {
    if args.plan.is_dir() {
        let folders = PartFolder::find(&args.plan)?;
        if folders.len() > 1 {
            return report_on_all(args, &folders);
        }
    }
    let mut reader = parts::open(&args.plan, args.weigh)?;
    let plan = reader.plan().clone();
    let output = Output::of_report(args.output.as_deref(), args.format, args.color.choice())?;
    let copy = match (args.format, &args.output) {
        (Format::Parquet, Some(path)) => Some(PlanWriter::create(path, plan.header.clone())?),
        _ => None,
    };
    let mut sink = (copy, report::open(args.format, plan.header.clone(), output.writer(), output.width)?);
    for asset in &mut reader {
        sink.settled(&asset?)?;
    }
    let elapsed = plan.ended.duration_since(plan.header.begun).try_into();
    let elapsed = elapsed.map_err(|_| Error::new("the plan's run ended before it began"))?;
    Box::new(sink).finish(&plan.summary, elapsed)?;
    output.keep()?;
    Ok(Exit::of(&plan.summary, args.exit_zero))
}

/// Writes a summary of the parts of several containers.
fn report_on_all(args: &ReportArgs, folders: &[PathBuf]) -> Result<Exit> {
    let format = match args.format {
        Format::Text => TextOrJson::Text,
        Format::Json => TextOrJson::Json,
        _ => {
            let (path, first) = (args.plan.display(), folders.first().map(|folder| folder.display()));
            let first = first.map_or_else(String::new, |first| first.to_string());
            return Err(Error::new(format!("'{path}' has the plans of {} containers", folders.len()))
                .with_hint(format!(
                    "use --format text or json for a summary, or give one of them, such as '{first}'"
                )));
        }
    };
    let output = Output::open(args.output.as_deref(), format, args.color.choice())?;
    let audit = parts::audit(folders, args.weigh)?;
    report::audit::write(format, &audit, output.writer(), output.width)
        .map_err(|error| report::output(&error))?;
    output.keep()?;
    Ok(Exit::of_audit(&audit, args.exit_zero))
}

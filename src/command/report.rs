//! `presync report`: a saved plan as a report.

use std::path::PathBuf;

use clap::Args;

use super::args::ColorArgs;
use super::audit;
use super::exit::Exit;
use super::gate::GateArgs;
use super::output::{Output, Spool};
use super::parts::{self, Weigh};
use super::say;
use crate::files::temporary;
use crate::model::error::{Error, Result};
use crate::plan::Sink;
use crate::plan::audit::Audit;
use crate::plan_file::{PartFolder, PlanWriter};
use crate::report::{self, Format};

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A plan saved by presync dry-run --plan, the folder of an audit, or a folder of parts to merge
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

    #[command(flatten)]
    pub gate: GateArgs,

    #[command(flatten)]
    pub color: ColorArgs,
}

/// Writes the report and returns how the plan's run ended.
///
/// # Errors
/// Returns an error if the plan cannot be read to its end, or if the report cannot be written.
pub(super) fn run(args: &ReportArgs) -> Result<Exit> {
    args.gate.check()?;
    if args.plan.is_dir() {
        if let Some(audit) = audit::saved::open(&args.plan)? {
            args.weigh.refuse(&args.plan, "an audit")?;
            return report_on_all(args, &audit);
        }
        let folders = PartFolder::find(&args.plan)?;
        if folders.len() > 1 {
            // The other formats show assets.
            let is_summary = matches!(args.format, Format::Text | Format::Json);
            let plans = (!is_summary).then(temporary::folder).transpose()?;
            let plans = plans.as_ref().map(|plans| plans.path());
            return report_on_all(args, &parts::audit(&folders, args.weigh, plans)?);
        }
    }
    let mut reader = parts::open(&args.plan, args.weigh)?;
    let plan = reader.plan().clone();
    args.gate.check_baseline(
        &(&plan.summary).into(),
        "presync dry-run SOURCE --baseline PLAN --plan FILE writes one",
    )?;
    let output = Output::of_report(args.output.as_deref(), args.format, args.color.choice())?;
    let spool = Spool::of(args.format, args.output.as_deref())?;
    let place = spool.as_ref().map(Spool::path).or_else(|| args.output.clone());
    let copy = match (args.format, place) {
        (Format::Parquet, Some(path)) => Some(PlanWriter::create(&path, plan.header.clone())?),
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
    spool.map_or(Ok(()), |spool| spool.send())?;
    if let Some(said) = args.gate.said(&(&plan.summary).into()) {
        say(&said);
    }
    Ok(Exit::of(&plan.summary, &args.gate))
}

/// Writes a report of several containers.
fn report_on_all(args: &ReportArgs, audit: &Audit) -> Result<Exit> {
    let output = Output::of_report(args.output.as_deref(), args.format, args.color.choice())?;
    audit::show(audit, args.format, args.output.as_deref(), output)?;
    audit::end(audit, &args.gate, true, false)
}

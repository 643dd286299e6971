//! `presync report`: a saved plan as a report.

use super::output::Output;
use super::parts;
use crate::config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan_file::PlanWriter;
use crate::report::{self, Format, Header};

/// Writes the report and says how the run that the plan is of ended.
///
/// # Errors
/// When the plan cannot be read to its end or the report cannot be written.
pub fn run(settings: &config::Report) -> Result<Exit> {
    let mut reader = parts::open(&settings.plan, settings.weigh)?;
    let plan = reader.plan().clone();
    let header = Header {
        origin: plan.header.origin.clone(),
        profile: plan.header.profile.clone(),
        admit: plan.header.admit,
    };
    let output = Output::of_report(settings.output.as_deref(), settings.format, settings.color)?;
    let mut copy = match (settings.format, &settings.output) {
        (Format::Parquet, Some(path)) => Some(PlanWriter::create(path, plan.header.clone())?),
        _ => None,
    };
    let mut report = report::open(settings.format, header, output.writer(), output.width)?;
    for asset in &mut reader {
        let asset = asset?;
        report.asset(&asset).map_err(|error| report::output(&error))?;
        copy.as_mut().map_or(Ok(()), |copy| copy.asset(&asset))?;
    }
    let elapsed = plan.ended.duration_since(plan.header.begun).try_into();
    let elapsed = elapsed.map_err(|_| Error::new("the plan's run ended before it began"))?;
    copy.map_or(Ok(()), |copy| copy.finish(plan.summary.clone(), elapsed))?;
    report.finish(&plan.summary, elapsed).map_err(|error| report::output(&error))?;
    output.keep()?;
    Ok(Exit::of(&plan.summary, settings.exit_zero))
}

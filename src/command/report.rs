//! `presync report`: a saved plan as a report.

use super::output::Output;
use crate::config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan_file::{self, PlanReader};
use crate::report::{self, Header};

/// Writes the report and says how the run that the plan is of ended.
///
/// # Errors
/// When the plan cannot be read to its end or the report cannot be written.
pub fn run(settings: &config::Report) -> Result<Exit> {
    let mut reader = PlanReader::open(&settings.plan)?;
    let plan = reader.plan().clone();
    let plan_file::Header { origin, profile, admit, .. } = plan.header;
    let header = Header { origin, profile, admit };
    let output = Output::open(settings.output.as_deref(), settings.color)?;
    let mut report = report::open(settings.format, header, output.writer(), output.width)?;
    for asset in &mut reader {
        report.asset(&asset?).map_err(|error| report::output(&error))?;
    }
    let elapsed = plan.ended.duration_since(plan.header.begun).try_into();
    let elapsed = elapsed.map_err(|_| Error::new("the plan's run ended before it began"))?;
    report.finish(&plan.summary, elapsed).map_err(|error| report::output(&error))?;
    output.keep()?;
    Ok(Exit::of(&plan.summary, settings.exit_zero))
}

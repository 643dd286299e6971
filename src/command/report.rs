//! `presync report`: a saved plan as a report.

use std::path::PathBuf;

use super::output::Output;
use super::parts;
use crate::config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::Sink;
use crate::plan_file::{PartFolder, PlanWriter};
use crate::report::{self, Format, Header, TextOrJson};

/// Writes the report and says how the run that the plan is of ended.
///
/// # Errors
/// When the plan cannot be read to its end or the report cannot be written.
pub fn run(settings: &config::Report) -> Result<Exit> {
    if settings.plan.is_dir() {
        let folders = PartFolder::find(&settings.plan)?;
        if folders.len() > 1 {
            return report_on_all(settings, &folders);
        }
    }
    let mut reader = parts::open(&settings.plan, settings.weigh)?;
    let plan = reader.plan().clone();
    let header = Header {
        origin: plan.header.origin.clone(),
        profile: plan.header.profile.clone(),
        admit: plan.header.admit,
    };
    let output = Output::of_report(settings.output.as_deref(), settings.format, settings.color)?;
    let copy = match (settings.format, &settings.output) {
        (Format::Parquet, Some(path)) => Some(PlanWriter::create(path, plan.header.clone())?),
        _ => None,
    };
    let mut sink = (copy, report::open(settings.format, header, output.writer(), output.width)?);
    for asset in &mut reader {
        sink.settled(&asset?)?;
    }
    let elapsed = plan.ended.duration_since(plan.header.begun).try_into();
    let elapsed = elapsed.map_err(|_| Error::new("the plan's run ended before it began"))?;
    Box::new(sink).finish(&plan.summary, elapsed)?;
    output.keep()?;
    Ok(Exit::of(&plan.summary, settings.exit_zero))
}

/// Writes what the parts of several containers add up to.
fn report_on_all(settings: &config::Report, folders: &[PathBuf]) -> Result<Exit> {
    let format = match settings.format {
        Format::Text => TextOrJson::Text,
        Format::Json => TextOrJson::Json,
        _ => {
            let (path, first) = (settings.plan.display(), folders.first().map(|folder| folder.display()));
            let first = first.map_or_else(String::new, |first| first.to_string());
            return Err(Error::new(format!("'{path}' has the plans of {} containers", folders.len())).hint(
                format!(
                    "their sums are text or json; give one of them for another format, such as '{first}'"
                ),
            ));
        }
    };
    let output = Output::open(settings.output.as_deref(), settings.color)?;
    let audit = parts::audit(folders, settings.weigh)?;
    report::audit::write(format, &audit, output.writer(), output.width)
        .map_err(|error| report::output(&error))?;
    output.keep()?;
    Ok(Exit::of_audit(&audit, settings.exit_zero))
}

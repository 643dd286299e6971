//! The report of `presync doctor`.

use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;

use super::TextOrJson;
use super::record::{FORMAT_VERSION, SourceRecord, ToolRecord};
use super::shown;
use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN, WARNING};
use crate::model::{Check, Origin, Outcome};

/// Writes the report. `origin` is the source, if it could be determined.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub fn doctor(
    format: TextOrJson,
    origin: Option<&Origin>,
    checks: &[Check],
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        TextOrJson::Text => text(origin, checks, out),
        TextOrJson::Json => {
            serde_json::to_writer_pretty(
                crate::report::Visible::json(&mut *out),
                &DoctorDocument::new(origin, checks),
            )?;
            writeln!(out)
        }
    }
}

fn text(origin: Option<&Origin>, checks: &[Check], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{BOLD}presync doctor{BOLD:#} {DIM}{}{DIM:#}\n", env!("CARGO_PKG_VERSION"))?;
    if let Some(origin) = origin {
        writeln!(out, "  {DIM}source{DIM:#}  {}\n", shown(&origin.location))?;
    }
    for check in checks {
        let (style, outcome) = (style_of(check.outcome), check.outcome.as_str());
        write!(
            out,
            "  {style}{outcome:<7}{style:#}  {BOLD}{:<15}{BOLD:#}  {}",
            check.name,
            shown(&check.detail)
        )?;
        match check.took.as_millis() {
            0 => writeln!(out)?,
            took => writeln!(out, "  {DIM}{took} ms{DIM:#}")?,
        }
        if let Some(cure) = &check.cure {
            writeln!(out, "  {:7}  {DIM}{:<15}{DIM:#}  {}", "", "fix", shown(cure))?;
        }
    }
    let failed = count(checks, Outcome::Failed);
    let verdict = match (failed, count(checks, Outcome::Warning)) {
        (0, 0) => "The connection works.".to_owned(),
        (0, 1) => "The connection works; 1 warning.".to_owned(),
        (0, warnings) => format!("The connection works; {warnings} warnings."),
        (1, _) => "1 step failed.".to_owned(),
        (failed, _) => format!("{failed} steps failed."),
    };
    writeln!(out, "\n{verdict}")
}

fn count(checks: &[Check], outcome: Outcome) -> usize {
    checks.iter().filter(|check| check.outcome == outcome).count()
}

fn style_of(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Ok => GOOD,
        Outcome::Warning => WARNING,
        Outcome::Failed => ERROR,
        Outcome::Unknown => UNKNOWN,
        Outcome::Skipped => DIM,
    }
}

#[derive(Serialize)]
struct DoctorDocument<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    source: Option<SourceRecord<'a>>,
    failed: usize,
    checks: Vec<CheckRecord<'a>>,
}

#[derive(Serialize)]
struct CheckRecord<'a> {
    name: &'static str,
    outcome: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<&'a str>,
    took_ms: f64,
}

impl<'a> DoctorDocument<'a> {
    fn new(origin: Option<&'a Origin>, checks: &'a [Check]) -> Self {
        let record = |check: &'a Check| CheckRecord {
            name: check.name,
            outcome: check.outcome.as_str(),
            detail: &check.detail,
            cure: check.cure.as_deref(),
            took_ms: check.took.as_secs_f64() * 1e3,
        };
        Self {
            format_version: FORMAT_VERSION,
            tool: ToolRecord::this(),
            source: origin.map(SourceRecord::new),
            failed: count(checks, Outcome::Failed),
            checks: checks.iter().map(record).collect(),
        }
    }
}

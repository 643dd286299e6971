//! Reports: one set of records, and one file per format.

pub mod audit;
mod bar;
mod bars;
pub mod bench;
mod changes;
pub mod commit;
mod compact;
pub mod comparison;
mod containers;
mod csv;
mod doctor;
mod explain;
pub mod figures;
pub mod fix;
mod github;
mod groups;
mod html;
mod json;
mod junit;
mod layout;
mod markdown;
mod meter;
mod next;
pub mod preview;
pub mod quota;
mod record;
pub mod runner;
mod sarif;
mod shortage;
pub mod style;
mod synced;
mod text;
mod visible;

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::model::Asset;
use crate::model::error::{Error, Result, reason};
use crate::plan::{RunHeader, Sink};

pub use bar::ProgressBar;
pub use bars::{ProgressBars, ProgressLine};
pub use doctor::doctor;
pub(crate) use explain::explain;
pub use layout::{MAX_WIDTH, shown};
pub(crate) use layout::{bytes, counted, number};
pub use meter::ProgressStyle;
pub(crate) use meter::rate;
pub use visible::Visible;

/// The format of a report.
///
/// The docs of the variants are shown in `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text for people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// One JSON object per line for each asset, written during the run, and one with the totals at the end
    Jsonl,
    /// One row per asset, for spreadsheets
    Csv,
    /// The plan's own file; needs --output
    Parquet,
    /// JUnit XML, with a test case for each rule
    Junit,
    /// SARIF 2.1.0, with a result for each rule and folder
    Sarif,
    /// GitHub workflow commands, with an annotation for each rule
    Github,
    /// Markdown for a pull request's comment or a step's summary on GitHub, below their limits
    Markdown,
    /// One self-contained page for browsers
    Html,
}

/// The format of a report without a row for each asset.
///
/// The docs of the variants are shown in `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// Plain text for people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// Where a report is written.
type Out = BufWriter<Box<dyn Write + Send>>;

/// Opens a report of this format on `out`. `width` is the maximum number of columns for text. Text has ANSI styles;
/// `out` should strip them if they are not wanted.
///
/// # Errors
/// Returns an error if the temporary file for a JSON document cannot be created, or the first line cannot be written.
pub fn open(
    format: Format,
    header: RunHeader,
    out: impl Write + Send + 'static,
    width: usize,
) -> Result<Box<dyn Sink>> {
    let out: Out = BufWriter::with_capacity(64 << 10, Box::new(out));
    Ok(match format {
        Format::Text => Box::new(text::TextReport::new(header, out, width)),
        Format::Json => Box::new(json::Json::new(header, out)?),
        Format::Jsonl => Box::new(json::Jsonl::new(header, out)),
        Format::Csv => Box::new(csv::Csv::new(out).map_err(|error| output(&error))?),
        Format::Parquet => Box::new(()),
        Format::Junit => Box::new(junit::Junit::new(header, out)),
        Format::Sarif => Box::new(sarif::Sarif::new(header, out)),
        Format::Github => Box::new(github::Github::new(header, out)),
        Format::Markdown => Box::new(markdown::Markdown::new(header, out)),
        Format::Html => Box::new(html::Html::new(header, out)),
    })
}

/// Writes an asset's JSON record, as in JSON reports, without a line break.
///
/// # Errors
/// Returns an error if the record cannot be written.
pub fn asset_record(asset: &Asset, out: &mut dyn Write) -> io::Result<()> {
    compact::write_record(&record::AssetRecord::new(asset), out)
}

/// Writes a document of a command as JSON.
///
/// # Errors
/// Returns an error if it cannot be written.
pub(crate) fn document(document: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(Visible::json(&mut *out), document)?;
    out.write_all(b"\n")
}

/// Writes what a JSON report says besides its assets.
///
/// # Errors
/// Returns an error if it cannot be written.
#[cfg(feature = "python")]
pub(crate) fn summary_record(plan: &crate::plan_file::Plan, out: &mut dyn Write) -> io::Result<()> {
    let elapsed = plan.ended.duration_since(plan.header.begun).try_into().unwrap_or_default();
    json::write_summary(&plan.header, &plan.summary, elapsed, out)
}

/// The error for a report that cannot be written.
pub fn output(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::closed_output(),
        _ => Error::new(format!("cannot write the report: {}", reason(error))),
    }
}

/// Runs a step of writing a report.
fn written(write: impl FnOnce() -> io::Result<()>) -> Result<()> {
    write().map_err(|error| output(&error))
}

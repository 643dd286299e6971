//! Reports: one set of records, a file per format.

pub mod audit;
mod bar;
mod bars;
mod changes;
mod doctor;
mod json;
mod layout;
pub mod preview;
pub mod quota;
mod record;
pub mod style;
mod text;

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result, reason};
use crate::model::{Asset, Origin};
use crate::plan::Summary;
use crate::rules::Profile;
use crate::run::Sink;

pub use bar::ProgressBar;
pub use bars::{ProgressBars, ProgressLine};
pub use doctor::{DoctorFormat, doctor};
pub use layout::shown;

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: totals, gauges, findings by rule with examples.
    #[default]
    Text,
    /// One document.
    Json,
    /// One asset a line, written while the run goes on.
    Jsonl,
}

/// What a report says about the run before any asset.
#[derive(Clone, Debug)]
pub struct Header {
    /// Where the blobs come from.
    pub origin: Origin,
    /// The rules.
    pub profile: Arc<Profile>,
}

/// A report that is being written.
pub trait Report: Send {
    /// Takes the next asset in listing order.
    fn asset(&mut self, asset: &Asset) -> io::Result<()>;

    /// Ends the report.
    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> io::Result<()>;
}

/// A report of this format to `out`. `width` is the number of columns that text may use; text has ANSI styles, which
/// `out` strips where they are not wanted.
///
/// # Errors
/// When the temporary file that a JSON document needs cannot be made.
pub fn open(
    format: Format,
    header: Header,
    out: impl Write + Send + 'static,
    width: usize,
) -> Result<Box<dyn Report>> {
    let out = BufWriter::with_capacity(64 << 10, out);
    Ok(match format {
        Format::Text => Box::new(text::Text::new(header, out, width)),
        Format::Json => Box::new(json::Json::new(header, out).map_err(|error| output(&error))?),
        Format::Jsonl => Box::new(json::Jsonl::new(out)),
    })
}

/// The error for a report that cannot be written.
pub fn output(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::closed_output(),
        _ => Error::new(format!("cannot write the report: {}", reason(error))),
    }
}

impl Sink for Box<dyn Report> {
    fn asset(&mut self, asset: &Asset) -> Result<()> {
        self.as_mut().asset(asset).map_err(|error| output(&error))
    }
}

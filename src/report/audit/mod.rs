//! The summary of an audit.

use std::io::{self, BufWriter, Write};

use crate::audit::Audit;

mod json;
mod table;
mod text;

/// How a summary is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: sums, what is not complete and why, a table of the containers, findings by rule, the worst folders.
    #[default]
    Text,
    /// One document, with every container.
    Json,
}

/// Writes the summary to `out`. `width` is the number of columns that text may use; text has ANSI styles, which `out`
/// strips where they are not wanted.
///
/// # Errors
/// When it cannot be written.
pub fn write(format: Format, audit: &Audit, out: impl Write, width: usize) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match format {
        Format::Text => text::Text::new(audit, &mut out, width).write()?,
        Format::Json => json::write(audit, &mut out)?,
    }
    out.flush()
}

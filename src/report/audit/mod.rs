//! The summary of an audit.

use std::io::{self, BufWriter, Write};

use crate::plan::audit::Audit;
use crate::report::TextOrJson;

mod json;
mod table;
mod text;

/// Writes the summary to `out`. `width` is the maximum number of columns for text. Text has ANSI styles; `out` should
/// strip them if they are not wanted.
///
/// # Errors
/// Returns an error if the summary cannot be written.
pub fn write(format: TextOrJson, audit: &Audit, out: impl Write, width: usize) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match format {
        TextOrJson::Text => text::AuditText::new(audit, &mut out, width).write()?,
        TextOrJson::Json => json::write(audit, &mut out)?,
    }
    out.flush()
}

//! The report of an audit, in every format. Formats with a row for each asset read the containers' plans.

use std::io::{BufWriter, Write};
use std::path::Path;

use crate::model::error::Result;
use crate::plan::audit::Audit;
use crate::plan_file::TableWriter;
use crate::report::{Format, Out, containers, csv, github, json as assets, junit, markdown, sarif, written};

mod html;
pub(super) mod json;
mod table;
mod text;

/// Writes the report to `out`. `width` is the maximum number of columns for text. Text has ANSI styles; `out` should
/// strip them if they are not wanted.
///
/// # Errors
/// Returns an error if a container's plan cannot be read, or if the report cannot be written.
pub fn write(format: Format, audit: &Audit, out: impl Write + Send + 'static, width: usize) -> Result<()> {
    let mut out: Out = BufWriter::with_capacity(64 << 10, Box::new(out));
    match format {
        Format::Text => written(|| {
            text::AuditText::new(audit, &mut out, width).write()?;
            out.flush()
        }),
        Format::Json => written(|| {
            json::write(audit, &mut out)?;
            out.flush()
        }),
        Format::Jsonl => {
            assets::audit_lines(audit, &mut out)?;
            // Without this last line, the output is cut off.
            written(|| {
                json::write(audit, &mut out)?;
                out.flush()
            })
        }
        Format::Csv => csv::audit(audit, out),
        // A table is written by itself, because its file is not a stream.
        Format::Parquet => Ok(()),
        Format::Junit => junit::audit(audit, out),
        Format::Sarif => sarif::audit(audit, out),
        Format::Github => github::audit(audit, out),
        Format::Html => html::write(audit, out),
        Format::Markdown => markdown::audit(audit, out),
    }
}

/// Writes the assets of all containers as one Parquet file: the columns of plans, and the container.
///
/// # Errors
/// Returns an error if a container's plan cannot be read, or if the file cannot be written.
pub fn table(audit: &Audit, path: &Path) -> Result<()> {
    let mut table = TableWriter::create(path)?;
    for container in &audit.containers {
        for asset in containers::assets(audit, container)? {
            table.add(&container.name, &asset?)?;
        }
    }
    table.finish(audit.is_complete())
}

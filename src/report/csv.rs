//! CSV: a row an asset, for spreadsheets (RFC 4180).

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use csv::{Terminator, Writer, WriterBuilder};
use serde::Serialize;

use super::Report;
use super::record::{AssetRecord, FindingRecord};
use crate::model::{Asset, Severity};
use crate::plan::Summary;

/// What makes a spreadsheet take a cell for a formula when it begins with it (OWASP, "CSV Injection"), with the
/// full-width forms that some of them take too.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A cell with text from outside: one that a spreadsheet would compute gets an apostrophe before it.
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(FORMULA) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// A row, with a column for each field. The columns are those of JSON with `cost`, `reads` and `findings` taken apart.
#[derive(Default, Serialize)]
struct Row<'a> {
    name: Cow<'a, str>,
    size: Option<u64>,
    etag: Option<Cow<'a, str>>,
    last_modified: Option<&'a str>,
    kind: &'a str,
    format: &'a str,
    width: Option<u32>,
    height: Option<u32>,
    orientation: Option<i64>,
    rotation: Option<u16>,
    mirror: Option<&'a str>,
    major_brand: Option<Cow<'a, str>>,
    compatible_brands: Option<String>,
    codec: Option<Cow<'a, str>>,
    pixel_format: Option<Cow<'a, str>>,
    frames: Option<u64>,
    frames_presented: Option<u64>,
    duration_s: Option<f64>,
    verdict: &'a str,
    skipped: Option<&'a str>,
    cost_images: Option<u64>,
    cost_frames: Option<u64>,
    codes: String,
    messages: String,
    fix: Option<Cow<'a, str>>,
    reads_requests: Option<u32>,
    reads_retries: Option<u32>,
    reads_bytes: Option<u64>,
}

impl<'a> Row<'a> {
    fn of(asset: &'a AssetRecord<'a>) -> Self {
        let worst = |finding: &&FindingRecord<'_>| finding.severity == Severity::Error.as_str();
        let findings = &asset.findings;
        let fix = findings.iter().filter(worst).chain(findings).find_map(|finding| finding.fix);
        let joined = |separator, part: fn(&FindingRecord<'a>) -> &'a str| {
            findings.iter().map(part).collect::<Vec<_>>().join(separator)
        };
        Self {
            name: cell(asset.name),
            size: Some(asset.size),
            etag: asset.etag.map(cell),
            last_modified: asset.last_modified.as_deref(),
            kind: asset.kind,
            format: asset.format,
            width: asset.width,
            height: asset.height,
            orientation: asset.orientation.flatten(),
            rotation: asset.rotation,
            mirror: asset.mirror,
            major_brand: asset.major_brand.as_deref().map(cell),
            compatible_brands: asset.compatible_brands.as_ref().map(|brands| text(brands.join(";"))),
            codec: asset.codec.map(cell),
            pixel_format: asset.pixel_format.map(cell),
            frames: asset.frames,
            frames_presented: asset.frames_presented,
            duration_s: asset.duration_s,
            verdict: asset.verdict,
            skipped: asset.skipped,
            cost_images: Some(asset.cost.images),
            cost_frames: Some(asset.cost.frames),
            codes: joined(";", |finding| finding.code),
            messages: text(joined("; ", |finding| finding.message)),
            fix: fix.map(cell),
            reads_requests: Some(asset.reads.requests),
            reads_retries: Some(asset.reads.retries),
            reads_bytes: Some(asset.reads.bytes),
        }
    }
}

fn text(text: String) -> String {
    cell(&text).into_owned()
}

/// The rows, written while the run goes on.
pub(super) struct Csv<W: Write> {
    out: Writer<W>,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&columns()?)?;
        Ok(Self { out: rows().has_headers(false).from_writer(out) })
    }
}

fn rows() -> WriterBuilder {
    let mut rows = WriterBuilder::new();
    rows.terminator(Terminator::CRLF);
    rows
}

/// The line with the columns' names, which is there without a row too.
fn columns() -> io::Result<Vec<u8>> {
    let mut names = rows().from_writer(Vec::new());
    names.serialize(Row::default())?;
    let mut lines = names.into_inner().map_err(|error| error.into_error())?;
    let end = lines.iter().position(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    lines.truncate(end);
    Ok(lines)
}

impl<W: Write + Send> Report for Csv<W> {
    fn asset(&mut self, asset: &Asset) -> io::Result<()> {
        Ok(self.out.serialize(Row::of(&AssetRecord::new(asset)))?)
    }

    fn finish(mut self: Box<Self>, summary: &Summary, _elapsed: Duration) -> io::Result<()> {
        if let Some(why) = &summary.incomplete {
            // No blob has an empty name, so that no asset is taken for this row.
            let row = Row { verdict: "incomplete", messages: text(why.clone()), ..Row::default() };
            self.out.serialize(row)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        for text in ["", "a=1", " =1", "'=1", "1-1", "é"] {
            assert_eq!(cell(text), text);
        }
    }

    #[test]
    fn the_columns_have_a_line_of_their_own() {
        let columns = String::from_utf8(columns().expect("there is memory")).expect("it is text");
        assert!(columns.starts_with("name,size,etag,") && columns.ends_with(",reads_bytes\r\n"), "{columns}");
        assert_eq!(columns.lines().count(), 1);
    }
}

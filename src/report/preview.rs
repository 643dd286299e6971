//! The report of `presync preview`.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::TextOrJson;
use super::layout::{self, MAX_WIDTH, MIN_WIDTH, NAMES, broken, bytes, columns, counted, number, shown};
use super::next;
use super::record::{FORMAT_VERSION, SourceRecord, ToolRecord};
use super::style::{BOLD, DIM, UNKNOWN};
use crate::model::Filter;
use crate::plan::preview::{Preview, Sum};
use crate::plan::{RunHeader, TopFolders};

/// The most extensions in the text report.
const MAX_SHOWN: usize = 20;

/// Writes the report to `out`. `width` is the maximum number of columns for text.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub fn write(
    format: TextOrJson,
    header: &RunHeader,
    preview: &Preview,
    out: impl Write,
    width: usize,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match format {
        TextOrJson::Text => text(&mut out, header, preview, width.clamp(MIN_WIDTH, MAX_WIDTH))?,
        TextOrJson::Json => json(&mut out, header, preview)?,
    }
    out.flush()
}

fn text(out: &mut impl Write, header: &RunHeader, preview: &Preview, width: usize) -> io::Result<()> {
    layout::heading(out, "preview", header)?;
    totals(out, header, preview)?;
    let extensions = preview.extensions().into_iter();
    let mut rows: Vec<_> = extensions.map(|(name, sum)| (dotted(name), sum)).collect();
    let mut rest = preview.more_extensions;
    for (_, sum) in rows.drain(MAX_SHOWN.min(rows.len())..) {
        rest.files += sum.files;
        rest.bytes += sum.bytes;
    }
    table(out, "Extensions", &rows, ("others".to_owned(), rest), width)?;

    let folders = &preview.top_folders;
    let direct = Some(("(no folder)".to_owned(), preview.direct)).filter(|(_, sum)| sum.files > 0);
    let named = folders.top().iter().map(|folder| (folder.name.clone(), folder.sum));
    let rows: Vec<_> = direct.into_iter().chain(named).collect();
    let rest = (counted(folders.more, "other folder", "other folders"), folders.rest);
    table(out, "Folders", &rows, rest, width)?;

    let sample = preview.sample();
    if !sample.is_empty() {
        writeln!(out, "{BOLD}Sample{BOLD:#}")?;
        for name in sample {
            for line in broken(&shown(name), width - 2, true) {
                writeln!(out, "  {line}")?;
            }
        }
        writeln!(out)?;
    }
    next::write(out, &next::after_preview(header, preview.images.files + preview.videos.files), width)?;
    match preview.unreachable {
        0 => Ok(()),
        count => {
            let entries = counted(count, "entry", "entries");
            writeln!(
                out,
                "\n{UNKNOWN}Incomplete: {entries} cannot be reached; run presync dry-run to see why.{UNKNOWN:#}"
            )
        }
    }
}

fn totals(out: &mut impl Write, header: &RunHeader, preview: &Preview) -> io::Result<()> {
    let folders = [(preview.markers, "folder marker"), (preview.not_entered, "folder not entered")];
    let notes = folders.iter().filter(|(count, _)| *count > 0);
    let notes: Vec<_> = notes.map(|(count, what)| format!("{} × {what}", number(*count))).collect();
    let listed = Sum { files: preview.listed, bytes: preview.files().bytes };
    let folders = preview.markers + preview.not_entered;
    let digits = number(preview.listed).len().max(6);
    for (label, sum) in
        [("listed", listed), ("images", preview.images), ("videos", preview.videos), ("other", preview.other)]
    {
        let (count, size) = (number(sum.files), bytes(sum.bytes));
        let style = if sum.files == 0 { DIM } else { BOLD };
        writeln!(out, "  {label:<10}  {style}{count:>digits$}{style:#}  {DIM}{size:>10}{DIM:#}")?;
    }
    let subsets = [
        ("folders", folders, notes.join("; ")),
        ("excluded", preview.excluded, layout::left_out_by(header)),
        ("archived", preview.archived, "cannot be read".to_owned()),
        ("empty", preview.empty, "have no content".to_owned()),
    ];
    for (label, count, note) in subsets.into_iter().filter(|(_, count, _)| *count > 0) {
        let count = number(count);
        writeln!(out, "  {label:<10}  {BOLD}{count:>digits$}{BOLD:#}  {:>10}  {DIM}{note}{DIM:#}", "")?;
    }
    let quota = image_quota(header, preview);
    writeln!(
        out,
        "\n  {:<10}  at most {} {}  {DIM}{} by extension, {} to be decided by content{DIM:#}",
        "quota",
        number(quota.at_most),
        header.profile.images.unit,
        number(preview.images_by_name),
        number(preview.undecided)
    )?;
    writeln!(out, "  {:<10}  {DIM}presync dry-run counts the frames of videos{DIM:#}\n", "")
}

/// Writes a table of files and bytes. Its last row, `rest`, is the sum of those not listed.
fn table(
    out: &mut impl Write,
    title: &str,
    rows: &[(String, Sum)],
    rest: (String, Sum),
    width: usize,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rest = Some(&rest).filter(|(_, sum)| sum.files > 0);
    let rows: Vec<_> = rows.iter().chain(rest).map(|(name, sum)| (shown(name), sum)).collect();
    let longest = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    let digits = rows.iter().map(|(_, sum)| number(sum.files).len()).max().unwrap_or(0).max(6);
    let column = longest.clamp(10, NAMES).min(width - digits - 16);
    writeln!(out, "{BOLD}{title}{BOLD:#}")?;
    for (name, sum) in rows {
        let mut lines = broken(&name, if width == MAX_WIDTH { width } else { column }, true);
        let last = lines.pop().unwrap_or_default();
        lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        let pad = " ".repeat(column.saturating_sub(columns(&last)));
        let (count, size) = (number(sum.files), bytes(sum.bytes));
        writeln!(out, "  {last}{pad}  {count:>digits$}  {DIM}{size:>10}{DIM:#}")?;
    }
    writeln!(out)
}

fn dotted(extension: &str) -> String {
    match extension {
        "" => "(none)".to_owned(),
        extension => format!(".{extension}"),
    }
}

#[derive(Serialize)]
struct PreviewDocument<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    source: SourceRecord<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
    #[serde(skip_serializing_if = "Filter::is_empty")]
    filter: &'a Filter,
    profile: &'a str,
    totals: PreviewTotals,
    kinds: KindRecords,
    quota: PreviewQuota,
    extensions: Vec<NamedRecord<'a>>,
    other_extensions: SumRecord,
    folders: Vec<NamedRecord<'a>>,
    other_folders: OtherFoldersRecord,
    directly_under_prefix: SumRecord,
    sample: Vec<&'a str>,
}

#[derive(Serialize)]
struct PreviewTotals {
    listed: u64,
    files: u64,
    bytes: u64,
    folder_markers: u64,
    folders_not_entered: u64,
    archived: u64,
    empty: u64,
    unreachable: u64,
    excluded: u64,
}

#[derive(Serialize)]
struct KindRecords {
    image: SumRecord,
    video: SumRecord,
    other: SumRecord,
}

#[derive(Serialize)]
struct PreviewQuota {
    images: ImageQuotaRecord,
}

/// The quota used by images, in its unit. `at_most` is correct unless a file with a video's extension is an image.
#[derive(Serialize)]
struct ImageQuotaRecord {
    by_extension: u64,
    at_most: u64,
}

#[derive(Serialize)]
struct SumRecord {
    files: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct NamedRecord<'a> {
    name: &'a str,
    files: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct OtherFoldersRecord {
    folders: u64,
    files: u64,
    bytes: u64,
}

impl From<Sum> for SumRecord {
    fn from(Sum { files, bytes }: Sum) -> Self {
        Self { files, bytes }
    }
}

fn named<'a>(sums: impl IntoIterator<Item = (&'a str, Sum)>) -> Vec<NamedRecord<'a>> {
    let named = |(name, Sum { files, bytes })| NamedRecord { name, files, bytes };
    sums.into_iter().map(named).collect()
}

fn image_quota(header: &RunHeader, preview: &Preview) -> ImageQuotaRecord {
    let cost = header.profile.images.cost;
    ImageQuotaRecord {
        by_extension: preview.images_by_name.saturating_mul(cost),
        at_most: preview.images_by_name.saturating_add(preview.undecided).saturating_mul(cost),
    }
}

fn json(out: &mut impl Write, header: &RunHeader, preview: &Preview) -> io::Result<()> {
    let Sum { files, bytes } = preview.files();
    let TopFolders { more, rest, .. } = preview.top_folders;
    let folders = preview.top_folders.top().iter().map(|folder| (folder.name.as_str(), folder.sum));
    let document = PreviewDocument {
        format_version: FORMAT_VERSION,
        tool: ToolRecord::this(),
        source: SourceRecord::new(&header.origin),
        connection: header.connection.as_deref(),
        filter: &header.filter,
        profile: &header.profile.name,
        totals: PreviewTotals {
            listed: preview.listed,
            files,
            bytes,
            folder_markers: preview.markers,
            folders_not_entered: preview.not_entered,
            archived: preview.archived,
            empty: preview.empty,
            unreachable: preview.unreachable,
            excluded: preview.excluded,
        },
        kinds: KindRecords {
            image: preview.images.into(),
            video: preview.videos.into(),
            other: preview.other.into(),
        },
        quota: PreviewQuota { images: image_quota(header, preview) },
        extensions: named(preview.extensions()),
        other_extensions: preview.more_extensions.into(),
        folders: named(folders),
        other_folders: OtherFoldersRecord { folders: more, files: rest.files, bytes: rest.bytes },
        directly_under_prefix: preview.direct.into(),
        sample: preview.sample(),
    };
    serde_json::to_writer_pretty(crate::report::Visible::json(&mut *out), &document)?;
    out.write_all(b"\n")
}

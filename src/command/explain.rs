//! `presync explain`: everything about one asset.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Args;

use super::args::{AzureArgs, ChoiceArgs, ColorArgs};
use super::examine::examined;
use super::exit::Exit;
use super::host;
use super::output::{stdout, syntax};
use super::target::{Resolved, Target};
use super::values::profile;
use crate::examine::wanted;
use crate::model::error::{Cause, Error, Result};
use crate::model::{Asset, Blob, BlobName, ByteRange, Orientation, Origin, Verdict};
use crate::probe::{Node, Probe, Want};
use crate::report::style::{self, BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::report::{self, TextOrJson, shown};
use crate::rules::{self, Choice, Content, Profile};
use crate::source::any::AnySource;
use crate::source::local::LocalSource;
use crate::source::location::{Environment, Location};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A file, or a blob as https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME[?SAS], az://CONTAINER/NAME,
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/NAME or @CONNECTION/NAME, with NAME as in reports
    #[arg(value_name = "ASSET")]
    pub asset: OsString,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Format of the output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: TextOrJson,

    #[command(flatten)]
    pub color: ColorArgs,

    #[command(flatten, next_help_heading = "Rules")]
    pub rules: ChoiceArgs,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,
}

/// The most EXIF tags that are printed.
const MAX_TAGS: usize = 60;

/// Explains one asset and returns how it was judged.
///
/// # Errors
/// Returns an error if there is no such asset, or if its source cannot be read.
pub(super) fn run(args: &ExplainArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    let target = Target { source: &args.asset, azure: &args.azure, profile: args.profile.as_deref() };
    let resolved = Resolved::asset(target, &environment)?;
    let profile = resolved.profile(&Choice::from(&args.rules))?;
    let explained = super::runtime()?.block_on(async {
        let (source, name) = match resolved.location {
            Location::Folder(path) => {
                let (folder, name) = split(&path)?;
                (AnySource::Folder(LocalSource::open(folder)?.with_prefix(name)), name.to_owned())
            }
            Location::Container(ref url) => {
                let name = url.prefix().to_owned();
                if name.is_empty() {
                    return Err(Error::new(format!("'{url}' is a container, not a blob"))
                        .because(Cause::Usage)
                        .with_hint("add a blob's name, or use presync dry-run"));
                }
                (AnySource::open(resolved.location, resolved.auth, args.azure.options(), &environment)?, name)
            }
        };
        host::unless_stopped(examine(&source, &name, &profile)).await
    })?;
    let mut out = stdout(syntax(args.format), args.color.choice());
    let written = match args.format {
        TextOrJson::Text => explained.print(&mut out),
        TextOrJson::Json => {
            let Explained { origin, asset, ranges, outline, tags } = &explained;
            report::explain(&mut out, origin, &profile.name, asset, (ranges, outline, tags))
        }
    };
    written.and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::of_verdict(explained.asset.verdict))
}

/// A file's folder and its name.
fn split(path: &Path) -> Result<(&Path, &str)> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Error::new(format!("'{shown}' is a folder"))
            .because(Cause::Usage)
            .with_hint("give a file in it, or use presync dry-run"));
    }
    if !path.exists() {
        return Err(Error::new(format!("there is no file '{shown}'"))
            .because(Cause::NotFound)
            .with_hint("give an existing file, or the URL of a blob"));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| Error::new(format!("the name '{shown}' is not UTF-8, so no blob can have it")))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, name))
}

/// One asset, and how its verdict was reached.
struct Explained {
    origin: Origin,
    asset: Asset,
    ranges: Vec<ByteRange>,
    outline: Vec<Node>,
    tags: Vec<(String, String)>,
}

async fn examine(source: &AnySource, name: &str, profile: &Profile) -> Result<Explained> {
    let want = wanted(Want { outline: true, ..Want::default() }, profile);
    let mut ranges = Vec::new();
    let blob = find(source, name).await?;
    let (examination, content) = examined(source, blob, want, |range, answer| {
        ranges.push(range);
        answer
    })
    .await?;
    let (mut outline, mut tags) = (Vec::new(), Vec::new());
    if let Content::Facts(_) = content {
        outline = examination.probe().outline();
        tags = exif_tags(examination.probe(), &outline);
    }
    let mut asset = examination.judge(content, profile);
    let origin = source.origin();
    rules::address(&mut asset.findings, origin.account.as_deref(), origin.container.as_deref());
    Ok(Explained { origin: source.origin(), asset, ranges, outline, tags })
}

/// The blob with exactly this name.
async fn find(source: &AnySource, name: &str) -> Result<Blob> {
    source.blob(&BlobName::new(name)).await?.ok_or_else(|| {
        Error::new(format!("there is no blob '{name}'"))
            .because(Cause::NotFound)
            .with_hint("presync dry-run lists the names below a prefix")
    })
}

/// Every tag of the EXIF block, as kamadak-exif reads it: more than the rules need.
fn exif_tags(probe: &Probe, outline: &[Node]) -> Vec<(String, String)> {
    let block = outline.iter().find_map(|node| match node.name.as_str() {
        "APP1" if node.note == "Exif" => Some((node.at + 10, node.len - 10)),
        "eXIf" => Some((node.at + 8, node.len - 12)),
        "EXIF" => Some((node.at + 8, node.len - 8)),
        _ => None,
    });
    let Some((at, len)) = block else { return Vec::new() };
    let bytes = probe.known(at, len).to_vec();
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    let read = reader.read_raw(bytes).or_else(|error| error.distill_partial_result(|_| {}));
    let Ok(read) = read else { return Vec::new() };
    let tag =
        |field: &exif::Field| (field.tag.to_string(), field.display_value().with_unit(&read).to_string());
    read.fields().take(MAX_TAGS).map(tag).collect()
}

impl Explained {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Asset { blob, facts, .. } = &self.asset;
        writeln!(out, "{BOLD}{}{BOLD:#}\n", shown(blob.name.as_str()))?;
        row(out, "source", &self.origin.location)?;
        row_if(out, "credential", self.origin.credential.as_deref())?;
        row(out, "size", &format!("{} bytes", blob.size))?;
        row_if(out, "etag", blob.etag.as_ref().map(|etag| etag.as_str()))?;
        row_if(out, "modified", blob.last_modified.map(|time| time.to_string()).as_deref())?;

        if !self.ranges.is_empty() {
            writeln!(out, "\n{BOLD}Reads{BOLD:#}")?;
            for (index, range) in self.ranges.iter().enumerate() {
                writeln!(out, "  {:<10}  bytes {range} {DIM}({}){DIM:#}", index + 1, range.len())?;
            }
        }
        if !self.outline.is_empty() {
            writeln!(out, "\n{BOLD}Structure{BOLD:#}  {DIM}offset, length, part{DIM:#}")?;
            for node in &self.outline {
                let indent = "  ".repeat(usize::from(node.depth));
                let (name, note) = (shown(&node.name), shown(&node.note));
                write!(out, "  {:>10} {:>10}  {indent}{name}", node.at, node.len)?;
                match note.is_empty() {
                    true => writeln!(out)?,
                    false => writeln!(out, "  {DIM}{note}{DIM:#}")?,
                }
            }
        }
        writeln!(out, "\n{BOLD}Facts{BOLD:#}")?;
        row(out, "kind", self.asset.kind.as_str())?;
        row(out, "format", facts.format.as_str())?;
        if let (Some(width), Some(height)) = (facts.width, facts.height) {
            row(out, "size", &format!("{width} × {height}"))?;
        }
        match facts.orientation {
            Orientation::NotRead => {}
            Orientation::Absent => row(out, "orient.", "no EXIF orientation tag")?,
            Orientation::Value(value) => {
                row(out, "orient.", &format!("EXIF orientation {value}{}", self.place("Orientation")))?;
            }
        }
        row_if(
            out,
            "rotation",
            facts.rotation.map(|degrees| format!("{degrees}° counterclockwise")).as_deref(),
        )?;
        row_if(
            out,
            "mirror",
            facts.mirror.map(|axis| format!("across the {} axis", axis.as_str())).as_deref(),
        )?;
        if let Some(video) = &facts.video {
            let brand = video.major_brand.map(|brand| format!("{brand}{}", self.place("major brand")));
            row_if(out, "brand", brand.as_deref())?;
            for (index, track) in video.tracks.iter().enumerate() {
                let codec = track.codec.as_deref().unwrap_or("unknown codec");
                let pixels = track.pixel_format.as_deref().unwrap_or("unknown pixel format");
                let frames = match (track.frames, track.frames_at_most) {
                    (Some(frames), _) => frames.to_string(),
                    (None, Some(most)) => format!("at most {most}"),
                    (None, None) => "unknown".to_owned(),
                };
                row(out, &format!("track {}", index + 1), &format!("{codec}, {pixels}, {frames} frames"))?;
                if track.frames_presented != track.frames {
                    row_if(
                        out,
                        "",
                        track.frames_presented.map(|frames| format!("{frames} presented")).as_deref(),
                    )?;
                }
            }
        }
        if !self.tags.is_empty() {
            writeln!(out, "\n{BOLD}EXIF{BOLD:#}")?;
            for (tag, value) in &self.tags {
                writeln!(out, "  {tag:<28}  {}", shown(value))?;
            }
        }
        self.print_verdict(out)
    }

    /// Where the part with this note is.
    fn place(&self, note: &str) -> String {
        let node = self.outline.iter().find(|node| node.note.starts_with(note));
        node.map(|node| format!(", at byte {}", node.at)).unwrap_or_default()
    }

    fn print_verdict(&self, out: &mut impl Write) -> io::Result<()> {
        let (style, verdict) = match self.asset.verdict {
            Verdict::Accept => (GOOD, "will sync"),
            Verdict::Reject => (ERROR, "will be left out"),
            Verdict::Skip => (DIM, "isn't an asset"),
            Verdict::Unknown => (UNKNOWN, "could not be judged"),
        };
        writeln!(out, "\n{BOLD}Verdict{BOLD:#}")?;
        let reason = self.asset.skipped.map(|skip| format!(": {}", skip.as_str())).unwrap_or_default();
        writeln!(out, "  {style}{verdict}{style:#}{reason}")?;
        for finding in &self.asset.findings {
            let style = style::of(finding.severity);
            writeln!(out, "  {style}{}{style:#}  {}", finding.code, shown(&finding.message))?;
            if let Some(fix) = &finding.fix {
                writeln!(out, "          fix: {}", shown(fix))?;
            }
        }
        Ok(())
    }
}

fn row(out: &mut impl Write, label: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {DIM}{label:<10}{DIM:#}  {}", shown(value))
}

fn row_if(out: &mut impl Write, label: &str, value: Option<&str>) -> io::Result<()> {
    value.map_or(Ok(()), |value| row(out, label, value))
}

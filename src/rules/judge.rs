//! The findings and verdict of a single asset, independent of quotas and other assets.

use super::fix;
use super::video::{self, list};
use super::{Profile, content_type};
use crate::model::{
    Access, Asset, Blob, BlobName, Code, Cost, Facts, Finding, Format, Gap, GapCost, Kind, Orientation,
    Reads, Severity, Skip, Verdict, Video, VideoTrack, number,
};

/// Extensions of files for projects of 3D volumes (DICOM, NIfTI) and RGBD images (ZIP). Projects of images and videos do
/// not take them.
const VOLUMES: &[&str] = &["dcm", "nii", "zip"];

/// Extensions of files that accompany media but aren't media: they are skipped without being read.
const SIDECARS: &[&str] = &[
    "cfg", "conf", "csv", "db", "doc", "docx", "gz", "htm", "html", "ini", "ipynb", "jsonl", "json", "log",
    "md", "npy", "npz", "orig", "parquet", "pdf", "pkl", "py", "rar", "sh", "sql", "srt", "tar", "thm",
    "toml", "tsv", "txt", "vtt", "xls", "xlsx", "xml", "xmp", "yaml", "yml",
];

/// What is known of a blob's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Its facts.
    Facts(Facts),
    /// Not known, because the blob isn't an asset.
    Skipped(Skip),
    /// The blob has no content.
    Empty,
    /// The blob is listed but cannot be addressed, for this reason.
    Unreachable(Box<str>),
    /// The blob is in the archive tier.
    Archived,
    /// The blob is leaving the archive tier.
    Rehydrating,
    /// The blob's ETag differs from the listed one.
    Changed,
    /// The blob could not be read, for this reason.
    Unreadable(String),
}

/// Returns whether a blob is skipped for its name alone, whatever its content.
pub fn is_skipped_by_name(name: &BlobName) -> bool {
    matches!(Promise::of(name), Promise::Sidecar | Promise::Volume)
}

/// Returns what the listing alone says about a blob's content, or `None` if the blob must be read.
pub fn without_reading(blob: &Blob) -> Option<Content> {
    let promised = Promise::of(&blob.name);
    // The order matters: a sidecar is skipped even if it is empty or archived, and an empty blob is rejected as empty
    // even if it is archived, because rehydrating it would not help.
    match &blob.access {
        Access::Directory => Some(Content::Skipped(Skip::FolderMarker)),
        Access::NotEntered => Some(Content::Skipped(Skip::NotEntered)),
        Access::Unreachable(why) => Some(Content::Unreachable(why.clone())),
        _ if promised == Promise::Sidecar => Some(Content::Skipped(Skip::Sidecar)),
        _ if promised == Promise::Volume => Some(Content::Skipped(Skip::Volume)),
        _ if blob.size == 0 && promised == Promise::Nothing => {
            let is_folder = blob.name.as_str().ends_with('/');
            Some(Content::Skipped(if is_folder { Skip::FolderMarker } else { Skip::NoMedia }))
        }
        _ if blob.size == 0 => Some(Content::Empty),
        Access::Archived => Some(Content::Archived),
        Access::Rehydrating => Some(Content::Rehydrating),
        Access::Online => None,
    }
}

/// Judges a blob by what is known of its content.
pub fn judge(blob: Blob, content: Content, reads: Reads, profile: &Profile) -> Asset {
    let promised = Promise::of(&blob.name);
    let decision = match content {
        Content::Facts(mut facts) => {
            // Some raw files differ from TIFF only in their name.
            if facts.format == Format::Tiff && promised == Promise::Media(Format::Raw) {
                facts.format = Format::Raw;
            }
            let decision = judge_facts(&blob, &facts, promised, profile);
            return decision.into_asset(blob, facts.kind(), facts, reads, profile);
        }
        Content::Skipped(reason) => Decision::skip(reason),
        Content::Empty => Decision::of(
            Finding::new(Code::Empty, "the blob has no content").with_fix("Upload the file again"),
        ),
        Content::Unreachable(why) => Decision::of(Finding::new(Code::Unreadable, why)),
        Content::Archived => Decision::of(archived(&blob)),
        Content::Rehydrating => Decision::of(
            Finding::new(Code::Archived, "the blob is leaving the archive tier and cannot be read yet")
                .with_fix("Wait until it is rehydrated, up to 15 hours; do not set its tier again"),
        ),
        Content::Changed => Decision::of(
            Finding::new(Code::Changed, "the blob changed between listing and reading")
                .with_fix("Run again when nothing is being uploaded"),
        ),
        Content::Unreadable(why) => Decision::of(Finding::new(Code::Unreadable, why).with_fix("Run again")),
    };
    decision.into_asset(blob, promised.kind(), Facts::of(Format::Unknown), reads, profile)
}

/// Judges a blob again, by the current rules, from the facts of an earlier run. Returns `None` if the blob must be
/// read, because its version changed or it was not read then. The earlier verdict is not reused.
pub fn from_earlier(blob: &Blob, earlier: Asset, profile: &Profile) -> Option<Asset> {
    let again = |content| judge(blob.clone(), content, Reads::default(), profile);
    // First, because the blob may have been archived since, which does not change its ETag.
    if let Some(content) = without_reading(blob) {
        return Some(again(content));
    }
    let listed = &earlier.blob;
    let is_same = blob.etag.is_some()
        && (&blob.name, &blob.etag, blob.size) == (&listed.name, &listed.etag, listed.size);
    let was_read = matches!(earlier.skipped, None | Some(Skip::NoMedia))
        && !earlier.findings.iter().any(|finding| {
            matches!(finding.code, Code::Empty | Code::Archived | Code::Unreadable | Code::Changed)
        });
    (is_same && was_read).then(|| {
        // Its name and its ETag are the same, so they need not be copied.
        let (access, declared) = (blob.access.clone(), blob.declared.clone());
        let same = Blob { last_modified: blob.last_modified, access, declared, ..earlier.blob };
        judge(same, Content::Facts(earlier.facts), Reads::default(), profile)
    })
}

/// What a name promises about the content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    Media(Format),
    Sidecar,
    Volume,
    Nothing,
}

impl Promise {
    fn of(name: &BlobName) -> Self {
        let Some(extension) = name.extension() else { return Self::Nothing };
        let is_one_of = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(extension));
        match Format::of_extension(extension) {
            Some(format) => Self::Media(format),
            None if is_one_of(VOLUMES) || is_packed_nifti(name.basename()) => Self::Volume,
            None if is_one_of(SIDECARS) => Self::Sidecar,
            None => Self::Nothing,
        }
    }

    fn format(self) -> Option<Format> {
        match self {
            Self::Media(format) => Some(format),
            Self::Sidecar | Self::Volume | Self::Nothing => None,
        }
    }

    fn kind(self) -> Kind {
        self.format().map_or(Kind::Other, Format::kind)
    }
}

/// Whether the basename ends in `.nii.gz`, in any case.
fn is_packed_nifti(basename: &str) -> bool {
    let end = basename.len().checked_sub(".nii.gz".len()).and_then(|start| basename.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(".nii.gz"))
}

/// Findings, or the reason to skip.
struct Decision {
    findings: Vec<Finding>,
    skipped: Option<Skip>,
}

impl Decision {
    fn skip(reason: Skip) -> Self {
        Self { findings: Vec::new(), skipped: Some(reason) }
    }

    fn of(finding: Finding) -> Self {
        Self { findings: vec![finding], skipped: None }
    }

    fn into_asset(mut self, blob: Blob, kind: Kind, facts: Facts, reads: Reads, profile: &Profile) -> Asset {
        // Before the verdict, which follows from the severities after these changes.
        profile.weigh(blob.name.as_str(), &mut self.findings);
        self.findings.sort_by_key(|finding| finding.code);
        let worst = self.findings.iter().map(|finding| finding.severity).max();
        let verdict = match (self.skipped, worst) {
            (Some(_), _) => Verdict::Skip,
            (None, Some(Severity::Error)) => Verdict::Reject,
            (None, Some(Severity::Unknown)) => Verdict::Unknown,
            (None, Some(Severity::Warning) | None) => Verdict::Accept,
        };
        let cost = if verdict == Verdict::Skip { Cost::default() } else { cost(kind, &facts, profile) };
        Asset {
            blob,
            kind,
            facts,
            verdict,
            cost,
            synced: None,
            earlier: None,
            findings: self.findings,
            skipped: self.skipped,
            reads,
        }
    }
}

/// Returns what the asset costs if it is accepted.
fn cost(kind: Kind, facts: &Facts, profile: &Profile) -> Cost {
    match kind {
        Kind::Image => Cost { images: profile.images.cost, frames: 0 },
        Kind::Video => {
            let track = facts.video.as_ref().and_then(|video| video.tracks.first());
            let frames = track.and_then(VideoTrack::most_frames).unwrap_or(0);
            Cost { images: 0, frames: frames.saturating_mul(profile.videos.cost_per_frame) }
        }
        Kind::Other => Cost::default(),
    }
}

fn archived(blob: &Blob) -> Finding {
    Finding::new(Code::Archived, "the blob is in the archive tier and cannot be read")
        .with_fix(content_type::rehydrate(blob))
}

fn judge_facts(blob: &Blob, facts: &Facts, promised: Promise, profile: &Profile) -> Decision {
    let extension = blob.name.extension().unwrap_or_default();
    let mut findings = Vec::new();
    match facts.kind() {
        Kind::Other => match promised {
            Promise::Media(_) => {
                let message =
                    format!("the content is not a known format, although the extension is .{extension}");
                findings.push(Finding::new(Code::UnsupportedFormat, message));
                findings.extend(content_type::judge(blob, facts, promised.format()));
                return Decision { findings, skipped: None };
            }
            Promise::Sidecar | Promise::Volume | Promise::Nothing => return Decision::skip(Skip::NoMedia),
        },
        Kind::Image => judge_image(blob, facts, profile, &mut findings),
        Kind::Video if !video::is_accepted(facts.format, profile) => {
            findings.push(video::not_accepted(facts.format, profile));
        }
        Kind::Video => {
            let broken = judge_header(facts, &mut findings);
            video::judge_dimensions(blob, facts, profile, broken, &mut findings);
            video::judge(blob, facts, profile, broken, &mut findings);
        }
    }
    let (max_bytes, kind) = match facts.kind() {
        Kind::Video => (profile.videos.max_bytes, "video"),
        _ => (profile.images.max_bytes, "image"),
    };
    if blob.size > max_bytes {
        let message =
            format!("the {kind} has {} bytes, the limit is {}", number(blob.size), number(max_bytes));
        findings.push(Finding::new(Code::TooLarge, message));
    }
    if !extension.is_empty() && !facts.format.matches_extension(extension) {
        let message = format!("the content is {}, the extension is .{extension}", facts.format.as_str());
        // A raw file keeps its vendor's extension, and a video that has to become an MP4 should not be renamed first.
        let keeps =
            facts.format == Format::Raw || findings.iter().any(|finding| finding.code == Code::NotMp4);
        let fitting = facts.format.extensions().first().filter(|_| !keeps);
        let fix = fitting.map(|fitting| format!("Rename it to end in .{fitting}"));
        findings.push(Finding { fix, ..Finding::new(Code::ExtensionMismatch, message) });
    }
    findings.extend(content_type::judge(blob, facts, promised.format()));
    if let Some(end) = facts.truncated {
        let message = match facts.format {
            Format::Jpeg => "the file ends within its image data, without an EOI marker".to_owned(),
            _ => {
                let [ends, end] = [blob.size, end].map(number);
                format!("the file ends at byte {ends}, but its data would end at byte {end}")
            }
        };
        findings.push(Finding::new(Code::Truncated, message).with_fix("Upload the file again"));
    }
    Decision { findings, skipped: None }
}

/// Adds findings for damage and gaps in the header. Returns whether there are any.
fn judge_header(facts: &Facts, findings: &mut Vec<Finding>) -> bool {
    if let Some(malformed) = &facts.malformed {
        findings.push(Finding::new(Code::Malformed, malformed.to_string()));
    }
    if let Some(gap) = gap(facts) {
        let mut finding = Finding::new(Code::Undetermined, gap.to_string());
        if let Some(GapCost { reads, bytes }) = facts.gap_cost {
            let (mebibytes, rounded) = (number(bytes.div_ceil(1 << 20)), rounded_up(reads));
            let reads = number(reads);
            finding.message += &format!(": it would take about {reads} reads and {mebibytes} MiB");
            finding.fix = Some(format!("Run again with --max-reads {rounded}"));
        }
        findings.push(finding);
    }
    facts.malformed.is_some() || gap(facts).is_some()
}

/// The gap in the facts, unless a bound takes the place of what is missing.
fn gap(facts: &Facts) -> Option<Gap> {
    let is_bounded = |video: &Video| video.tracks.first().is_some_and(|track| track.most_frames().is_some());
    let is_filled = |gap| gap == Gap::Frames && facts.video.as_deref().is_some_and(is_bounded);
    facts.gap.filter(|gap| !is_filled(*gap))
}

/// Rounds up to a slightly larger number with two significant digits.
fn rounded_up(number: u64) -> u64 {
    let step = 10u64.pow(number.max(1).ilog10().saturating_sub(1));
    (number / step).saturating_add(1).saturating_mul(step)
}

fn judge_image(blob: &Blob, facts: &Facts, profile: &Profile, findings: &mut Vec<Finding>) {
    let rules = &profile.images;
    if !rules.formats.iter().any(|format| format == facts.format.as_str()) {
        let content = match facts.format {
            Format::Raw => "a camera raw file",
            Format::HeifSequence => "an image sequence (heif-sequence) without a still picture",
            format => format.as_str(),
        };
        let message = format!("the content is {content}, which {} does not sync", profile.title);
        findings.push(Finding::new(Code::UnsupportedFormat, message));
        return;
    }
    let broken = judge_header(facts, findings);
    video::judge_dimensions(blob, facts, profile, broken, findings);
    match facts.orientation {
        Orientation::Value(value) if !rules.orientations.contains(&value) => {
            let message = format!(
                "EXIF orientation is {value} ({}), must be absent or {}",
                orientation_text(value),
                list(rules.orientations.iter().map(i64::to_string)),
            );
            let fix = fix::orientation_line(facts.format, value);
            findings.push(Finding::new(Code::ExifOrientation, message).with_fix(fix));
        }
        Orientation::NotRead if !broken && profile.needs(Code::ExifOrientation, blob.name.as_str()) => {
            findings.push(Finding::new(Code::Undetermined, "the EXIF orientation could not be determined"));
        }
        Orientation::Value(_) | Orientation::Absent | Orientation::NotRead => {}
    }
}

/// Describes an orientation: how the picture must be turned to be shown upright (Exif 3.0, 4.6.5.1.6).
pub fn orientation_text(value: i64) -> &'static str {
    match value {
        1 => "upright",
        2 => "mirrored",
        3 => "rotated 180°",
        4 => "mirrored and rotated 180°",
        5 => "mirrored and rotated 270° CW",
        6 => "rotated 90° CW",
        7 => "mirrored and rotated 90° CW",
        8 => "rotated 270° CW",
        _ => "not a defined value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlobName, ETag};

    fn blob(etag: Option<&str>) -> Blob {
        let (name, etag) = (BlobName::new("a.jpg"), etag.map(ETag::new));
        Blob {
            name,
            size: 10,
            etag,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        }
    }

    fn read(orientation: i64) -> Content {
        Content::Facts(Facts { orientation: Orientation::Value(orientation), ..Facts::of(Format::Jpeg) })
    }

    #[test]
    fn facts_of_the_same_version_are_judged_again() {
        let mut profile = Profile::load("nexus").expect("it is built in");
        let earlier = judge(blob(Some("1")), read(6), Reads { requests: 1, retries: 0, bytes: 9 }, &profile);
        let again = |etag, profile: &Profile| from_earlier(&blob(etag), earlier.clone(), profile);
        let same = again(Some("1"), &profile).expect("it is known");
        assert_eq!(same, Asset { reads: Reads::default(), ..earlier.clone() });
        profile.images.orientations.push(6);
        assert_eq!(again(Some("1"), &profile).expect("it is known").verdict, Verdict::Accept);
        assert_eq!((again(Some("2"), &profile), again(None, &profile)), (None, None));
    }

    #[test]
    fn what_was_not_read_must_be_read() {
        let profile = Profile::load("nexus").expect("it is built in");
        let unread = [
            Content::Skipped(Skip::Gone),
            Content::Changed,
            Content::Archived,
            Content::Rehydrating,
            Content::Unreadable("503".to_owned()),
        ];
        for content in unread {
            let earlier = judge(blob(Some("1")), content, Reads::default(), &profile);
            assert_eq!(from_earlier(&blob(Some("1")), earlier, &profile), None);
        }
        let archived = Blob { access: Access::Archived, ..blob(Some("1")) };
        let content = without_reading(&archived).expect("it cannot be read");
        let earlier = judge(archived, content, Reads::default(), &profile);
        assert_eq!(from_earlier(&blob(Some("1")), earlier, &profile), None, "it is online now");
    }
}

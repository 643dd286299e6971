//! One asset's findings and verdict. Nothing here knows of quotas or of other assets.

use super::Profile;
use crate::model::{
    Access, Asset, Blob, Code, Cost, Facts, Finding, Format, GapCost, Kind, Orientation, Reads, Severity,
    Skip, Verdict, Video, VideoTrack,
};

/// Extensions of files that lie beside media and are none: they are skipped without being read.
const SIDECARS: &[&str] = &[
    "cfg", "conf", "csv", "db", "doc", "docx", "gz", "htm", "html", "ini", "ipynb", "jsonl", "json", "log",
    "md", "npy", "npz", "parquet", "pdf", "pkl", "py", "rar", "sh", "sql", "srt", "tar", "thm", "toml",
    "tsv", "txt", "vtt", "xls", "xlsx", "xml", "xmp", "yaml", "yml", "zip",
];

/// What reading a blob led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Its facts.
    Facts(Facts),
    /// It has another ETag than the one listed.
    Changed,
    /// It is gone.
    Gone,
    /// It turned out to lie in the archive tier.
    Archived,
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// The verdict on a blob that need not be read or cannot be; `None` for one that must be read.
pub fn without_reading(blob: &Blob, profile: &Profile) -> Option<Asset> {
    let promised = Promise::of(blob);
    let decision = match &blob.access {
        Access::Directory => Decision::skip(Skip::FolderMarker),
        Access::NotEntered => Decision::skip(Skip::NotEntered),
        Access::Unreachable(why) => Decision::of(Finding::new(Code::Unreadable, why.as_ref())),
        _ if promised == Promise::Sidecar => Decision::skip(Skip::Sidecar),
        _ if blob.size == 0 && promised == Promise::Nothing => {
            Decision::skip(if blob.name.as_str().ends_with('/') { Skip::FolderMarker } else { Skip::NoMedia })
        }
        _ if blob.size == 0 => Decision::of(
            Finding::new(Code::Empty, "the blob has no content").with_fix("Upload the file again"),
        ),
        Access::Archived => Decision::of(archived()),
        Access::Online => return None,
    };
    Some(decision.into_asset(
        blob.clone(),
        promised.kind(),
        Facts::of(Format::Unknown),
        Reads::default(),
        profile,
    ))
}

/// The verdict on a blob that was read, or of which reading was tried.
pub fn judge(blob: Blob, content: Content, reads: Reads, profile: &Profile) -> Asset {
    let promised = Promise::of(&blob);
    let decision = match content {
        Content::Facts(mut facts) => {
            // Some raw files differ from TIFF in nothing but their name.
            if facts.format == Format::Tiff && promised == Promise::Media(Format::Raw) {
                facts.format = Format::Raw;
            }
            let decision = judge_facts(&blob, &facts, promised, profile);
            return decision.into_asset(blob, facts.kind(), facts, reads, profile);
        }
        Content::Changed => Decision::of(
            Finding::new(Code::Changed, "the blob changed between listing and reading")
                .with_fix("Run again when nothing is being uploaded"),
        ),
        Content::Gone => Decision::skip(Skip::Gone),
        Content::Archived => Decision::of(archived()),
        Content::Unreadable(why) => Decision::of(Finding::new(Code::Unreadable, why).with_fix("Run again")),
    };
    decision.into_asset(blob, promised.kind(), Facts::of(Format::Unknown), reads, profile)
}

/// The verdict on a blob of which an earlier run holds the facts, by today's rules; `None` when it must be read: because
/// it is another version, or because it was not read then. Nothing of the earlier verdict is taken over.
pub fn from_earlier(blob: &Blob, earlier: Asset, profile: &Profile) -> Option<Asset> {
    if let Some(asset) = without_reading(blob, profile) {
        return Some(asset);
    }
    let listed = &earlier.blob;
    let is_same = blob.etag.is_some() && blob.etag == listed.etag && blob.size == listed.size;
    let was_read = matches!(earlier.skipped, None | Some(Skip::NoMedia))
        && !earlier.findings.iter().any(|finding| {
            matches!(finding.code, Code::Empty | Code::Archived | Code::Unreadable | Code::Changed)
        });
    (is_same && was_read)
        .then(|| judge(blob.clone(), Content::Facts(earlier.facts), Reads::default(), profile))
}

/// What a name promises about the content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    Media(Format),
    Sidecar,
    Nothing,
}

impl Promise {
    fn of(blob: &Blob) -> Self {
        let Some(extension) = blob.name.extension() else { return Self::Nothing };
        match Format::of_extension(extension) {
            Some(format) => Self::Media(format),
            None if SIDECARS.iter().any(|sidecar| sidecar.eq_ignore_ascii_case(extension)) => Self::Sidecar,
            None => Self::Nothing,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Media(format) => format.kind(),
            Self::Sidecar | Self::Nothing => Kind::Other,
        }
    }
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
        profile.overrides.apply(blob.name.as_str(), &mut self.findings);
        self.findings.sort_by_key(|finding| finding.code);
        let worst = self.findings.iter().map(|finding| finding.severity).max();
        let verdict = match (self.skipped, worst) {
            (Some(_), _) => Verdict::Skip,
            (None, Some(Severity::Error)) => Verdict::Reject,
            (None, Some(Severity::Unknown)) => Verdict::Unknown,
            (None, Some(Severity::Warning) | None) => Verdict::Accept,
        };
        let cost = if verdict == Verdict::Skip { Cost::default() } else { cost(kind, &facts, profile) };
        Asset { blob, kind, facts, verdict, cost, findings: self.findings, skipped: self.skipped, reads }
    }
}

/// What the asset uses of the quota if it is accepted: of two counts of frames, the larger one.
fn cost(kind: Kind, facts: &Facts, profile: &Profile) -> Cost {
    match kind {
        Kind::Image => Cost { images: profile.images.cost, frames: 0 },
        Kind::Video => {
            let track = facts.video.as_ref().and_then(|video| video.tracks.first());
            let frames = track.map_or(0, |track| track.frames.max(track.frames_presented).unwrap_or(0));
            Cost { images: 0, frames: frames.saturating_mul(profile.videos.cost_per_frame) }
        }
        Kind::Other => Cost::default(),
    }
}

fn archived() -> Finding {
    Finding::new(Code::Archived, "the blob lies in the archive tier and cannot be read").with_fix(
        "az storage blob set-tier --tier Hot --account-name ACCOUNT --container-name CONTAINER --name NAME",
    )
}

fn judge_facts(blob: &Blob, facts: &Facts, promised: Promise, profile: &Profile) -> Decision {
    let extension = blob.name.extension().unwrap_or_default();
    let mut findings = Vec::new();
    match facts.kind() {
        Kind::Other => match promised {
            Promise::Media(_) => {
                return Decision::of(Finding::new(
                    Code::UnsupportedFormat,
                    format!("no format that presync knows, although the name ends in .{extension}"),
                ));
            }
            Promise::Sidecar | Promise::Nothing => return Decision::skip(Skip::NoMedia),
        },
        Kind::Image => judge_image(facts, profile, &mut findings),
        Kind::Video => judge_video(facts, profile, &mut findings),
    }
    let (max_bytes, kind) = match facts.kind() {
        Kind::Video => (profile.videos.max_bytes, "video"),
        _ => (profile.images.max_bytes, "image"),
    };
    if blob.size > max_bytes {
        let message = format!("the {kind} has {} bytes, at most {max_bytes} are accepted", blob.size);
        findings.push(Finding::new(Code::TooLarge, message));
    }
    if !extension.is_empty() && !facts.format.matches_extension(extension) {
        let message = format!("the content is {}, the extension is .{extension}", facts.format.as_str());
        // A raw file's extension is its maker's, and what is to become an MP4 is not to be renamed to something else.
        let keeps =
            facts.format == Format::Raw || findings.iter().any(|finding| finding.code == Code::NotMp4);
        let fitting = facts.format.extensions().first().filter(|_| !keeps);
        let fix = fitting.map(|fitting| format!("Rename it to end in .{fitting}"));
        findings.push(Finding { fix, ..Finding::new(Code::ExtensionMismatch, message) });
    }
    if let Some(end) = facts.truncated {
        let message = match facts.format {
            Format::Jpeg => "the file ends inside of its picture, without the marker that ends it".to_owned(),
            _ => format!("the file ends at byte {}, its data at byte {end}", blob.size),
        };
        findings.push(Finding::new(Code::Truncated, message).with_fix("Upload the file again"));
    }
    Decision { findings, skipped: None }
}

/// Damage or a gap in what could be read; says whether there is one.
fn judge_header(facts: &Facts, findings: &mut Vec<Finding>) -> bool {
    if let Some(malformed) = &facts.malformed {
        findings.push(Finding::new(Code::Malformed, malformed.to_string()));
    }
    if let Some(gap) = facts.gap {
        let mut finding = Finding::new(Code::Undetermined, gap.to_string());
        if let Some(GapCost { reads, bytes }) = facts.gap_cost {
            let mebibytes = bytes.div_ceil(1 << 20);
            finding.message += &format!(": about {reads} reads and {mebibytes} MiB");
            finding.fix = Some(format!("Run again with --max-reads {}", rounded_up(reads)));
        }
        findings.push(finding);
    }
    facts.malformed.is_some() || facts.gap.is_some()
}

/// A number that is a little larger, with two digits that are not 0.
fn rounded_up(number: u64) -> u64 {
    let step = 10u64.pow(number.max(1).ilog10().saturating_sub(1));
    (number / step).saturating_add(1).saturating_mul(step)
}

fn judge_image(facts: &Facts, profile: &Profile, findings: &mut Vec<Finding>) {
    let rules = &profile.images;
    if !rules.formats.iter().any(|format| format == facts.format.as_str()) {
        let content = match facts.format {
            Format::Raw => "a camera's raw file",
            Format::HeifSequence => "an image sequence (heif-sequence) without a still picture",
            format => format.as_str(),
        };
        let message = format!("the content is {content}, which {} does not sync", profile.title);
        findings.push(Finding::new(Code::UnsupportedFormat, message));
        return;
    }
    let broken = judge_header(facts, findings);
    match facts.orientation {
        Orientation::Value(value) if !rules.orientations.contains(&value) => {
            let message = format!(
                "EXIF orientation is {value} ({}), must be absent or {}",
                orientation_text(value),
                list(rules.orientations.iter().map(i64::to_string)),
            );
            let fix = orientation_fix(facts.format, value);
            findings.push(Finding::new(Code::ExifOrientation, message).with_fix(fix));
        }
        Orientation::NotRead if !broken => {
            findings.push(Finding::new(Code::Undetermined, "the EXIF orientation was not found"));
        }
        Orientation::Value(_) | Orientation::Absent | Orientation::NotRead => {}
    }
}

/// How the picture has to be turned to be shown upright (Exif 3.0, 4.6.5.1.6).
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
        _ => "not a value that is defined",
    }
}

/// A command after which the tag says 1 and the picture looks as before.
fn orientation_fix(format: Format, value: i64) -> String {
    let out = format.extensions().first().map_or("OUT".to_owned(), |extension| format!("OUT.{extension}"));
    match (format, turn(value)) {
        // What is less than a whole block at an edge cannot be turned without loss and would stay behind wrongly.
        (Format::Jpeg, Some((turn, _))) => format!(
            "jpegtran -copy all {turn} -trim -outfile {out} IN && \
             exiftool -overwrite_original -n -Orientation=1 -ThumbnailImage= {out}"
        ),
        // HEIF and AVIF are shown as their own properties say, whatever EXIF says (ISO/IEC 23008-12).
        (Format::Heif | Format::Avif, _) => format!("exiftool -n -Orientation=1 -o {out} IN"),
        // ImageMagick 6 does not see the tag in PNG and WebP, so -auto-orient would not turn them.
        (Format::Webp, Some((_, turn))) => {
            format!("cp IN {out} && mogrify {turn} +repage -orient TopLeft -quality 95 {out}")
        }
        (_, Some((_, turn))) => format!("cp IN {out} && mogrify {turn} +repage -orient TopLeft {out}"),
        // exiftool 12.57 does not write WebP yet.
        (Format::Webp, None) => format!("webpmux -strip exif IN -o {out}"),
        (_, None) => format!("exiftool -n -Orientation=1 -o {out} IN"),
    }
}

/// What turns the pixels as the orientation says, for jpegtran and for ImageMagick.
fn turn(value: i64) -> Option<(&'static str, &'static str)> {
    match value {
        2 => Some(("-flip horizontal", "-flop")),
        3 => Some(("-rotate 180", "-rotate 180")),
        4 => Some(("-flip vertical", "-flip")),
        5 => Some(("-transpose", "-transpose")),
        6 => Some(("-rotate 90", "-rotate 90")),
        7 => Some(("-transverse", "-transverse")),
        8 => Some(("-rotate 270", "-rotate 270")),
        _ => None,
    }
}

fn judge_video(facts: &Facts, profile: &Profile, findings: &mut Vec<Finding>) {
    let Some(video) = &facts.video else {
        let message = format!("the content is {}, must be MP4", facts.format.as_str());
        findings.push(Finding::new(Code::NotMp4, message).with_fix(encode_fix(profile)));
        return;
    };
    judge_brand(video, profile, findings);
    let broken = judge_header(facts, findings);
    let Some(first) = video.tracks.first() else {
        if !broken {
            findings.push(Finding::new(Code::NoVideoTrack, "the file has no video track"));
        }
        return;
    };
    judge_pixel_format(video, profile, findings, broken);
    judge_frames(first, profile, findings);
    if let Some(finding) = turned(facts) {
        findings.push(finding.with_fix(encode_fix(profile)));
    }
    let codec = first.codec.as_deref().unwrap_or("unknown");
    if video.tracks.iter().any(|track| track.encrypted) {
        let message = format!("the {codec} track is encrypted, which no browser plays without a key");
        findings.push(Finding::new(Code::CodecNotInBrowsers, message));
    } else if !profile.videos.browser_codecs.iter().any(|known| known == codec) {
        let message = format!("the codec is {codec}, which not every browser plays");
        findings.push(Finding::new(Code::CodecNotInBrowsers, message).with_fix(encode_fix(profile)));
    }
}

fn judge_frames(track: &VideoTrack, profile: &Profile, findings: &mut Vec<Finding>) {
    match (track.frames, track.frames_presented) {
        (Some(0), _) => findings.push(Finding::new(Code::Malformed, "the video track has no frames")),
        (Some(frames), Some(presented)) if frames != presented => {
            let message = format!("{frames} frames are stored, {presented} are presented by the edit list");
            let fix = match presented {
                // What shows nothing cannot be encoded as it is shown.
                0 => encode_fix(profile).replacen("ffmpeg", "ffmpeg -ignore_editlist 1", 1),
                _ => encode_fix(profile),
            };
            findings.push(Finding::new(Code::FrameCountsDiffer, message).with_fix(fix));
        }
        _ => {}
    }
    if track.variable_frame_rate == Some(true) {
        let message =
            "the frames are shown for unequal times, so a label made by frame number may be on another frame";
        let fix = encode_fix(profile).replace("-fps_mode vfr", "-fps_mode cfr");
        findings.push(Finding::new(Code::VariableFrameRate, message).with_fix(fix));
    }
}

/// What the matrix of a video's track does to the picture.
fn turned(facts: &Facts) -> Option<Finding> {
    let turn = facts.rotation.map(|degrees| format!("turned by {degrees}° anticlockwise"));
    let mirrored = facts.mirror.map(|_| "mirrored".to_owned());
    let how: Vec<_> = turn.into_iter().chain(mirrored).collect();
    let message =
        format!("the track's matrix shows the picture {}, which not every tool does", how.join(" and "));
    (!how.is_empty()).then(|| Finding::new(Code::Rotated, message))
}

fn judge_brand(video: &Video, profile: &Profile, findings: &mut Vec<Finding>) {
    let accepted = &profile.videos.major_brands;
    let brand = video.major_brand.map(|brand| brand.to_string());
    if brand.as_ref().is_some_and(|brand| accepted.contains(brand)) {
        return;
    }
    let must = list(accepted.iter().map(|brand| format!("'{brand}'")));
    let message = match brand {
        Some(brand) => format!("major brand is '{brand}', must be {must}"),
        None => format!("there is no major brand, must be {must}"),
    };
    let fix = match wrong_pixel_format(video, profile) {
        Some(_) => encode_fix(profile),
        None => brand_fix(video, profile),
    };
    findings.push(Finding::new(Code::MajorBrand, message).with_fix(fix));
}

/// A command that gives the video an accepted brand and copies its pictures. QuickTime and 3GP hold sound that MP4 does
/// not take, such as PCM and AMR, so only an MP4's is copied.
fn brand_fix(video: &Video, profile: &Profile) -> String {
    let brand = video.major_brand.map(|brand| brand.to_string());
    let is_mp4 = brand.is_some_and(|brand| !brand.starts_with("qt") && !brand.starts_with("3g"));
    let codec = if is_mp4 { "-c copy" } else { "-c:v copy" };
    format!("ffmpeg -i IN {codec} -brand {} OUT.mp4", first_or(&profile.videos.major_brands, "mp42"))
}

/// A command that encodes the video anew, so that all rules are kept and every frame that is presented is there once.
/// The range is said because x264 would otherwise keep a full one (yuvj420p), `-fps_mode` because ffmpeg 5.1
/// repeats frames to even out their times, and `crop` leaves out the last column and row of an odd size.
fn encode_fix(profile: &Profile) -> String {
    let brand = first_or(&profile.videos.major_brands, "mp42");
    let pixel_format = first_or(&profile.videos.pixel_formats, "yuv420p");
    format!(
        "ffmpeg -i IN -vf scale=out_range=tv,format={pixel_format},crop -fps_mode vfr -c:v libx264 -crf 18 \
         -brand {brand} OUT.mp4"
    )
}

fn first_or<'a>(accepted: &'a [String], default: &'a str) -> &'a str {
    accepted.first().map_or(default, String::as_str)
}

/// The first pixel format that is not accepted.
fn wrong_pixel_format<'a>(video: &'a Video, profile: &Profile) -> Option<&'a str> {
    let accepted = &profile.videos.pixel_formats;
    let mut known = video.tracks.iter().filter_map(|track| track.pixel_format.as_deref());
    known.find(|format| accepted.iter().all(|accepted| accepted != format))
}

/// Every video stream must have an accepted format, and one whose format is not known is not accepted.
fn judge_pixel_format(video: &Video, profile: &Profile, findings: &mut Vec<Finding>, broken: bool) {
    if let Some(format) = wrong_pixel_format(video, profile) {
        let accepted = profile.videos.pixel_formats.iter().cloned();
        let message = format!("pixel format is {format}, must be {}", list(accepted));
        findings.push(Finding::new(Code::PixelFormat, message).with_fix(encode_fix(profile)));
    } else if !broken && video.tracks.iter().any(|track| track.pixel_format.is_none()) {
        let codec = video.tracks.iter().find(|track| track.pixel_format.is_none());
        let codec = codec.and_then(|track| track.codec.as_deref()).unwrap_or("unknown");
        let message = format!("the pixel format of the {codec} track is not shown by its configuration");
        findings.push(Finding::new(Code::Undetermined, message));
    }
}

/// `a`, `a or b`, `a, b or c`.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlobName, ETag};

    fn blob(etag: Option<&str>) -> Blob {
        let (name, etag) = (BlobName::new("a.jpg"), etag.map(ETag::new));
        Blob { name, size: 10, etag, last_modified: None, access: Access::Online }
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
        let unread =
            [Content::Gone, Content::Changed, Content::Archived, Content::Unreadable("503".to_owned())];
        for content in unread {
            let earlier = judge(blob(Some("1")), content, Reads::default(), &profile);
            assert_eq!(from_earlier(&blob(Some("1")), earlier, &profile), None);
        }
        let archived = Blob { access: Access::Archived, ..blob(Some("1")) };
        let earlier = without_reading(&archived, &profile).expect("it cannot be read");
        assert_eq!(from_earlier(&blob(Some("1")), earlier, &profile), None, "it is online now");
    }
}

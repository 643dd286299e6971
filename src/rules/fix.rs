//! How an asset is fixed: the commands that reports show and `presync fix` runs.

use std::fmt;
use std::sync::OnceLock;

use super::Profile;
use super::profile::ANY;
use crate::model::{Asset, Code, Format, FourCc, Orientation, Severity, Video};

/// The quality of a JPEG or WebP that is encoded again, of 100. With full color resolution, a JPEG of the demo then has
/// 37 to 38 dB against the original; with the usual half, only 33 to 35, because its blocks no longer fall together.
const QUALITY: &str = "95";

/// Brands of files whose other structures fit ISO/IEC 14496-14, so that a new major brand is the only change needed.
const PLAIN_BRANDS: [&[u8; 4]; 8] = [b"isom", b"iso2", b"iso3", b"iso4", b"mp41", b"mp42", b"avc1", b"M4V "];

/// Brands that only fragmented files or other containers carry: their structures need to be written again.
const OTHER_BRANDS: [&[u8; 4]; 12] = [
    b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"dash", b"msdh", b"msix", b"cmfc", b"cmf2", b"hlsf",
    b"qt  ",
];

/// A word of a command: text, or the place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The file to fix.
    In,
    /// The fixed file.
    Out,
    /// Anything else, as is.
    Text(String),
}

/// A command and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(pub Vec<Word>);

/// One step of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The command to run.
    pub command: Command,
    /// The commands to run if the first one fails; empty if the recipe then fails.
    pub or_else: Vec<Command>,
}

/// Commands that write a fixed copy of a file, in order, each only if the one before succeeded. Printed as a line for a
/// shell, with `IN` and `OUT` in place of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The steps.
    pub steps: Vec<Step>,
    /// The extension of the fixed file; `None` to keep the original's.
    pub extension: Option<&'static str>,
    /// Whether pixels or frames may change.
    pub effort: Effort,
}

/// What a fix does to the content, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Only the name changes.
    Rename,
    /// Four bytes change. In a container, the service copies the rest itself.
    Patch,
    /// Pixels and frames stay as they are, or are only moved.
    Lossless,
    /// Pixels or frames are encoded again.
    Encode,
}

impl Effort {
    /// Every effort, in the order of the declaration.
    pub const ALL: [Self; 4] = [Self::Rename, Self::Patch, Self::Lossless, Self::Encode];

    /// Returns the name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rename => "rename",
            Self::Patch => "patch",
            Self::Lossless => "lossless",
            Self::Encode => "encode",
        }
    }
}

/// How to fix an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Keep the content; give it a name that fits.
    Rename,
    /// Write this major brand over the file's own.
    Brand(FourCc),
    /// Run commands.
    Run(Recipe),
}

impl Fix {
    /// What it does to the content.
    pub fn effort(&self) -> Effort {
        match self {
            Self::Rename => Effort::Rename,
            Self::Brand(_) => Effort::Patch,
            Self::Run(recipe) => recipe.effort,
        }
    }
}

/// What to do about edge blocks of a JPEG that cannot be turned without loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edges {
    /// Encode the picture again: its size stays, so existing labels fit
    #[default]
    Reencode,
    /// Cut off less than one block (8 or 16 pixels): the rest is lossless, but existing labels shift
    Trim,
    /// Leave the file as it is
    Leave,
}

impl Edges {
    /// Every choice, in the order of the declaration.
    pub const ALL: [Self; 3] = [Self::Reencode, Self::Trim, Self::Leave];

    /// Returns the name used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reencode => "reencode",
            Self::Trim => "trim",
            Self::Leave => "leave",
        }
    }
}

/// The extension that fits the content, if the finding on it can be fixed by a new name.
pub fn fitting_extension(asset: &Asset) -> Option<&'static str> {
    // A finding without a fix is of a file that keeps its extension.
    let finding = asset.findings.iter().find(|finding| finding.code == Code::ExtensionMismatch)?;
    finding.fix.as_ref().and_then(|_| asset.facts.format.extensions().first().copied())
}

/// Returns how to fix every finding of an asset that `wanted` selects, or the first one that no command can fix.
///
/// # Errors
/// Returns the code that cannot be fixed.
pub fn fix(
    asset: &Asset,
    profile: &Profile,
    edges: Edges,
    wanted: impl Fn(Code) -> bool,
) -> Result<Fix, Code> {
    let mut codes: Vec<_> =
        asset.findings.iter().map(|finding| finding.code).filter(|code| wanted(*code)).collect();
    let renames = codes.contains(&Code::ExtensionMismatch) && fitting_extension(asset).is_some();
    let errors = asset.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let fixable = |code: &Code| {
        use Code::*;
        matches!(
            code,
            ExifOrientation
                | MajorBrand
                | PixelFormat
                | NotMp4
                | FrameCountsDiffer
                | CodecNotInBrowsers
                | VariableFrameRate
                | Rotated
        ) || (*code == ExtensionMismatch && renames)
    };
    // Fixing one finding is of no use while another one still rejects the asset.
    let all = codes.iter().copied().chain(errors.map(|finding| finding.code));
    if let Some(code) = all.clone().find(|code| !fixable(code)) {
        return Err(code);
    }
    // The name changes besides.
    codes.retain(|code| *code != Code::ExtensionMismatch);
    let video = || asset.facts.video.as_deref();
    match (&codes[..], asset.facts.orientation) {
        ([Code::ExifOrientation], Orientation::Value(value)) => {
            Ok(Fix::Run(orientation(asset.facts.format, value, edges)))
        }
        ([Code::MajorBrand], _) => match video() {
            Some(video) => Ok(brand_of(video, profile)),
            None => Err(Code::MajorBrand),
        },
        ([_, ..], _) if video().is_some_and(|video| video.tracks.iter().any(|track| track.encrypted)) => {
            Err(Code::CodecNotInBrowsers)
        }
        ([_, ..], _) => {
            let presents_nothing =
                video().and_then(|video| video.tracks.first()?.frames_presented) == Some(0);
            let constant_rate = codes.contains(&Code::VariableFrameRate);
            Ok(Fix::Run(encode(profile, presents_nothing, constant_rate)))
        }
        ([], _) if renames => Ok(Fix::Rename),
        ([], _) => Err(Code::Undetermined),
    }
}

/// The four bytes, or commands for a file that needs more than that.
fn brand_of(video: &Video, profile: &Profile) -> Fix {
    let brand: Option<FourCc> = first_or(&profile.videos.major_brands, "mp42").parse().ok();
    let is = |brands: &[&[u8; 4]], brand: &FourCc| brands.contains(&&brand.0);
    let mut brands = video.major_brand.iter().chain(&video.compatible_brands);
    let plain = video.major_brand.as_ref().is_some_and(|major| is(&PLAIN_BRANDS, major))
        && !brands.any(|brand| is(&OTHER_BRANDS, brand));
    match brand.filter(|_| plain) {
        Some(brand) => Fix::Brand(brand),
        None => Fix::Run(remux(video, profile)),
    }
}

/// Commands that set the tag to 1 and keep the picture's appearance.
fn orientation(format: Format, value: i64, edges: Edges) -> Recipe {
    let set_tag = step("exiftool -n -Orientation=1 -o OUT IN");
    let recipe = |steps, effort| Recipe { steps, extension: format.extensions().first().copied(), effort };
    match (format, turn(value)) {
        // Blocks at an edge that are not whole cannot be turned losslessly.
        (Format::Jpeg, Some((turn, pixels))) => {
            let otherwise = match edges {
                Edges::Reencode => {
                    vec![
                        command("cp IN OUT"),
                        command(&format!(
                            "mogrify {pixels} +repage -quality {QUALITY} -sampling-factor 1x1 OUT"
                        )),
                    ]
                }
                Edges::Trim => vec![command(&format!("jpegtran -copy all -trim {turn} -outfile OUT IN"))],
                Edges::Leave => Vec::new(),
            };
            let turned = Step {
                command: command(&format!("jpegtran -copy all -perfect {turn} -outfile OUT IN")),
                or_else: otherwise,
            };
            let tags = step("exiftool -overwrite_original -n -Orientation=1 -ThumbnailImage= OUT");
            recipe(vec![turned, tags], Effort::Lossless)
        }
        // HEIF and AVIF are displayed by their own properties, whatever EXIF says (ISO/IEC 23008-12).
        (Format::Heif | Format::Avif, _) => recipe(vec![set_tag], Effort::Lossless),
        // ImageMagick 6 does not see the tag in PNG and WebP, so -auto-orient would not turn them.
        (Format::Webp, Some((_, turn))) => {
            let turned = step(&format!("mogrify {turn} +repage -orient TopLeft -quality {QUALITY} OUT"));
            recipe(vec![step("cp IN OUT"), turned], Effort::Encode)
        }
        (_, Some((_, turn))) => {
            let turned = step(&format!("mogrify {turn} +repage -orient TopLeft OUT"));
            recipe(vec![step("cp IN OUT"), turned], Effort::Lossless)
        }
        // exiftool 12.57 cannot write WebP.
        (Format::Webp, None) => recipe(vec![step("webpmux -strip exif IN -o OUT")], Effort::Lossless),
        (_, None) => recipe(vec![set_tag], Effort::Lossless),
    }
}

/// The commands of [`orientation`] as a report shows them. There are few of them, and making one takes longer than the
/// rest of a verdict.
pub(super) fn orientation_line(format: Format, value: i64) -> String {
    static LINES: [[OnceLock<String>; 9]; Format::ALL.len()] =
        [const { [const { OnceLock::new() }; 9] }; Format::ALL.len()];
    // All values that turn nothing have the same commands.
    let turned = turn(value).map_or(0, |_| value as usize);
    let line = &LINES[format as usize][turned];
    line.get_or_init(|| orientation(format, value, Edges::default()).into()).clone()
}

/// The options of jpegtran and of ImageMagick that apply the orientation to the pixels.
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

/// A command that sets an accepted brand without re-encoding the video. QuickTime and 3GP may contain audio that MP4
/// does not support, such as PCM and AMR, so audio is copied only from an MP4.
pub(super) fn remux(video: &Video, profile: &Profile) -> Recipe {
    let brand = video.major_brand.map(|brand| brand.to_string());
    let is_mp4 = brand.is_some_and(|brand| !brand.starts_with("qt") && !brand.starts_with("3g"));
    let codec = if is_mp4 { "-c copy" } else { "-c:v copy" };
    let brand = first_or(&profile.videos.major_brands, "mp42");
    mp4(&format!("ffmpeg -i IN {codec} -brand {brand} OUT"), Effort::Lossless)
}

/// A command that re-encodes the video to satisfy all rules, with every presented frame exactly once; with every stored
/// frame if none is presented, because ffmpeg would encode an empty video.
///
/// `out_range` is needed because x264 would otherwise keep full range (yuvj420p), `-fps_mode` because ffmpeg 5.1
/// repeats frames to even out their times, and `crop` because 4:2:0 needs an even width and height.
pub(super) fn encode(profile: &Profile, presents_nothing: bool, constant_rate: bool) -> Recipe {
    let brand = first_or(&profile.videos.major_brands, "mp42");
    let pixel_format = first_or(&profile.videos.pixel_formats, "yuv420p");
    let edits = if presents_nothing { " -ignore_editlist 1" } else { "" };
    let rate = if constant_rate { "cfr" } else { "vfr" };
    let command = format!(
        "ffmpeg{edits} -i IN -vf scale=out_range=tv,format={pixel_format},crop -fps_mode {rate} -c:v libx264 \
         -crf 18 -brand {brand} OUT"
    );
    mp4(&command, Effort::Encode)
}

fn mp4(command: &str, effort: Effort) -> Recipe {
    Recipe { steps: vec![step(command)], extension: Some("mp4"), effort }
}

fn first_or<'a>(accepted: &'a [String], default: &'a str) -> &'a str {
    accepted.iter().map(String::as_str).find(|accepted| *accepted != ANY).unwrap_or(default)
}

fn step(text: &str) -> Step {
    Step { command: command(text), or_else: Vec::new() }
}

fn command(text: &str) -> Command {
    let word = |word: &str| match word {
        "IN" => Word::In,
        "OUT" => Word::Out,
        text => Word::Text(text.to_owned()),
    };
    Command(text.split_ascii_whitespace().map(word).collect())
}

impl From<Recipe> for String {
    fn from(recipe: Recipe) -> Self {
        recipe.to_string()
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = self.extension.map_or("OUT".to_owned(), |extension| format!("OUT.{extension}"));
        let line = |Command(words): &Command| {
            let words = words.iter().map(|word| match word {
                Word::In => "IN",
                Word::Out => &out,
                Word::Text(text) => text,
            });
            words.collect::<Vec<_>>().join(" ")
        };
        for (index, Step { command, or_else }) in self.steps.iter().enumerate() {
            if index > 0 {
                f.write_str(" && ")?;
            }
            f.write_str(&line(command))?;
            match &or_else[..] {
                [] => {}
                [one] => write!(f, " || {}", line(one))?,
                more => write!(f, " || ({})", more.iter().map(line).collect::<Vec<_>>().join(" && "))?,
            }
        }
        Ok(())
    }
}

//! Profiles: the rules of a platform, as data.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::regular;
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Code, Effect, Effects, Finding, Format, Kind, Overrides, PeriodKind, QuotaKind};

/// The entry of a list that stands for every value.
pub(super) const ANY: &str = "*";

/// Whether a list of accepted values has this one, or accepts any.
pub(super) fn accepts(list: &[String], value: &str) -> bool {
    list.iter().any(|accepted| accepted == value || accepted == ANY)
}

/// What a platform accepts, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The short name, as in `--profile nexus`.
    pub name: String,
    /// The platform's name.
    pub title: String,
    /// Assumptions about the platform that are not documented.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// The origin of the platform's site, such as `https://nexus.datature.io`, whose pages must be allowed to play
    /// videos (CORS).
    #[serde(default)]
    pub origin: Option<String>,
    /// Rules that have another effect than usual on this platform.
    #[serde(default)]
    pub severity: Effects,
    /// Where these effects come from. It is added to the message of every finding of such a rule.
    #[serde(default)]
    pub severity_note: Option<String>,
    /// The rules for images.
    pub images: ImageRules,
    /// The rules for videos.
    pub videos: VideoRules,
    /// How the quota is counted.
    #[serde(default)]
    pub quota: QuotaRules,
    /// How labels find their assets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: LabelRules,
    /// The user's changes to the rules. They are never in a profile's own file.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
}

/// The rules for images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRules {
    /// What the quota counts, in the plural, such as `images`.
    pub unit: String,
    /// Accepted formats, by the names used in reports.
    pub formats: Vec<String>,
    /// Accepted values of the EXIF orientation. An image without the tag is always accepted.
    pub orientations: Vec<i64>,
    /// The maximum size of an image, in bytes.
    pub max_bytes: u64,
    /// The maximum width, in pixels.
    #[serde(default)]
    pub max_width: Option<u32>,
    /// The maximum height, in pixels.
    #[serde(default)]
    pub max_height: Option<u32>,
    /// The cost of an image.
    pub cost: u64,
}

/// The rules for videos.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRules {
    /// What the quota counts, in the plural, such as `frames`.
    pub unit: String,
    /// Accepted formats, by the names used in reports; `*` accepts any.
    #[serde(default = "mp4_family")]
    pub formats: Vec<String>,
    /// Accepted major brands of MP4 and its relatives; `*` accepts any.
    pub major_brands: Vec<String>,
    /// Accepted pixel formats, by their ffprobe names; `*` accepts any.
    pub pixel_formats: Vec<String>,
    /// Codecs that browsers can play, by their ffprobe names.
    pub browser_codecs: Vec<String>,
    /// The maximum size of a video, in bytes.
    pub max_bytes: u64,
    /// The maximum width, in pixels.
    #[serde(default)]
    pub max_width: Option<u32>,
    /// The maximum height, in pixels.
    #[serde(default)]
    pub max_height: Option<u32>,
    /// The maximum number of frames.
    #[serde(default)]
    pub max_frames: Option<u64>,
    /// The maximum duration, in seconds.
    #[serde(default)]
    pub max_duration_s: Option<u64>,
    /// The maximum frames per second.
    #[serde(default)]
    pub max_frame_rate: Option<u64>,
    /// The cost of a frame.
    pub cost_per_frame: u64,
}

/// How labels find their assets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRules {
    /// What of an asset's name a label must have.
    #[serde(default)]
    pub match_by: MatchBy,
}

/// The part of an asset's name that a label must have, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchBy {
    /// The basename, with its extension.
    #[default]
    Basename,
    /// The basename without its extension.
    Stem,
    /// The whole name, with its folders.
    Path,
}

/// Whether these are the rules of profiles that do not state any.
fn is_default(labels: &LabelRules) -> bool {
    *labels == LabelRules::default()
}

/// How a platform counts its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaRules {
    /// Whether images and frames use one quota, in which an image and a frame have the costs above. They always do if
    /// they have the same unit.
    #[serde(default)]
    pub shared: bool,
    /// Whether each month has a quota of its own, or one stock is for all time.
    #[serde(default)]
    pub period: PeriodKind,
    /// Whether a changed asset costs its whole cost again, or only what it costs more than before.
    #[serde(default = "yes")]
    pub recounts_changed: bool,
}

impl Default for QuotaRules {
    fn default() -> Self {
        Self { shared: false, period: PeriodKind::default(), recounts_changed: yes() }
    }
}

/// The safe assumption: too little quota is planned for only if a platform counts more than everything again.
fn yes() -> bool {
    true
}

/// The formats of profiles that do not name any: those that were accepted before they could be chosen.
fn mp4_family() -> Vec<String> {
    let family = Format::ALL.iter().filter(|format| format.is_mp4_family());
    family.map(|format| format.as_str().to_owned()).collect()
}

impl Profile {
    /// Whether images and frames use one quota.
    pub fn is_shared(&self) -> bool {
        self.quota.shared || self.images.unit == self.videos.unit
    }

    /// What the quota for images and the one for frames count in a ledger; `None` for a unit that no ledger has.
    pub fn quota_kind(&self, kind: Kind) -> Option<QuotaKind> {
        let of = |unit: &str| QuotaKind::ALL.into_iter().find(|kind| kind.unit() == unit);
        let (images, videos) = (of(&self.images.unit)?, of(&self.videos.unit)?);
        match kind {
            _ if self.is_shared() && images != videos => Some(QuotaKind::Shared),
            Kind::Video => Some(videos),
            Kind::Image | Kind::Other => Some(images),
        }
    }

    /// What the quota for images or for frames counts, for display, such as `images`, `data rows` or `images and
    /// frames`.
    pub fn quota_unit(&self, kind: Kind) -> String {
        let (images, frames) = (&self.images.unit, &self.videos.unit);
        match kind {
            _ if self.is_shared() && images != frames => format!("{images} and {frames}"),
            Kind::Video => frames.clone(),
            Kind::Image | Kind::Other => images.clone(),
        }
    }

    /// Whether the facts of a rule must be known for the blob with this name: not if the platform only warns, because
    /// nothing depends on them then.
    pub(super) fn needs(&self, code: Code, name: &str) -> bool {
        self.severity.get(code).is_none_or(|effect| effect == Effect::Error)
            || self.overrides.effect(code, name) == Some(Effect::Error)
    }

    /// Gives findings of the blob with this name the severities of the platform, and then those of the user.
    pub(super) fn weigh(&self, name: &str, findings: &mut Vec<Finding>) {
        self.severity.apply(findings);
        if let Some(note) = &self.severity_note {
            let noted = |finding: &&mut Finding| self.severity.get(finding.code).is_some();
            findings.iter_mut().filter(noted).for_each(|finding| finding.message += &format!(" ({note})"));
        }
        self.overrides.apply(name, findings);
    }

    /// Whether the rules need width and height.
    pub fn needs_dimensions(&self) -> bool {
        let (images, videos) = (&self.images, &self.videos);
        [images.max_width, images.max_height, videos.max_width, videos.max_height].iter().any(Option::is_some)
    }

    /// Whether the rules need the headers of videos other than MP4 and its relatives.
    pub fn needs_containers(&self) -> bool {
        let is_other = |format: &&Format| format.kind() == Kind::Video && !format.is_mp4_family();
        Format::ALL.iter().filter(is_other).any(|format| accepts(&self.videos.formats, format.as_str()))
    }

    /// The names of the built-in profiles.
    pub const BUILT_IN: [&'static str; 2] = ["nexus", "vi"];

    /// The name by which [`load`](Self::load) finds the same profile from any folder: for a file, its absolute path.
    pub(crate) fn whole_name(name: &str) -> String {
        match Self::BUILT_IN.contains(&name) {
            true => name.to_owned(),
            false => std::path::absolute(name)
                .map_or_else(|_| name.to_owned(), |path| path.to_string_lossy().into_owned()),
        }
    }

    /// Loads a built-in profile by name, or a profile from a file.
    ///
    /// # Errors
    /// Returns an error if there is no such profile or file, or if the file isn't a valid profile; the latter includes
    /// line and column.
    pub fn load(name: &str) -> Result<Self> {
        let loaded = Self::toml(name).and_then(|text| Self::parse(&text, name));
        loaded.map_err(|error| error.because(Cause::Configuration))
    }

    /// The TOML text of a profile that [`load`](Self::load) accepts.
    ///
    /// # Errors
    /// The same as for [`load`](Self::load).
    pub fn text(name: &str) -> Result<Cow<'static, str>> {
        let text = Self::toml(name)?;
        Self::parse(&text, name).map(|_| text)
    }

    fn toml(name: &str) -> Result<Cow<'static, str>> {
        match name {
            "nexus" => Ok(include_str!("nexus.toml").into()),
            "vi" => Ok(include_str!("vi.toml").into()),
            path => regular::read_to_string(Path::new(path)).map(Into::into).map_err(|error| {
                Error::new(format!("cannot read the profile '{path}': {}", reason(&error)))
                    .with_hint("use --profile nexus, --profile vi, or the path of a TOML file")
                    .because(Cause::of_io(&error))
            }),
        }
    }

    fn parse(text: &str, origin: &str) -> Result<Self> {
        let profile: Self = toml::from_str(text).map_err(|error| {
            let text = error.to_string();
            let (what, lines) = text.trim_end().split_once('\n').unwrap_or((text.trim_end(), ""));
            Error::new(format!("the profile '{origin}' is not valid: {what}"))
                .with_excerpt(lines)
                .with_hint("to start from a valid profile, run 'presync rule --profile nexus'")
        })?;
        if !profile.overrides.is_empty() {
            return Err(Error::new(format!(
                "the profile '{origin}' has overrides, which a profile cannot contain"
            ))
            .with_hint("put them under [rules] in presync.toml, or use --select, --ignore and --severity"));
        }
        let wrong = |message: String| Error::new(format!("the profile '{origin}' {message}"));
        for (kind, what, formats) in
            [(Kind::Image, "image", &profile.images.formats), (Kind::Video, "video", &profile.videos.formats)]
        {
            let known =
                || Format::ALL.iter().filter(|format| format.kind() == kind).map(|format| format.as_str());
            let is_known = |name: &&String| *name == ANY || known().any(|known| known == *name);
            if let Some(name) = formats.iter().find(|name| !is_known(name)) {
                return Err(wrong(format!("has the unknown {what} format '{}'", name.escape_debug()))
                    .with_hint(format!("use one of: {}", known().collect::<Vec<_>>().join(", "))));
            }
        }
        if let Some(site) = profile.origin.as_deref().filter(|site| !is_origin(site)) {
            return Err(wrong(format!("has the origin '{}', which is not one", site.escape_debug()))
                .with_hint("an origin is a scheme and a host, such as https://nexus.datature.io"));
        }
        Ok(profile)
    }
}

/// Whether a text is an origin: a scheme and a host, perhaps with a port, and nothing else (RFC 6454, 6.2).
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-.:[]".contains(letter);
    host.is_some_and(|host| !host.is_empty() && host.chars().all(is_letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profiles_are_valid() {
        for name in Profile::BUILT_IN {
            assert_eq!(Profile::load(name).expect("it is built in").name, name);
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let text = include_str!("nexus.toml").replace("orientations", "orientation");
        let error = Profile::parse(&text, "mine.toml").expect_err("the key is wrong");
        let line = text.lines().position(|line| line.starts_with("orientation ")).expect("it is there") + 1;
        assert!(error.message().contains(&format!("line {line}")), "{error}");
    }

    #[test]
    fn an_unknown_format_is_an_error() {
        let text = include_str!("nexus.toml").replace("\"png\"", "\"pgn\"");
        assert!(Profile::parse(&text, "mine.toml").expect_err("pgn").message().contains("'pgn'"));
    }

    #[test]
    fn a_profile_of_ones_own_can_accept_anything_and_limit_it() {
        let text = include_str!("nexus.toml")
            .replace("major_brands = [\"mp42\"]", "major_brands = [\"*\"]\nmax_frames = 10\nmax_width = 640")
            .replace("formats = [\"mp4\"", "formats = [\"avi\", \"mp4\"");
        let profile = Profile::parse(&text, "mine.toml").expect("it is valid");
        assert!(accepts(&profile.videos.major_brands, "isom") && profile.needs_dimensions());
        assert!(
            profile.needs_containers() && !Profile::load("nexus").expect("it is built in").needs_containers()
        );
        for (wrong, says) in [
            ("origin = \"https://a.example/x\"", "'https://a.example/x'"),
            ("origin = \"a.example\"", "'a.example'"),
            ("severity = { QTA001 = \"warning\" }", "cannot be changed"),
        ] {
            let key = wrong.split(' ').next().unwrap_or_default();
            let text = include_str!("nexus.toml").lines().filter(|line| !line.starts_with(key));
            let text = format!("{wrong}\n{}", text.collect::<Vec<_>>().join("\n"));
            let error = Profile::parse(&text, "mine.toml").expect_err(wrong);
            let excerpt = error.excerpt().unwrap_or_default();
            assert!(error.message().contains(says) || excerpt.contains(says), "{wrong}: {error}");
        }
        let text = include_str!("nexus.toml").replace("\"3gp\"", "\"jpeg\"");
        assert!(
            Profile::parse(&text, "mine.toml").expect_err("jpeg").message().contains("video format 'jpeg'")
        );
    }
}

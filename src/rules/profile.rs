//! Profiles: the rules of a platform, as data.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::regular;
use crate::model::error::{Error, Result, reason};
use crate::model::{Format, Overrides, PeriodKind};

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
    /// The rules for images.
    pub images: ImageRules,
    /// The rules for videos.
    pub videos: VideoRules,
    /// How the quota is counted.
    #[serde(default)]
    pub quota: QuotaRules,
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
    /// The cost of an image.
    pub cost: u64,
}

/// The rules for videos.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRules {
    /// What the quota counts, in the plural, such as `frames`.
    pub unit: String,
    /// Accepted major brands.
    pub major_brands: Vec<String>,
    /// Accepted pixel formats, by their ffprobe names.
    pub pixel_formats: Vec<String>,
    /// Codecs that browsers can play, by their ffprobe names.
    pub browser_codecs: Vec<String>,
    /// The maximum size of a video, in bytes.
    pub max_bytes: u64,
    /// The cost of a frame.
    pub cost_per_frame: u64,
}

/// How a platform counts its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaRules {
    /// Whether each month has a quota of its own, or one stock is for all time.
    #[serde(default)]
    pub period: PeriodKind,
    /// Whether a changed asset costs its whole cost again, or only what it costs more than before.
    #[serde(default = "yes")]
    pub recounts_changed: bool,
}

impl Default for QuotaRules {
    fn default() -> Self {
        Self { period: PeriodKind::default(), recounts_changed: yes() }
    }
}

/// The safe assumption: too little quota is planned for only if a platform counts more than everything again.
fn yes() -> bool {
    true
}

impl Profile {
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
        Self::parse(&Self::toml(name)?, name)
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
        let unknown = profile
            .images
            .formats
            .iter()
            .find(|name| !Format::ALL.iter().any(|format| format.as_str() == *name));
        match unknown {
            Some(name) => {
                Err(Error::new(format!("the profile '{origin}' has the unknown image format '{name}'"))
                    .with_hint("use one of: jpeg, png, webp, tiff, heif, avif, gif, bmp, jp2"))
            }
            None => Ok(profile),
        }
    }
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
        assert!(error.message().contains("line 9"), "{error}");
    }

    #[test]
    fn an_unknown_format_is_an_error() {
        let text = include_str!("nexus.toml").replace("\"png\"", "\"pgn\"");
        assert!(Profile::parse(&text, "mine.toml").expect_err("pgn").message().contains("'pgn'"));
    }
}

//! Profiles: a platform's rules as data.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result, reason};
use crate::model::{Format, Overrides};

/// What a platform accepts and what it charges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The short name, as in `--profile nexus`.
    pub name: String,
    /// The platform's name.
    pub title: String,
    /// What the profile takes for granted about the platform without documentation.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// The rules for images.
    pub images: ImageRules,
    /// The rules for videos.
    pub videos: VideoRules,
    /// What the user changes about them, which is never in a profile's own file.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
}

/// The rules for images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRules {
    /// What the quota counts, in the plural, such as `images`.
    pub unit: String,
    /// Formats that are synced, by the names that reports use.
    pub formats: Vec<String>,
    /// Values of the EXIF orientation that are accepted; no tag is accepted always.
    pub orientations: Vec<i64>,
    /// The largest image, in bytes.
    pub max_bytes: u64,
    /// What an image costs.
    pub cost: u64,
}

/// The rules for videos.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRules {
    /// What the quota counts, in the plural, such as `frames`.
    pub unit: String,
    /// Major brands that are accepted.
    pub major_brands: Vec<String>,
    /// Pixel formats that are accepted, as ffprobe names them.
    pub pixel_formats: Vec<String>,
    /// Codecs that browsers play, as ffprobe names them.
    pub browser_codecs: Vec<String>,
    /// The largest video, in bytes.
    pub max_bytes: u64,
    /// What a frame costs.
    pub cost_per_frame: u64,
}

impl Profile {
    /// The names of the built-in profiles.
    pub const BUILT_IN: [&'static str; 2] = ["nexus", "vi"];

    /// The name by which [`load`](Self::load) finds the same profile from any folder: a file's is its absolute path.
    pub fn whole_name(name: &str) -> String {
        match Self::BUILT_IN.contains(&name) {
            true => name.to_owned(),
            false => std::path::absolute(name)
                .map_or_else(|_| name.to_owned(), |path| path.to_string_lossy().into_owned()),
        }
    }

    /// A built-in profile by its name, or one that a file holds.
    ///
    /// # Errors
    /// When there is no such profile and no such file, or when the file is no valid profile; then with line and column.
    pub fn load(name: &str) -> Result<Self> {
        Self::parse(&Self::toml(name)?, name)
    }

    /// The text of a profile that [`load`](Self::load) takes, as it is written.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn text(name: &str) -> Result<Cow<'static, str>> {
        let text = Self::toml(name)?;
        Self::parse(&text, name).map(|_| text)
    }

    fn toml(name: &str) -> Result<Cow<'static, str>> {
        match name {
            "nexus" => Ok(include_str!("nexus.toml").into()),
            "vi" => Ok(include_str!("vi.toml").into()),
            path => std::fs::read_to_string(path).map(Into::into).map_err(|error| {
                Error::new(format!("cannot read the profile '{path}': {}", reason(&error)))
                    .with_hint("use --profile nexus, --profile vi, or the path of a TOML file")
            }),
        }
    }

    fn parse(text: &str, origin: &str) -> Result<Self> {
        let profile: Self = toml::from_str(text).map_err(|error| {
            Error::new(format!("the profile '{origin}' is not valid: {}", error.to_string().trim_end()))
                .with_hint("presync rule --profile nexus prints a profile to start from")
        })?;
        if !profile.overrides.is_empty() {
            return Err(Error::new(format!(
                "the profile '{origin}' has overrides, which are no part of a profile"
            ))
            .with_hint("give them as [rules] in presync.toml, or with --select, --ignore and --severity"));
        }
        let unknown = profile
            .images
            .formats
            .iter()
            .find(|name| !Format::ALL.iter().any(|format| format.as_str() == *name));
        match unknown {
            Some(name) => Err(Error::new(format!(
                "the profile '{origin}' accepts the image format '{name}', which presync does not know"
            ))
            .with_hint("formats are named as in reports: jpeg, png, webp, tiff, heif, avif, gif, bmp, jp2")),
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

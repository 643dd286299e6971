//! Findings: what a rule has to say about one asset.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a finding does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is worth knowing; the asset is accepted all the same.
    Warning,
    /// The asset could not be judged.
    Unknown,
    /// The asset is rejected.
    Error,
}

impl Severity {
    /// Every severity.
    pub const ALL: &[Self] = &[Self::Warning, Self::Unknown, Self::Error];

    /// `warning`, `unknown` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $severity:ident;)*) => {
        /// The stable code of a rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order in which reports show them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code that scripts use, such as `IMG001`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The offence in kebab case, such as `exif-orientation`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the rule does to an asset's verdict.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// An image's EXIF orientation is neither absent nor 1.
    ExifOrientation = "IMG001", "exif-orientation", Error;
    /// A video's major brand is not one that the profile accepts.
    MajorBrand = "VID001", "major-brand", Error;
    /// A video stream's pixel format is not one that the profile accepts.
    PixelFormat = "VID002", "pixel-format", Error;
    /// A video file without a video track.
    NoVideoTrack = "VID003", "no-video-track", Error;
    /// A video that is no ISO base media file.
    NotMp4 = "VID004", "not-mp4", Error;
    /// The sample table and what is presented differ.
    FrameCountsDiffer = "VID101", "frame-counts-differ", Warning;
    /// Browsers do not decode the codec.
    CodecNotInBrowsers = "VID102", "codec-not-in-browsers", Warning;
    /// The frames of a video are shown for unequal times.
    VariableFrameRate = "VID103", "variable-frame-rate", Warning;
    /// The matrix of a video's track turns the picture.
    Rotated = "VID104", "rotated", Warning;
    /// Content that the profile does not accept.
    UnsupportedFormat = "FMT001", "unsupported-format", Error;
    /// Content and extension disagree.
    ExtensionMismatch = "FMT002", "extension-mismatch", Warning;
    /// The header is damaged.
    Malformed = "FMT003", "malformed", Error;
    /// The content is recognised, but a fact that the rules need could not be established.
    Undetermined = "FMT004", "undetermined", Unknown;
    /// The file ends before its data.
    Truncated = "FMT005", "truncated", Warning;
    /// No content at all.
    Empty = "BLB001", "empty", Error;
    /// The archive tier cannot be read.
    Archived = "BLB002", "archived", Error;
    /// Larger than the profile's cap.
    TooLarge = "BLB003", "too-large", Error;
    /// An earlier asset of the listing has the same basename.
    DuplicateBasename = "NAM001", "duplicate-basename", Warning;
    /// No image quota is left.
    ImageQuota = "QTA001", "image-quota", Error;
    /// More frames than what is left of the frame quota.
    FrameQuota = "QTA002", "frame-quota", Error;
    /// Not read after retries.
    Unreadable = "NET001", "unreadable", Unknown;
    /// Changed between listing and reading.
    Changed = "NET002", "changed", Unknown;
}

impl Code {
    /// Whether a user may ignore the rule or change its severity. Of a blob that was not judged nothing is known that
    /// could be ignored, and what does not fit the quota does not fit.
    pub(crate) fn is_changeable(self) -> bool {
        !matches!(
            self,
            Self::Undetermined
                | Self::Archived
                | Self::ImageQuota
                | Self::FrameQuota
                | Self::Unreadable
                | Self::Changed
        )
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let code = Self::ALL.iter().find(|code| code.as_str() == text);
        code.copied().ok_or_else(|| de::Error::custom("there is no such rule"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a rule has to say about one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// What it does to the verdict.
    pub severity: Severity,
    /// The facts, in one sentence without a full stop.
    pub message: String,
    /// What to do about it: a command where there is one.
    pub fix: Option<String>,
}

impl Finding {
    /// A finding with its rule's own severity and no fix.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), message: message.into(), fix: None }
    }

    /// The same finding with a fix.
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(seen.insert(text) && seen.insert(code.name()), "{text}");
            assert!(text.len() == 6 && text[..3].bytes().all(|b| b.is_ascii_uppercase()), "{text}");
            assert!(text[3..].bytes().all(|b| b.is_ascii_digit()), "{text}");
            assert!(code.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }
}

//! Findings: violations of rules by one asset.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The effect of a finding on the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The asset is still accepted.
    Warning,
    /// The asset could not be judged.
    Unknown,
    /// The asset is rejected.
    Error,
}

impl Severity {
    /// Every severity.
    pub const ALL: &[Self] = &[Self::Warning, Self::Unknown, Self::Error];

    /// Returns `warning`, `unknown` or `error`.
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

            /// Returns the code, such as `IMG001`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Returns the name in kebab case, such as `exif-orientation`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the rule's default severity.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// An image's EXIF orientation is neither absent nor 1.
    ExifOrientation = "IMG001", "exif-orientation", Error;
    /// The profile does not accept the video's major brand.
    MajorBrand = "VID001", "major-brand", Error;
    /// The profile does not accept the pixel format of a video track.
    PixelFormat = "VID002", "pixel-format", Error;
    /// The file has no video track.
    NoVideoTrack = "VID003", "no-video-track", Error;
    /// The profile does not accept the video's format.
    NotMp4 = "VID004", "not-mp4", Error;
    /// The video has more frames than the profile allows.
    TooManyFrames = "VID005", "too-many-frames", Error;
    /// The video is longer than the profile allows.
    TooLong = "VID006", "too-long", Error;
    /// The video has more frames per second than the profile allows.
    FrameRateTooHigh = "VID007", "frame-rate-too-high", Error;
    /// The number of samples and the number of presented frames differ.
    FrameCountsDiffer = "VID101", "frame-counts-differ", Warning;
    /// Browsers do not decode the codec.
    CodecNotInBrowsers = "VID102", "codec-not-in-browsers", Warning;
    /// Frames are shown for different lengths of time.
    VariableFrameRate = "VID103", "variable-frame-rate", Warning;
    /// The video track's matrix turns or mirrors the picture.
    Rotated = "VID104", "rotated", Warning;
    /// The header does not show the number of frames, so an upper bound is budgeted.
    FramesEstimated = "VID105", "frames-estimated", Warning;
    /// The profile does not list the content's format.
    UnsupportedFormat = "FMT001", "unsupported-format", Error;
    /// The content does not match the extension.
    ExtensionMismatch = "FMT002", "extension-mismatch", Warning;
    /// The header is damaged.
    Malformed = "FMT003", "malformed", Error;
    /// The format is recognized, but a fact that the rules need could not be established.
    Undetermined = "FMT004", "undetermined", Unknown;
    /// The file ends before its data.
    Truncated = "FMT005", "truncated", Warning;
    /// The picture is wider than the profile allows.
    TooWide = "FMT006", "too-wide", Error;
    /// The picture is higher than the profile allows.
    TooHigh = "FMT007", "too-high", Error;
    /// The blob has no content.
    Empty = "BLB001", "empty", Error;
    /// The blob is in the archive tier.
    Archived = "BLB002", "archived", Error;
    /// The blob is larger than the profile's limit.
    TooLarge = "BLB003", "too-large", Error;
    /// The declared Content-Type is not the content's, or media has a Content-Encoding.
    ContentType = "BLB004", "content-type", Warning;
    /// An earlier asset of the listing has the same basename.
    DuplicateBasename = "NAM001", "duplicate-basename", Warning;
    /// No image quota is left.
    ImageQuota = "QTA001", "image-quota", Error;
    /// The video has more frames than the quota has left.
    FrameQuota = "QTA002", "frame-quota", Error;
    /// The blob could not be read after retries.
    Unreadable = "NET001", "unreadable", Unknown;
    /// The blob changed between listing and reading.
    Changed = "NET002", "changed", Unknown;
}

impl Code {
    /// Returns whether a user may ignore the rule or change its severity. Rules about blobs that could not be judged,
    /// and the quota's rules, cannot be overridden.
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

/// The codes of an asset's findings, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes(u64);

/// Each code has a bit.
const _: () = assert!(Code::ALL.len() <= u64::BITS as usize);

impl Codes {
    /// Adds a code.
    pub fn insert(&mut self, code: Code) {
        self.0 |= 1 << code as u32;
    }

    /// Whether it has this code.
    pub fn contains(self, code: Code) -> bool {
        self.0 & (1 << code as u32) != 0
    }

    /// Those that `other` does not have.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The codes, in the order of [`Code::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Code> {
        Code::ALL.iter().copied().filter(move |code| self.contains(*code))
    }
}

impl FromIterator<Code> for Codes {
    fn from_iter<I: IntoIterator<Item = Code>>(codes: I) -> Self {
        let mut all = Self::default();
        codes.into_iter().for_each(|code| all.insert(code));
        all
    }
}

/// `IMG001;NAM001`.
impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, code) in self.iter().enumerate() {
            write!(f, "{}{code}", if index > 0 { ";" } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Codes {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let named =
            |name: &str| Code::ALL.iter().copied().find(|code| code.as_str() == name).ok_or(UnknownCode);
        text.split(';').filter(|name| !name.is_empty()).map(named).collect()
    }
}

/// The error for text that has the code of no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let code = Self::ALL.iter().find(|code| code.as_str() == text);
        code.copied().ok_or_else(|| de::Error::custom("unknown rule code"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One violation of a rule by one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The code of the rule.
    pub code: Code,
    /// The effect on the verdict.
    pub severity: Severity,
    /// The facts, in one sentence without a final period.
    pub message: String,
    /// How to fix it, as a command where possible.
    pub fix: Option<String>,
}

impl Finding {
    /// Creates a finding with its rule's default severity and no fix.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), message: message.into(), fix: None }
    }

    /// Returns the finding with a fix.
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_codes_come_back_from_their_text() {
        for codes in [
            Codes::default(),
            [Code::Changed, Code::ExifOrientation].into_iter().collect(),
            Code::ALL.iter().copied().collect(),
        ] {
            assert_eq!(codes.to_string().parse(), Ok(codes));
        }
        let two: Codes = "IMG001;NAM001".parse().expect("they are codes");
        assert_eq!(two.without("NAM001".parse().expect("a code")).to_string(), "IMG001");
        assert_eq!("IMG001;XXX".parse::<Codes>(), Err(UnknownCode));
    }

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

//! What differences have in common, and the rule or assumption that this contradicts.

use std::collections::BTreeMap;

use crate::matching::summary::Pattern;
use crate::model::{Asset, Code, Format, Kind, Severity, number};
use crate::rules::Profile;

/// The most values of all attributes that are counted. Real containers have a few hundred; further ones are not compared.
const MAX_VALUES: usize = 10_000;
/// The most bytes of a value.
const MAX_VALUE: usize = 256;
/// The most patterns that are shown.
const MAX_PATTERNS: usize = 6;

/// Something that accepted assets may have in common, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attribute {
    Format,
    Codec,
    PixelFormat,
    MajorBrand,
    Warning,
    Extension,
    Folder,
    NotAscii,
}

/// Accepted assets with the same value of an attribute.
#[derive(Default)]
struct Alike {
    there: u64,
    missing: u64,
    /// Their format, if all have the same.
    format: Option<Format>,
    is_mixed: bool,
}

/// Assets that are rejected by one rule alone.
#[derive(Clone, Copy, Default)]
pub(super) struct Rejected {
    pub there: u64,
    pub absent: u64,
}

/// What was seen of all assets.
#[derive(Default)]
pub(super) struct Patterns {
    alike: BTreeMap<(Attribute, String), Alike>,
    /// By the only rule that rejects them.
    pub(super) rejected: BTreeMap<Code, Rejected>,
    accepted: u64,
    there: u64,
    missing: u64,
    /// Accepted assets before the last one that is there, and before the first one that is missing.
    last_there: u64,
    first_missing: Option<u64>,
    /// Bytes.
    largest_there: u64,
    smallest_missing: Option<u64>,
    frames_differ: u64,
}

impl Patterns {
    /// An accepted asset, and whether it is there.
    pub(super) fn accepted(&mut self, asset: &Asset, is_there: bool) {
        let (place, size) = (self.accepted, asset.blob.size);
        self.accepted += 1;
        match is_there {
            true => {
                self.there += 1;
                (self.last_there, self.largest_there) = (place, size.max(self.largest_there));
            }
            false => {
                self.missing += 1;
                self.first_missing.get_or_insert(place);
                self.smallest_missing = Some(self.smallest_missing.map_or(size, |least| least.min(size)));
            }
        }
        for (attribute, mut value) in attributes(asset) {
            if value.len() > MAX_VALUE {
                continue;
            }
            let is_known = self.alike.contains_key(&(attribute, value.clone()));
            if !is_known && self.alike.len() >= MAX_VALUES {
                continue;
            }
            let alike = self.alike.entry((attribute, std::mem::take(&mut value))).or_default();
            *(if is_there { &mut alike.there } else { &mut alike.missing }) += 1;
            let format = alike.format.get_or_insert(asset.facts.format);
            alike.is_mixed |= *format != asset.facts.format;
        }
    }

    /// A rejected asset, and whether it is there.
    pub(super) fn rejected(&mut self, asset: &Asset, is_there: bool) {
        let mut errors = asset.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let Some(first) = errors.next() else { return };
        if errors.any(|finding| finding.code != first.code) {
            return;
        }
        let rejected = self.rejected.entry(first.code).or_default();
        *(if is_there { &mut rejected.there } else { &mut rejected.absent }) += 1;
    }

    /// A video whose frames the platform counts differently.
    pub(super) fn frames_differ(&mut self) {
        self.frames_differ += 1;
    }

    /// The patterns, of the most assets first.
    pub(super) fn find(&self, profile: &Profile) -> Vec<Pattern> {
        let mut found = self.of_missing(profile);
        found.extend(self.of_rejected(profile));
        if self.frames_differ > 0 {
            let frames = number(self.frames_differ);
            found.push(Pattern {
                count: self.frames_differ,
                contradicts: assumption(profile, &["frame"], "videos.cost_per_frame"),
                message: format!("the platform counts other frames than presync for {frames} of the videos"),
                fix: "compare one of them with presync explain; the quota goes by the platform's count"
                    .to_owned(),
            });
        }
        found.truncate(MAX_PATTERNS);
        found
    }

    fn of_missing(&self, profile: &Profile) -> Vec<Pattern> {
        let missing = number(self.missing);
        if self.missing == 0 {
            return Vec::new();
        }
        if self.there == 0 {
            return vec![Pattern {
                count: self.missing,
                contradicts: "the list".to_owned(),
                message: format!("none of the {missing} assets that should be there is in the list"),
                fix: "check that the sync has ended, and that the list is of the same container and names"
                    .to_owned(),
            }];
        }
        let mut alike: Vec<_> =
            self.alike.iter().filter(|(_, alike)| alike.there == 0 && alike.missing > 0).collect();
        alike.sort_by_key(|((attribute, _), alike)| (std::cmp::Reverse(alike.missing), *attribute));
        let mut formats = Vec::new();
        let mut counts = Vec::new();
        let mut found = Vec::new();
        for ((attribute, value), alike) in alike {
            // One missing asset has many attributes of its own; it shows something only if it is all there is.
            let is_telling = alike.missing > 1 || *attribute == Attribute::Format;
            // The same assets again, by another attribute.
            let is_told = counts.contains(&alike.missing)
                || alike.format.is_some_and(|format| !alike.is_mixed && formats.contains(&format));
            if !is_telling || is_told {
                continue;
            }
            if *attribute == Attribute::Format {
                formats.extend(alike.format);
            }
            counts.push(alike.missing);
            let all = match alike.missing == self.missing {
                true => format!("all {missing} missing"),
                false => format!("{} of the {missing} missing", number(alike.missing)),
            };
            found.push(explain(*attribute, value, alike, &all, profile));
        }
        if found.iter().any(|pattern| pattern.count == self.missing) || self.missing < 2 {
            return found;
        }
        if self.smallest_missing.is_some_and(|least| least > self.largest_there) {
            let (least, largest) = (self.smallest_missing.unwrap_or_default(), self.largest_there);
            found.insert(
                0,
                Pattern {
                    count: self.missing,
                    contradicts: assumption(profile, &["maximum sizes"], "BLB003 (max_bytes)"),
                    message: format!(
                        "all {missing} missing are larger than any that is there (from {} bytes; the largest there has \
                         {}): the platform seems to have a lower limit",
                        number(least),
                        number(largest)
                    ),
                    fix: profile_of_ones_own(profile, "a lower max_bytes"),
                },
            );
        } else if self.first_missing.is_some_and(|first| first > self.last_there) {
            found.insert(
                0,
                Pattern {
                    count: self.missing,
                    contradicts: "QTA001, QTA002 (the quota)".to_owned(),
                    message: format!(
                        "all {missing} missing are the last ones of the listing: the platform's quota seems to have run \
                         out earlier than the plan says, or the sync has not ended"
                    ),
                    fix: "enter what the platform shows with presync quota set, and run presync dry-run again".to_owned(),
                },
            );
        }
        found
    }

    fn of_rejected(&self, profile: &Profile) -> Vec<Pattern> {
        let all_there =
            self.rejected.iter().filter(|(_, rejected)| rejected.there > 0 && rejected.absent == 0);
        let mut found: Vec<_> = all_there
            .map(|(code, Rejected { there, .. })| {
                let all = if *there == 1 { "the asset".to_owned() } else { format!("all {} assets", number(*there)) };
                let (is, are) = if *there == 1 { ("is", "it") } else { ("are", "them") };
                let quota = matches!(code, Code::ImageQuota | Code::FrameQuota);
                Pattern {
                    count: *there,
                    contradicts: format!("{code} ({})", code.name()),
                    message: match quota {
                        true => format!("{all} that did not fit the quota {is} there: the platform has more quota left than the plan says"),
                        false => format!("{all} that only {code} rejects {is} there: the platform seems to take {are}"),
                    },
                    fix: match quota {
                        true => "enter what the platform shows with presync quota set".to_owned(),
                        false if code.is_changeable() => format!(
                            "presync dry-run --ignore {code} accepts them; or put it in {}",
                            profile_of_ones_own(profile, "the accepted values")
                        ),
                        false => profile_of_ones_own(profile, "what the platform accepts"),
                    },
                }
            })
            .collect();
        found.sort_by_key(|pattern| std::cmp::Reverse(pattern.count));
        found
    }
}

/// What assets may have in common that the platform goes by.
fn attributes(asset: &Asset) -> Vec<(Attribute, String)> {
    let (facts, name) = (&asset.facts, &asset.blob.name);
    let video = facts.video.as_deref();
    let track = video.and_then(|video| video.tracks.first());
    let mut found = vec![(Attribute::Format, facts.format.as_str().to_owned())];
    let text = |text: Option<&str>| text.map(str::to_owned);
    let optional = [
        (Attribute::Codec, text(track.and_then(|track| track.codec.as_deref()))),
        (Attribute::PixelFormat, text(track.and_then(|track| track.pixel_format.as_deref()))),
        (Attribute::MajorBrand, video.and_then(|video| video.major_brand).map(|brand| brand.to_string())),
        (Attribute::Extension, text(name.extension())),
        (Attribute::Folder, text(name.as_str().split_once('/').map(|(folder, _)| folder))),
        (Attribute::NotAscii, (!name.as_str().is_ascii()).then(String::new)),
    ];
    found.extend(optional.into_iter().filter_map(|(attribute, value)| Some((attribute, value?))));
    found.extend(asset.findings.iter().map(|finding| (Attribute::Warning, finding.code.to_string())));
    found
}

fn explain(attribute: Attribute, value: &str, alike: &Alike, all: &str, profile: &Profile) -> Pattern {
    let value = value.escape_debug().to_string();
    let rules = match alike.format.map(Format::kind) {
        Some(Kind::Video) => "videos",
        _ => "images",
    };
    let (contradicts, what, seems, fix) = match attribute {
        Attribute::Format => (
            assumption(profile, &["Formats"], &format!("{rules}.formats")),
            format!("{} files", value.to_uppercase()),
            format!("does not seem to take {value}"),
            profile_of_ones_own(profile, &format!("{value} left out of [{rules}] formats")),
        ),
        Attribute::Codec => (
            "VID102 (codec-not-in-browsers)".to_owned(),
            format!("videos with the codec {value}"),
            format!("does not seem to take {value}"),
            "presync dry-run --severity VID102=error rejects codecs that browsers do not play".to_owned(),
        ),
        Attribute::PixelFormat => (
            "VID002 (videos.pixel_formats)".to_owned(),
            format!("videos with the pixel format {value}"),
            format!("does not seem to take {value}"),
            profile_of_ones_own(profile, &format!("{value} left out of [videos] pixel_formats")),
        ),
        Attribute::MajorBrand => (
            "VID001 (videos.major_brands)".to_owned(),
            format!("videos with the major brand '{value}'"),
            format!("does not seem to take '{value}'"),
            profile_of_ones_own(profile, &format!("'{value}' left out of [videos] major_brands")),
        ),
        Attribute::Warning => (
            value.clone(),
            format!("assets with the warning {value}"),
            "seems to leave them out".to_owned(),
            format!("presync dry-run --severity {value}=error rejects them beforehand"),
        ),
        Attribute::Extension => (
            assumption(profile, &["extension"], "FMT002 (extension-mismatch)"),
            format!("files that end in .{value}"),
            "seems to go by the extension".to_owned(),
            "rename them, with the extension of their content".to_owned(),
        ),
        Attribute::Folder => (
            assumption(profile, &["prefix"], "the prefix"),
            format!("assets in the folder {value}/"),
            "does not seem to sync that folder".to_owned(),
            "check the prefix that the platform syncs".to_owned(),
        ),
        Attribute::NotAscii => (
            "the names".to_owned(),
            "assets whose names have letters outside ASCII".to_owned(),
            "does not seem to find them".to_owned(),
            "rename them, or check how the list writes such letters".to_owned(),
        ),
    };
    let message = format!("{all}: {what}; none of these is there, so the platform {seems}");
    Pattern { count: alike.missing, contradicts, message, fix }
}

fn profile_of_ones_own(profile: &Profile, what: &str) -> String {
    format!(
        "a profile of your own with {what}: presync rule --profile {} > mine.toml, then --profile mine.toml",
        profile.name.escape_debug()
    )
}

/// The assumption of the profile about one of these words, or else `other`.
fn assumption(profile: &Profile, words: &[&str], other: &str) -> String {
    let about = |text: &&String| words.iter().any(|word| text.contains(word));
    match profile.assumptions.iter().find(about) {
        Some(text) => format!("assumption: {text}"),
        None => other.to_owned(),
    }
}

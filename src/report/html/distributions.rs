//! The distributions of sizes, formats and other facts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{Counts, MAX_NAME, MAX_NAMES};
use crate::model::{Asset, Format, Kind, Orientation, Verdict};
use crate::report::layout::number;
use crate::report::shown;
use crate::rules::orientation_text;

/// The bins of sizes, by number of binary digits: 0 for no bytes, 1 for one byte, 64 for 8 EiB and more.
const SIZES: usize = u64::BITS as usize + 1;
/// The start of each bin of frame counts.
const FRAMES: [u64; 17] =
    [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

/// A distribution in the page data.
#[derive(Debug, Serialize)]
pub(super) struct Distribution {
    title: &'static str,
    rows: Vec<(Cow<'static, str>, Counts)>,
}

#[derive(Debug)]
pub(super) struct Distributions {
    sizes: [Counts; SIZES],
    formats: BTreeMap<Format, Counts>,
    orientations: BTreeMap<OrientationKey, Counts>,
    codecs: NameCounts,
    pixel_formats: NameCounts,
    brands: NameCounts,
    frames: [Counts; FRAMES.len()],
}

impl Default for Distributions {
    fn default() -> Self {
        Self {
            sizes: [Counts::default(); SIZES],
            formats: BTreeMap::new(),
            orientations: BTreeMap::new(),
            codecs: NameCounts::default(),
            pixel_formats: NameCounts::default(),
            brands: NameCounts::default(),
            frames: [Counts::default(); FRAMES.len()],
        }
    }
}

/// An orientation. All values that Exif does not define are one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum OrientationKey {
    Absent,
    Defined(i64),
    Undefined,
}

impl OrientationKey {
    fn of(orientation: Orientation) -> Option<Self> {
        match orientation {
            Orientation::NotRead => None,
            Orientation::Absent => Some(Self::Absent),
            Orientation::Value(value @ 1..=8) => Some(Self::Defined(value)),
            Orientation::Value(_) => Some(Self::Undefined),
        }
    }

    fn label(self) -> Cow<'static, str> {
        match self {
            Self::Absent => "no tag".into(),
            Self::Defined(value) => format!("{value}: {}", orientation_text(value)).into(),
            Self::Undefined => "another value".into(),
        }
    }
}

/// Assets by a name that comes from the file.
#[derive(Debug, Default)]
struct NameCounts {
    known: BTreeMap<String, Counts>,
    others: Counts,
}

impl NameCounts {
    fn add(&mut self, name: &str, verdict: Verdict) {
        let name: String = shown(name).chars().take(MAX_NAME).collect();
        let is_room = self.known.len() < MAX_NAMES;
        let counts = match self.known.get_mut(&name) {
            Some(counts) => counts,
            None if is_room => self.known.entry(name).or_default(),
            None => &mut self.others,
        };
        counts[verdict as usize] += 1;
    }

    /// The rows, most frequent first.
    fn into_rows(self) -> Vec<(Cow<'static, str>, Counts)> {
        let mut rows: Vec<_> = self.known.into_iter().map(|(name, counts)| (name.into(), counts)).collect();
        most_frequent_first(&mut rows);
        if self.others.iter().sum::<u64>() > 0 {
            rows.push(("others".into(), self.others));
        }
        rows
    }
}

fn most_frequent_first(rows: &mut [(Cow<'static, str>, Counts)]) {
    rows.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
}

impl Distributions {
    pub(super) fn add(&mut self, asset: &Asset) {
        let verdict = asset.verdict;
        if verdict == Verdict::Skip {
            return;
        }
        let count = |counts: &mut Counts| counts[verdict as usize] += 1;
        let facts = &asset.facts;
        count(&mut self.sizes[(u64::BITS - asset.blob.size.leading_zeros()) as usize]);
        count(self.formats.entry(facts.format).or_default());
        let orientation = OrientationKey::of(facts.orientation).filter(|_| asset.kind == Kind::Image);
        if let Some(orientation) = orientation {
            count(self.orientations.entry(orientation).or_default());
        }
        let Some(video) = &facts.video else { return };
        if let Some(brand) = video.major_brand {
            self.brands.add(&format!("'{brand}'"), verdict);
        }
        let Some(track) = video.tracks.first() else { return };
        if let Some(codec) = &track.codec {
            self.codecs.add(codec, verdict);
        }
        if let Some(pixel_format) = &track.pixel_format {
            self.pixel_formats.add(pixel_format, verdict);
        }
        if let Some(frames) = track.frames {
            count(&mut self.frames[FRAMES.partition_point(|begin| *begin <= frames) - 1]);
        }
    }

    /// The distributions that are not empty.
    pub(super) fn into_list(self) -> Vec<Distribution> {
        let sizes =
            self.sizes.into_iter().enumerate().map(|(digits, counts)| (size_label(digits).into(), counts));
        let frames =
            self.frames.into_iter().enumerate().map(|(bin, counts)| (frame_label(bin).into(), counts));
        let mut formats: Vec<_> =
            self.formats.into_iter().map(|(format, counts)| (format.as_str().into(), counts)).collect();
        most_frequent_first(&mut formats);
        let orientations = self.orientations.into_iter().map(|(key, counts)| (key.label(), counts));
        let all = [
            ("Formats", formats),
            ("EXIF orientation of images", orientations.collect()),
            ("Size", without_empty_ends(sizes.collect())),
            ("Codecs", self.codecs.into_rows()),
            ("Pixel formats", self.pixel_formats.into_rows()),
            ("Major brands", self.brands.into_rows()),
            ("Frames of videos", without_empty_ends(frames.collect())),
        ];
        let all = all.into_iter().map(|(title, rows)| Distribution { title, rows });
        all.filter(|distribution| !distribution.rows.is_empty()).collect()
    }
}

/// Removes empty bins at both ends.
fn without_empty_ends(mut rows: Vec<(Cow<'static, str>, Counts)>) -> Vec<(Cow<'static, str>, Counts)> {
    let is_used = |(_, counts): &(_, Counts)| counts.iter().any(|count| *count > 0);
    rows.truncate(rows.iter().rposition(is_used).map_or(0, |last| last + 1));
    rows.drain(..rows.iter().position(is_used).unwrap_or(0));
    rows
}

/// `0 B`, `1 B`, `16–32 KiB`, `512 KiB–1 MiB`. The lower end is inclusive, the upper end exclusive.
fn size_label(digits: usize) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(low) = digits.checked_sub(1) else { return "0 B".to_owned() };
    let amount = |power: usize| (1_u32 << (power % 10), UNITS[power / 10]);
    match (amount(low), amount(low + 1)) {
        ((1, "B"), _) => "1 B".to_owned(),
        ((from, unit), (to, same)) if unit == same => format!("{from}–{to} {unit}"),
        ((from, unit), (to, next)) => format!("{from} {unit}–{to} {next}"),
    }
}

/// `1`, `2–4`, `100–199`, `100,000 or more`.
fn frame_label(bin: usize) -> String {
    let begin = FRAMES[bin];
    match FRAMES.get(bin + 1) {
        None => format!("{} or more", number(begin)),
        Some(next) if begin + 1 == *next => number(begin),
        Some(next) => format!("{}–{}", number(begin), number(next - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_have_names() {
        assert_eq!(
            [0, 1, 2, 10, 11, 20, 64].map(size_label),
            ["0 B", "1 B", "2–4 B", "512 B–1 KiB", "1–2 KiB", "512 KiB–1 MiB", "8–16 EiB"]
        );
        assert_eq!([0, 2, 3, 16].map(frame_label), ["0", "2–4", "5–9", "100,000 or more"]);
    }

    #[test]
    fn only_so_many_names_are_counted_by_name() {
        let mut names = NameCounts::default();
        for index in 0..100 {
            names.add("h264", Verdict::Accept);
            names.add(&format!("\u{202e}{index:03}{}", "x".repeat(100)), Verdict::Reject);
        }
        let rows = names.into_rows();
        assert_eq!(rows[0], ("h264".into(), [100, 0, 0, 0]));
        let others = (100 - (MAX_NAMES - 1)) as u64;
        assert_eq!(rows[MAX_NAMES], ("others".into(), [0, others, 0, 0]));
        assert!(rows[1].0.starts_with("\\u{202e}000x"), "{}", rows[1].0);
    }

    #[test]
    fn only_the_ends_without_assets_are_left_out() {
        let bins = [0, 3, 0, 5, 0].map(|count| (Cow::from(count.to_string()), [count, 0, 0, 0]));
        let left: Vec<_> = without_empty_ends(bins.into()).into_iter().map(|(_, counts)| counts[0]).collect();
        assert_eq!(left, [3, 0, 5]);
        assert!(without_empty_ends(vec![("".into(), Counts::default())]).is_empty());
    }
}

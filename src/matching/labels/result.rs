//! What becomes of references: counts, groups and records.

use std::collections::BTreeMap;

use super::checks::{Problem, Size, check};
use super::references::Settled;
use super::{Labels, Read};
use crate::matching::spelling::{basename, difference, path_of};
use crate::matching::summary::{Comparison, Count, Group, Record, Tone};
use crate::model::error::Result;
use crate::model::{Asset, Code, Severity, Skip, Verdict, VideoTrack, counted, number};
use crate::rules::{self, MatchBy};

/// What becomes of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its asset will sync.
    Syncs,
    /// Its asset will be left out.
    LeftOut,
    /// Its asset could not be judged.
    Unknown,
    /// Several assets that will sync have the name.
    Ambiguous,
    /// An asset has nearly the name.
    Near,
    /// No asset has the name.
    Missing,
}

impl Fate {
    const ALL: [Self; 6] =
        [Self::Syncs, Self::LeftOut, Self::Unknown, Self::Ambiguous, Self::Near, Self::Missing];

    fn key(self) -> &'static str {
        match self {
            Self::Syncs => "syncs",
            Self::LeftOut => "left_out",
            Self::Unknown => "unknown",
            Self::Ambiguous => "ambiguous",
            Self::Near => "near",
            Self::Missing => "missing",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Syncs => "Will find their asset",
            Self::LeftOut => "The asset will be left out",
            Self::Unknown => "The asset could not be judged",
            Self::Ambiguous => "Several assets have this name",
            Self::Near => "No asset has this name, but one is close",
            Self::Missing => "No asset has this name",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Syncs => Tone::Good,
            Self::Unknown => Tone::Unknown,
            Self::LeftOut | Self::Ambiguous | Self::Near | Self::Missing => Tone::Bad,
        }
    }
}

/// The outcome of an asset without a label.
const UNLABELLED: &str = "unlabelled";

/// The comparison so far.
pub(super) struct Tally<'a> {
    labels: &'a Labels<'a>,
    read: &'a Read,
    references: u64,
    fates: [Group; Fate::ALL.len()],
    problems: [Group; Problem::ALL.len()],
    unlabelled: Group,
    by_code: BTreeMap<Code, u64>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(labels: &'a Labels<'a>, read: &'a Read) -> Self {
        let problem = |problem: Problem| {
            let (title, tone) = match problem {
                Problem::Turned => ("The picture is turned, and the labels are not", Tone::Warning),
                Problem::MayBeTurned => ("The picture is turned, and the labels may not be", Tone::Warning),
                Problem::Size => ("The labels are for another size", Tone::Warning),
                Problem::Frames => ("The video does not have these frames", Tone::Bad),
                Problem::VariableFrameRate => ("The video has a variable frame rate", Tone::Warning),
            };
            Group::new(problem.key(), title, tone)
        };
        Self {
            labels,
            read,
            references: 0,
            fates: Fate::ALL.map(|fate| Group::new(fate.key(), fate.title(), fate.tone())),
            problems: Problem::ALL.map(problem),
            unlabelled: Group::new(UNLABELLED, "Will sync, and have no label", Tone::Plain),
            by_code: BTreeMap::new(),
        }
    }

    /// An asset that no further reference is for.
    pub(super) fn pass(
        &mut self,
        asset: &Asset,
        has_label: bool,
        record: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        if has_label || asset.verdict != Verdict::Accept {
            return Ok(());
        }
        self.unlabelled.add(asset.blob.name.as_str(), "");
        record(&fields(None, UNLABELLED, Some(asset), "", ""))
    }

    /// A reference, and the asset that it is about.
    pub(super) fn reference(
        &mut self,
        settled: &Settled,
        asset: Option<&Asset>,
        record: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        let fate = Fate::ALL.get(settled.fate).copied().unwrap_or(Fate::Missing);
        let kept = &settled.kept;
        self.references += 1;
        let mut message = self.message(fate, settled, asset);
        let mut keys = Vec::new();
        if let (Fate::Syncs | Fate::LeftOut, Some(asset)) = (fate, asset) {
            for (problem, text) in check(kept, asset) {
                if let Some(group) = self.problems.iter_mut().find(|group| group.key == problem.key()) {
                    group.add(&kept.name, &text);
                }
                keys.push(problem.key());
                message += if message.is_empty() { "" } else { "; " };
                message += &text;
            }
        }
        if let (Fate::LeftOut, Some(asset)) = (fate, asset) {
            for code in codes(asset) {
                *self.by_code.entry(code).or_default() += 1;
            }
        }
        self.fates[fate as usize].add(&kept.name, &message);
        record(&fields(Some(settled), fate.key(), asset, &keys.join(";"), &message))
    }

    fn message(&self, fate: Fate, settled: &Settled, asset: Option<&Asset>) -> String {
        let name = asset.map_or("", |asset| asset.blob.name.as_str());
        let part = match self.labels.match_by {
            _ if settled.kept.is_stem => "stem",
            MatchBy::Basename => "basename",
            MatchBy::Stem => "stem",
            MatchBy::Path => "path",
        };
        match fate {
            Fate::Syncs => String::new(),
            Fate::LeftOut | Fate::Unknown => asset.map(why).unwrap_or_default(),
            Fate::Ambiguous => {
                format!("{} assets that will sync have this {part}, such as {name}", settled.alike)
            }
            Fate::Near => {
                let path = path_of(&settled.kept.name);
                let (base, label) = (basename(name), basename(&path));
                let label_of_stem = format!("{label}.{}", crate::matching::spelling::split(base).1);
                let label = if settled.kept.is_stem { &*label_of_stem } else { label };
                let differs = match difference(label, base) {
                    differs if differs.is_empty() => "its folder".to_owned(),
                    differs => differs,
                };
                let more = match settled.alike {
                    0 | 1 => String::new(),
                    alike => format!(", and {} are as close", counted(alike - 1, "other", "others")),
                };
                let left_out = asset.filter(|asset| asset.verdict != Verdict::Accept).map(why);
                let left_out =
                    left_out.map(|why| format!("; it will be left out: {why}")).unwrap_or_default();
                format!("{name} differs in {differs}{more}{left_out}")
            }
            Fate::Missing => format!("no asset has this {part}"),
        }
    }

    pub(super) fn finish(self) -> Comparison {
        let [syncs, left_out, unknown, ambiguous, near, missing] =
            Fate::ALL.map(|fate| self.fates[fate as usize].count);
        let frames = self.problems[0].count;
        let lost = left_out + ambiguous + near + missing;
        let warnings: u64 = self.problems[1..].iter().map(|group| group.count).sum();
        let count = |key, label, count, tone, note| Count { key, label, count, tone, note };
        let mut counts = vec![
            count(
                "references",
                "references",
                self.references,
                Tone::Plain,
                "images and videos in the label files",
            ),
            count("syncs", "will match", syncs, Tone::Good, "exactly one asset that will sync has the name"),
            count("left_out", "left out", left_out, Tone::Bad, "the asset will not sync"),
            count(
                "ambiguous",
                "ambiguous",
                ambiguous,
                Tone::Bad,
                "several assets that will sync have the name",
            ),
            count("near", "near miss", near, Tone::Bad, "differ in case, extension or Unicode normalization"),
            count("missing", "missing", missing, Tone::Bad, "no asset has the name"),
            count("unknown", "unknown", unknown, Tone::Unknown, "the asset could not be judged"),
            count(
                UNLABELLED,
                "unlabelled",
                self.unlabelled.count,
                Tone::Plain,
                "assets that will sync and have no label",
            ),
        ];
        for group in self.problems.iter().filter(|group| group.count > 0) {
            let (label, note) = match group.key {
                "turned" => ("turned", "the labels are for the picture before it is turned"),
                "may-be-turned" => {
                    ("check turn", "the picture is turned, and nothing shows whether the labels are")
                }
                "size" => ("other size", "the labels are for another size than the picture's"),
                "frames" => ("no frame", "labels are for frames that the video does not have"),
                _ => ("uneven", "labels are for frames of videos with a variable frame rate"),
            };
            counts.push(count(group.key, label, group.count, group.tone, note));
        }
        let read = self.read;
        let files = [
            count("files", "files", read.files, Tone::Plain, "label files that were read"),
            count(
                "files_ignored",
                "ignored",
                read.ignored,
                Tone::Plain,
                "files in the folders that hold no labels",
            ),
            count("files_unread", "unread", read.unread, Tone::Unknown, "label files that could not be read"),
        ];
        counts.extend(files.into_iter().filter(|count| count.key == "files" || count.count > 0));
        let mut unread = Group::new("unread", "Label files that could not be read", Tone::Unknown);
        read.faults.iter().for_each(|(path, why)| unread.add(path, why));
        unread.count = read.unread;
        let by_code = self.by_code.iter();
        let by_code: Vec<_> = by_code
            .map(|(code, count)| (code.to_string(), *count, rules::summary(*code).to_owned()))
            .collect();
        let [_, left_out_group, unknown_group, ambiguous_group, near_group, missing_group] = self.fates;
        let mut groups = vec![left_out_group, ambiguous_group, near_group, missing_group];
        groups.extend(self.problems);
        groups.extend([unknown_group, unread, self.unlabelled]);
        let is_complete = unknown == 0 && read.unread == 0;
        let all = counted(self.references, "reference", "references");
        let verdict = match () {
            () if self.references == 0 => (Tone::Plain, "The label files refer to no image.".to_owned()),
            () if lost + frames > 0 => {
                let frames = match frames {
                    0 => String::new(),
                    frames => {
                        format!(" {} for frames that the video does not have.", counted(frames, "is", "are"))
                    }
                };
                (Tone::Bad, format!("{} of {all} will not find their asset.{frames}", number(lost)))
            }
            () if !is_complete => {
                (Tone::Unknown, format!("Incomplete: {} of {all} will find their asset.", number(syncs)))
            }
            () => (Tone::Good, format!("All {all} will find their asset.")),
        };
        let mut next = Vec::new();
        if left_out > 0 {
            next.push((
                "fix",
                "presync fix shows what keeps assets from syncing, and does it with --apply".to_owned(),
            ));
        }
        if near + missing > 0 {
            next.push((
                "rename",
                "correct the names in the label files, or rename the assets: the match is exact".to_owned(),
            ));
        }
        if ambiguous > 0 {
            next.push((
                "rename",
                "give assets of the same name different names, in the label files too".to_owned(),
            ));
        }
        Comparison {
            command: "labels",
            files: self.labels.files.iter().map(|path| path.display().to_string()).collect(),
            counts,
            groups,
            patterns: Vec::new(),
            tables: Some(("Left out by rule", by_code))
                .filter(|(_, rows)| !rows.is_empty())
                .into_iter()
                .collect(),
            notes: Vec::new(),
            verdict,
            next,
            differs: lost + frames > 0,
            warns: warnings > 0,
            is_complete,
        }
    }
}

/// Why an asset will not sync.
fn why(asset: &Asset) -> String {
    if let Some(skip) = asset.skipped {
        return format!("not an asset: {}", Skip::as_str(skip));
    }
    let severities = [Severity::Error, Severity::Unknown];
    let findings = asset.findings.iter().filter(|finding| severities.contains(&finding.severity));
    let messages = findings.map(|finding| format!("{}: {}", finding.code, finding.message));
    messages.collect::<Vec<_>>().join("; ")
}

/// The codes of the rules that reject an asset.
fn codes(asset: &Asset) -> Vec<Code> {
    let errors = asset.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut codes: Vec<_> = errors.map(|finding| finding.code).collect();
    codes.dedup();
    codes
}

/// The record of a reference, or of an asset without one.
fn fields(
    settled: Option<&Settled>,
    fate: &'static str,
    asset: Option<&Asset>,
    problems: &str,
    message: &str,
) -> Record {
    let kept = settled.map(|settled| &settled.kept);
    let size = asset.and_then(Size::of).map(|size| size.shown);
    let track = asset.and_then(|asset| asset.facts.video.as_deref()?.tracks.first());
    vec![
        ("reference", kept.map_or("", |kept| kept.name.as_str()).into()),
        ("outcome", fate.into()),
        ("asset", asset.map_or("", |asset| asset.blob.name.as_str()).into()),
        ("verdict", asset.map_or("", |asset| asset.verdict.as_str()).into()),
        (
            "codes",
            asset
                .map(|asset| codes(asset).iter().map(|code| code.as_str()).collect::<Vec<_>>().join(";"))
                .unwrap_or_default()
                .into(),
        ),
        ("problems", problems.into()),
        ("message", message.into()),
        ("file", settled.map_or("", |settled| settled.path.as_str()).into()),
        ("line", kept.and_then(|kept| kept.line).into()),
        ("count", kept.map(|kept| kept.count).into()),
        ("width", kept.and_then(|kept| kept.width).into()),
        ("height", kept.and_then(|kept| kept.height).into()),
        ("asset_width", size.map(|size| size.0).into()),
        ("asset_height", size.map(|size| size.1).into()),
        ("first_frame", kept.and_then(|kept| kept.frames).map(|frames| frames.0).into()),
        ("last_frame", kept.and_then(|kept| kept.frames).map(|frames| frames.1).into()),
        ("asset_frames", track.and_then(VideoTrack::most_frames).into()),
    ]
}

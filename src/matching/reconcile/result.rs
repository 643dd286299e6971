//! What became of assets: counts, groups and records.

use super::patterns::{Patterns, Rejected};
use super::{Reconciler, There, codes};
use crate::matching::summary::{Cell, Comparison, Count, Group, Record, Tone};
use crate::model::error::Result;
use crate::model::{Asset, Kind, Severity, Skip, SyncState, Verdict, VideoTrack, counted, number};
use crate::rules::{self, Profile};

/// What became of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Accepted, and there.
    Synced,
    /// Accepted, but not there.
    Missing,
    /// Rejected, but there.
    Unexpected,
    /// Rejected, and there since an earlier sync.
    Kept,
    /// Rejected, and not there.
    LeftOut,
    /// Not judged, but there.
    UnknownThere,
    /// Neither judged nor there.
    UnknownAbsent,
    /// One of several that a name in the list means.
    Ambiguous,
    /// In the list, but not in the plan.
    NotPlanned,
}

impl Fate {
    const ALL: [Self; 9] = [
        Self::Synced,
        Self::Missing,
        Self::Unexpected,
        Self::Kept,
        Self::LeftOut,
        Self::UnknownThere,
        Self::UnknownAbsent,
        Self::Ambiguous,
        Self::NotPlanned,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Kept => "kept",
            Self::LeftOut => "left_out",
            Self::UnknownThere => "unknown_there",
            Self::UnknownAbsent => "unknown_absent",
            Self::Ambiguous => "ambiguous",
            Self::NotPlanned => "not_planned",
        }
    }

    /// The label and the note of its count, the title of its group, and what it means.
    fn texts(self) -> (&'static str, &'static str, &'static str, Tone) {
        match self {
            Self::Synced => ("synced", "accepted, and there", "Synced", Tone::Good),
            Self::Missing => ("missing", "accepted, but not there", "Accepted, but missing", Tone::Bad),
            Self::Unexpected => {
                ("unexpected", "rejected or skipped, but there", "Rejected, but there", Tone::Bad)
            }
            Self::Kept => {
                ("kept", "rejected, and there since an earlier sync", "Kept from earlier", Tone::Plain)
            }
            Self::LeftOut => ("left out", "rejected, and not there", "Rejected, and not there", Tone::Good),
            Self::UnknownThere => {
                ("judged now", "not judged, and there", "Not judged, but there", Tone::Plain)
            }
            Self::UnknownAbsent => {
                ("unknown", "not judged, and not there", "Not judged, and not there", Tone::Unknown)
            }
            Self::Ambiguous => (
                "ambiguous",
                "share a basename, of which the list has fewer",
                "Which of these is there is not known",
                Tone::Warning,
            ),
            Self::NotPlanned => {
                ("not planned", "in the list, but not in the plan", "Not in the plan", Tone::Bad)
            }
        }
    }
}

/// The comparison so far.
pub(super) struct Tally<'a> {
    profile: &'a Profile,
    fates: [Group; Fate::ALL.len()],
    frames: Group,
    patterns: Patterns,
}

impl<'a> Tally<'a> {
    pub(super) fn new(profile: &'a Profile) -> Self {
        let group = |fate: Fate| {
            let (_, _, title, tone) = fate.texts();
            Group::new(fate.key(), title, tone)
        };
        Self {
            profile,
            fates: Fate::ALL.map(group),
            frames: Group::new("frames", "The platform counts other frames", Tone::Warning),
            patterns: Patterns::default(),
        }
    }

    /// An asset, and how the platform lists it.
    pub(super) fn asset(
        &mut self,
        asset: &Asset,
        there: Option<&There>,
        record: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        let is_there = there.is_some_and(|there| there.error.is_none());
        let is_ambiguous = there.is_some_and(|there| there.is_ambiguous);
        let was_there = asset.synced.is_some_and(|standing| standing.state != SyncState::New);
        let fate = match (asset.verdict, is_there) {
            (Verdict::Skip, false) => return Ok(()),
            _ if is_ambiguous => Fate::Ambiguous,
            (Verdict::Accept, true) => Fate::Synced,
            (Verdict::Accept, false) => Fate::Missing,
            (Verdict::Reject, true) if was_there => Fate::Kept,
            (Verdict::Reject | Verdict::Skip, true) => Fate::Unexpected,
            (Verdict::Reject, false) => Fate::LeftOut,
            (Verdict::Unknown, true) => Fate::UnknownThere,
            (Verdict::Unknown, false) => Fate::UnknownAbsent,
        };
        match fate {
            Fate::Synced | Fate::Missing => self.patterns.accepted(asset, is_there),
            Fate::Unexpected | Fate::LeftOut => self.patterns.rejected(asset, is_there),
            _ => {}
        }
        let name = asset.blob.name.as_str();
        let mut message = message(fate, asset, there);
        if let (Fate::Synced, Some(frames)) = (fate, there.and_then(|there| there.frames))
            && let Some(own) = frames_of(asset)
            && frames > 0
            && own != frames
        {
            message = format!("the platform counts {} frames, and presync {}", number(frames), number(own));
            self.frames.add(name, &message);
            self.patterns.frames_differ();
        }
        self.fates[fate as usize].add(name, &message);
        record(&fields(name, fate, Some(asset), there, &message))
    }

    /// A name that is not in the plan. `near` is an asset with nearly that name, and in what it differs.
    pub(super) fn stranger(
        &mut self,
        name: &str,
        error: Option<&str>,
        near: Option<(&str, String)>,
        record: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        let message = match near {
            Some((near, differs)) if differs.is_empty() => {
                format!("{near} has the same basename in another folder")
            }
            Some((near, differs)) => format!("differs from {near} in {differs}"),
            None => String::new(),
        };
        self.fates[Fate::NotPlanned as usize].add(name, &message);
        let there = There {
            name: name.to_owned(),
            error: error.map(str::to_owned),
            frames: None,
            is_ambiguous: false,
        };
        record(&fields("", Fate::NotPlanned, None, Some(&there), &message))
    }

    pub(super) fn finish(self, of: &Reconciler) -> Comparison {
        let count_of = |fate: Fate| self.fates[fate as usize].count;
        let [missing, unexpected, others, ambiguous] =
            [Fate::Missing, Fate::Unexpected, Fate::NotPlanned, Fate::Ambiguous].map(count_of);
        let unknown = count_of(Fate::UnknownAbsent) + count_of(Fate::UnknownThere);
        let differences = missing + unexpected + others + ambiguous;
        let plain = |key, label, count, note| Count { key, label, count, tone: Tone::Plain, note };
        let mut counts = vec![
            plain("listed", "listed", of.listed, "names that the platform lists"),
            plain("planned", "planned", u64::try_from(of.assets.len()).unwrap_or(0), "blobs in the plan"),
        ];
        // Those that are always there come first.
        let order = [
            Fate::Synced,
            Fate::Missing,
            Fate::LeftOut,
            Fate::Unexpected,
            Fate::NotPlanned,
            Fate::Ambiguous,
            Fate::Kept,
            Fate::UnknownThere,
            Fate::UnknownAbsent,
        ];
        for (place, fate) in order.into_iter().enumerate() {
            let ((label, note, _, tone), count) = (fate.texts(), count_of(fate));
            if place < 6 || count > 0 {
                counts.push(Count { key: fate.key(), label, count, tone, note });
            }
        }
        if of.ambiguous > 0 {
            counts.push(plain(
                "ambiguous_names",
                "same name",
                of.ambiguous,
                "basenames that the ambiguous assets share",
            ));
        }
        if self.frames.count > 0 {
            counts.push(plain(
                "frames_differ",
                "frames",
                self.frames.count,
                "videos whose frames the platform counts differently",
            ));
        }
        let patterns = self.patterns.find(self.profile);
        let by_rule: Vec<_> = self
            .patterns
            .rejected
            .iter()
            .map(|(code, Rejected { there, absent })| {
                let summary = rules::summary(*code);
                (
                    code.to_string(),
                    *there,
                    format!("of {} that it alone rejects; {summary}", number(there + absent)),
                )
            })
            .collect();
        let by_code: Vec<_> =
            of.codes.iter().map(|(code, count)| (code.clone(), *count, code_text(code))).collect();
        let tables = [("Rejected, but there, by rule", by_rule), ("The platform's codes", by_code)];
        let accepted = count_of(Fate::Synced) + missing;
        let verdict = match () {
            () if differences > 0 => {
                let parts = [
                    (missing, "is missing", "are missing"),
                    (unexpected, "is there unexpectedly", "are there unexpectedly"),
                    (others, "is not in the plan", "are not in the plan"),
                    (ambiguous, "is ambiguous", "are ambiguous"),
                ];
                let parts = parts.iter().filter(|(count, ..)| *count > 0);
                let parts: Vec<_> = parts.map(|(count, one, many)| counted(*count, one, many)).collect();
                (Tone::Bad, format!("The platform differs from the plan: {}.", parts.join(", ")))
            }
            () if unknown > 0 => {
                let unknown = counted(unknown, "asset", "assets");
                (Tone::Unknown, format!("As planned, but for {unknown} that the plan could not judge."))
            }
            () => {
                let all = counted(accepted, "accepted asset is", "accepted assets are");
                (Tone::Good, format!("As planned: all {all} there, and nothing else."))
            }
        };
        let mut next = Vec::new();
        if missing > 0 {
            next.push((
                "missing",
                "check that the sync has ended; presync explain ASSET shows what presync read of one of them"
                    .to_owned(),
            ));
        }
        next.push((
            "confirm",
            "with --confirm, the ledger records what is there: it is used, and costs nothing again"
                .to_owned(),
        ));
        let [_, missing_group, unexpected_group, kept, _, there, absent, ambiguous_group, not_planned] =
            self.fates;
        Comparison {
            command: "reconcile",
            files: of.files.clone(),
            counts,
            groups: vec![
                missing_group,
                unexpected_group,
                not_planned,
                ambiguous_group,
                absent,
                there,
                self.frames,
                kept,
            ],
            patterns,
            tables: tables.into_iter().filter(|(_, rows)| !rows.is_empty()).collect(),
            notes: Vec::new(),
            verdict,
            next,
            differs: differences > 0,
            warns: false,
            is_complete: unknown == 0 && of.listed > 0,
        }
    }
}

fn frames_of(asset: &Asset) -> Option<u64> {
    let track = asset.facts.video.as_deref().and_then(|video| video.tracks.first());
    track.filter(|_| asset.kind == Kind::Video).and_then(VideoTrack::most_frames)
}

/// What a code seems to say, and the rules that look for that.
fn code_text(code: &str) -> String {
    match codes::meaning(code) {
        Some(meaning) if meaning.rules.is_empty() => meaning.text.to_owned(),
        Some(meaning) => {
            let rules: Vec<_> = meaning.rules.iter().map(|code| code.as_str()).collect();
            format!("{}; presync's rules: {}", meaning.text, rules.join(", "))
        }
        None => "not a known code".to_owned(),
    }
}

fn message(fate: Fate, asset: &Asset, there: Option<&There>) -> String {
    let error = there.and_then(|there| there.error.as_deref());
    let said = error.map(|code| {
        let meaning = codes::meaning(code).map(|meaning| format!(", {}", meaning.text));
        format!("the platform says {code}{}", meaning.unwrap_or_default())
    });
    let own = || {
        if let Some(skip) = asset.skipped {
            return format!("skipped: {}", Skip::as_str(skip));
        }
        let findings = asset.findings.iter().filter(|finding| finding.severity != Severity::Warning);
        findings
            .map(|finding| format!("{}: {}", finding.code, finding.message))
            .collect::<Vec<_>>()
            .join("; ")
    };
    match fate {
        Fate::Synced | Fate::NotPlanned => String::new(),
        Fate::Missing => said.unwrap_or_else(|| {
            let warnings: Vec<_> = asset.findings.iter().map(|finding| finding.code.as_str()).collect();
            match warnings.is_empty() {
                true => String::new(),
                false => format!("warnings: {}", warnings.join(", ")),
            }
        }),
        Fate::Ambiguous => format!(
            "the list has '{}', a name that several assets share",
            there.map_or("", |there| &there.name)
        ),
        _ => {
            let own = own();
            said.map_or(own.clone(), |said| if own.is_empty() { said } else { format!("{own}; {said}") })
        }
    }
}

/// The record of an asset, or of a name without one.
fn fields(name: &str, fate: Fate, asset: Option<&Asset>, there: Option<&There>, message: &str) -> Record {
    let codes = |asset: &Asset| {
        let mut codes: Vec<_> = asset.findings.iter().map(|finding| finding.code.as_str()).collect();
        codes.dedup();
        codes.join(";")
    };
    let text = |text: Option<&str>| Cell::from(text.unwrap_or_default());
    vec![
        ("name", name.into()),
        ("outcome", fate.key().into()),
        ("verdict", text(asset.map(|asset| asset.verdict.as_str()))),
        ("codes", asset.map(codes).unwrap_or_default().into()),
        ("listed_as", text(there.map(|there| there.name.as_str()))),
        ("platform_code", text(there.and_then(|there| there.error.as_deref()))),
        ("frames", asset.and_then(frames_of).into()),
        ("platform_frames", there.and_then(|there| there.frames).into()),
        ("message", message.into()),
    ]
}

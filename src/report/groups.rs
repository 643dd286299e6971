//! Findings by rule, with a few example assets, for reports that do not list every asset.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::layout::{counted, number};
use crate::model::{Asset, Code, Finding, Severity};

/// An asset with a finding.
pub(super) struct FindingExample {
    pub name: String,
    pub message: String,
    pub fix: Option<String>,
    /// Whether the baseline does not have it; `None` without a baseline.
    pub is_new: Option<bool>,
}

impl FindingExample {
    /// What to write before its name.
    pub(super) fn mark(&self) -> &'static str {
        if self.is_new == Some(true) { "new: " } else { "" }
    }
}

/// The findings of one rule and severity.
#[derive(Default)]
pub(super) struct FindingGroup {
    /// The number of assets.
    pub count: u64,
    /// The first few of them, new ones before others.
    pub examples: Vec<FindingExample>,
    /// How many of the assets are new; `None` without a baseline.
    pub new: Option<u64>,
}

impl FindingGroup {
    /// The number of assets that are not examples.
    pub(super) fn more(&self) -> u64 {
        self.count.saturating_sub(self.examples.len() as u64)
    }

    /// `8 assets`, or `8 assets, 2 new` with a baseline.
    pub(super) fn counted(&self) -> String {
        let assets = counted(self.count, "asset", "assets");
        self.new.map_or(assets.clone(), |new| format!("{assets}, {} new", number(new)))
    }

    /// The first fix, with the name of its asset.
    pub(super) fn fix(&self) -> Option<(&str, &str)> {
        self.examples.iter().find_map(|example| Some((example.name.as_str(), example.fix.as_deref()?)))
    }
}

/// The findings of an asset, but only the first for each rule and severity.
pub(super) fn once_a_rule(asset: &Asset) -> impl Iterator<Item = &Finding> {
    let findings = &asset.findings;
    findings.iter().enumerate().filter_map(|(index, finding)| {
        let is_same = |before: &Finding| (before.code, before.severity) == (finding.code, finding.severity);
        (!findings[..index].iter().any(is_same)).then_some(finding)
    })
}

/// The groups: by severity, worst first, then in the order of [`Code::ALL`].
pub(super) struct Groups {
    most: usize,
    by_rule: BTreeMap<(Reverse<Severity>, Code), FindingGroup>,
}

impl Groups {
    /// Creates groups with at most `most` examples each.
    pub(super) fn new(most: usize) -> Self {
        Self { most, by_rule: BTreeMap::new() }
    }

    /// Counts the asset once for each rule that it breaks.
    pub(super) fn add(&mut self, asset: &Asset) {
        self.add_in("", asset);
    }

    /// The same, with what comes before its name.
    pub(super) fn add_in(&mut self, place: &str, asset: &Asset) {
        for finding in once_a_rule(asset) {
            let group = self.by_rule.entry((Reverse(finding.severity), finding.code)).or_default();
            group.count += 1;
            let is_new = asset.is_new(finding.code);
            if let Some(is_new) = is_new {
                *group.new.get_or_insert_default() += u64::from(is_new);
            }
            let new = group.examples.iter().take_while(|example| example.is_new == Some(true)).count();
            let at = if is_new == Some(true) { new } else { group.examples.len() };
            if at < self.most {
                group.examples.truncate(self.most - 1);
                group.examples.insert(
                    at,
                    FindingExample {
                        name: format!("{place}{}", asset.blob.name),
                        message: finding.message.clone(),
                        fix: finding.fix.clone(),
                        is_new,
                    },
                );
            }
        }
    }

    /// Every group.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Severity, Code, &FindingGroup)> {
        self.by_rule.iter().map(|((Reverse(severity), code), group)| (*severity, *code, group))
    }

    /// The groups of this severity.
    pub(super) fn of(&self, severity: Severity) -> impl Iterator<Item = (Code, &FindingGroup)> {
        self.iter().filter(move |(of, ..)| *of == severity).map(|(_, code, group)| (code, group))
    }

    /// The group of this rule and severity.
    pub(super) fn get(&self, code: Code, severity: Severity) -> Option<&FindingGroup> {
        self.by_rule.get(&(Reverse(severity), code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blob, Cost, Facts, Format, Kind, Reads, Verdict};

    #[test]
    fn an_asset_is_counted_once_a_rule_and_severity() {
        let finding = |code, severity| Finding { severity, ..Finding::new(code, "it is so") };
        let findings = vec![
            finding(Code::Malformed, Severity::Error),
            finding(Code::Malformed, Severity::Error),
            finding(Code::MajorBrand, Severity::Warning),
        ];
        let asset = Asset {
            blob: Blob::not_entered("a.mp4"),
            kind: Kind::Video,
            facts: Facts::of(Format::Mp4),
            verdict: Verdict::Reject,
            cost: Cost::default(),
            synced: None,
            earlier: None,
            findings,
            skipped: None,
            reads: Reads::default(),
        };
        let mut groups = Groups::new(2);
        (0..3).for_each(|_| groups.add(&asset));
        let counts: Vec<_> =
            groups.iter().map(|(severity, code, group)| (severity, code, group.count)).collect();
        let (worst, other) =
            ((Severity::Error, Code::Malformed, 3), (Severity::Warning, Code::MajorBrand, 3));
        assert_eq!(counts, [worst, other]);
        assert!(groups.iter().all(|(.., group)| group.examples.len() == 2 && group.more() == 1));
    }
}

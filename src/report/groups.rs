//! Findings by rule, with a few assets as examples: for reports that do not list every asset.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::{Asset, Code, Finding, Severity};

/// An asset with a finding.
pub(super) struct Example {
    pub name: String,
    pub message: String,
    pub fix: Option<String>,
}

/// What was found of one rule, with one severity.
#[derive(Default)]
pub(super) struct Group {
    /// Assets that have it.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

impl Group {
    /// Assets that are no examples.
    pub(super) fn more(&self) -> u64 {
        self.count.saturating_sub(self.examples.len() as u64)
    }

    /// The first fix that there is, with the name of its asset.
    pub(super) fn fix(&self) -> Option<(&str, &str)> {
        self.examples.iter().find_map(|example| Some((example.name.as_str(), example.fix.as_deref()?)))
    }
}

/// The groups, the worst first and then in the order of [`Code::ALL`].
pub(super) struct Groups {
    most: usize,
    by_rule: BTreeMap<(Reverse<Severity>, Code), Group>,
}

impl Groups {
    /// Groups of at most `most` examples.
    pub(super) fn new(most: usize) -> Self {
        Self { most, by_rule: BTreeMap::new() }
    }

    /// Counts the asset once for each rule that it offends.
    pub(super) fn add(&mut self, asset: &Asset) {
        for (index, finding) in asset.findings.iter().enumerate() {
            let rule = |finding: &Finding| (Reverse(finding.severity), finding.code);
            if asset.findings[..index].iter().any(|before| rule(before) == rule(finding)) {
                continue;
            }
            let group = self.by_rule.entry(rule(finding)).or_default();
            group.count += 1;
            if group.examples.len() < self.most {
                group.examples.push(Example {
                    name: asset.blob.name.as_str().to_owned(),
                    message: finding.message.clone(),
                    fix: finding.fix.clone(),
                });
            }
        }
    }

    /// Every group.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Severity, Code, &Group)> {
        self.by_rule.iter().map(|((Reverse(severity), code), group)| (*severity, *code, group))
    }

    /// The groups of this severity.
    pub(super) fn of(&self, severity: Severity) -> impl Iterator<Item = (Code, &Group)> {
        self.iter().filter(move |(of, ..)| *of == severity).map(|(_, code, group)| (code, group))
    }

    /// What was found of this rule with this severity.
    pub(super) fn get(&self, code: Code, severity: Severity) -> Option<&Group> {
        self.by_rule.get(&(Reverse(severity), code))
    }
}

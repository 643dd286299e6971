//! Duplicate basenames: those that more than one asset has.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::{Asset, Code, Effect, Finding, Overrides, Verdict};

/// The most basenames that are remembered: 1.8 million, in 20 MB of hashes. Any more are not compared with later ones.
pub const MAX_BASENAMES: usize = 1_835_008;
/// The number of parts of the table. They grow one at a time, because a growing table is briefly in memory twice. At
/// [`MAX_BASENAMES`], each part is just below the size at which it would grow again.
const PARTS: u64 = 17;

/// The basenames so far, as hashes, so that memory does not depend on the length of the names. Two of 1.8 million names
/// collide with a probability of one in ten million.
#[derive(Debug, Default)]
pub(super) struct SeenBasenames {
    parts: [HashSet<u64>; PARTS as usize],
    count: usize,
    overflowed: bool,
}

impl SeenBasenames {
    /// Adds an asset's basename, and returns whether an earlier asset has it.
    pub(super) fn is_taken(&mut self, asset: &Asset) -> bool {
        let mut hasher = DefaultHasher::new();
        asset.blob.name.basename().hash(&mut hasher);
        let hash = hasher.finish();
        let part = &mut self.parts[(hash % PARTS) as usize];
        if self.count == MAX_BASENAMES {
            let is_taken = part.contains(&hash);
            self.overflowed |= !is_taken;
            return is_taken;
        }
        let is_new = part.insert(hash);
        self.count += usize::from(is_new);
        !is_new
    }

    /// Whether every basename was compared with every other.
    pub(super) fn is_complete(&self) -> bool {
        !self.overflowed
    }
}

/// Adds the finding for a duplicate basename, with the severity that the user chose.
pub(super) fn add_finding(asset: &mut Asset, overrides: &Overrides) {
    let name = &asset.blob.name;
    let message = format!("an asset earlier in the listing has the same basename, '{}'", name.basename());
    let finding = Finding::new(Code::DuplicateBasename, message)
        .with_fix("Rename one of them: annotations are matched by basename");
    let mut findings = vec![finding];
    overrides.apply(name.as_str(), &mut findings);
    asset.findings.append(&mut findings);
    asset.findings.sort_by_key(|finding| finding.code);
}

/// Rejects assets with duplicate basenames if the user wants that. The platform does not reject them, so it is off by
/// default.
///
/// This always runs before the budget, because a rejected asset costs nothing. Of the assets that the rules accept, the
/// first in the listing keeps the name, even if the quota refuses it afterwards.
#[derive(Debug)]
pub struct DuplicateRule {
    basenames: SeenBasenames,
    overrides: Overrides,
    rejects_any: bool,
}

impl DuplicateRule {
    /// Creates the rule, with the user's overrides.
    pub fn new(overrides: Overrides) -> Self {
        let rejects_any = overrides.gives(Code::DuplicateBasename, Effect::Error);
        Self { basenames: SeenBasenames::default(), overrides, rejects_any }
    }

    /// Rejects the next asset in listing order if it has the same basename as an earlier one.
    pub fn judge(&mut self, asset: &mut Asset) {
        if !self.rejects_any || asset.verdict != Verdict::Accept || !self.basenames.is_taken(asset) {
            return;
        }
        let effect = self.overrides.effect(Code::DuplicateBasename, asset.blob.name.as_str());
        if effect == Some(Effect::Error) {
            add_finding(asset, &self.overrides);
            asset.verdict = Verdict::Reject;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blob, Cost, Effects, Facts, Format, Kind, PrefixEffects, Reads};

    fn asset(name: &str) -> Asset {
        Asset {
            blob: Blob::not_entered(name),
            kind: Kind::Image,
            facts: Facts::of(Format::Jpeg),
            verdict: Verdict::Accept,
            cost: Cost { images: 1, frames: 0 },
            synced: None,
            earlier: None,
            findings: Vec::new(),
            skipped: None,
            reads: Reads::default(),
        }
    }

    fn rejected(overrides: Overrides, names: [&str; 5]) -> [bool; 5] {
        let mut duplicates = DuplicateRule::new(overrides);
        names.map(|name| {
            let mut asset = asset(name);
            duplicates.judge(&mut asset);
            assert_eq!(asset.findings.is_empty(), asset.verdict == Verdict::Accept);
            asset.verdict == Verdict::Reject
        })
    }

    #[test]
    fn a_duplicate_is_rejected_where_the_user_wants_that() {
        let names = ["a/1.jpg", "b/1.jpg", "c/2.jpg", "raw/1.jpg", "raw/3.jpg"];
        let mut error = Effects::default();
        error.set(Code::DuplicateBasename, Effect::Error);
        let everywhere = Overrides { everywhere: error.clone(), prefixes: Vec::new() };
        assert_eq!(rejected(everywhere, names), [false, true, false, true, false]);
        let below = PrefixEffects { prefix: "raw/".to_owned(), effects: error };
        let below = Overrides { everywhere: Effects::default(), prefixes: vec![below] };
        assert_eq!(rejected(below, names), [false, false, false, true, false]);
        assert_eq!(rejected(Overrides::default(), names), [false; 5]);
    }
}

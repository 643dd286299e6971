//! The first findings of each rule.

use std::collections::BTreeMap;

use super::script_json::json_length;
use super::{MAX_FINDING_BYTES, MAX_FINDINGS};
use crate::model::{Asset, Code, Finding, Severity};
use crate::report::shown;

/// Bytes of JSON in a row, without its texts.
const ROW_BYTES: usize = 56;

/// A row of the table: `[position, name, size, format, rule, severity, message, fix]`. The rule is an index into
/// [`Code::ALL`]. The message and the fix are indexes into the list of texts, because most findings share them.
pub(super) type FindingRow = (u64, String, u64, &'static str, usize, &'static str, usize, Option<usize>);

#[derive(Debug, Default)]
pub(super) struct Findings {
    position: u64,
    rows: Vec<FindingRow>,
    texts: BTreeMap<String, usize>,
    rules: [KeptFindings; Code::ALL.len()],
}

/// What is kept of the findings of one rule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeptFindings {
    /// Rows in the table.
    pub(super) rows: usize,
    bytes: usize,
    /// Set once a row is dropped. Later ones are dropped too, so that the rows are always the first ones.
    is_full: bool,
    /// The highest severity of the findings of the rule.
    pub(super) severity: Option<Severity>,
}

impl Findings {
    pub(super) fn add(&mut self, asset: &Asset) {
        self.position += 1;
        for finding in &asset.findings {
            let rule = &mut self.rules[finding.code as usize];
            rule.severity = rule.severity.max(Some(finding.severity));
            if !rule.is_full {
                self.keep(asset, finding);
            }
        }
    }

    fn keep(&mut self, asset: &Asset, finding: &Finding) {
        let name = shown(asset.blob.name.as_str());
        let message = shown(&finding.message);
        let fix = finding.fix.as_deref().map(shown);
        let new = |text: &String| if self.texts.contains_key(text) { 0 } else { json_length(text) };
        let bytes = ROW_BYTES + json_length(&name) + new(&message) + fix.as_ref().map_or(0, new);
        let rule = &mut self.rules[finding.code as usize];
        rule.is_full = rule.rows == MAX_FINDINGS || rule.bytes + bytes > MAX_FINDING_BYTES;
        if rule.is_full {
            return;
        }
        rule.rows += 1;
        rule.bytes += bytes;
        let (message, fix) = (self.text(message), fix.map(|fix| self.text(fix)));
        self.rows.push((
            self.position,
            name,
            asset.blob.size,
            asset.facts.format.as_str(),
            finding.code as usize,
            finding.severity.as_str(),
            message,
            fix,
        ));
    }

    fn text(&mut self, text: String) -> usize {
        let next = self.texts.len();
        *self.texts.entry(text).or_insert(next)
    }

    pub(super) fn rule(&self, code: Code) -> KeptFindings {
        self.rules[code as usize]
    }

    /// The rows in listing order, and the texts that they refer to.
    pub(super) fn into_rows(self) -> (Vec<FindingRow>, Vec<String>) {
        let mut texts: Vec<_> = self.texts.into_iter().collect();
        texts.sort_by_key(|(_, place)| *place);
        (self.rows, texts.into_iter().map(|(text, _)| text).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, Blob, BlobName, Cost, Facts, Format, Kind, Reads, Verdict};

    fn asset(name: String, findings: Vec<Finding>) -> Asset {
        let blob = Blob {
            name: BlobName::new(name),
            size: 10,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        };
        Asset {
            blob,
            kind: Kind::Image,
            facts: Facts::of(Format::Jpeg),
            verdict: Verdict::Reject,
            cost: Cost { images: 1, frames: 0 },
            synced: None,
            earlier: None,
            findings,
            skipped: None,
            reads: Reads::default(),
        }
    }

    #[test]
    fn the_first_findings_of_each_rule_are_kept_and_share_their_texts() {
        let mut findings = Findings::default();
        for index in 0..3000 {
            let code = if index < 2990 { Code::ExifOrientation } else { Code::Malformed };
            findings
                .add(&asset(format!("{index}.jpg"), vec![Finding::new(code, "the same").with_fix("repair")]));
        }
        assert_eq!(findings.rule(Code::ExifOrientation).rows, MAX_FINDINGS);
        assert_eq!(findings.rule(Code::Malformed).rows, 10, "a common rule takes no room of a rare one");
        let (rows, texts) = findings.into_rows();
        assert_eq!(texts, ["the same", "repair"]);
        assert_eq!((rows[0].0, rows[0].1.as_str()), (1, "0.jpg"));
        assert_eq!((rows[MAX_FINDINGS].0, rows[MAX_FINDINGS].1.as_str()), (2991, "2990.jpg"));
    }

    #[test]
    fn long_names_and_texts_take_no_more_than_their_room() {
        let mut findings = Findings::default();
        for index in 0..1000 {
            let name = format!("{}{index}", "<".repeat(1000));
            let codes = Code::ALL.iter();
            let found = codes.map(|code| Finding::new(*code, format!("{code} {index} {}", "&".repeat(500))));
            findings.add(&asset(name, found.collect()));
        }
        let (rows, texts) = findings.into_rows();
        let bytes: usize = rows.iter().map(|row| ROW_BYTES + json_length(&row.1)).sum::<usize>()
            + texts.iter().map(|text| json_length(text)).sum::<usize>();
        assert!(bytes <= Code::ALL.len() * MAX_FINDING_BYTES, "{bytes}");
        assert!(rows.len() > Code::ALL.len(), "{}", rows.len());
    }
}

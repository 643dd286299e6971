//! The first findings of each rule.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};

use super::script_json::json_length;
use super::{MAX_FINDING_BYTES, MAX_FINDINGS, MAX_THUMBNAILS};
use crate::model::{Asset, Code, Finding, Severity, Standing};
use crate::report::shown;

/// Bytes of JSON in a row, without its texts.
const ROW_BYTES: usize = 84;

/// A row of the table, in the page data a list of its fields.
#[derive(Debug)]
pub(super) struct FindingRow {
    position: u64,
    /// The exact name. It is never shown as it is, but used in commands and lists.
    name: String,
    /// The name as it is shown, if that differs.
    shown: Option<String>,
    size: u64,
    format: &'static str,
    /// An index into [`Verdict::ALL`].
    verdict: usize,
    /// An index into [`Code::ALL`].
    rule: usize,
    severity: &'static str,
    /// Whether it is new, changed or unchanged on the platform, and the images and frames that a sync of it uses.
    synced: Option<(&'static str, u64, u64)>,
    /// The message and the fix are indexes into the list of texts, because most findings share them.
    message: usize,
    fix: Option<usize>,
    /// An index into the list of thumbnails.
    thumbnail: Option<usize>,
}

impl Serialize for FindingRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { position, name, shown, size, format, verdict, .. } = self;
        let Self { rule, severity, synced, message, fix, thumbnail, .. } = self;
        (position, name, shown, size, format, verdict, rule, severity, synced, message, fix, thumbnail)
            .serialize(serializer)
    }
}

#[derive(Debug, Default)]
pub(super) struct Findings {
    position: u64,
    rows: Vec<FindingRow>,
    texts: BTreeMap<String, usize>,
    /// JPEGs in Base64.
    thumbnails: Vec<String>,
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
        let mut thumbnail = None;
        for finding in &asset.findings {
            let rule = &mut self.rules[finding.code as usize];
            rule.severity = rule.severity.max(Some(finding.severity));
            if rule.is_full || !self.keep(asset, finding) {
                continue;
            }
            thumbnail = thumbnail.or_else(|| self.thumbnail(asset));
            if let Some(row) = self.rows.last_mut() {
                row.thumbnail = thumbnail;
            }
        }
    }

    /// Keeps the asset's thumbnail, if there is room for one more.
    fn thumbnail(&mut self, asset: &Asset) -> Option<usize> {
        let jpeg = asset.facts.thumbnail.as_ref().filter(|_| self.thumbnails.len() < MAX_THUMBNAILS)?;
        self.thumbnails.push(BASE64.encode(jpeg));
        Some(self.thumbnails.len() - 1)
    }

    /// Adds a row, if there is room for it.
    fn keep(&mut self, asset: &Asset, finding: &Finding) -> bool {
        let name = asset.blob.name.as_str().to_owned();
        let shown_name = Some(shown(&name)).filter(|shown| *shown != name);
        let new = if asset.is_new(finding.code) == Some(true) { "new: " } else { "" };
        let message = format!("{new}{}", shown(&finding.message));
        let fix = finding.fix.as_deref().map(shown);
        let new = |text: &String| if self.texts.contains_key(text) { 0 } else { json_length(text) };
        let names = json_length(&name) + shown_name.as_deref().map_or(0, json_length);
        let bytes = ROW_BYTES + names + new(&message) + fix.as_ref().map_or(0, new);
        let rule = &mut self.rules[finding.code as usize];
        rule.is_full = rule.rows == MAX_FINDINGS || rule.bytes + bytes > MAX_FINDING_BYTES;
        if rule.is_full {
            return false;
        }
        rule.rows += 1;
        rule.bytes += bytes;
        let (message, fix) = (self.text(message), fix.map(|fix| self.text(fix)));
        self.rows.push(FindingRow {
            position: self.position,
            name,
            shown: shown_name,
            size: asset.blob.size,
            format: asset.facts.format.as_str(),
            verdict: asset.verdict as usize,
            rule: finding.code as usize,
            severity: finding.severity.as_str(),
            synced: asset
                .synced
                .map(|Standing { state, charge }| (state.as_str(), charge.images, charge.frames)),
            message,
            fix,
            thumbnail: None,
        });
        true
    }

    fn text(&mut self, text: String) -> usize {
        let next = self.texts.len();
        *self.texts.entry(text).or_insert(next)
    }

    pub(super) fn rule(&self, code: Code) -> KeptFindings {
        self.rules[code as usize]
    }

    /// The rows in listing order, and the texts and thumbnails that they refer to.
    pub(super) fn into_rows(self) -> (Vec<FindingRow>, Vec<String>, Vec<String>) {
        let mut texts: Vec<_> = self.texts.into_iter().collect();
        texts.sort_by_key(|(_, place)| *place);
        (self.rows, texts.into_iter().map(|(text, _)| text).collect(), self.thumbnails)
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
        let (rows, texts, thumbnails) = findings.into_rows();
        assert_eq!((texts, thumbnails.len()), (vec!["the same".to_owned(), "repair".to_owned()], 0));
        assert_eq!((rows[0].position, rows[0].name.as_str()), (1, "0.jpg"));
        assert_eq!((rows[MAX_FINDINGS].position, rows[MAX_FINDINGS].name.as_str()), (2991, "2990.jpg"));
    }

    #[test]
    fn a_few_thumbnails_are_kept_once_an_asset() {
        let mut findings = Findings::default();
        for index in 0..2 * MAX_THUMBNAILS {
            let found = [Code::ExifOrientation, Code::ExtensionMismatch].map(|code| Finding::new(code, "so"));
            let mut asset = asset(format!("{index}.jpg"), found.into());
            asset.facts.thumbnail = Some(vec![index as u8].into());
            findings.add(&asset);
        }
        let (rows, _, thumbnails) = findings.into_rows();
        assert_eq!(thumbnails.len(), MAX_THUMBNAILS);
        let of = |row: usize| rows[row].thumbnail;
        assert_eq!([of(0), of(1), of(2), of(2 * MAX_THUMBNAILS)], [Some(0), Some(0), Some(1), None]);
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
        let (rows, texts, _) = findings.into_rows();
        let bytes: usize = rows.iter().map(|row| ROW_BYTES + json_length(&row.name)).sum::<usize>()
            + texts.iter().map(|text| json_length(text)).sum::<usize>();
        assert!(bytes <= Code::ALL.len() * MAX_FINDING_BYTES, "{bytes}");
        assert!(rows.len() > Code::ALL.len(), "{}", rows.len());
    }
}

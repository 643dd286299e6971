//! SARIF 2.1.0, for code scanning: a result for each rule and folder.
//!
//! A result for each asset would exceed GitHub's limits, and alerts would appear and disappear with every upload. A
//! result for a rule and folder stays the same alert from run to run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::changes::{ChangesRecord, FindingChangesRecord};
use super::containers;
use super::groups::once_a_rule;
use super::layout::{counted, shown};
use super::record::{QuotaRecord, TotalsRecord};
use super::{Out, written};
use crate::model::error::Result;
use crate::model::{Asset, Code, Finding, Origin, Overrides, Severity};
use crate::plan::audit::Audit;
use crate::plan::{RunHeader, Sink, Summary};
use crate::rules;

// GitHub's limits (GitHub Docs, "SARIF results exceed one or more limits"): 5,000 results per run, 100 locations per
// result, and a file of 10 MB after gzip.
/// The most results, including those for all folders without a result of their own.
const MAX_RESULTS: usize = 5_000;
/// The most locations of a result.
const MAX_LOCATIONS: usize = 100;
/// The most bytes for all locations: 8 MiB, so that the file stays below 10 MB after gzip for any names.
const MAX_LOCATION_BYTES: usize = 8 << 20;
/// The most containers that are named as not complete.
const MAX_NOTIFICATIONS: usize = 100;
/// Bytes of a location without its URI.
const LOCATION_BYTES: usize = 112;

/// The base that the URIs of locations are relative to.
const BASE: &str = "SOURCE";

/// Characters that are percent-encoded in a path segment: all but the unreserved ones (RFC 3986, 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) struct Sarif {
    header: RunHeader,
    out: Out,
    found: FolderFindings,
}

impl Sarif {
    pub(super) fn new(header: RunHeader, out: Out) -> Self {
        Self { header, out, found: FolderFindings::default() }
    }
}

impl Sink for Sarif {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        for finding in once_a_rule(asset) {
            self.found.add(0, asset, finding);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { header, out, found } = *self;
        let sources = [(BASE.to_owned(), header.origin.location.as_str())];
        write(
            out,
            SarifRun {
                tool: tool(),
                automation_details: json!({ "id": format!("presync/{}/", header.origin.location) }),
                invocations: [invocation(summary)],
                original_uri_base_ids: json!({ BASE: base(&header.origin) }),
                results: SarifResults { found: &found, sources: &sources },
                properties: SarifProperties {
                    profile: &header.profile.name,
                    overrides: &header.profile.overrides,
                    quota: QuotaRecord::new(header.admit, Some(&header.profile), summary),
                    totals: TotalsRecord::new(&summary.totals, elapsed.as_secs_f64()),
                    changes: summary
                        .changes
                        .as_ref()
                        .map(|changes| ChangesRecord::new(changes, &summary.totals)),
                },
            },
        )
    }
}

/// Writes the log of an audit: one run for all containers, because GitHub takes at most 20 runs of a file.
pub(super) fn audit(audit: &Audit, out: Out) -> Result<()> {
    let mut found = FolderFindings::default();
    for (number, container) in audit.containers.iter().enumerate() {
        for asset in containers::assets(audit, container)? {
            let asset = asset?;
            once_a_rule(&asset).for_each(|finding| found.add(number, &asset, finding));
        }
    }
    let numbered = audit.containers.iter().enumerate();
    let sources =
        numbered.map(|(number, container)| (format!("{BASE}{number}"), container.origin.location.as_str()));
    let sources: Vec<_> = sources.collect();
    let named = found.containers();
    let bases =
        named.iter().map(|number| (sources[*number].0.clone(), base(&audit.containers[*number].origin)));
    let incomplete = audit.containers.iter().filter(|container| !container.outcome.is_complete());
    let notifications = incomplete.take(MAX_NOTIFICATIONS).map(|container| {
        let text =
            format!("INCOMPLETE: {}: {}", message(&container.name), message(&containers::why(container)));
        json!({ "level": "error", "message": { "text": text } })
    });
    let changes = audit.changes();
    write(
        out,
        SarifRun {
            tool: tool(),
            automation_details: json!({ "id": "presync/audit/" }),
            invocations: [json!({
                "executionSuccessful": audit.is_complete(),
                "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
            })],
            original_uri_base_ids: Value::Object(bases.collect()),
            results: SarifResults { found: &found, sources: &sources },
            properties: SarifAudit {
                containers: audit.containers.len(),
                totals: TotalsRecord::new(&audit.totals(), audit.elapsed.as_secs_f64()),
                empty: audit.empty().map(|container| container.name.as_str()).collect(),
                findings: changes.as_ref().map(FindingChangesRecord::new),
            },
        },
    )
}

fn write<P: Serialize>(mut out: Out, run: SarifRun<'_, P>) -> Result<()> {
    let document = SarifLog {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [run],
    };
    written(|| {
        serde_json::to_writer(crate::report::Visible::json(&mut out), &document)?;
        out.write_all(b"\n")?;
        out.flush()
    })
}

#[derive(Serialize)]
struct SarifLog<'a, P> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [SarifRun<'a, P>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRun<'a, P> {
    tool: Value,
    automation_details: Value,
    invocations: [Value; 1],
    original_uri_base_ids: Value,
    results: SarifResults<'a>,
    properties: P,
}

#[derive(Serialize)]
struct SarifProperties<'a> {
    profile: &'a str,
    #[serde(skip_serializing_if = "Overrides::is_empty")]
    overrides: &'a Overrides,
    quota: QuotaRecord<'a>,
    totals: TotalsRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesRecord<'a>>,
}

#[derive(Serialize)]
struct SarifAudit<'a> {
    containers: usize,
    totals: TotalsRecord,
    empty: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<FindingChangesRecord<'a>>,
}

/// The rules, in the order of [`Code::ALL`].
fn tool() -> Value {
    let rule = |code: &Code| {
        let text = rules::text(*code);
        json!({
            "id": code.as_str(),
            "name": code.name(),
            "shortDescription": { "text": text.summary },
            "fullDescription": { "text": text.why },
            "help": { "text": format!("{}\n\nSource: {}", text.fix, text.source) },
            "defaultConfiguration": { "level": level(code.severity()) },
        })
    };
    let version = env!("CARGO_PKG_VERSION");
    json!({ "driver": {
        "name": env!("CARGO_PKG_NAME"),
        "semanticVersion": version,
        "rules": Code::ALL.iter().map(rule).collect::<Vec<_>>(),
    } })
}

fn invocation(summary: &Summary) -> Value {
    let mut invocation = json!({ "executionSuccessful": summary.incomplete.is_none() });
    if let Some(why) = &summary.incomplete {
        let text = format!("INCOMPLETE: {}: only the first part of the listing was judged", message(why));
        invocation["toolExecutionNotifications"] = json!([{ "level": "error", "message": { "text": text } }]);
    }
    invocation
}

/// The URL of the container, without the prefix. A folder has no URL that is the same everywhere (3.14.14).
fn base(origin: &Origin) -> Value {
    let segments_of_prefix = match origin.prefix.as_str() {
        "" => 0,
        prefix => 1 + prefix.matches('/').count(),
    };
    match origin.container {
        Some(_) => {
            let container = origin.location.rsplitn(segments_of_prefix + 1, '/').last().unwrap_or_default();
            json!({ "uri": format!("{container}/") })
        }
        None => json!({ "description": { "text": message(&origin.location) } }),
    }
}

/// The SARIF level. An asset that could not be judged must not look better than a rejected one.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error | Severity::Unknown => "error",
        Severity::Warning => "warning",
    }
}

/// The results, worst first, each of a folder of a source. `None` stands for the folders beyond the limits.
#[derive(Default)]
struct FolderFindings {
    by_folder: BTreeMap<ResultKey, FoundAssets>,
    location_bytes: usize,
}

/// What a result is about: a severity, a rule, and a folder of a source.
type ResultKey = (Reverse<Severity>, Code, Option<(usize, String)>);

struct FoundAssets {
    count: u64,
    /// The sources and the URIs.
    uris: Vec<(usize, String)>,
    message: String,
    fix: Option<String>,
    /// How many the baseline does not have; `None` without a baseline.
    new: Option<u64>,
}

impl FolderFindings {
    fn add(&mut self, source: usize, asset: &Asset, finding: &Finding) {
        self.add_named((source, asset.blob.name.as_str()), finding, asset.is_new(finding.code));
    }

    fn add_named(&mut self, (source, name): (usize, &str), finding: &Finding, is_new: Option<bool>) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut key = (Reverse(finding.severity), finding.code, Some((source, folder.to_owned())));
        let in_reserve = Code::ALL.len() * Severity::ALL.len();
        let is_full =
            self.by_folder.len() + in_reserve >= MAX_RESULTS || self.location_bytes >= MAX_LOCATION_BYTES;
        if is_full && !self.by_folder.contains_key(&key) {
            key.2 = None;
        }
        let assets = self.by_folder.entry(key).or_insert_with(|| FoundAssets {
            count: 0,
            uris: Vec::new(),
            message: finding.message.clone(),
            fix: finding.fix.clone(),
            new: None,
        });
        assets.count += 1;
        if let Some(is_new) = is_new {
            *assets.new.get_or_insert_default() += u64::from(is_new);
        }
        // GitHub does not show a result without a location, so the first one is always added.
        let is_named = assets.uris.len() < MAX_LOCATIONS && self.location_bytes < MAX_LOCATION_BYTES;
        if assets.uris.is_empty() || is_named {
            let uri = uri(name);
            self.location_bytes += LOCATION_BYTES + uri.len();
            assets.uris.push((source, uri));
        }
    }
}

impl FolderFindings {
    /// The sources of the locations.
    fn containers(&self) -> BTreeSet<usize> {
        self.by_folder.values().flat_map(|assets| &assets.uris).map(|(source, _)| *source).collect()
    }
}

/// Serializes the results one by one, because all of them in memory would take a hundred megabytes.
struct SarifResults<'a> {
    found: &'a FolderFindings,
    /// The base of its URIs and the location of each source.
    sources: &'a [(String, &'a str)],
}

impl SarifResults<'_> {
    fn iter(&self) -> impl Iterator<Item = Value> {
        self.found.by_folder.iter().map(|((Reverse(severity), code, folder), assets)| {
            result(*severity, *code, folder.as_ref(), assets, self.sources)
        })
    }
}

impl Serialize for SarifResults<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

fn result(
    severity: Severity,
    code: Code,
    folder: Option<&(usize, String)>,
    assets: &FoundAssets,
    sources: &[(String, &str)],
) -> Value {
    let place = if folder.is_some() { "" } else { " in folders beyond the limits of this report" };
    let mut text = format!(
        "{}{place}: {}. For example: {}.",
        counted(assets.count, "asset", "assets"),
        rules::summary(code),
        message(&assets.message)
    );
    if let Some(fix) = &assets.fix {
        text.push_str(&format!(" Fix: {}", message(fix)));
    }
    let source =
        |number: usize| sources.get(number).map_or((BASE, ""), |(base, location)| (base.as_str(), *location));
    let location = |(number, uri): &(usize, String)| {
        // GitHub does not show a result without a line number, so images and videos get line 1.
        json!({ "physicalLocation": {
            "artifactLocation": { "uri": uri, "uriBaseId": source(*number).0 },
            "region": { "startLine": 1 },
        } })
    };
    let fingerprint = match folder {
        Some((number, folder)) => fingerprint([source(*number).1, code.as_str(), folder]),
        None => fingerprint([if sources.len() == 1 { source(0).1 } else { "" }, code.as_str(), "\n"]),
    };
    let mut result = json!({
        "ruleId": code.as_str(),
        "ruleIndex": Code::ALL.iter().position(|other| *other == code),
        "level": level(severity),
        "message": { "text": text },
        "locations": assets.uris.iter().map(location).collect::<Vec<_>>(),
        "occurrenceCount": assets.count,
        // GitHub identifies an alert by the second fingerprint, which it otherwise computes from the lines of a file.
        "partialFingerprints": { "sourceRuleFolder/v1": fingerprint, "primaryLocationLineHash": fingerprint },
    });
    if let Some(new) = assets.new {
        let state = if new == assets.count {
            "new"
        } else if new == 0 {
            "unchanged"
        } else {
            "updated"
        };
        result["baselineState"] = json!(state);
        result["properties"] = json!({ "new": new });
    }
    result
}

fn fingerprint(parts: [&str; 3]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Encodes a name as a relative reference that cannot be an absolute path, a scheme or `..` (RFC 3986, 4.2).
fn uri(name: &str) -> String {
    let mut uri = String::new();
    for (index, segment) in name.split('/').enumerate() {
        if index > 0 {
            uri.push_str(if uri.is_empty() { "%2F" } else { "/" });
        }
        match segment {
            "." | ".." => uri.push_str(&segment.replace('.', "%2E")),
            _ => uri.extend(utf8_percent_encode(segment, SEGMENT)),
        }
    }
    uri
}

/// Untrusted text for a message, where braces and brackets have a meaning (3.11.5, 3.11.6).
fn message(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in shown(text).chars() {
        match character {
            '{' | '}' => safe.extend([character, character]),
            '[' | ']' | '\\' => safe.extend(['\\', character]),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_relative_reference_below_its_base() {
        for (name, expected) in [
            ("a b/c#1?.jpg", "a%20b/c%231%3F.jpg"),
            ("/lead.jpg", "%2Flead.jpg"),
            ("//host/x.jpg", "%2F/host/x.jpg"),
            ("file:///x.jpg", "file%3A///x.jpg"),
            ("../../x.jpg", "%2E%2E/%2E%2E/x.jpg"),
            ("a//b.jpg", "a//b.jpg"),
            ("100%.jpg", "100%25.jpg"),
        ] {
            assert_eq!(uri(name), expected);
        }
    }

    #[test]
    fn a_base_is_the_container() {
        let origin = |location: &str, prefix: &str| Origin {
            provider: "azure".into(),
            location: location.to_owned(),
            account: None,
            container: Some("cam".to_owned()),
            prefix: prefix.to_owned(),
            credential: None,
        };
        let base = |location, prefix| base(&origin(location, prefix))["uri"].clone();
        assert_eq!(
            base("https://media.blob.core.windows.net/cam", ""),
            "https://media.blob.core.windows.net/cam/"
        );
        assert_eq!(base("http://127.0.0.1:1/acc/cam/a%20b/c", "a b/c"), "http://127.0.0.1:1/acc/cam/");
        assert_eq!(base("http://127.0.0.1:1/acc/cam/a/", "a/"), "http://127.0.0.1:1/acc/cam/");
    }

    #[test]
    fn however_many_findings_there_are_the_results_stay_within_the_limits() {
        let finding = Finding::new(Code::ExifOrientation, "it is 6");
        for (folders, folder) in [(12_000, "f".to_owned()), (2_000, "é".repeat(1_000))] {
            let mut found = FolderFindings::default();
            for number in 0..folders {
                (0..3).for_each(|file| {
                    found.add_named((0, &format!("{folder}{number}/{file}.jpg")), &finding, None)
                });
            }
            (0..1_000)
                .for_each(|file| found.add_named((0, &format!("{folder}0/{file}.png")), &finding, None));
            let results: Vec<_> =
                SarifResults { found: &found, sources: &[(BASE.to_owned(), "here")] }.iter().collect();
            assert!((400..=MAX_RESULTS).contains(&results.len()), "{}", results.len());
            let locations = |result: &Value| result["locations"].as_array().expect("a list").len();
            assert!(results.iter().all(|result| (1..=MAX_LOCATIONS).contains(&locations(result))));
            let count = |result: &Value| result["occurrenceCount"].as_u64().expect("a number");
            assert_eq!(results.iter().map(count).sum::<u64>(), 3 * folders + 1_000);
            let bytes = serde_json::to_vec(&results).expect("memory").len();
            assert!(bytes < MAX_LOCATION_BYTES + MAX_RESULTS * 500, "{bytes} bytes before gzip");
        }
    }

    #[test]
    fn what_has_a_meaning_in_a_message_is_escaped() {
        assert_eq!(message("[a](0) {0} \u{202e}"), "\\[a\\](0) {{0}} \\\\u{{202e}}");
    }
}

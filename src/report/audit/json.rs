//! The audit summary as one JSON document.

use std::borrow::Cow;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::model::Admit;
use crate::plan::audit::{Audit, Container, FolderCounts, SharedBasenames, Together};
use crate::plan::{Folder, FolderSum};
use crate::report::changes::{ChangesRecord, FindingChangesRecord};
use crate::report::json::CodeCounts;
use crate::report::layout;
use crate::report::record::{
    FORMAT_VERSION, QuotaRecord, SourceRecord, ToolRecord, TotalsRecord, profile_hash,
};

#[derive(Serialize)]
struct AuditDocument<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    /// When the first container began and the last one ended; absent if none was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    /// Whether every container was fully examined.
    complete: bool,
    containers: Vec<ContainerRecord<'a>>,
    /// Names of the account's containers that are not audited.
    left_out: &'a [String],
    totals: TotalsRecord,
    findings_by_code: CodeCounts<'a>,
    /// How findings have changed since the last audit; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<FindingChangesRecord<'a>>,
    /// Names of the containers without a blob.
    empty: Vec<&'a str>,
    worst_prefixes: Vec<FolderRecord<'a>>,
    /// The remaining prefixes with assets that will not sync.
    more_prefixes: MoreRecord,
    duplicates: DuplicatesRecord<'a>,
    /// The cost of all containers, if a workspace is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    together: Vec<TogetherRecord>,
}

#[derive(Serialize)]
struct ContainerRecord<'a> {
    name: &'a str,
    source: SourceRecord<'a>,
    profile: &'a str,
    /// As in the report of one container; absent if it was not opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    /// The container that lists all of its blobs too; where that is complete, they count there and not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<&'a str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRecord<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<QuotaRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<TotalsRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings_by_code: Option<CodeCounts<'a>>,
    /// The changes since the last audit; absent if it did not have the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesRecord<'a>>,
}

#[derive(Serialize)]
struct ErrorRecord<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct FolderRecord<'a> {
    container: &'a str,
    prefix: &'a str,
    listed: u64,
    rejected: u64,
    unknown: u64,
}

#[derive(Serialize)]
struct MoreRecord {
    count: u64,
    left_out: u64,
}

#[derive(Serialize)]
struct DuplicatesRecord<'a> {
    basenames: u64,
    projects: Vec<ProjectRecord<'a>>,
}

#[derive(Serialize)]
struct ProjectRecord<'a> {
    /// `null` for the project of all containers.
    project: Option<&'a str>,
    basenames: u64,
    /// One in this many basenames was compared.
    one_of: u64,
    examples: Vec<BasenameRecord<'a>>,
}

#[derive(Serialize)]
struct BasenameRecord<'a> {
    basename: &'a str,
    /// The first two containers with this basename.
    containers: [&'a str; 2],
}

#[derive(Serialize)]
struct TogetherRecord {
    kind: &'static str,
    cost: u64,
    left: Option<u64>,
    excess: u64,
}

/// Writes the document.
pub(in crate::report) fn write(audit: &Audit, out: &mut impl Write) -> io::Result<()> {
    let findings = audit.findings();
    let changes = audit.changes();
    let names = ContainerNames(&audit.containers);
    let headers = || audit.containers.iter().filter_map(|container| container.header.as_ref());
    let document = AuditDocument {
        format_version: FORMAT_VERSION,
        tool: ToolRecord::this(),
        started: headers().map(|header| header.begun).min(),
        ended: audit.containers.iter().filter_map(ended).max(),
        complete: audit.is_complete(),
        containers: audit
            .containers
            .iter()
            .map(|container| ContainerRecord::new(container, &names))
            .collect(),
        left_out: &audit.left_out,
        totals: TotalsRecord::new(&audit.totals(), audit.elapsed.as_secs_f64()),
        findings_by_code: CodeCounts(&findings),
        findings: changes.as_ref().map(FindingChangesRecord::new),
        empty: audit.empty().map(|container| container.name.as_str()).collect(),
        worst_prefixes: audit.worst.top().iter().map(|folder| names.folder(folder)).collect(),
        more_prefixes: MoreRecord { count: audit.worst.more, left_out: audit.worst.rest.weight() },
        duplicates: DuplicatesRecord {
            basenames: audit.duplicates.iter().map(|(_, found)| found.count).sum(),
            projects: audit.duplicates.iter().map(|(name, found)| names.project(name, found)).collect(),
        },
        together: audit.together.iter().map(TogetherRecord::new).collect(),
    };
    serde_json::to_writer(crate::report::Visible::json(&mut *out), &document)?;
    out.write_all(b"\n")
}

/// When the audit of a container ended.
fn ended(container: &Container) -> Option<Timestamp> {
    container.header.as_ref().map(|header| layout::ended(header, container.elapsed))
}

impl<'a> ContainerRecord<'a> {
    fn new(container: &'a Container, names: &ContainerNames<'a>) -> Self {
        let summary = container.outcome.summary();
        let header = container.header.as_ref();
        let admit = header.map_or(Admit::Listing, |header| header.admit);
        let rules = header.map(|header| header.profile.as_ref());
        let quota = summary.map(|summary| QuotaRecord::new(admit, rules, summary));
        let changes = summary.and_then(|summary| Some((summary.changes.as_ref()?, &summary.totals)));
        let elapsed = container.elapsed.as_secs_f64();
        Self {
            name: &container.name,
            source: SourceRecord::new(&container.origin),
            profile: &container.profile,
            profile_sha256: header.map(|header| profile_hash(&header.profile)),
            started: header.map(|header| header.begun),
            ended: ended(container),
            project: container.project.as_deref(),
            within: container.within.map(|within| names.name(within)),
            state: container.outcome.as_str(),
            error: container
                .outcome
                .cause()
                .map(|error| ErrorRecord { message: error.message(), hint: error.hint() }),
            notes: &container.notes,
            plan: container.plan.as_ref().map(|path| path.to_string_lossy()),
            quota,
            totals: summary.map(|summary| TotalsRecord::new(&summary.totals, elapsed)),
            findings_by_code: summary.map(|summary| CodeCounts(&summary.findings)),
            changes: changes.map(|(changes, totals)| ChangesRecord::new(changes, totals)),
        }
    }
}

impl TogetherRecord {
    fn new(together: &Together) -> Self {
        let Together { kind, cost, left } = *together;
        Self { kind: kind.as_str(), cost, left, excess: together.excess() }
    }
}

/// Names of containers, by index.
struct ContainerNames<'a>(&'a [Container]);

impl<'a> ContainerNames<'a> {
    fn name(&self, place: usize) -> &'a str {
        self.0.get(place).map_or("", |container| &container.name)
    }

    fn folder(&self, folder: &'a Folder<FolderCounts>) -> FolderRecord<'a> {
        let Folder { container, name, sum: FolderCounts { listed, rejected, unknown } } = folder;
        let container = self.name(*container);
        FolderRecord { container, prefix: name, listed: *listed, rejected: *rejected, unknown: *unknown }
    }

    fn project(&self, project: &'a Option<String>, found: &'a SharedBasenames) -> ProjectRecord<'a> {
        let examples = found.examples.iter().map(|example| BasenameRecord {
            basename: &example.basename,
            containers: example.containers.map(|place| self.name(place)),
        });
        ProjectRecord {
            project: project.as_deref(),
            basenames: found.count,
            one_of: found.one_of,
            examples: examples.collect(),
        }
    }
}

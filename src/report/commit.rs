//! The report of `presync commit`, and the record in the folder of a commit.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use anstyle::Style;
use jiff::Timestamp;
use serde::Serialize;

use super::TextOrJson;
use super::layout::{self, MAX_WIDTH, MIN_WIDTH, number, shown};
use super::record::{FORMAT_VERSION, SourceRecord, ToolRecord};
use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::commit::{Commit, CommitOutcome, Manifest, Obstacle, Obstacles, Written};
use crate::ledger::Amounts;
use crate::model::Period;

/// Writes the report to `out`. `width` is the maximum number of columns for text.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub fn write(
    format: TextOrJson,
    commit: &Commit,
    outcome: &CommitOutcome,
    out: impl Write,
    width: usize,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match format {
        TextOrJson::Text => text(&mut out, commit, outcome, width.clamp(MIN_WIDTH, MAX_WIDTH))?,
        TextOrJson::Json => {
            serde_json::to_writer_pretty(
                crate::report::Visible::json(&mut out),
                &CommitDocument::new(commit, outcome),
            )?;
            writeln!(out)?;
        }
    }
    out.flush()
}

/// The record in the folder of a commit, as one JSON document.
///
/// # Errors
/// Returns an error if a path cannot be represented in JSON.
pub fn record(commit: &Commit, written: &Written) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(&CommitRecord::new(commit, Some(commit.at), Some(written)))?;
    text.push(b'\n');
    Ok(text)
}

fn text(out: &mut impl Write, commit: &Commit, outcome: &CommitOutcome, width: usize) -> io::Result<()> {
    let plan = &commit.plan;
    layout::heading(out, "commit", &plan.header)?;
    let path = shown(&commit.plan_path.to_string_lossy());
    writeln!(out, "  {DIM}{:<10}{DIM:#}  {path}", "plan")?;
    // Never cut, because users pass it to presync quota release.
    writeln!(out, "  {DIM}{:<10}{DIM:#}  {}", "plan id", shown(&plan.id))?;
    let workspace = shown(&commit.workspace);
    writeln!(out, "  {DIM}{:<10}{DIM:#}  {workspace} {DIM}{}{DIM:#}\n", "workspace", of(commit.period))?;

    let totals = &plan.summary.totals;
    let rows = [
        ("accepted", totals.accepted, GOOD),
        ("rejected", totals.rejected, ERROR),
        ("unknown", totals.unknown, UNKNOWN),
    ];
    for (label, count, style) in rows {
        let style = if count == 0 { DIM } else { style };
        writeln!(out, "  {label:<10}  {style}{:>9}{style:#}", number(count))?;
    }
    for (kind, needed) in &commit.costs {
        let left = commit.left.get(kind).map(|left| format!("  {DIM}of {} left{DIM:#}", number(*left)));
        writeln!(out, "  {:<10}  {:>9}{}", kind.unit(), number(*needed), left.unwrap_or_default())?;
    }
    for (kind, back) in &commit.returned {
        writeln!(out, "  {:<10}  {:>9}  {DIM}given back{DIM:#}", kind.unit(), format!("−{}", number(*back)))?;
    }
    writeln!(out)?;

    let dir = shown(&commit.dir.to_string_lossy());
    match outcome {
        CommitOutcome::Committed(written) => {
            manifests(out, written)?;
            let text = format!("Committed: the quota is reserved, the manifests are in '{dir}'.");
            layout::hanging_words(out, 0, GOOD, &text, width)?;
            writeln!(out, "\n{BOLD}Next{BOLD:#}")?;
            next_steps(commit).iter().try_for_each(|(label, text)| layout::wrapped(out, label, text, width))
        }
        CommitOutcome::WouldCommit(written) => {
            manifests(out, written)?;
            let text = format!(
                "Nothing blocks the commit. Without --dry-run, the quota would be reserved and the manifests written to \
                 '{dir}'."
            );
            layout::hanging_words(out, 0, GOOD, &text, width)
        }
        CommitOutcome::Before { at } => {
            let at = at.strftime("%Y-%m-%d %H:%M:%S");
            let released = if commit.was_reserved { "" } else { "; its reservation has been released since" };
            let text = format!("Already committed on {at} UTC, in '{dir}'{released}. Nothing was changed.");
            layout::hanging_words(out, 0, GOOD, &text, width)
        }
        CommitOutcome::Refused(obstacles) => {
            refused(out, obstacles, width)?;
            match commit.was_reserved {
                false => Ok(()),
                true => {
                    let id = shown(&plan.id);
                    let text = format!(
                        "An earlier run reserved the quota. To release it: presync quota release {id}"
                    );
                    layout::hanging_words(out, 0, Style::new(), &text, width)
                }
            }
        }
    }
}

/// What to do after a commit, as labels and texts with commands.
fn next_steps(commit: &Commit) -> Vec<(&'static str, String)> {
    let Commit { plan, dir, .. } = commit;
    let totals = &plan.summary.totals;
    let id = plan.id.get(..12).unwrap_or(&plan.id);
    let confirm = format!("then, once the sync is done: presync quota confirm {id}");
    let mut steps = vec![("sync", format!("start the sync on the platform; {confirm}"))];
    let left_out = totals.rejected.saturating_add(totals.unknown);
    if left_out > 0 {
        let origin = &plan.header.origin;
        let accepted = dir.join("accepted.txt");
        let accepted = layout::quoted(&accepted.to_string_lossy());
        let assets = layout::counted(left_out, "asset", "assets");
        let keep = match (&origin.account, &origin.container) {
            (Some(account), Some(container)) => {
                let endpoint = endpoint(&origin.location, container)
                    .map_or_else(|| format!("https://{account}.blob.core.windows.net/"), str::to_owned);
                let from = layout::quoted(&format!("{endpoint}{container}"));
                let to = layout::quoted(&format!("{endpoint}{container}-accepted"));
                format!(
                    "move or tag them, or copy what is accepted and point the connection there: azcopy copy {from} \
                     {to} --list-of-files {accepted}"
                )
            }
            _ => format!("move them; {accepted} lists what is accepted"),
        };
        let what = format!("the platform looks at everything under the prefix, also the {assets} left out");
        steps.push(("left out", format!("{what}: to keep them from it, {keep}")));
    }
    steps
}

/// The start of a container's URL, up to the container's name.
fn endpoint<'a>(location: &'a str, container: &str) -> Option<&'a str> {
    let mut at = location.find("://")? + "://".len();
    for segment in location.get(at..)?.split('/') {
        if segment == container && at > location.find("://")? + "://".len() {
            return location.get(..at);
        }
        at += segment.len() + 1;
    }
    None
}

/// `in 2026-11`.
fn of(period: Period) -> String {
    match period {
        Period::Month(month) => format!("in {month}"),
        Period::Stock => "as a stock".to_owned(),
    }
}

fn manifests(out: &mut impl Write, written: &Written) -> io::Result<()> {
    for Manifest { name, entries, .. } in &written.manifests {
        let unlisted = match (*name, written.unlisted) {
            ("accepted.txt", 1..) => {
                format!("  {DIM}{} left out (not readable by AzCopy){DIM:#}", number(written.unlisted))
            }
            _ => String::new(),
        };
        writeln!(out, "  {name:<14}  {:>9}{unlisted}", number(*entries))?;
    }
    writeln!(out)
}

fn refused(out: &mut impl Write, obstacles: &Obstacles, width: usize) -> io::Result<()> {
    writeln!(out, "{BOLD}Blocked by{BOLD:#}")?;
    for (kind, Obstacle { count, examples }) in obstacles.iter() {
        let (name, total) = (kind.as_str(), number(*count));
        write!(out, "  {ERROR}{name:<16}{ERROR:#}  {total:>9}")?;
        layout::noted(out, 29, kind.summary(), 10, width)?;
        let rows = examples.iter().map(|example| (shown(&example.subject), shown(&example.detail)));
        layout::named(out, 10, &rows.collect::<Vec<_>>(), width)?;
        let more = count - examples.len() as u64;
        if more > 0 {
            writeln!(out, "          {DIM}and {} more{DIM:#}", number(more))?;
        }
    }
    writeln!(out, "\n{ERROR}Refused:{ERROR:#} nothing was changed.")?;
    writeln!(out, "{DIM}To make a new plan: presync dry-run SOURCE --plan FILE{DIM:#}")
}

/// A commit, as in its folder and in the report.
#[derive(Serialize)]
struct CommitRecord<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    plan: PlanRecord<'a>,
    source: SourceRecord<'a>,
    profile: &'a str,
    workspace: &'a str,
    month: String,
    costs: BTreeMap<&'static str, u64>,
    /// What is given back of a stock, beyond the costs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    returned: BTreeMap<&'static str, u64>,
    totals: CountsRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'a [Manifest]>,
    /// Accepted names that are not in `accepted.txt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unlisted: Option<u64>,
}

#[derive(Serialize)]
struct PlanRecord<'a> {
    id: &'a str,
    path: String,
    begun: Timestamp,
}

#[derive(Serialize)]
struct CountsRecord {
    accepted: u64,
    rejected: u64,
    skipped: u64,
    unknown: u64,
}

#[derive(Serialize)]
struct CommitDocument<'a> {
    #[serde(flatten)]
    record: CommitRecord<'a>,
    outcome: &'static str,
    dir: String,
    was_reserved: bool,
    left: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacles: Option<Vec<ObstacleRecord<'a>>>,
}

#[derive(Serialize)]
struct ObstacleRecord<'a> {
    kind: &'static str,
    count: u64,
    /// The first few.
    examples: Vec<ExampleRecord<'a>>,
}

#[derive(Serialize)]
struct ExampleRecord<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    detail: &'a str,
}

impl<'a> CommitRecord<'a> {
    fn new(commit: &'a Commit, at: Option<Timestamp>, written: Option<&'a Written>) -> Self {
        let (header, totals) = (&commit.plan.header, &commit.plan.summary.totals);
        Self {
            format_version: FORMAT_VERSION,
            tool: ToolRecord::this(),
            plan: PlanRecord {
                id: &commit.plan.id,
                path: commit.plan_path.to_string_lossy().into_owned(),
                begun: header.begun,
            },
            source: SourceRecord::new(&header.origin),
            profile: &header.profile.name,
            workspace: &commit.workspace,
            month: commit.period.to_string(),
            costs: by_name(&commit.costs),
            returned: by_name(&commit.returned),
            totals: CountsRecord {
                accepted: totals.accepted,
                rejected: totals.rejected,
                skipped: totals.skipped,
                unknown: totals.unknown,
            },
            committed_at: at,
            files: written.map(|written| written.manifests.as_slice()),
            unlisted: written.map(|written| written.unlisted),
        }
    }
}

impl<'a> CommitDocument<'a> {
    fn new(commit: &'a Commit, outcome: &'a CommitOutcome) -> Self {
        let (name, at, written) = match outcome {
            CommitOutcome::Committed(written) => ("committed", Some(commit.at), Some(written)),
            CommitOutcome::WouldCommit(written) => ("would-commit", None, Some(written)),
            CommitOutcome::Before { at, .. } => ("committed-before", Some(*at), None),
            CommitOutcome::Refused(_) => ("refused", None, None),
        };
        Self {
            record: CommitRecord::new(commit, at, written),
            outcome: name,
            dir: commit.dir.to_string_lossy().into_owned(),
            was_reserved: commit.was_reserved,
            left: by_name(&commit.left),
            obstacles: match outcome {
                CommitOutcome::Refused(obstacles) => {
                    Some(obstacles.iter().map(ObstacleRecord::new).collect())
                }
                _ => None,
            },
        }
    }
}

impl<'a> ObstacleRecord<'a> {
    fn new((kind, obstacle): (crate::commit::ObstacleKind, &'a Obstacle)) -> Self {
        let examples = obstacle.examples.iter();
        let examples =
            examples.map(|example| ExampleRecord { subject: &example.subject, detail: &example.detail });
        Self { kind: kind.as_str(), count: obstacle.count, examples: examples.collect() }
    }
}

fn by_name(amounts: &Amounts) -> BTreeMap<&'static str, u64> {
    amounts.iter().map(|(kind, amount)| (kind.as_str(), *amount)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_url_begins_with_its_endpoint() {
        let of = |location| endpoint(location, "media");
        assert_eq!(
            of("https://media.blob.core.windows.net/media/a/"),
            Some("https://media.blob.core.windows.net/")
        );
        assert_eq!(of("http://127.0.0.1:1/acc/media"), Some("http://127.0.0.1:1/acc/"));
        assert_eq!(of("fixtures/media"), None);
    }
}

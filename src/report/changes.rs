//! The changes since an earlier plan.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::layout::{counted, counted_row, hanging, number, shown};
use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::model::{BlobName, Code, Totals};
use crate::plan::{ChangeGroup, Changes, FindingChanges, FindingCounts, Summary};

/// Writes the changes as text, `width` columns wide.
pub(super) fn text(out: &mut impl Write, changes: &Changes, totals: &Totals, width: usize) -> io::Result<()> {
    let since = changes.since.strftime("%Y-%m-%d %H:%M:%S");
    writeln!(out, "{BOLD}Since {since} UTC{BOLD:#}")?;
    let unchanged = match changes.read_again {
        0 => String::new(),
        again => format!("{} read again", number(again)),
    };
    let rows = [
        ("added", changes.added.count, GOOD, names(&changes.added)),
        ("changed", changes.changed.count, UNKNOWN, names(&changes.changed)),
        ("removed", changes.removed.count, ERROR, names(&changes.removed)),
        ("unchanged", changes.unchanged, DIM, unchanged),
    ];
    let digits = rows.iter().map(|row| number(row.1).len()).max().unwrap_or(0).max(6);
    for (label, count, style, note) in rows {
        counted_row(out, (label, count, style, &note), digits, width)?;
    }
    let quota = format!(
        "images {}, frames {}",
        difference(changes.images_before, totals.images),
        difference(changes.frames_before, totals.frames)
    );
    let accepted = difference(changes.accepted_before, totals.accepted);
    writeln!(out, "  {:<10}  {accepted:>digits$}  {DIM}{quota}{DIM:#}", "accepted")?;
    if let Some(findings) = &changes.findings {
        findings_text(out, findings, width)?;
    }
    writeln!(out)
}

/// Writes how findings have changed as text, `width` columns wide.
pub(super) fn findings_text(out: &mut impl Write, findings: &FindingChanges, width: usize) -> io::Result<()> {
    writeln!(out, "  {:<10}  {}", "findings", finding_counts(findings))?;
    match fixed(findings, None, MAX_FIXED_SHOWN) {
        Some(fixed) => {
            write!(out, "{:14}", "")?;
            hanging(out, 14, DIM, &fixed, width)
        }
        None => Ok(()),
    }
}

/// The most fixed findings that people read.
const MAX_FIXED_SHOWN: usize = 5;

/// How the findings have changed since the baseline, if there is one.
pub(super) fn findings_of(summary: &Summary) -> Option<&FindingChanges> {
    summary.changes.as_ref()?.findings.as_ref()
}

/// `3 new, 30 unchanged, 2 fixed`.
pub(super) fn finding_counts(findings: &FindingChanges) -> String {
    let FindingCounts { new, unchanged, fixed } = findings.counts();
    format!("{} new, {} unchanged, {} fixed", number(new), number(unchanged), number(fixed))
}

/// `fixed: IMG001 a.jpg, NAM001 b.jpg (gone) and 3 others`, of all rules or of one; `None` if nothing is fixed.
pub(super) fn fixed(findings: &FindingChanges, code: Option<Code>, most: usize) -> Option<String> {
    let count = match code {
        None => findings.counts().fixed,
        Some(code) => findings.by_code.get(&code)?.fixed,
    };
    let of_code = findings.fixed.iter().filter(|fixed| code.is_none_or(|code| fixed.code == code));
    let named = of_code.take(most).map(|fixed| {
        let gone = if fixed.is_gone { " (gone)" } else { "" };
        format!("{} {}{gone}", fixed.code, shown(fixed.name.as_str()))
    });
    let named: Vec<_> = named.collect();
    let more = match count.saturating_sub(named.len() as u64) {
        0 => String::new(),
        more => format!(" and {}", counted(more, "other", "others")),
    };
    (count > 0).then(|| format!("fixed: {}{more}", named.join(", ")))
}

/// How the findings have changed, in a line or two; nothing without a baseline.
pub(super) fn lines(summary: &Summary) -> Vec<String> {
    let (Some(changes), Some(findings)) = (&summary.changes, findings_of(summary)) else { return Vec::new() };
    let since = changes.since.strftime("%Y-%m-%d %H:%M:%S");
    let counts = format!("since {since} UTC: {}", finding_counts(findings));
    [Some(counts), fixed(findings, None, MAX_FIXED_SHOWN)].into_iter().flatten().collect()
}

/// `a.jpg, b.jpg and 3 more`.
fn names(group: &ChangeGroup) -> String {
    let named: Vec<_> = group.names.iter().map(|name| shown(name.as_str())).collect();
    match group.count - named.len() as u64 {
        0 => named.join(", "),
        more => format!("{} and {}", named.join(", "), counted(more, "other", "others")),
    }
}

/// `+1,204`, `−3`, `±0`.
fn difference(before: u64, now: u64) -> String {
    let sign = match now.cmp(&before) {
        std::cmp::Ordering::Greater => '+',
        std::cmp::Ordering::Equal => '±',
        std::cmp::Ordering::Less => '−',
    };
    format!("{sign}{}", number(now.abs_diff(before)))
}

#[derive(Serialize)]
pub(super) struct ChangesRecord<'a> {
    plan: &'a str,
    since: Timestamp,
    added: GroupRecord<'a>,
    changed: GroupRecord<'a>,
    removed: GroupRecord<'a>,
    unchanged: u64,
    read_again: u64,
    accepted: i128,
    images: i128,
    frames: i128,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<FindingChangesRecord<'a>>,
}

#[derive(Serialize)]
struct GroupRecord<'a> {
    count: u64,
    /// The first few.
    names: &'a [BlobName],
}

/// How findings have changed. The rules are in the order of their codes.
#[derive(Serialize)]
pub(super) struct FindingChangesRecord<'a> {
    new: u64,
    unchanged: u64,
    fixed: u64,
    by_code: &'a std::collections::BTreeMap<Code, FindingCounts>,
    /// The first fixed ones.
    fixed_findings: Vec<FixedRecord<'a>>,
}

#[derive(Serialize)]
struct FixedRecord<'a> {
    name: &'a BlobName,
    code: Code,
    /// Whether the asset itself is gone.
    gone: bool,
}

impl<'a> FindingChangesRecord<'a> {
    pub(super) fn new(changes: &'a FindingChanges) -> Self {
        let FindingCounts { new, unchanged, fixed } = changes.counts();
        let fixed_findings = changes.fixed.iter();
        let fixed_findings = fixed_findings
            .map(|fixed| FixedRecord { name: &fixed.name, code: fixed.code, gone: fixed.is_gone })
            .collect();
        Self { new, unchanged, fixed, by_code: &changes.by_code, fixed_findings }
    }
}

impl<'a> ChangesRecord<'a> {
    pub(super) fn new(changes: &'a Changes, totals: &Totals) -> Self {
        let group = |group: &'a ChangeGroup| GroupRecord { count: group.count, names: &group.names };
        let difference = |before: u64, now: u64| i128::from(now) - i128::from(before);
        Self {
            plan: &changes.plan,
            since: changes.since,
            added: group(&changes.added),
            changed: group(&changes.changed),
            removed: group(&changes.removed),
            unchanged: changes.unchanged,
            read_again: changes.read_again,
            accepted: difference(changes.accepted_before, totals.accepted),
            images: difference(changes.images_before, totals.images),
            frames: difference(changes.frames_before, totals.frames),
            findings: changes.findings.as_ref().map(FindingChangesRecord::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_its_sign() {
        assert_eq!([difference(5, 1205), difference(5, 5), difference(5, 2)], ["+1,200", "±0", "−3"]);
    }
}

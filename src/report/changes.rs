//! The changes since an earlier plan.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::layout::{counted, counted_row, number, shown};
use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::model::{BlobName, Totals};
use crate::plan::{ChangeGroup, Changes};

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
    writeln!(out, "  {:<10}  {accepted:>digits$}  {DIM}{quota}{DIM:#}\n", "accepted")
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
}

#[derive(Serialize)]
struct GroupRecord<'a> {
    count: u64,
    /// The first few.
    names: &'a [BlobName],
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

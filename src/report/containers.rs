//! The assets of an audit, and what several of its formats say.

use super::changes;
use super::layout::{counted, number, shown};
use crate::model::Asset;
use crate::model::error::{Error, Result};
use crate::plan::audit::{Audit, Container};
use crate::plan_file::PlanReader;

/// The most containers that are named in a line.
const MAX_NAMED: usize = 5;

/// The assets of a container, as far as they were judged; none if they count in another container.
pub(super) fn assets(
    audit: &Audit,
    container: &Container,
) -> Result<impl Iterator<Item = Result<Asset>> + use<>> {
    let rows = container.rows.as_deref().filter(|_| audit.counts(container));
    Ok(rows.map(PlanReader::open).transpose()?.into_iter().flatten())
}

/// Why a container is not complete.
pub(super) fn why(container: &Container) -> String {
    let state = container.outcome.as_str().replace('-', " ");
    container.outcome.cause().map(Error::message).map_or(state, str::to_owned)
}

/// `4 empty containers: a, b and 2 others`; `None` if there are none.
pub(super) fn empty(audit: &Audit) -> Option<String> {
    let names: Vec<_> = audit.empty().map(|container| shown(&container.name)).collect();
    let named = names.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(MAX_NAMED) as u64 {
        0 => String::new(),
        more => format!(" and {}", counted(more, "other", "others")),
    };
    let count = counted(names.len() as u64, "empty container", "empty containers");
    (!names.is_empty()).then(|| format!("{count}: {named}{more}"))
}

/// Which containers are empty, and how findings have changed since the last audit.
pub(super) fn sums(audit: &Audit) -> Vec<String> {
    let changes = audit.changes();
    let since =
        changes.as_ref().map(|changes| format!("since the last audit: {}", changes::finding_counts(changes)));
    let fixed = changes.as_ref().and_then(|changes| changes::fixed(changes, None, MAX_NAMED));
    [empty(audit), since, fixed].into_iter().flatten().collect()
}

/// The result of the audit, in a sentence or two.
pub(super) fn verdict(audit: &Audit) -> String {
    let (totals, containers) = (audit.totals(), audit.containers.len() as u64);
    let of = counted(containers, "container", "containers");
    let assets = counted(totals.listed - totals.skipped, "asset", "assets");
    let incomplete = audit.containers.iter().filter(|container| !container.outcome.is_complete());
    let seen = match (totals.rejected, totals.unknown) {
        (0, 0) if totals.listed == totals.skipped => "There is nothing to sync.".to_owned(),
        (0, 0) => format!("All {assets} of {of} will sync."),
        (rejected, 0) => format!("{} of {assets} in {of} will be left out.", number(rejected)),
        (rejected, unknown) => format!(
            "{} of {assets} in {of} will be left out, {} could not be judged.",
            number(rejected),
            number(unknown)
        ),
    };
    match incomplete.count() as u64 {
        0 => seen,
        missing => format!("Incomplete: {} of {of} not fully examined. {seen}", number(missing)),
    }
}

//! The summary of an audit of several containers: one row per container, totals, the worst folders, and basenames that
//! more than one container has. It does not depend on the order in which the containers finish.

mod basenames;
mod folders;

use std::path::PathBuf;
use std::time::Duration;

use crate::model::error::Error;
use crate::model::{Code, Origin, QuotaKind, Totals};
use crate::plan::{FindingChanges, RunHeader, Summary, TopFolders};

pub use basenames::{ContainerBasenames, ProjectBasenames, SharedBasename, SharedBasenames};
pub use folders::{FolderCounts, worst};

/// The result of an audit.
#[derive(Debug)]
pub struct Audit {
    /// The containers, ordered by account, container and prefix.
    pub containers: Vec<Container>,
    /// Names of the account's containers that were not audited, such as `$logs`.
    pub left_out: Vec<String>,
    /// The folders with the most assets that will not sync.
    pub worst: TopFolders<FolderCounts>,
    /// Shared basenames by project; `None` for the project of all containers.
    pub duplicates: Vec<(Option<String>, SharedBasenames)>,
    /// The cost of all containers against the workspace's quota, if a workspace is given.
    pub together: Vec<Together>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A container, a part of one, or a folder.
#[derive(Debug)]
pub struct Container {
    /// `@cams`, `media/cameras/2026/`, or a folder's path.
    pub name: String,
    /// Where its blobs come from.
    pub origin: Origin,
    /// The profile's name, as given.
    pub profile: String,
    /// What is known before its first asset; `None` if it was not opened.
    pub header: Option<RunHeader>,
    /// The project that it syncs into.
    pub project: Option<String>,
    /// The index of a container that lists all of its blobs too, where they count.
    pub within: Option<usize>,
    /// How its audit ended.
    pub outcome: ContainerOutcome,
    /// Additional notes, such as that its earlier plan cannot be used.
    pub notes: Vec<String>,
    /// The plan that was written.
    pub plan: Option<PathBuf>,
    /// Where its assets can be read: the plan, or an incomplete one.
    pub rows: Option<PathBuf>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How the audit of a container ended.
#[derive(Debug)]
pub enum ContainerOutcome {
    /// Every blob was examined.
    Complete(Summary),
    /// Only the first part of the listing was examined, because of this error.
    Incomplete(Summary, Error),
    /// Only the first part of the listing was examined before the audit was stopped.
    Stopped(Summary),
    /// Nothing was examined, because of this error.
    Failed(Error),
    /// The audit was stopped before its turn.
    NotDone,
}

impl ContainerOutcome {
    /// The values of [`as_str`](Self::as_str), best first.
    pub const STATES: [&str; 5] = ["complete", "incomplete", "failed", "stopped", "not-done"];

    /// The summary of what was examined.
    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Complete(summary) | Self::Incomplete(summary, _) | Self::Stopped(summary) => Some(summary),
            Self::Failed(_) | Self::NotDone => None,
        }
    }

    /// The error that ended it early.
    pub fn cause(&self) -> Option<&Error> {
        match self {
            Self::Incomplete(_, error) | Self::Failed(error) => Some(error),
            Self::Complete(_) | Self::Stopped(_) | Self::NotDone => None,
        }
    }

    /// One of [`STATES`](Self::STATES).
    pub fn as_str(&self) -> &'static str {
        let [complete, incomplete, failed, stopped, not_done] = Self::STATES;
        match self {
            Self::Complete(_) => complete,
            Self::Incomplete(..) => incomplete,
            Self::Failed(_) => failed,
            Self::Stopped(_) => stopped,
            Self::NotDone => not_done,
        }
    }

    /// Whether every blob was examined.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Complete(_))
    }
}

/// The cost of all containers in one kind of quota, and what the workspace has left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    /// The kind of quota.
    pub kind: QuotaKind,
    /// The cost of the accepted assets of all containers.
    pub cost: u64,
    /// What is left; `None` without a limit.
    pub left: Option<u64>,
}

impl Together {
    /// How much the cost exceeds what is left.
    pub fn excess(&self) -> u64 {
        self.left.map_or(0, |left| self.cost.saturating_sub(left))
    }
}

impl Audit {
    /// The totals of all containers.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.summaries().for_each(|summary| totals.add_all(&summary.totals));
        // What was read twice was read, although its blobs count once.
        for container in self.containers.iter().filter(|container| !self.counts(container)) {
            let Some(read) = container.outcome.summary().map(|summary| &summary.totals) else { continue };
            let Totals { bytes_read, requests, retries, .. } = *read;
            totals.add_all(&Totals { bytes_read, requests, retries, ..Totals::default() });
        }
        totals
    }

    /// Whether the blobs of a container count as its own: otherwise they count in another one, which lists them too.
    pub fn counts(&self, container: &Container) -> bool {
        counts(&self.containers, container)
    }

    /// Assets by finding over all containers, in the order of [`Code::ALL`]; codes without a finding are left out.
    pub fn findings(&self) -> Vec<(Code, u64)> {
        let of = |code: Code| {
            let counts = self.summaries().flat_map(|summary| &summary.findings);
            (code, counts.filter(|found| found.0 == code).map(|found| found.1).sum::<u64>())
        };
        Code::ALL.iter().map(|code| of(*code)).filter(|found| found.1 > 0).collect()
    }

    /// Findings that only warn.
    pub fn warnings(&self) -> u64 {
        self.summaries().map(|summary| summary.warnings).sum()
    }

    /// How findings have changed since the last audit; `None` if there was none. Those of containers that it did not
    /// have are new.
    pub fn changes(&self) -> Option<FindingChanges> {
        let mut sum = FindingChanges::default();
        let mut is_again = false;
        for summary in self.summaries() {
            match summary.changes.as_ref().and_then(|changes| changes.findings.clone()) {
                Some(findings) => {
                    is_again = true;
                    sum.add_all(findings);
                }
                None => sum.add_new(&summary.findings),
            }
        }
        is_again.then_some(sum)
    }

    /// All findings as new ones, for an audit without an earlier one.
    pub fn all_new(&self) -> FindingChanges {
        let mut sum = FindingChanges::default();
        self.summaries().for_each(|summary| sum.add_new(&summary.findings));
        sum
    }

    /// The containers that were listed to their end and have no blobs.
    pub fn empty(&self) -> impl Iterator<Item = &Container> {
        let is_empty = |container: &&Container| match &container.outcome {
            ContainerOutcome::Complete(summary) => summary.totals.listed == 0,
            _ => false,
        };
        self.containers.iter().filter(is_empty)
    }

    /// Whether every container was fully examined.
    pub(crate) fn is_complete(&self) -> bool {
        self.containers.iter().all(|container| container.outcome.is_complete())
    }

    fn summaries(&self) -> impl Iterator<Item = &Summary> {
        let counting = self.containers.iter().filter(|container| self.counts(container));
        counting.filter_map(|container| container.outcome.summary())
    }
}

/// Whether the blobs of one of these containers count as its own.
pub fn counts(containers: &[Container], container: &Container) -> bool {
    let other = container.within.and_then(|other| containers.get(other));
    other.is_none_or(|other| !other.outcome.is_complete())
}

//! What an audit of several containers adds up to: a row a container, their sums, the worst folders, and basenames that
//! more than one of them has. The order in which the containers finish does not matter.

mod basenames;
mod folders;

use std::path::PathBuf;
use std::time::Duration;

use crate::model::error::Error;
use crate::model::{Code, Origin, QuotaKind, Totals};
use crate::plan::{Summary, TopFolders};

pub use basenames::{ContainerBasenames, ProjectBasenames, SharedBasename, SharedBasenames};
pub use folders::{FolderCounts, worst};

/// The result of an audit.
#[derive(Debug)]
pub struct Audit {
    /// One of each container, in the order of accounts, containers and prefixes.
    pub containers: Vec<Container>,
    /// Names of the account's containers that were left out, such as `$logs`.
    pub left_out: Vec<String>,
    /// The folders with the most assets that will not sync.
    pub worst: TopFolders<FolderCounts>,
    /// By project, basenames that more than one of its containers has; `None` stands for the project of all of them.
    pub duplicates: Vec<(Option<String>, SharedBasenames)>,
    /// What the containers cost together of the workspace's quota, if there is one.
    pub together: Vec<Together>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A container, or a part of one, or a folder.
#[derive(Debug)]
pub struct Container {
    /// `@cams`, `media/cameras/2026/`, or a folder's path.
    pub name: String,
    /// Where its blobs come from.
    pub origin: Origin,
    /// The profile's name, as it was asked for.
    pub profile: String,
    /// The project that it syncs into.
    pub project: Option<String>,
    /// How its audit ended.
    pub outcome: ContainerOutcome,
    /// What is worth knowing besides, such as that its earlier plan cannot be used.
    pub notes: Vec<String>,
    /// The plan that was written.
    pub plan: Option<PathBuf>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How the audit of a container ended.
#[derive(Debug)]
pub enum ContainerOutcome {
    /// Every blob was examined.
    Complete(Summary),
    /// The first part of its listing was, and then this happened.
    Incomplete(Summary, Error),
    /// The first part of its listing was, when the audit was stopped.
    Stopped(Summary),
    /// Nothing was examined, because of this.
    Failed(Error),
    /// The audit was stopped before its turn.
    NotDone,
}

impl ContainerOutcome {
    /// What [`as_str`](Self::as_str) gives, the best first.
    pub const STATES: [&str; 5] = ["complete", "incomplete", "failed", "stopped", "not-done"];

    /// What was examined adds up to this.
    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Complete(summary) | Self::Incomplete(summary, _) | Self::Stopped(summary) => Some(summary),
            Self::Failed(_) | Self::NotDone => None,
        }
    }

    /// What kept it from its end.
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
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete(_))
    }
}

/// What all containers cost of one kind of quota, and what a workspace has left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    /// What is counted.
    pub kind: QuotaKind,
    /// What the accepted assets of all containers use.
    pub cost: u64,
    /// What is left; `None` without a limit.
    pub left: Option<u64>,
}

impl Together {
    /// By how much the cost exceeds what is left.
    pub fn excess(&self) -> u64 {
        self.left.map_or(0, |left| self.cost.saturating_sub(left))
    }
}

impl Audit {
    /// The sums over all containers.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.summaries().for_each(|summary| totals.add_all(&summary.totals));
        totals
    }

    /// Assets by finding over all containers, in the order of [`Code::ALL`]; codes without a finding are left out.
    pub fn findings(&self) -> Vec<(Code, u64)> {
        let of = |code: Code| {
            let counts = self.summaries().flat_map(|summary| &summary.findings);
            (code, counts.filter(|found| found.0 == code).map(|found| found.1).sum::<u64>())
        };
        Code::ALL.iter().map(|code| of(*code)).filter(|found| found.1 > 0).collect()
    }

    /// Whether every container was examined to its end.
    pub fn is_complete(&self) -> bool {
        self.containers.iter().all(|container| container.outcome.is_complete())
    }

    fn summaries(&self) -> impl Iterator<Item = &Summary> {
        self.containers.iter().filter_map(|container| container.outcome.summary())
    }
}

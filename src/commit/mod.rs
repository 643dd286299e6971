//! Commits: checks that a plan still holds, and writes manifests of the accepted assets.
//!
//! A plan is based on a listing, a profile and a month's budget. If any of them has changed, the commit is refused and
//! the obstacles are listed. Otherwise the budget is reserved and the manifests are written.

mod compare;
mod folder;
mod manifests;
mod obstacle;
mod txt;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::ledger::Amounts;
use crate::model::Period;
use crate::plan_file::Plan;

pub use compare::Comparison;
pub use folder::{CommitFolder, Committed, Kept, committed, taken};
pub use manifests::{Manifest, Manifests, WriteRecord, Written};
pub use obstacle::{Obstacle, ObstacleExample, ObstacleKind, Obstacles};

/// The file in the folder of a commit that describes it.
pub const RECORD: &str = "commit.json";

/// A plan to commit, and the budget to use.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The plan.
    pub plan: Plan,
    /// The path of the plan file, as given by the user.
    pub plan_path: PathBuf,
    /// The workspace of the ledger.
    pub workspace: String,
    /// The period whose quota the plan uses: the month in which it was made, in UTC, or the stock.
    pub period: Period,
    /// What a sync of the accepted assets uses of the workspace's quota.
    pub costs: Amounts,
    /// What it gives back of a stock, beyond that.
    pub returned: Amounts,
    /// Whether the plan was already reserved in the ledger before this run.
    pub was_reserved: bool,
    /// What was left of each limited kind before this run, if the plan was not reserved.
    pub left: Amounts,
    /// The folder for the manifests.
    pub dir: PathBuf,
    /// The time of the commit.
    pub at: Timestamp,
}

impl Commit {
    /// The period at the time of the commit.
    pub(crate) fn period_now(&self) -> Period {
        self.plan.header.profile.quota.period.at(self.at)
    }
}

/// The result of a commit.
#[derive(Clone, Debug)]
pub enum CommitOutcome {
    /// The quota is reserved and the manifests are written.
    Committed(Written),
    /// The quota would be reserved and the manifests written.
    WouldCommit(Written),
    /// The plan was already committed before this run, which changed nothing.
    Before {
        /// When it was committed.
        at: Timestamp,
    },
    /// The commit is blocked, and nothing was changed.
    Refused(Obstacles),
}

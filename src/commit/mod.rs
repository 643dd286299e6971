//! A commit: what must still hold of a plan, and the manifests of what it accepts.
//!
//! A plan is a promise about a listing, a profile and a month's budget. A commit is refused when any of them is not what
//! the plan says, and the obstacles are listed; otherwise the budget is reserved and the manifests are written.

mod compare;
mod folder;
mod manifests;
mod obstacle;
mod txt;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::ledger::Amounts;
use crate::model::Month;
use crate::plan_file::Plan;

pub use compare::Comparison;
pub use folder::{CommitFolder, Committed, Kept, committed, taken};
pub use manifests::{Manifest, Manifests, WriteRecord, Written};
pub use obstacle::{Obstacle, ObstacleExample, ObstacleKind, Obstacles};

/// The file of a commit that says what it is.
pub const RECORD: &str = "commit.json";

/// A plan that is to be committed, and against which budget.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The plan.
    pub plan: Plan,
    /// Its file, as the user named it.
    pub plan_path: PathBuf,
    /// The workspace of the ledger.
    pub workspace: String,
    /// The month in which the plan was made, in UTC.
    pub month: Month,
    /// What the accepted assets take of the workspace's quota.
    pub costs: Amounts,
    /// Whether the ledger held the plan's reservation before this run.
    pub was_reserved: bool,
    /// What was left of each limited kind before, if there was no reservation.
    pub left: Amounts,
    /// Where the manifests belong.
    pub dir: PathBuf,
    /// When it is committed.
    pub at: Timestamp,
}

/// The result of a commit.
#[derive(Clone, Debug)]
pub enum CommitOutcome {
    /// The quota is reserved and the manifests are in their place.
    Committed(Written),
    /// Both would be done.
    WouldCommit(Written),
    /// Both were done before this run, which changed nothing.
    Before {
        /// Since when.
        at: Timestamp,
    },
    /// It is blocked, and nothing was changed.
    Refused(Obstacles),
}

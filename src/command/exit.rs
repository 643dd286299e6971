//! Exit codes that scripts rely on.

use std::process::ExitCode;

use crate::matching::Comparison;
use crate::model::{Check, Outcome, Verdict};
use crate::plan::Summary;
use crate::plan::audit::Audit;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every asset is accepted, within the quota.
    Clean,
    /// Something is rejected or over the quota.
    Findings,
    /// The run could not start or could not continue.
    Failed,
    /// Some assets could not be judged.
    Incomplete,
}

impl Exit {
    /// The exit of a run over one asset.
    pub(crate) fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accept | Verdict::Skip => Self::Clean,
            Verdict::Reject => Self::Findings,
            Verdict::Unknown => Self::Incomplete,
        }
    }

    /// The exit of `presync doctor`: clean if no step failed.
    pub(crate) fn of_checks(checks: &[Check]) -> Self {
        match checks.iter().any(|check| check.outcome == Outcome::Failed) {
            true => Self::Failed,
            false => Self::Clean,
        }
    }

    /// The exit of a comparison with a plan.
    pub(crate) fn of_comparison(comparison: &Comparison, exit_zero: bool) -> Self {
        match (comparison.is_complete, comparison.differs && !exit_zero) {
            (false, _) => Self::Incomplete,
            (true, true) => Self::Findings,
            (true, false) => Self::Clean,
        }
    }

    /// The exit of an audit. One incomplete container makes the whole audit incomplete.
    pub(crate) fn of_audit(audit: &Audit, exit_zero: bool) -> Self {
        let totals = audit.totals();
        let is_over = audit.together.iter().any(|together| together.excess() > 0);
        match audit.is_complete() && totals.unknown == 0 {
            false => Self::Incomplete,
            true if (totals.rejected > 0 || is_over) && !exit_zero => Self::Findings,
            true => Self::Clean,
        }
    }

    /// The exit of a run. An incomplete run never looks clean. With `exit_zero`, findings do not count.
    pub fn of(summary: &Summary, exit_zero: bool) -> Self {
        let totals = &summary.totals;
        match (totals.unknown, totals.rejected, exit_zero) {
            _ if summary.incomplete.is_some() => Self::Incomplete,
            (1.., ..) => Self::Incomplete,
            (0, 1.., false) => Self::Findings,
            (0, ..) => Self::Clean,
        }
    }
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Failed => 2,
            Self::Incomplete => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

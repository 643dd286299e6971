//! Exit codes that scripts rely on.

use std::process::ExitCode;

use super::gate::{Counts, FailOn, GateArgs};
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
    pub(crate) fn of_audit(audit: &Audit, counts: &Counts<'_>, gate: &GateArgs) -> Self {
        let is_over = audit.together.iter().any(|together| together.excess() > 0);
        let is_over = is_over && !gate.exit_zero && matches!(gate.fail_on, FailOn::Error | FailOn::Warning);
        match audit.is_complete() && counts.totals.unknown == 0 {
            false => Self::Incomplete,
            true if is_over || gate.fault(counts).is_some() => Self::Findings,
            true => Self::Clean,
        }
    }

    /// The exit of a run. An incomplete run never looks clean.
    pub(crate) fn of(summary: &Summary, gate: &GateArgs) -> Self {
        match gate.fault(&summary.into()) {
            _ if summary.incomplete.is_some() || summary.totals.unknown > 0 => Self::Incomplete,
            Some(_) => Self::Findings,
            None => Self::Clean,
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

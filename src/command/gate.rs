//! What counts as a finding for the exit code.

use clap::{Args, ValueEnum};

use crate::model::Totals;
use crate::model::error::{Error, Result};
use crate::plan::{FindingChanges, Summary};
use crate::report::counted;

/// What makes the exit code 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Rejected assets
    #[default]
    Error,
    /// Warnings, too
    Warning,
    /// Findings that the baseline does not have
    New,
    /// Nothing
    Never,
}

/// How many assets may be rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threshold {
    /// So many.
    Count(u64),
    /// So many in a million.
    PartsPerMillion(u32),
}

/// The gate that a run must pass for the exit code 0.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct GateArgs {
    /// What makes the exit code 1
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub fail_on: FailOn,

    /// Rejected assets that do not make the exit code 1: a number, or a percentage of the assets such as 1% [default: 0]
    #[arg(long, value_name = "N|N%", value_parser = threshold, conflicts_with = "exit_zero")]
    pub max_rejected: Option<Threshold>,

    /// Exit with 0 instead of 1 if there are findings, as with --fail-on never
    #[arg(long)]
    pub exit_zero: bool,
}

/// What a gate looks at.
pub(crate) struct Counts<'a> {
    pub totals: Totals,
    /// Findings that only warn.
    pub warnings: u64,
    /// How findings have changed; `None` without a baseline.
    pub changes: Option<&'a FindingChanges>,
}

impl<'a> From<&'a Summary> for Counts<'a> {
    fn from(summary: &'a Summary) -> Self {
        let changes = summary.changes.as_ref().and_then(|changes| changes.findings.as_ref());
        Self { totals: summary.totals, warnings: summary.warnings, changes }
    }
}

impl GateArgs {
    /// Checks the options before anything is read.
    pub(super) fn check(&self) -> Result<()> {
        match (self.fail_on, self.max_rejected) {
            (FailOn::Never, Some(_)) => {
                Err(Error::new("--fail-on never and --max-rejected contradict each other")
                    .with_hint("leave out one of them"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that there is something to compare with, if only new findings count.
    pub(super) fn check_baseline(&self, counts: &Counts<'_>, hint: &str) -> Result<()> {
        match self.fail_on == FailOn::New && !self.exit_zero && counts.changes.is_none() {
            true => {
                Err(Error::new("--fail-on new needs a plan that was compared with a baseline")
                    .with_hint(hint))
            }
            false => Ok(()),
        }
    }

    /// Why the exit code is 1; `None` if it is not.
    pub(super) fn fault(&self, counts: &Counts<'_>) -> Option<String> {
        if self.exit_zero || self.fail_on == FailOn::Never {
            return None;
        }
        let Totals { rejected, listed, skipped, .. } = counts.totals;
        let assets = listed.saturating_sub(skipped);
        let new = counts.changes.map_or(0, |changes| changes.counts().new);
        // With new findings as the measure, old ones count only if a threshold is given.
        let most = self.max_rejected.or((self.fail_on != FailOn::New).then_some(Threshold::Count(0)));
        if let Some(most) = most.filter(|most| !most.allows(rejected, assets)) {
            let assets = counted(assets, "asset", "assets");
            return Some(format!("{rejected} of {assets} rejected, at most {} allowed", most.shown()));
        }
        match self.fail_on {
            FailOn::New if new > 0 => Some(counted(new, "new finding", "new findings")),
            FailOn::Warning if counts.warnings > 0 => Some(counted(counts.warnings, "warning", "warnings")),
            _ => None,
        }
    }

    /// The result in a line for a log, if the gate was set.
    pub(super) fn said(&self, counts: &Counts<'_>) -> Option<String> {
        let is_set = self.max_rejected.is_some() || matches!(self.fail_on, FailOn::Warning | FailOn::New);
        (is_set && !self.exit_zero).then(|| match self.fault(counts) {
            Some(fault) => format!("failed: {fault}"),
            None => format!("passed: {} rejected, {}", counts.totals.rejected, self.measure(counts)),
        })
    }

    fn measure(&self, counts: &Counts<'_>) -> String {
        match (self.fail_on, self.max_rejected) {
            (FailOn::New, _) => "no finding is new".to_owned(),
            (FailOn::Warning, _) => counted(counts.warnings, "warning", "warnings"),
            (_, most) => format!("at most {} allowed", most.unwrap_or(Threshold::Count(0)).shown()),
        }
    }
}

/// How many assets may be rejected: a whole number, or a percentage with up to four decimals.
fn threshold(text: &str) -> std::result::Result<Threshold, &'static str> {
    const WRONG: &str = "it is neither a whole number nor a percentage from 0% to 100%";
    let Some(percent) = text.strip_suffix('%') else {
        return text.parse().map(Threshold::Count).map_err(|_| WRONG);
    };
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || decimals.len() > 4 || !is_number(whole) || !is_number(decimals)
    {
        return Err(WRONG);
    }
    let parts = format!("{whole}{decimals:0<4}").parse().ok().filter(|parts| *parts <= 1_000_000);
    parts.map(Threshold::PartsPerMillion).ok_or(WRONG)
}

impl Threshold {
    fn allows(self, rejected: u64, assets: u64) -> bool {
        match self {
            Self::Count(most) => rejected <= most,
            Self::PartsPerMillion(parts) => {
                u128::from(rejected) * 1_000_000 <= u128::from(assets) * u128::from(parts)
            }
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Count(most) => most.to_string(),
            Self::PartsPerMillion(parts) => format!("{}%", f64::from(parts) / 10_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(gate: GateArgs, rejected: u64, warnings: u64) -> Option<String> {
        let totals = Totals { listed: 210, skipped: 10, rejected, ..Totals::default() };
        gate.fault(&Counts { totals, warnings, changes: None })
    }

    #[test]
    fn a_threshold_is_exact() {
        let at_most = |text: &str| {
            let max_rejected = Some(threshold(text).expect("it is a threshold"));
            move |rejected| fault(GateArgs { max_rejected, ..GateArgs::default() }, rejected, 9).is_some()
        };
        for (text, most) in
            [("0", 0), ("7", 7), ("1%", 2), ("1.5%", 3), ("0%", 0), ("100%", 200), ("1.4999%", 2)]
        {
            let fails = at_most(text);
            assert!(!fails(most) && fails(most + 1), "{text}");
        }
        for text in ["", "%", "-1", "1e2%", "101%", "1.5", "NaN%", "inf%", "1 %"] {
            assert!(threshold(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_fails_is_what_is_asked_for() {
        let gate = |fail_on| GateArgs { fail_on, ..GateArgs::default() };
        assert_eq!(fault(gate(FailOn::Error), 0, 3), None);
        assert_eq!(fault(gate(FailOn::Warning), 0, 3), Some("3 warnings".to_owned()));
        assert_eq!(fault(gate(FailOn::Never), 5, 3), None);
        assert_eq!(
            fault(gate(FailOn::Error), 5, 0),
            Some("5 of 200 assets rejected, at most 0 allowed".to_owned())
        );
    }
}

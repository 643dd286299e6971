//! The command line of `presync quota`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::command::args::{AzureArgs, ColorArgs};
use crate::command::values::{one_line, whole_number};
use crate::model::{Month, Period, QuotaKind};
use crate::report::TextOrJson;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::command) struct QuotaArgs {
    #[command(subcommand)]
    pub command: Option<QuotaCommand>,

    #[command(flatten)]
    pub show: ShowArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::command) enum QuotaCommand {
    /// Show limits, how much is used, reserved and left, and by which plans (the default)
    Show(ShowArgs),
    /// Set limits and what the platform shows as used
    Set(SetArgs),
    /// Confirm that plans have been synced: what they reserved becomes used, and costs nothing again
    Confirm(ConfirmArgs),
    /// Release what plans reserved, because they have not been and will not be synced
    Release(ReleaseArgs),
    /// Record that everything that a plan accepts has been synced before, without using any quota
    Synced(SyncedArgs),
    /// Forget what is known to be synced of a source, because it is no longer on the platform
    Forget(ForgetArgs),
}

#[derive(Debug, Args)]
pub(in crate::command) struct ShowArgs {
    /// Show only this workspace
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub workspace: Option<String>,

    /// Month, such as 2026-11 [default: the current month in UTC]
    #[arg(long, value_name = "MONTH", value_parser = month)]
    pub month: Option<Month>,

    /// Also show every change
    #[arg(long)]
    pub history: bool,

    /// Format of the output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: TextOrJson,

    #[command(flatten)]
    pub ledger: LedgerArgs,

    #[command(flatten)]
    pub color: ColorArgs,
}

#[derive(Debug, Args)]
#[group(id = "numbers", required = true, multiple = true,
    args = ["images", "frames", "data_rows", "used_images", "used_frames", "used_data_rows", "shared", "used_shared"])]
pub(in crate::command) struct SetArgs {
    /// Any name for the account of the platform that has the quota
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = one_line)]
    pub workspace: String,

    /// Month, such as 2026-11 [default: the current month in UTC; for data rows, the stock]
    #[arg(long, value_name = "MONTH", value_parser = month)]
    pub month: Option<Month>,

    /// The quota is one stock for all time, and what is deleted gives back what it used
    #[arg(long, conflicts_with = "month")]
    pub stock: bool,

    /// Limit of images; 'none' removes it
    #[arg(long, value_name = "N|none", value_parser = limit)]
    pub images: Option<Limit>,

    /// Limit of frames of video; 'none' removes it
    #[arg(long, value_name = "N|none", value_parser = limit)]
    pub frames: Option<Limit>,

    /// Limit of data rows, shared by images and frames; 'none' removes it
    #[arg(long, value_name = "N|none", value_parser = limit)]
    pub data_rows: Option<Limit>,

    /// Limit of images and frames together, if one quota is for both; 'none' removes it
    #[arg(long, value_name = "N|none", value_parser = limit)]
    pub shared: Option<Limit>,

    /// Images that the platform shows as used
    #[arg(long, value_name = "N", value_parser = amount)]
    pub used_images: Option<u64>,

    /// Frames that the platform shows as used
    #[arg(long, value_name = "N", value_parser = amount)]
    pub used_frames: Option<u64>,

    /// Data rows that the platform shows as used
    #[arg(long, value_name = "N", value_parser = amount)]
    pub used_data_rows: Option<u64>,

    /// Images and frames together that the platform shows as used
    #[arg(long, value_name = "N", value_parser = amount)]
    pub used_shared: Option<u64>,

    #[command(flatten)]
    pub ledger: LedgerArgs,
}

/// Which plans a command is for.
#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["plans", "all"])]
pub(in crate::command) struct PlansArgs {
    /// IDs of plans, as shown by presync quota show, or unique beginnings of them
    #[arg(value_name = "PLAN-ID")]
    pub plans: Vec<String>,

    /// Every plan with an active reservation
    #[arg(long)]
    pub all: bool,

    /// With --all, only plans of this workspace
    #[arg(long, value_name = "NAME", value_parser = one_line, requires = "all")]
    pub workspace: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::command) struct ConfirmArgs {
    #[command(flatten)]
    pub plans: PlansArgs,

    /// What is set as used includes these plans already, so nothing is added to it
    #[arg(long)]
    pub already_used: bool,

    #[command(flatten)]
    pub ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(in crate::command) struct ReleaseArgs {
    #[command(flatten)]
    pub plans: PlansArgs,

    #[command(flatten)]
    pub ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(in crate::command) struct SyncedArgs {
    /// A plan saved by presync dry-run --plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,

    /// Workspace of the ledger [default: the plan's, else 'default']
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub workspace: Option<String>,

    #[command(flatten)]
    pub ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(in crate::command) struct ForgetArgs {
    /// The source, as for presync dry-run
    #[arg(value_name = "SOURCE")]
    pub source: OsString,

    /// Workspace of the ledger [default: the connection's, else 'default']
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub workspace: Option<String>,

    #[command(flatten)]
    pub ledger: LedgerArgs,

    #[command(flatten, next_help_heading = "Azure")]
    pub azure: AzureArgs,
}

#[derive(Debug, Args)]
pub(in crate::command) struct LedgerArgs {
    /// Path to the ledger [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
}

/// A limit to set; `None` removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) struct Limit(Option<u64>);

pub(in crate::command) fn limit(text: &str) -> Result<Limit, &'static str> {
    match text {
        "none" => Ok(Limit(None)),
        number => amount(number).map(Some).map(Limit).map_err(|_| "it is neither a whole number nor 'none'"),
    }
}

/// A number that the ledger can hold.
pub(in crate::command) fn amount(text: &str) -> Result<u64, &'static str> {
    let amount = whole_number(text)?;
    i64::try_from(amount).map(|_| amount).map_err(|_| "it is too large")
}

pub(in crate::command) fn month(text: &str) -> Result<Month, &'static str> {
    Month::parse(text).ok_or("it is not a month such as 2026-11")
}

impl SetArgs {
    /// The period of a kind of quota.
    pub(super) fn period(&self, kind: QuotaKind, now: Timestamp) -> Period {
        match self.month {
            Some(month) => Period::Month(month),
            None if self.stock => Period::Stock,
            None => kind.period().at(now),
        }
    }

    /// The limits to set, where `None` is no limit.
    pub(in crate::command) fn limits(&self) -> Vec<(QuotaKind, Option<u64>)> {
        let limits = [self.images, self.frames, self.data_rows, self.shared];
        QuotaKind::ALL.into_iter().zip(limits).filter_map(|(kind, limit)| Some((kind, limit?.0))).collect()
    }

    /// What the platform shows as used.
    pub(in crate::command) fn used(&self) -> Vec<(QuotaKind, u64)> {
        let used = [self.used_images, self.used_frames, self.used_data_rows, self.used_shared];
        QuotaKind::ALL.into_iter().zip(used).filter_map(|(kind, used)| Some((kind, used?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(limit("0"), Ok(Limit(Some(0))));
        assert_eq!(limit("none"), Ok(Limit(None)));
        assert_eq!(limit("9223372036854775807"), Ok(Limit(Some(i64::MAX as u64))));
        for text in ["", "-1", "None", "5,000", "9223372036854775808"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}

//! `presync quota`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{ColorArg, TextOrJsonArg};
use super::values::{one_line, whole_number};
use crate::config::{Quota, QuotaRelease, QuotaSet, QuotaShow};
use crate::model::{Month, QuotaKind};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct QuotaArgs {
    #[command(subcommand)]
    command: Option<QuotaCommand>,

    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Debug, Subcommand)]
enum QuotaCommand {
    /// Limits, what is used, reserved and left, and who reserved it; this is the default
    Show(ShowArgs),
    /// Set a month's limits, and what the platform shows as used
    Set(SetArgs),
    /// Give back what a plan reserved: it will not be synced, or the platform counts it as used by now
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Show this workspace only
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    workspace: Option<String>,

    /// The month, such as 2026-11 [default: the current one, in UTC]
    #[arg(long, value_name = "MONTH", value_parser = month)]
    month: Option<Month>,

    /// Show every change too
    #[arg(long)]
    history: bool,

    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJsonArg,

    #[command(flatten)]
    ledger: LedgerArgs,

    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorArg,
}

#[derive(Debug, Args)]
#[group(id = "numbers", required = true, multiple = true,
    args = ["images", "frames", "data_rows", "used_images", "used_frames", "used_data_rows"])]
struct SetArgs {
    /// Whose quota it is: an account of the platform, by any name
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = one_line)]
    workspace: String,

    /// The month, such as 2026-11 [default: the current one, in UTC]
    #[arg(long, value_name = "MONTH", value_parser = month)]
    month: Option<Month>,

    /// The limit of images; 'none' removes it
    #[arg(long, value_name = "N|none", value_parser = limit)]
    images: Option<Limit>,

    /// The limit of frames of video; 'none' removes it
    #[arg(long, value_name = "N|none", value_parser = limit)]
    frames: Option<Limit>,

    /// The limit of data rows, which images and frames share; 'none' removes it
    #[arg(long, value_name = "N|none", value_parser = limit)]
    data_rows: Option<Limit>,

    /// Images that the platform shows as used
    #[arg(long, value_name = "N", value_parser = amount)]
    used_images: Option<u64>,

    /// Frames that the platform shows as used
    #[arg(long, value_name = "N", value_parser = amount)]
    used_frames: Option<u64>,

    /// Data rows that the platform shows as used
    #[arg(long, value_name = "N", value_parser = amount)]
    used_data_rows: Option<u64>,

    #[command(flatten)]
    ledger: LedgerArgs,
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    /// The plan's id, as presync quota show has it
    #[arg(value_name = "PLAN-ID")]
    plan: String,

    #[command(flatten)]
    ledger: LedgerArgs,
}

#[derive(Debug, Args)]
struct LedgerArgs {
    /// The ledger's file [default: PRESYNC_LEDGER, else presync/ledger.sqlite3 in the user's data folder]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

/// A limit that is set; `None` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u64>);

fn limit(text: &str) -> Result<Limit, &'static str> {
    match text {
        "none" => Ok(Limit(None)),
        number => amount(number).map(Some).map(Limit).map_err(|_| "it is neither a whole number nor 'none'"),
    }
}

/// A number that the ledger can hold.
fn amount(text: &str) -> Result<u64, &'static str> {
    let amount = whole_number(text)?;
    i64::try_from(amount).map(|_| amount).map_err(|_| "it is too large")
}

fn month(text: &str) -> Result<Month, &'static str> {
    Month::parse(text).ok_or("it is not a month such as 2026-11")
}

impl QuotaArgs {
    pub(super) fn resolve(self) -> Quota {
        match self.command {
            None => Quota::Show(self.show.resolve()),
            Some(QuotaCommand::Show(args)) => Quota::Show(args.resolve()),
            Some(QuotaCommand::Set(args)) => Quota::Set(args.resolve()),
            Some(QuotaCommand::Release(args)) => {
                Quota::Release(QuotaRelease { plan: args.plan, ledger: args.ledger.ledger })
            }
        }
    }
}

impl ShowArgs {
    fn resolve(self) -> QuotaShow {
        QuotaShow {
            workspace: self.workspace,
            month: self.month,
            history: self.history,
            format: self.format.into(),
            ledger: self.ledger.ledger,
            color: self.color.into(),
        }
    }
}

impl SetArgs {
    fn resolve(self) -> QuotaSet {
        let limits = [self.images, self.frames, self.data_rows];
        let used = [self.used_images, self.used_frames, self.used_data_rows];
        let kinds = QuotaKind::ALL;
        QuotaSet {
            workspace: self.workspace,
            month: self.month,
            limits: kinds
                .into_iter()
                .zip(limits)
                .filter_map(|(kind, limit)| Some((kind, limit?.0)))
                .collect(),
            used: kinds.into_iter().zip(used).filter_map(|(kind, used)| Some((kind, used?))).collect(),
            ledger: self.ledger.ledger,
        }
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

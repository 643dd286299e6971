//! Options that several commands take.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::values::{bandwidth, changeable, duration, selector, severity};
use crate::config::{Color, Target};
use crate::report::TextOrJson;
use crate::rules::{Choice, Level, Selector};
use crate::source::azure::{AuthMode, Limits};

#[derive(Debug, Args)]
pub(super) struct AzureArgs {
    /// The storage account of an az:// source [default: AZURE_STORAGE_ACCOUNT]
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,

    /// Which credential to use; all of them come from the environment [default: the connection's, else auto]
    #[arg(long, value_enum, value_name = "MODE")]
    pub auth: Option<AuthMode>,

    /// The file with the connections [default: presync.toml, here or in the nearest folder above]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl AzureArgs {
    pub(super) fn target(self, source: OsString, profile: Option<String>) -> Target {
        Target { source, account: self.account, auth: self.auth, config: self.config, profile }
    }
}

#[derive(Debug, Args)]
pub(super) struct ChoiceArgs {
    /// Apply only these rules: codes, or what they begin with, such as IMG001,VID1 [default: presync.toml's, else all]
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = selector)]
    pub select: Option<Vec<Selector>>,

    /// Leave these rules out [default: presync.toml's, else none]
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = changeable)]
    pub ignore: Option<Vec<Selector>>,

    /// Let rules reject or merely warn, such as VID102=error [default: presync.toml's, else as presync rule says]
    #[arg(long, value_name = "CODE=LEVEL", value_delimiter = ',', value_parser = severity)]
    pub severity: Option<Vec<(Selector, Level)>>,
}

impl From<ChoiceArgs> for Choice {
    fn from(ChoiceArgs { select, ignore, severity }: ChoiceArgs) -> Self {
        Self { select, ignore, severity }
    }
}

#[derive(Debug, Args)]
pub(super) struct DisplayArgs {
    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub color: ColorArg,

    /// No progress bar
    #[arg(long)]
    pub no_progress: bool,

    /// Nothing on stderr but errors
    #[arg(long, short, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say on stderr how the run goes about it and how long it took; more of them say no more
    #[arg(long, short, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Args)]
pub(super) struct PerformanceArgs {
    /// Blobs that are examined side by side [default: 64 files of a folder, or as many requests as the service answers
    /// without delay]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub concurrency: Option<u16>,

    /// Requests that are sent to an account in a second at the most [default: what the service takes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests_per_second: Option<u32>,

    /// Bytes of content that are read of an account in a second at the most, such as 500KB or 20MiB [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bandwidth)]
    pub max_bandwidth: Option<u64>,

    /// How often what is done is put on the disk, for --resume or the next audit [default: 3s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub checkpoint_every: Option<Duration>,

    /// Threads that probe [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub workers: Option<u16>,

    /// Places in the queue before them [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub queue: Option<u16>,
}

impl PerformanceArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            concurrency: self.concurrency.map(usize::from),
            requests_per_second: self.max_requests_per_second.map(f64::from),
            bytes_per_second: self.max_bandwidth.map(|bytes| bytes as f64),
        }
    }
}

/// How a report is written that has no rows of assets.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum TextOrJsonArg {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

impl From<TextOrJsonArg> for TextOrJson {
    fn from(format: TextOrJsonArg) -> Self {
        match format {
            TextOrJsonArg::Text => Self::Text,
            TextOrJsonArg::Json => Self::Json,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum ColorArg {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<ColorArg> for Color {
    fn from(color: ColorArg) -> Self {
        match color {
            ColorArg::Auto => Self::Auto,
            ColorArg::Always => Self::Always,
            ColorArg::Never => Self::Never,
        }
    }
}

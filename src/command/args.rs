//! Options that several commands take.

use std::io::{self, IsTerminal};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use super::values::{admit, api_version, bandwidth, changeables, duration, profile, selectors, severity};
use crate::model::error::{Error, Result};
use crate::model::{Admit, Filter, Glob};
use crate::plan_file::checkpoint;
use crate::probe::{self, Want};
use crate::report::ProgressStyle;
use crate::rules::{Choice, Level, Selector};
use crate::source::Depth;
use crate::source::azure::{self, ApiVersion, AuthMode, Limits};

/// How many blobs may be checked at a time.
pub(crate) const CONCURRENCY: RangeInclusive<i64> = 1..=4096;

/// How many threads may examine content.
pub(crate) const WORKERS: RangeInclusive<i64> = 1..=512;
/// How many reads may wait for them.
pub(crate) const QUEUE: RangeInclusive<i64> = 1..=65_535;

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AzureArgs {
    /// Storage account of an az:// source [default: AZURE_STORAGE_ACCOUNT]
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,

    /// How to sign in; all credentials come from the environment [default: the connection's, else auto]
    #[arg(long, value_enum, value_name = "MODE")]
    pub auth: Option<AuthMode>,

    /// Version of the service's REST API, such as 2019-07-07 [default: the newest that it supports]
    #[arg(long, value_name = "DATE", value_parser = api_version)]
    pub api_version: Option<ApiVersion>,

    /// File with the connections [default: the nearest presync.toml, in this folder or above]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl AzureArgs {
    /// The settings for reading from Azure.
    pub(super) fn options(&self) -> azure::Options {
        azure::Options { api_version: self.api_version, ..azure::Options::default() }
    }
}

/// What is listed, and how it is checked.
#[derive(Debug, Default, Args)]
pub(crate) struct CheckArgs {
    /// Do not descend into folders; they are listed as not entered
    #[arg(long)]
    pub no_recurse: bool,

    /// Accept a source without a single blob, which is an error otherwise
    #[arg(long)]
    pub allow_empty: bool,

    /// Which assets get the quota first, if it is too low for all
    #[arg(long, value_name = "ORDER", value_parser = admit(), default_value = Admit::default().as_str())]
    pub admit: Admit,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    pub profile: Option<String>,

    /// Also read width and height where the rules do not need them
    #[arg(long)]
    pub dimensions: bool,

    /// Also read the end of each JPEG, to find those that are cut off
    #[arg(long)]
    pub check_end: bool,

    /// Maximum reads to count the frames of one fragmented video [default: 8192]
    #[arg(long, value_name = "N")]
    pub max_reads: Option<u32>,
}

impl CheckArgs {
    pub(super) fn depth(&self) -> Depth {
        if self.no_recurse { Depth::Direct } else { Depth::All }
    }

    /// The facts that are worth a read.
    pub(super) fn want(&self) -> Want {
        let max_reads = self.max_reads.unwrap_or(probe::MAX_READS);
        Want { dimensions: self.dimensions, end: self.check_end, max_reads, ..Want::default() }
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct ChoiceArgs {
    /// Apply only these rules, given by code or prefix, such as IMG001,VID1 [default: presync.toml's, else all]
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = selectors(), hide_possible_values = true)]
    pub select: Option<Vec<Selector>>,

    /// Ignore these rules [default: presync.toml's, else none]
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = changeables(), hide_possible_values = true)]
    pub ignore: Option<Vec<Selector>>,

    /// Make rules reject or only warn, such as VID102=error [default: presync.toml's, else as shown by presync rule]
    #[arg(long, value_name = "CODE=LEVEL", value_delimiter = ',', value_parser = severity)]
    pub severity: Option<Vec<(Selector, Level)>>,
}

impl From<&ChoiceArgs> for Choice {
    fn from(ChoiceArgs { select, ignore, severity }: &ChoiceArgs) -> Self {
        Self { select: select.clone(), ignore: ignore.clone(), severity: severity.clone() }
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct ColorArgs {
    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: clap::ColorChoice,
}

impl ColorArgs {
    pub(super) fn choice(&self) -> ColorChoice {
        match self.color {
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, else plain lines
    #[default]
    Auto,
    /// A bar, and nothing without a terminal
    Bar,
    /// A line every 10 seconds
    Plain,
    /// Nothing
    None,
}

#[derive(Debug, Default, Args)]
pub(crate) struct DisplayArgs {
    #[command(flatten)]
    pub color: ColorArgs,

    /// How to show progress, on stderr
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub progress: ProgressMode,

    /// Same as --progress none
    #[arg(long, conflicts_with = "progress")]
    pub no_progress: bool,

    /// Print only errors to stderr
    #[arg(long, short, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print details of the run to stderr, such as how long it took
    #[arg(long, short, overrides_with = "verbose")]
    pub verbose: bool,
}

impl DisplayArgs {
    /// How progress is shown; `None` if it is not.
    pub(super) fn progress(&self) -> Option<ProgressStyle> {
        let is_terminal = io::stderr().is_terminal();
        // Such a terminal cannot move its cursor.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.progress {
            _ if self.no_progress || self.quiet => None,
            ProgressMode::None => None,
            ProgressMode::Plain => Some(ProgressStyle::Lines),
            ProgressMode::Bar => Some(ProgressStyle::Bar).filter(|_| is_terminal),
            ProgressMode::Auto if is_terminal && !is_dumb => Some(ProgressStyle::Bar),
            ProgressMode::Auto => Some(ProgressStyle::Lines),
        }
    }

    /// Whether the end says how long the run took: if somebody watches it or asks for it.
    pub(super) fn shows_rate(&self) -> bool {
        let is_watched = io::stderr().is_terminal() || self.progress == ProgressMode::Plain;
        self.verbose || (is_watched && self.progress().is_some())
    }
}

/// Which names of a source are listed.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only names that match this pattern, such as '*.jpg' or cam1/; can be repeated
    ///
    /// A pattern is one line of a .gitignore file. It is compared with whole names as reports show them: those in the
    /// container, or relative to the folder. Case matters.
    ///
    /// Without a '/' except at its end, it matches files and folders at any depth, otherwise from the start of the name.
    /// '*' and '?' do not match a '/'. '**/' is any number of folders, and '/**' everything in a folder. '[a-z]' is one
    /// character, '{jpg,png}' either of both, and '\' takes the next character literally. With a '/' at its end, it
    /// matches only folders. What matches a folder applies to everything in it.
    ///
    /// Names that match no --include, or any --exclude, are left out before anything is read, counted or spent. The
    /// platform does not know about this: it syncs them, too.
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    pub include: Vec<Glob>,

    /// Leave out names that match this pattern, even if they match --include; can be repeated. In a folder, a file
    /// .presyncignore has such patterns, with the syntax of .gitignore
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    pub exclude: Vec<Glob>,
}

impl FilterArgs {
    /// The filter of these patterns.
    pub(super) fn filter(&self) -> Result<Filter> {
        let filter = Filter::new(self.include.clone(), self.exclude.clone());
        filter.map_err(|why| Error::new(why).with_hint("use fewer and wider patterns"))
    }
}

/// The limits on requests to each account.
#[derive(Debug, Default, Args)]
pub(crate) struct LimitArgs {
    /// Number of blobs to check at a time [default: 64 for a folder; for a container, as many as the service answers
    /// without delay]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(CONCURRENCY).map(usize::from))]
    pub concurrency: Option<usize>,

    /// Maximum requests per second to an account [default: as many as the service accepts]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests_per_second: Option<u32>,

    /// Maximum bytes of content to read per second from an account, such as 500KB or 20MiB [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bandwidth)]
    pub max_bandwidth: Option<u64>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct PerformanceArgs {
    #[command(flatten)]
    pub limits: LimitArgs,

    /// How often to save progress for --resume or the next audit [default: 3s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub checkpoint_every: Option<Duration>,

    /// Number of threads that examine content [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(WORKERS).map(usize::from))]
    pub workers: Option<usize>,

    /// Maximum number of reads waiting for those threads [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(QUEUE).map(usize::from))]
    pub queue: Option<usize>,
}

impl LimitArgs {
    /// The limits for the source.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            concurrency: self.concurrency,
            requests_per_second: self.max_requests_per_second.map(f64::from),
            bytes_per_second: self.max_bandwidth.map(|bytes| bytes as f64),
        }
    }
}

impl PerformanceArgs {
    /// Whether requests are limited, which a folder has none of.
    pub(super) fn limits_requests(&self) -> bool {
        self.limits.max_requests_per_second.is_some() || self.limits.max_bandwidth.is_some()
    }

    /// The limits on requests to each account.
    pub(super) fn limits(&self) -> Limits {
        self.limits.limits()
    }

    pub(super) fn checkpoint_every(&self) -> Duration {
        self.checkpoint_every.unwrap_or(checkpoint::EVERY)
    }
}

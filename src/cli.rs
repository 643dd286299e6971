//! The command line: what a user types, turned into [`config`](crate::config) settings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;

use crate::config::{Color, Connect, DryRun, Explain, Preview, Rule, Target};
use crate::report;
use crate::source::Depth;
use crate::source::azure::AuthMode;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0  everything fits: every asset is accepted, within the quota
  1  findings: something is rejected or over the quota
  2  the run could not start or could not go on
  3  incomplete: some assets could not be judged";

/// Know what a sync of cloud media into an annotation platform will leave out, before it runs.
#[derive(Debug, Parser)]
#[command(name = "presync", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// From the listing alone: how much there is of which kind and where, and a sample of names
    Preview(PreviewArgs),
    /// The pre-sync report: which assets will sync, which will not and why, and what it will cost
    DryRun(DryRunArgs),
    /// One asset: every range read, what was found where, the verdict, the fix
    Explain(ExplainArgs),
    /// What to run so that the platform may read a container: service principal, role with condition, CORS
    Connect(ConnectArgs),
    /// Every rule, or one: what it means, why it exists, how to fix it
    Rule(RuleArgs),
}

/// What a parsed command line asks for.
#[derive(Debug)]
pub enum Request {
    /// `presync preview`.
    Preview(Preview),
    /// `presync dry-run`.
    DryRun(DryRun),
    /// `presync explain`.
    Explain(Explain),
    /// `presync connect`.
    Connect(Connect),
    /// `presync rule`.
    Rule(Rule),
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// A file, or a blob as https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME[?SAS], az://CONTAINER/NAME,
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/NAME or @CONNECTION/NAME, NAME as reports have it
    #[arg(value_name = "ASSET")]
    asset: OsString,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorArg,
}

#[derive(Debug, Args)]
struct ConnectArgs {
    /// A container as https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX] or @NAME, a connection of presync.toml
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Write the container to presync.toml, as @NAME
    #[arg(long, value_name = "NAME")]
    write: Option<String>,

    /// The id of the platform's application [default: a placeholder]
    #[arg(long, value_name = "ID", value_parser = one_line)]
    app_id: Option<String>,

    /// Where the platform's site is, for CORS; may be given more than once [default: https://nexus.datature.io]
    #[arg(long = "origin", value_name = "URL", value_parser = origin)]
    origins: Vec<String>,

    /// The storage account's subscription [default: az looks it up]
    #[arg(long, value_name = "ID", value_parser = one_line)]
    subscription: Option<String>,

    /// The storage account's resource group [default: az looks it up]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    resource_group: Option<String>,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorArg,
}

#[derive(Debug, Args)]
struct RuleArgs {
    /// A code such as VID002, or a name such as pixel-format
    #[arg(value_name = "CODE")]
    code: Option<String>,

    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorArg,
}

#[derive(Debug, Args)]
struct PreviewArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX], a connection of presync.toml
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Take only what lies directly under the prefix; folders are counted as not entered
    #[arg(long)]
    no_recurse: bool,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,

    /// How the report is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: PreviewFormatArg,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    display: DisplayArgs,
}

#[derive(Debug, Args)]
struct DryRunArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX], a connection of presync.toml
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Take only what lies directly under the prefix; folders are listed as not entered
    #[arg(long)]
    no_recurse: bool,

    /// Images that the platform's quota has left [default: the connection's, else no limit]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    image_quota: Option<u64>,

    /// Frames of video that the platform's quota has left [default: the connection's, else no limit]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    frame_quota: Option<u64>,

    /// The platform's rules: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,

    /// How the report is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: FormatArg,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Exit with 0 instead of 1 when there are findings
    #[arg(long)]
    exit_zero: bool,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    display: DisplayArgs,

    #[command(flatten, next_help_heading = "Performance")]
    performance: PerformanceArgs,
}

#[derive(Debug, Args)]
struct AzureArgs {
    /// The storage account of an az:// source [default: AZURE_STORAGE_ACCOUNT]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Which credential to use; all of them come from the environment [default: the connection's, else auto]
    #[arg(long, value_enum, value_name = "MODE")]
    auth: Option<AuthMode>,

    /// The file with the connections [default: presync.toml, here or in the nearest folder above]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl AzureArgs {
    fn target(self, source: OsString, profile: Option<String>) -> Target {
        Target { source, account: self.account, auth: self.auth, config: self.config, profile }
    }
}

#[derive(Debug, Args)]
struct DisplayArgs {
    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorArg,

    /// No progress bar
    #[arg(long)]
    no_progress: bool,

    /// Nothing on stderr but errors
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,

    /// Say on stderr how the run goes about it and how long it took
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Args)]
struct PerformanceArgs {
    /// Blobs that are examined side by side [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: Option<u16>,

    /// Threads that probe [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    workers: Option<u16>,

    /// Places in the queue before them [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    queue: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormatArg {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// One JSON object a line for each asset, written while the run goes on
    Jsonl,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PreviewFormatArg {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ColorArg {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn whole_number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "it is not a whole number")
}

/// What may stand in a command that is printed.
fn one_line(text: &str) -> Result<String, &'static str> {
    match text.is_empty() || text.contains(char::is_control) {
        true => Err("it is empty or has a control character"),
        false => Ok(text.to_owned()),
    }
}

/// An origin as a browser sends it (RFC 6454, 6.1), or `*` for all.
fn origin(text: &str) -> Result<String, &'static str> {
    let is_origin = |url: Url| url.origin().ascii_serialization() == text;
    match text == "*" || Url::parse(text).is_ok_and(is_origin) {
        true => Ok(text.to_owned()),
        false => {
            Err("it is not an origin, such as https://nexus.datature.io, with no path and no '/' at its end")
        }
    }
}

impl Cli {
    /// The request, with every default resolved.
    pub fn into_request(self) -> Request {
        match self.command {
            Command::Preview(args) => Request::Preview(args.resolve()),
            Command::DryRun(args) => Request::DryRun(args.resolve()),
            Command::Explain(args) => Request::Explain(Explain {
                target: args.azure.target(args.asset, args.profile),
                color: args.color.into(),
            }),
            Command::Connect(args) => Request::Connect(Connect {
                target: args.azure.target(args.source, None),
                write: args.write,
                origins: args.origins,
                app_id: args.app_id,
                subscription: args.subscription,
                resource_group: args.resource_group,
                color: args.color.into(),
            }),
            Command::Rule(args) => Request::Rule(Rule { code: args.code, color: args.color.into() }),
        }
    }
}

fn depth(no_recurse: bool) -> Depth {
    if no_recurse { Depth::Direct } else { Depth::All }
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

impl PreviewArgs {
    fn resolve(self) -> Preview {
        Preview {
            target: self.azure.target(self.source, self.profile),
            depth: depth(self.no_recurse),
            format: match self.format {
                PreviewFormatArg::Text => report::preview::Format::Text,
                PreviewFormatArg::Json => report::preview::Format::Json,
            },
            output: self.output,
            color: self.display.color.into(),
            progress: !(self.display.no_progress || self.display.quiet),
            verbose: self.display.verbose,
        }
    }
}

impl DryRunArgs {
    fn resolve(self) -> DryRun {
        DryRun {
            target: self.azure.target(self.source, self.profile),
            depth: depth(self.no_recurse),
            image_quota: self.image_quota,
            frame_quota: self.frame_quota,
            format: match self.format {
                FormatArg::Text => report::Format::Text,
                FormatArg::Json => report::Format::Json,
                FormatArg::Jsonl => report::Format::Jsonl,
            },
            output: self.output,
            exit_zero: self.exit_zero,
            color: self.display.color.into(),
            progress: !(self.display.no_progress || self.display.quiet),
            verbose: self.display.verbose,
            concurrency: self.performance.concurrency.map(usize::from),
            workers: self.performance.workers.map(usize::from),
            queue: self.performance.queue.map(usize::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}

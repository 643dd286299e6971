//! The command line: what a user types, turned into [`config`](crate::config) settings.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{
    Audit, Bench, Commit, Connect, Doctor, DryRun, Explain, Loopback, Preview, Quota, Report, Rule, Weigh,
};
use crate::loopback::Tls;
use crate::report;
use crate::source::Depth;

mod audit;
mod bench;
mod commit;
mod common;
mod dry_run;
mod generated;
mod quota;
mod values;

use audit::AuditArgs;
use bench::BenchArgs;
use commit::CommitArgs;
use common::{AzureArgs, ChoiceArgs, ColorArg, DisplayArgs, TextOrJsonArg};
use dry_run::{AdmitArg, DryRunArgs};
use generated::{CompletionsArgs, ManArgs};
use quota::QuotaArgs;
use values::{duration, one_line, origin, whole_number};

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

const DOCTOR_EXIT_CODES: &str = "\
Exit codes:
  0  no step failed
  2  a step failed";

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
    /// Many containers in one run: a plan of each, and one summary
    Audit(AuditArgs),
    /// A saved plan as a report, in any format
    Report(ReportArgs),
    /// Refuse a plan that no longer holds, else reserve its quota in the ledger and write its manifests
    Commit(CommitArgs),
    /// One asset: every range read, what was found where, the verdict, the fix
    Explain(ExplainArgs),
    /// What to run so that the platform may read a container: service principal, role with condition, CORS
    Connect(ConnectArgs),
    /// Test a connection end to end: the cause of what fails, and the cure
    Doctor(DoctorArgs),
    /// The ledger: what a month's quota allows, what of it is used, reserved and left
    Quota(QuotaArgs),
    /// Every rule, or one: what it means, why it exists, how to fix it
    Rule(RuleArgs),
    /// How fast a container can be read from here, what bounds it, and what cannot be saved
    Bench(BenchArgs),
    /// A script that completes commands and options in a shell
    Completions(CompletionsArgs),
    /// The manual page of presync or of one of its commands, as roff
    Man(ManArgs),
    /// A blob server on 127.0.0.1 for tests and benchmarks; it serves until its stdin ends
    #[command(hide = true)]
    Loopback(LoopbackArgs),
    /// One measurement of a benchmark, which comes as JSON on stdin
    #[command(hide = true)]
    BenchJob,
}

/// What a parsed command line asks for.
#[derive(Debug)]
pub enum Request {
    /// `presync preview`.
    Preview(Preview),
    /// `presync dry-run`.
    DryRun(Box<DryRun>),
    /// `presync audit`.
    Audit(Box<Audit>),
    /// `presync report`.
    Report(Report),
    /// `presync commit`.
    Commit(Commit),
    /// `presync explain`.
    Explain(Explain),
    /// `presync connect`.
    Connect(Connect),
    /// `presync doctor`.
    Doctor(Doctor),
    /// `presync quota`.
    Quota(Quota),
    /// `presync rule`.
    Rule(Rule),
    /// `presync bench`.
    Bench(Box<Bench>),
    /// `presync loopback`.
    Loopback(Loopback),
    /// One measurement of `presync bench`.
    BenchJob,
    /// `presync completions` and `presync man`: this text.
    Print(Vec<u8>),
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

    #[command(flatten, next_help_heading = "Rules")]
    rules: ChoiceArgs,

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
#[command(after_help = DOCTOR_EXIT_CODES)]
struct DoctorArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX], a connection of presync.toml
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Try again while a new role assignment is on its way, for up to 5m or a duration such as 90s
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m", value_parser = duration)]
    wait: Option<Duration>,

    /// An origin whose pages must be allowed to read videos (CORS); the default is an assumption about the platform
    #[arg(long = "origin", value_name = "URL", default_value = "https://nexus.datature.io", value_parser = origin)]
    origins: Vec<String>,

    /// How the report is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJsonArg,

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
    format: TextOrJsonArg,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,

    #[command(flatten, next_help_heading = "Display")]
    display: DisplayArgs,
}

#[derive(Debug, Args)]
struct LoopbackArgs {
    /// What it serves and what goes wrong, as JSON; the other options change it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Blobs in the container 'media' [default: 10000]
    #[arg(long, value_name = "N")]
    blobs: Option<u64>,

    /// What blobs and faults are drawn from [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How long every answer takes, such as 20ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    latency: Option<Duration>,

    /// The share of ranges and pages that fail once or twice, such as 0.05
    #[arg(long, value_name = "RATE")]
    fail: Option<f64>,

    /// Requests a second that are served; more are answered with 503
    #[arg(long, value_name = "N")]
    limit: Option<f64>,

    /// Speak TLS with this certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The port [default: any that is free]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// A plan that presync dry-run --plan has written, or a folder of parts, which are put together to one
    #[arg(value_name = "PLAN|DIR")]
    plan: PathBuf,

    /// Images that the platform's quota has left, for a folder of parts [default: what the parts say]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    image_quota: Option<u64>,

    /// Frames of video that the platform's quota has left, for a folder of parts [default: what the parts say]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    frame_quota: Option<u64>,

    /// Who gets a quota that is too low for all, for a folder of parts [default: what the parts say]
    #[arg(long, value_enum, value_name = "ORDER")]
    admit: Option<AdmitArg>,

    /// How the report is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: FormatArg,

    /// Write the report to a file instead of stdout
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
    output: Option<PathBuf>,

    /// Exit with 0 instead of 1 when there are findings
    #[arg(long)]
    exit_zero: bool,

    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: ColorArg,
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
    /// One row an asset, for spreadsheets
    Csv,
    /// The plan's file; needs --output
    Parquet,
    /// JUnit XML: a test case for each rule
    Junit,
    /// SARIF 2.1.0: a result for each rule and folder
    Sarif,
    /// GitHub's workflow commands: an annotation for each rule
    Github,
    /// One page for browsers, which loads nothing
    Html,
}

impl Cli {
    /// The request, with every default resolved.
    pub fn into_request(self) -> Request {
        match self.command {
            Command::Preview(args) => Request::Preview(args.resolve()),
            Command::DryRun(args) => Request::DryRun(Box::new(args.resolve())),
            Command::Audit(args) => Request::Audit(Box::new(args.resolve())),
            Command::Report(args) => Request::Report(Report {
                weigh: Weigh {
                    images: args.image_quota,
                    frames: args.frame_quota,
                    admit: args.admit.map(Into::into),
                },
                plan: args.plan,
                format: args.format.into(),
                output: args.output,
                exit_zero: args.exit_zero,
                color: args.color.into(),
            }),
            Command::Commit(args) => Request::Commit(args.resolve()),
            Command::Explain(args) => Request::Explain(Explain {
                target: args.azure.target(args.asset, args.profile),
                rules: args.rules.into(),
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
            Command::Doctor(args) => Request::Doctor(Doctor {
                target: args.azure.target(args.source, None),
                origins: args.origins,
                wait: args.wait.unwrap_or_default(),
                format: args.format.into(),
                color: args.color.into(),
            }),
            Command::Quota(args) => Request::Quota(args.resolve()),
            Command::Rule(args) => Request::Rule(Rule { code: args.code, color: args.color.into() }),
            Command::Bench(args) => Request::Bench(Box::new(args.resolve())),
            Command::BenchJob => Request::BenchJob,
            Command::Completions(args) => Request::Print(args.text()),
            Command::Man(args) => Request::Print(args.text()),
            Command::Loopback(args) => Request::Loopback(Loopback {
                config: args.config,
                blobs: args.blobs,
                seed: args.seed,
                latency: args.latency,
                fail: args.fail,
                limit: args.limit,
                tls: args.tls_cert.zip(args.tls_key).map(|(cert, key)| Tls { cert, key }),
                port: args.port,
            }),
        }
    }
}

fn depth(no_recurse: bool) -> Depth {
    if no_recurse { Depth::Direct } else { Depth::All }
}

impl From<FormatArg> for report::Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Text => Self::Text,
            FormatArg::Json => Self::Json,
            FormatArg::Jsonl => Self::Jsonl,
            FormatArg::Csv => Self::Csv,
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Junit => Self::Junit,
            FormatArg::Sarif => Self::Sarif,
            FormatArg::Github => Self::Github,
            FormatArg::Html => Self::Html,
        }
    }
}

impl PreviewArgs {
    fn resolve(self) -> Preview {
        Preview {
            target: self.azure.target(self.source, self.profile),
            depth: depth(self.no_recurse),
            format: self.format.into(),
            output: self.output,
            color: self.display.color.into(),
            progress: !(self.display.no_progress || self.display.quiet),
            verbose: self.display.verbose > 0,
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

//! Settings of a run, whatever they were read from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;

use crate::loopback::{Mix, Tls};
use crate::model::{Admit, Month, QuotaKind};
use crate::plan_file::ShardOf;
use crate::report::{Format, TextOrJson};
use crate::rules::Choice;
use crate::source::Depth;
use crate::source::azure::{AuthMode, Limits};

/// What the command line says of how parts are weighed, in place of what they say themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weigh {
    /// Images that the quota has left.
    pub images: Option<u64>,
    /// Frames of video that the quota has left.
    pub frames: Option<u64>,
    /// In which order the quota is spent.
    pub admit: Option<Admit>,
}

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise (`NO_COLOR`, `CLICOLOR`, `TERM=dumb`).
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// A SOURCE or ASSET argument and the options that go with it. `None` leaves it to the connection, if it is an `@NAME`,
/// and then to the default.
#[derive(Clone, Debug)]
pub struct Target {
    /// The argument.
    pub source: OsString,
    /// The storage account of a source that does not name it.
    pub account: Option<String>,
    /// Which credential to use.
    pub auth: Option<AuthMode>,
    /// The file with the connections; `None` for the nearest `presync.toml`.
    pub config: Option<PathBuf>,
    /// A built-in profile's name, or a file.
    pub profile: Option<String>,
}

/// Settings of `presync dry-run`.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// Where the blobs lie.
    pub target: Target,
    /// The reports of Azure Blob Inventory that list the container; none for the service's own listing.
    pub inventory: Vec<PathBuf>,
    /// Which rules apply, and how severe they are.
    pub rules: Choice,
    /// How far below the prefix to go.
    pub depth: Depth,
    /// Images that the quota has left; `None` as in [`Target`], by default no limit.
    pub image_quota: Option<u64>,
    /// Frames of video that the quota has left; likewise.
    pub frame_quota: Option<u64>,
    /// The workspace whose quota of this month applies, where neither of the two is given; `None` as in [`Target`], by
    /// default none.
    pub workspace: Option<String>,
    /// The ledger's file; `None` for the default.
    pub ledger: Option<PathBuf>,
    /// In which order the quota is spent.
    pub admit: Admit,
    /// Whether to read on for width and height, where the rules do not need them.
    pub dimensions: bool,
    /// Whether JPEG files are read at their end.
    pub check_end: bool,
    /// Reads that counting the frames of one fragmented video may take.
    pub max_reads: u32,
    /// How the report is written.
    pub format: Format,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
    /// Where to write the plan; `None` for none.
    pub plan: Option<PathBuf>,
    /// Which share of the run this is, and the folder that its part of the plan goes to; `None` for a run of its own.
    pub shard: Option<(ShardOf, PathBuf)>,
    /// Whether to take up a run that was broken off while it wrote that plan.
    pub resume: bool,
    /// How often what is done is put on the disk, so that it can be taken up.
    pub checkpoint_every: Duration,
    /// The earlier plan that the run is compared with; `None` for none.
    pub baseline: Option<PathBuf>,
    /// Whether findings leave the exit code at 0.
    pub exit_zero: bool,
    /// When to use colors.
    pub color: Color,
    /// Whether progress may be shown, if stderr is a terminal.
    pub progress: bool,
    /// Whether to say how the run goes about it.
    pub verbose: bool,
    /// What bounds the requests, and how many blobs are examined side by side.
    pub limits: Limits,
    /// Threads that probe; `None` for one a core.
    pub workers: Option<usize>,
    /// Places in the queue before them; `None` for the default.
    pub queue: Option<usize>,
}

/// Settings of `presync audit`.
#[derive(Clone, Debug)]
pub struct Audit {
    /// What to audit; with none of them every container of the target's account, unless `all` is set.
    pub sources: Vec<OsString>,
    /// Whether to audit every connection.
    pub all: bool,
    /// The options that go with each source; its own source is not looked at.
    pub target: Target,
    /// The folder with a plan of each container: the baseline of the next audit.
    pub out: PathBuf,
    /// The workspace whose quota of this month all containers together are weighed against.
    pub workspace: Option<String>,
    /// The ledger's file; `None` for the default.
    pub ledger: Option<PathBuf>,
    /// Whether all containers sync into one project.
    pub one_project: bool,
    /// How the summary is written.
    pub format: TextOrJson,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
    /// Whether findings leave the exit code at 0.
    pub exit_zero: bool,
    /// When to use colors.
    pub color: Color,
    /// Whether progress may be shown, if stderr is a terminal.
    pub progress: bool,
    /// Whether to say when a container is done.
    pub verbose: bool,
    /// What bounds the requests to each account, and how many blobs are examined side by side.
    pub limits: Limits,
    /// Threads that probe; `None` for one a core.
    pub workers: Option<usize>,
    /// Places in the queue before them; `None` for the default.
    pub queue: Option<usize>,
    /// How often what is done is put on the disk, so that the next audit takes it up.
    pub checkpoint_every: Duration,
}

/// Settings of `presync report`.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan, or a folder of its parts.
    pub plan: PathBuf,
    /// How parts are weighed.
    pub weigh: Weigh,
    /// How the report is written.
    pub format: Format,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
    /// Whether findings leave the exit code at 0.
    pub exit_zero: bool,
    /// When to use colors.
    pub color: Color,
}

/// Settings of `presync commit`.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The plan.
    pub plan: PathBuf,
    /// The plan's source, named again; `None` as the plan names it.
    pub source: Option<OsString>,
    /// The storage account of a source that does not name it.
    pub account: Option<String>,
    /// Which credential to use.
    pub auth: Option<AuthMode>,
    /// The file with the connections; `None` for the nearest `presync.toml`.
    pub config: Option<PathBuf>,
    /// The workspace whose quota is reserved; `None` for the plan's, else the connection's.
    pub workspace: Option<String>,
    /// The ledger's file; `None` for the default.
    pub ledger: Option<PathBuf>,
    /// Where the manifests belong; `None` for a folder beside the plan.
    pub out: Option<PathBuf>,
    /// Whether only to say what would be done.
    pub dry_run: bool,
    /// Whether to leave out assets that the plan has no verdict on, instead of refusing it.
    pub allow_unknown: bool,
    /// How the report is written.
    pub format: TextOrJson,
    /// When to use colors.
    pub color: Color,
    /// Whether progress may be shown, if stderr is a terminal.
    pub progress: bool,
    /// Whether to say how long it took.
    pub verbose: bool,
}

/// Settings of `presync explain`.
#[derive(Clone, Debug)]
pub struct Explain {
    /// The asset: a file, or a blob.
    pub target: Target,
    /// Which rules apply, and how severe they are.
    pub rules: Choice,
    /// When to use colors.
    pub color: Color,
}

/// Settings of `presync preview`.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Where the blobs lie.
    pub target: Target,
    /// How far below the prefix to go.
    pub depth: Depth,
    /// How the report is written.
    pub format: TextOrJson,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
    /// When to use colors.
    pub color: Color,
    /// Whether progress may be shown, if stderr is a terminal.
    pub progress: bool,
    /// Whether to say how long it took.
    pub verbose: bool,
}

/// Settings of `presync connect`.
#[derive(Clone, Debug)]
pub struct Connect {
    /// The container.
    pub target: Target,
    /// The name under which the container is written to `presync.toml`.
    pub write: Option<String>,
    /// Where the platform's site is; the default when there is none.
    pub origins: Vec<String>,
    /// The id of the platform's application; a placeholder when `None`.
    pub app_id: Option<String>,
    /// The subscription of the storage account; looked up when `None`.
    pub subscription: Option<String>,
    /// The account's resource group; looked up when `None`.
    pub resource_group: Option<String>,
    /// When to use colors.
    pub color: Color,
}

/// Settings of `presync doctor`.
#[derive(Clone, Debug)]
pub struct Doctor {
    /// Where the blobs lie.
    pub target: Target,
    /// Origins that must be allowed to read videos.
    pub origins: Vec<String>,
    /// How long to try again while a role assignment is on its way.
    pub wait: Duration,
    /// How the report is written.
    pub format: TextOrJson,
    /// When to use colors.
    pub color: Color,
}

/// What `presync quota` is to do.
#[derive(Clone, Debug)]
pub enum Quota {
    /// `presync quota show`.
    Show(QuotaShow),
    /// `presync quota set`.
    Set(QuotaSet),
    /// `presync quota release`.
    Release(QuotaRelease),
}

/// Settings of `presync quota show`.
#[derive(Clone, Debug)]
pub struct QuotaShow {
    /// The only workspace to show; all of the month when `None`.
    pub workspace: Option<String>,
    /// The month; the current one when `None`.
    pub month: Option<Month>,
    /// Whether to show every change.
    pub history: bool,
    /// How it is written.
    pub format: TextOrJson,
    /// The ledger's file; `None` for the default.
    pub ledger: Option<PathBuf>,
    /// When to use colors.
    pub color: Color,
}

/// Settings of `presync quota set`.
#[derive(Clone, Debug)]
pub struct QuotaSet {
    /// The workspace.
    pub workspace: String,
    /// The month; the current one when `None`.
    pub month: Option<Month>,
    /// The limits to set, where `None` is no limit.
    pub limits: Vec<(QuotaKind, Option<u64>)>,
    /// What the platform shows as used.
    pub used: Vec<(QuotaKind, u64)>,
    /// The ledger's file; `None` for the default.
    pub ledger: Option<PathBuf>,
}

/// Settings of `presync quota release`.
#[derive(Clone, Debug)]
pub struct QuotaRelease {
    /// The id of the plan that holds the reservation.
    pub plan: String,
    /// The ledger's file; `None` for the default.
    pub ledger: Option<PathBuf>,
}

/// Settings of `presync rule`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule that is asked for, by code or name; all of them when `None`.
    pub code: Option<String>,
    /// When to use colors.
    pub color: Color,
}

/// Settings of `presync bench`.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Where the blobs lie; `None` for a loopback server.
    pub source: Option<Target>,
    /// Blobs from the beginning of a source's listing.
    pub sample: u64,
    /// Requests in flight to compare, in ascending order.
    pub concurrency: Vec<usize>,
    /// Lengths of the first read to compare, in bytes.
    pub first_read: Vec<u64>,
    /// Whether bare clients are measured too.
    pub floors: bool,
    /// Blobs of the loopback server.
    pub blobs: u64,
    /// What kinds of files they are.
    pub mix: Mix,
    /// The smallest and the largest image, in bytes; `None` for the default.
    pub image_size: Option<(u64, u64)>,
    /// The smallest and the largest video, in bytes; `None` for the default.
    pub video_size: Option<(u64, u64)>,
    /// How long every answer takes.
    pub latency: Option<Duration>,
    /// The share of ranges and pages that fail in a way that passes.
    pub fail: Option<f64>,
    /// Requests a second that are served.
    pub limit: Option<f64>,
    /// Whether it speaks TLS and wants a token.
    pub tls: bool,
    /// What blobs and faults are drawn from.
    pub seed: u64,
    /// Numbers of blobs to estimate.
    pub estimate: Vec<u64>,
    /// Requests a second that a storage account takes.
    pub account_limit: f64,
    /// The price of 10,000 reads.
    pub price: Option<f64>,
    /// How the report is written.
    pub format: TextOrJson,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
    /// When to use colors.
    pub color: Color,
    /// Whether to say what is being measured.
    pub progress: bool,
}

/// Settings of `presync loopback`.
#[derive(Clone, Debug, Default)]
pub struct Loopback {
    /// A JSON file with a whole [`Config`](crate::loopback::Config), which the rest changes.
    pub config: Option<PathBuf>,
    /// Blobs in the container `media`, which is then the only one.
    pub blobs: Option<u64>,
    /// What blobs and faults are drawn from.
    pub seed: Option<u64>,
    /// How long every answer takes.
    pub latency: Option<Duration>,
    /// The share of ranges and pages that fail in a way that passes.
    pub fail: Option<f64>,
    /// Requests a second that are served.
    pub limit: Option<f64>,
    /// The certificate and its key, as PEM files.
    pub tls: Option<Tls>,
    /// The port; any that is free when `None`.
    pub port: Option<u16>,
}

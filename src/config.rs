//! Settings of a run, whatever they were read from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;

use crate::loopback::Tls;
use crate::model::Quota;
use crate::report::{DoctorFormat, Format};
use crate::source::azure::{AuthMode, Limits};

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

/// Settings of `presync dry-run`.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The SOURCE argument.
    pub source: OsString,
    /// The storage account of a source that does not name it.
    pub account: Option<String>,
    /// Which credential to use.
    pub auth: AuthMode,
    /// A built-in profile's name, or a file.
    pub profile: String,
    /// What is left of the platform's quota.
    pub quota: Quota,
    /// Whether to read on for width and height, where the rules do not need them.
    pub dimensions: bool,
    /// How the report is written.
    pub format: Format,
    /// Where to; stdout when `None`.
    pub output: Option<PathBuf>,
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

/// Settings of `presync explain`.
#[derive(Clone, Debug)]
pub struct Explain {
    /// The ASSET argument: a file, or the URL of a blob.
    pub asset: OsString,
    /// The storage account of an asset that does not name it.
    pub account: Option<String>,
    /// Which credential to use.
    pub auth: AuthMode,
    /// A built-in profile's name, or a file.
    pub profile: String,
    /// When to use colors.
    pub color: Color,
}

/// Settings of `presync doctor`.
#[derive(Clone, Debug)]
pub struct Doctor {
    /// The SOURCE argument.
    pub source: OsString,
    /// The storage account of a source that does not name it.
    pub account: Option<String>,
    /// Which credential to use.
    pub auth: AuthMode,
    /// Origins that must be allowed to read videos.
    pub origins: Vec<String>,
    /// How long to try again while a role assignment is on its way.
    pub wait: Duration,
    /// How the report is written.
    pub format: DoctorFormat,
    /// When to use colors.
    pub color: Color,
}

/// Settings of `presync rule`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule that is asked for, by code or name; all of them when `None`.
    pub code: Option<String>,
    /// When to use colors.
    pub color: Color,
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

//! Settings of a run, whatever they were read from.

use std::ffi::OsString;
use std::path::PathBuf;

use anstream::ColorChoice;

use crate::model::Quota;
use crate::report::Format;
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

/// Settings of `presync rule`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule that is asked for, by code or name; all of them when `None`.
    pub code: Option<String>,
    /// When to use colors.
    pub color: Color,
}

//! Settings of a run, whatever they were read from.

use std::ffi::OsString;
use std::path::PathBuf;

use anstream::ColorChoice;

use crate::report::{Format, preview};
use crate::source::Depth;
use crate::source::azure::AuthMode;

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
    /// How far below the prefix to go.
    pub depth: Depth,
    /// Images that the quota has left; `None` as in [`Target`], by default no limit.
    pub image_quota: Option<u64>,
    /// Frames of video that the quota has left; likewise.
    pub frame_quota: Option<u64>,
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
    /// Blobs that are examined side by side; `None` for the source's default.
    pub concurrency: Option<usize>,
    /// Threads that probe; `None` for one a core.
    pub workers: Option<usize>,
    /// Places in the queue before them; `None` for the default.
    pub queue: Option<usize>,
}

/// Settings of `presync explain`.
#[derive(Clone, Debug)]
pub struct Explain {
    /// The asset: a file, or a blob.
    pub target: Target,
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
    pub format: preview::Format,
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

/// Settings of `presync rule`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule that is asked for, by code or name; all of them when `None`.
    pub code: Option<String>,
    /// When to use colors.
    pub color: Color,
}

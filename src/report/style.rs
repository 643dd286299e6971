//! The colors that everything for people shares.

use anstyle::{AnsiColor, Style};

use crate::model::Severity;

/// What matters on a line.
pub const BOLD: Style = Style::new().bold();
/// What explains the rest.
pub const DIM: Style = Style::new().dimmed();
/// What will sync.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What is worth knowing.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// What could not be judged.
pub const UNKNOWN: Style = AnsiColor::Magenta.on_default();
/// What will be left out.
pub const ERROR: Style = AnsiColor::Red.on_default();

/// The color of a finding.
pub fn of(severity: Severity) -> Style {
    match severity {
        Severity::Error => ERROR,
        Severity::Unknown => UNKNOWN,
        Severity::Warning => WARNING,
    }
}

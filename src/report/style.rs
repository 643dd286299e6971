//! The styles of all text output.

use anstyle::{AnsiColor, Style};

use crate::model::Severity;

/// The important part of a line.
pub const BOLD: Style = Style::new().bold();
/// Explanations.
pub const DIM: Style = Style::new().dimmed();
/// Assets that will sync.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Warnings.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Assets that could not be judged.
pub const UNKNOWN: Style = AnsiColor::Magenta.on_default();
/// Assets that will be left out.
pub const ERROR: Style = AnsiColor::Red.on_default();

/// The style of a finding.
pub fn of(severity: Severity) -> Style {
    match severity {
        Severity::Error => ERROR,
        Severity::Unknown => UNKNOWN,
        Severity::Warning => WARNING,
    }
}

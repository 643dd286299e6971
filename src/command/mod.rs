//! What each command does with its settings.

pub mod dry_run;
pub mod explain;
pub mod rule;

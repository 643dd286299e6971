//! Compares names with the assets of a plan: what the platform lists after a sync, and the images that label files refer
//! to.
//!
//! Names are looked up in a temporary database, and a plan is read twice, one asset at a time. So memory does not grow
//! with the plan, the list or the label files.

mod assets;
mod csv_table;
mod input;
mod json;
pub mod labels;
mod loose;
mod placed;
pub mod reconcile;
mod spelling;
mod summary;

pub use summary::{Cell, Comparison, Group, Pattern, Record, Tone};

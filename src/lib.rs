//! Find out what a sync of cloud media into an annotation platform will leave out, and why, before it runs.
//!
//! The modules, in the order a blob passes through them:
//!
//! * [`source`] lists blobs and reads byte ranges, from a folder or a container;
//! * [`run`] is the pipeline: list, read, probe, judge, weigh, report;
//! * [`examine`] takes one blob from the listing to its verdict without any I/O;
//! * [`probe`] turns bytes into facts without any I/O;
//! * [`rules`] turns facts into findings and a verdict;
//! * [`plan`] brings verdicts into listing order and spends the quota;
//! * [`report`] writes the result;
//! * [`plan_file`] stores it for later, along with checkpoints that let an interrupted run resume.
//!
//! In addition, [`plan::audit`] combines the results of several containers, [`commit`] turns a plan that still holds
//! into manifests, [`ledger`] records monthly quotas and what plans have reserved of them, and [`loopback`] is a blob
//! server for tests and benchmarks.

#![warn(unreachable_pub)]

/// Reads a file of labels, or a list of the platform's assets, for the fuzz targets. Returns how many names it has.
///
/// # Errors
/// Returns why it cannot be read.
#[cfg(feature = "fuzz")]
pub fn read_names(path: &std::path::Path, is_list: bool) -> Result<u64, String> {
    if is_list { matching::reconcile::read_names(path) } else { matching::labels::read_names(path) }
}

/// Reads the text of a `presync.toml`, for the fuzz targets.
///
/// # Errors
/// Returns an error if it is not valid.
#[cfg(feature = "fuzz")]
pub fn read_connections(text: &str) -> model::error::Result<()> {
    connections::read(text)
}

pub mod command;
pub mod commit;
mod connections;
pub mod examine;
mod files;
pub mod ledger;
pub mod loopback;
pub mod matching;
pub mod model;
pub mod plan;
pub mod plan_file;
pub mod probe;
#[cfg(feature = "python")]
mod python;
pub mod report;
pub mod rules;
pub mod run;
pub mod source;

//! What a sync of cloud media into an annotation platform will leave out, and why, before it runs.
//!
//! The parts, in the order in which a blob passes through them:
//!
//! * [`source`] lists blobs and reads ranges of them, from a folder or a container;
//! * [`run`] is the pipeline: list, read, probe, judge, weigh, report;
//! * [`examine`] takes one blob from the listing to its verdict without doing any I/O;
//! * [`probe`] turns bytes into facts without doing any I/O;
//! * [`rules`] turns facts into findings and a verdict;
//! * [`plan`] brings verdicts into listing order and spends the quota;
//! * [`report`] writes the result, [`plan_file`] keeps it for later, and its checkpoints what a killed run had done.
//!
//! Besides, [`plan::audit`] adds up what runs over several containers found, [`commit`] turns a plan that still holds
//! into manifests, [`ledger`] keeps what a month's quota allows and what plans reserve of it, and [`loopback`] is a blob
//! server for tests and benchmarks.

pub mod bench;
pub mod command;
pub mod commit;
pub mod connections;
pub mod examine;
pub mod files;
pub mod ledger;
pub mod loopback;
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

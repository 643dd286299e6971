//! What each command does with its settings.

use std::io::{self, Write};

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result, reason};

pub mod connect;
pub mod dry_run;
pub mod explain;
pub mod rule;
mod target;

/// A line for whoever watches. Nothing is lost when stderr is closed.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What drives listing and reads.
fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Error::new(format!("cannot start the runtime: {}", reason(&error))))
}

//! What each command does with its settings.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result, reason};

pub mod audit;
pub mod bench;
pub mod commit;
pub mod connect;
pub mod doctor;
pub mod dry_run;
mod examine;
pub mod explain;
mod interrupt;
mod ledger;
pub mod loopback;
mod output;
mod parts;
pub mod preview;
pub mod print;
pub mod quota;
pub mod report;
pub mod rule;
mod shard;
mod target;

/// A line for whoever watches. Nothing is lost when stderr is closed.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether progress can be drawn: on a terminal that can move its cursor.
fn is_live(wanted: bool) -> bool {
    wanted && io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How long it took.
fn say_rate(listed: u64, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    let rate = listed as f64 / seconds.max(f64::MIN_POSITIVE);
    say(&format!("{listed} blobs in {seconds:.1} s ({rate:.0}/s)"));
}

/// What drives listings; reads have threads of their own.
fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(format!("cannot start the runtime: {}", reason(&error))))
}

//! The command line, and what each command does.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::model::error::{Error, Result, reason};
use crate::model::secret::redact;
use crate::model::shown;
use crate::report::{counted, number, rate};
use crate::run::Snapshot;
use crate::source::inventory::Tally;

mod about;
pub(crate) mod args;
mod audit;
mod bench;
mod cli;
mod commit;
mod connect;
mod connections;
mod doctor;
pub(crate) mod dry_run;
mod empty;
mod examine;
mod exit;
mod explain;
mod fix;
mod gate;
mod help;
mod host;
mod interrupt;
mod labels;
mod ledger;
pub mod library;
mod loopback;
mod output;
mod parts;
mod preview;
mod quota;
pub(crate) mod reconcile;
mod report;
mod rule;
pub(crate) mod secrets;
mod shard;
mod target;
mod values;

pub use cli::{Cli, main};
pub use exit::Exit;
pub use host::Host;

/// Prints a line to stderr, without secrets and without anything that controls a terminal. A closed stderr is ignored.
fn say(line: &str) {
    if let Some(host) = host::current() {
        return host.say(shown(&redact(line)));
    }
    let _ = writeln!(output::stderr(), "{}", shown(&redact(line)));
}

/// Prints how long the run took.
fn say_rate(listed: u64, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    let rate = rate(listed as f64 / seconds.max(f64::MIN_POSITIVE));
    say(&format!("{} in {seconds:.1} s ({rate})", counted(listed, "blob", "blobs")));
}

/// Prints the counts of an inventory's rows, and how many of its blobs are out of date.
fn say_tally(tally: &Tally, ended: &Snapshot, verbose: bool) {
    let Tally { rows, elsewhere, nameless, hidden, twice } = tally;
    let [rows, elsewhere, nameless, hidden, twice] =
        [rows, elsewhere, nameless, hidden, twice].map(|count| count.load(Ordering::Relaxed));
    if verbose || elsewhere + nameless + hidden + twice > 0 {
        let [rows, elsewhere, nameless, hidden, twice] =
            [rows, elsewhere, nameless, hidden, twice].map(number);
        say(&format!(
            "inventory: {rows} rows; left out {elsewhere} in other containers or prefixes, {nameless} without a \
             container's name, {hidden} that are snapshots, old versions or deleted, {twice} with a newer row of the \
             same name"
        ));
    }
    let Snapshot { gone, changed, .. } = ended;
    if gone + changed > 0 {
        let (gone, changed) = (number(*gone), number(*changed));
        say(&format!(
            "the inventory is out of date: {gone} of its blobs no longer exist, {changed} have changed and \
             were judged as they are now"
        ));
    }
}

/// The runtime that drives listings. Reads run on threads of their own.
fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(format!("cannot start the runtime: {}", reason(&error))))
}

//! The ledger: `presync quota`, `presync dry-run --workspace`, processes that race, and processes that are killed.

mod commands;
mod crash;
mod faults;
mod platform;
mod race;
mod syncs;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use presync::ledger::{Amounts, Balance, Claim, Ledger};
use presync::model::{Month, Period, QuotaKind};
use tempfile::TempDir;

use crate::support::presync::Presync;

const WORKSPACE: &str = "default";
/// Tells a child process of these tests which ledger to use.
const LEDGER: &str = "TEST_LEDGER";

/// A ledger that is not there yet, in a folder of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("ledger.sqlite3")
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.path()).expect("a ledger")
    }

    /// `presync ARGS` with this ledger.
    fn presync(&self, args: &[&str]) -> Presync {
        Presync::new(args).env("PRESYNC_LEDGER", self.path())
    }
}

fn month() -> Period {
    Period::Month(Month::parse("2026-11").expect("a month"))
}

fn claim<'a>(plan: &'a str, images: u64) -> Claim<'a> {
    let costs = [(QuotaKind::Images, images)].into();
    let (period, source, returned) = (month(), "fixtures/demo", Amounts::new());
    Claim { plan, workspace: WORKSPACE, period, source, costs, returned, pending: None }
}

fn limit_images(ledger: &mut Ledger, limit: u64) {
    let limit = [(QuotaKind::Images, Some(limit))];
    ledger.set(WORKSPACE, month(), &limit, &[], Timestamp::now()).expect("it can be set");
}

fn images(ledger: &Ledger) -> Balance {
    ledger.balances(WORKSPACE, month()).expect("it can be read")[&QuotaKind::Images]
}

/// Runs one of the tests here that are ignored otherwise, in a process of its own. What it prints goes to a pipe.
fn spawn(test: &str, ledger: &Path) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new(program)
        .args([&format!("ledger::{test}"), "--exact", "--ignored", "--nocapture"])
        .env(LEDGER, ledger)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// The ledger of a child process.
fn of_parent() -> Ledger {
    let path = std::env::var_os(LEDGER).expect("only a parent starts this");
    Ledger::open(Path::new(&path)).expect("a ledger")
}

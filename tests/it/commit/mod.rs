//! `presync commit`: what it refuses, what it writes, and that it happens once.

mod drift;
mod faults;
mod files;
mod once;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use presync::ledger::{Ledger, Reservation};
use presync::loopback::{Blob, Config, Content, Handle, Server};
use presync::model::{Asset, Month, Period, QuotaKind};
use presync::plan::{RunHeader, Sink, Summary};
use presync::plan_file::{PlanReader, PlanWriter};
use tempfile::TempDir;

use crate::support::presync::{Presync, Ran, demo};

const WORKSPACE: &str = "team a";

/// A folder with a ledger, plans and commits.
struct Place(TempDir);

impl Place {
    /// A place whose workspace may use this much in the current month.
    fn with_quota(images: u64, frames: u64) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        place.set_quota(images, frames);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plan(&self) -> PathBuf {
        self.path("plan.parquet")
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.path("ledger.sqlite3")).expect("a ledger")
    }

    fn set_quota(&self, images: u64, frames: u64) {
        let limits = [(QuotaKind::Images, Some(images)), (QuotaKind::Frames, Some(frames))];
        self.ledger().set(WORKSPACE, month(), &limits, &[], Timestamp::now()).expect("it can be set");
    }

    fn reservations(&self) -> Vec<Reservation> {
        self.ledger().reservations(WORKSPACE, month()).expect("it can be read")
    }

    /// `presync ARGS` with this ledger.
    fn presync(&self, args: &[&str]) -> Presync {
        Presync::new(args).env("PRESYNC_LEDGER", self.path("ledger.sqlite3"))
    }

    /// Plans a source, with these options besides.
    fn dry_run(&self, source: &str, args: &[&str]) {
        let plan = self.plan();
        let plan = plan.to_str().expect("UTF-8");
        let ran = self
            .presync(&["dry-run", source, "--plan", plan, "--workspace", WORKSPACE, "--auth", "anonymous"])
            .args(args)
            .run();
        assert!(ran.code < 2, "{}", ran.stderr);
    }

    /// Commits the plan, with these options besides.
    fn commit(&self, args: &[&str]) -> Ran {
        self.presync(&["commit", self.plan().to_str().expect("UTF-8"), "--auth", "anonymous"])
            .args(args)
            .run()
    }

    /// The same as a process that runs beside others.
    fn spawn_commit(&self, plan: &Path, out: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_presync"));
        command.env_clear().env("PRESYNC_LEDGER", self.path("ledger.sqlite3"));
        command.arg("commit").arg(plan).args(["--format", "json", "--out"]).arg(out);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Writes the plan anew with what `change` makes of it.
    fn rewrite(&self, change: impl FnOnce(&mut RunHeader, &mut Summary, &mut Vec<Asset>)) {
        let reader = PlanReader::open(&self.plan()).expect("a plan");
        let plan = reader.plan().clone();
        let (mut header, mut summary) = (plan.header, plan.summary);
        let mut assets: Vec<_> = reader.map(|asset| asset.expect("it is read")).collect();
        change(&mut header, &mut summary, &mut assets);
        let mut plan = PlanWriter::create(&self.plan(), header).expect("a file");
        assets.iter().for_each(|asset| plan.settled(asset).expect("it is written"));
        Box::new(plan).finish(&summary, Duration::from_secs(1)).expect("it is written");
    }

    /// A text without what is another one in each run.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(self.0.path().to_str().expect("UTF-8"), "FOLDER");
        let text = text.replace(&month().to_string(), "THIS-MONTH");
        match PlanReader::open(&self.plan()) {
            Ok(reader) => text.replace(&reader.plan().id, "PLAN-ID"),
            Err(_) => text,
        }
    }

    /// Nothing is reserved, and nothing lies beside the plan and the ledger but what is named here.
    fn assert_untouched(&self, others: &[&str]) {
        assert_eq!(self.reservations(), []);
        let mut names = names(self.0.path());
        names.retain(|name| {
            !["ledger.sqlite3", "ledger.sqlite3.synced", "plan.parquet"].contains(&name.as_str())
        });
        assert_eq!(names, others);
    }
}

/// Names of the entries of a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn month() -> Period {
    Period::Month(Month::of(Timestamp::now()))
}

/// A file of the demo container as a blob of this name.
fn blob(name: &str, file: &str, etag: &str) -> Blob {
    let bytes = fs::read(demo().join(file)).expect("the demo container has it");
    Blob { name: name.into(), bytes, etag: Some(etag.into()), ..Blob::default() }
}

/// An image that is accepted.
fn image(name: &str) -> Blob {
    blob(name, "cam1/0001.jpg", "0x1")
}

/// An image that is rejected, for its orientation of 6.
fn rotated(name: &str) -> Blob {
    blob(name, "cam1/0004.jpg", "0x1")
}

fn serve(blobs: Vec<Blob>) -> Handle {
    Server::start(Config::of("media", Content::Blobs(blobs))).expect("it starts")
}

fn source(server: &Handle) -> String {
    format!("{}/media", server.url())
}

//! The same input gives the same report, byte for byte, whatever order the reads finish in.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use presync::error::{Error, Result};
use presync::model::{Admit, Asset, Quota};
use presync::probe::Want;
use presync::report::{self, Format, Header};
use presync::rules::Profile;
use presync::run::{self, Settings, Sink, Task};
use presync::source::Source;
use presync::source::faults::Faults;
use presync::source::local::LocalSource;

use crate::support::presync::{Presync, demo};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The report of a run over `source`.
fn report(source: impl Source, format: Format, settings: Settings) -> String {
    let profile = Arc::new(Profile::load("nexus").expect("it is built in"));
    let origin = LocalSource::open(demo()).expect("the demo container").origin();
    let out = Buffer::default();
    let header = Header { origin, profile: Arc::clone(&profile), admit: Admit::Listing };
    let sink = report::open(format, header, out.clone(), 100).expect("a report");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let quota = Quota::new(Some(20), Some(500));
    let run = run::run(Task::new(Arc::new(source), profile, quota, settings), sink, std::future::pending());
    let run::Ended { summary, sink, end } = runtime.block_on(run).expect("the run ends");
    assert_eq!(end, run::End::Complete);
    sink.finish(&summary, Duration::ZERO).expect("the report is written");
    String::from_utf8(std::mem::take(&mut *out.0.lock().expect("nobody panics"))).expect("it is UTF-8")
}

fn late(seed: u64) -> Faults<LocalSource> {
    Faults::new(LocalSource::open(demo()).expect("the demo container"), seed, Duration::from_millis(20))
}

fn settings(concurrency: usize, workers: usize, queue: usize, window: usize) -> Settings {
    Settings { concurrency, workers, queue, window, want: Want::default(), first_read: None }
}

#[test]
fn late_answers_change_no_byte() {
    for format in [Format::Text, Format::Json, Format::Jsonl] {
        let in_order =
            report(LocalSource::open(demo()).expect("the demo container"), format, settings(1, 1, 1, 1));
        assert!(in_order.len() > 1000);
        for (seed, concurrency) in [(1, 1), (2, 3), (3, 16), (4, 64), (5, 1000)] {
            let shuffled = report(late(seed), format, settings(concurrency, 4, 16, 4096));
            assert_eq!(shuffled, in_order, "seed {seed}, {concurrency} at a time");
        }
    }
}

#[test]
fn a_narrow_window_and_a_queue_of_one_place_come_to_the_end() {
    let wide = report(late(6), Format::Jsonl, settings(64, 2, 256, 4096));
    for window in [1, 2, 64] {
        assert_eq!(report(late(7), Format::Jsonl, settings(64, 1, 1, window)), wide, "window {window}");
    }
}

#[test]
fn the_binary_gives_the_same_report_at_any_concurrency() {
    let run = |args: &[&str]| {
        Presync::dry_run(demo()).args(["--format", "jsonl", "--image-quota", "9"]).args(args).run().stdout
    };
    let first = run(&["--concurrency", "1", "--workers", "1", "--queue", "1"]);
    assert_eq!(first.lines().count(), 65);
    for concurrency in ["2", "64", "4096"] {
        assert_eq!(run(&["--concurrency", concurrency]), first, "{concurrency} at a time");
    }
}

/// Takes three assets and then fails, as a full disk does.
struct Full(u32);

impl Sink for Full {
    fn asset(&mut self, _: &Asset) -> Result<()> {
        self.0 += 1;
        if self.0 > 3 { Err(Error::new("the disk is full")) } else { Ok(()) }
    }
}

#[test]
fn a_report_that_cannot_be_written_ends_the_run_at_any_window() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let profile = Arc::new(Profile::load("nexus").expect("it is built in"));
    let quota = Quota::new(None, None);
    for window in [1, 2, 4096] {
        let profile = Arc::clone(&profile);
        let task = Task::new(Arc::new(late(8)), profile, quota, settings(1, 1, 1, window));
        let run = run::run(task, Full(0), std::future::pending());
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), run).await });
        let error = ended.expect("it does not hang").err().expect("it fails");
        assert_eq!(error.message(), "the disk is full", "window {window}");
    }
}

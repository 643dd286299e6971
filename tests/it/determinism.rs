//! The same input gives the same report, byte for byte, whatever order the reads finish in.

use std::future::pending;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use presync::model::error::{Error, Result};
use presync::model::{Asset, Blob, BlobName, ByteRange, Quota, ReadError, Reads};
use presync::plan::{RunHeader, Sink};
use presync::probe::Want;
use presync::report::{self, Format};
use presync::rules::Profile;
use presync::run::{self, Settings, Task};
use presync::source::local::LocalSource;
use presync::source::{Listing, Reader};

use crate::support::presync::{Presync, demo, without_summary};

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

/// A folder that answers late: reads finish in another order than they began, as they do over a network.
struct Late {
    folder: LocalSource,
    seed: u64,
    drawn: AtomicU64,
}

impl Late {
    fn new(seed: u64) -> Self {
        Self { folder: folder(), seed, drawn: AtomicU64::new(0) }
    }

    /// Waits up to 20 ms, for a time that the seed decides.
    async fn wait(&self) {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let ms = fastrand::Rng::with_seed(self.seed.wrapping_add(drawn)).f64() * 20.0;
        tokio::time::sleep(Duration::from_secs_f64(ms / 1e3)).await;
    }

    fn list(self: &Arc<Self>) -> Listing {
        let late = Arc::clone(self);
        let wait = move |page| {
            let late = Arc::clone(&late);
            async move {
                late.wait().await;
                page
            }
        };
        self.folder.list().then(wait).boxed()
    }
}

impl Reader for Late {
    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        self.wait().await;
        Reader::read(&self.folder, blob, range, reads).await
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        self.wait().await;
        Reader::find(&self.folder, name).await
    }
}

fn folder() -> LocalSource {
    LocalSource::open(demo()).expect("the demo container")
}

/// The report of a run over the demo container, whose answers come late if a seed for that is given.
fn report(seed: Option<u64>, format: Format, settings: Settings) -> String {
    let profile = Arc::new(Profile::load("nexus").expect("it is built in"));
    let origin = folder().origin();
    let out = Buffer::default();
    let header = RunHeader::new(origin, Arc::clone(&profile), jiff::Timestamp::UNIX_EPOCH);
    let sink = report::open(format, header, out.clone(), 100).expect("a report");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let quota = Quota::new(Some(20), Some(500));
    let run = async {
        match seed.map(Late::new).map(Arc::new) {
            Some(late) => {
                run::run(Task::new(late.list(), late, profile, quota, settings), sink, pending()).await
            }
            None => {
                let task = Task::new(folder().list(), Arc::new(folder()), profile, quota, settings);
                run::run(task, sink, pending()).await
            }
        }
    };
    let run::Ended { summary, sink, end } = runtime.block_on(run).expect("the run ends");
    assert_eq!(end, run::End::Complete);
    sink.finish(&summary, Duration::ZERO).expect("the report is written");
    String::from_utf8(std::mem::take(&mut *out.0.lock().expect("nobody panics"))).expect("it is UTF-8")
}

fn settings(concurrency: usize, workers: usize, queue: usize, window: usize) -> Settings {
    Settings { concurrency, workers, queue, window, want: Want::default(), first_read: None }
}

#[test]
fn late_answers_change_no_byte() {
    for format in [Format::Text, Format::Json, Format::Jsonl] {
        let in_order = report(None, format, settings(1, 1, 1, 1));
        assert!(in_order.len() > 1000);
        for (seed, concurrency) in [(1, 1), (2, 3), (3, 16), (4, 64), (5, 1000)] {
            let shuffled = report(Some(seed), format, settings(concurrency, 4, 16, 4096));
            assert_eq!(shuffled, in_order, "seed {seed}, {concurrency} at a time");
        }
    }
}

#[test]
fn a_narrow_window_and_a_queue_of_depth_1_come_to_the_end() {
    let wide = report(Some(6), Format::Jsonl, settings(64, 2, 256, 4096));
    for window in [1, 2, 64] {
        assert_eq!(report(Some(7), Format::Jsonl, settings(64, 1, 1, window)), wide, "window {window}");
    }
}

#[test]
fn the_binary_gives_the_same_report_at_any_concurrency() {
    let run = |args: &[&str]| {
        let ran = Presync::dry_run(demo()).args(["--format", "jsonl", "--image-quota", "9"]).args(args).run();
        without_summary(&ran.stdout).to_owned()
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
    fn settled(&mut self, _: &Asset) -> Result<()> {
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
        let ended = runtime.block_on(async {
            let late = Arc::new(Late::new(8));
            let task = Task::new(late.list(), late, profile, quota, settings(1, 1, 1, window));
            tokio::time::timeout(Duration::from_secs(20), run::run(task, Full(0), pending())).await
        });
        let error = ended.expect("it does not hang").err().expect("it fails");
        assert_eq!(error.message(), "the disk is full", "window {window}");
    }
}
